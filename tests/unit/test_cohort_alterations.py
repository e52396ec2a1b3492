"""Altered, wild type, not evaluable: denominators worked out by hand."""

import numpy as np
import pytest
from pytest import approx
from studies import configuration, rules_of, study, two_arms, value_of

from correlatives.assembly import build_cohort
from correlatives.cohort import ABOVE, BELOW, MEASURED, MISSING, NOT_EVALUABLE
from correlatives.tables.dictionary import marker_label

WILD, ALTERED, UNKNOWN, NO_SAMPLE = (
    (0, MEASURED),
    (1, MEASURED),
    (None, NOT_EVALUABLE),
    (None, MISSING),
)


def draw(subject, visit="baseline", day=-3, specimen="plasma", assay="panel", **more):
    return {
        "sample_id": f"{subject}-{visit}" if specimen == "plasma" else f"{subject}-{specimen}",
        "subject_id": subject,
        "specimen": specimen,
        "timepoint": visit,
        "day": day,
        "assay": assay,
        **more,
    }


def call(name, gene, kind="snv", **more):
    return {
        "sample_id": name,
        "gene": gene,
        "kind": kind,
        "alteration": more.pop("alteration", f"p.{gene}1"),
        **more,
    }


def covers(assay, *genes, version=None, lod=None):
    return [
        {"assay": assay, "gene": gene, "kind": kind, "version": version, "lod_vaf": lod}
        for gene, *kinds in genes
        for kind in kinds
    ]


PANEL = covers("panel", ("PIK3CA", "snv", "indel"), ("RB1", "snv", "indel", "deletion"), lod=0.005)


def test_negative_only_where_everything_was_looked_at():
    """RB1 needs snv, indel and deletion; the short panel has no deletion; ERBB2 is on neither."""
    coverage = PANEL + covers("short", ("RB1", "snv", "indel"))
    samples = [draw("C1"), draw("C2", assay="short"), draw("C3", assay="unknown"), draw("E1")]
    calls = [call("E1-baseline", "RB1", "deletion"), call("C3-baseline", "PIK3CA")]
    built = build_cohort(
        study(two_arms(4, 1), samples=samples, alterations=calls, coverage=coverage)
    )
    subjects = ["C1", "C2", "C3", "C4", "E1"]
    assert [value_of(built, "gene:RB1", s) for s in subjects] == [
        WILD,
        UNKNOWN,
        UNKNOWN,
        NO_SAMPLE,
        ALTERED,
    ]
    assert [value_of(built, "gene:RB1:mutation", s) for s in subjects] == [
        WILD,
        WILD,
        UNKNOWN,
        NO_SAMPLE,
        WILD,
    ]
    assert value_of(built, "gene:RB1:deletion", "C2") == UNKNOWN
    # A positive call is always evaluable, covered or not.
    assert value_of(built, "gene:PIK3CA", "C3") == ALTERED
    assert value_of(built, "gene:PIK3CA", "C2") == UNKNOWN
    names = set(built.cohort.markers.info["biomarker"])
    assert "gene:PIK3CA:mutation" not in names


def test_a_version_that_does_not_cover_a_gene_is_blind_to_it():
    coverage = covers("panel", ("TP53", "snv"), version="2")
    samples = [draw("C1", version="1"), draw("E1", version="2")]
    built = build_cohort(study(two_arms(1, 1), samples=samples, coverage=coverage))
    assert value_of(built, "gene:TP53", "C1") == UNKNOWN
    assert value_of(built, "gene:TP53", "E1") == WILD


def test_without_coverage_only_what_was_not_detected_is_wild_type():
    samples = [draw("C1"), draw("C2"), draw("E1")]
    calls = [
        call("C1-baseline", "PIK3CA"),
        call("C2-baseline", "PIK3CA", result="not_detected"),
        call("E1-baseline", "TP53"),
    ]
    built = build_cohort(study(two_arms(2, 1), samples=samples, alterations=calls))
    assert [value_of(built, "gene:PIK3CA", s) for s in ("C1", "C2", "E1")] == [
        ALTERED,
        WILD,
        UNKNOWN,
    ]
    assert value_of(built, "gene:TP53", "C1") == UNKNOWN


@pytest.mark.parametrize(
    ("if_missing", "expected"), [("evaluable", WILD), ("not_evaluable", UNKNOWN)]
)
def test_negatives_of_too_little_tumour_are_unknown(if_missing, expected):
    config = configuration(evaluable={"min_tumour_fraction": 0.03, "if_missing": if_missing})
    samples = [
        draw("C1", tumour_fraction=0.02),
        draw("C2", tumour_fraction=0.03),
        draw("E1", tumour_fraction=None),
        draw("E2", tumour_fraction=0.5, qc="fail"),
    ]
    calls = [call("C1-baseline", "PIK3CA"), call("E2-baseline", "RB1")]
    built = build_cohort(
        study(two_arms(2, 2), config=config, samples=samples, alterations=calls, coverage=PANEL)
    )
    assert value_of(built, "gene:PIK3CA", "C1") == ALTERED
    assert [value_of(built, "gene:RB1", s) for s in ("C1", "C2", "E1", "E2")] == [
        UNKNOWN,
        WILD,
        expected,
        UNKNOWN,
    ]
    failed = built.cohort.calls.set_index("subject_id").loc["E2"]
    assert not failed["counted"]


def test_germline_chip_benign_and_equivocal():
    samples = [draw(s) for s in ("C1", "C2", "C3", "E1", "E2")]
    calls = [
        call("C1-baseline", "RB1", origin="germline"),
        call("C2-baseline", "RB1", origin="chip"),
        call("C3-baseline", "RB1", significance="benign"),
        call("E1-baseline", "RB1", result="equivocal"),
        call("E2-baseline", "RB1", result="equivocal"),
        call("E2-baseline", "RB1", "deletion"),
    ]
    made = study(two_arms(3, 2), samples=samples, alterations=calls, coverage=PANEL)
    built = build_cohort(made)
    assert [value_of(built, "gene:RB1", s) for s in ("C1", "C2", "C3", "E1", "E2")] == [
        WILD,
        WILD,
        WILD,
        UNKNOWN,
        ALTERED,
    ]
    (told,) = [p.message for p in made.problems.found if p.rule == "calls_set_aside"]
    assert told.startswith("1 call of the germline and 1 call of clonal haematopoiesis set aside")
    assert built.cohort.calls["counted"].tolist() == [False, False, False, True]
    assert len(built.cohort.calls) == 4


def test_significances_that_count():
    config = configuration(alterations_count=["pathogenic"])
    samples = [draw(s) for s in ("C1", "C2", "E1")]
    calls = [
        call("C1-baseline", "RB1", significance="pathogenic"),
        call("C2-baseline", "RB1", significance="vus"),
        call("E1-baseline", "RB1", significance=None),
    ]
    made = study(two_arms(2, 1), config=config, samples=samples, alterations=calls, coverage=PANEL)
    built = build_cohort(made)
    assert [value_of(built, "gene:RB1", s) for s in ("C1", "C2", "E1")] == [ALTERED, WILD, ALTERED]
    assert "significance_missing" in rules_of(made)


def test_pathways_know_which_kind_alters_them():
    """RB: RB1 snv, indel, deletion, CCND1 amplification; RB1 amplification is not RB loss."""
    coverage = covers(
        "panel", ("RB1", "snv", "indel", "deletion", "amplification"), ("CCND1", "amplification")
    ) + covers("small", ("RB1", "snv", "indel", "deletion", "amplification"))
    pathways = [
        {"gene": "RB1", "kind": kind, "pathway": "RB"} for kind in ("snv", "indel", "deletion")
    ] + [
        {"gene": "CCND1", "kind": "amplification", "pathway": "RB"},
        {"gene": "CDKN2A", "kind": "deletion", "pathway": "RB"},
        {"gene": "ESR1", "kind": "snv", "pathway": "ER"},
    ]
    samples = [draw("C1"), draw("C2"), draw("E1", assay="small"), draw("E2", assay="small")]
    calls = [
        call("C1-baseline", "RB1", "amplification"),
        call("C2-baseline", "CCND1", "amplification"),
        call("E2-baseline", "RB1", "deletion"),
    ]
    built = build_cohort(
        study(
            two_arms(2, 2), samples=samples, alterations=calls, coverage=coverage, pathways=pathways
        )
    )
    # CDKN2A is covered by no assay and is not asked for; CCND1 is, and the small panel is blind to it.
    assert [value_of(built, "pathway:RB", s) for s in ("C1", "C2", "E1", "E2")] == [
        WILD,
        ALTERED,
        UNKNOWN,
        ALTERED,
    ]
    assert value_of(built, "gene:RB1", "C1") == ALTERED
    info = built.cohort.markers.info.set_index("biomarker")
    assert "pathway:ER" not in info.index
    assert info.loc["gene:RB1", "pathway"] == "RB"
    assert set(info["domain"]) == {"alterations"}
    assert info.loc["gene:RB1", "kind"] == "binary"


def test_two_assays_of_one_sample_are_joined():
    """The droplet assay finds what the panel is blind to, and the other way round."""
    coverage = covers("panel", ("RB1", "snv")) + covers("ddPCR", ("ESR1", "snv"))
    runs = [
        {"run_id": f"{s}{a}", "sample_id": f"{s}-baseline", "assay": assay}
        for s in ("C1", "E1")
        for a, assay in enumerate(("panel", "ddPCR"))
    ]
    calls = [call("C1-baseline", "ESR1", run_id="C11")]
    built = build_cohort(
        study(
            two_arms(1, 1),
            samples=[draw("C1", assay=None), draw("E1", assay=None)],
            runs=runs,
            alterations=calls,
            coverage=coverage,
        )
    )
    assert [value_of(built, "gene:RB1", s) for s in ("C1", "E1")] == [WILD, WILD]
    assert [value_of(built, "gene:ESR1", s) for s in ("C1", "E1")] == [ALTERED, WILD]


def test_the_latest_version_of_a_run_stands():
    runs = [
        {"run_id": "old", "sample_id": "C1-baseline", "assay": "panel", "version": "1"},
        {"run_id": "new", "sample_id": "C1-baseline", "assay": "panel", "version": "2"},
    ]
    calls = [call("C1-baseline", "RB1", run_id="old")]
    built = build_cohort(
        study(two_arms(1, 1), samples=[draw("C1")], runs=runs, alterations=calls, coverage=PANEL)
    )
    assert value_of(built, "gene:RB1", "C1") == WILD
    assert built.cohort.calls["chosen"].tolist() == [False]
    assert built.cohort.samples.set_index("run_id")["chosen"].to_dict() == {
        "old": False,
        "new": True,
    }


def test_an_unreadable_sample_does_not_displace_a_readable_one():
    samples = [
        draw("C1", day=-20, tumour_fraction=0.2) | {"sample_id": "far"},
        draw("C1", day=-2, tumour_fraction=0.001) | {"sample_id": "near"},
    ]
    calls = [call("far", "RB1"), call("near", "PIK3CA")]
    built = build_cohort(study(two_arms(1, 1), samples=samples, alterations=calls, coverage=PANEL))
    assert value_of(built, "gene:RB1", "C1") == ALTERED
    assert value_of(built, "gene:PIK3CA", "C1") == ALTERED
    chosen = built.cohort.calls.set_index("sample_id")["chosen"].to_dict()
    assert chosen == {"far": True, "near": True}


def test_tissue_and_plasma_are_apart():
    samples = [draw("C1"), draw("C1", "biopsy", specimen="archival_tissue", assay="tissue_panel")]
    coverage = PANEL + covers("tissue_panel", ("RB1", "deletion"))
    calls = [call("C1-archival_tissue", "RB1", "deletion")]
    built = build_cohort(
        study(two_arms(1, 1), samples=samples, alterations=calls, coverage=coverage)
    )
    assert value_of(built, "gene:RB1", "C1") == WILD
    assert value_of(built, "gene:RB1", "C1", "archival_tissue") == ALTERED
    info = built.cohort.markers.info
    assert not (
        (info["specimen"] == "archival_tissue") & (info["biomarker"] == "gene:PIK3CA")
    ).any()


def test_burden_of_a_sample():
    """Highest of 0.4 and 0.1 (a VUS counts: it is burden), mean 0.25; nothing found: below 0.005."""
    config = configuration(alterations_count=["pathogenic"])
    samples = [draw("C1", tumour_fraction=0.3), draw("C2", tumour_fraction=0.05)]
    samples += [draw("E1"), draw("E2")]
    calls = [
        call("C1-baseline", "RB1", significance="pathogenic", vaf=0.4),
        call("C1-baseline", "PIK3CA", significance="vus", vaf=0.1),
        call("C1-baseline", "PIK3CA", origin="germline", vaf=0.5),
        call("E1-baseline", "RB1", "deletion", significance="pathogenic"),
        call("E2-baseline", "RB1", significance="pathogenic"),
    ]
    built = build_cohort(
        study(two_arms(2, 2), config=config, samples=samples, alterations=calls, coverage=PANEL)
    )
    assert value_of(built, "max_vaf", "C1") == (0.4, MEASURED)
    assert value_of(built, "mean_vaf", "C1") == (0.25, MEASURED)
    assert value_of(built, "max_vaf", "C2") == (0.005, BELOW)
    # A deletion has no allele fraction; a mutation without one leaves the highest unknown.
    assert value_of(built, "max_vaf", "E1") == (0.005, BELOW)
    assert value_of(built, "max_vaf", "E2") == UNKNOWN
    assert value_of(built, "tumour_fraction", "C1") == (0.3, MEASURED)
    assert value_of(built, "tumour_fraction", "E1") == NO_SAMPLE


def test_limits_of_the_dictionary_hold_for_what_is_derived():
    """The laboratory writes 0 below 0.003: that is below the limit, and a later rise is known to be one."""
    samples = [draw("C1", tumour_fraction=0.0), draw("C2", tumour_fraction=0.003)]
    samples += [draw("E1", tumour_fraction=0.97), draw("E2", tumour_fraction=0.0, qc="fail")]
    samples += [draw("C1", "C1D15", 15, tumour_fraction=0.03)]
    limits = {"kind": "continuous", "transform": "log10", "lloq": 0.003, "uloq": 0.9}
    dictionary = [{"biomarker": "tumour_fraction", "specimen": "plasma", **limits}]
    dictionary += [{"biomarker": "max_vaf", "specimen": "plasma", "lloq": 0.01}]
    calls = [call("C1-baseline", "RB1", vaf=0.008), call("C2-baseline", "RB1", vaf=0.2)]
    built = build_cohort(
        study(
            two_arms(2, 2),
            samples=samples,
            alterations=calls,
            coverage=PANEL,
            biomarkers=dictionary,
        )
    )
    assert value_of(built, "tumour_fraction", "C1") == (0.003, BELOW)
    assert value_of(built, "tumour_fraction", "C2") == (0.003, MEASURED)
    assert value_of(built, "tumour_fraction", "E1") == (0.9, ABOVE)
    assert value_of(built, "tumour_fraction", "E2") == UNKNOWN
    ratio, state = value_of(built, "ratio:tumour_fraction:C1D15", "C1", timepoint="C1D15")
    assert (ratio, state) == (approx(np.log(10)), ABOVE)
    assert value_of(built, "max_vaf", "C1") == (0.01, BELOW)
    assert value_of(built, "max_vaf", "C2") == (0.2, MEASURED)
    # nothing found, limit of detection 0.005: under the limit of quantification
    assert value_of(built, "max_vaf", "E1") == (0.01, BELOW)


def test_values_that_a_transform_cannot_take_are_counted():
    samples = [draw(s, tumour_fraction=f) for s, f in (("C1", 0.0), ("C2", 0.2), ("E1", 0.0))]
    row = {"biomarker": "tumour_fraction", "specimen": "plasma", "transform": "log10"}
    made = study(two_arms(2, 1), samples=samples, biomarkers=[row])
    build_cohort(made)
    (problem,) = [p for p in made.problems.found if p.rule == "value_not_transformable"]
    assert problem.message == (
        "2 of 3 values of tumour_fraction (plasma) have no log10, and are left out of what is analysed on that "
        "scale. Give the limit below which the laboratory does not measure as `lloq`, or another transform."
    )
    assert problem.severity == "warning"


def test_ratios_to_baseline():
    subjects = ["C1", "C2", "C3", "E1", "E2", "E3"]
    values = {  # baseline, C1D15
        "C1": (100, 25),
        "C2": ("<20", 40),
        "C3": (80, "<20"),
        "E1": ("<20", "<20"),
        "E2": (0, 10),
        "E3": (50, None),
    }
    samples, rows = [], []
    for subject, (before, after) in values.items():
        samples += [draw(subject, assay=None), draw(subject, "C1D15", 15, assay=None)]
        rows.append({"sample_id": f"{subject}-baseline", "biomarker": "TK1", "value": before})
        if after is not None:
            rows.append({"sample_id": f"{subject}-C1D15", "biomarker": "TK1", "value": after})
    built = build_cohort(study(two_arms(3, 3), samples=samples, measurements=rows))
    found = [value_of(built, "ratio:TK1:C1D15", s, timepoint="C1D15") for s in subjects]
    assert found[0] == (approx(np.log(0.25)), MEASURED)
    assert found[1] == (approx(np.log(2)), ABOVE)
    assert found[2] == (approx(np.log(0.25)), BELOW)
    assert found[3:] == [UNKNOWN, UNKNOWN, NO_SAMPLE]


def test_vaf_ratios_of_the_genes_altered_at_baseline():
    """PIK3CA 0.2 to 0.05; 0.1 to nothing (limit 0.005); wild type at baseline; no early sample."""
    samples = []
    for subject in ("C1", "C2", "E1"):
        samples += [draw(subject), draw(subject, "C1D15", 15, tumour_fraction=0.001)]
    samples.append(draw("E2"))
    calls = [
        call("C1-baseline", "PIK3CA", vaf=0.2),
        call("C1-baseline", "PIK3CA", vaf=0.02, alteration="p.E545K"),
        call("C1-C1D15", "PIK3CA", vaf=0.05),
        call("C2-baseline", "PIK3CA", vaf=0.1),
        call("E1-C1D15", "PIK3CA", vaf=0.3),
        call("E2-baseline", "PIK3CA", vaf=0.3),
    ]
    built = build_cohort(study(two_arms(2, 2), samples=samples, alterations=calls, coverage=PANEL))
    found = [
        value_of(built, "vaf_ratio:PIK3CA:C1D15", s, timepoint="C1D15")
        for s in ("C1", "C2", "E1", "E2")
    ]
    assert found[0] == (approx(np.log(0.25)), MEASURED)
    assert found[1] == (approx(np.log(0.05)), BELOW)
    assert found[2:] == [UNKNOWN, NO_SAMPLE]
    names = set(built.cohort.markers.info["biomarker"])
    assert "vaf_ratio:RB1:C1D15" not in names
    assert "ratio:max_vaf:C1D15" in names


def test_pairs_that_share_nothing_are_a_warning():
    samples = []
    for subject in ("C1", "C2", "E1"):
        samples += [draw(subject), draw(subject, "EOT", 150)]
    calls = [
        call("C1-baseline", "PIK3CA"),
        call("C1-EOT", "PIK3CA"),
        call("C1-EOT", "RB1"),
        call("C2-baseline", "PIK3CA"),
        call("C2-EOT", "RB1"),
        call("E1-baseline", "PIK3CA"),
    ]
    made = study(two_arms(2, 1), samples=samples, alterations=calls, coverage=PANEL)
    build_cohort(made)
    told = [p.subject_id for p in made.problems.found if p.rule == "pair_without_shared_alteration"]
    assert told == ["C2"]


def test_a_shared_mutation_is_one_however_it_is_written():
    samples = [draw("C1"), draw("C1", "EOT", 150)]
    calls = [
        call("C1-baseline", "PIK3CA") | {"alteration": "p.H1047R"},
        call("C1-EOT", "PIK3CA") | {"alteration": "p.His1047Arg"},
    ]
    made = study(two_arms(1, 1), samples=samples, alterations=calls, coverage=PANEL)
    build_cohort(made)
    assert "pair_without_shared_alteration" not in rules_of(made)


@pytest.mark.parametrize(
    ("kind", "number", "scale", "wrong"),
    [
        ("amplification", 8.0, "absolute", False),
        ("amplification", 1.2, "fold", False),
        ("amplification", 0.5, "fold", True),
        ("amplification", -1.0, "log2", True),
        ("amplification", 2.0, "gistic", False),
        ("amplification", -2.0, "gistic", True),
        ("deletion", 0.0, "absolute", False),
        ("deletion", 6.0, "absolute", True),
        ("deletion", -2.0, "gistic", False),
    ],
)
def test_a_copy_number_that_contradicts_its_kind_is_told(kind, number, scale, wrong):
    calls = [call("C1-baseline", "ERBB2", kind, copy_number=number, copy_number_scale=scale)]
    made = study(two_arms(1, 1), samples=[draw("C1")], alterations=calls)
    build_cohort(made)
    assert ("copy_number_contradicts_kind" in rules_of(made)) == wrong


def test_calls_keep_what_the_laboratory_wrote():
    samples = [draw("C1")]
    calls = [
        call(
            "C1-baseline",
            "ERBB2",
            "amplification",
            copy_number=8.5,
            copy_number_scale="absolute",
            partner=None,
        )
    ]
    cohort = build_cohort(study(two_arms(1, 1), samples=samples, alterations=calls)).cohort
    (row,) = cohort.calls.to_dict("records")
    assert row["copy_number"] == 8.5
    assert row["copy_number_scale"] == "absolute"
    assert row["timepoint"] == "baseline"
    assert row["counted"]
    assert row["chosen"]


def test_derived_markers_have_names_that_can_be_read():
    names = {
        "gene:RB1": "RB1 altered",
        "gene:ERBB2:amplification": "ERBB2 amplification",
        "pathway:PI3K": "PI3K pathway altered",
        "max_vaf": "Highest VAF",
        "ratio:TK1:C1D15": "TK1, C1D15 over baseline",
        "vaf_ratio:PIK3CA:C1D15": "PIK3CA VAF, C1D15 over baseline",
        "GENE:": "GENE:",
        "KI67": "KI67",
    }
    assert {name: marker_label(name) for name in names} == names


def test_a_call_knows_whether_its_class_is_looked_for():
    """Coverage of RB1: indels (a substitution is of that class) in plasma; deletions by another assay, in tissue."""
    built = build_cohort(
        study(
            two_arms(1, 1),
            samples=[draw("C1"), draw("C1", specimen="biopsy", assay="tissue panel")],
            alterations=[
                call("C1-baseline", "RB1"),
                call("C1-baseline", "RB1", "deletion"),
                call("C1-biopsy", "RB1"),
                call("C1-biopsy", "RB1", "deletion"),
            ],
            coverage=covers("panel", ("RB1", "indel"))
            + covers("tissue panel", ("RB1", "deletion")),
        )
    )
    calls = built.cohort.calls
    found = dict(
        zip(zip(calls["specimen"], calls["kind"], strict=True), calls["looked_for"], strict=True)
    )
    assert found == {
        ("plasma", "snv"): True,
        ("plasma", "deletion"): False,
        ("biopsy", "snv"): False,
        ("biopsy", "deletion"): True,
    }
