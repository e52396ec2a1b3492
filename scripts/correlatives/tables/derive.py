"""Markers made from markers: early change as the log ratio to baseline."""

from __future__ import annotations

import numpy as np

from correlatives.markers import ABOVE, BELOW, MEASURED, MISSING, NOT_EVALUABLE, Markers
from correlatives.tables.dictionary import Dictionary, info_frame
from correlatives.tables.limits import doublings
from correlatives.tables.values import Block


def log_ratio(
    value: np.ndarray,
    state: np.ndarray,
    base_value: np.ndarray,
    base_state: np.ndarray,
    doubling: float | np.ndarray = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return ln(value) − ln(value at baseline), and what is known of it.

    With a value beyond a limit on one side, the ratio is at its own limit: BELOW where the later value
    is below (or the first above) a limit, ABOVE the other way round. With limits that pull both ways (both
    below, both above) nothing is known: NOT_EVALUABLE; so it is where a value or limit is not positive, or
    one of the two is not evaluable. MISSING where one of the two is. Of values that are logarithms the ratio is their difference.

    Parameters
    ----------
    value, state, base_value, base_state : np.ndarray, all of one shape
    doubling : float or np.ndarray of shape (p, 1)
        The logarithm of 2 on the values' scale, 0 where that is no logarithm (`correlatives.tables.limits.doublings`).

    Returns
    -------
    value, state : np.ndarray
    """
    logarithmic = np.asarray(doubling) > 0
    # A limit of 0 is one that nobody stated, on any scale.
    unstated = ((state == BELOW) & (value == 0)) | ((base_state == BELOW) & (base_value == 0))
    positive = np.where(logarithmic, ~unstated, (value > 0) & (base_value > 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        of_logarithms = (value - base_value) * (np.log(2.0) / doubling)
        plain = np.where(positive, np.log(value) - np.log(base_value), np.nan)
        ratio = np.where(logarithmic, of_logarithms, plain)
    down = (state == BELOW) | (base_state == ABOVE)
    up = (state == ABOVE) | (base_state == BELOW)
    result = np.full(value.shape, MEASURED, dtype=np.uint8)
    result[down], result[up] = BELOW, ABOVE
    result[down & up] = NOT_EVALUABLE
    result[(state == NOT_EVALUABLE) | (base_state == NOT_EVALUABLE) | ~positive] = NOT_EVALUABLE
    result[(state == MISSING) | (base_state == MISSING)] = MISSING
    ratio[(result == MISSING) | (result == NOT_EVALUABLE)] = np.nan
    return ratio, result


def ratios(
    markers: Markers, baseline: str, early: list[str], wide: set[str], dictionary: Dictionary
) -> list[Block]:
    """Return ``ratio:{biomarker}:{timepoint}`` of quantities measured at baseline and early on treatment.

    Parameters
    ----------
    early : list of str
        Timepoints of the early change.
    wide : set of str
        Biomarkers of wide tables: of these only those in the dictionary get a ratio.

    Returns
    -------
    list of Block
        None of a biomarker with values below 0 that are no logarithms (a score, say): there is no ratio to 0 or less, and
        the subjects that happen to have two positive values are no sample of them all.
    """
    info = markers.info
    kept = info["kind"].isin(["continuous", "count"]) & (
        ~info["biomarker"].isin(wide) | info["biomarker"].isin(dictionary.biomarkers)
    )
    rows = info[kept & info["timepoint"].isin([baseline, *early])]
    place = {
        key: index
        for index, *key_parts in rows[["biomarker", "specimen", "assay", "timepoint"]].itertuples()
        if (key := tuple(key_parts))
    }
    entries, later, first = [], [], []
    doubling = dict(zip(rows.index, doublings(rows)[0], strict=True))
    for timepoint in early:
        for (biomarker, specimen, assay, when), index in place.items():
            base = place.get((biomarker, specimen, assay, baseline))
            if when != timepoint or base is None or timepoint == baseline:
                continue
            source = info.loc[index]
            if doubling[index] == 0 and (markers.value[[index, base]] < 0).any():
                continue
            name = f"ratio:{biomarker}:{timepoint}"
            entries.append(
                dictionary.entry(
                    name,
                    specimen,
                    assay,
                    kind="continuous",
                    unit="log ratio",
                    label=f"{source['label']}, {timepoint} to {baseline}",
                    pathway=source["pathway"],
                    hypothesis="pharmacodynamic",
                )
                | {"timepoint": timepoint, "domain": source["domain"], "transform": "none"}
            )
            later.append(index)
            first.append(base)
    if not entries:
        return []
    value, state = log_ratio(
        markers.value[later],
        markers.state[later],
        markers.value[first],
        markers.state[first],
        np.array([doubling[index] for index in later])[:, None],
    )
    return [Block(info_frame(entries), value, state, np.zeros(value.shape[1], dtype=np.int64))]


def vaf_ratios(
    value: np.ndarray,
    state: np.ndarray,
    base_value: np.ndarray,
    base_state: np.ndarray,
    genes: list[str],
    place: tuple[str, str],
    dictionary: Dictionary,
) -> list[Block]:
    """Return ``vaf_ratio:{gene}:{timepoint}`` of genes altered at baseline in at least one subject.

    Without an alteration at baseline there is nothing to follow: NOT_EVALUABLE.

    Parameters
    ----------
    value, state, base_value, base_state : np.ndarray, shape (genes, n)
        Highest allele fraction of each gene at the timepoint and at baseline.
    place : (specimen, timepoint)
    """
    followed = np.flatnonzero((base_state == MEASURED).any(axis=1))
    if not len(followed):
        return []
    base_state = np.where(base_state == BELOW, NOT_EVALUABLE, base_state)[followed]
    ratio, states = log_ratio(value[followed], state[followed], base_value[followed], base_state)
    specimen, timepoint = place
    entries = [
        dictionary.entry(
            f"vaf_ratio:{genes[index]}:{timepoint}",
            specimen,
            kind="continuous",
            unit="log ratio",
            hypothesis="pharmacodynamic",
        )
        | {"timepoint": timepoint, "domain": "alterations", "transform": "none"}
        for index in followed
    ]
    return [Block(info_frame(entries), ratio, states, np.zeros(ratio.shape[1], dtype=np.int64))]
