"""Elastic net for logistic and Cox models along a path of penalties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from correlatives.response.coordinate_descent import COX, LOGISTIC, cox_terms, terms
from correlatives.response.coordinate_descent import fit_path as _fit_path

#: Share of the penalty that is L1; the rest is ridge, which keeps correlated markers together.
L1_RATIO = 0.5


@dataclass(frozen=True)
class Outcome:
    """What is predicted: a response, or a right-censored time.

    Attributes
    ----------
    event : np.ndarray, shape (n,)
        Response or event, 0 or 1.
    time : np.ndarray, shape (n,), optional
        Time to event or censoring; None for a response.
    stratum : np.ndarray of int, shape (n,), optional
        Strata of a Cox model, each with a baseline hazard of its own.
    """

    event: np.ndarray
    time: np.ndarray | None = None
    stratum: np.ndarray | None = None

    @property
    def survival(self) -> bool:
        """Whether times are predicted."""
        return self.time is not None

    @property
    def family(self) -> int:
        """COX or LOGISTIC."""
        return COX if self.survival else LOGISTIC

    def order(self) -> np.ndarray:
        """Return the order in which the fits want the rows: by stratum, then latest time first."""
        if self.time is None:
            return np.arange(len(self.event))
        stratum = np.zeros(len(self.event)) if self.stratum is None else self.stratum
        return np.lexsort((-self.time, stratum))

    def of(self, rows: np.ndarray) -> Outcome:
        """Return the outcome of some rows, in their order."""
        return Outcome(
            self.event[rows],
            None if self.time is None else self.time[rows],
            None if self.stratum is None else self.stratum[rows],
        )

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """For rows in `order`: one past the last row of the same time, and of the same stratum."""
        n = len(self.event)
        if self.time is None:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        stratum = np.zeros(n) if self.stratum is None else self.stratum
        new_stratum = np.r_[stratum[1:] != stratum[:-1], True]
        new_time = np.r_[self.time[1:] != self.time[:-1], True] | new_stratum
        return _next(new_time), _next(new_stratum)

    def null_residual(self) -> np.ndarray:
        """Residual of the model without predictors, in the order of the rows: what a univariate score sees."""
        if self.time is None:
            return self.event - self.event.mean()
        order = self.order()
        r, h = np.empty(len(order)), np.empty(len(order))
        here = self.of(order)
        cox_terms(np.zeros(len(order)), here.event, *here.ends(), r, h)
        residual = np.empty(len(order))
        residual[order] = r
        return residual

    def loss(self, predictor: np.ndarray) -> float:
        """Negative log-likelihood, or partial log-likelihood with Breslow ties, of linear predictors."""
        if self.time is None:
            return float((np.logaddexp(0.0, predictor) - self.event * predictor).sum())
        order = self.order()
        here = self.of(order)
        scratch = np.empty((2, len(order)))
        return cox_terms(
            np.ascontiguousarray(predictor[order]), here.event, *here.ends(), scratch[0], scratch[1]
        )

    def saturated(self) -> float:
        """Log partial likelihood of a Cox model with a parameter a subject: tied events share theirs."""
        stratum = np.zeros(len(self.event)) if self.stratum is None else self.stratum
        some = self.event > 0
        _, tied = np.unique(np.column_stack([stratum, self.time])[some], axis=0, return_counts=True)
        return -float((tied * np.log(tied)).sum())


def _next(last: np.ndarray) -> np.ndarray:
    """For each row, one past the next row (itself included) that is the last of its group."""
    ends = np.flatnonzero(last) + 1
    return ends[np.searchsorted(ends, np.arange(len(last)), side="right")]


@dataclass(frozen=True)
class Path:
    """Fits at falling penalties.

    Attributes
    ----------
    penalty : np.ndarray, shape (L,)
    intercept : np.ndarray, shape (L,)
        0 for a Cox model.
    coefficient : np.ndarray, shape (L, k)
        On the scale of the columns given.
    loglik : np.ndarray, shape (L,)
        Log-likelihood, or log partial likelihood.
    """

    penalty: np.ndarray
    intercept: np.ndarray
    coefficient: np.ndarray
    loglik: np.ndarray

    def predictor(self, columns: np.ndarray) -> np.ndarray:
        """Linear predictors (n, L) of rows (n, k)."""
        used = np.flatnonzero((self.coefficient != 0).any(axis=0))
        return columns[:, used] @ self.coefficient[:, used].T + self.intercept


def fit_elastic_net(
    columns: np.ndarray,
    outcome: Outcome,
    penalties: np.ndarray | None = None,
    *,
    alpha: float = L1_RATIO,
    penalty_factor: np.ndarray | None = None,
    standardise: bool = True,
    count: int = 100,
    smallest: float | None = None,
    tolerance: float = 1e-10,
) -> Path:
    """Fit a logistic or Cox model with elastic net penalty along a path.

    Minimises the mean negative log-likelihood plus λ Σ f (alpha |β| + (1 − alpha) / 2 β²), as glmnet does.

    Parameters
    ----------
    columns : np.ndarray, shape (n, k)
        Predictors, without missing values.
    outcome : Outcome
        What is predicted.
    penalties : np.ndarray, optional
        λ, any order (the path is returned falling); by default `count` values from the smallest that leaves no
        penalised coefficient down to `smallest` of it, cut off where the deviance explained no longer rises.
    alpha : float
        Share of the penalty that is L1.
    penalty_factor : np.ndarray, shape (k,), optional
        Multiplies the penalty of each column, brought to mean 1 as in glmnet; 0 is unpenalised.
    standardise : bool
        Penalise coefficients per standard deviation (n in the denominator).
    smallest : float, optional
        By default 0.01 with more columns than rows, else 0.0001.
    tolerance : float
        See `coordinate_descent.fit_path`.

    Returns
    -------
    Path

    References
    ----------
    Simon N, Friedman J, Hastie T, Tibshirani R. Journal of Statistical Software 2011;39(5).
    """
    n, k = columns.shape
    order = outcome.order()
    here = outcome.of(order)
    x = np.ascontiguousarray(columns[order].T, dtype=float)
    centre = x.mean(axis=1)
    x -= centre[:, None]
    spread = np.sqrt((x**2).mean(axis=1))
    spread = np.where(spread > 1e-12 * (1.0 + np.abs(centre)), spread, np.inf)
    scale = spread if standardise else np.where(np.isfinite(spread), 1.0, np.inf)
    x /= scale[:, None]
    factor = np.ones(k) if penalty_factor is None else np.asarray(penalty_factor, dtype=float)
    factor = factor * (k / factor.sum())
    if not outcome.survival:
        x, factor = np.vstack([x, np.ones(n)]), np.r_[factor, 0.0]
    event = np.ascontiguousarray(here.event, dtype=float)
    arguments = (outcome.family, x, event, *here.ends())
    stop = penalties is None
    if penalties is None:
        largest = strongest_penalty(arguments, alpha, factor, tolerance)
        smallest = (0.01 if n < k else 1e-4) if smallest is None else smallest
        penalties = largest * np.geomspace(1.0, smallest, count)
    penalties = np.sort(np.asarray(penalties, dtype=float))[::-1].copy()
    beta, loglik = _fit_path(
        *arguments, penalties, alpha, factor, tolerance, stop, np.zeros(len(x))
    )
    done = np.isfinite(loglik)
    slopes = beta[done, :k] / scale
    intercept = np.zeros(len(slopes)) if outcome.survival else beta[done, k] - slopes @ centre
    return Path(penalties[done], intercept, slopes, loglik[done])


def strongest_penalty(
    arguments: tuple, alpha: float, factor: np.ndarray, tolerance: float = 1e-10
) -> float:
    """Return the smallest penalty at which no penalised coefficient is left.

    Parameters
    ----------
    arguments : tuple
        Family, columns (k, n), event, and ends, as `coordinate_descent.fit_path` wants them.
    """
    family, x, event, group_end, stratum_end = arguments
    n = x.shape[1]
    free = factor == 0
    predictor = np.zeros(n)
    if free.any():
        some = np.ascontiguousarray(x[free])
        beta, _ = _fit_path(
            family, some, event, group_end, stratum_end, np.ones(1), alpha, factor[free], tolerance, False, np.zeros(len(some))
        )  # fmt: skip
        predictor = beta[0] @ some
    r, h = np.empty(n), np.empty(n)
    terms(family, predictor, event, group_end, stratum_end, r, h)
    gradient = np.abs(x @ r) / n
    return float((gradient[~free] / factor[~free]).max(initial=0.0) / max(alpha, 1e-3))


@dataclass(frozen=True)
class CrossValidated:
    """Held-out deviance along a path.

    Attributes
    ----------
    penalty : np.ndarray, shape (L,)
    deviance, error : np.ndarray, shape (L,)
        Held-out deviance, an event of a Cox model, a subject of a logistic one, and its standard error over folds.
    """

    penalty: np.ndarray
    deviance: np.ndarray
    error: np.ndarray

    @property
    def best(self) -> int:
        """Place of the smallest deviance."""
        return int(np.argmin(self.deviance))


def cross_validated(
    columns: np.ndarray,
    outcome: Outcome,
    fold: np.ndarray,
    *,
    penalties: np.ndarray | None = None,
    alpha: float = L1_RATIO,
    penalty_factor: np.ndarray | None = None,
    tolerance: float = 1e-10,
) -> CrossValidated:
    """Cross-validate a path of penalties, as glmnet does.

    Parameters
    ----------
    columns, outcome, penalties, alpha, penalty_factor, tolerance
        As for `fit_elastic_net`; the path is that of all rows.
    fold : np.ndarray of int, shape (n,)
        Fold of each row, from 0.

    Returns
    -------
    CrossValidated
    """
    shared = {"alpha": alpha, "penalty_factor": penalty_factor, "tolerance": tolerance}
    if penalties is None:
        penalties = fit_elastic_net(columns, outcome, **shared).penalty
    penalties = np.sort(np.asarray(penalties, dtype=float))[::-1]
    raw, size = [], []
    for held in np.unique(fold):
        inside = fold != held
        path = fit_elastic_net(columns[inside], outcome.of(inside), penalties, **shared)
        predictor = path.predictor(columns)
        if outcome.survival:
            whole, part = outcome.saturated(), outcome.of(inside).saturated()
            loss = [
                outcome.loss(eta) + whole - outcome.of(inside).loss(eta[inside]) - part
                for eta in predictor.T
            ]
            size.append(outcome.event[~inside].sum())
        else:
            loss = [outcome.of(~inside).loss(eta[~inside]) for eta in predictor.T]
            size.append((~inside).sum())
        raw.append(2.0 * np.array(loss) / size[-1])
    deviance = np.average(raw, axis=0, weights=size)
    spread = np.average((np.array(raw) - deviance) ** 2, axis=0, weights=size)
    return CrossValidated(penalties, deviance, np.sqrt(spread / (len(size) - 1)))
