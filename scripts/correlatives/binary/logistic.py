"""Logistic regression: one fit, thousands at once, with Firth's penalty where there is no maximum.

References
----------
Firth D. Biometrika 1993;80:27-38. Heinze G, Schemper M. Statistics in Medicine 2002;21:2409-2419.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from correlatives.likelihood import (
    Fit,
    Likelihood,
    ManyFits,
    Model,
    Value,
    checked_designs,
    orthogonalise,
)

__all__ = ["Fit", "ManyFits", "fit_logistic", "fit_logistic_many"]


class LogisticLikelihood(Likelihood):
    """Binomial log-likelihood of a block of markers."""

    def __init__(
        self, y: np.ndarray, x: np.ndarray, mask: np.ndarray | None, *, firth: bool
    ) -> None:
        self.y = y
        self.x = x
        self.mask = mask
        self.firth = firth
        #: +1 responder, -1 not, shape (n, 1).
        self.side = (2.0 * y - 1.0)[:, None]

    def take(self, markers: np.ndarray) -> LogisticLikelihood:
        """Return the likelihood of some of the markers."""
        mask = None if self.mask is None else np.ascontiguousarray(self.mask[:, markers])
        x = np.ascontiguousarray(self.x[:, :, markers])
        return LogisticLikelihood(self.y, x, mask, firth=self.firth)

    def expected(self, gamma: np.ndarray) -> np.ndarray:
        """Return the probability of response, shape (n, p)."""
        chance = 1.0 / (1.0 + np.exp(-self.predictor(gamma)))
        return chance if self.mask is None else chance * self.mask

    def evaluate(self, gamma: np.ndarray) -> Value:
        """Return log-likelihood, score and information at gamma, shape (p, k)."""
        x, k = self.x, len(self.x)
        eta = self.predictor(gamma)
        # log p of what was observed, without cancellation at either end.
        margin = self.side * eta
        tail = np.exp(-np.abs(margin))
        terms = np.minimum(margin, 0.0) - np.log1p(tail)
        missed = np.where(margin >= 0, tail, 1.0) / (1.0 + tail)  # 1 - p of what was observed
        spread = tail / (1.0 + tail) ** 2
        if self.mask is not None:
            terms *= self.mask
            missed *= self.mask
            spread *= self.mask
        loglik = terms.sum(axis=0)
        residual = self.side * missed
        p = len(gamma)
        score = np.empty((p, k))
        information = np.empty((p, k, k))
        for j in range(k):
            score[:, j] = np.einsum("np,np->p", residual, x[j])
            carried = spread * x[j]
            for m in range(j + 1):
                information[:, j, m] = np.einsum("np,np->p", carried, x[m])
                information[:, m, j] = information[:, j, m]
        for j in range(k):
            information[~x[j].any(axis=0), j, j] = 1.0
        if self.firth:
            sign, logdet = np.linalg.slogdet(information)
            usable = sign > 0
            loglik += np.where(usable, 0.5 * logdet, -np.inf)
            inverse = np.linalg.inv(np.where(usable[:, None, None], information, np.eye(k)))
            leverage = np.zeros_like(eta)
            for a in range(k):
                for b in range(k):
                    leverage += inverse[:, a, b] * x[a] * x[b]
            chance = 1.0 / (1.0 + np.exp(-eta))
            pull = leverage * spread * (0.5 - chance)
            for j in range(k):
                score[:, j] += np.einsum("np,np->p", pull, x[j])
        return Value(loglik, score, information)

    def recedes(self, direction: np.ndarray) -> np.ndarray:
        """Return whether no subject's fit gets worse along a direction, and somebody's gets better."""
        with np.errstate(all="ignore"):
            z = self.side * self.predictor(direction)
        good = np.isfinite(z).all(axis=0)
        z = np.where(good, z, 0.0)
        if self.mask is not None:
            z *= self.mask
        scale = np.abs(z).max(axis=0, initial=0.0)
        good &= scale > 0
        z /= np.where(scale > 0, scale, 1.0)
        return good & (z.min(axis=0, initial=0.0) >= -1e-7) & (z.max(axis=0, initial=0.0) > 1e-4)

    def separates(self, marker: int) -> np.ndarray | None:
        """Solve Albert & Anderson's condition as a linear programme for one marker."""
        from scipy.optimize import linprog

        rows = self.side * self.x[:, :, marker].T
        if self.mask is not None:
            rows = rows[self.mask[:, marker] > 0]
        gain = rows.sum(axis=0)
        scale = np.abs(rows).sum()
        if scale == 0:
            return None
        result = linprog(
            -gain / scale,
            A_ub=-rows,
            b_ub=np.zeros(len(rows)),
            bounds=[(-1, 1)] * rows.shape[1],
            method="highs",
        )
        if result.status != 0 or -result.fun < 1e-9:
            return None
        return result.x


class LogisticModel(Model):
    """Responses with the designs of p markers."""

    intercept = 1

    def __init__(
        self, y: np.ndarray, designs: np.ndarray, include: np.ndarray | None, *, firth: bool
    ) -> None:
        self.y = y
        self.designs = designs
        self.include = include
        self.firth = firth
        self.aliased = np.zeros((len(designs), designs.shape[2]), bool)

    def counts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return subjects, responders, and whether there are both responders and others, each of shape (p,)."""
        p, n, _ = self.designs.shape
        if self.include is None:
            subjects, events = np.full(p, n), np.full(p, int(self.y.sum()))
        else:
            subjects = self.include.sum(axis=1)
            events = (self.include & (self.y > 0)).sum(axis=1)
        return (
            subjects,
            events,
            (subjects > 0) if self.firth else (events > 0) & (events < subjects),
        )

    def build(
        self, markers: np.ndarray, last: int | None = None
    ) -> tuple[LogisticLikelihood, np.ndarray, np.ndarray]:
        """Return the likelihood of some markers, on columns made orthogonal."""
        columns = self.columns(markers, None, last)
        n, p = columns.shape[1:]
        mask = None
        count = np.full(p, n)
        if self.include is not None and not self.include[markers].all():
            mask = self.include[markers].T.astype(float)
            count = mask.sum(axis=0)
        first = 0 if last == 0 else 1
        q, r, aliased = orthogonalise(columns, lambda v: None, count, first)
        return LogisticLikelihood(self.y, q, mask, firth=self.firth), r, aliased

    def restore(self, rows: np.ndarray) -> np.ndarray:
        """Return rows as they are: they are in the order of the data."""
        return rows


def fit_logistic_many(
    y: ArrayLike, designs: ArrayLike, include: ArrayLike | None = None, *, firth: bool = False
) -> ManyFits:
    """Fit a logistic model to every marker; an intercept is added as first column.

    Parameters
    ----------
    y : array-like, shape (n,)
        1 responder, 0 not.
    designs : array-like, shape (p, n, k)
        Covariates of each marker's model, without intercept. Strata enter as indicator columns.
    include : array-like of bool, shape (p, n), optional
        Subjects in each marker's model; all by default.
    firth : bool
        Maximise the likelihood with Firth's penalty: always finite.

    Returns
    -------
    ManyFits
        ``coefficients[:, 0]`` is the intercept, then log odds ratios. Never a number where there is none: see
        `converged`, `separated`, `aliased`.

    Raises
    ------
    ValueError
        If shapes do not agree, or an included value is missing or infinite.
    """
    y = np.asarray(y, dtype=float)
    if y.ndim != 1 or not np.isin(y, (0.0, 1.0)).all():
        raise ValueError("y must be a vector of 0 and 1: leave missing responses out first")
    designs = np.asarray(designs, dtype=float)
    if designs.ndim != 3:
        raise ValueError(
            f"designs have shape {designs.shape}: expected (markers, subjects, columns)"
        )
    with_intercept = np.ones((*designs.shape[:2], designs.shape[2] + 1))
    with_intercept[:, :, 1:] = designs
    designs, include = checked_designs(with_intercept, include, len(y))
    model = LogisticModel(y, designs, include, firth=firth)
    return model.fit("logistic, Firth" if firth else "logistic")


#: Newton steps of `response_probabilities`; the linear predictor's last move; its size that separation may explain;
#: and the smallest eigenvalue of the information's correlations.
_STEPS, _MOVED, _EXTREME, _SINGULAR = 25, 1e-9, 12.0, 1e-7


def response_probabilities(
    y: np.ndarray, shared: np.ndarray, marker: np.ndarray, include: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return fitted probabilities of p models that share all columns but one, where that is easy.

    All sums over subjects are matrix products, which makes this some ten times as fast as `fit_logistic_many`. A model
    that needs care (no quick convergence, extreme probabilities, columns that nearly repeat each other) is left to that.

    Parameters
    ----------
    y : np.ndarray, shape (n,)
        1 responder, 0 not.
    shared : np.ndarray, shape (n, k)
        Columns of every model, without intercept.
    marker : np.ndarray, shape (p, n)
        Each model's own column; anything where not included.
    include : np.ndarray of bool, shape (p, n)

    Returns
    -------
    probability : np.ndarray, shape (p, n)
        0 where not included.
    easy : np.ndarray of bool, shape (p,)
        Models of which the probabilities can be used.
    """
    n, k = shared.shape[0], shared.shape[1] + 1
    base = np.column_stack([np.ones(n), shared])
    rows, columns = np.triu_indices(k)
    pairs = base[:, rows] * base[:, columns]
    weight = include.astype(float)
    count = np.maximum(weight.sum(axis=1, keepdims=True), 1.0)
    own = np.where(include, marker, 0.0)
    own = np.where(include, own - own.sum(axis=1, keepdims=True) / count, 0.0)
    spread = np.sqrt((own**2).sum(axis=1, keepdims=True) / count)
    varies = spread[:, 0] > 1e-12 * (1.0 + np.abs(np.where(include, marker, 0.0)).max(axis=1))
    own = own / np.where(varies[:, None], spread, 1.0)
    p = len(own)
    beta = np.zeros((p, k + 1))
    information = np.empty((p, k + 1, k + 1))
    moved = np.full(p, np.inf)
    eta = np.zeros((p, n))
    for _ in range(_STEPS):
        chance = 1.0 / (1.0 + np.exp(-eta))
        residual = weight * (y - chance)
        curvature = weight * (chance * (1.0 - chance))
        score = np.column_stack([residual @ base, (residual * own).sum(axis=1)])
        carried = curvature * own
        information[:, rows, columns] = information[:, columns, rows] = curvature @ pairs
        information[:, :k, k] = information[:, k, :k] = carried @ base
        information[:, k, k] = np.where(varies, (carried * own).sum(axis=1), 1.0)
        scale = np.sqrt(np.maximum(np.einsum("pjj->pj", information), 1e-300))
        correlation = information / (scale[:, :, None] * scale[:, None, :])
        # a whisper of a ridge: a singular model is left to others, and must not stop its neighbours
        ridged = correlation + 1e-13 * np.eye(k + 1)
        step = np.linalg.solve(ridged, (score / scale)[:, :, None])[:, :, 0] / scale
        beta += np.clip(step, -5.0, 5.0)
        new = beta[:, :k] @ base.T + beta[:, k:] * own
        moved = np.abs(np.where(include, new - eta, 0.0)).max(axis=1, initial=0.0)
        eta = np.clip(new, -500.0, 500.0)
        going = (moved > _MOVED) & (np.abs(np.where(include, eta, 0.0)).max(axis=1) < _EXTREME)
        if not going.any():
            break
    easy = varies & (moved <= _MOVED)
    easy &= np.abs(np.where(include, eta, 0.0)).max(axis=1, initial=0.0) < _EXTREME
    easy &= np.linalg.eigvalsh(correlation)[:, 0] > _SINGULAR
    return np.where(include, 1.0 / (1.0 + np.exp(-eta)), 0.0), easy


def fit_logistic(y: ArrayLike, covariates: ArrayLike, *, firth: bool = False) -> Fit:
    """Fit one logistic model, intercept added; `covariates` has shape (n,) or (n, k). See `fit_logistic_many`."""
    columns = np.asarray(covariates, dtype=float)
    if columns.ndim == 1:
        columns = columns[:, None]
    return Fit(fit_logistic_many(y, columns[None], firth=firth))
