"""Answers from several imputations made one: estimates, likelihood-ratio tests, other tests.

References
----------
Rubin DB. Multiple Imputation for Nonresponse in Surveys. Wiley, 1987.
Chan KW, Meng XL. Statistica Sinica 2022;32:1489-1514 (likelihood ratios from stacked data, "D4").
Barnard J, Rubin DB. Biometrika 1999;86:948-955 (small samples).
Li KH, Meng XL, Raghunathan TE, Rubin DB. Statistica Sinica 1991;1:65-92 (test statistics, "D2").
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from correlatives.intervals import Interval, Test


class Pooled(NamedTuple):
    """A pooled estimate with its limits, and the fraction of information that is missing, shape (p,) each."""

    interval: Interval
    missing_information: np.ndarray


def pool_estimates(
    estimate: np.ndarray,
    variance: np.ndarray,
    level: float = 0.95,
    complete: np.ndarray | float = np.inf,
) -> Pooled:
    """Pool estimates by Rubin's rules, on the scale on which they are normal.

    Parameters
    ----------
    estimate, variance : np.ndarray, shape (p, m)
        Of each imputation; a row with one that is not finite has no pooled estimate.
    level : float
        Of the limits.
    complete : np.ndarray or float, shape (p,)
        Degrees of freedom that the limits would have without missing values.

    Returns
    -------
    Pooled
        Limits by Student's t with (m − 1)(1 + 1/r)² degrees of freedom, r the relative increase of variance, or fewer
        where `complete` is finite (Barnard & Rubin).
    """
    from scipy.special import stdtrit

    m = estimate.shape[1]
    known = np.isfinite(estimate).all(axis=1) & np.isfinite(variance).all(axis=1)
    estimate = np.where(known[:, None], estimate, 0.0)
    within = np.where(known[:, None], variance, 1.0).mean(axis=1)
    centre = estimate.mean(axis=1)
    between = (1.0 + 1.0 / m) * estimate.var(axis=1, ddof=1)
    total = within + between
    increase = between / within
    with np.errstate(divide="ignore", over="ignore"):
        freedom = np.minimum((m - 1) * (1.0 + 1.0 / increase) ** 2, 1e12)
    complete = np.broadcast_to(np.asarray(complete, dtype=float), freedom.shape)
    finite = np.isfinite(complete)
    few = np.where(finite, complete, 1.0)
    observed = (few + 1.0) / (few + 3.0) * few / (1.0 + increase)
    freedom = np.where(finite, 1.0 / (1.0 / freedom + 1.0 / observed), freedom)
    half = stdtrit(freedom, 0.5 + level / 2) * np.sqrt(total)
    missing = (increase + 2.0 / (freedom + 3.0)) / (increase + 1.0)
    nothing = np.where(known, 0.0, np.nan)
    return Pooled(
        Interval(centre + nothing, centre - half + nothing, centre + half + nothing),
        missing + nothing,
    )


def _f_test(statistic: np.ndarray, increase: np.ndarray, df: int, m: int) -> Test:
    """Test by F, with the denominator's degrees of freedom of Li, Raghunathan & Rubin."""
    from scipy.special import fdtrc

    free = df * (m - 1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if free > 4:
            freedom = 4 + (free - 4) * (1 + (1 - 2 / free) / increase) ** 2
        else:
            freedom = free * (1 + 1 / df) * (1 + 1 / increase) ** 2 / 2
    freedom = np.minimum(np.where(increase > 0, freedom, np.inf), 1e9)
    value = np.maximum(statistic, 0.0)
    known = np.isfinite(value)
    p = np.where(known, fdtrc(df, freedom, np.where(known, value, 0.0)), np.nan)
    return Test(np.where(known, value, np.nan), np.where(known, float(df), np.nan), p)


def pool_likelihood_ratios(each: np.ndarray, stacked: np.ndarray, df: int = 1) -> Test:
    """Pool likelihood-ratio tests from those of each imputation and that of all of them as one data set.

    Parameters
    ----------
    each : np.ndarray, shape (p, m)
        Likelihood-ratio statistics of the imputations.
    stacked : np.ndarray, shape (p,)
        That of the imputations one under another with common coefficients (a Cox model: each with its own baseline
        hazards).
    df : int
        Coefficients tested.

    Returns
    -------
    Test
        Its statistic is an F statistic.
    """
    m = each.shape[1]
    common = stacked / m
    increase = np.maximum((m + 1) / (df * (m - 1)) * (each.mean(axis=1) - common), 0.0)
    return _f_test(common / (df * (1.0 + increase)), increase, df, m)


def pool_signed_roots(each: np.ndarray, sign: np.ndarray) -> Test:
    """Pool penalised likelihood-ratio tests of one coefficient.

    The signed root of a likelihood ratio is an estimate with a variance of 1, to which Rubin's rules apply. Stacked data
    will not do: in all imputations as one data set a penalty such as Firth's counts once, not once an imputation.

    Parameters
    ----------
    each : np.ndarray, shape (p, m)
        Penalised likelihood-ratio statistics of the imputations.
    sign : np.ndarray, shape (p, m)
        Estimates of the coefficient, of which the sign counts.

    Returns
    -------
    Test
        Its statistic is an F statistic.
    """
    from scipy.special import fdtrc

    m = each.shape[1]
    root = np.sign(sign) * np.sqrt(np.maximum(each, 0.0))
    increase = (1.0 + 1.0 / m) * root.var(axis=1, ddof=1)
    value = root.mean(axis=1) ** 2 / (1.0 + increase)
    known = np.isfinite(value)
    with np.errstate(divide="ignore", over="ignore"):
        freedom = (m - 1) * (1.0 + 1.0 / increase) ** 2
    freedom = np.minimum(np.where(known, freedom, 1.0), 1e9)
    p = np.where(known, fdtrc(1, freedom, np.where(known, value, 0.0)), np.nan)
    return Test(np.where(known, value, np.nan), np.where(known, 1.0, np.nan), p)


def pool_statistics(each: np.ndarray, df: int = 1) -> Test:
    """Pool chi-square statistics, shape (p, m), of which nothing else is known: less powerful than the others."""
    m = each.shape[1]
    increase = (1.0 + 1.0 / m) * np.sqrt(np.maximum(each, 0.0)).var(axis=1, ddof=1)
    statistic = (each.mean(axis=1) / df - (m + 1) / (m - 1) * increase) / (1.0 + increase)
    from scipy.special import fdtrc

    with np.errstate(divide="ignore", over="ignore"):
        freedom = df ** (-3.0 / m) * (m - 1) * (1.0 + 1.0 / increase) ** 2
    value = np.maximum(statistic, 0.0)
    known = np.isfinite(value)
    freedom = np.minimum(np.where(known, freedom, 1.0), 1e9)
    p = np.where(known, fdtrc(df, freedom, np.where(known, value, 0.0)), np.nan)
    return Test(np.where(known, value, np.nan), np.where(known, float(df), np.nan), p)
