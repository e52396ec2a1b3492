"""Alterations gained and lost between baseline and progression, within and between arms.

The denominator of every rate is the pairs evaluable at that gene, whatever their baseline:
published rates are of all pairs (O'Leary 2018: RB1 gained in 6 of 127).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from correlatives.binary.contrasts import boschloo_p, fisher_p, mcnemar, rate_difference
from correlatives.binary.logistic import fit_logistic
from correlatives.binary.rates import clopper_pearson
from correlatives.cohort import Cohort
from correlatives.intervals import Interval
from correlatives.multiplicity import benjamini_hochberg
from correlatives.resistance.pairs import Pairs, arm_masks, gene_pairs
from correlatives.time_units import DAYS_A_MONTH

NOT_ESTIMABLE = Interval(np.nan, np.nan, np.nan)

#: Times on treatment shorter than a day count as a day, so that they have a logarithm.
SHORTEST_MONTHS = 1.0 / DAYS_A_MONTH

#: Position of the arm in the model: after the intercept and log(months).
ARM_COLUMN = 2

ACQUIRED_COLUMNS = [
    "level",
    "name",
    "specimen",
    "arm",
    "pairs",
    "evaluable",
    "gained",
    "lost",
    "kept",
    "absent",
    "rate_gained",
    "rate_gained_low",
    "rate_gained_high",
    "p_mcnemar_exact",
    "p_mcnemar_midp",
    "p_mcnemar_corrected",
]

BY_ARM_COLUMNS = [
    "level",
    "name",
    "specimen",
    "gained_control",
    "evaluable_control",
    "gained_experimental",
    "evaluable_experimental",
    "rate_difference",
    "rate_difference_low",
    "rate_difference_high",
    "p_fisher",
    "p_boschloo",
    "p_adjusted",
    "q_value",
]

BY_TIMING_COLUMNS = [
    "level",
    "name",
    "specimen",
    "arm",
    "gained_early",
    "evaluable_early",
    "gained_late",
    "evaluable_late",
    "rate_difference",
    "rate_difference_low",
    "rate_difference_high",
    "p_fisher",
    "p_boschloo",
    "q_value",
]


def acquired(cohort: Cohort, from_: str, to: str, *, at_progression: bool = True) -> pd.DataFrame:
    """Count what each arm's pairs gained, lost, kept and never had: ``resistance/acquired.tsv``.

    Parameters
    ----------
    cohort, from_, to, at_progression
        As `pair_flow` takes them.

    Returns
    -------
    pd.DataFrame
        `pairs` are the arm's subjects with both samples, `evaluable` those of them in whom both can
        be read at the gene = gained + lost + kept + absent. `rate_gained` = gained / evaluable with
        Clopper–Pearson limits. McNemar's test of gained against lost: exact, mid-p and χ² with
        continuity correction, all of them, since published answers depend on which is used. What
        has no evaluable pair has counts and no rate.
    """
    rows = []
    for pair in gene_pairs(cohort, from_, to, at_progression=at_progression):
        for label, mask in arm_masks(cohort):
            n = int((pair.paired & mask).sum())
            counts = _counts(pair, mask)
            for g, (evaluable, gained, lost, kept, absent) in enumerate(counts):
                rate = clopper_pearson(gained, evaluable) if evaluable else NOT_ESTIMABLE
                tests = _mcnemar(gained, lost) if evaluable else (np.nan,) * 3
                rows.append(
                    (
                        *(pair.level[g], pair.name[g], pair.specimen, label),
                        *(n, evaluable, gained, lost, kept, absent),
                        *rate,
                        *tests,
                    )
                )
    return _ordered(rows, ACQUIRED_COLUMNS)


def acquired_by_arm(
    cohort: Cohort, from_: str, to: str, *, at_progression: bool = True
) -> pd.DataFrame:
    """Compare what the two arms gained: ``resistance/acquired_by_arm.tsv``.

    Returns
    -------
    pd.DataFrame
        `rate_difference` is experimental minus control with Miettinen–Nurminen limits. `p_adjusted`
        is the penalised likelihood-ratio test of the arm in a Firth logistic model of gained on arm
        and log(months on treatment at the later sample), since late progressors acquire more: with a
        constant rate of acquisition the log odds of a rare event rise by the log of time. `q_value` is
        Benjamini–Hochberg's over the names gained at least once (seen without the arm) within
        level × specimen (classes of alteration, such as ``RB1 deletion``, apart from whole genes), on
        `p_adjusted`, or on `p_fisher` where no time on treatment is known in the whole specimen. Names gained by nobody have no q-value. Header only for a
        single-arm study.
    """
    if not cohort.randomised:
        return pd.DataFrame(columns=BY_ARM_COLUMNS)
    (_, control), (_, experimental) = arm_masks(cohort)
    rows = []
    for pair in gene_pairs(cohort, from_, to, at_progression=at_progression):
        x_control, n_control = _gained(pair, control)
        x_experimental, n_experimental = _gained(pair, experimental)
        for g in range(len(pair.name)):
            table = (x_control[g], n_control[g], x_experimental[g], n_experimental[g])
            adjusted = adjusted_p(pair.gained[g], experimental, pair.months, pair.evaluable[g])
            rows.append(
                (
                    *(pair.level[g], pair.name[g], pair.specimen),
                    *table,
                    *_difference(*table),
                    *_two_rates(*table),
                    adjusted,
                    np.nan,
                )
            )
    table = _ordered(rows, BY_ARM_COLUMNS)
    if table.empty:
        return table
    seen = table["gained_control"] + table["gained_experimental"] > 0
    table["q_value"] = _q_values(table, ["level", "specimen"], seen, "p_adjusted", "p_fisher")
    return table


def acquired_by_timing(
    cohort: Cohort,
    from_: str,
    to: str,
    early_progression_months: float,
    *,
    at_progression: bool = True,
) -> pd.DataFrame:
    """Compare early with late progressors within each arm: ``resistance/acquired_by_timing.tsv``.

    Parameters
    ----------
    cohort : Cohort
    from_, to : str
        Analysis timepoints.
    early_progression_months : float
        Progression up to and including this time from randomisation is early.
    at_progression : bool
        As in `acquired`.

    Returns
    -------
    pd.DataFrame
        `rate_difference` is late minus early. The time is that of progression; where none is recorded,
        that of the later sample; subjects with neither are in no group. `q_value` is
        Benjamini–Hochberg's of `p_fisher` within level × specimen × arm, over the names gained at least once, classes of
        alteration apart from whole genes.
    """
    rows = []
    for pair in gene_pairs(cohort, from_, to, at_progression=at_progression):
        time = pair.months
        if "progression_months" in cohort.subjects:
            recorded = cohort.subjects["progression_months"].to_numpy(dtype=float)
            time = np.where(np.isnan(recorded), time, recorded)
        with np.errstate(invalid="ignore"):
            early, late = time <= early_progression_months, time > early_progression_months
        for label, mask in arm_masks(cohort):
            x_early, n_early = _gained(pair, mask & early)
            x_late, n_late = _gained(pair, mask & late)
            for g in range(len(pair.name)):
                table = (x_early[g], n_early[g], x_late[g], n_late[g])
                rows.append(
                    (
                        *(pair.level[g], pair.name[g], pair.specimen, label),
                        *table,
                        *_difference(*table),
                        *_two_rates(*table),
                        np.nan,
                    )
                )
    table = _ordered(rows, BY_TIMING_COLUMNS)
    if table.empty:
        return table
    seen = table["gained_early"] + table["gained_late"] > 0
    table["q_value"] = _q_values(table, ["level", "specimen", "arm"], seen, "p_fisher")
    return table


def adjusted_p(
    gained: np.ndarray, experimental: np.ndarray, months: np.ndarray, include: np.ndarray
) -> float:
    """Test the arm's effect on acquisition, adjusted for time on treatment.

    Firth's penalised logistic regression of `gained` on arm and log(months); the penalised
    likelihood ratio of the arm keeps the whole model's penalty in the smaller model.

    Parameters
    ----------
    gained, experimental, include : np.ndarray of bool, shape (n,)
        Outcome; arm; whether the pair is evaluable.
    months : np.ndarray of float, shape (n,)
        Time on treatment at the later sample. Subjects without it are left out.

    Returns
    -------
    float
        NaN without a time, with one arm only, and where the fit did not converge; 1 where nobody (or
        everybody) gained: then the data say nothing of the arm.

    References
    ----------
    Heinze G, Schemper M. Statistics in Medicine 2002;21:2409-2419.
    """
    use = include & np.isfinite(months)
    y, arm = gained[use].astype(float), experimental[use].astype(float)
    if not use.any() or arm.min() == arm.max():
        return np.nan
    if y.min() == y.max():
        return 1.0
    log_months = np.log(np.maximum(months[use], SHORTEST_MONTHS))
    fit = fit_logistic(y, np.column_stack([log_months, arm]), firth=True)
    # Without any spread of times the arm alone is left: the engine sets the constant column aside.
    return fit.test(ARM_COLUMN).p if fit.converged else np.nan


def _counts(pair: Pairs, mask: np.ndarray) -> np.ndarray:
    """Count evaluable, gained, lost, kept and absent of the subjects in the mask: int, shape (g, 5)."""
    outcomes = (pair.evaluable, pair.gained, pair.lost, pair.kept, pair.absent)
    return np.column_stack([outcome[:, mask].sum(axis=1) for outcome in outcomes]).astype(int)


def _gained(pair: Pairs, mask: np.ndarray) -> tuple[list[int], list[int]]:
    """Count gained and evaluable, a gene at a time."""
    counts = _counts(pair, mask)
    return counts[:, 1].tolist(), counts[:, 0].tolist()


@lru_cache(maxsize=4096)
def _mcnemar(gained: int, lost: int) -> tuple[float, float, float]:
    return tuple(float(p) for p in mcnemar(gained, lost))


@lru_cache(maxsize=4096)
def _difference(x_first: int, n_first: int, x_second: int, n_second: int) -> Interval:
    """Second rate minus first."""
    if not n_first or not n_second:
        return NOT_ESTIMABLE
    return rate_difference([x_first, x_second], [n_first, n_second])


@lru_cache(maxsize=4096)
def _two_rates(x_first: int, n_first: int, x_second: int, n_second: int) -> tuple[float, float]:
    """Fisher's and Boschloo's two-sided p; 1 where nobody or everybody gained."""
    if not n_first or not n_second:
        return np.nan, np.nan
    total = x_first + x_second
    if total in (0, n_first + n_second):
        return 1.0, 1.0
    responders, totals = [x_first, x_second], [n_first, n_second]
    return float(fisher_p(responders, totals)), float(boschloo_p(responders, totals))


def _q_values(table: pd.DataFrame, family: list[str], seen: pd.Series, *columns: str) -> np.ndarray:
    """Adjust the first of the columns that has a p-value in the family, among the names seen.

    A class of alteration (RB1 deletion) is a part of its gene's row: the classes are a family of their own.
    """
    q = np.full(len(table), np.nan)
    of_class = (table["level"].eq("gene") & table["name"].str.contains(" ")).rename("_class")
    groups = [table[column] for column in family]
    for rows in table.groupby([*groups, of_class], sort=False).indices.values():
        members = rows[seen.to_numpy()[rows]]
        for column in columns:
            p = table[column].to_numpy(dtype=float)[members]
            if np.isfinite(p).any():
                q[members] = benjamini_hochberg(p)
                break
    return q


def _ordered(rows: list[tuple], columns: list[str]) -> pd.DataFrame:
    """Make a table with pathways before genes, otherwise in the order of the rows."""
    table = pd.DataFrame(rows, columns=columns)
    if table.empty:
        return table
    first = table["level"].map({"pathway": 0, "gene": 1}).to_numpy()
    return table.iloc[np.argsort(first, kind="stable")].reset_index(drop=True)
