"""The simulated trial: the same every time, within its contract, and true to its rates."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from correlatives.simulate import (
    NO_ACQUISITION,
    NO_EFFECT,
    NO_INTERACTION,
    planted,
    simulate_trial,
)
from correlatives.simulation.files import FILES, TABLES
from correlatives.simulation.genes import ACQUIRED, LESIONS, expression_genes, signature_table
from correlatives.simulation.panels import coverage_table, pathway_table
from correlatives.simulation.patients import hazard, make_people, stream, study_day
from correlatives.simulation.rates import EFFECTS, RATES, effects, rate

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "workflow" / "schemas"
GENES = 300
EXPERIMENTAL = "T-DM1 + palbociclib"
LONG = ("blood_markers", "blood_cytokines", "tissue_scores", "tissue_signatures")


@pytest.fixture(scope="module")
def trial():
    return simulate_trial(seed=7, genes=GENES)


@pytest.fixture(scope="module")
def large():
    return simulate_trial(seed=11, per_arm=(1200, 1200), genes=GENES)


def joined(trial):
    """One row a run, with its sample and subject."""
    tables = trial.tables
    samples = tables["samples"].merge(tables["subjects"][["subject_id", "arm"]], on="subject_id")
    return tables["runs"].merge(samples, on="sample_id")


def test_same_seed_writes_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        simulate_trial(seed=5, per_arm=(20, 20), genes=GENES).write(tmp_path / name)
    written = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert written == list(FILES)
    for name in written:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_another_seed_is_another_trial(trial):
    other = simulate_trial(seed=8, genes=GENES)
    assert not other.tables["outcomes"].equals(trial.tables["outcomes"])


def test_a_part_does_not_disturb_the_others(trial):
    """More genes change the expression table and what is read off it, nothing else."""
    wider = simulate_trial(seed=7, genes=GENES + 50)
    for name in set(TABLES) - {"tissue_expression", "tissue_signatures"}:
        pd.testing.assert_frame_equal(wider.tables[name], trial.tables[name])


def test_streams_go_by_name_and_seed():
    first = stream(1, "a").random(3)
    assert np.array_equal(first, stream(1, "a").random(3))
    assert not np.array_equal(first, stream(1, "b").random(3))
    assert not np.array_equal(first, stream(2, "a").random(3))


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        *((name, name) for name in ("subjects", "outcomes", "responses", "samples", "runs")),
        *((name, "measurements") for name in LONG),
        *((name, "alterations") for name in ("plasma_alterations", "tissue_alterations")),
        *((name, name) for name in ("doses", "assessments")),
        *((name, name) for name in ("coverage", "biomarkers", "pathways", "signatures")),
    ],
)
def test_tables_keep_the_contract(trial, name, schema):
    """Required columns are there and full, words are from the lists, and keys do not repeat."""
    table = trial.tables[name]
    contract = yaml.safe_load((SCHEMAS / f"{schema}.schema.yaml").read_text(encoding="utf-8"))
    for column in contract["required"]:
        empty = contract["properties"][column].get("x-empty", False)
        assert empty or table[column].notna().all(), column
    if schema != "subjects":
        assert set(table.columns) <= set(contract["properties"])
    for column, rule in contract["properties"].items():
        if column not in table:
            continue
        values = table[column].dropna()
        values = values[values.astype(str) != ""]
        if "enum" in rule:
            assert set(values) <= set(rule["enum"]), column
        if "minimum" in rule:
            assert (pd.to_numeric(values) >= rule["minimum"]).all(), column
        if "maximum" in rule:
            assert (pd.to_numeric(values) <= rule["maximum"]).all(), column
    key = [column for column in contract["x-key"] if column in table]
    assert not key or not table.duplicated(key).any()


def test_subjects_have_every_column_of_the_contract(trial):
    contract = yaml.safe_load((SCHEMAS / "subjects.schema.yaml").read_text(encoding="utf-8"))
    assert set(contract["properties"]) <= set(trial.tables["subjects"].columns)


def test_identifiers_lead_somewhere(trial):
    tables = trial.tables
    subjects = set(tables["subjects"]["subject_id"])
    assert len(subjects) == 132
    assert all(name.startswith("0") and len(name) == 5 for name in subjects)
    for name in ("outcomes", "responses", "samples", "doses", "assessments", "baseline_labs"):
        assert set(tables[name]["subject_id"]) <= subjects
    assert set(tables["runs"]["sample_id"]) <= set(tables["samples"]["sample_id"])
    passed = set(tables["runs"].query("qc == 'pass'")["run_id"])
    for name in (*LONG, "tissue_expression", "plasma_alterations", "tissue_alterations"):
        assert set(tables[name]["run_id"]) <= passed


def test_randomisation_is_balanced_within_strata(trial):
    subjects = trial.tables["subjects"]
    assert subjects["arm"].value_counts().to_dict() == {"T-DM1": 66, EXPERIMENTAL: 66}
    treated = (subjects["arm"] == EXPERIMENTAL).groupby(
        [subjects["hr_status"], subjects["visceral"]]
    )
    assert ((treated.sum() - treated.size() / 2).abs() <= 1).all()
    # At no time do the arms of a stratum drift apart as in free randomisation.
    drift = treated.transform(lambda arm: (2 * arm.astype(int) - 1).cumsum())
    assert drift.abs().max() <= 5


def test_unequal_arms_have_the_sizes_asked():
    arms = simulate_trial(seed=3, per_arm=(20, 40), genes=GENES).tables["subjects"]["arm"]
    assert arms.value_counts().to_dict() == {"T-DM1": 20, EXPERIMENTAL: 40}


def test_progression_is_never_later_than_death(large):
    time = large.tables["outcomes"].set_index(["subject_id", "endpoint"])["time"]
    pfs, overall = time.xs("PFS", level="endpoint"), time.xs("OS", level="endpoint")
    assert (pfs <= overall[pfs.index]).all()


def test_reasons_agree_with_events(large):
    outcomes = large.tables["outcomes"]
    event = outcomes["event"] == 1
    assert set(outcomes.loc[event, "reason"]) == {"progression", "death"}
    assert set(outcomes.loc[~event, "reason"]) == {"withdrawal", "lost", "end_of_study"}
    assert set(outcomes.loc[event & (outcomes["endpoint"] == "OS"), "reason"]) == {"death"}


def test_progression_is_on_the_day_of_its_assessment(trial):
    tables = trial.tables
    first = tables["subjects"].set_index("subject_id")["first_dose_day"].fillna(0).astype(int)
    seen = tables["assessments"].query("response == 'PD'").set_index("subject_id")["day"]
    days = seen.where(seen < 1, seen - 1) + first[seen.index]
    pfs = tables["outcomes"].query("endpoint == 'PFS' and reason == 'progression'")
    pfs = pfs.set_index("subject_id")["time"]
    assert set(seen.index) == set(pfs.index)
    assert np.allclose(days[pfs.index] / 30.4375, pfs, atol=6e-4)


def test_draws_at_the_end_of_treatment_come_after_the_first_dose(large):
    """Also of those who stopped at once, or progressed within days."""
    samples = large.tables["samples"]
    late = samples["timepoint"].isin(["progression", "EOT"])
    assert (samples.loc[late, "day"] > 1).all()
    assert (samples["day"] != 0).all()


def test_there_is_no_day_zero(trial):
    assert list(study_day(np.array([-1, 0, 1]), np.array([0, 0, 0]))) == [-1, 1, 2]
    for name in ("samples", "assessments"):
        assert (trial.tables[name]["day"] != 0).all()


def test_tumours_follow_recist(large):
    """Responses, best response and best change can be read off the sums of diameters."""
    table = large.tables["assessments"]
    start = table[table["response"].isna()].set_index("subject_id")["sum_mm"]
    after = table[table["response"].notna()].copy()
    change = 100 * (after["sum_mm"] / start[after["subject_id"]].to_numpy() - 1)
    after["change"] = change
    assert (after.loc[after["response"] == "CR", "sum_mm"] == 0).all()
    assert (after.loc[after["response"] == "PR", "change"] <= -30).all()
    assert (after.loc[after["response"] == "SD", "change"] > -30).all()
    nadir = table.groupby("subject_id")["sum_mm"].transform(lambda s: s.cummin().shift())[
        after.index
    ]
    growth = after["sum_mm"] - nadir
    large_enough = (growth >= 5) & (after["sum_mm"] >= 1.2 * nadir)
    worse = large_enough | (after["new_lesion"] == "yes")
    assert ((after["response"] == "PD") == worse).all()

    best = after.groupby("subject_id").agg(change=("change", "min"), seen=("response", set))
    responses = large.tables["responses"].set_index("subject_id")
    order = ("CR", "PR", "SD", "PD")
    read = best["seen"].map(lambda seen: next(word for word in order if word in seen))
    assert (responses.loc[read.index, "best_overall_response"] == read).all()
    assert np.allclose(responses.loc[best.index, "best_change_pct"], best["change"], atol=0.06)
    not_seen = responses.drop(best.index)
    assert (not_seen["best_overall_response"] == "NE").all()
    assert not_seen["best_change_pct"].isna().all()


def test_doses_follow_the_schedule(trial):
    tables = trial.tables
    arm = tables["subjects"].set_index("subject_id")["arm"]
    doses = tables["doses"]
    palbociclib = doses[doses["drug"] == "palbociclib"]
    assert (arm[palbociclib["subject_id"]] == EXPERIMENTAL).all()
    first = palbociclib.drop_duplicates("subject_id")
    assert (first["start_day"] == 5).all()
    assert (palbociclib["stop_day"] - palbociclib["start_day"]).max() == 13
    assert (palbociclib["stop_day"] >= palbociclib["start_day"]).all()
    assert set(palbociclib["dose_mg"]) <= {125.0, 100.0, 75.0}
    # A reason stands in the last interval of a drug only.
    assert not doses[doses["reason_off"].notna()].duplicated(["subject_id", "drug"]).any()
    undosed = tables["subjects"].loc[tables["subjects"]["first_dose_day"].isna(), "subject_id"]
    assert not set(undosed) & set(doses["subject_id"])


def test_days_since_the_last_dose_are_those_of_the_doses(trial):
    """A draw on days 5 to 18 of a cycle is on palbociclib, a day-1 draw is off it."""
    doses = trial.tables["doses"].query("drug == 'palbociclib'")
    samples = trial.tables["samples"]
    for row in samples.sample(150, random_state=1).itertuples():
        of = doses[(doses["subject_id"] == row.subject_id) & (doses["start_day"] < row.day)]
        if of.empty:
            assert np.isnan(row.days_since_last_dose)
        else:
            last = min(of["stop_day"].max(), row.day - 1)
            assert row.days_since_last_dose == row.day - last


def within(observed: float, expected: float, n: int) -> bool:
    """Whether a share is within four standard errors of what it should be."""
    return abs(observed - expected) < 4 * np.sqrt(expected * (1 - expected) / n) + 1e-9


def test_rates_are_those_of_the_sources(large):
    tables, runs = large.tables, joined(large)
    subjects = tables["subjects"]
    n = len(subjects)
    assert within((subjects["hr_status"] == "positive").mean(), rate("hr_positive"), n)
    baseline = runs[runs["timepoint"] == "baseline"]
    fraction = baseline.query("assay == 'ctdna_panel'")["tumour_fraction"].dropna()
    detectable = rate("tumour_fraction_detectable")
    assert within((fraction > 0).mean(), detectable, len(fraction))
    assert within((fraction >= 0.1).mean(), rate("tumour_fraction_over_10_pct"), len(fraction))
    blood = tables["blood_markers"].merge(baseline[["run_id"]], on="run_id")
    blood = blood[blood["replicate"].fillna(1) == 1]
    number = pd.to_numeric(blood["value"].str.strip("<"), errors="coerce")
    for biomarker, cut, name in (
        ("TK1", 200, "tk1_over_200"),
        ("HER2_ECD", 15, "ecd_over_15"),
        ("CTC", 4.5, "ctc_5_or_more"),
    ):
        values = number[blood["biomarker"] == biomarker].dropna()
        assert within((values > cut).mean(), rate(name), len(values)), biomarker
    assert (blood["value"] == "<20").any()
    assert {"QNS", "Not done", "Test failure"} <= set(blood["value"])


@pytest.mark.parametrize("gene", ["PIK3CA", "ERBB2", "CCND1", "MYC", "FGFR1", "CCNE1", "AKT1"])
def test_lesions_are_as_common_as_published(gene):
    people = make_people(19, (4000, 4000))
    for index, item in enumerate(LESIONS):
        if item.gene == gene:
            assert within(people.genome[:, index].mean(), item.prevalence, 8000)


def test_course_is_plausible(large):
    """Medians near those published, fewer events with palbociclib, responses as often as in the sources."""
    tables = large.tables
    arm = tables["subjects"].set_index("subject_id")["arm"]
    outcomes = tables["outcomes"].query("endpoint == 'PFS'")
    treated = (arm[outcomes["subject_id"]] == EXPERIMENTAL).to_numpy()
    rates = [
        outcomes.loc[mask, "event"].sum() / outcomes.loc[mask, "time"].sum()
        for mask in (~treated, treated)
    ]
    assert 0.5 < rates[1] / rates[0] < 0.8
    # Under censoring the median of all times is below that of progression-free survival.
    assert 4.5 < outcomes.loc[~treated, "time"].median() < 8
    best = tables["responses"].set_index("subject_id")["best_overall_response"]
    control = best[arm[arm == "T-DM1"].index].isin(["CR", "PR"]).mean()
    assert 0.30 < control < 0.45
    assert 0.01 < (best == "NE").mean() < 0.1


def test_some_are_ineligible_waived_or_unknown(large):
    subjects = large.tables["subjects"]
    assert 0 < (subjects["ecog"].astype(float) > 2).mean() < 0.02
    assert 0 < subjects["lvef_pct"].isna().mean() < 0.06
    waived = (subjects["prior_pertuzumab"] == "no") & (subjects["pertuzumab_waiver"] == "yes")
    assert waived.any()
    assert set(subjects["cns_metastases"]) == {"none", "treated", "active"}


def test_samples_are_lost_and_mislabelled(large):
    tables, runs = large.tables, joined(large)
    samples = tables["samples"]
    assert {"progression", "EOT"} <= set(samples["timepoint"])
    draws = samples[(samples["timepoint"] == "C1D15") & (samples["specimen"] == "plasma")]
    outside = ~draws["day"].between(12, 19)
    assert 0 < outside.mean() < 0.03
    failed = runs[runs["qc"] == "fail"]
    assert failed["qc_reason"].ne("").all() and failed["qc_reason"].notna().all()
    assert len(tables["runs"]) < sum(
        (samples["specimen"] == specimen).sum() * assays
        for specimen, assays in (
            ("plasma", 1),
            ("serum", 3),
            ("blood", 1),
            ("archival_tissue", 3),
            ("biopsy", 3),
        )
    )
    panel = runs[runs["assay"] == "ctdna_panel"]
    assert set(panel["version"]) == {"v1", "v2"}
    # The switch went by the calendar: the arms share versions and batches alike.
    shares = panel.groupby("arm")["version"].apply(lambda version: (version == "v1").mean())
    assert abs(shares.iloc[0] - shares.iloc[1]) < 0.06


def test_panels_call_only_what_they_cover(large):
    coverage = set(
        large.tables["coverage"][["assay", "version", "gene", "kind"]].itertuples(
            index=False, name=None
        )
    )
    for name in ("plasma_alterations", "tissue_alterations"):
        calls = large.tables[name].merge(large.tables["runs"], on="run_id")
        called = set(calls[["assay", "version", "gene", "kind"]].itertuples(index=False, name=None))
        assert called <= coverage


def test_rb1_is_acquired_under_palbociclib_only(large):
    calls = large.tables["plasma_alterations"].merge(joined(large), on="run_id")
    new = calls[(calls["gene"] == "RB1") & calls["alteration"].isin(ACQUIRED["RB1"])]
    assert set(new["arm"]) == {EXPERIMENTAL}
    assert set(new["timepoint"]) == {"progression", "EOT"}
    assert new["subject_id"].nunique() > 20
    pik3ca = calls[(calls["gene"] == "PIK3CA") & calls["alteration"].isin(["p.E726K", "p.Q546K"])]
    assert set(pik3ca["arm"]) == {"T-DM1", EXPERIMENTAL}


def test_acquisition_grows_with_time_on_treatment(large):
    calls = large.tables["plasma_alterations"].merge(joined(large), on="run_id")
    new = calls[(calls["gene"] == "RB1") & calls["alteration"].isin(ACQUIRED["RB1"])]
    pfs = large.tables["outcomes"].query("endpoint == 'PFS' and reason == 'progression'")
    arm = large.tables["subjects"].set_index("subject_id")["arm"]
    treated = pfs[arm[pfs["subject_id"]].to_numpy() == EXPERIMENTAL].set_index("subject_id")["time"]
    carriers = treated[treated.index.isin(new["subject_id"])]
    assert carriers.median() > treated.median() + 1


def test_blood_cell_and_germline_calls_are_labelled(large):
    calls = large.tables["plasma_alterations"]
    chip = calls[calls["gene"].isin(["DNMT3A", "TET2"])]
    assert set(chip["origin"].dropna()) == {"chip"} and chip["origin"].isna().any()
    germline = calls[calls["origin"] == "germline"]
    assert germline["vaf"].between(30, 75).all()


def test_truth_names_what_was_planted(trial, tmp_path):
    assert {item["biomarker"] for item in trial.planted("predictive")} == {
        "CCNE1",
        "PAM50_luminal",
        "hr_status",
    }
    assert [item["biomarker"] for item in trial.planted("lost")] == ["gene:ERBB2"]
    acquired = {item["biomarker"]: item["arm"] for item in trial.planted("acquired")}
    assert acquired == {"gene:RB1": EXPERIMENTAL, "gene:PIK3CA": ""}
    for item in trial.planted():
        if item["role"] != "null":
            assert item["size"] != item["null"] and item["effect"] in EFFECTS
    trial.write(tmp_path)
    read = yaml.safe_load((tmp_path / "truth.yaml").read_text(encoding="utf-8"))
    assert read == trial.truth
    assert planted(read, "predictive") == trial.planted("predictive")


def test_every_rate_names_its_source():
    assert all(item.source for item in RATES.values())
    assert all(source for _, _, source in EFFECTS.values())
    assert all(item.source for item in LESIONS)


def test_effects_can_be_switched_off():
    null = simulate_trial(seed=7, genes=GENES, **NO_EFFECT)
    assert {item["role"] for item in null.planted()} == {"null"}
    calls = null.tables["plasma_alterations"]
    assert not calls.query("gene == 'RB1'")["alteration"].isin(ACQUIRED["RB1"]).any()
    people = make_people(7, (66, 66))
    assert np.allclose(hazard(people, effects(NO_EFFECT)), 0)
    without = hazard(people, effects(NO_INTERACTION)) - hazard(
        people, effects({**NO_INTERACTION, "treatment_hr": 1.0})
    )
    assert np.allclose(without, people.arm * np.log(EFFECTS["treatment_hr"][0]))


def test_switching_acquisition_off_leaves_the_outcomes(trial):
    other = simulate_trial(seed=7, genes=GENES, **NO_ACQUISITION)
    pd.testing.assert_frame_equal(other.tables["outcomes"], trial.tables["outcomes"])
    assert other.planted("acquired") == [] and other.planted("lost") == []


def test_cyclin_e_changes_the_hazard_under_palbociclib_only():
    people = make_people(7, (66, 66))
    strong, none = (hazard(people, effects({"ccne1_by_palbociclib": size})) for size in (2.0, 1.0))
    assert np.allclose(strong - none, people.arm * np.log(2.0) * people.ccne1)


def test_what_cannot_be_simulated_is_refused():
    with pytest.raises(TypeError, match="no such effect: ccne2_by_palbociclib"):
        simulate_trial(ccne2_by_palbociclib=1.0)
    with pytest.raises(ValueError, match="genes=10: at least"):
        simulate_trial(per_arm=(5, 5), genes=10)
    with pytest.raises(ValueError, match="each arm needs a subject"):
        simulate_trial(per_arm=(10, 0))
    with pytest.raises(ValueError, match="above 0"):
        simulate_trial(treatment_hr=0.0)


@pytest.mark.parametrize("count", [40, 300, 2000])
def test_genes_are_as_many_as_asked(count):
    genes = expression_genes(count)
    assert len(set(genes)) == count
    assert {"CCNE1", "ERBB2", "RB1"} <= set(genes)


def test_dictionaries_describe_the_assays(trial):
    """The committed dictionaries are those of the simulated panels, and name every marker measured."""

    def text(table):
        return table.astype(object).where(table.notna(), "").astype(str)

    for name, made in (
        ("coverage", coverage_table()),
        ("pathways", pathway_table()),
        ("signatures", signature_table()),
    ):
        pd.testing.assert_frame_equal(
            text(trial.tables[name]), text(made), check_dtype=False, check_column_type=False
        )
    biomarkers = trial.tables["biomarkers"]
    assert not biomarkers.duplicated(["biomarker", "specimen"]).any()
    runs = joined(trial)
    for name in LONG:
        measured = trial.tables[name].merge(runs, on="run_id")[["biomarker", "specimen"]]
        known = set(biomarkers[["biomarker", "specimen"]].itertuples(index=False, name=None))
        assert set(measured.itertuples(index=False, name=None)) <= known
    for item in trial.planted("predictive") + trial.planted("prognostic"):
        if item["specimen"] != "clinical" and item["timepoint"] == "baseline":
            assert (item["biomarker"], item["specimen"]) in known


def test_default_study_is_the_simulated_trial():
    from correlatives.tables.config import load

    study = load(ROOT / "config" / "config.yaml")
    assert study["study"]["simulated"] is True
    tables = study["tables"].values()
    entries = [
        entry for table in tables for entry in (table if isinstance(table, list) else [table])
    ]
    named = {entry["path"] for entry in entries if entry}
    assert named == set(FILES) - {"truth.yaml"}


def test_workbook_keeps_identifiers_as_text(tmp_path, trial):
    trial.write(tmp_path)
    labs = pd.read_excel(tmp_path / "baseline_labs.xlsx", dtype={"subject_id": object})
    assert list(labs["subject_id"]) == list(trial.tables["subjects"]["subject_id"])


def test_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    sys.modules.pop("simulate_trial", None)
    from simulate_trial import main

    sizes = ["--seed", "5", "--control", "9", "--experimental", "8", "--genes", str(GENES)]
    main([str(tmp_path), *sizes, "--effect", "rb1_acquired_per_month=0"])
    assert sorted(path.name for path in tmp_path.iterdir()) == list(FILES)
    truth = yaml.safe_load((tmp_path / "truth.yaml").read_text(encoding="utf-8"))
    assert truth["per_arm"] == [9, 8] and truth["effects"]["rb1_acquired_per_month"] == 0
    for wrong in ("rb1=1", "rb1_acquired_per_month=often"):
        with pytest.raises(SystemExit):
            main([str(tmp_path), "--effect", wrong])
    assert "no such effect" in capsys.readouterr().err
