"""Cox and logistic models with Firth's penalty, of thousands of markers.

What `fit_cox_many` and `fit_logistic_many` give with ``firth=True``, with the limits and the test of some of the
coefficients, compiled (`compiled_firth`). A marker that the compiled code has no answer for goes to theirs, so
that every number has the same meaning there and here: NaN where there is none, and why.

References
----------
Firth D. Biometrika 1993;80:27-38. Heinze G, Schemper M. Biometrics 2001;57:114-119 and Statistics in Medicine
2002;21:2409-2419.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from correlatives.binary.logistic import checked_responses, fit_logistic_many
from correlatives.intervals import Interval, Test
from correlatives.likelihood import (
    ALIASED_NOTE,
    ManyFits,
    checked_designs,
    chi_square_p,
    drop_at_limits,
)
from correlatives.marker_models import over_threads, settle_cache
from correlatives.survival.cox import checked_outcomes, fit_cox_many
from correlatives.survival.ties import tie_times

__all__ = ["PenalisedFits", "fit_firth_cox", "fit_firth_logistic"]

#: Markers that one thread takes at a time.
_PORTION = 64


@dataclass(frozen=True)
class PenalisedFits:
    """Penalised fits of p markers.

    Attributes
    ----------
    coefficients : np.ndarray, shape (p, k)
        Log hazard or log odds ratios (logistic: intercept first); NaN where aliased or not found.
    covariance : np.ndarray, shape (p, k, k)
        Inverse of the information at the estimate.
    loglik : np.ndarray, shape (p,)
        Penalised log-likelihood.
    converged : np.ndarray of bool, shape (p,)
    aliased : np.ndarray of bool, shape (p, k)
    note : np.ndarray of str, shape (p,)
        Why there is no number; empty where there is.
    intervals : list of Interval
        Of each column asked for: coefficient with profile-penalised-likelihood limits; these NaN where not asked for.
    tests : list of Test
        Penalised likelihood-ratio test of each column asked for; NaN where not asked for.
    fast : np.ndarray of bool, shape (p,)
        Which markers stayed in the fast lane.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    loglik: np.ndarray
    converged: np.ndarray
    aliased: np.ndarray
    note: np.ndarray
    intervals: list[Interval]
    tests: list[Test]
    fast: np.ndarray


def fit_firth_cox(
    time: ArrayLike,
    event: ArrayLike,
    designs: ArrayLike,
    include: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    *,
    columns: Sequence[int] = (-1,),
    limits: float | None = 0.95,
    deviance: ArrayLike | None = None,
    test: bool = True,
    threads: int = 1,
) -> PenalisedFits:
    """Fit a Cox model with Firth's penalty to every marker, Efron ties.

    Parameters
    ----------
    time, event, designs, include, strata
        As `fit_cox_many` takes them.
    columns : sequence of int
        Columns of the designs whose limits and test are wanted.
    limits : float, optional
        Level of the limits; None for none.
    deviance : array-like, shape (p,), optional
        By how much twice the penalised log-likelihood falls at the limits, instead of the level's chi-square quantile.
    test : bool
        Whether the tests are wanted.
    threads : int
        Threads of this process; the answers are the same for any number.

    Returns
    -------
    PenalisedFits

    Raises
    ------
    ValueError
        If shapes do not agree, or an included value is missing or infinite.
    """
    time, event = checked_outcomes(time, event)
    designs, include = checked_designs(designs, include, len(time))
    codes = np.zeros(len(time), dtype=np.int64)
    if strata is not None:
        strata = np.asarray(strata)
        if strata.shape != time.shape:
            raise ValueError(f"strata {strata.shape} must have one label a subject {time.shape}")
        codes = np.unique(strata, return_inverse=True)[1].reshape(len(time)).astype(np.int64)

    def careful(rows: np.ndarray) -> ManyFits:
        part = None if include is None else include[rows]
        return fit_cox_many(time, event, designs[rows], part, strata, firth=True)

    return _fit(
        True,
        tie_times(time),
        event,
        codes,
        designs,
        include,
        columns,
        limits,
        deviance,
        test,
        threads,
        careful,
    )


def fit_firth_logistic(
    y: ArrayLike,
    designs: ArrayLike,
    include: ArrayLike | None = None,
    *,
    columns: Sequence[int] = (-1,),
    limits: float | None = 0.95,
    deviance: ArrayLike | None = None,
    test: bool = True,
    threads: int = 1,
) -> PenalisedFits:
    """Fit a logistic model with Firth's penalty to every marker; an intercept is added as first column.

    Parameters
    ----------
    y, designs, include
        As `fit_logistic_many` takes them.
    columns : sequence of int
        Columns, the intercept being 0, whose limits and test are wanted.
    limits, deviance, test, threads
        As `fit_firth_cox` takes them.

    Returns
    -------
    PenalisedFits

    Raises
    ------
    ValueError
        If shapes do not agree, or an included value is missing or infinite.
    """
    y = checked_responses(y)
    designs, include = checked_designs(_with_intercept(designs), include, len(y))

    def careful(rows: np.ndarray) -> ManyFits:
        part = None if include is None else include[rows]
        return fit_logistic_many(y, designs[rows][:, :, 1:], part, firth=True)

    nothing = np.zeros(len(y))
    codes = np.zeros(len(y), dtype=np.int64)
    return _fit(
        False,
        nothing,
        y > 0,
        codes,
        designs,
        include,
        columns,
        limits,
        deviance,
        test,
        threads,
        careful,
    )


def _with_intercept(designs: ArrayLike) -> np.ndarray:
    designs = np.asarray(designs, dtype=float)
    if designs.ndim != 3:
        raise ValueError(
            f"designs have shape {designs.shape}: expected (markers, subjects, columns)"
        )
    whole = np.ones((*designs.shape[:2], designs.shape[2] + 1))
    whole[:, :, 1:] = designs
    return whole


def _fit(
    survival: bool,
    time: np.ndarray,
    event: np.ndarray,
    codes: np.ndarray,
    designs: np.ndarray,
    include: np.ndarray | None,
    columns: Sequence[int],
    limits: float | None,
    deviance: ArrayLike | None,
    test: bool,
    threads: int,
    careful: Callable[[np.ndarray], ManyFits],
) -> PenalisedFits:
    """Fit in the fast lane, then the markers that it lost carefully."""
    p, n, k = designs.shape
    columns = [range(k)[column] for column in columns]
    wanted = np.zeros((len(columns), k))
    wanted[np.arange(len(columns)), columns] = 1.0
    coefficients, covariance = np.full((p, k), np.nan), np.full((p, k, k), np.nan)
    loglik = np.full(p, np.nan)
    estimate, low, high, statistic = np.full((4, p, len(columns)), np.nan)
    state = np.zeros(p, dtype=np.int64)
    settle_cache()
    from correlatives import compiled_firth as kernel

    order = np.lexsort((np.arange(n), -time, codes))
    kept = np.broadcast_to(np.ones(n, dtype=bool), (p, n)) if include is None else include

    drop = np.zeros(p) if limits is None else drop_at_limits(p, limits, deviance)

    def fit(markers: np.ndarray) -> None:
        kernel.fit_markers(
            survival,
            designs,
            kept,
            time,
            event.astype(bool),
            codes,
            order,
            markers,
            wanted,
            drop,
            test,
            coefficients,
            covariance,
            loglik,
            estimate,
            low,
            high,
            statistic,
            state,
        )

    over_threads(fit, [np.arange(i, min(i + _PORTION, p)) for i in range(0, p, _PORTION)], threads)
    found = state == kernel.FOUND
    aliased = np.isnan(coefficients) & found[:, None]
    note = np.where(aliased.any(axis=1), ALIASED_NOTE, "").astype(object)
    converged = found.copy()
    rest = np.flatnonzero(~found)
    if len(rest):
        fits = careful(rest)
        coefficients[rest], covariance[rest] = fits.coefficients, fits.covariance
        loglik[rest], converged[rest] = fits.loglik, fits.converged
        aliased[rest], note[rest] = fits.aliased, fits.note
        for q, column in enumerate(columns):
            estimate[rest, q] = fits.coefficients[:, column]
            if limits is not None:
                _, low[rest, q], high[rest, q] = fits.interval(column, deviance=drop[rest])
            if test:
                statistic[rest, q] = fits.test(column).statistic
    intervals = [Interval(estimate[:, q], low[:, q], high[:, q]) for q in range(len(columns))]
    df = np.where(np.isfinite(statistic), 1.0, np.nan)
    tests = [
        Test(statistic[:, q], df[:, q], chi_square_p(statistic[:, q], df[:, q]))
        for q in range(len(columns))
    ]
    return PenalisedFits(
        coefficients, covariance, loglik, converged, aliased, note, intervals, tests, found
    )
