"""Real pairs through the cBioPortal presets: denominators counted from the raw files, messy labels told."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from correlatives.assembly import build_cohort
from correlatives.resistance.acquired import acquired
from correlatives.resistance.alterations import alteration_changes
from correlatives.tables.config import load
from correlatives.tables.load import load_study

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "breast_msk_2018"
EXAMPLE = ROOT / "config" / "examples" / "breast_msk_2018"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if not DATA.exists():
        pytest.skip(f"the data of breast_msk_2018 are not beside the repository ({DATA})")
    folder = tmp_path_factory.mktemp("msk")
    for path in [*EXAMPLE.glob("*.yaml"), *EXAMPLE.glob("*.tsv"), *DATA.glob("data_*.txt")]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def built(folder):
    study = load_study(load(folder / "config.yaml"), folder)
    found = build_cohort(study)
    assert not study.problems.errors
    return found


def read(folder, name):
    return pd.read_csv(folder / f"data_{name}.txt", sep="\t", comment="#", dtype=str)


def first_of_kind(samples, readable):
    """The first readable sample of each patient and kind, by the month of its collection: patient × kind."""
    order = pd.to_numeric(samples["NGS_SAMPLE_COLLECTION_TIME"])
    samples = samples.assign(order=order).sort_values("order", kind="stable")
    samples = samples[samples["SAMPLE_ID"].isin(readable)]
    first = samples.drop_duplicates(["PATIENT_ID", "SAMPLE_TYPE"])
    table = first.set_index(["PATIENT_ID", "SAMPLE_TYPE"])["SAMPLE_ID"]
    kinds = {kind: table.xs(kind, level="SAMPLE_TYPE") for kind in ("Primary", "Metastasis")}
    return pd.DataFrame(kinds).dropna()


def test_denominators_know_the_panels(folder, built):
    """Counted from the panel matrix and the mutations, without the library."""
    samples, mutations = read(folder, "clinical_sample"), read(folder, "mutations")
    panel = read(folder, "gene_panel_matrix").set_index("SAMPLE_ID")["mutations"]
    coverage = pd.read_csv(folder / "coverage.tsv", sep="\t")
    table = acquired(built.cohort.analysed(), "primary", "metastasis", at_progression=False)
    pairs = first_of_kind(samples, set(panel.index))
    assert set(table["pairs"]) == {len(pairs)} == {42}
    genes = table[table["level"].eq("gene")].set_index("name")
    assert len(genes) == 48
    for gene, row in genes.iterrows():
        looked = set(panel.index[panel.isin(coverage.loc[coverage["gene"].eq(gene), "assay"])])
        both = first_of_kind(samples, looked)
        hit = set(mutations.loc[mutations["Hugo_Symbol"].eq(gene), "Tumor_Sample_Barcode"])
        before, after = both["Primary"].isin(hit), both["Metastasis"].isin(hit)
        expected = [len(both), (~before & after).sum(), (before & ~after).sum()]
        expected.append((before & after).sum())
        found = row[["evaluable", "gained", "lost", "kept"]]
        assert found.tolist() == [int(count) for count in expected], gene
    assert genes.loc[["ESR1", "MGA", "SOS1"], "evaluable"].tolist() == [42, 24, 4]
    assert genes.loc["ESR1", ["gained", "lost", "kept"]].tolist() == [6, 0, 1]


def test_each_alteration_is_counted_by_its_protein_change(folder, built):
    table = alteration_changes(built.cohort, "primary", "metastasis", at_progression=False)
    esr1 = table[table["gene"].eq("ESR1")].set_index("alteration")
    assert esr1.loc["p.D538G", ["gained", "lost", "kept"]].tolist() == [4, 0, 0]


def test_messy_labels_are_told_and_not_guessed(folder):
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    for table in config["tables"]["measurements"]:
        table.pop("values", None)
    del config["nonresults"]["Unk/ND"]
    (folder / "unmapped.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    study = load_study(load(folder / "unmapped.yaml"), folder)
    errors = study.problems.frame().query("severity == 'error'")
    assert set(errors["rule"]) == {"word_not_a_value"}
    told = errors["value"].value_counts()
    raw = read(folder, "clinical_sample")
    for word, column in (("0-1+", "HER2_IHC_SCORE"), ("1+ (focal)", "HER2_IHC_SCORE")):
        assert told[word] == (raw[column] == word).sum(), word
    unknown = (raw["OVERALL_HER2_STATUS"] == "Unk/ND").sum() + (raw["HR_STATUS"] == "Unk/ND").sum()
    assert told["Unk/ND"] == unknown


def test_of_several_samples_the_first_stands_and_the_choice_is_listed(built):
    chosen = built.chosen_samples
    assert set(chosen["rule"]) == {"the earlier", "the first of the table"}
    assert len(chosen)
