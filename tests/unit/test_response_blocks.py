"""Metrics of out-of-fold predictions, and their corrected limits, against other implementations and by hand."""

import numpy as np
import pandas as pd
import pytest
from pytest import approx
from reference_answers import FOLDER, answers, trial

from correlatives.response.blocks import (
    Blocks,
    Ratio,
    brier,
    calibration,
    concordance,
    permutation_p,
    squared_error_gap,
)
from correlatives.response.performance import (
    horizon_pairs,
    horizon_weights,
    logit,
    net_benefit,
    recalibrated,
    response_pairs,
    survival_pairs,
)


def predictions(n=80, seed=0):
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(size=n).round(1)
    return log_odds, (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(float)


def whole(n):
    """Return everybody held out together."""
    return Blocks(np.zeros((1, n), dtype=int))


def rotterdam():
    """R's data and predictions behind td_roc.json."""
    data = trial("gbsg")
    risk = pd.read_csv(FOLDER / "data" / "gbsg_tdroc_predictions.csv")
    return data["time"].to_numpy(float), data["event"].to_numpy(float), risk


@pytest.mark.parametrize("model", ["m3", "m1"])
def test_auc_at_a_time_is_that_of_riskregression(model):
    time, event, risk = rotterdam()
    rows = [row for row in answers("td_roc.json")["gbsg_auc"] if row["model"] == model]
    assert len(rows) == 4
    for row in rows:
        found = concordance(
            horizon_pairs(time, event, row["times"]),
            whole(len(time)),
            risk[f"lp_{model}"].to_numpy()[None],
        )
        assert found.estimate == approx(row["AUC"], abs=1e-12)


def test_brier_score_at_a_time_is_that_of_riskregression():
    time, event, risk = rotterdam()
    rows = [row for row in answers("td_roc.json")["gbsg_brier"] if row["model"] == "m3"]
    assert len(rows) == 4
    for number, row in enumerate(rows, start=1):
        found = brier(
            event * (time <= row["times"]),
            whole(len(time)),
            risk[f"X{number}"].to_numpy()[None],
            horizon_weights(time, event, row["times"]),
        )
        assert found.estimate == approx(row["Brier"], abs=1e-12)


def test_c_index_is_rs():
    """R 4.2.2, survival 3.5-3: concordance(Surv(time, event) ~ lp_m3, timewt = "n/G2", ymax = 1500, reverse = TRUE)."""
    time, event, risk = rotterdam()
    found = concordance(
        survival_pairs(time, event, 1500.0), whole(len(time)), risk["lp_m3"].to_numpy()[None]
    )
    assert found.estimate == approx(0.682456121122667, abs=1e-13)


def test_calibration_at_a_time_is_rs_weighted_logistic_regression():
    """R: glm(status ~ logit(risk), weights = IPCW, quasibinomial) and with an offset; weights of riskRegression."""
    time, event, risk = rotterdam()
    reference = answers("calibration_gbsg.json")
    months = reference["time"]
    found = calibration(
        event * (time <= months),
        whole(len(time)),
        logit(risk["X2"].to_numpy())[None],
        horizon_weights(time, event, months),
        balanced=False,
    )
    assert found[0].estimate == approx(reference["intercept"], abs=1e-7)
    assert found[1].estimate == approx(reference["slope"], abs=1e-7)


def test_only_subjects_held_out_together_are_compared():
    """Folds whose models differ by a constant score as if it were not there."""
    log_odds, outcome = predictions()
    blocks = Blocks((np.arange(80) % 4)[None])
    pairs = response_pairs(outcome)
    plain = concordance(pairs, blocks, log_odds[None]).estimate
    shifted = concordance(pairs, blocks, (log_odds + 100.0 * blocks.fold[0])[None]).estimate
    assert shifted == approx(plain)
    assert concordance(pairs, blocks, -1.0 * blocks.fold).estimate == 0.5
    slopes = [
        calibration(outcome, blocks, (log_odds + gap * blocks.fold[0])[None], balanced=True)[
            1
        ].estimate
        for gap in (0.0, 3.0)
    ]
    assert slopes[1] == approx(slopes[0], rel=1e-6)


def test_limits_of_a_mean_are_nadeau_and_bengios():
    """By hand: ten blocks of equal size; t with 4 degrees of freedom is 2.7764."""
    rng = np.random.default_rng(2)
    fold = np.stack([np.arange(40) % 5, np.roll(np.arange(40) % 5, 1)])
    blocks = Blocks(fold)
    probability = rng.random((2, 40))
    outcome = (rng.random(40) < 0.5).astype(float)
    score = brier(outcome, blocks, probability)
    means = np.array(
        [((probability[r] - outcome) ** 2)[fold[r] == f].mean() for r in range(2) for f in range(5)]
    )
    error = np.sqrt((1 / 10 + 8 / 32) * means.var(ddof=1))
    interval = blocks.interval(score.estimate, score.without, (0, np.inf))
    assert interval.estimate == approx(means.mean())
    assert interval.high - interval.estimate == approx(2.7764451 * error)
    assert interval.estimate - interval.low == approx(2.7764451 * error)


def test_limits_know_of_the_share_of_responders_that_balanced_folds_hide():
    """By hand: everybody is predicted the share of responders, and every fold has it."""
    outcome = np.tile([1.0, 0, 1, 0, 0], 20)
    blocks = Blocks((np.arange(100) // 5 % 5)[None])
    assert {float(outcome[blocks.fold[0] == f].mean()) for f in range(5)} == {0.4}
    probability = np.full((1, 100), 0.4)
    log_odds = np.log(probability / (1 - probability))
    intercept, _, _ = calibration(outcome, blocks, log_odds, balanced=True)
    # the standard error of the log odds of a share
    assert intercept.high == approx(1.959964 / np.sqrt(100 * 0.4 * 0.6), rel=1e-6)
    assert intercept.low == approx(-intercept.high)
    one_arm = calibration(
        outcome, blocks, log_odds, (np.arange(100) < 50).astype(float), balanced=True
    )
    assert one_arm[0].high == approx(1.959964 / np.sqrt(50 * 0.4 * 0.6), rel=1e-6)
    seen = calibration(outcome, blocks, log_odds, balanced=False)[0]
    assert (seen.low, seen.high) == approx((0, 0), abs=1e-9)
    # Brier: 0.6² of responders, 0.4² of the others
    assert squared_error_gap(outcome, probability) == approx(0.36 - 0.16)


def test_limits_stay_where_the_metric_can_be_and_need_every_block():
    blocks = Blocks((np.arange(20) % 5)[None])
    high = blocks.interval(0.99, 0.99 + np.array([0.01, -0.01, 0.0, 0.005, -0.005]), (0, 1))
    assert high.high == 1.0
    failed = blocks.interval(0.7, np.array([0.7, np.nan, 0.7, 0.7, 0.7]), (0, 1))
    assert np.isnan([failed.low, failed.high]).all()
    assert np.isnan(Ratio(np.zeros(2), np.zeros(2)).estimate)


def test_predictions_that_hardly_differ_have_no_slope():
    _, outcome = predictions()
    blocks = Blocks((np.arange(80) % 4)[None])
    # what differs between folds only says nothing of a subject
    predicted = 0.1 + 1e-4 * outcome + blocks.fold
    intercept, slope, note = calibration(outcome, blocks, predicted, balanced=True)
    assert np.isfinite(intercept.estimate)
    assert np.isnan(slope.estimate)
    assert "hardly differ" in note


def test_recalibration_without_a_finite_maximum_is_refused():
    x = np.array([-2.0, -1.0, 1.0, 2.0])
    found = recalibrated((x > 0).astype(float), x, np.ones((1, 4)), slope=True)
    assert np.isnan(found).all()


def test_net_benefit_by_hand():
    """Ten subjects, four events; at 0.25 six are treated: three rightly."""
    outcome = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], dtype=float)
    probability = np.array([[0.9, 0.6, 0.3, 0.1, 0.5, 0.4, 0.25, 0.2, 0.1, 0.0]])
    model, everyone = net_benefit(outcome, probability, np.array([0.25]))
    assert model[0] == approx(3 / 10 - 3 / 10 / 3)
    assert everyone[0] == approx(4 / 10 - 6 / 10 / 3)


def test_net_benefit_of_a_time_to_event_weights_the_known():
    """Without censoring before the horizon it is that of the events by then."""
    rng = np.random.default_rng(1)
    time, risk = rng.exponential(10, 60), rng.random(60)
    event = np.ones(60)
    weight = horizon_weights(time, event, 6.0)
    assert weight == approx(np.ones(60))
    thresholds = np.array([0.2, 0.5])
    with_weights = net_benefit((time <= 6).astype(float), risk[None], thresholds, weight)
    plain = net_benefit((time <= 6).astype(float), risk[None], thresholds)
    assert with_weights[0] == approx(plain[0])


def test_weights_at_a_time_stand_for_all_subjects():
    """Inverse probabilities of censoring add up to the number of subjects (Kaplan–Meier is self-consistent)."""
    time, event, _ = rotterdam()
    for months in (365.25, 1000.0):
        assert horizon_weights(time, event, months).sum() == approx(len(time), rel=1e-10)


def test_what_was_observed_is_one_of_the_permutations():
    assert permutation_p(0.7, [0.5] * 99) == approx(0.01)
    assert permutation_p(0.5, [0.5] * 99) == 1.0
    assert np.isnan(permutation_p(float("nan"), [0.5]))
    assert np.isnan(permutation_p(0.5, []))
