"""What contradicts itself across tables: batches confounded with arm, pairs that share nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from correlatives.tables.nomenclature import canonical_all
from correlatives.tables.problems import Problems
from correlatives.tables.words import words

#: Batches are called confounded with arm at a p under this (chi-squared) ...
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
        row, names = pd.factorize(group["batch"].to_numpy(dtype=object), sort=True)
        table = np.zeros((len(names), 2), dtype=np.int64)
        np.add.at(table, (row, group["arm"].to_numpy(dtype=np.int64)), 1)
        if len(names) < 2 or (table.sum(axis=0) == 0).any():
            continue
        alone = (table == 0).any(axis=1)
        separate = bool(alone.all()) and (table.sum(axis=1) >= BATCH_OF_ONE_ARM).sum() >= 2
        p = _association(table)
        if not separate and p >= CONFOUNDED_P:
            continue
        assay, specimen, timepoint = (str(value) for value in place)
        shown = "; ".join(
            f"{name}: {control} {arms['control']}, {experimental} {arms['experimental']}"
            for name, (control, experimental) in zip(names, table, strict=True)
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
    """Return p of batch × arm: Pearson's chi-squared test, with Yates' correction for two batches.

    A screen with a strict threshold; scipy.special alone because scipy.stats takes longer to import than
    the rest of the check to run.
    """
    from scipy.special import chdtrc

    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    off = np.abs(table - expected)
    if len(table) == 2:
        off = np.maximum(off - 0.5, 0.0)
    return float(chdtrc(len(table) - 1, (off**2 / expected).sum()))


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
            "what": words(mutations["gene"])
            + " "
            + canonical_all(
                words(mutations["alteration"]),
                words(mutations["kind"]),
                words(mutations["partner"]),
            ),
        }
    )
    before = _first_and_all(frame[frame["timepoint"] == baseline])
    after = _first_and_all(frame[frame["timepoint"].isin(progression)])
    for subject, specimen in sorted(set(before) & set(after)):
        sample, mutations_before = before[subject, specimen]
        later, mutations_after = after[subject, specimen]
        if mutations_before & mutations_after:
            continue
        problems.add(
            "pair_without_shared_alteration",
            f"Samples {sample} and {later} ({specimen}) of subject {subject} "
            "share no mutation, though both have some. Were samples swapped?",
            table="alterations",
            column="sample_id",
            subject_id=subject,
            value=later,
        )


def _first_and_all(frame: pd.DataFrame) -> dict[tuple[str, str], tuple[str, set[str]]]:
    """Return (subject, specimen) -> its first sample, and all mutations of its samples."""
    result: dict[tuple[str, str], tuple[str, set[str]]] = {}
    for subject, specimen, sample, what in zip(
        frame["subject"], frame["specimen"], frame["sample"], frame["what"], strict=True
    ):
        result.setdefault((subject, specimen), (sample, set()))[1].add(what)
    return result
