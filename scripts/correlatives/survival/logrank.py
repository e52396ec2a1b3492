"""The log-rank test, plain and stratified, and its one-sample form.

References
----------
Mantel N. Cancer Chemotherapy Reports 1966;50:163-170. Peto R, Peto J. JRSS A 1972;135:185-207.
Breslow NE. Applied Statistics 1975;24:9-13 (one sample). Finkelstein DM et al. JNCI 2003;95:1434-1439.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from correlatives.intervals import Test
from correlatives.likelihood import chi_square_p
from correlatives.survival.ties import tie_times


def observed_and_expected(
    time: ArrayLike, event: ArrayLike, group: ArrayLike, strata: ArrayLike | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return observed and expected events of each group (sorted labels) and their hypergeometric covariance.

    Parameters
    ----------
    time, event, group : array-like, shape (n,)
    strata : array-like, shape (n,), optional
        Sums run within strata and are added.

    Returns
    -------
    observed, expected : np.ndarray, shape (g,)
    covariance : np.ndarray, shape (g, g)
    """
    time = tie_times(time)
    event = np.asarray(event, dtype=float)
    labels, code = np.unique(np.asarray(group), return_inverse=True)
    code = code.reshape(-1)
    if not (len(time) == len(event) == len(code)):
        raise ValueError("time, event and group must be of one length")
    if not np.isfinite(time).all() or not np.isin(event, (0.0, 1.0)).all():
        raise ValueError("time must be finite and event 0 or 1: leave missing outcomes out first")
    size = len(labels)
    blocks = np.zeros(len(time), int)
    if strata is not None:
        blocks = np.unique(np.asarray(strata), return_inverse=True)[1].reshape(-1)
    observed, expected = np.zeros((2, size))
    covariance = np.zeros((size, size))
    for block in range(int(blocks.max(initial=-1)) + 1):
        inside = blocks == block
        times, at = np.unique(time[inside], return_inverse=True)
        at = at.reshape(-1)
        total, deaths = np.zeros((2, len(times), size))
        np.add.at(total, (at, code[inside]), 1.0)
        np.add.at(deaths, (at, code[inside]), event[inside])
        at_risk = total[::-1].cumsum(axis=0)[::-1]
        keep = deaths.sum(axis=1) > 0
        at_risk, deaths = at_risk[keep], deaths[keep]
        n, d = at_risk.sum(axis=1), deaths.sum(axis=1)
        share = at_risk / n[:, None]
        observed += deaths.sum(axis=0)
        expected += (d[:, None] * share).sum(axis=0)
        spread = np.where(n > 1, d * (n - d) / np.maximum(n - 1, 1), 0.0)
        covariance += np.diag((spread[:, None] * share).sum(axis=0))
        covariance -= np.einsum("t,ta,tb->ab", spread, share, share)
    return observed, expected, covariance


def logrank(
    time: ArrayLike, event: ArrayLike, group: ArrayLike, strata: ArrayLike | None = None
) -> Test:
    """Test whether groups have the same hazard.

    Parameters
    ----------
    time, event, group : array-like, shape (n,)
        Any number of groups.
    strata : array-like, shape (n,), optional

    Returns
    -------
    Test
        Chi-square with (groups with anybody at risk of an event) - 1 degrees of freedom; NaN if there is
        nothing to compare.
    """
    observed, expected, covariance = observed_and_expected(time, event, group, strata)
    use = np.flatnonzero(expected > 0)
    if len(use) < 2:
        return Test(np.nan, np.nan, np.nan)
    use = use[1:]
    matrix = covariance[np.ix_(use, use)]
    if np.linalg.matrix_rank(matrix) < len(use):
        return Test(np.nan, np.nan, np.nan)
    difference = (observed - expected)[use]
    statistic = float(difference @ np.linalg.solve(matrix, difference))
    df = float(len(use))
    return Test(statistic, df, float(chi_square_p(statistic, df)))


def one_sample_logrank(time: ArrayLike, event: ArrayLike, hazard: float) -> Test:
    """Test observed events against those a constant hazard would give over the same follow-up.

    Parameters
    ----------
    time, event : array-like, shape (n,)
    hazard : float
        Historical events a unit of time: log 2 over the historical median.

    Returns
    -------
    Test
        (O - E)² / E, one degree of freedom.
    """
    time, event = np.asarray(time, dtype=float), np.asarray(event, dtype=float)
    expected = hazard * time.sum()
    if not expected > 0:
        return Test(np.nan, np.nan, np.nan)
    statistic = float((event.sum() - expected) ** 2 / expected)
    return Test(statistic, 1.0, float(chi_square_p(statistic, 1.0)))
