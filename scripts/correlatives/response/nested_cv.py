"""Repeated nested cross-validation of penalised models and a tree ensemble.

An outer loop judges, an inner loop tunes. Imputation, scaling, selection and the penalty are learnt
anew from every training set. A repeat depends on the seed and its own number only, so repeats may be
computed in any order and in any number of jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from correlatives.response.baseline import baseline_hazard, survival_at
from correlatives.response.coordinate_descent import fit_path, held_out_losses
from correlatives.response.elastic_net import L1_RATIO, Outcome, strongest_penalty
from correlatives.response.forest import grown
from correlatives.response.models import ELASTIC_NET, FOREST, Model
from correlatives.response.preparation import Learnt, Preparation

#: Penalties tried, as shares of the smallest one that leaves no coefficient in the training set.
PENALTIES = np.geomspace(0.95, 0.025, 15)

#: Penalty of a clinical column beside biomarkers, as a share of a biomarker's: with one penalty for all, thousands of
#: biomarkers that know nothing drown a few clinical factors that do (Boulesteix et al., Computational and Mathematical
#: Methods in Medicine 2017:7691937). See docs/response_calibration.md for what it changes.
CLINICAL_PENALTY = 0.25

#: Penalties tried before it is asked whether smaller ones are worth it.
TRIED = 3

#: Precision of a fit; see `coordinate_descent.fit_path`.
TOLERANCE = 1e-8


def deal(groups: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Deal subjects to folds, each group (arm × outcome) as evenly as it goes.

    The deal goes on where the last group stopped, so that the folds' sizes differ by at most one.

    Parameters
    ----------
    groups : np.ndarray of int, shape (n,)
        Group of each subject.
    folds : int
        Number of folds.
    rng : np.random.Generator
        Source of chance.

    Returns
    -------
    np.ndarray of int, shape (n,)
        0-based fold.
    """
    fold = np.empty(len(groups), dtype=int)
    dealt = 0
    for group in np.unique(groups):
        members = rng.permutation(np.flatnonzero(groups == group))
        fold[members] = (dealt + np.arange(len(members))) % folds
        dealt += len(members)
    return fold


@dataclass(frozen=True)
class TrainingSets:
    """Training sets, each split again for tuning.

    Attributes
    ----------
    training : np.ndarray of bool, shape (sets, n)
        From which a model is learnt.
    inner, validation : np.ndarray of bool, shape (sets × folds, n)
        Its parts for tuning: learnt from, and judged on; the folds of the first set come first.
    """

    training: np.ndarray
    inner: np.ndarray
    validation: np.ndarray


def inner_folds(
    training: np.ndarray, groups: np.ndarray, folds: int, rng: np.random.Generator
) -> TrainingSets:
    """Split each training set for tuning, balanced over the groups."""
    inner, validation = [], []
    for rows in training:
        inside = np.flatnonzero(rows)
        fold = np.full(len(groups), -1)
        fold[inside] = deal(groups[inside], folds, rng)
        for number in range(folds):
            inner.append(rows & (fold != number))
            validation.append(fold == number)
    return TrainingSets(training, np.stack(inner), np.stack(validation))


@dataclass(frozen=True)
class Tuned:
    """A penalised model of each training set, at the penalty that its inner folds chose.

    Attributes
    ----------
    linear : np.ndarray, shape (sets, n)
        Linear predictor of every subject, those outside the training set too.
    intercept : np.ndarray, shape (sets,)
        0 in a Cox model.
    coefficient : np.ndarray, shape (sets, k)
        Of the standardised columns; k is the largest number chosen in any set.
    chosen : np.ndarray of int, shape (sets, k)
        Which columns of the design these are, -1 where a set has fewer.
    penalty : np.ndarray, shape (sets,)
    """

    linear: np.ndarray
    intercept: np.ndarray
    coefficient: np.ndarray
    chosen: np.ndarray
    penalty: np.ndarray


def learn_all(preparation: Preparation, outcome: Outcome, rows: np.ndarray) -> list[Learnt]:
    """Learn from every training set (sets, n)."""
    learnt = []
    for training in rows:
        residual = np.zeros(len(training))
        residual[training] = outcome.of(training).null_residual()
        learnt.append(preparation.learn(training, residual))
    return learnt


def tuned(
    preparation: Preparation,
    outcome: Outcome,
    sets: TrainingSets,
    *,
    members: np.ndarray | None = None,
    learnt: Sequence[Learnt] | None = None,
) -> Tuned:
    """Learn imputation, scaling, selection, penalty and coefficients from each training set.

    Parameters
    ----------
    preparation : Preparation
        Candidate predictors.
    outcome : Outcome
        What is predicted.
    sets : TrainingSets
    members : np.ndarray of bool, shape (p,), optional
        Candidates of this model; by default all columns of the design.
    learnt : sequence of Learnt, optional
        Of ``sets.training`` and then ``sets.inner``, where several models share them.

    Returns
    -------
    Tuned

    Notes
    -----
    The penalty is that with the smallest held-out loss; see `coordinate_descent.held_out_losses`.
    """
    count, n = sets.training.shape
    folds = len(sets.inner) // count
    if learnt is None:
        learnt = learn_all(preparation, outcome, np.concatenate([sets.training, sets.inner]))
    order = outcome.order()
    linear, intercepts, penalty = np.empty((count, n)), np.zeros(count), np.empty(count)
    coefficients, chosen = [], []
    for s in range(count):
        rows = order[sets.training[s][order]]
        fit = _Main(preparation, outcome, learnt[s], members, rows, sets.training[s])
        path = fit.penalties()
        inner = [
            _Main(preparation, outcome, learnt[count + i], members, rows, sets.inner[i])
            for i in range(s * folds, (s + 1) * folds)
        ]
        best = best_penalty(inner, path)
        used = fit.at(path[: best + 1])
        everyone = preparation.filled(learnt[s], fit.chosen, np.arange(n))
        if not outcome.survival:
            intercepts[s], used = used[-1], used[:-1]
        linear[s] = used @ everyone + intercepts[s]
        penalty[s] = path[best]
        coefficients.append(used)
        chosen.append(fit.chosen)
    width = max(map(len, chosen), default=0)
    return Tuned(
        linear,
        intercepts,
        np.stack([np.pad(b, (0, width - len(b))) for b in coefficients]),
        np.stack([np.pad(c, (0, width - len(c)), constant_values=-1) for c in chosen]),
        penalty,
    )


def best_penalty(inner: Sequence[Fit], path: np.ndarray) -> int:
    """Return which penalty has the smallest held-out loss.

    Penalties are tried a few at a time, and no smaller ones where all of the last few were worse than the best: they
    would only fit noise more closely, and cost the most.
    """
    held = np.full(len(path), np.inf)
    for first in range(0, len(path), TRIED):
        some = slice(first, first + TRIED)
        losses = sum(fit.held_out(fit.along(path[some])) for fit in inner)
        held[some] = np.where(np.isfinite(losses), losses, np.inf)
        best = int(np.argmin(held))
        if best < first:
            break
    return best


class Fit:
    """Fits of one training set along a path of penalties.

    Parameters
    ----------
    columns : np.ndarray, shape (k, n)
        Of all rows, in the order of ``outcome.order()``, an intercept (a row of ones) among them for a response.
    factor : np.ndarray, shape (k,)
        Multiplies the penalty of each column.
    outcome : Outcome
        Of all rows.
    inside : np.ndarray of bool, shape (n,)
        Rows to learn from.
    """

    def __init__(
        self, columns: np.ndarray, factor: np.ndarray, outcome: Outcome, inside: np.ndarray
    ) -> None:
        self._inside, self._factor = inside, factor
        self._everyone = self._arguments = (
            outcome.family,
            columns,
            outcome.event,
            *outcome.ends(),
        )
        if not inside.all():
            inner = outcome.of(inside)
            self._arguments = (
                outcome.family,
                np.compress(inside, columns, axis=1),
                inner.event,
                *inner.ends(),
            )
        self._start = np.zeros(len(columns))

    def penalties(self) -> np.ndarray:
        """Return the penalties to try."""
        largest = strongest_penalty(self._arguments, L1_RATIO, self._factor)
        return max(largest, 1e-8) * PENALTIES

    def along(self, penalties: np.ndarray) -> np.ndarray:
        """Return coefficients (L, k), for a response with the intercept as the last; goes on from the last call.

        NaN from the first penalty on whose fit did not come to an end.
        """
        if not len(self._factor):
            return np.zeros((len(penalties), 0))
        beta, loglik = fit_path(
            *self._arguments, penalties, L1_RATIO, self._factor, TOLERANCE, False, self._start
        )
        done = np.flatnonzero(np.isfinite(loglik))
        if len(done):
            self._start = beta[done[-1]]
        return beta

    def at(self, penalties: np.ndarray) -> np.ndarray:
        """Return the coefficients (k,) at the last penalty whose fit came to an end.

        Raises
        ------
        ArithmeticError
            If none did.
        """
        done = self.along(penalties)
        done = done[np.isfinite(done).all(axis=1)]
        if not len(done):
            raise ArithmeticError("a penalised model has no finite solution")
        return done[-1]

    def held_out(self, beta: np.ndarray) -> np.ndarray:
        """Return the held-out loss (L,) of the rows outside the training set."""
        return held_out_losses(*self._everyone, self._inside, beta)


class _Main(Fit):
    """A model of the columns chosen from one training set."""

    def __init__(
        self,
        preparation: Preparation,
        outcome: Outcome,
        learnt: Learnt,
        members: np.ndarray | None,
        rows: np.ndarray,
        training: np.ndarray,
    ) -> None:
        self.chosen = preparation.choose(learnt, members)
        columns = preparation.filled(learnt, self.chosen, rows)
        clinical = preparation.design.always[self.chosen]
        factor = np.where(clinical & ~clinical.all(), CLINICAL_PENALTY, 1.0)
        if not outcome.survival:
            columns = np.vstack([columns, np.ones(len(rows))])
            factor = np.append(factor, 0.0)
        super().__init__(columns, factor, outcome.of(rows), training[rows])


@dataclass(frozen=True)
class Repeat:
    """Out-of-fold predictions of one repeat.

    Attributes
    ----------
    fold : np.ndarray of int, shape (n,)
        Fold in which the subject was held out, from 0.
    predictor : dict of str to np.ndarray, shape (n,)
        Model -> predictor of each subject while held out: log odds, or log hazard relative
        to the mean training subject; see `forest.grown` for forests.
    probability : dict of str to np.ndarray, shape (n,)
        Model -> probability of the response, or of the event until the horizon.
    coefficients : list of tuple
        Of penalised models: name, fold, column of the design, coefficient per standard deviation.
    """

    fold: np.ndarray
    predictor: dict[str, np.ndarray]
    probability: dict[str, np.ndarray]
    coefficients: list[tuple[str, int, int, float]]


def resample(
    preparation: Preparation,
    models: Sequence[Model],
    outcome: Outcome,
    groups: np.ndarray,
    *,
    seed: Sequence[int],
    folds: int = 5,
    months: float = float("nan"),
) -> Repeat:
    """Run one repeat of nested cross-validation for every model on the same folds.

    Parameters
    ----------
    preparation : Preparation
        Candidate predictors.
    models : sequence of Model
        Models to judge.
    outcome : Outcome
        What is predicted.
    groups : np.ndarray of int, shape (n,)
        Folds are balanced over these groups (arm × outcome).
    seed : sequence of int
        Of this repeat.
    folds : int
        Outer folds, and inner folds of every outer training set.
    months : float
        Until when risks of an event are predicted.

    Returns
    -------
    Repeat
        Predictions of each subject by models that never saw it.
    """
    rng = np.random.default_rng(np.random.SeedSequence(list(seed)))
    fold = deal(groups, folds, rng)
    sets = inner_folds(np.stack([fold != f for f in range(folds)]), groups, folds, rng)
    seeds = rng.integers(2**31, size=folds)
    tuning = any(model.learner == ELASTIC_NET for model in models)
    rows = np.concatenate([sets.training, sets.inner]) if tuning else sets.training
    learnt = learn_all(preparation, outcome, rows)
    everyone = np.arange(len(groups))
    predictor, probability, coefficients = {}, {}, []
    for model in models:
        if model.learner == FOREST:
            pair = np.empty((2, len(groups)))
            for f in range(folds):
                chosen = preparation.choose(learnt[f], model.members)
                inside, held = np.flatnonzero(fold != f), np.flatnonzero(fold == f)
                pair[:, held] = grown(
                    preparation.filled(learnt[f], chosen, inside).T,
                    outcome.of(inside),
                    preparation.filled(learnt[f], chosen, held).T,
                    months,
                    int(seeds[f]),
                )
            predictor[model.name], probability[model.name] = pair
            continue
        fits = tuned(preparation, outcome, sets, members=model.members, learnt=learnt)
        own = fits.linear[fold, everyone]
        predictor[model.name] = own
        if outcome.survival:
            risk = np.empty(len(groups))
            for f in range(folds):
                inside, held = fold != f, fold == f
                baseline = baseline_hazard(
                    outcome.time[inside], outcome.event[inside], fits.linear[f][inside]
                )
                risk[held] = 1.0 - survival_at(months, baseline, own[held])
            probability[model.name] = risk
        else:
            probability[model.name] = 0.5 * (1.0 + np.tanh(0.5 * own))
        for f in range(folds):
            for place in np.flatnonzero(fits.coefficient[f]):
                coefficients.append(
                    (
                        model.name,
                        f,
                        int(fits.chosen[f, place]),
                        float(fits.coefficient[f, place]),
                    )
                )
    return Repeat(fold, predictor, probability, coefficients)


def permuted_within(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the rows in an order that permutes them within groups."""
    order = np.arange(len(groups))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        order[members] = rng.permutation(members)
    return order
