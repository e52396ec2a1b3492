"""What is learnt from a training set before a model: imputation, scaling, selection.

Everything here is computed from the rows of a training set and applied to all rows, so that nothing
of a held-out subject reaches the model that predicts it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from correlatives.response.training_sets import fill, learn

#: Markers kept for a model: those with the largest univariate score in the training set.
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
    domains : dict of str to np.ndarray of bool, shape (p,)
        Domain of the specimen (blood, tissue) -> its columns, indicators included.
    """

    names: list[str]
    value: np.ndarray
    discrete: np.ndarray
    always: np.ndarray
    domains: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Learnt:
    """What a training set says of every column of a design.

    Attributes
    ----------
    median, centre, scale : np.ndarray, shape (p,)
        A missing value becomes `median` (discrete columns: the lower of two middle values), a value x becomes
        (x − centre) / scale; scale is 0 where the column has no information.
    strength : np.ndarray, shape (p,)
        Size of the univariate score, -1 where the column has no information.
    """

    median: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    strength: np.ndarray


class Preparation:
    """Imputes, scales and selects columns.

    Parameters
    ----------
    design : Design
        Candidate predictors.
    selected : int
        Columns kept besides those that always stay.
    """

    def __init__(self, design: Design, *, selected: int = SELECTED) -> None:
        value = np.ascontiguousarray(design.value.T, dtype=float)
        self.design = design
        self.selected = selected
        self._value = value
        # NaN sorts last, so that a column's known values come first
        self._order = np.argsort(value, axis=1, kind="stable").astype(np.int32)
        ordered = np.take_along_axis(value, self._order, axis=1)
        known = np.isfinite(value).sum(axis=1)
        self._complete = known == value.shape[1]
        self._lowest, self._gap = np.zeros(len(value)), np.zeros(len(value))
        for j in range(len(value)):
            inside = ordered[j, : known[j]]
            if len(inside):
                steps = np.count_nonzero(np.diff(inside))
                self._lowest[j] = inside[0]
                self._gap[j] = inside[-1] - inside[0] if steps == 1 else 0.0

    @property
    def columns(self) -> int:
        """Number of candidate columns."""
        return len(self._value)

    def learn(
        self, training: np.ndarray, residual: np.ndarray, *, everywhere: bool = False
    ) -> Learnt:
        """Learn from one training set.

        Parameters
        ----------
        training : np.ndarray of bool, shape (n,)
            Rows from which to learn.
        residual : np.ndarray, shape (n,)
            Residual of the model without predictors, zero outside the training rows: the outcome as
            the univariate selection sees it.
        everywhere : bool
            Medians of columns too in which no subject of the design misses a value; else 0 stands there.
        """
        needless = self._complete & (not everywhere)
        median, centre, scale, score = learn(
            self._value, self._order, training, residual, self.design.discrete, needless
        )
        # rounding leaves a constant column a spread of about 1e-16 of its size
        informative = scale > 1e-12 * (1.0 + np.abs(centre))
        two_valued = self._gap > 0
        share = (centre - self._lowest) / np.where(two_valued, self._gap, 1.0)
        rare = two_valued & (np.minimum(share, 1.0 - share) < LEAST_SHARE)
        informative &= ~rare | self.design.always
        strength = np.where(informative, np.abs(score) / np.where(informative, scale, 1.0), -1.0)
        return Learnt(median, centre, np.where(informative, scale, 0.0), strength)

    def choose(self, learnt: Learnt, members: np.ndarray | None = None) -> np.ndarray:
        """Return the columns kept, those that always stay first, then by falling strength.

        Parameters
        ----------
        learnt : Learnt
        members : np.ndarray of bool, shape (p,), optional
            Columns from which to choose; by default all.
        """
        candidates = np.flatnonzero((learnt.scale > 0) & (True if members is None else members))
        stays = self.design.always[candidates]
        rest = candidates[~stays]
        order = np.argsort(-learnt.strength[rest], kind="stable")[: self.selected]
        return np.concatenate([candidates[stays], rest[order]])

    def filled(self, learnt: Learnt, chosen: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return imputed and standardised columns (k, rows) of some subjects."""
        return fill(self._value, learnt.median, learnt.centre, learnt.scale, chosen, rows)

    def constants(
        self, training: np.ndarray, chosen: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what is done to some columns under one training set.

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
        learnt = self.learn(training, np.zeros(len(training)), everywhere=True)
        return learnt.median[chosen], learnt.centre[chosen], learnt.scale[chosen]
