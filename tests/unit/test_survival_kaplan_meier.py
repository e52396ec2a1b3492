import numpy as np
import pytest
from pytest import approx
from reference_answers import answers, leukaemia, trial

from correlatives.survival.kaplan_meier import KaplanMeier, reverse_median
from correlatives.survival.logrank import logrank, one_sample_logrank
from correlatives.survival.restricted_mean import (
    mean_and_error,
    restricted_mean,
    restricted_mean_difference,
)
from correlatives.survival.ties import tie_times

REFERENCE = answers("km_logrank_rmst.json")
TRIALS = [name for name in REFERENCE if "curves" in REFERENCE[name]]


def number(value):
    return np.nan if value in ("NA", "NaN") else float(value)


def outcome(name):
    data, names = trial(name), REFERENCE[name]
    return data, data[names["time"]].to_numpy(float), data[names["status"]].to_numpy(float)


@pytest.mark.parametrize("name", TRIALS)
def test_curves_quantiles_landmarks_followup_and_means_agree_with_survfit(name):
    data, time, event = outcome(name)
    group = data[REFERENCE[name]["group"]].astype(str)
    for label, answer in REFERENCE[name]["curves"].items():
        inside = np.ones(len(data), bool) if label == "ALL" else (group == label).to_numpy()
        curve = KaplanMeier(time[inside], event[inside])
        assert (curve.n, curve.events.sum()) == (answer["n"], answer["events"])
        loglog = answer["log-log"]
        median = [number(loglog[part]) for part in ("median", "lower", "upper")]
        assert curve.median() == approx(median, rel=1e-9, nan_ok=True)
        for q in (25, 75):
            limits = [number(loglog[f"q{q}{side}"]) for side in ("", "_lower", "_upper")]
            assert curve.quantile(q / 100) == approx(limits, rel=1e-9, nan_ok=True)
        for landmark in loglog["landmark"]:
            limits = [number(landmark[part]) for part in ("surv", "lower", "upper")]
            assert curve.at(landmark["time"]) == approx(limits, rel=1e-9, nan_ok=True)
            assert curve.at_risk_at(landmark["time"])[0] == landmark["n_risk"]
        followup = [number(value) for value in answer["followup"]]
        assert reverse_median(time[inside], event[inside]) == approx(followup, nan_ok=True)
        for horizon, (mean, error) in answer["rmst"].items():
            ours = mean_and_error(time[inside], event[inside], float(horizon))
            assert ours == approx((mean, error), rel=1e-9)


@pytest.mark.parametrize("name", TRIALS)
def test_logrank_and_difference_of_means_agree_with_r(name):
    data, time, event = outcome(name)
    names = REFERENCE[name]
    group = data[names["group"]]
    for kind, answer in names["logrank"].items():
        strata = None if kind.startswith("plain") else data[names["strata"]]
        known = np.ones(len(data), bool) if strata is None else strata.notna().to_numpy()
        test = logrank(
            time[known], event[known], group[known], None if strata is None else strata[known]
        )
        assert test == approx((answer["chisq"], answer["df"], answer["p"]), rel=1e-9)
    second = (group == sorted(group.unique())[1]).to_numpy(float)
    for horizon, answer in names["rmst_diff"].items():
        difference = restricted_mean_difference(time, event, second, float(horizon))
        expected = [answer[part] for part in ("group2_minus_group1", "lower", "upper")]
        assert difference == approx(expected, rel=1e-9)


def test_logrank_of_four_groups():
    data = trial("veteran")
    answer = REFERENCE["veteran_celltype_logrank"]
    assert logrank(data["time"], data["event"], data["celltype"]).statistic == approx(
        answer["chisq"], rel=1e-9
    )


def test_median_is_the_midpoint_where_survival_is_a_half_on_an_interval():
    """R's rule; the left end is what lifelines and statsmodels give."""
    curve = KaplanMeier([1, 2, 3, 5], [1, 1, 1, 1])
    assert curve.median().estimate == 2.5
    ends_there = KaplanMeier([1, 2, 3, 5], [1, 1, 0, 0])
    assert ends_there.median().estimate == 3.5
    assert np.isnan(KaplanMeier([1, 2, 3], [1, 0, 0]).median().estimate)


def test_times_equal_but_for_rounding_are_one_time():
    time = np.array([0.1 + 0.2, 0.3, 1.0, np.nan])
    assert np.array_equal(tie_times(time), [0.3, 0.3, 1.0, np.nan], equal_nan=True)
    curve = KaplanMeier([0.1 + 0.2, 0.3, 1.0], [1, 1, 0])
    assert curve.times.tolist() == [0.3, 1.0]
    assert curve.events.tolist() == [2, 0]
    assert curve.at(0.3).estimate == curve.at(0.1 + 0.2).estimate == approx(1 / 3)
    assert curve.at_risk_at([0.1 + 0.2])[0] == 3


def test_curve_is_not_known_after_its_last_censored_time():
    curve = KaplanMeier([2, 4, 6], [1, 0, 0])
    assert np.isnan(curve.at(6.1)).all()
    assert np.isnan(restricted_mean([2, 4, 6], [1, 0, 0], 7)).all()
    died_out = KaplanMeier([2, 4, 6], [1, 0, 1])
    assert died_out.at(7).estimate == 0
    assert restricted_mean([2, 4, 6], [1, 0, 1], 7).estimate == approx(2 + 4 * 2 / 3)


def test_nobody_and_one_arm_are_not_numbers():
    empty = KaplanMeier([], [])
    assert np.isnan(empty.median()).all()
    assert np.isnan(empty.at(1)).all()
    assert empty.at_risk_at([0, 1]).tolist() == [0, 0]
    assert np.isnan(logrank([1, 2], [1, 1], [0, 0]).p)
    assert np.isnan(logrank([1, 2], [0, 0], [0, 1]).p)
    assert np.isnan(restricted_mean_difference([1, 2], [1, 1], [0, 0], 1)).all()


def test_a_mean_without_an_event_has_no_limits():
    time, event = [1, 2, 3, 6, 6, 6], [1, 0, 1, 0, 0, 0]
    difference = restricted_mean_difference(time, event, [0, 0, 0, 1, 1, 1], 3)
    assert difference.estimate == approx(3 - (1 + 2 * 2 / 3))
    assert np.isnan(difference[1:]).all()
    assert restricted_mean([6, 6, 6], [0, 0, 0], 5).estimate == 5
    assert np.isnan(restricted_mean([6, 6, 6], [0, 0, 0], 5)[1:]).all()


@pytest.mark.parametrize(
    ("time", "event", "message"),
    [
        ([-1.0], [1], "not negative"),
        ([np.nan], [1], "finite"),
        ([1.0], [3], "0 and 1"),
        ([1.0, 2.0], [1], "one length"),
    ],
)
def test_wrong_outcomes_are_refused(time, event, message):
    with pytest.raises(ValueError, match=message):
        KaplanMeier(time, event)


def test_one_sample_logrank_compares_with_exponential_survival():
    """11 v 12 patients of the leukaemia trial against a median of 20 weeks, by hand: E = log 2 / 20 × 423 and 251."""
    time, event, arm = leukaemia()
    test = one_sample_logrank(time[arm == 1], event[arm == 1], np.log(2) / 20)
    expected = np.log(2) / 20 * time[arm == 1].sum()
    assert test.statistic == approx((7 - expected) ** 2 / expected)
    assert np.isnan(one_sample_logrank([0.0], [1], 0.1).p)
