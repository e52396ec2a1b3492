"""What contradicts itself across tables: batches confounded with arm, pairs that share nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from correlatives.tables.problems import Problems
from correlatives.tables.words import words

#: Batches are called confounded with arm at a p under this (Fisher for two batches, else chi-squared) ...
CONFOUNDED_P = 0.001

#: ... or if no batch holds both arms, with at least this many subjects in each of two batches.
BATCH_OF_ONE_ARM = 3


def check_batches(
    runs: pd.DataFrame, code: np.ndarray, arms: dict[str, str], problems: Problems
) -> None:
    """Warn of batches confounded with arm (``batch_confounded_with_arm``), an assay × specimen × timepoint.

    Parameters
    ----------
    runs : pd.DataFrame
        Runs of the cohort: subject (position), specimen, analysis, assay, batch.
    code : np.ndarray of float, shape (n,)
        Arm of each subject, 0 or 1.
    """
    batch = words(runs["batch"])
    part = runs.assign(batch=batch, arm=code[runs["subject"].to_numpy(dtype=np.int64)])
    part = part[(batch != "") & (words(runs["analysis"]) != "")]
    part = part.drop_duplicates(["subject", "specimen", "analysis", "assay", "batch"])
    for place, group in part.groupby(["assay", "specimen", "analysis"], sort=True, dropna=False):
        counts = pd.crosstab(group["batch"], group["arm"])
        if counts.shape[0] < 2 or counts.shape[1] < 2:
            continue
        table = counts.to_numpy()
        alone = (table == 0).any(axis=1)
        separate = bool(alone.all()) and (table.sum(axis=1) >= BATCH_OF_ONE_ARM).sum() >= 2
        p = _association(table)
        if not separate and p >= CONFOUNDED_P:
            continue
        assay, specimen, timepoint = (str(value) for value in place)
        shown = "; ".join(
            f"{name}: {row[0]} {arms['control']}, {row[1]} {arms['experimental']}"
            for name, row in zip(counts.index, table, strict=True)
        )
        problems.add(
            "batch_confounded_with_arm",
            f"Batches of {assay or 'the assay'} ({specimen}, {timepoint}) go with the arm "
            f"({'no batch holds both' if separate else f'p = {p:.2g}'}): {shown[:300]}. A difference between arms "
            "cannot be told from one between batches.",
            table="runs",
            column="batch",
            value=assay,
        )


def _association(table: np.ndarray) -> float:
    """Return p of batch × arm: Fisher's exact for two batches, else the chi-squared test."""
    from scipy import stats

    if table.shape == (2, 2):
        return float(stats.fisher_exact(table)[1])
    return float(stats.chi2_contingency(table)[1])


def check_pairs(
    calls: pd.DataFrame,
    runs: pd.DataFrame,
    baseline: str,
    progression: list[str],
    problems: Problems,
) -> None:
    """Warn of pairs of one subject and specimen without a shared mutation (``pair_without_shared_alteration``).

    Only pairs are looked at in which both samples have at least one mutation (snv or indel; germline
    calls count here: they tell persons apart).

    Parameters
    ----------
    calls : pd.DataFrame
        Detected alterations with ``run`` (position in `runs`).
    """
    mutations = calls[np.isin(words(calls["kind"]), ["snv", "indel"])]
    if not len(mutations):
        return
    run = mutations["run"].to_numpy(dtype=np.int64)
    frame = pd.DataFrame(
        {
            "subject": words(runs["subject_id"])[run],
            "specimen": words(runs["specimen"])[run],
            "timepoint": words(runs["analysis"])[run],
            "sample": words(runs["sample_id"])[run],
            "what": words(mutations["gene"]) + " " + words(mutations["alteration"]),
        }
    )
    for (subject, specimen), group in frame.groupby(["subject", "specimen"], sort=True):
        before = group[group["timepoint"] == baseline]
        after = group[group["timepoint"].isin(progression)]
        if before.empty or after.empty or set(before["what"]) & set(after["what"]):
            continue
        problems.add(
            "pair_without_shared_alteration",
            f"Samples {before['sample'].iloc[0]} and {after['sample'].iloc[0]} ({specimen}) of subject {subject} "
            "share no mutation, though both have some. Were samples swapped?",
            table="alterations",
            column="sample_id",
            subject_id=str(subject),
            value=str(after["sample"].iloc[0]),
        )
