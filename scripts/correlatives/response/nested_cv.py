"""Repeated nested cross-validation of penalised models.

An outer loop judges, an inner loop tunes. Imputation, scaling, selection and the penalty are learnt
anew from every training set. A repeat depends on the seed and its own number only, so repeats may be
computed in any order and in any number of jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from correlatives.response.elastic_net import (
    CoxLoss,
    LogisticLoss,
    fit_paths,
    strongest_penalty,
)
from correlatives.response.preparation import Design, Preparation

#: Penalties tried, as shares of the smallest one that leaves no coefficient in the training set.
PENALTIES = np.geomspace(0.95, 0.05, 10)


@dataclass(frozen=True)
class Repeat:
    """Out-of-fold predictions of one repeat.

    Attributes
    ----------
    fold : np.ndarray of int, shape (n,)
        Fold in which the subject was held out.
    predictor : dict of str to np.ndarray, shape (n,)
        Model -> linear predictor of each subject while held out: log odds, or log hazard relative
        to the mean training subject.
    size : dict of str to np.ndarray, shape (folds,)
        Model -> number of predictors with a coefficient in each outer fold.
    training : np.ndarray of bool, shape (folds, n)
        Training rows of each outer fold.
    """

    fold: np.ndarray
    predictor: dict[str, np.ndarray]
    size: dict[str, np.ndarray]
    training: np.ndarray


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


def _null_residual(loss: LogisticLoss | CoxLoss, weight: np.ndarray) -> np.ndarray:
    """Residual of the model without predictors, per training row."""
    n = weight.shape[1]
    start = np.repeat(loss.start(weight)[:, None, None], n, axis=1)
    return -loss.slope(start, weight)[:, :, 0]


def resample(
    designs: dict[str, Preparation],
    loss: LogisticLoss | CoxLoss,
    groups: np.ndarray,
    *,
    seed: int,
    repeat: int,
    folds: int = 5,
) -> Repeat:
    """Run one repeat of nested cross-validation for every model on the same folds.

    Parameters
    ----------
    designs : dict of str to Preparation
        Model -> its candidate predictors.
    loss : LogisticLoss or CoxLoss
        The outcome.
    groups : np.ndarray of int, shape (n,)
        Folds are balanced over these groups (arm × outcome).
    seed, repeat : int
        Seed of the analysis and 0-based number of the repeat.
    folds : int
        Outer folds, and inner folds of every outer training set.

    Returns
    -------
    Repeat
        Predictions of each subject by models that never saw it.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, repeat]))
    fold = deal(groups, folds, rng)
    sets = inner_folds(np.stack([fold != f for f in range(folds)]), groups, folds, rng)
    fits = {model: tuned(preparation, loss, sets) for model, preparation in designs.items()}
    return Repeat(
        fold,
        {model: fit.linear[fold, np.arange(len(groups))] for model, fit in fits.items()},
        {model: (fit.coefficient != 0).sum(axis=1) for model, fit in fits.items()},
        sets.training,
    )


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
        Of the standardised columns.
    chosen : np.ndarray of int, shape (sets, k)
        Which columns of the design these are, -1 for one without information.
    penalty : np.ndarray, shape (sets,)
    """

    linear: np.ndarray
    intercept: np.ndarray
    coefficient: np.ndarray
    chosen: np.ndarray
    penalty: np.ndarray


def tuned(preparation: Preparation, loss: LogisticLoss | CoxLoss, sets: TrainingSets) -> Tuned:
    """Learn imputation, scaling, selection, penalty and coefficients from each training set.

    Parameters
    ----------
    preparation : Preparation
        Candidate predictors.
    loss : LogisticLoss or CoxLoss
        The outcome.
    sets : TrainingSets

    Returns
    -------
    Tuned
    """
    count = len(sets.training)
    folds = len(sets.inner) // count
    rows = np.concatenate([sets.training, sets.inner])
    weight = rows.astype(float)
    residual = _null_residual(loss, weight)
    columns, chosen = preparation.columns(rows, residual)
    null_gradient = np.einsum("snk,sn->sk", columns, residual, optimize=True)
    strongest = strongest_penalty(null_gradient[:count])
    path = np.maximum(strongest, 1e-8)[:, None] * PENALTIES
    penalties = np.concatenate([path, np.repeat(path, folds, axis=0)])
    intercept, beta = fit_paths(columns, weight, loss, penalties)
    linear = columns @ beta + intercept[:, None, :]
    held = _held_out_loss(loss, linear[count:], sets.inner, sets.validation, folds)
    best = np.argmin(held, axis=1)
    which = np.arange(count)
    return Tuned(
        linear[which, :, best],
        intercept[which, best],
        beta[which, :, best],
        chosen[:count],
        path[which, best],
    )


def _held_out_loss(
    loss: LogisticLoss | CoxLoss,
    linear: np.ndarray,
    training: np.ndarray,
    validation: np.ndarray,
    folds: int,
) -> np.ndarray:
    """Held-out loss of each outer fold and penalty, summed over its inner folds.

    Cox: the partial likelihood of everyone less that of the training rows (Verweij & van
    Houwelingen, Statistics in Medicine 1993;12:2305-2314), since the held-out rows alone have hardly
    a risk set.
    """
    if isinstance(loss, CoxLoss):
        both = (training | validation).astype(float)
        inside = training.astype(float)
        held = loss.value(linear, both) * both.sum(axis=1)[:, None]
        held -= loss.value(linear, inside) * inside.sum(axis=1)[:, None]
    else:
        outside = validation.astype(float)
        held = loss.value(linear, outside) * outside.sum(axis=1)[:, None]
    return held.reshape(-1, folds, held.shape[1]).sum(axis=1)


def repeats_of(
    designs: dict[str, Design],
    loss: LogisticLoss | CoxLoss,
    groups: np.ndarray,
    *,
    seed: int,
    numbers: Sequence[int],
    folds: int = 5,
) -> list[Repeat]:
    """Run some repeats; see `resample`."""
    prepared = {model: Preparation(design) for model, design in designs.items()}
    return [
        resample(prepared, loss, groups, seed=seed, repeat=number, folds=folds)
        for number in numbers
    ]
