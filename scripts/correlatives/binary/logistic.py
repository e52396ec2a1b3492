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


def checked_responses(y: ArrayLike) -> np.ndarray:
    """Return responses as float.

    Raises
    ------
    ValueError
        If they are not a vector of 0 and 1.
    """
    y = np.asarray(y, dtype=float)
    if y.ndim != 1 or not np.isin(y, (0.0, 1.0)).all():
        raise ValueError("y must be a vector of 0 and 1: leave missing responses out first")
    return y


def without_alike_strata(y: np.ndarray, strata: np.ndarray, include: np.ndarray) -> np.ndarray:
    """Leave out strata whose outcomes are all alike, among the subjects of each marker.

    Such a stratum's intercept is infinite and its subjects say nothing about anything else.

    Parameters
    ----------
    y : np.ndarray, shape (n,)
        1 responder, 0 not.
    strata : np.ndarray, shape (n,)
        Labels.
    include : np.ndarray of bool, shape (p, n)

    Returns
    -------
    np.ndarray of bool, shape (p, n)
    """
    member = (strata[None, :] == np.unique(strata)[:, None]).astype(float)
    size = include @ member.T
    positive = (include * y) @ member.T
    alike = (positive == 0) | (positive == size)
    return include & ~((alike.astype(float) @ member) > 0)


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
    y = checked_responses(y)
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


def fit_logistic(y: ArrayLike, covariates: ArrayLike, *, firth: bool = False) -> Fit:
    """Fit one logistic model, intercept added; `covariates` has shape (n,) or (n, k). See `fit_logistic_many`."""
    columns = np.asarray(covariates, dtype=float)
    if columns.ndim == 1:
        columns = columns[:, None]
    return Fit(fit_logistic_many(y, columns[None], firth=firth))
