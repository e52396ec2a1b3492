"""Imputation and pooling against closed forms, direct optimisation and simulation."""

import numpy as np
import pytest
from pytest import approx
from scipy import integrate, optimize, stats

from correlatives.imputation import (
    Variable,
    censored_normal,
    draw_within,
    expected_within,
    impute,
)
from correlatives.pooling import (
    pool_estimates,
    pool_likelihood_ratios,
    pool_signed_roots,
    pool_statistics,
)

INF = np.inf


def test_censored_fit_is_the_maximum_of_its_likelihood():
    rng = np.random.default_rng(1)
    x = rng.normal(3, 2, (3, 60))
    low = np.where(x < 2, -INF, np.where(x > 6, 6.0, np.nan))
    high = np.where(x < 2, 2.0, np.where(x > 6, INF, np.nan))
    low[1] = np.where(x[1] < 2, 0.0, np.nan)  # not below 0
    high[1] = np.where(x[1] < 2, 2.0, np.nan)
    value = np.where(np.isnan(low), x, np.nan)
    value[2, :5] = low[2, :5] = high[2, :5] = np.nan  # missing
    mean, deviation = censored_normal(value, low, high)
    for row in range(3):

        def minus(at, row=row):
            law = stats.norm(at[0], np.exp(at[1]))
            bounded = ~np.isnan(low[row])
            inside = law.cdf(high[row, bounded]) - law.cdf(low[row, bounded])
            seen = value[row][np.isfinite(value[row]) & ~bounded]
            return -(np.log(inside).sum() + law.logpdf(seen).sum())

        best = optimize.minimize(minus, [3, 0.5], method="Nelder-Mead", options={"xatol": 1e-9})
        assert mean[row] == approx(best.x[0], abs=1e-5)
        assert deviation[row] == approx(np.exp(best.x[1]), abs=1e-5)


def test_without_limits_the_fit_is_mean_and_deviation_and_a_constant_has_none():
    value = np.array([[1.0, 2, 3, 6], [5, 5, 5, 5]])
    nothing = np.full(value.shape, np.nan)
    mean, deviation = censored_normal(value, nothing, nothing)
    assert (mean[0], deviation[0]) == approx((3, np.sqrt(14 / 4)))
    assert np.isnan(mean[1])
    assert np.isnan(deviation[1])


@pytest.mark.parametrize("bounds", [(-INF, -1.0), (-INF, 9.0), (0.0, 2.0), (7.0, INF), (-50, -40)])
def test_expected_value_between_bounds(bounds):
    law = stats.norm(1, 2)
    low, high = bounds
    found = expected_within(np.array(1.0), np.array(2.0), np.array(low), np.array(high))
    ends = (max(low, 1 - 80), min(high, 1 + 80))
    # relative to the density at the nearer end, which does not underflow
    top = law.logpdf(np.clip(1.0, *ends))
    area, first = (
        integrate.quad(
            lambda x, k=k: x**k * np.exp(law.logpdf(x) - top),
            *ends,
            limit=500,
            points=[np.clip(1.0, *ends)],
        )[0]
        for k in (0, 1)
    )
    assert found == approx(first / area, rel=1e-6)


def test_draws_between_bounds_have_the_law_of_the_truncated_normal():
    u = np.linspace(0.001, 0.999, 199)
    for low, high in ((-INF, -1.0), (0.0, 2.0), (7.0, INF), (1.0, INF)):
        x = draw_within(np.array(1.0), np.array(2.0), np.array(low), np.array(high), u)
        law = stats.truncnorm((low - 1) / 2, (high - 1) / 2, 1, 2)
        share = law.cdf(x)
        # upper tails are drawn from above
        assert np.minimum(np.abs(share - u), np.abs(share - (1 - u))) == approx(0, abs=1e-9)
    far = draw_within(np.array(0.0), np.array(1.0), np.array(-INF), np.array(-60.0), u)
    assert np.isfinite(far).all()
    assert (far <= -60).all()


def test_imputed_values_relate_to_the_outcome_as_the_hidden_ones_do():
    rng = np.random.default_rng(2)
    n = 4000
    outcome = rng.normal(size=n)
    x = 1 + 0.8 * outcome + rng.normal(size=n)
    below = x < 0.7
    variable = Variable(
        np.where(below, np.nan, x),
        low=np.where(below, -INF, np.nan),
        high=np.where(below, 0.7, np.nan),
    )
    drawn = impute([variable], outcome[:, None], rng, imputations=5)[0]
    assert (drawn[:, ~below] == x[~below]).all()
    assert (drawn[:, below] <= 0.7).all()
    assert np.unique(drawn[:, below]).size == 5 * below.sum()
    slopes = [stats.linregress(outcome, y) for y in drawn]
    assert np.mean([s.slope for s in slopes]) == approx(0.8, abs=0.05)
    assert np.mean([s.intercept for s in slopes]) == approx(1.0, abs=0.05)
    assert drawn.std() == approx(x.std(), rel=0.03)


@pytest.mark.parametrize("kind", ["normal", "binary", "matched"])
def test_missing_at_random_given_the_outcome_is_put_right(kind):
    rng = np.random.default_rng(3)
    n = 1500
    outcome = rng.normal(size=n)
    score = outcome + rng.normal(size=n)
    x = {"normal": score, "binary": (score > 0.5) * 1.0, "matched": np.clip(score.round(), -2, 2)}
    x = x[kind]
    missing = rng.uniform(size=n) < 1 / (1 + np.exp(-2 * outcome))
    drawn = impute(
        [Variable(np.where(missing, np.nan, x), kind)], outcome[:, None], rng, imputations=5
    )[0]
    biased = x[~missing].mean()
    assert abs(biased - x.mean()) > 0.15
    assert drawn.mean() == approx(x.mean(), abs=0.05)
    assert np.isin(drawn, np.unique(x)).all() or kind == "normal"


def test_other_markers_inform_those_beside_them():
    rng = np.random.default_rng(4)
    n = 3000
    first = rng.normal(size=n)
    second = first + 0.3 * rng.normal(size=n)
    missing = (first > 0) & (rng.uniform(size=n) < 0.8)
    also = ~missing & (rng.uniform(size=n) < 0.1)  # else neither would be known at random
    variables = [
        Variable(np.where(missing, np.nan, second), beside=[1]),
        Variable(np.where(also, np.nan, first), beside=[0]),
    ]
    columns = rng.normal(size=(n, 1))
    drawn = impute(variables, columns, rng, imputations=5)
    assert drawn[0].mean() == approx(second.mean(), abs=0.03)
    assert np.corrcoef(drawn[0, 0, missing], second[missing])[0, 1] > 0.75  # 0.80 expected
    alone = impute([Variable(variables[0].value)], columns, rng, imputations=5)
    assert alone.mean() < second.mean() - 0.2


def test_a_regression_that_separates_still_has_values():
    rng = np.random.default_rng(5)
    y = np.repeat([0.0, 1.0], 20)
    x = np.where(y == 1, 1.0, 0.0)
    x[[3, 30]] = np.nan
    drawn = impute([Variable(x, "binary")], y[:, None], rng, imputations=200)[0]
    assert drawn[:, 3].mean() < 0.2
    assert drawn[:, 30].mean() > 0.8


def test_one_value_is_too_few():
    with pytest.raises(ValueError, match="variable 0 has fewer than two"):
        impute([Variable(np.array([1.0, np.nan]))], np.zeros((2, 1)), np.random.default_rng(1))


def test_rubins_rules():
    """By hand: W = 1, B = 1, T = 1 + 4/3, r = 4/3, 2 (1 + 3/4)² degrees of freedom."""
    interval, missing = pool_estimates(np.array([[1.0, 2, 3], [1, 2, np.nan]]), np.ones((2, 3)))
    assert interval.estimate[0] == 2
    half = stats.t(6.125).ppf(0.975) * np.sqrt(7 / 3)
    assert interval.low[0] == approx(2 - half)
    assert interval.high[0] == approx(2 + half)
    assert missing[0] == approx((4 / 3 + 2 / 9.125) / (7 / 3))
    assert np.isnan([interval.estimate[1], interval.low[1], missing[1]]).all()
    # without a difference between imputations: the normal interval
    same, none = pool_estimates(np.full((1, 5), 1.0), np.full((1, 5), 4.0))
    assert same.high[0] == approx(1 + 2 * stats.norm.ppf(0.975))
    assert none[0] == approx(0, abs=1e-9)


def test_pooled_likelihood_ratio_is_rubins_wald_test_where_likelihoods_are_quadratic():
    estimate, variance, m = np.array([1.0, 1.5, 0.7, 1.1]), 0.3, 4
    each = (estimate**2 / variance)[None]
    stacked = np.array([m * estimate.mean() ** 2 / variance])
    test = pool_likelihood_ratios(each, stacked)
    total = variance + (1 + 1 / m) * estimate.var(ddof=1)
    assert test.statistic[0] == approx(estimate.mean() ** 2 / total)
    increase = (1 + 1 / m) * estimate.var(ddof=1) / variance
    freedom = 3 * 2 * (1 + 1 / increase) ** 2 / 2
    assert test.p[0] == approx(stats.f(1, freedom).sf(test.statistic[0]))
    alike = pool_likelihood_ratios(np.full((1, 30), 5.0), np.array([150.0]))
    assert alike.p[0] == approx(stats.chi2(1).sf(5.0), rel=1e-6)
    assert np.isnan(pool_likelihood_ratios(np.array([[1.0, np.nan]]), np.array([2.0])).p[0])


def test_only_normal_variables_have_bounds():
    low, high = np.array([np.nan, np.nan, -INF, np.nan]), np.array([np.nan, np.nan, 1.0, np.nan])
    variable = Variable(np.array([1.0, 2.0, np.nan, np.nan]), "matched", low, high)
    with pytest.raises(ValueError, match="variable 0 is matched"):
        impute([variable], np.zeros((4, 0)), np.random.default_rng(1))


def test_signed_roots_are_rubins_wald_test_where_likelihoods_are_quadratic():
    estimate, variance, m = np.array([1.0, 1.5, -0.2, 1.1]), 0.3, 4
    test = pool_signed_roots((estimate**2 / variance)[None], estimate[None])
    increase = (1 + 1 / m) * estimate.var(ddof=1) / variance
    assert test.statistic[0] == approx(estimate.mean() ** 2 / (variance * (1 + increase)))
    freedom = (m - 1) * (1 + 1 / increase) ** 2
    assert test.p[0] == approx(stats.f(1, freedom).sf(test.statistic[0]))
    alike = pool_signed_roots(np.full((1, 30), 5.0), -np.ones((1, 30)))
    assert alike.p[0] == approx(stats.chi2(1).sf(5.0), rel=1e-6)
    assert np.isnan(pool_signed_roots(np.array([[1.0, np.nan]]), np.ones((1, 2))).p[0])


def test_pooled_statistics():
    """Li et al. (1991) by hand: roots 1 and 3, r = 1.5 × 2 = 3, D = (5 − 3 × 3) / 4 < 0."""
    low = pool_statistics(np.array([[1.0, 9.0]]))
    assert low.statistic[0] == 0
    assert low.p[0] == 1
    roots = np.array([2.0, 2.2, 1.9, 2.1])
    increase = 1.25 * roots.var(ddof=1)
    value = ((roots**2).mean() - 5 / 3 * increase) / (1 + increase)
    freedom = 3 * (1 + 1 / increase) ** 2
    found = pool_statistics((roots**2)[None])
    assert found.statistic[0] == approx(value)
    assert found.p[0] == approx(stats.f(1, freedom).sf(value))
