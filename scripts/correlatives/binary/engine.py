"""Logistic models of thousands of markers: the fast lane of `logistic` (`marker_models`), without penalty.

A stratum has an intercept of its own, and is left out where its outcomes are all alike. A marker's answer does not
depend, to the last bit, on the markers beside it, the number of threads, or how markers are cut into blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from correlatives.binary.logistic import (
    LogisticModel,
    checked_responses,
    fit_logistic,
    without_alike_strata,
)
from correlatives.marker_models import (
    Designs,
    InteractionFits,
    MarkerFits,
    Order,
    Screen,
    interaction_fits,
    marker_fits,
)

__all__ = [
    "InteractionFits",
    "MarkerFits",
    "fit_interactions",
    "fit_markers",
    "fitted_probabilities",
]


class _ResponseScreen(Screen):
    """Responses."""

    survival = False
    intercept = 1

    def __init__(
        self,
        y: ArrayLike,
        arm: ArrayLike | None,
        markers: ArrayLike,
        include: ArrayLike | None,
        strata: ArrayLike | None,
        covariates: ArrayLike | None,
    ) -> None:
        self.y = checked_responses(y)
        super().__init__(self.y > 0, arm, markers, include, strata, covariates)
        self.words = "logistic"
        count = self.codes.max(initial=0) + 1
        self.intercepts = (self.codes[:, None] == np.arange(count)).astype(float)
        if count > 1:
            everybody = np.ones((1, len(self.y)), bool)
            include = everybody if self.include is None else self.include
            kept = without_alike_strata(self.y, self.codes, include)
            if not kept.all():
                self.include = np.ascontiguousarray(np.broadcast_to(kept, self.markers.shape))

    def informative(self) -> np.ndarray:
        """Return all subjects, or none where all outcomes are alike."""
        return np.arange(len(self.y) if self.event.any() and not self.event.all() else 0)

    def ordered(self, kept: np.ndarray) -> Order:
        """Sort some subjects by stratum and arm."""
        arm = np.zeros(len(self.y)) if self.arm is None else self.arm
        rows = kept[np.lexsort((kept, arm[kept], self.codes[kept]))]
        new = np.ones(len(rows), bool)
        new[1:] = (np.diff(arm[rows]) != 0) | (np.diff(self.codes[rows]) != 0)
        first = np.flatnonzero(new)
        size = np.diff(np.append(first, len(rows)))
        nothing = np.zeros(0, np.int64)
        return Order(rows, first, size, nothing, nothing > 0, self.codes[rows[first]])

    def loglik_at_zero(self, everyone: Order) -> np.ndarray:
        """Return that of the model with one intercept only."""
        n, responders = np.full((2, len(self.markers)), len(self.y)).astype(float)
        responders[:] = self.event.sum()
        if self.include is not None:
            n = self.include.sum(axis=1).astype(float)
            responders = (self.include @ self.y).astype(float)
        found = np.zeros(len(self.markers))
        for count in (responders, n - responders):
            some = count > 0
            found[some] += count[some] * np.log(count[some] / n[some])
        return found

    def start(self) -> np.ndarray:
        """Return coefficients of arm, strata and covariates without a marker; 0 where there are none. Only a start."""
        strata = self.intercepts.shape[1]
        columns = [] if self.arm is None else [self.arm]
        columns = [*columns, *self.covariates.T, *self.intercepts[:, 1:].T]
        start = np.zeros(3 + strata + self.covariates.shape[1])
        rate = self.y.mean()
        start[3 : 3 + strata] = np.log(rate / (1.0 - rate))
        fit = fit_logistic(self.y, np.column_stack(columns)) if columns else None
        if fit is not None and fit.converged:
            found = np.nan_to_num(fit.coefficients)
            level, found = found[0], found[1:]
            if self.arm is not None:
                start[0], found = found[0], found[1:]
            c = self.covariates.shape[1]
            start[3 + strata :] = found[:c]
            level += self.covariates.mean(axis=0) @ found[:c]
            start[3 : 3 + strata] = level + np.append(0.0, found[c:])
        return start

    def model(self, designs: Designs | np.ndarray, include: np.ndarray | None) -> LogisticModel:
        """Return the careful model of some designs."""
        return LogisticModel(self.y, designs, include, firth=False)


def fit_interactions(
    y: ArrayLike,
    arm: ArrayLike,
    markers: ArrayLike,
    include: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    covariates: ArrayLike | None = None,
    *,
    covariances: bool = True,
    limits: float | None = None,
    deviance: ArrayLike | None = None,
    levels: Sequence[ArrayLike] = (),
    threads: int = 1,
) -> InteractionFits:
    """Fit treatment + marker and treatment × marker to every marker.

    Parameters
    ----------
    y : array-like, shape (n,)
        1 responder, 0 not.
    arm, markers, include, strata, covariates, covariances, limits, deviance, levels, threads
        As `survival.engine.fit_interactions` takes them. Each of the strata has an intercept.

    Returns
    -------
    InteractionFits

    Raises
    ------
    ValueError
        If shapes do not agree, a value that counts is missing or infinite, or y or arm is not 0 and 1.
    """
    return interaction_fits(
        _ResponseScreen(y, arm, markers, include, strata, covariates),
        covariances=covariances,
        limits=limits,
        deviance=deviance,
        levels=levels,
        threads=threads,
    )


def fit_markers(
    y: ArrayLike,
    markers: ArrayLike,
    include: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    covariates: ArrayLike | None = None,
    *,
    covariances: bool = True,
    limits: float | None = None,
    deviance: ArrayLike | None = None,
    threads: int = 1,
) -> MarkerFits:
    """Fit marker + covariates to every marker; arguments as in `fit_interactions`. For studies with one arm."""
    return marker_fits(
        _ResponseScreen(y, None, markers, include, strata, covariates),
        covariances=covariances,
        limits=limits,
        deviance=deviance,
        threads=threads,
    )


def fitted_probabilities(
    y: ArrayLike,
    markers: ArrayLike,
    include: ArrayLike,
    strata: ArrayLike | None = None,
    covariates: ArrayLike | None = None,
    *,
    threads: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the probability of response by marker + covariates, of every marker.

    Parameters
    ----------
    y, markers, include, strata, covariates, threads
        As `fit_markers` takes them.

    Returns
    -------
    probability : np.ndarray, shape (p, n)
        0 for subjects that the model is not about; NaN, of all subjects, where there is no finite maximum.
    found : np.ndarray of bool, shape (p,)
        Whether there is a finite maximum.
    about : np.ndarray of bool, shape (p, n)
        Subjects that the model is about: those included, but for strata whose outcomes are all alike.
    """
    include = np.asarray(include, dtype=bool)
    known = np.where(include, markers, 0.0)
    # a marker far from 0 would leave few digits to its intercept
    mean = known.sum(axis=1, keepdims=True) / np.maximum(include.sum(axis=1, keepdims=True), 1)
    centred = np.where(include, known - mean, 0.0)
    screen = _ResponseScreen(y, None, centred, include, strata, covariates)
    fits = marker_fits(screen, covariances=False, limits=None, deviance=None, threads=threads).fits
    beta = np.nan_to_num(fits.coefficients)
    n = len(screen.y)
    shared = np.column_stack([np.ones(n), screen.covariates, screen.intercepts[:, 1:]])
    predictor = np.delete(beta, 1, axis=1) @ shared.T + beta[:, 1:2] * centred
    probability = 1.0 / (1.0 + np.exp(-np.clip(predictor, -700.0, 700.0)))
    about = include if screen.include is None else screen.include
    probability = np.where(about, probability, 0.0)
    probability[~fits.converged] = np.nan
    return probability, fits.converged, about
