"""Missing markers: complete cases beside multiple imputation, and outcomes of those evaluable."""

import numpy as np
import pandas as pd
import pytest
from biomarker_cohorts import cohort_of, identifiers, markers_of, trial
from pytest import approx

from correlatives.efficacy import EVALUABLE, evaluable, subgroups
from correlatives.markers import BELOW, MISSING, Markers
from correlatives.predictive import small_samples
from correlatives.predictive.model import fit_domain, fit_prognostic_models, outcome_of
from correlatives.predictive.multiplicity import adjust
from correlatives.predictive.rows import marker_rows
from correlatives.predictive.sensitivity import (
    choose_missing,
    columns_of,
    sensitivity,
    variables_of,
)


def lose(cohort, row, missing):
    cohort.markers.value[row, missing] = np.nan
    cohort.markers.state[row, missing] = MISSING


def screened(cohort, endpoint, covariates=()):
    return adjust([fit_domain(cohort, endpoint, cohort.markers, covariates, randomisations=49)])


@pytest.mark.parametrize("endpoint", ["PFS", "ORR"])
def test_a_twin_gives_back_what_is_missing(endpoint):
    """A marker of which half is missing, and its twin (r = 0.99) that is complete: the answer of all values."""
    cohort = trial(n=300, markers=3, seed=2, strata=2, interaction=-0.7)
    rng = np.random.default_rng(1)
    cohort.markers.value[1] = cohort.markers.value[0] + 0.1 * rng.normal(size=300)
    whole = screened(cohort, endpoint).set_index("biomarker").loc["marker 0"]
    missing = rng.uniform(size=300) < 0.5
    lose(cohort, 0, missing)
    lose(cohort, 1, np.arange(300) == 7)
    table = screened(cohort, endpoint)
    found = sensitivity(cohort, endpoint, cohort.markers, table, seed=1)
    assert list(found.columns) == columns_of(True)
    assert sorted(set(found["biomarker"])) == ["marker 0", "marker 1"]
    part = found[found["biomarker"].eq("marker 0")].set_index("analysis")
    main = table.set_index("biomarker").loc["marker 0"]
    for name in ("n", "events", "interaction_ratio", "interaction_ratio_low", "p_interaction_lrt"):
        assert part.loc["complete_cases", name] == main[name]
    imputed = part.loc["multiple_imputation"]
    assert imputed["n"] == 300
    assert imputed["n_imputed"] == missing.sum()
    for name in ("interaction_ratio", "marker_effect_control", "marker_effect_experimental"):
        for end in ("", "_low", "_high"):
            assert np.log(imputed[name + end]) == approx(np.log(whole[name + end]), abs=0.1)
    assert imputed["missing_information"] < 0.25
    width = np.log(part["interaction_ratio_high"] / part["interaction_ratio_low"])
    assert width["multiple_imputation"] < 0.85 * width["complete_cases"]


def test_a_binary_marker_with_few_events_keeps_its_penalty():
    cohort = trial(n=90, markers=1, seed=3)
    rng = np.random.default_rng(2)
    cohort.markers.value[0] = (rng.uniform(size=90) < 0.15).astype(float)
    cohort.markers.info["kind"] = "binary"
    lose(cohort, 0, rng.uniform(size=90) < 0.2)
    for endpoint in ("PFS", "ORR"):
        table = screened(cohort, endpoint)
        assert table["method"].str.startswith("Firth").all()
        found = sensitivity(cohort, endpoint, cohort.markers, table, seed=1)
        imputed = found.iloc[1]
        assert imputed["method"].startswith("Firth, 30 imputations")
        assert imputed["interaction_ratio_low"] < imputed["interaction_ratio"]
        assert np.isfinite(imputed["interaction_ratio_high"])
        assert 0 < imputed["p_interaction_lrt"] <= 1
        again = sensitivity(cohort, endpoint, cohort.markers, table, seed=1)
        pd.testing.assert_frame_equal(found, again)


def test_a_limit_beyond_every_ratio_is_refused_of_imputed_values_too(
    monkeypatch: pytest.MonkeyPatch,
):
    cohort = trial(n=80, markers=2, seed=4)
    lose(cohort, 0, np.arange(20))
    table = screened(cohort, "PFS")
    before = sensitivity(cohort, "PFS", cohort.markers, table, seed=1).iloc[1]
    assert before["note"] == ""
    monkeypatch.setattr(small_samples, "LARGEST_RATIO", before["interaction_ratio_high"] * 0.99)
    row = sensitivity(cohort, "PFS", cohort.markers, table, seed=1).iloc[1]
    assert row["analysis"] == "multiple_imputation"
    assert row[["interaction_ratio_low", "interaction_ratio_high"]].isna().all()
    assert row["note"].endswith("; interaction: no finite lower or upper limit")
    # what the table does not have is not spoken of
    assert "treatment effect" not in row["note"]
    assert row["interaction_ratio"] == before["interaction_ratio"]


def test_counts_below_a_limit_are_drawn_below_it():
    """Predictive mean matching has no donor for them: they are drawn as those of a continuous marker."""
    found = {}
    for kind in ("count", "continuous"):
        cohort = trial(n=120, markers=2, seed=8)
        cohort.markers.value[0] = np.floor(10 + 3 * cohort.markers.value[0])
        cohort.markers.info.loc[0, "kind"] = kind
        below = cohort.markers.value[0] < np.quantile(cohort.markers.value[0], 0.3)
        cohort.markers.state[0, below] = BELOW
        cohort.markers.value[0, below] = cohort.markers.value[0, ~below].min()
        lose(cohort, 0, np.arange(120) % 10 == 0)
        table = screened(cohort, "PFS")
        found[kind] = sensitivity(cohort, "PFS", cohort.markers, table, seed=1)
    rows = found["count"].drop(columns="kind"), found["continuous"].drop(columns="kind")
    pd.testing.assert_frame_equal(*rows)
    imputed = rows[0][rows[0]["analysis"] == "multiple_imputation"].iloc[0]
    assert (imputed["n"], imputed["n_imputed"]) == (120, 12)
    assert np.isfinite(imputed["interaction_ratio"])


@pytest.mark.parametrize(("left", "numbers"), [(0, False), (4, False), (5, True)])
def test_an_arm_without_values_is_not_imputed(left, numbers):
    """What the imputations say of it would be their prior's."""
    cohort = trial(n=120, markers=1, seed=8)
    control = np.flatnonzero(cohort.subjects["arm_code"].to_numpy() == 0)
    lose(cohort, 0, control[left:])
    found = sensitivity(cohort, "PFS", cohort.markers, screened(cohort, "PFS"), seed=1)
    imputed = found[found["analysis"] == "multiple_imputation"].iloc[0]
    effects = ["marker_effect_control", "marker_effect_experimental", "interaction_ratio"]
    assert np.isfinite(imputed[effects].astype(float)).all() == numbers
    assert (imputed["note"] == "fewer than 5 values in an arm: not imputed") != numbers


def test_few_values_are_not_imputed_and_nothing_missing_has_no_row():
    cohort = trial(n=40, markers=2, seed=4)
    lose(cohort, 0, np.arange(40) >= 8)
    table = screened(cohort, "PFS")
    found = sensitivity(cohort, "PFS", cohort.markers, table, seed=1)
    assert list(found["biomarker"]) == ["marker 0"] * 2
    assert "fewer than 10 values" in found["note"].iloc[1]
    assert np.isnan(found["interaction_ratio"].iloc[1])
    whole = trial(n=40, markers=2, seed=4)
    none = sensitivity(whole, "PFS", whole.markers, screened(whole, "PFS"), seed=1)
    assert list(none.columns) == columns_of(True)
    assert len(none) == 0


def test_a_single_arm_has_the_marker_effect_only():
    cohort = trial(n=120, markers=2, seed=5)
    cohort.study.update(design="single_arm", arms={"all": "treated"})
    cohort.subjects["arm_code"] = np.nan
    lose(cohort, 1, np.random.default_rng(3).uniform(size=120) < 0.3)
    table = adjust([fit_prognostic_models(cohort, "PFS", cohort.markers)])
    found = sensitivity(cohort, "PFS", cohort.markers, table, seed=1)
    assert list(found.columns) == columns_of(False)
    assert not any("interaction" in name or "arm" in name for name in found.columns)
    assert found["marker_effect"].iloc[1] == approx(found["marker_effect"].iloc[0], rel=0.3)


def test_markers_are_picked_in_the_tables_order_without_cuts():
    table = pd.DataFrame(
        {
            "biomarker": ["a", "a", "b", "c", "d"],
            "specimen": "plasma",
            "timepoint": "baseline",
            "kind": ["binary", "continuous", "binary", "continuous", "continuous"],
            "n": [30, 30, 35, 40, 0],
        }
    )
    found = choose_missing(table, 40)
    assert list(found["biomarker"]) == ["a", "b"]
    assert list(found["kind"]) == ["continuous", "binary"]
    assert len(choose_missing(table, 40, 1)) == 1


def test_variables_know_their_kind_and_company():
    cohort = trial(n=60, markers=3, seed=6)
    cohort.markers.info["kind"] = ["continuous", "ordinal", "continuous"]
    cohort.markers.value[1] = np.digitize(cohort.markers.value[0], [-0.5, 0.5])
    variables = variables_of(outcome_of(cohort, "PFS"), marker_rows(cohort.markers))
    assert [variable.kind for variable in variables] == ["normal", "matched", "normal"]
    assert list(variables[0].beside) == [1]
    assert list(variables[2].beside) == []


def test_outcomes_of_those_evaluable_by_hand():
    n = 12
    value = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, *[np.nan] * 4])
    arm = np.tile([0.0, 1.0], 6)
    time = np.arange(1.0, 13)
    response = np.array([1.0, 0] * 6)
    markers = markers_of(identifiers(n), {"x": value})
    cohort = cohort_of(markers, arm=arm, endpoints={"PFS": (time, np.ones(n)), "ORR": response})
    table = evaluable(cohort)
    assert list(table.columns) == EVALUABLE
    assert set(table["subjects"]) == {"all", "blood"}
    of = table.set_index(["endpoint", "subjects", "arm"])
    assert of.loc[("PFS", "all", "all"), "n"] == 12
    assert of.loc[("PFS", "blood", "all"), "n"] == 8
    assert of.loc[("PFS", "blood", "old"), "estimate"] == 4  # 1, 3, 5, 7: half-way between 3 and 5
    assert of.loc[("ORR", "blood", "old"), "estimate"] == 1
    assert of.loc[("ORR", "blood", "all"), "estimate"] == 0.5
    # those evaluable progress first
    assert of.loc[("PFS", "blood", "all"), "p_evaluable_lrt"] < 0.001
    assert np.isnan(of.loc[("PFS", "all", "all"), "p_evaluable_lrt"])
    overall = subgroups(cohort, "PFS", [])["hr"].iloc[0]
    assert of.loc[("PFS", "all", "all"), "treatment_effect"] == overall
    assert np.isnan(of.loc[("PFS", "all", "old"), "treatment_effect"])


def test_nobody_evaluable_is_no_crash():
    cohort = trial(n=20, markers=1, seed=7)
    lose(cohort, 0, np.ones(20, dtype=bool))
    table = evaluable(cohort)
    none = table[table["subjects"].eq("blood")]
    assert (none["n"] == 0).all()
    assert none["estimate"].isna().all()
    empty = Markers.empty(cohort.markers.subjects)
    assert len(empty) == 0
