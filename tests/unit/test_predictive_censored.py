"""Markers with values beyond their limits: which rule, which numbers, and that they are right."""

import numpy as np
import pandas as pd
import pytest
from biomarker_cohorts import markers_of, trial
from pytest import approx
from scipy.stats import norm

from correlatives.binary.logistic import fit_logistic
from correlatives.imputation import IMPUTATIONS
from correlatives.markers import ABOVE, BELOW, Markers
from correlatives.predictive import small_samples
from correlatives.predictive.censored import (
    METHOD,
    Scaled,
    imputation_columns,
    impute_beyond,
    pool_marker_effects,
    pool_rows,
)
from correlatives.predictive.continuous import explore
from correlatives.predictive.model import (
    Outcome,
    fit_domain,
    fit_models,
    fit_prognostic_models,
    outcome_of,
)
from correlatives.predictive.multiplicity import adjust
from correlatives.predictive.rows import EXPECTED, marker_rows
from correlatives.survival.cox import fit_cox
from correlatives.survival.kaplan_meier import nelson_aalen

EFFECTS = [
    "interaction_ratio",
    "marker_effect_control",
    "marker_effect_experimental",
    "treatment_effect_at_low",
    "treatment_effect_at_high",
]


def censor(cohort, row, share, state=BELOW):
    """Hide a share of a marker's values beyond a limit; return the limit."""
    value = cohort.markers.value[row]
    limit = np.quantile(value, share if state == BELOW else 1 - share)
    hidden = value < limit if state == BELOW else value > limit
    value[hidden] = limit
    cohort.markers.state[row, hidden] = state
    return limit


def of_markers(cohort, rows):
    return cohort.markers.where(np.isin(np.arange(len(cohort.markers)), rows))


def test_the_rule_goes_by_the_share():
    rng = np.random.default_rng(1)
    x = np.exp2(rng.normal(5, 1, 100))
    markers = markers_of(
        np.array([f"s{i}" for i in range(100)], dtype=object),
        {name: x.copy() for name in ("few", "some", "most")},
        transform="log2",
    )
    limits = np.quantile(x, [0.14, 0.15, 0.51])
    for row, limit in enumerate(limits):
        below = x < limit
        markers.value[row, below], markers.state[row, below] = limit, BELOW
    rows = marker_rows(markers)
    assert list(rows.info["kind"]) == ["continuous", "continuous", "binary"]
    few, some, _ = (x < limit for limit in limits)
    assert rows.value[0, few] == approx(np.log2(limits[0] / np.sqrt(2)))
    # the mean of a normal distribution below its 15th percentile: 1.55 standard deviations under it
    assert np.unique(rows.value[1, some]).size == 1
    assert rows.value[1, some][0] == approx(np.log2(x).mean() - 1.55 * np.log2(x).std(), abs=0.2)
    assert (rows.value[1, ~some] == np.log2(x[~some])).all()
    assert [bounds is not None for bounds in rows.bounds] == [False, True, False]
    low, high = rows.bounds[1]
    assert (high[some] == np.log2(limits[1])).all()
    assert (low[some] == -np.inf).all()
    assert np.isnan(low[~some]).all()
    assert rows.note[1] == "15 % of values beyond a limit" + EXPECTED
    assert rows.contrast[2] == "detected v not detected"


def test_few_measured_values_are_not_a_distribution():
    values = np.array([5.0] * 4 + [6.0, 7, 8, 9])
    markers = markers_of(np.array(list("abcdefgh"), dtype=object), {"x": values})
    markers.state[0, :4] = BELOW
    rows = marker_rows(markers)
    assert rows.bounds[0] is None
    assert "too few measured values to impute" in rows.note[0]
    assert rows.value[0, 0] == approx(5 / np.sqrt(2))


def test_a_scale_without_negative_values_has_none_imputed():
    cohort = trial(n=60, markers=1, seed=2)
    cohort.markers.value[0] = np.abs(cohort.markers.value[0])
    censor(cohort, 0, 0.4)
    outcome, rows = outcome_of(cohort, "PFS"), marker_rows(cohort.markers)
    drawn = impute_beyond(outcome, rows, 0, "PFS", 1)
    assert drawn.shape == (IMPUTATIONS, 60)
    assert (drawn >= 0).all()
    below = cohort.markers.state[0] == BELOW
    assert (drawn[:, below] <= cohort.markers.value[0, below]).all()
    assert 0 < rows.value[0, below][0] < cohort.markers.value[0, below][0]


@pytest.mark.parametrize("endpoint", ["PFS", "ORR"])
def test_the_table_says_what_was_done_and_pools(endpoint):
    cohort = trial(n=132, markers=4, seed=3, strata=2, interaction=-0.8)
    before = fit_models(cohort, endpoint, cohort.markers, ["age"], randomisations=199)
    censor(cohort, 0, 0.4)
    censor(cohort, 2, 0.3, ABOVE)
    table = fit_models(cohort, endpoint, cohort.markers, ["age"], randomisations=199)
    pd.testing.assert_frame_equal(table.iloc[[1, 3]], before.iloc[[1, 3]])
    for row, share in ((0, 0.4), (2, 0.3)):
        line = table.iloc[row]
        assert METHOD in line["method"]
        assert "profile" not in line["method"]
        assert f"{100 * share:.0f} % of values beyond a limit: multiple imputation" in line["note"]
        assert line["fraction_censored"] == approx(share, abs=0.01)
        for name in EFFECTS:
            assert line[f"{name}_low"] < line[name] < line[f"{name}_high"]
            # within what hiding a third of the values may do
            assert abs(np.log(line[name] / before.iloc[row][name])) < 0.5
        # Wald and likelihood ratio tell the same of the pooled interaction
        z = np.log(line["interaction_ratio"]) / (
            np.log(line["interaction_ratio_high"] / line["interaction_ratio_low"]) / 2 / 1.98
        )
        assert abs(norm.isf(line["p_interaction_lrt"] / 2) - abs(z)) < 0.25
    assert np.isfinite(table["p_ph"]).all() == (endpoint == "PFS")
    # the test takes one value a subject, which knows neither arm nor outcome
    plain = marker_rows(cohort.markers)
    as_measured = markers_of(cohort.markers.subjects, {"marker 0": plain.value[0]})
    alone = fit_models(cohort, endpoint, as_measured, ["age"], randomisations=199).iloc[0]
    assert table["p_randomisation"].iloc[0] == alone["p_randomisation"]
    assert table["score_z"].iloc[0] == approx(alone["score_z"], rel=1e-9)
    # in the units of the contrast: the imputed values vary more than the expected ones
    assert table["minimum_detectable_ratio"].iloc[0] > alone["minimum_detectable_ratio"]


def test_a_pooled_limit_beyond_every_ratio_is_refused(monkeypatch: pytest.MonkeyPatch):
    cohort = trial(n=80, markers=2, seed=4)
    censor(cohort, 1, 0.3)
    before = fit_models(cohort, "PFS", cohort.markers).iloc[1]
    assert METHOD in before["method"]
    high = before["interaction_ratio_high"]
    monkeypatch.setattr(small_samples, "LARGEST_RATIO", high * 0.99)
    line = fit_models(cohort, "PFS", cohort.markers).iloc[1]
    assert METHOD in line["method"]
    assert line[["interaction_ratio_low", "interaction_ratio_high"]].isna().all()
    assert line["note"].endswith("; interaction: no finite lower or upper limit")
    assert line["interaction_ratio"] == before["interaction_ratio"]


def test_a_markers_imputations_do_not_depend_on_its_company():
    cohort = trial(n=80, markers=3, seed=4)
    censor(cohort, 1, 0.3)
    whole = fit_models(cohort, "PFS", cohort.markers).iloc[[1]].reset_index(drop=True)
    alone = fit_models(cohort, "PFS", of_markers(cohort, [1]))
    pd.testing.assert_frame_equal(whole, alone, rtol=1e-9)
    other = fit_models(cohort, "PFS", of_markers(cohort, [1]), seed=2)
    assert other["interaction_ratio"].iloc[0] != alone["interaction_ratio"].iloc[0]
    assert other["interaction_ratio"].iloc[0] == approx(alone["interaction_ratio"].iloc[0], rel=0.1)


def test_models_without_an_answer_are_not_pooled():
    cohort = trial(n=60, markers=1, seed=5)
    cohort.subjects["ORR"] = 0.0
    censor(cohort, 0, 0.4)
    line = fit_models(cohort, "ORR", cohort.markers).iloc[0]
    assert METHOD not in line["method"]
    assert "not imputed: no finite maximum" in line["note"]
    assert np.isnan(line["interaction_ratio"])


@pytest.mark.parametrize(("survival", "penalised"), [(True, False), (True, True), (False, True)])
def test_imputations_that_are_alike_have_the_tests_of_one(survival, penalised):
    """Nothing is missing: pooling is not to change the p-values, with Firth's penalty or without."""
    random = np.random.default_rng(7)
    n, m = 60, 12
    x, arm = random.normal(size=n), (np.arange(n) % 2).astype(float)
    event = (random.random(n) < 1 / (1 + np.exp(0.5 - 1.2 * arm * x))).astype(float)
    time = random.exponential(5.0, n) if survival else np.full(n, np.nan)
    outcome = Outcome(
        np.ones(n, bool), survival, time, event, arm, np.zeros(n, int), np.zeros((n, 0))
    )
    ends = np.array([-0.7]), np.array([0.7])
    scaled = Scaled(np.tile(x, (1, m, 1)), np.ones((1, n), bool), np.ones(1), *ends)
    table = pool_rows(outcome, scaled, penalised=penalised)
    alone = pool_marker_effects(outcome, scaled, penalised=penalised)
    for found, columns in (
        (table["p_interaction_lrt"], [x, arm, x * arm]),
        (table["p_prognostic"], [arm, x]),
        (alone["p_prognostic"], [x]),
    ):
        design = np.column_stack(columns)
        if survival:
            fit = fit_cox(time, event, design, firth=penalised)
        else:
            fit = fit_logistic(event, design, firth=True)
        expected = fit.test(len(columns) - 1 + (not survival), "lrt").p
        assert found[0] == approx(expected, rel=1e-5)


def test_a_single_arm_has_pooled_marker_effects():
    cohort = trial(n=100, markers=2, seed=6)
    cohort.study.update(design="single_arm", arms={"all": "treated"})
    cohort.subjects["arm_code"] = np.nan
    censor(cohort, 0, 0.4)
    for endpoint in ("PFS", "ORR"):
        table = fit_prognostic_models(cohort, endpoint, cohort.markers)
        line = table.iloc[0]
        assert METHOD in line["method"]
        assert line["note"] == "40 % of values beyond a limit: multiple imputation"
        assert line["marker_effect_low"] < line["marker_effect"] < line["marker_effect_high"]
        assert 0 < line["p_prognostic"] < 1


def test_the_line_along_the_marker_is_the_tables():
    cohort = trial(n=120, markers=2, seed=7, interaction=-0.7)
    censor(cohort, 0, 0.4)
    for endpoint in ("PFS", "ORR"):
        table = adjust([fit_domain(cohort, endpoint, cohort.markers, randomisations=99)])
        found = explore(
            cohort, endpoint, cohort.markers, table, randomisations=99, seed=1, resamples=5
        )
        part = found[found["biomarker"].eq("marker 0")]
        line = part[part["analysis"].eq("linear")]
        assert line["method"].str.contains(METHOD, regex=False).all()
        log = np.log(line["effect"].to_numpy())
        steps = np.diff(log) / np.diff(line["value"].to_numpy())
        assert steps == approx(np.full(len(steps), steps[0]))
        row = table[table["biomarker"].eq("marker 0")].iloc[0]
        outcome, rows = outcome_of(cohort, endpoint), marker_rows(cohort.markers)
        drawn = impute_beyond(outcome, rows, 0, endpoint, 1)
        deviation = np.sqrt(drawn.var(axis=1, ddof=1).mean())
        assert steps[0] * deviation == approx(np.log(row["interaction_ratio"]))
        quartiles = np.quantile(drawn, [0.25, 0.75], axis=1).mean(axis=1)
        at = np.interp(quartiles, line["value"], log)
        assert np.exp(at) == approx(
            [row["treatment_effect_at_low"], row["treatment_effect_at_high"]], rel=1e-3
        )
        assert np.isfinite(
            part.loc[part["analysis"].eq("spline"), "p_nonlinear_interaction_lrt"]
        ).all()


def test_columns_of_the_imputation_hold_what_the_analysis_relates():
    cohort = trial(n=50, markers=1, seed=8, strata=3)
    outcome = outcome_of(cohort, "PFS", ["age"])
    columns = imputation_columns(outcome)
    hazard = nelson_aalen(outcome.time, outcome.event)
    assert columns.shape == (50, 5 + 1 + 2)
    assert (columns[:, 4] == outcome.arm * hazard).all()
    assert imputation_columns(outcome_of(cohort, "ORR")).shape == (50, 3 + 2)


def test_cumulative_hazard_by_hand():
    """Ties and a censored time: 1/5, + 2/4, nothing at 3, + 1/1."""
    found = nelson_aalen([1, 2, 2, 3, 4], [1, 1, 1, 0, 1])
    assert found == approx([0.2, 0.7, 0.7, 0.7, 1.7])


def test_imputation_recovers_what_limits_hide():
    """40 % hidden: pooled log ratios stay close to those of all values, and their limits cover the truth.

    Shrinkage of a tenth of a large effect is that of the linear imputation model (White & Royston 2009).
    """
    truth, covered, away = -0.6, 0, []
    trials = 30
    for seed in range(trials):
        cohort = trial(n=200, markers=1, seed=900 + seed, interaction=truth)
        whole = np.log(fit_models(cohort, "PFS", cohort.markers)["interaction_ratio"].iloc[0])
        censor(cohort, 0, 0.4)
        line = fit_models(cohort, "PFS", cohort.markers).iloc[0]
        away.append(np.log(line["interaction_ratio"]) - whole)
        low, high = np.log(line["interaction_ratio_low"]), np.log(line["interaction_ratio_high"])
        covered += low <= truth <= high
    assert -0.03 < np.mean(away) < 0.12
    assert covered >= 26  # 28.5 expected; fewer than 26 has probability 0.016


def test_markers_can_be_empty():
    cohort = trial(n=20, markers=1)
    assert len(marker_rows(Markers.empty(cohort.markers.subjects))) == 0
