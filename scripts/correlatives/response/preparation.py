"""What is learnt from a training set before a model: imputation, scaling, selection.

Everything here is computed from the rows of a training set and applied to all rows, so that nothing
of a held-out subject reaches the model that predicts it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Markers kept for the elastic net: those with the largest univariate score in the training set.
SELECTED = 100

#: A column in which fewer than this share of the training subjects differ from the rest says nothing.
LEAST_SHARE = 0.05


@dataclass(frozen=True)
class Design:
    """Candidate predictors of all subjects, before anything is learnt.

    Attributes
    ----------
    names : list of str, length p
        ``specimen:biomarker``, ``clinical:column`` or ``missing:…``.
    value : np.ndarray, shape (n, p)
        On the transformed scale; NaN where missing.
    discrete : np.ndarray of bool, shape (p,)
        Binary, ordinal and indicator columns: imputed by a value that occurs.
    always : np.ndarray of bool, shape (p,)
        Columns that no selection drops (clinical).
    parameters : int
        Candidate parameters, indicators of missing values not counted.
    """

    names: list[str]
    value: np.ndarray
    discrete: np.ndarray
    always: np.ndarray
    parameters: int

    def only(self, keep: np.ndarray, parameters: int) -> Design:
        """Return the columns that a mask keeps."""
        names = [name for name, kept in zip(self.names, keep, strict=True) if kept]
        return Design(
            names, self.value[:, keep], self.discrete[keep], self.always[keep], parameters
        )


class Preparation:
    """Imputes, scales and selects columns, for many training sets at once.

    Parameters
    ----------
    design : Design
        Candidate predictors.
    selected : int
        Columns kept besides those that always stay.

    Notes
    -----
    Columns are centred and scaled once over all subjects for numerical accuracy only: every training
    set standardises them again, which undoes any such shift and scale exactly.
    """

    def __init__(self, design: Design, *, selected: int = SELECTED) -> None:
        value = design.value
        known = np.isfinite(value)
        filled = np.where(known, value, 0.0)
        count = np.maximum(known.sum(axis=0), 1)
        centre = filled.sum(axis=0) / count
        spread = np.sqrt((np.where(known, value - centre, 0.0) ** 2).sum(axis=0) / count)
        self._spread = np.where(spread > 1e-12 * (1.0 + np.abs(centre)), spread, 0.0)
        divisor = np.where(self._spread > 0, self._spread, 1.0)
        self._given, self._centre, self._divisor = value, centre, divisor
        self._value = np.where(known, (filled - centre) / divisor, 0.0)
        self._square = self._value**2
        self._known = known.astype(float)
        sortable = np.where(known, self._value, np.inf)
        self._order = np.argsort(sortable, axis=0, kind="stable")
        self._sorted = np.take_along_axis(self._value, self._order, axis=0)
        self._known_sorted = np.take_along_axis(known, self._order, axis=0)
        self._two_valued = np.array(
            [len(np.unique(value[known[:, j], j])) <= 2 for j in range(value.shape[1])], dtype=bool
        )
        self._lowest = np.where(known.any(axis=0), self._sorted[0] if len(value) else 0.0, 0.0)
        self._discrete = design.discrete
        self._always = design.always
        self.width = min(
            int(design.always.sum()) + selected,
            value.shape[1],
        )

    def _medians(self, training: np.ndarray) -> np.ndarray:
        """Median of the known training values of each column; discrete columns: the lower of two."""
        inside = training[self._order] & self._known_sorted
        rank = np.cumsum(inside, axis=0, dtype=np.int32)
        total = rank[-1]
        lower = np.argmax(rank >= np.maximum((total + 1) // 2, 1), axis=0)
        upper = np.argmax(rank >= np.maximum(total // 2 + 1, 1), axis=0)
        column = np.arange(rank.shape[1])
        low, high = self._sorted[lower, column], self._sorted[upper, column]
        median = np.where(self._discrete, low, 0.5 * (low + high))
        return np.where(total > 0, median, 0.0)

    def columns(self, training: np.ndarray, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Standardised columns chosen from each training set.

        Parameters
        ----------
        training : np.ndarray of bool, shape (sets, n)
            Rows from which to learn.
        residual : np.ndarray, shape (sets, n)
            Residual of the model without predictors, zero outside the training rows: the outcome as
            the univariate selection sees it.

        Returns
        -------
        columns : np.ndarray, shape (sets, n, width)
            Zero where a column has no information in the training set.
        chosen : np.ndarray of int, shape (sets, width)
            Which columns of the design, -1 for those without information.
        """
        sets, n = training.shape
        weight = training.astype(float)
        rows = weight.sum(axis=1)[:, None]
        median = np.stack([self._medians(mask) for mask in training])
        known = weight @ self._known
        mean = (weight @ self._value + (rows - known) * median) / rows
        square = (weight @ self._square + (rows - known) * median**2) / rows
        variance = np.maximum(square - mean**2, 0.0)
        score = residual @ self._value + (residual @ (1.0 - self._known)) * median
        informative = (self._spread > 0) & (variance > 1e-8)
        # a two-valued column on its own scale is lowest or lowest + gap: the mean gives the share
        gap = np.where(self._two_valued, self._sorted_highest() - self._lowest, 1.0)
        share = (mean - self._lowest) / np.where(gap > 0, gap, 1.0)
        rare = self._two_valued & (np.minimum(share, 1.0 - share) < LEAST_SHARE)
        informative &= ~rare | (self._always & (variance > 1e-8))
        strength = np.where(
            informative,
            np.abs(score - residual.sum(axis=1)[:, None] * mean)
            / np.sqrt(np.where(variance > 0, variance, 1.0)),
            -1.0,
        )
        strength = np.where(informative & self._always, np.inf, strength)
        chosen = np.argsort(-strength, axis=1, kind="stable")[:, : self.width]
        columns = np.empty((sets, n, self.width))
        for s in range(sets):
            pick = chosen[s]
            imputed = np.where(self._known[:, pick] > 0, self._value[:, pick], median[s, pick])
            spread = np.sqrt(np.where(informative[s, pick], variance[s, pick], 1.0))
            columns[s] = np.where(informative[s, pick], (imputed - mean[s, pick]) / spread, 0.0)
        chosen = np.where(np.take_along_axis(informative, chosen, axis=1), chosen, -1)
        return columns, chosen

    def constants(
        self, training: np.ndarray, chosen: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what `columns` does to some columns under one training set, on the design's own scale.

        Parameters
        ----------
        training : np.ndarray of bool, shape (n,)
        chosen : np.ndarray of int, shape (k,)
            Columns of the design that have information in the training set.

        Returns
        -------
        imputed, centre, scale : np.ndarray, shape (k,)
            A missing value becomes `imputed`; a value x becomes (x - centre) / scale.
        """
        rows = training.astype(float)
        known = self._known[:, chosen] * rows[:, None]
        median = self._medians(training)[chosen]
        filled = np.where(known > 0, self._value[:, chosen], median)[training]
        imputed = median * self._divisor[chosen] + self._centre[chosen]
        for place, column in enumerate(chosen):
            # a value that occurs is written as it is, not as what scaling back and forth left of it
            given = self._given[training, column]
            given = given[np.isfinite(given)]
            nearest = given[np.argmin(np.abs(given - imputed[place]))]
            if abs(nearest - imputed[place]) <= 1e-9 * self._divisor[column]:
                imputed[place] = nearest
        centre = filled.mean(axis=0) * self._divisor[chosen] + self._centre[chosen]
        return imputed, centre, filled.std(axis=0) * self._divisor[chosen]

    def _sorted_highest(self) -> np.ndarray:
        return np.where(self._known > 0, self._value, -np.inf).max(axis=0, initial=-1e300)
