"""Metrics of out-of-fold predictions, and sample size, against other implementations and published examples."""

import numpy as np
import pytest
from pytest import approx

from correlatives.response.performance import (
    bootstrap_counts,
    brier,
    calibration,
    concordance,
    concordance_parts,
    concordance_replicates,
    percentile,
    response_pairs,
    survival_pairs,
)
from correlatives.response.sample_size import (
    expected_shrinkage,
    largest_r2_binary,
    n_for_shrinkage,
    required_binary,
    required_survival,
)


def predictions(n=80, seed=0):
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(size=n).round(1)
    return log_odds, (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(float)


def test_auc_in_one_fold_is_scikit_learns():
    from sklearn.metrics import roc_auc_score

    log_odds, outcome = predictions()
    parts = concordance_parts(response_pairs(outcome), [np.zeros(80, dtype=int)], [log_odds])
    assert concordance(*parts) == approx(roc_auc_score(outcome, log_odds))


def test_only_subjects_held_out_together_are_compared():
    """Folds whose models differ by a constant score as if it were not there."""
    log_odds, outcome = predictions()
    fold = np.arange(80) % 4
    pairs = response_pairs(outcome)
    plain = concordance(*concordance_parts(pairs, [fold], [log_odds]))
    shifted = concordance(*concordance_parts(pairs, [fold], [log_odds + 100.0 * fold]))
    assert shifted == approx(plain)
    knows_nothing = concordance(*concordance_parts(pairs, [fold], [-1.0 * fold]))
    assert knows_nothing == 0.5


def test_c_index_in_one_fold_is_rs_and_scikit_survivals():
    from sksurv.metrics import concordance_index_ipcw
    from sksurv.util import Surv

    rng = np.random.default_rng(1)
    risk = rng.normal(size=100).round(1)
    time = np.ceil(rng.exponential(np.exp(-risk)) * 20) / 20
    event = (rng.random(100) < 0.7).astype(float)
    time[np.argmax(time)] += 1
    horizon = float(np.quantile(time, 0.8)) + 0.01
    whole = np.zeros(100, dtype=int)
    # R 4.2.2, survival 3.5-3: concordance(Surv(time, event) ~ risk, timewt = "n/G2", ymax = 2.12, reverse = TRUE), where 12
    # times are both of events and censored; scikit-survival counts such pairs, but not in the weights
    parts = concordance_parts(survival_pairs(time, event, horizon), [whole], [risk])
    assert concordance(*parts) == approx(0.694623406593364, abs=1e-13)
    time[event == 0] += 0.01  # no ties: the same of both
    y = Surv.from_arrays(event > 0, time)
    peer = concordance_index_ipcw(y, y, risk, tau=horizon)[0]
    parts = concordance_parts(survival_pairs(time, event, horizon), [whole], [risk])
    assert concordance(*parts) == approx(peer, abs=1e-10)


def test_bootstrap_keeps_group_sizes_and_gives_the_known_spread():
    log_odds, outcome = predictions(200)
    counts = bootstrap_counts(outcome.astype(int), seed=1)
    assert (counts[:, outcome == 1].sum(axis=1) == outcome.sum()).all()
    parts = concordance_parts(response_pairs(outcome), [np.zeros(200, dtype=int)], [log_odds])
    estimate = concordance(*parts)
    replicates = concordance_replicates(*parts, counts)
    low, high = percentile(estimate, replicates)[1:]
    # Hanley & McNeil 1982
    q1, q2 = estimate / (2 - estimate), 2 * estimate**2 / (1 + estimate)
    m = outcome.sum()
    variance = estimate * (1 - estimate)
    variance += (m - 1) * (q1 - estimate**2) + (199 - m) * (q2 - estimate**2)
    error = np.sqrt(variance / (m * (200 - m)))
    assert (high - low) / 3.92 == approx(error, rel=0.15)


def test_brier_is_the_mean_over_subjects():
    outcome = np.array([1.0, 0.0])
    probability = np.array([0.5, 0.1])
    assert brier(outcome, probability, np.ones((3, 2))).estimate == approx(0.13)
    weighted = brier(outcome, probability, np.ones((3, 2)), np.array([2.0, 0.0]))
    assert weighted == approx((0.25, 0.25, 0.25))


def test_calibration_agrees_with_statsmodels():
    import statsmodels.api as sm

    log_odds, outcome = predictions(150)
    counts = bootstrap_counts(outcome.astype(int), seed=1, samples=200)
    intercept, slope, note = calibration(outcome, 2 * log_odds, counts)
    binomial = sm.families.Binomial()
    large = sm.GLM(outcome, np.ones(150), family=binomial, offset=2 * log_odds).fit()
    both = sm.GLM(outcome, sm.add_constant(2 * log_odds), family=binomial).fit()
    assert intercept.estimate == approx(large.params[0], abs=1e-7)
    assert slope.estimate == approx(both.params[1], abs=1e-7)
    assert slope.low < slope.estimate < slope.high
    assert note == ""


def test_predictions_that_hardly_differ_have_no_slope():
    _, outcome = predictions()
    counts = bootstrap_counts(outcome.astype(int), seed=1, samples=50)
    intercept, slope, note = calibration(outcome, np.full(80, 0.1) + 1e-4 * outcome, counts)
    assert np.isfinite(intercept.estimate)
    assert np.isnan(slope.estimate)
    assert "hardly differ" in note


def test_sample_size_agrees_with_the_documented_examples_of_pmsampsize():
    """Binary: 24 parameters, prevalence 0.174, R² 0.288 -> 662. Survival: 30, rate 0.065, R² 0.051 -> 5143."""
    assert required_binary(24, 0.174, 0.288) == 662
    assert required_survival(30, 0.065, 2.07, 2.0, 0.051) == 5143


def test_expected_shrinkage_inverts_the_sample_size():
    largest = largest_r2_binary(0.3)
    for r2 in (0.05 * largest, 0.4 * largest):
        for shrinkage in (0.7, 0.9, 0.99):
            n = n_for_shrinkage(20, r2, shrinkage)
            assert expected_shrinkage(20, n, r2) == approx(shrinkage)
    assert expected_shrinkage(0, 100, 0.1) == 1.0


def test_sample_size_refuses_an_outcome_that_never_happens():
    with pytest.raises(ValueError, match="prevalence"):
        required_binary(5, 0.0)
    with pytest.raises(ValueError, match="no events"):
        required_survival(5, 0.0, 10.0, 5.0)
