"""Two-by-two tables: difference, odds ratio, their tests, paired tables and agreement.

Arms are control first. scipy and statsmodels are used wherever they give the reference answers; the
Miettinen–Nurminen interval is ours, because that of statsmodels 0.15 is not the method's.

References
----------
Miettinen O, Nurminen M. Statistics in Medicine 1985;4:213-226. Farrington CP, Manning G. Statistics in
Medicine 1990;9:1447-1454 (closed form). Mantel N, Haenszel W. JNCI 1959;22:719-748. Robins J, Breslow N,
Greenland S. Biometrics 1986;42:311-323. McNemar Q. Psychometrika 1947;12:153-157. Fagerland MW et al.
BMC Medical Research Methodology 2013;13:91 (mid-p). Fleiss JL et al. Psychological Bulletin
1969;72:323-327 (kappa).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from correlatives.binary.rates import wilson
from correlatives.intervals import Interval, Test
from correlatives.likelihood import normal_quantile


def _table(responders: ArrayLike, totals: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    x, n = np.asarray(responders, dtype=float), np.asarray(totals, dtype=float)
    if x.shape != (2,) or n.shape != (2,):
        raise ValueError("responders and totals need two numbers each: control, experimental")
    if (x < 0).any() or (x > n).any() or (x != np.round(x)).any() or (n != np.round(n)).any():
        raise ValueError(f"responders {x.tolist()} of {n.tolist()}: not counts of subjects")
    return x, n


def _restricted_rates(x: np.ndarray, n: np.ndarray, difference: float) -> tuple[float, float]:
    """Return the maximum-likelihood rates (control, experimental) that differ by `difference`, in closed form."""
    total = n.sum()
    l3 = total
    l2 = (n[1] + 2 * n[0]) * difference - total - x.sum()
    l1 = (n[0] * difference - total - 2 * x[0]) * difference + x.sum()
    l0 = x[0] * difference * (1 - difference)
    # The likelihood equation is a cubic in the control rate; its middle root by trigonometry.
    q = l2**3 / (27 * l3**3) - l1 * l2 / (6 * l3**2) + l0 / (2 * l3)
    inside = max(l2**2 / (9 * l3**2) - l1 / (3 * l3), 0.0)
    p = np.copysign(np.sqrt(inside), q)
    ratio = 0.0 if p == 0 else np.clip(q / p**3, -1.0, 1.0)
    angle = (np.pi + np.arccos(ratio)) / 3
    control = float(2 * p * np.cos(angle) - l2 / (3 * l3))
    return control, control + difference


def _score(x: np.ndarray, n: np.ndarray, difference: float) -> float:
    """Return Miettinen & Nurminen's signed root of chi-square for experimental minus control."""
    control, experimental = np.clip(_restricted_rates(x, n, difference), 0.0, 1.0)
    variance = control * (1 - control) / n[0] + experimental * (1 - experimental) / n[1]
    variance *= n.sum() / (n.sum() - 1)
    distance = x[1] / n[1] - x[0] / n[0] - difference
    if distance == 0:
        return 0.0
    with np.errstate(divide="ignore"):
        return (
            float(distance / np.sqrt(variance)) if variance > 0 else np.copysign(np.inf, distance)
        )


def rate_difference(responders: ArrayLike, totals: ArrayLike, level: float = 0.95) -> Interval:
    """Difference of two response rates with its Miettinen–Nurminen interval.

    Parameters
    ----------
    responders, totals : array-like of int, shape (2,)
        Responders and evaluable subjects, control first.

    Returns
    -------
    Interval
        Experimental minus control, on the probability scale, and its limits; NaN if an arm has no
        evaluable subject.

    Raises
    ------
    ValueError
        If counts are negative, not whole, or more responders than subjects.

    References
    ----------
    Miettinen O, Nurminen M. Statistics in Medicine 1985;4:213-226.
    """
    from scipy.optimize import brentq

    x, n = _table(responders, totals)
    if (n == 0).any():
        return Interval(np.nan, np.nan, np.nan)
    estimate = x[1] / n[1] - x[0] / n[0]
    z = normal_quantile(level)
    edge = 1.0 - 1e-12

    def limit(end: float, target: float) -> float:
        def gap(difference: float) -> float:
            # Bounded, so that the infinite score at the edge is a number to the root finder.
            return float(np.clip(_score(x, n, difference), -1e6, 1e6)) - target

        if (gap(end) > 0) == (gap(estimate) > 0):
            return float(np.sign(end))
        return float(brentq(gap, *sorted((end, estimate)), xtol=1e-14, rtol=1e-14))

    low = -1.0 if estimate <= -1 else limit(-edge, z)
    high = 1.0 if estimate >= 1 else limit(edge, -z)
    return Interval(float(estimate), low, high)


def odds_ratio(responders: ArrayLike, totals: ArrayLike, level: float = 0.95) -> Interval:
    """Conditional maximum-likelihood odds ratio with exact limits, as R's ``fisher.test``.

    Experimental over control. 0 and infinity are answers here (an empty cell); NaN if a margin is empty.
    """
    from scipy.stats.contingency import odds_ratio as conditional

    x, n = _table(responders, totals)
    if (n == 0).any() or x.sum() == 0 or x.sum() == n.sum():
        return Interval(np.nan, np.nan, np.nan)
    table = np.array([[x[1], n[1] - x[1]], [x[0], n[0] - x[0]]], dtype=int)
    result = conditional(table, kind="conditional")
    low, high = result.confidence_interval(level)
    return Interval(float(result.statistic), float(low), float(high))


def fisher_p(responders: ArrayLike, totals: ArrayLike) -> float:
    """Return Fisher's exact two-sided p-value; NaN if an arm has nobody."""
    from scipy.stats import fisher_exact

    x, n = _table(responders, totals)
    if (n == 0).any():
        return np.nan
    table = np.array([x, n - x], dtype=int)
    return float(fisher_exact(table).pvalue)


def boschloo_p(responders: ArrayLike, totals: ArrayLike) -> float:
    """Return Boschloo's exact unconditional two-sided p-value; NaN if an arm has nobody."""
    from scipy.stats import boschloo_exact

    x, n = _table(responders, totals)
    if (n == 0).any():
        return np.nan
    if x.sum() == 0 or x.sum() == n.sum():
        return 1.0
    table = np.array([x, n - x], dtype=int)
    return float(min(boschloo_exact(table, alternative="two-sided").pvalue, 1.0))


class MantelHaenszel(NamedTuple):
    """Common odds ratio over strata with its limits, and the test that it is 1, without and with continuity correction."""

    odds_ratio: Interval
    test: Test
    corrected: Test


def mantel_haenszel(
    y: ArrayLike, arm: ArrayLike, strata: ArrayLike | None = None, level: float = 0.95
) -> MantelHaenszel:
    """Return the common odds ratio of response, experimental over control, and the Cochran–Mantel–Haenszel test.

    Parameters
    ----------
    y, arm : array-like of 0 and 1, shape (n,)
    strata : array-like, shape (n,), optional
        One stratum by default. Strata with one arm or one outcome only say nothing and drop out.

    Returns
    -------
    MantelHaenszel
        Limits by Robins, Breslow and Greenland; NaN where a cell is empty over all strata.
    """
    from statsmodels.stats.contingency_tables import StratifiedTable

    y, arm = np.asarray(y, dtype=float), np.asarray(arm, dtype=float)
    if y.shape != arm.shape or not (np.isin(y, (0, 1)).all() and np.isin(arm, (0, 1)).all()):
        raise ValueError("y and arm must be 0 and 1, of one length: leave missing values out first")
    labels = np.zeros(len(y)) if strata is None else np.asarray(strata)
    code = np.unique(labels, return_inverse=True)[1].reshape(-1)
    size = int(code.max(initial=-1)) + 1
    a, b, c, d = (
        np.bincount(code[(arm == i) & (y == j)], minlength=size).astype(float)
        for i, j in ((1, 1), (1, 0), (0, 1), (0, 0))
    )
    # A stratum with an empty margin says nothing.
    informative = ((a + b) * (c + d) * (a + c) * (b + d)) > 0
    if not informative.any():
        nothing = Test(np.nan, np.nan, np.nan)
        return MantelHaenszel(Interval(np.nan, np.nan, np.nan), nothing, nothing)
    tables = [[[a[i], b[i]], [c[i], d[i]]] for i in np.flatnonzero(informative)]
    pooled = StratifiedTable(np.moveaxis(np.array(tables), 0, 2))
    estimate, low, high = np.nan, np.nan, np.nan
    if (a * d)[informative].any() and (b * c)[informative].any():
        estimate = float(pooled.oddsratio_pooled)
        low, high = map(float, pooled.oddsratio_pooled_confint(1 - level))
    plain, corrected = (pooled.test_null_odds(correction=how) for how in (False, True))
    return MantelHaenszel(
        Interval(estimate, low, high),
        Test(float(plain.statistic), 1.0, float(plain.pvalue)),
        Test(float(corrected.statistic), 1.0, float(corrected.pvalue)),
    )


class McNemar(NamedTuple):
    """p-values of a paired two-by-two table; published answers depend on which one was used."""

    exact: float
    midp: float
    corrected: float


def mcnemar(gained: int, lost: int) -> McNemar:
    """Test whether as many pairs gained as lost, three ways.

    Parameters
    ----------
    gained, lost : int
        Discordant pairs of either kind.

    Returns
    -------
    McNemar
        Exact binomial, mid-p, and chi-square with continuity correction; all 1 without discordant pairs.
    """
    from scipy.stats import binom
    from statsmodels.stats.contingency_tables import mcnemar as paired

    if min(gained, lost) < 0 or gained != int(gained) or lost != int(lost):
        raise ValueError(f"gained {gained} and lost {lost} must be counts")
    n, few = int(gained + lost), int(min(gained, lost))
    if n == 0:
        return McNemar(1.0, 1.0, 1.0)
    table = [[0, int(gained)], [int(lost), 0]]
    exact = float(paired(table, exact=True).pvalue)
    point = float(binom.pmf(few, n, 0.5))
    # With as many gained as lost the observed table is in both tails.
    midp = 1 - point if 2 * few == n else 2 * float(binom.cdf(few, n, 0.5)) - point
    # The correction never goes beyond no difference at all.
    corrected = 1.0
    if gained != lost:
        corrected = float(paired(table, exact=False, correction=True).pvalue)
    return McNemar(min(exact, 1.0), min(midp, 1.0), corrected)


class Agreement(NamedTuple):
    """Agreement of a test with a reference: positive, negative and overall share, and kappa."""

    positive: Interval
    negative: Interval
    overall: Interval
    kappa: Interval


def agreement(both: int, reference_only: int, test_only: int, neither: int) -> Agreement:
    """Percent agreement (Wilson limits, on the probability scale) and Cohen's kappa (large-sample limits).

    Parameters
    ----------
    both, reference_only, test_only, neither : int
        Pairs positive by both, by the reference only, by the test only, by neither.

    Returns
    -------
    Agreement
        `positive` is the share of reference positives that the test finds (sensitivity if the reference is
        the truth), `negative` that of its negatives. NaN where there are none; kappa NaN where
        either always says the same.
    """
    positive = wilson(both, both + reference_only)
    negative = wilson(neither, neither + test_only)
    total = both + reference_only + test_only + neither
    return Agreement(
        positive,
        negative,
        wilson(both + neither, total),
        cohen_kappa([[both, reference_only], [test_only, neither]]),
    )


def cohen_kappa(table: ArrayLike, level: float = 0.95) -> Interval:
    """Cohen's kappa of a square table of counts with large-sample limits (Fleiss, Cohen & Everitt 1969)."""
    from statsmodels.stats.inter_rater import cohens_kappa

    counts = np.asarray(table, dtype=float)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or (counts < 0).any():
        raise ValueError("table must be square counts")
    total = counts.sum()
    if total == 0:
        return Interval(np.nan, np.nan, np.nan)
    share = counts / total
    if np.isclose(share.sum(axis=1) @ share.sum(axis=0), 1.0):
        return Interval(np.nan, np.nan, np.nan)
    result = cohens_kappa(counts, return_results=True)
    half = normal_quantile(level) * float(np.sqrt(max(result.var_kappa, 0.0)))
    kappa = float(result.kappa)
    return Interval(kappa, max(kappa - half, -1.0), min(kappa + half, 1.0))
