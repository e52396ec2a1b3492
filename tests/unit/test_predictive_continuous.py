"""Continuous markers: spline, STEPP and cuts against numbers made by hand and by simulation."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from biomarker_cohorts import cohort_of, markers_of, trial

from correlatives.binary.logistic import fit_logistic
from correlatives.predictive.continuous import (
    COLUMNS,
    analysis_scale,
    choose_markers,
    explore,
    own_scale,
)
from correlatives.predictive.cutpoint import (
    candidate_cuts,
    maximally_selected,
    observed_statistics,
)
from correlatives.predictive.levels import choose_splits, split_markers
from correlatives.predictive.model import fit_models, outcome_of
from correlatives.predictive.multiplicity import adjust
from correlatives.predictive.randomisation import draw_arms
from correlatives.predictive.spline import (
    knots_of,
    linear_curve,
    restricted_cubic,
    spline_curve,
)
from correlatives.predictive.stepp import indicator_test, sliding_windows, stepp, window_sizes
from correlatives.survival.cox import fit_cox


def one_marker(cohort, endpoint="PFS"):
    """Outcome and values of a cohort's first marker."""
    return outcome_of(cohort, endpoint), cohort.markers.value[0]


def draws_of(cohort, draws, seed=3):
    subjects = cohort.subjects
    return draw_arms(
        subjects["arm_code"].to_numpy(dtype=float),
        subjects["stratum"].to_numpy(dtype=int),
        subjects["subject_id"].to_numpy(dtype=object),
        draws,
        seed,
    )


def harrell_column(x, first, middle, last):
    """The spline's column as Harrell's book writes it, for three knots."""

    def cube(u):
        return u**3 if u > 0 else 0.0

    return np.array(
        [
            (
                cube(v - first)
                - cube(v - middle) * (last - first) / (last - middle)
                + cube(v - last) * (middle - first) / (last - middle)
            )
            / (last - first) ** 2
            for v in x
        ]
    )


def test_a_restricted_spline_is_linear_beyond_its_knots_and_smooth_within():
    knots = np.array([1.0, 2.0, 4.0])
    x = np.linspace(-3, 9, 1201)
    column = restricted_cubic(x, knots)[:, 0]
    assert column == pytest.approx(harrell_column(x, *knots))
    second = np.diff(column, 2)
    assert np.abs(second[(x[1:-1] < 0.99) | (x[1:-1] > 4.01)]).max() < 1e-10
    assert np.abs(np.diff(second)).max() < 1e-4  # no jump of the second derivative
    with pytest.raises(ValueError, match="increase"):
        restricted_cubic(x, np.array([1.0, 1.0, 4.0]))


@pytest.mark.parametrize("strata", [1, 3])
def test_the_spline_is_the_cox_model_of_a_design_made_by_hand(strata):
    cohort = trial(n=150, markers=1, seed=4, strata=strata, interaction=0.6)
    outcome, x = one_marker(cohort)
    at = np.linspace(-1.2, 1.4, 7)
    curve = spline_curve(outcome, x, at)
    knots = np.quantile(x, [0.1, 0.5, 0.9])
    bend, arm = harrell_column(x, *knots), outcome.arm
    codes = outcome.strata if strata > 1 else None
    whole = np.column_stack([arm, x, bend, arm * x, arm * bend])
    fit = fit_cox(outcome.time, outcome.event, whole, codes)
    without = fit_cox(outcome.time, outcome.event, whole[:, :4], codes)
    weights = np.column_stack(
        [np.ones(7), np.zeros(7), np.zeros(7), at, harrell_column(at, *knots)]
    )
    error = np.sqrt(np.einsum("gi,ij,gj->g", weights, fit.covariance, weights))
    assert curve.estimate == pytest.approx(weights @ fit.coefficients, rel=1e-6, abs=1e-8)
    assert curve.high - curve.low == pytest.approx(2 * 1.959963985 * error, rel=1e-6)
    from scipy.stats import chi2

    expected = chi2.sf(2 * (fit.loglik - without.loglik), 1)
    assert curve.p_nonlinear == pytest.approx(expected, rel=1e-6)


def test_the_spline_of_a_response_is_the_logistic_model_of_a_design_made_by_hand():
    cohort = trial(n=150, markers=1, seed=4, interaction=0.6)
    outcome, x = one_marker(cohort, "ORR")
    at = np.linspace(-1, 1, 5)
    bend, arm = harrell_column(x, *knots_of(x)), outcome.arm
    design = np.column_stack([arm, x, bend, arm * x, arm * bend])
    fit = fit_logistic(outcome.event, design, firth=True)
    by_hand = (
        fit.coefficients[1]
        + at * fit.coefficients[4]
        + harrell_column(at, *knots_of(x)) * fit.coefficients[5]
    )
    assert spline_curve(outcome, x, at).estimate == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("endpoint", ["PFS", "ORR"])
def test_the_line_has_the_effects_of_the_table_at_the_quartiles(endpoint):
    cohort = trial(n=132, markers=1, seed=6, strata=2, interaction=0.5)
    row = fit_models(cohort, endpoint, cohort.markers).iloc[0]
    outcome, x = one_marker(cohort, endpoint)
    effect = np.exp(linear_curve(outcome, x, np.quantile(x, [0.25, 0.75])).estimate)
    assert effect[0] == pytest.approx(row["treatment_effect_at_low"], rel=1e-5)
    assert effect[1] == pytest.approx(row["treatment_effect_at_high"], rel=1e-5)


def test_the_line_of_separated_times_is_the_firth_fit_of_the_table_and_says_so():
    # On the experimental arm the highest values fail, in their order, before anybody else: no finite maximum.
    cohort = trial(n=132, markers=1, seed=6)
    outcome, x = one_marker(cohort)
    treated = outcome.arm > 0
    early = treated & (x > np.sort(x[treated])[-8])
    time = np.where(early, 10.0 - x, np.where(treated, 99.0, 20.0 + outcome.time))
    outcome = replace(outcome, event=np.where(treated, early, outcome.event), time=time)
    at = np.quantile(x, [0.25, 0.75])
    curve = linear_curve(outcome, x, at)
    design = np.column_stack([x, outcome.arm, x * outcome.arm])
    assert fit_cox(outcome.time, outcome.event, design).separated
    assert curve.firth
    fit = fit_cox(outcome.time, outcome.event, design, firth=True)
    assert curve.estimate == pytest.approx(fit.coefficients[1] + at * fit.coefficients[2], rel=1e-5)


@pytest.mark.parametrize(("endpoint", "word"), [("PFS", "Cox"), ("ORR", "Firth logistic")])
def test_method_names_the_penalty_of_lines_and_splines(endpoint, word):
    cohort = trial(n=132, markers=1, seed=6, interaction=0.5)
    fits = fit_models(cohort, endpoint, cohort.markers)
    table = explore(cohort, endpoint, cohort.markers, fits, randomisations=9, seed=1, resamples=5)
    own = table[table["analysis"].isin(["linear", "spline"])]
    assert len(own) and own["method"].str.startswith(word).all()


def test_a_spline_without_three_knots_is_refused_in_words():
    cohort = trial(n=100, markers=1, seed=2)
    outcome, x = one_marker(cohort)
    curve = spline_curve(outcome, np.maximum(x, 0.0), np.array([0.0, 1.0]))
    assert np.isnan(curve.estimate).all()
    assert "equal values" in curve.note


def test_windows_slide_by_the_subjects_that_are_not_shared():
    windows = sliding_windows(np.arange(12.0), 6, 3)
    assert [list(np.flatnonzero(window)) for window in windows] == [
        [0, 1, 2, 3, 4, 5],
        [3, 4, 5, 6, 7, 8],
        [6, 7, 8, 9, 10, 11],
    ]
    # what is left at the end is filled up from below
    windows = sliding_windows(np.arange(11.0), 6, 3)
    assert list(np.flatnonzero(windows[-1])) == [5, 6, 7, 8, 9, 10]
    assert len(windows) == 3


def test_windows_keep_equal_values_together():
    value = np.array([0.0] * 5 + [1, 1, 2, 3, 3, 3, 4, 5, 6, 7])
    windows = sliding_windows(value, 6, 4)
    for window in windows:
        assert window.sum() >= 6
        assert not set(value[window]) & set(value[~window])
    assert len(sliding_windows(np.zeros(30), 10, 5)) == 0
    assert len(sliding_windows(np.arange(8.0), 10, 5)) == 0
    with pytest.raises(ValueError, match="cannot share"):
        sliding_windows(value, 5, 5)


def test_every_window_has_the_effect_of_its_subjects_alone():
    cohort = trial(n=132, markers=1, seed=5, strata=2)
    outcome, x = one_marker(cohort)
    found = stepp(outcome, x, draws_of(cohort, 99))
    size, overlap = window_sizes(132)
    assert (size, overlap) == (53, 40)
    order = np.argsort(x)
    for row, start in ((0, 0), (1, 13), (len(found.n) - 1, 132 - 53)):
        members = order[start : start + 53]
        alone = fit_cox(
            outcome.time[members],
            outcome.event[members],
            outcome.arm[members, None],
            outcome.strata[members],
        )
        assert found.estimate[row] == pytest.approx(alone.coefficients[0], rel=1e-5)
        assert found.estimate_low[row] == pytest.approx(alone.interval(0).low, rel=1e-4)
        assert found.n[row] == 53
        assert found.middle[row] == np.median(x[members])
    assert 0.01 <= found.p <= 1


def test_cuts_leave_ten_percent_on_either_side():
    cuts = candidate_cuts(np.arange(50.0))
    assert cuts.min() == 5
    assert cuts.max() == 45
    assert len(candidate_cuts(np.arange(1000.0))) == 81
    assert len(candidate_cuts(np.zeros(40))) == 0


def test_a_planted_cut_is_found_and_its_interval_holds_it():
    rng = np.random.default_rng(8)
    n = 240
    arm = rng.permutation(np.repeat([0.0, 1.0], n // 2))
    x = rng.standard_normal(n)
    time = rng.exponential(10 * np.exp(1.8 * arm * (x >= 0.4)))
    markers = markers_of(np.array([f"S{i:03d}" for i in range(n)], dtype=object), {"m": x})
    cohort = cohort_of(markers, arm=arm, endpoints={"PFS": (time, np.ones(n))})
    outcome, x = one_marker(cohort)
    drawn = draws_of(cohort, 199)
    found = maximally_selected(outcome, x, drawn, seed=1, resamples=40)
    assert found.p == pytest.approx(1 / 200)
    assert found.cut == pytest.approx(0.4, abs=0.3)
    assert found.low <= found.cut <= found.high
    assert found.low <= 0.4 <= found.high
    assert found.interaction.high < 0
    again = maximally_selected(outcome, x, drawn, seed=1, resamples=40)
    assert (again.low, again.high) == (found.low, found.high)
    none = maximally_selected(outcome, np.zeros(n), drawn, seed=1, resamples=3)
    assert np.isnan(none.cut)
    assert np.isnan(none.p)
    assert none.note


def test_a_cut_that_was_chosen_is_not_significant_more_often_than_said():
    """Prognostic marker, treatment effect, no interaction: the smallest p of single cuts would be far too small."""
    p, naive = [], []
    rng = np.random.default_rng(21)
    for number in range(120):
        n = 80
        arm = rng.permutation(np.repeat([0.0, 1.0], n // 2))
        x = rng.standard_normal(n)
        time = rng.exponential(10 * np.exp(0.7 * arm - 0.5 * x))
        end = rng.uniform(5, 40, n)
        markers = markers_of(np.array([f"S{i:03d}" for i in range(n)], dtype=object), {"m": x})
        cohort = cohort_of(
            markers, arm=arm, endpoints={"PFS": (np.minimum(time, end), (time <= end) * 1.0)}
        )
        outcome, x = one_marker(cohort)
        drawn = draws_of(cohort, 199, seed=number)
        cuts = candidate_cuts(x)
        z, corrected = indicator_test(outcome, x >= cuts[:, None], drawn)
        p.append(corrected)
        naive.append(np.abs(z).max() > 1.8)
    p = np.array(p)
    # binomial limits (0.9999) of 120 trials about 5, 20 and 50 %
    assert (p <= 0.05).mean() <= 0.14
    assert 0.06 <= (p <= 0.2).mean() <= 0.36
    assert 0.32 <= (p <= 0.5).mean() <= 0.68
    assert np.mean(naive) > 0.2


def entries(cohort, **entry):
    info = cohort.markers.info
    for column, value in entry.items():
        info.loc[0, column] = value
    return cohort


def test_the_table_takes_cuts_from_the_dictionary_and_repeats_the_screen():
    cohort = trial(n=100, markers=4, seed=3, strata=2, interaction=0.8)
    entries(cohort, family="confirmatory", cutpoint=0.2, cut_rule=">=")
    table = adjust([fit_models(cohort, "PFS", cohort.markers, randomisations=199)])
    options = {"randomisations": 199, "seed": 1, "resamples": 5, "most": 2}
    found = explore(cohort, "PFS", cohort.markers, table, **options)
    assert list(found.columns) == COLUMNS
    assert found["biomarker"].unique()[0] == "marker 0"
    assert found["biomarker"].nunique() == 2
    cut = found[found["analysis"] == "prespecified_cut"]
    screened = table[(table["biomarker"] == "marker 0") & (table["kind"] == "binary")].iloc[0]
    assert list(cut["value"]) == [0.2]
    assert cut["effect"].iloc[0] == screened["interaction_ratio"]
    assert found["p_stepp_randomisation"].notna().any()
    assert (found.loc[found["analysis"] == "stepp", "value_low"].notna()).all()
    pd.testing.assert_frame_equal(found, explore(cohort, "PFS", cohort.markers, table, **options))


def test_no_continuous_marker_makes_a_table_without_rows():
    cohort = trial(n=60, markers=1, seed=3)
    table = fit_models(cohort, "PFS", cohort.markers)
    empty = explore(cohort, "PFS", cohort.markers, table.iloc[:0], randomisations=9, seed=1)
    assert list(empty.columns) == COLUMNS
    assert len(empty) == 0


def test_markers_are_chosen_by_family_then_p():
    table = pd.DataFrame(
        {
            "biomarker": list("abcdef"),
            "specimen": "plasma",
            "kind": ["continuous", "continuous", "binary", "continuous", "count", "continuous"],
            "family": ["exploratory", "confirmatory", "confirmatory", *["exploratory"] * 3],
            "interaction_ratio": [1.0, 1, 1, np.nan, 1, 1],
            "p_randomisation": [0.3, 0.9, 0.01, 0.01, 0.2, np.nan],
            "p_interaction_lrt": 0.5,
        }
    )
    assert list(choose_markers(table, 3)["biomarker"]) == ["b", "e", "a"]


@pytest.mark.parametrize("transform", ["none", "log2", "log10", "sqrt", "logit"])
def test_scales_come_back(transform):
    value = np.array([0.1, 0.4, 0.9])
    assert own_scale(analysis_scale(value, transform), transform) == pytest.approx(value)


@pytest.mark.parametrize("endpoint", ["PFS", "ORR"])
@pytest.mark.parametrize("strata", [1, 3])
def test_statistics_of_the_bootstrap_are_those_of_the_test(endpoint, strata):
    cohort = trial(n=46, markers=1, seed=5, strata=strata)
    outcome, value = one_marker(cohort, endpoint)
    indicators = value >= candidate_cuts(value)[:, None]
    z, _ = indicator_test(outcome, indicators, np.zeros((0, len(value)), dtype=np.uint8))
    assert observed_statistics(outcome, indicators) == pytest.approx(z, abs=1e-12)
    assert np.abs(z).max() > 0.5
    # all carriers in one arm: nothing to compare
    one_arm = (outcome.arm == 1) & (np.arange(len(value)) < 30)
    assert observed_statistics(outcome, one_arm[None]).tolist() == [0.0]


def test_without_confirmatory_markers_the_first_exploratory_ones_are_split():
    cohort = trial(n=60, markers=9, seed=4)
    table = adjust([fit_models(cohort, "PFS", cohort.markers, randomisations=99)])
    assert list(choose_splits(table)["biomarker"]) == list(table["biomarker"][:4])
    assert {split.family for split in split_markers(cohort, cohort.markers, table)} == {
        "exploratory"
    }


def test_confirmatory_markers_are_split_at_their_cut_or_the_median():
    cohort = trial(n=100, markers=3, seed=3)
    info = cohort.markers.info
    info["family"] = ["confirmatory", "confirmatory", "exploratory"]
    info.loc[0, ["cutpoint", "cut_rule"]] = [0.2, ">="]
    table = adjust([fit_models(cohort, "PFS", cohort.markers, randomisations=99)])
    splits = {split.biomarker: split for split in split_markers(cohort, cohort.markers, table)}
    assert sorted(splits) == ["marker 0", "marker 1"]
    cut, median = splits["marker 0"], splits["marker 1"]
    assert (cut.high == (cohort.markers.value[0] >= 0.2)).all()
    assert (cut.by, cut.low_words, cut.high_words) == ("prespecified cut", "<0.2", ">=0.2")
    row = table[(table["biomarker"] == "marker 0") & (table["kind"] == "binary")].iloc[0]
    assert cut.effect_high.estimate == row["treatment_effect_at_high"]
    assert cut.effect_low.low == row["treatment_effect_at_low_low"]
    assert median.by == "median"
    assert median.high.sum() == 50
    assert np.isnan(median.effect_low.estimate)


def test_levels_by_the_median_are_named_as_the_levels_are():
    """The code 1 of levels 1+<2+<3+ is the level 2+."""
    cohort = trial(n=100, markers=1, seed=3)
    cohort.markers.info["family"] = ["confirmatory"]
    cohort.markers.info["kind"] = "ordinal"
    cohort.markers.info["levels"] = "1+<2+<3+"
    cohort.markers.value[0] = np.r_[np.zeros(30), np.ones(40), np.full(30, 2.0)]
    table = adjust([fit_models(cohort, "PFS", cohort.markers, randomisations=99)])
    (split,) = split_markers(cohort, cohort.markers, table)
    assert (split.low_words, split.high_words, split.high.sum()) == ("< 3+", "≥ 3+", 30)


def test_the_median_itself_is_low_as_in_the_subgroups_unless_nothing_is_above_it():
    cohort = trial(n=100, markers=1, seed=3)
    cohort.markers.info["family"] = ["confirmatory"]
    for value, high in (
        (np.r_[np.zeros(60), np.ones(40)], 40),
        (np.r_[np.zeros(40), np.full(60, 7.0)], 60),
    ):
        cohort.markers.value[0] = value
        cohort.markers.info["kind"] = "continuous"
        table = adjust([fit_models(cohort, "PFS", cohort.markers, randomisations=99)])
        (split,) = split_markers(cohort, cohort.markers, table)
        assert (split.by, split.high.sum()) == ("median", high)
    cohort.markers.value[0] = np.r_[np.arange(99), np.nan]
    table = adjust([fit_models(cohort, "PFS", cohort.markers, randomisations=99)])
    (split,) = split_markers(cohort, cohort.markers, table)
    assert (split.high_words, split.low_words, np.nansum(split.high)) == ("> 49", "≤ 49", 49)
