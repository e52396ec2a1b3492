"""Which sample and which run stand for a subject at a timepoint, and what became of the others."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd

from correlatives.markers import ABOVE, BELOW, MEASURED, MISSING, NOT_EVALUABLE
from correlatives.tables.problems import Problems
from correlatives.tables.timepoints import line_of, nominal_days
from correlatives.tables.words import version_key, words

#: Columns of ``check/chosen_samples.tsv``.
CHOSEN = ["subject_id", "specimen", "timepoint", "biomarker", "chosen", "rejected", "rule"]

#: Specimens of tumour tissue, among which metastasis and primary compete.
TISSUE = ("archival_tissue", "biopsy")

#: How good a state is: a result, then a vain attempt, then nothing.
TIER = np.zeros(5, dtype=np.int8)
TIER[[MEASURED, BELOW, ABOVE]] = 0
TIER[NOT_EVALUABLE] = 1
TIER[MISSING] = 2


#: What decides between samples of one day, or without a day, where ``choose.samples`` is first.
FIRST = "the first of the table"


def rank_samples(
    samples: pd.DataFrame, config: dict[str, Any], progression_day: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rank the samples that compete for a place (subject × specimen × timepoint), best first.

    Tissue by ``choose.tissue`` first (metastasis before primary, or the reverse; not stated last), then
    by the distance from the nominal day (`timepoints.nominal_days`), the earlier of two equally near;
    an unknown day last. With ``choose.samples: first`` the order of the table decides what days do not.

    Parameters
    ----------
    samples : pd.DataFrame, s rows
        subject_id, specimen, analysis (timepoint), day, site_of_tissue.
    progression_day : np.ndarray of float, shape (s,)

    Returns
    -------
    place : np.ndarray of int, shape (s,)
        Code of subject × specimen × timepoint.
    rank : np.ndarray of int, shape (s,)
        0 for the best of its place.
    rule : np.ndarray of str, shape (s,)
        What decides against this sample and for the one before it; empty where nothing does.
    """
    rules = config.get("choose") or {}
    analysis = words(samples["analysis"])
    specimen = words(samples["specimen"])
    day = samples["day"].to_numpy(dtype=float)
    place = samples.groupby(["subject_id", "specimen", "analysis"], sort=True).ngroup().to_numpy()
    tissue = np.zeros(len(samples))
    preferred = str(rules.get("tissue") or "metastasis_first")
    if preferred != "refuse":
        site = words(samples["site_of_tissue"])
        best = "metastasis" if preferred == "metastasis_first" else "primary"
        tissue = np.where(site == best, 0.0, np.where(site == "", 2.0, 1.0))
        tissue[~np.isin(specimen, TISSUE)] = 0.0
    distance = np.abs(day - nominal_days(analysis, config, progression_day))
    # Without a nominal day the earliest sample stands; np.inf sorts unknown days last.
    distance = np.where(np.isnan(day), np.inf, np.where(np.isnan(distance), 0.0, distance))
    earliness = np.where(np.isnan(day), np.inf, day)
    order = np.lexsort((np.arange(len(samples)), earliness, distance, tissue, place))
    rank = np.empty(len(samples), dtype=np.int64)
    starts = np.r_[True, np.diff(place[order]) != 0] if len(order) else np.zeros(0, dtype=bool)
    first = np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))
    rank[order] = np.arange(len(order)) - first
    rule = np.full(len(samples), "", dtype=object)
    for before, here in itertools.pairwise(order):
        if place[before] != place[here]:
            continue
        if tissue[before] != tissue[here]:
            rule[here] = preferred.replace("_", " ")
        elif distance[before] != distance[here]:
            rule[here] = "nearest to the nominal day"
        elif earliness[before] != earliness[here]:
            rule[here] = "the earlier"
        elif str(rules.get("samples")) == "first":
            rule[here] = FIRST
    return place, rank, rule


def rank_runs(runs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rank the runs of one sample and assay: those that passed, then the latest version.

    Runs of one version that passed are replicates: they share a rank, and ``choose.replicates`` holds.

    Returns
    -------
    rank : np.ndarray of int, shape (r,)
    rule : np.ndarray of str, shape (r,)
        What decides against this run, empty for those of the best rank.
    best : np.ndarray of int, shape (r,)
        The run that stands for the sample and assay (itself if it does).
    """
    count = len(runs)
    failed = words(runs["qc"]) == "fail"
    version = words(runs["version"])
    known = {v: i for i, v in enumerate(sorted(set(version), key=version_key, reverse=True))}
    age = np.array([known[v] for v in version], dtype=np.int64)
    group = runs.groupby(["sample_id", "assay"], sort=False, dropna=False).ngroup().to_numpy()
    order = np.lexsort((np.arange(count), age, failed, group))
    rank = np.zeros(count, dtype=np.int64)
    rule = np.full(count, "", dtype=object)
    best = np.arange(count)
    for before, here in itertools.pairwise(order):
        if group[before] != group[here]:
            continue
        best[here] = best[before]
        same = failed[before] == failed[here] and age[before] == age[here]
        rank[here] = rank[before] + (0 if same else 1)
        if rank[here]:
            rule[here] = "failed quality control" if failed[here] else "latest version"
    return rank, rule, best


def pooled(
    value: np.ndarray, state: np.ndarray, starts: np.ndarray, how: str, ranked: np.ndarray | bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pool replicates, group by group.

    Only results are pooled (below and above a limit they stand at the limit); the pooled value is below
    (above) a limit if at least half of them are. Of ordinal and binary biomarkers, mean and median are
    the middle level, the lower of two.

    Parameters
    ----------
    value, state : np.ndarray, shape (m,)
        Members of a group are neighbours, in order.
    starts : np.ndarray of int, shape (g,)
        Where each group begins.
    how : str
        mean, median, first (refuse as first: the caller reports it).
    ranked : bool or np.ndarray of bool, shape (g,)
        Whether the group's biomarker is ordinal or binary.

    Returns
    -------
    value, state : np.ndarray, shape (g,)
    results : np.ndarray of int, shape (g,)
        Number of results pooled.
    """
    if not len(value):
        return value, state, np.zeros(0, dtype=np.int64)
    size = np.diff(np.r_[starts, len(value)])
    group = np.repeat(np.arange(len(starts)), size)
    tier = TIER[state]
    # Results first within a group, otherwise in the order given.
    order = np.lexsort((np.arange(len(value)), tier, group))
    pooled_value = value[order][starts].astype(float)
    pooled_state = state[order][starts].copy()
    result = tier == 0
    results = np.add.reduceat(result.astype(np.int64), starts)
    many = results > 1
    if how in ("first", "refuse") or not many.any():
        return pooled_value, pooled_state, results
    by_value = np.lexsort((np.where(result, value, np.inf), group))
    in_order = value[by_value]
    lower = in_order[starts + np.maximum(results - 1, 0) // 2]
    upper = in_order[starts + np.minimum(results // 2, size - 1)]
    if how == "mean":
        middle = np.add.reduceat(np.where(result, value, 0.0), starts) / np.maximum(results, 1)
    else:
        middle = (lower + upper) / 2
    pooled_value = np.where(many, np.where(ranked, lower, middle), pooled_value)
    below = np.add.reduceat((state == BELOW).astype(np.int64), starts)
    above = np.add.reduceat((state == ABOVE).astype(np.int64), starts)
    mixed = np.where(2 * below >= results, BELOW, np.where(2 * above >= results, ABOVE, MEASURED))
    return pooled_value, np.where(many, mixed, pooled_state).astype(np.uint8), results


def collapse(
    value: np.ndarray, state: np.ndarray, subject: np.ndarray, order: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take, marker by marker, each subject's best column that has a result.

    A column without a result for a marker does not displace one that has it; without any result the
    first attempt (not evaluable) stands.

    Parameters
    ----------
    value, state : np.ndarray, shape (p, c)
        One column a run or sample.
    subject : np.ndarray of int, shape (c,)
        Position of the column's subject.
    order : np.ndarray of int, shape (c,)
        Preference among the columns of a subject, lowest first.
    n : int
        Number of subjects.

    Returns
    -------
    value : np.ndarray of float64, shape (p, n)
    state : np.ndarray of uint8, shape (p, n)
    used : np.ndarray of int, shape (c, p) or (n,)
        Where no subject has two columns: the column of each subject (-1 without), shape (n,). Else the
        column of each marker and subject, shape (p, n).
    """
    p = len(value)
    sequence = np.lexsort((np.arange(len(order)), order, subject))
    ordered = subject[sequence]
    starts = np.r_[True, np.diff(ordered) != 0] if len(ordered) else np.zeros(0, dtype=bool)
    first = np.maximum.accumulate(np.where(starts, np.arange(len(ordered)), 0))
    layer = np.arange(len(ordered)) - first
    result = np.full((p, n), np.nan)
    states = np.zeros((p, n), dtype=np.uint8)
    top = sequence[layer == 0]
    result[:, subject[top]] = value[:, top]
    states[:, subject[top]] = state[:, top]
    used = np.full(n, -1, dtype=np.int64)
    used[subject[top]] = top
    depth = int(layer.max(initial=0))
    if depth == 0:
        return result, states, used
    each = np.broadcast_to(used, (p, n)).copy()
    for level in range(1, depth + 1):
        columns = sequence[layer == level]
        who = subject[columns]
        better = TIER[state[:, columns]] < TIER[states[:, who]]
        result[:, who] = np.where(better, value[:, columns], result[:, who])
        states[:, who] = np.where(better, state[:, columns], states[:, who])
        each[:, who] = np.where(better, columns, each[:, who])
    return result, states, each


def choices(
    sources: pd.DataFrame,
    samples: pd.DataFrame,
    rank: np.ndarray,
    rule: np.ndarray,
    config: dict[str, Any],
    problems: Problems,
) -> pd.DataFrame:
    """List the choices among samples, and note those that no rule resolves.

    Parameters
    ----------
    sources : pd.DataFrame
        What each sample has a result of: ``sample`` (position in `samples`), ``source`` (code of what was
        measured: samples that share one compete), ``biomarker`` ("" where the source is a whole assay).
    samples : pd.DataFrame
        The samples of the cohort with ``place``.
    rank, rule : np.ndarray, shape (s,)
        Of `rank_samples`.

    Returns
    -------
    pd.DataFrame
        Columns ``CHOSEN``: one row a sample that was not taken; biomarker empty where the sample gave way in
        all that both have.
    """
    unique = sources.drop_duplicates(["sample", "source"])
    place = samples["place"].to_numpy()
    at = unique["sample"].to_numpy()
    frame = unique.assign(place=place[at], rank=rank[at])
    several = frame.groupby(["place", "source"])["sample"].transform("size") > 1
    frame = frame[several].sort_values(["place", "source", "rank"], kind="stable")
    if frame.empty:
        return pd.DataFrame(columns=CHOSEN)
    grouped = frame.groupby(["place", "source"], sort=False)
    frame = frame.assign(best=grouped["sample"].transform("first"))
    lost = frame[frame["sample"] != frame["best"]]
    leader = frame.groupby("place")["rank"].transform("min")
    leads = frame.assign(leader=leader)
    leads = (
        leads[leads["rank"] == leads["leader"]]
        .drop_duplicates("place")
        .set_index("place")["sample"]
    )
    whole = lost["best"].to_numpy() == leads.reindex(lost["place"]).to_numpy()
    lost = lost.assign(biomarker=np.where(whole, "", lost["biomarker"]))
    lost = lost.drop_duplicates(["best", "sample", "biomarker"])
    rules = config.get("choose") or {}
    ids = words(samples["sample_id"])
    subject = words(samples["subject_id"])
    specimen = words(samples["specimen"])
    analysis = words(samples["analysis"])
    site = words(samples["site_of_tissue"])
    day = samples["day"].to_numpy(dtype=float)
    rows = []
    refused: set[int] = set()
    for best, other, biomarker in zip(lost["best"], lost["sample"], lost["biomarker"], strict=True):
        tissue = specimen[other] in TISSUE and site[best] != site[other]
        if tissue:
            decided = str(rules.get("tissue") or "metastasis_first")
        else:
            decided = str(rules.get("samples") or "nearest")
        why = _between(best, other, rank, rule, samples)
        unresolved = decided == "refuse" or (not tissue and not why)
        if unresolved and other not in refused:
            refused.add(other)
            row = samples.iloc[other]
            key = "tissue" if tissue else "samples"
            cause = (
                f"choose.{key} is refuse"
                if decided == "refuse"
                else "neither has a day"
                if np.isnan(day[[best, other]]).all()
                else "both are of the same day"
            )
            problems.add(
                "unresolved_choice",
                f"Samples {ids[best]} and {ids[other]} ({specimen[other]}, {analysis[other]}) of subject "
                f"{subject[other]} compete, and {cause}. Exclude one by a correction, or give what decides.",
                table="samples",
                file=str(row.get("_file", "")),
                row=line_of(row),
                column="sample_id",
                subject_id=subject[other],
                value=ids[other],
            )
        rows.append(
            (
                subject[other],
                specimen[other],
                analysis[other],
                biomarker,
                ids[best],
                ids[other],
                why or "not resolved",
            )
        )
    return pd.DataFrame(rows, columns=CHOSEN)


def _between(
    best: int, other: int, rank: np.ndarray, rule: np.ndarray, samples: pd.DataFrame
) -> str:
    """Say what decides between two samples of a place: the first reason on the way from one to the other."""
    place = samples["place"].to_numpy()
    between = (place == place[best]) & (rank > rank[best]) & (rank <= rank[other])
    on_the_way = np.flatnonzero(between)
    reasons = [rule[index] for index in on_the_way[np.argsort(rank[on_the_way])]]
    for strongest in (
        "metastasis first",
        "primary first",
        "nearest to the nominal day",
        "the earlier",
        FIRST,
    ):
        if strongest in reasons:
            return strongest
    return ""
