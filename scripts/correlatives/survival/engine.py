"""Cox models of thousands of markers: the fast lane of `cox` (`marker_models`), Efron ties.

A marker's answer does not depend, to the last bit, on the markers beside it, the number of threads, or how
markers are cut into blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from correlatives.marker_models import (
    Designs,
    InteractionFits,
    MarkerFits,
    Order,
    Screen,
    interaction_fits,
    marker_fits,
)
from correlatives.survival.cox import CoxModel, checked_outcomes, fit_cox
from correlatives.survival.ties import tie_times

__all__ = ["InteractionFits", "MarkerFits", "fit_interactions", "fit_markers"]


def _loglik_at_zero_of(
    order: Order, event: np.ndarray, include: np.ndarray | None, p: int
) -> np.ndarray:
    """Log-likelihood with every coefficient 0: the logarithms of the numbers at risk, shape (p,)."""
    factorials = np.append(0.0, np.cumsum(np.log(np.arange(1, len(order.rows) + 1))))
    if not len(order.rows):
        return np.zeros(p)
    present = np.ones((1, len(order.rows)), np.int64)
    if include is not None:
        present = include[:, order.rows].astype(np.int64)
    out = np.zeros(len(present))
    died = np.add.reduceat(present * event[order.rows], order.first, axis=1)
    entered = np.add.reduceat(present, order.first, axis=1)
    edges = np.append(np.flatnonzero(order.fresh), len(order.first))
    for a, b in pairwise(edges):
        at_risk = np.cumsum(entered[:, a:b], axis=1)
        out -= (factorials[at_risk] - factorials[at_risk - died[:, a:b]]).sum(axis=1)
    return np.broadcast_to(out, (p,)).copy()


class _SurvivalScreen(Screen):
    """Times and events."""

    survival = True
    intercept = 0

    def __init__(
        self,
        time: ArrayLike,
        event: ArrayLike,
        arm: ArrayLike | None,
        markers: ArrayLike,
        include: ArrayLike | None,
        strata: ArrayLike | None,
        covariates: ArrayLike | None,
    ) -> None:
        time, event = checked_outcomes(time, event)
        super().__init__(event, arm, markers, include, strata, covariates)
        self.time = tie_times(time)
        self.words = "Cox, Efron ties" + (", stratified" if strata is not None else "")

    def informative(self) -> np.ndarray:
        """Return the subjects that are at risk at an event of their stratum."""
        earliest = np.full(self.codes.max(initial=-1) + 1, np.inf)
        np.minimum.at(earliest, self.codes[self.event], self.time[self.event])
        return np.flatnonzero(self.time >= earliest[self.codes])

    def ordered(self, kept: np.ndarray) -> Order:
        """Sort some subjects by stratum and falling time."""
        rows = kept[np.lexsort((kept, -self.time[kept], self.codes[kept]))]
        t, s = self.time[rows], self.codes[rows]
        new = np.ones(len(rows), bool)
        new[1:] = (t[1:] != t[:-1]) | (s[1:] != s[:-1])
        first = np.flatnonzero(new)
        size = np.diff(np.append(first, len(rows)))
        died = self.event[rows].astype(np.int64)
        dead = np.add.reduceat(died, first) if len(first) else first
        fresh = np.ones(len(first), bool)
        fresh[1:] = s[first][1:] != s[first][:-1]
        return Order(rows, first, size, dead.astype(np.int64), fresh, np.zeros(0, np.int64))

    def loglik_at_zero(self, everyone: Order) -> np.ndarray:
        """Return it from the numbers at risk, in blocks that fit the cache."""
        p = len(self.markers)
        if self.include is None:
            return _loglik_at_zero_of(everyone, self.event, None, p)
        parts = [self.include[i : i + 256] for i in range(0, p, 256)]
        found = [_loglik_at_zero_of(everyone, self.event, part, len(part)) for part in parts]
        return np.concatenate(found or [np.zeros(0)])

    def start(self) -> np.ndarray:
        """Return coefficients of arm and covariates without a marker; 0 where there are none. Only a start."""
        columns = [] if self.arm is None else [self.arm]
        columns = [*columns, *self.covariates.T]
        start = np.zeros(3 + self.covariates.shape[1])
        if columns:
            fit = fit_cox(self.time, self.event, np.column_stack(columns), self.strata)
            if fit.converged:
                found = np.nan_to_num(fit.coefficients)
                if self.arm is not None:
                    start[0], found = found[0], found[1:]
                start[3:] = found
        return start

    def model(self, designs: Designs | np.ndarray, include: np.ndarray | None) -> CoxModel:
        """Return the careful model of some designs."""
        return CoxModel(
            self.time, self.event, designs, include, self.strata, efron=True, firth=False
        )


def fit_interactions(
    time: ArrayLike,
    event: ArrayLike,
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
    """Fit treatment + marker and treatment × marker to every marker, Efron ties.

    Parameters
    ----------
    time, event : array-like, shape (n,)
        Time in any unit, and 1 for an event, 0 for censored. Times equal but for rounding are tied.
    arm : array-like, shape (n,)
        0 control, 1 experimental.
    markers : array-like, shape (p, n)
        Any scale and offset; values of subjects not included are ignored.
    include : array-like of bool, shape (p, n), optional
        Subjects in each marker's models; all by default.
    strata : array-like, shape (n,), optional
        Labels of strata, each with its own baseline hazard.
    covariates : array-like, shape (n,) or (n, c), optional
        In every model.
    covariances : bool
        Whether covariances are wanted, which costs a third more; else they are NaN, and the other numbers
        the same but for rounding.
    limits : float, optional
        Level of profile limits of the interaction and of the treatment effects at `levels`.
    deviance : array-like, shape (p,), optional
        By how much twice the log-likelihood falls at those limits, instead of the level's chi-square quantile.
    levels : sequence of array-like, shape (p,) each
        Values of each marker at which the treatment effect is wanted.
    threads : int
        Threads of this process; the answers are the same for any number.

    Returns
    -------
    InteractionFits

    Raises
    ------
    ValueError
        If shapes do not agree, a value that counts is missing or infinite, or arm is not 0 and 1.
    """
    screen = _SurvivalScreen(time, event, arm, markers, include, strata, covariates)
    return interaction_fits(
        screen,
        covariances=covariances,
        limits=limits,
        deviance=deviance,
        levels=levels,
        threads=threads,
    )


def fit_markers(
    time: ArrayLike,
    event: ArrayLike,
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
    """Fit marker + covariates to every marker, Efron ties; arguments as in `fit_interactions`.

    For the effect of a marker within an arm, of treatment within a level of a marker (the arm being the
    marker and the level `include`), and for studies with one arm.
    """
    screen = _SurvivalScreen(time, event, None, markers, include, strata, covariates)
    return marker_fits(
        screen, covariances=covariances, limits=limits, deviance=deviance, threads=threads
    )
