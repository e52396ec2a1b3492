"""Altered, wild type or not evaluable: genes and pathways of every sample, from calls and coverage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from correlatives.markers import ABOVE, BELOW, MEASURED, MISSING, NOT_EVALUABLE
from correlatives.tables.choose import collapse
from correlatives.tables.dictionary import Dictionary, info_frame
from correlatives.tables.nomenclature import log2_copy_ratio
from correlatives.tables.problems import Problems
from correlatives.tables.timepoints import line_of
from correlatives.tables.values import Block, Collected
from correlatives.tables.words import words

#: Classes of alteration with markers of their own (``gene:ERBB2:amplification``), and their kinds.
CLASSES = {
    "mutation": ("snv", "indel"),
    "amplification": ("amplification",),
    "deletion": ("deletion",),
    "fusion": ("fusion",),
}

#: Origins that say nothing of the tumour.
NOT_TUMOUR = ("germline", "chip")

#: What stands in a sample × (gene, kind) table.
UNKNOWN, NEGATIVE, POSITIVE_CALL, EQUIVOCAL = range(4)


@dataclass
class Evidence:
    """What the runs say of every gene and kind of alteration.

    Attributes
    ----------
    runs : np.ndarray of int, shape (r,)
        Positions (in the cohort's runs) of the runs that looked for alterations.
    pairs : pd.DataFrame, q rows
        gene, kind: all that is covered or called, sorted.
    table : np.ndarray of uint8, shape (q, r)
        UNKNOWN, NEGATIVE, POSITIVE_CALL or EQUIVOCAL.
    looked : np.ndarray of bool, shape (q, r)
        Covered by the run's assay, or explicitly not detected.
    calls : pd.DataFrame
        Detected alterations of these runs with ``run`` (position), ``counted`` and ``somatic`` (of tumour origin
        or none stated, and not benign).
    """

    runs: np.ndarray
    pairs: pd.DataFrame
    table: np.ndarray
    looked: np.ndarray
    calls: pd.DataFrame


def counts(calls: pd.DataFrame, significances: Iterable[str]) -> np.ndarray:
    """Say which detected alterations make a gene altered.

    Those of tumour origin (or none stated) whose significance is listed; without a list all but the
    benign. A call without a significance counts (copy-number calls have none in most laboratories; the
    check says how many there are).

    Returns
    -------
    np.ndarray of bool, shape (number of calls,)
    """
    listed = {str(word) for word in significances}
    significance = words(calls["significance"])
    allowed = np.isin(significance, sorted(listed | {""})) if listed else significance != "benign"
    return allowed & ~np.isin(words(calls["origin"]), NOT_TUMOUR)


def evidence(
    alterations: pd.DataFrame,
    coverage: pd.DataFrame,
    covered: bool,
    runs: pd.DataFrame,
    config: dict[str, Any],
    problems: Problems,
) -> Evidence:
    """Say of every run, gene and kind whether an alteration was found, looked for in vain, or not looked for.

    A run looked at what the coverage table lists for its assay (and version, where the row names one;
    a row with `variants` counts as looked at: its gene is wild type at those variants), and at what it
    explicitly did not detect. Without a coverage table only the latter makes wild type. A negative of a
    run whose tumour fraction is under ``evaluable.min_tumour_fraction`` is unknown, and so is one without a
    tumour fraction if ``if_missing`` says so; a positive call stands. A run that failed quality control says
    nothing.

    Parameters
    ----------
    covered : bool
        Whether the study has a coverage table.
    runs : pd.DataFrame
        All runs of the cohort's subjects: run_id, assay, version, tumour_fraction, failed.
    """
    ids = pd.Index(words(runs["run_id"]))
    at = ids.get_indexer(words(alterations["run_id"]))
    known = at >= 0
    rows = alterations.loc[known].reset_index(drop=True)
    at = at[known]
    result = words(rows["result"])
    gene, kind = words(rows["gene"]), words(rows["kind"])
    assay, version = words(runs["assay"]), words(runs["version"])
    coverage = coverage if covered else coverage.iloc[:0]
    of_assay, of_version = words(coverage["assay"]), words(coverage["version"])
    of_gene, of_kind = words(coverage["gene"]), words(coverage["kind"])
    # An assay in the coverage table of which the runs' version is not listed has looked at nothing known.
    universe = np.unique(np.r_[at, np.flatnonzero(np.isin(assay, list(set(of_assay))))])
    universe = universe.astype(np.int64)
    listed = sorted({*zip(gene, kind, strict=True), *zip(of_gene, of_kind, strict=True)})
    pairs = pd.DataFrame(listed, columns=["gene", "kind"], dtype=object)
    pair_at = pd.MultiIndex.from_tuples(listed, names=["gene", "kind"]) if listed else None
    shape = (len(pairs), len(universe))
    looked = np.zeros(shape, dtype=bool)
    table = np.zeros(shape, dtype=np.uint8)
    calls = rows.iloc[:0].assign(run=np.zeros(0, int), counted=False, somatic=False)
    if pair_at is None or not len(universe):
        return Evidence(universe, pairs, table, looked, calls)

    covers = (
        pair_at.get_indexer(pd.MultiIndex.from_arrays([of_gene, of_kind])) if len(coverage) else []
    )
    covers = np.asarray(covers, dtype=np.int64)
    for each in sorted(set(zip(assay[universe], version[universe], strict=True))):
        here = (of_assay == each[0]) & ((of_version == "") | (of_version == each[1]))
        columns = (assay[universe] == each[0]) & (version[universe] == each[1])
        looked[np.ix_(np.unique(covers[here]), np.flatnonzero(columns))] = True
    column = np.searchsorted(universe, at)
    row = pair_at.get_indexer(pd.MultiIndex.from_arrays([gene, kind]))
    negative = result == "not_detected"
    looked[row[negative], column[negative]] = True

    detected = np.isin(result, ["", "detected"])
    counted = counts(rows, config.get("alterations_count") or []) & detected
    somatic = detected & ~np.isin(words(rows["origin"]), NOT_TUMOUR)
    somatic &= (
        words(rows["significance"]) != "benign"
    )  # as a rule an inherited variant, at half of all reads
    failed = runs["failed"].to_numpy(dtype=bool)[universe]
    rule = config.get("evaluable") or {}
    fraction = runs["tumour_fraction"].to_numpy(dtype=float)[universe]
    if_missing = str(rule.get("if_missing", "evaluable")) == "not_evaluable"
    low = np.where(
        np.isnan(fraction), if_missing, fraction < float(rule.get("min_tumour_fraction", 0.01))
    ).astype(bool)
    table[looked & ~low[None, :]] = NEGATIVE
    equivocal = (result == "equivocal") & ~np.isin(words(rows["origin"]), NOT_TUMOUR)
    table[row[equivocal], column[equivocal]] = EQUIVOCAL
    table[row[counted], column[counted]] = POSITIVE_CALL
    table[:, failed] = UNKNOWN
    calls = rows[detected].assign(
        run=at[detected], counted=counted[detected], somatic=somatic[detected]
    )
    _report(calls, config, problems)
    return Evidence(universe, pairs, table, looked, calls.reset_index(drop=True))


def _report(calls: pd.DataFrame, config: dict[str, Any], problems: Problems) -> None:
    origin = words(calls["origin"])
    aside = {name: int((origin == name).sum()) for name in NOT_TUMOUR}
    if any(aside.values()):
        said = " and ".join(
            f"{n} {'call' if n == 1 else 'calls'} of {what}"
            for n, what in (
                (aside["germline"], "the germline"),
                (aside["chip"], "clonal haematopoiesis"),
            )
            if n
        )
        problems.add(
            "calls_set_aside",
            f"{said} set aside: germline and clonal haematopoiesis do not make a gene altered.",
            table="alterations",
            column="origin",
        )
    ratio = log2_copy_ratio(
        calls["copy_number"].to_numpy(dtype=float), words(calls["copy_number_scale"])
    )
    # GISTIC levels are no quantities, but their sign says which way.
    gistic = words(calls["copy_number_scale"]) == "gistic"
    ratio = np.where(gistic, calls["copy_number"].to_numpy(dtype=float), ratio)
    kind = words(calls["kind"])
    with np.errstate(invalid="ignore"):
        wrong = ((kind == "amplification") & (ratio < 0)) | ((kind == "deletion") & (ratio >= 0))
    for _, row in calls[wrong].iterrows():
        problems.add(
            "copy_number_contradicts_kind",
            f"{row['gene']} {row['kind']} in run {row['run_id']} has copy number {row['copy_number']:g} "
            f"({row['copy_number_scale']}). The kind is believed: correct it, the number or its scale.",
            table="alterations",
            file=str(row.get("_file", "")),
            row=line_of(row),
            column="copy_number",
            value=f"{row['copy_number']:g}",
        )
    if config.get("alterations_count"):
        blank = (words(calls["significance"]) == "") & ~np.isin(origin, NOT_TUMOUR)
        if blank.any():
            problems.add(
                "significance_missing",
                f"{int(blank.sum())} call(s) have no significance, and alterations_count lists which count. They "
                "are counted as altered: give their significance if they should not be.",
                table="alterations",
                column="significance",
            )


@dataclass
class Samples:
    """Evidence of a place's samples: runs of one sample joined (any positive; else any negative).

    Attributes
    ----------
    position : np.ndarray of int, shape (c,)
        A run (position in the cohort's runs) of each sample, for its subject, specimen and place.
    table : np.ndarray of uint8, shape (q, c)
    """

    position: np.ndarray
    table: np.ndarray


def of_samples(found: Evidence, runs: pd.DataFrame) -> tuple[Samples, np.ndarray]:
    """Join the runs of each sample: the best run of each assay, then a union over assays.

    Returns
    -------
    samples : Samples
    joined : np.ndarray of int, shape (r,)
        Column of `samples` of each run of the evidence, -1 where another run of the same assay stands.
    """
    sample = words(runs["sample_id"])[found.runs]
    assay = words(runs["assay"])[found.runs]
    order = runs["order"].to_numpy(dtype=np.int64)[found.runs]
    sequence = np.lexsort((np.arange(len(order)), order))
    frame = pd.DataFrame({"sample": sample[sequence], "assay": assay[sequence]})
    best = ~frame.duplicated().to_numpy()
    kept = np.sort(sequence[best])
    codes, _ = pd.factorize(sample[kept])
    _, first = np.unique(codes, return_index=True)
    joined = np.full(len(found.runs), -1, dtype=np.int64)
    joined[kept] = codes
    # POSITIVE_CALL wins over EQUIVOCAL, which wins over NEGATIVE, which wins over UNKNOWN.
    strength = np.array([0, 1, 3, 2], dtype=np.uint8)
    back = np.array([UNKNOWN, NEGATIVE, EQUIVOCAL, POSITIVE_CALL], dtype=np.uint8)
    table = np.zeros((len(found.pairs), len(first)), dtype=np.uint8)
    np.maximum.at(table.T, codes, strength[found.table[:, kept]].T)
    return Samples(found.runs[kept[first]], back[table]), joined


def _joint(table: np.ndarray, groups: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return value and state of sets of (gene, kind): altered if any is, wild type if all are looked at.

    Parameters
    ----------
    table : np.ndarray of uint8, shape (q, c)
    groups : list of (positive rows, required rows)
    """
    value = np.full((len(groups), table.shape[1]), np.nan)
    state = np.full(value.shape, NOT_EVALUABLE, dtype=np.uint8)
    for index, (any_of, all_of) in enumerate(groups):
        positive = (table[any_of] == POSITIVE_CALL).any(axis=0)
        negative = np.zeros(table.shape[1], dtype=bool)
        if len(all_of):
            # An equivocal call of a kind that need not be looked at still leaves the gene open.
            open_call = (table[any_of] == EQUIVOCAL).any(axis=0)
            negative = (table[all_of] == NEGATIVE).all(axis=0) & ~open_call & ~positive
        value[index, positive], value[index, negative] = 1.0, 0.0
        state[index, positive | negative] = MEASURED
    return value, state


def gene_and_pathway_markers(
    found: Evidence,
    runs: pd.DataFrame,
    pathways: pd.DataFrame,
    covered: pd.DataFrame | None,
    n: int,
    dictionary: Dictionary,
    collected: Collected,
) -> tuple[np.ndarray, np.ndarray, dict[tuple[str, str], tuple[list[str], np.ndarray]]]:
    """Add ``gene:X``, ``gene:X:class`` and ``pathway:P`` markers, a specimen and timepoint each.

    A gene is altered if any counted call says so, and wild type only if every kind that the study's
    coverage lists for it in that specimen (without such rows: every kind explicitly not detected in it) was
    looked at. A gene of which more than one class (mutation, amplification, deletion, fusion) is looked at
    has a marker a class too. A pathway is altered if any of its gene × kind is, and not altered if all of
    them that the study looks at in that specimen were looked at.

    Returns
    -------
    chosen : np.ndarray of bool, shape (number of calls,)
        Whether a call is of the sample that stands for its gene, subject, specimen and timepoint.
    looked_for : np.ndarray of bool, shape (number of calls,)
        Whether a kind of the call's class is among those that its gene is looked at for in its specimen.
    used : dict
        (specimen, timepoint) -> the genes, and the run (position, -1 without) of the sample that stands for
        each gene and subject, shape (genes, n).
    """
    chosen = np.zeros(len(found.calls), dtype=bool)
    looked_for = chosen.copy()
    used_runs: dict[tuple[str, str], tuple[list[str], np.ndarray]] = {}
    if not len(found.runs) or not len(found.pairs):
        return chosen, looked_for, used_runs
    samples, joined = of_samples(found, runs)
    specimen = words(runs["specimen"])
    timepoint = words(runs["analysis"])
    subject = runs["subject"].to_numpy(dtype=np.int64)
    order = runs["order"].to_numpy(dtype=np.int64)
    sample_ids = words(runs["sample_id"])
    gene, kind = words(found.pairs["gene"]), words(found.pairs["kind"])
    genes = sorted(set(gene))
    rows_of = {name: np.flatnonzero(gene == name) for name in genes}
    call_gene = words(found.calls["gene"])
    call_run = found.calls["run"].to_numpy(dtype=np.int64)
    call_kind = words(found.calls["kind"])
    for of_specimen in sorted(set(specimen[found.runs])):
        here = specimen[found.runs] == of_specimen
        wanted = found.looked[:, here].any(axis=1)
        if covered is not None:
            # Of a gene with coverage rows only these count as kinds to be looked at.
            in_coverage = _covered_pairs(covered, found, runs, here)
            ruled = np.isin(gene, list(set(gene[in_coverage])))
            wanted = np.where(ruled, in_coverage, wanted)
        for kinds in CLASSES.values():
            of_class = set(gene[wanted & np.isin(kind, kinds)])
            looked_for |= (
                (specimen[call_run] == of_specimen)
                & np.isin(call_kind, kinds)
                & np.isin(call_gene, sorted(of_class))
            )
        names, groups, extra = [], [], []
        for name in genes:
            rows = rows_of[name]
            required = rows[wanted[rows]]
            if not len(required) and not (found.table[np.ix_(rows, here)] != UNKNOWN).any():
                continue
            names.append(f"gene:{name}")
            groups.append((rows, required))
            classes = {}
            for label, kinds in CLASSES.items():
                of_class = required[np.isin(kind[required], kinds)]
                if len(of_class):
                    classes[label] = (rows[np.isin(kind[rows], kinds)], of_class)
            if len(classes) > 1:
                for label, group in classes.items():
                    extra.append((f"gene:{name}:{label}", group))
        single = list(names)
        for name, group in extra:
            names.append(name)
            groups.append(group)
        for name, group in _pathway_groups(pathways, gene, kind, wanted):
            names.append(name)
            groups.append(group)
        if not names:
            continue
        for of_timepoint in sorted(set(timepoint[found.runs[here]]) - {""}):
            columns = np.flatnonzero(
                (specimen[samples.position] == of_specimen)
                & (timepoint[samples.position] == of_timepoint)
            )
            if not len(columns):
                continue
            position = samples.position[columns]
            value, state = _joint(samples.table[:, columns], groups)
            best, states, used = collapse(value, state, subject[position], order[position], n)
            of_column = np.r_[position, -1]  # -1 stays -1
            run_used = of_column[np.where(used >= 0, used, len(position))]
            if run_used.ndim == 1:
                run_used = np.broadcast_to(run_used, best.shape)
            preference = np.where(run_used >= 0, order[run_used], np.iinfo(np.int64).max)
            entries = [
                dictionary.entry(
                    name, of_specimen, kind="binary", positive="altered", domain="alterations"
                )
                | {"timepoint": of_timepoint, "domain": "alterations", "kind": "binary"}
                for name in names
            ]
            pathway_of = _first_pathway(pathways)
            for entry in entries:
                parts = entry["biomarker"].split(":")
                if parts[0] == "pathway":
                    entry["pathway"] = entry["pathway"] or parts[1]
                elif not entry["pathway"]:
                    entry["pathway"] = pathway_of.get(parts[1], "")
            collected.blocks.append(Block(info_frame(entries), best, states, preference))
            used_runs[of_specimen, of_timepoint] = (
                [name.split(":", 1)[1] for name in single],
                run_used[: len(single)],
            )
            collected.sources.append(
                _sources(value[: len(single)], state[: len(single)], single, position)
            )
    for (of_specimen, of_timepoint), (of_genes, run_used) in used_runs.items():
        row = pd.Index(of_genes).get_indexer(call_gene)
        fits = (
            (row >= 0) & (specimen[call_run] == of_specimen) & (timepoint[call_run] == of_timepoint)
        )
        standing = run_used[row[fits], subject[call_run[fits]]]
        same = (standing >= 0) & (sample_ids[standing] == sample_ids[call_run[fits]])
        chosen[fits] = same
    # A call of a run that another run of the same sample and assay replaced is not chosen.
    stands = joined[np.searchsorted(found.runs, call_run)] >= 0
    return chosen & stands, looked_for, used_runs


def _covered_pairs(
    coverage: pd.DataFrame, found: Evidence, runs: pd.DataFrame, here: np.ndarray
) -> np.ndarray:
    """Say which (gene, kind) the coverage lists for an assay that these runs have; shape (q,)."""
    assays = sorted(set(words(runs["assay"])[found.runs[here]]))
    rows = coverage[np.isin(words(coverage["assay"]), assays)]
    listed = set(zip(words(rows["gene"]), words(rows["kind"]), strict=True))
    pairs = zip(words(found.pairs["gene"]), words(found.pairs["kind"]), strict=True)
    return np.array([pair in listed for pair in pairs], dtype=bool)


def _pathway_groups(
    pathways: pd.DataFrame, gene: np.ndarray, kind: np.ndarray, wanted: np.ndarray
) -> list[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """Return (name, (rows that alter it, rows to be looked at)) of each pathway with anything looked at."""
    result = []
    named = words(pathways["pathway"]) if len(pathways) else np.zeros(0, dtype=object)
    for name in sorted(set(named)):
        part = pathways[named == name]
        listed = set(zip(words(part["gene"]), words(part["kind"]), strict=True))
        rows = np.array(
            [index for index, pair in enumerate(zip(gene, kind, strict=True)) if pair in listed],
            dtype=np.int64,
        )
        if len(rows):
            result.append((f"pathway:{name}", (rows, rows[wanted[rows]])))
    return result


def _first_pathway(pathways: pd.DataFrame) -> dict[str, str]:
    """Return gene -> the first pathway listed for it."""
    result: dict[str, str] = {}
    if len(pathways):
        for gene, pathway in zip(words(pathways["gene"]), words(pathways["pathway"]), strict=True):
            result.setdefault(gene, pathway)
    return result


def _sources(
    value: np.ndarray, state: np.ndarray, names: list[str], position: np.ndarray
) -> pd.DataFrame:
    """Return which sample (by one of its runs) has a result of which gene."""
    row, column = np.nonzero(state == MEASURED)
    labels = np.array(names, dtype=object)[row] if len(names) else np.zeros(0, dtype=object)
    return pd.DataFrame(
        {"run": position[column], "source": labels, "biomarker": labels, "assay": ""}
    )


def burden_markers(
    found: Evidence,
    runs: pd.DataFrame,
    coverage: pd.DataFrame,
    n: int,
    dictionary: Dictionary,
    collected: Collected,
) -> None:
    """Add ``tumour_fraction``, ``max_vaf`` and ``mean_vaf``, a specimen and timepoint each.

    The allele fractions are of all somatic calls but the benign, whatever counts as altering a gene:
    they measure tumour burden. A sample in which nothing was found is BELOW at the highest limit of detection of its assay, at
    0 where the coverage states none. One whose mutations have no allele fraction is not evaluable. Tumour
    fractions of two methods are separate markers, with the method as their assay.
    """
    failed = runs["failed"].to_numpy(dtype=bool)
    fraction = runs["tumour_fraction"].to_numpy(dtype=float)
    method = words(runs["tumour_fraction_method"])
    stated = np.flatnonzero(~np.isnan(fraction))
    methods = sorted(set(method[stated]))
    for name in methods:
        at = stated[method[stated] == name]
        value = np.where(failed[at], np.nan, fraction[at])[None, :]
        state = np.where(failed[at], NOT_EVALUABLE, MEASURED).astype(np.uint8)[None, :]
        assay = name if len(methods) > 1 else ""
        _add(["tumour_fraction"], assay, value, state, at, runs, n, dictionary, collected)

    calls = found.calls
    vaf = calls["vaf"].to_numpy(dtype=float) if len(calls) else np.zeros(0)
    if not (~np.isnan(vaf)).any():
        return
    somatic = calls["somatic"].to_numpy(dtype=bool)
    column = np.searchsorted(found.runs, calls["run"].to_numpy(dtype=np.int64))
    r = len(found.runs)
    with_vaf = somatic & ~np.isnan(vaf)
    of_vaf = np.bincount(column[with_vaf], minlength=r)
    # A copy-number call has no allele fraction; a mutation without one leaves the highest unknown.
    mutation = np.isin(words(calls["kind"]), CLASSES["mutation"])
    unstated = np.bincount(column[somatic & mutation & np.isnan(vaf)], minlength=r)
    nothing = (of_vaf == 0) & (unstated == 0)
    highest = np.zeros(r)
    np.maximum.at(highest, column[with_vaf], vaf[with_vaf])
    # Summed from the smallest on, whatever the order of the rows: the last digit of a sum depends on it.
    of_run, fractions = column[with_vaf], vaf[with_vaf]
    rising = np.argsort(fractions, kind="stable")
    total = np.bincount(of_run[rising], weights=fractions[rising], minlength=r)
    mean = total / np.maximum(of_vaf, 1)
    limit = _limits_of_runs(found, runs, coverage)
    gone = failed[found.runs] | ((of_vaf == 0) & (unstated > 0))
    value = np.where(nothing, limit, np.stack([highest, mean]))
    state = np.where(nothing, BELOW, MEASURED).astype(np.uint8) + np.zeros((2, 1), np.uint8)
    # A run that is not known to have looked for anything is no evidence of nothing found.
    blind = nothing & ~found.looked.any(axis=0)
    value[:, gone | blind], state[:, gone | blind] = np.nan, NOT_EVALUABLE
    _add(["max_vaf", "mean_vaf"], "", value, state, found.runs, runs, n, dictionary, collected)


def _limits_of_runs(found: Evidence, runs: pd.DataFrame, coverage: pd.DataFrame) -> np.ndarray:
    """Return the highest limit of detection (allele fraction) of each run's assay, 0 without; shape (r,)."""
    result = np.zeros(len(found.runs))
    if not len(coverage) or "lod_vaf" not in coverage:
        return result
    of_assay, of_version = words(coverage["assay"]), words(coverage["version"])
    lod = coverage["lod_vaf"].to_numpy(dtype=float)
    assay, version = words(runs["assay"])[found.runs], words(runs["version"])[found.runs]
    for each in sorted(set(zip(assay, version, strict=True))):
        rows = (of_assay == each[0]) & ((of_version == "") | (of_version == each[1]))
        known = lod[rows & ~np.isnan(lod)]
        if len(known):
            result[(assay == each[0]) & (version == each[1])] = known.max()
    return result


def _add(
    names: list[str],
    assay: str,
    value: np.ndarray,
    state: np.ndarray,
    at: np.ndarray,
    runs: pd.DataFrame,
    n: int,
    dictionary: Dictionary,
    collected: Collected,
) -> None:
    """Add markers of runs (columns of `value` are the runs `at`), a specimen and timepoint each."""
    specimen, timepoint = words(runs["specimen"])[at], words(runs["analysis"])[at]
    subject = runs["subject"].to_numpy(dtype=np.int64)[at]
    order = runs["order"].to_numpy(dtype=np.int64)[at]
    for where, when in sorted(set(zip(specimen, timepoint, strict=True))):
        if when == "":
            continue
        here = np.flatnonzero((specimen == where) & (timepoint == when))
        best, states, used = collapse(value[:, here], state[:, here], subject[here], order[here], n)
        preference = np.where(used >= 0, order[here][used], np.iinfo(np.int64).max)
        entries = [
            dictionary.entry(name, where, assay, kind="continuous", unit="fraction")
            | {"timepoint": when, "domain": "alterations"}
            for name in names
        ]
        best, states = _within_limits(best, states, entries)
        collected.blocks.append(Block(info_frame(entries), best, states, preference))


def _within_limits(
    value: np.ndarray, state: np.ndarray, entries: list[dict[str, Any]]
) -> tuple[np.ndarray, np.ndarray]:
    """Put values outside the dictionary's limits at the limits; those of nothing found, too."""
    lloq, uloq = (np.array([e[name] for e in entries])[:, None] for name in ("lloq", "uloq"))
    with np.errstate(invalid="ignore"):
        under = np.isin(state, (MEASURED, BELOW)) & (value < lloq)
        over = (state == MEASURED) & (value > uloq)
    value = np.where(under, lloq, np.where(over, uloq, value))
    return value, np.where(under, BELOW, np.where(over, ABOVE, state)).astype(np.uint8)


def vaf_of_genes(
    found: Evidence,
    runs: pd.DataFrame,
    coverage: pd.DataFrame,
    used: tuple[list[str], np.ndarray],
    chosen: np.ndarray,
    where: tuple[str, str],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the highest allele fraction of each gene's counted calls in the samples that stand.

    A gene that was looked at for mutations and had none is BELOW at its limit of detection, whatever the
    tumour fraction: an alteration that is followed is lost from the blood because the tumour fraction
    falls. It is not evaluable where it was not looked at, or the coverage states no limit.

    Parameters
    ----------
    used : (genes, runs of the standing samples, shape (genes, n))
    chosen : np.ndarray of bool
        Of `gene_and_pathway_markers`.
    where : (specimen, timepoint)

    Returns
    -------
    value, state : np.ndarray, shape (genes, n)
    """
    genes, run_used = used
    value = np.full(run_used.shape, np.nan)
    states = np.where(run_used >= 0, NOT_EVALUABLE, MISSING).astype(np.uint8)
    calls = found.calls
    run = calls["run"].to_numpy(dtype=np.int64)
    vaf = calls["vaf"].to_numpy(dtype=float)
    row = pd.Index(genes).get_indexer(words(calls["gene"]))
    keep = (
        chosen
        & (row >= 0)
        & calls["counted"].to_numpy(dtype=bool)
        & ~np.isnan(vaf)
        & (words(runs["specimen"])[run] == where[0])
        & (words(runs["analysis"])[run] == where[1])
        & ~runs["failed"].to_numpy(dtype=bool)[run]
    )
    subject = runs["subject"].to_numpy(dtype=np.int64)[run]
    highest = np.zeros(run_used.shape)
    np.maximum.at(highest, (row[keep], subject[keep]), vaf[keep])
    limit = _limits_of_samples(found, runs, coverage, genes)
    sample = runs["sample"].to_numpy(dtype=np.int64)
    at_gene, at_subject = np.nonzero(run_used >= 0)
    lost = limit[at_gene, sample[run_used[at_gene, at_subject]]]
    known = lost > 0
    value[at_gene[known], at_subject[known]] = lost[known]
    states[at_gene[known], at_subject[known]] = BELOW
    measured = highest > 0
    value[measured], states[measured] = highest[measured], MEASURED
    return value, states


def _limits_of_samples(
    found: Evidence, runs: pd.DataFrame, coverage: pd.DataFrame, genes: list[str]
) -> np.ndarray:
    """Return the limit of detection of each gene's mutations in each sample, NaN where not looked at or not stated.

    The highest of its rows in the coverage of a run's assay, the lowest of a sample's runs.

    Returns
    -------
    np.ndarray of float, shape (genes, samples)
    """
    sample = runs["sample"].to_numpy(dtype=np.int64)
    result = np.full((len(genes), int(sample.max(initial=-1)) + 1), np.nan)
    if not len(coverage) or "lod_vaf" not in coverage:
        return result
    mutation = np.isin(words(coverage["kind"]), CLASSES["mutation"])
    rows = coverage[mutation & coverage["lod_vaf"].notna().to_numpy()]
    of_assay, of_version = words(rows["assay"]), words(rows["version"])
    at, lod = pd.Index(genes).get_indexer(words(rows["gene"])), rows["lod_vaf"].to_numpy(float)
    assay, version = words(runs["assay"]), words(runs["version"])
    failed = runs["failed"].to_numpy(dtype=bool)
    highest: dict[tuple[str, str], np.ndarray] = {}
    for run in found.runs[~failed[found.runs]]:
        key = (assay[run], version[run])
        if key not in highest:
            here = (at >= 0) & (of_assay == key[0])
            here &= (of_version == "") | (of_version == key[1])
            highest[key] = np.full(len(genes), np.nan)
            np.fmax.at(highest[key], at[here], lod[here])
        result[:, sample[run]] = np.fmin(result[:, sample[run]], highest[key])
    return result
