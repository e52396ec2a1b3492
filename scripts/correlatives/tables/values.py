"""From measurements, long and wide, to a matrix of markers × subjects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from correlatives.markers import (
    ABOVE,
    BELOW,
    INFO,
    MEASURED,
    MISSING,
    NOT_EVALUABLE,
    NUMBERS,
    Markers,
)
from correlatives.tables.choose import CHOSEN, TIER, collapse, pooled
from correlatives.tables.dictionary import (
    Dictionary,
    info_frame,
    levels_of,
    positive_of_two,
    positives_of,
    two_levels,
)
from correlatives.tables.problems import Problems
from correlatives.tables.study import STATUSES, Matrix, set_apart
from correlatives.tables.words import POSITIVE, spelled, words

#: State of each status without a value of its own; a quantity not sufficient or a failed assay was tried in vain.
STATE_OF = {
    "measured": MEASURED,
    "not_detected": BELOW,
    "not_done": MISSING,
    "qns": NOT_EVALUABLE,
    "failed": NOT_EVALUABLE,
    "indeterminate": NOT_EVALUABLE,
    "not_applicable": MISSING,
}
STATE_CODES = np.array([STATE_OF[status] for status in STATUSES], dtype=np.uint8)
NOT_DETECTED = STATUSES.index("not_detected")

#: Preference of a run that is not there.
NOWHERE = np.iinfo(np.int64).max

#: Biomarkers of a wide table whose replicates are listed one by one; of more, one row stands for all.
MOST_LISTED = 20

#: Kinds whose values are quantities; the others are levels.
QUANTITIES = ("continuous", "count")


@dataclass
class Block:
    """Markers of one origin, and what they were taken from.

    Attributes
    ----------
    info : pd.DataFrame, p rows
        As ``Markers.info``.
    value, state : np.ndarray, shape (p, n)
    order : np.ndarray, shape (n,) or (p, n)
        Preference of the run that each value came from (lowest first), for merging blocks.
    """

    info: pd.DataFrame
    value: np.ndarray
    state: np.ndarray
    order: np.ndarray


@dataclass
class Collected:
    """What reading the measurements gave.

    Attributes
    ----------
    blocks : list of Block
    sources : list of pd.DataFrame
        run (position), source (text: what was measured), biomarker: results a run has.
    chosen : list of tuple
        Rows of ``check/chosen_samples.tsv`` for replicates.
    """

    blocks: list[Block] = field(default_factory=list)
    sources: list[pd.DataFrame] = field(default_factory=list)
    chosen: list[tuple[str, ...]] = field(default_factory=list)


def _positions(runs: pd.DataFrame, run_ids: np.ndarray) -> np.ndarray:
    """Return where each run is among the cohort's, -1 for others and those without a timepoint."""
    at = pd.Index(words(runs["run_id"])).get_indexer(run_ids)
    placed = np.r_[words(runs["analysis"]) != "", False]
    return np.where(placed[at], at, -1)


def state_of_quantities(
    value: np.ndarray,
    qualifier: np.ndarray,
    status: np.ndarray,
    lloq: np.ndarray,
    uloq: np.ndarray,
    not_detected_is: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return values and states of continuous and count biomarkers (arrays broadcast together).

    A value under the limit of quantification is BELOW at the limit; ``<20`` is BELOW at 20. Not detected
    is BELOW at the limit, the `stated_limit` where the dictionary gives none.

    Parameters
    ----------
    qualifier : np.ndarray of int8
        -1 below the stated value, 1 above it, 0 measured.
    status : np.ndarray of int8
        Index into ``STATUSES``.
    lloq, uloq : np.ndarray of float
        NaN where there is none.
    not_detected_is : np.ndarray of float
        The limit that stands for "not detected".
    """
    state = STATE_CODES[status].copy()
    result = value.astype(np.float64, copy=True)
    measured = state == MEASURED
    state[measured & np.isnan(result)] = MISSING
    measured = state == MEASURED
    state[measured & (qualifier < 0)] = BELOW
    state[measured & (qualifier > 0)] = ABOVE
    plain = measured & (qualifier == 0)
    with np.errstate(invalid="ignore"):
        under = plain & (result < lloq)
        over = plain & (result > uloq)
    state[under], state[over] = BELOW, ABOVE
    result = np.where(under, lloq, np.where(over, uloq, result))
    result = np.where(status == NOT_DETECTED, not_detected_is, result)
    result[(state == MISSING) | (state == NOT_EVALUABLE)] = np.nan
    return result, state


def stated_limit(
    value: np.ndarray, qualifier: np.ndarray, status: np.ndarray, lloq: np.ndarray
) -> np.ndarray:
    """Return the limit that stands for "not detected": the dictionary's, else the lowest that a result states.

    Where nothing states a limit it is 0.

    Parameters
    ----------
    value, qualifier, status : np.ndarray, shape (p, results)
        All results of each marker by one assay in one specimen.
    lloq : np.ndarray, shape (p, 1)
        Of the dictionary, NaN where there is none.

    Returns
    -------
    np.ndarray, shape (p, 1)
    """
    said = (qualifier < 0) & (status == 0)
    least = np.min(np.where(said, value, np.inf), axis=1, initial=np.inf)[:, None]
    return np.where(np.isnan(lloq), np.where(np.isinf(least), 0.0, least), lloq)


def infer_kind(entry: dict[str, Any], found: Iterable[str], numeric: bool) -> str:
    """Say the kind of a biomarker: as said, else continuous if all its values are numbers.

    Words without a dictionary: two of them are binary; more cannot be ordered, and the kind is "".
    """
    if entry["kind"]:
        return str(entry["kind"])
    if entry["levels"]:
        return "ordinal"
    if entry["positive"]:
        return "binary"
    if numeric:
        return "continuous"
    return "binary" if len(set(found)) <= 2 else ""


def encode_levels(
    entry: dict[str, Any], spelled_as: np.ndarray, status: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return codes and states of ordinal and binary values.

    Ordinal: the index of the level; a word that is no level is missing (the check of the tables reports
    it). Binary: 1 for the words of `positive`; without them, for the one of two words that is positive,
    which is written to the entry. Not detected is the lowest level, or negative.
    """
    state = STATE_CODES[status].copy()
    state[status == NOT_DETECTED] = MEASURED
    if entry["kind"] == "ordinal":
        place = {level: float(code) for code, level in enumerate(levels_of(entry["levels"]))}
        value = np.array([place.get(word, np.nan) for word in spelled_as], dtype=float)
    else:
        measured = spelled_as[(state == MEASURED) & (spelled_as != "")]
        if not entry["positive"]:
            found = set(measured)
            if found <= {"0", "1"}:
                entry["positive"] = "1"
            elif len(found) == 2:
                entry["positive"] = positive_of_two(found)
                entry["levels"] = entry["levels"] or two_levels(found, entry["positive"])
            else:
                obvious = sorted(word for word in found if word.casefold() in POSITIVE)
                entry["positive"] = "|".join(obvious)
        positive = positives_of(entry["positive"])
        value = np.where(spelled_as == "", np.nan, np.isin(spelled_as, positive).astype(float))
    value[status == NOT_DETECTED] = 0.0
    state[(state == MEASURED) & np.isnan(value)] = MISSING
    value[state != MEASURED] = np.nan
    return value, state


def from_long(
    measurements: pd.DataFrame,
    defaults: list[dict[str, Any]],
    runs: pd.DataFrame,
    n: int,
    dictionary: Dictionary,
    replicates: str,
    collected: Collected,
    problems: Problems,
) -> None:
    """Add the long measurements of the cohort's runs to `collected`.

    Parameters
    ----------
    measurements : pd.DataFrame
        Study.measurements (or rows of a wide table in that form).
    runs : pd.DataFrame
        Runs of the cohort (those without a timepoint are passed over): run_id, sample_id, subject_id, subject (position), specimen,
        analysis, assay, failed (bool), order (preference), version_rank.
    n : int
        Number of subjects.
    """
    at = _positions(runs, words(measurements["run_id"]))
    rows = np.flatnonzero(at >= 0)
    if not len(rows):
        return
    part = measurements.iloc[rows]
    at = at[rows]
    assay = words(part["assay"]) if "assay" in part else np.full(len(part), "", dtype=object)
    assay = np.where(assay == "", words(runs["assay"])[at], assay)
    biomarker = words(part["biomarker"])
    specimen = words(runs["specimen"])[at]
    timepoint = words(runs["analysis"])[at]
    codes, names = [], []
    for labels in (biomarker, specimen, assay, timepoint):
        code, unique = pd.factorize(labels, sort=True)
        codes.append(code.astype(np.int64))
        names.append(unique)
    key = (codes[0] * len(names[1]) + codes[1]) * len(names[2]) + codes[2]
    keys, first_row, key = np.unique(key, return_index=True, return_inverse=True)
    status = pd.Categorical(words(part["status"]), categories=list(STATUSES)).codes.astype(np.int8)
    status[status < 0] = 0
    value = part["value"].to_numpy(dtype=float)
    qualifier = np.select(
        [words(part["qualifier"]) == "<", words(part["qualifier"]) == ">"], [-1, 1], 0
    ).astype(np.int8)
    blank = np.full(len(part), "", dtype=object)
    word = words(part["text"]) if "text" in part else blank
    unit = words(part["unit"]) if "unit" in part else blank
    source = (
        part["source"].fillna(-1).to_numpy(dtype=np.int64)
        if "source" in part
        else np.full(len(part), -1)
    )
    entries = []
    for where in first_row:
        said = defaults[source[where]] if 0 <= source[where] < len(defaults) else {}
        entries.append(
            dictionary.entry(biomarker[where], specimen[where], assay[where], defaults=said)
        )
    state = np.zeros(len(part), dtype=np.uint8)
    by_key = np.argsort(key, kind="stable")
    bounds = np.searchsorted(key[by_key], np.arange(len(keys) + 1))
    quantity = np.zeros(len(keys), dtype=bool)
    result = np.full(len(part), np.nan)
    for code, entry in enumerate(entries):
        members = by_key[bounds[code] : bounds[code + 1]]
        worded = members[(word[members] != "") & (status[members] == 0)]
        numeric = not len(worded) or not np.isnan(value[worded]).any()
        entry["kind"] = infer_kind(entry, word[worded], numeric)
        if entry["kind"] in QUANTITIES:
            quantity[code] = True
            if not entry["unit"]:
                units = sorted(set(unit[members]) - {""})
                entry["unit"] = units[0] if len(units) == 1 else ""
            continue
        if not entry["kind"]:
            problems.add(
                "words_without_order",
                f"{entry['biomarker']} ({entry['specimen']}) has words for values ("
                f"{', '.join(sorted(set(word[worded]))[:5])}), and nothing says their order. It is not "
                "analysed: give its `levels`, or `positive`, in the biomarkers table.",
                table="measurements",
                column="biomarker",
                value=entry["biomarker"],
            )
            continue
        bare = word[members] == ""
        spelling = word[members].copy()
        spelling[bare] = [spelled(v) for v in value[members][bare]]
        result[members], state[members] = encode_levels(entry, spelling, status[members])
        if entry["kind"] == "binary" and not entry["levels"]:
            measured = spelling[(state[members] == MEASURED) & (spelling != "")]
            others, counts = np.unique(
                measured[~np.isin(measured, positives_of(entry["positive"]))].astype(str),
                return_counts=True,
            )
            if len(others) > 1:
                shown = ", ".join(
                    f"{str(other)!r} ({count})"
                    for other, count in zip(others[:6], counts[:6], strict=True)
                )
                problems.add(
                    "words_taken_as_negative",
                    f"{entry['biomarker']} ({entry['specimen']}) has {len(others)} words that are not its positive "
                    f"{entry['positive']!r}: {shown}. All of them count as negative: map those that are no result under "
                    "`nonresults`, or give its two `levels`, and any other word is an error.",
                    table="measurements",
                    column="value",
                    value=entry["biomarker"],
                )
    rows = np.flatnonzero(quantity[key])
    lloq = np.array([entry["lloq"] for entry in entries])
    uloq = np.array([entry["uloq"] for entry in entries])
    limit = np.zeros(len(entries))
    for code in np.flatnonzero(quantity):
        members = by_key[bounds[code] : bounds[code + 1]][None, :]
        limit[code] = stated_limit(
            value[members], qualifier[members], status[members], lloq[code, None, None]
        ).item()
    result[rows], state[rows] = state_of_quantities(
        value[rows],
        qualifier[rows],
        status[rows],
        lloq[key[rows]],
        uloq[key[rows]],
        limit[key[rows]],
    )
    failed = runs["failed"].to_numpy(dtype=bool)[at]
    state[failed] = NOT_EVALUABLE
    result[failed] = np.nan

    # Replicates: results of one sample, assay and version. Runs of one rank are replicates too.
    sample = pd.factorize(words(runs["sample_id"]))[0][at]
    rank = runs["version_rank"].to_numpy(dtype=np.int64)[at]
    order = np.lexsort((np.arange(len(part)), at, rank, sample, key))
    group = np.stack([key[order], sample[order], rank[order]])
    starts = np.flatnonzero(np.r_[True, (np.diff(group, axis=1) != 0).any(axis=0)])
    first = order[starts]
    quantities = quantity[key[first]]
    value_pooled, state_pooled, results = pooled(
        result[order], state[order], starts, replicates, ~quantities
    )
    subject = runs["subject"].to_numpy(dtype=np.int64)[at]
    sample_ids, subject_ids = words(runs["sample_id"]), words(runs["subject_id"])
    sizes = np.diff(np.r_[starts, len(part)])
    for index in np.flatnonzero(results > 1):
        where = first[index]
        what = (
            subject_ids[at[where]],
            specimen[where],
            timepoint[where],
            biomarker[where],
            sample_ids[at[where]],
            "",
        )
        members = order[starts[index] : starts[index] + sizes[index]]
        kept = result[members][TIER[state[members]] == 0]
        collected.chosen.append((*what, _pooling(replicates, kept, bool(quantities[index]))))
        if replicates == "refuse":
            row = part.iloc[where]
            problems.add(
                "unresolved_choice",
                f"{biomarker[where]} of sample {sample_ids[at[where]]} has {results[index]} results, and "
                "choose.replicates is refuse. Exclude all but one by a correction.",
                table="measurements",
                file=str(row.get("_file", "")),
                row=None if pd.isna(row.get("_row", np.nan)) else int(row["_row"]),
                column="value",
                subject_id=subject_ids[at[where]],
                value=biomarker[where],
            )
    has_result = TIER[state_pooled] == 0
    collected.sources.append(
        pd.DataFrame(
            {
                "run": at[first][has_result],
                "source": pd.Categorical.from_codes(
                    key[first][has_result],
                    categories=[
                        f"{e['biomarker']}\t{e['specimen']}\t{e['assay']}" for e in entries
                    ],
                ).astype(object),
                "biomarker": biomarker[first][has_result],
                "assay": assay[first][has_result],
            }
        )
    )

    # The best of each marker × subject: a result first, then the preferred run.
    known = np.array([bool(entry["kind"]) for entry in entries])
    usable = known[key[first]]
    first, value_pooled, state_pooled = first[usable], value_pooled[usable], state_pooled[usable]
    preference = runs["order"].to_numpy(dtype=np.int64)[at[first]]
    marker = key[first] * len(names[3]) + codes[3][first]
    best = np.lexsort(
        (np.arange(len(first)), preference, TIER[state_pooled], subject[first], marker)
    )
    pair = np.stack([marker[best], subject[first][best]])
    best = best[np.r_[True, (np.diff(pair, axis=1) != 0).any(axis=0)]] if len(best) else best
    present, row_of = np.unique(marker[best], return_inverse=True)
    block_value = np.full((len(present), n), np.nan)
    block_state = np.zeros((len(present), n), dtype=np.uint8)
    block_order = np.full((len(present), n), NOWHERE)
    column = subject[first][best]
    block_value[row_of, column] = value_pooled[best]
    block_state[row_of, column] = state_pooled[best]
    block_order[row_of, column] = preference[best]
    block_entries = [
        entries[marker_code // len(names[3])] | {"timepoint": names[3][marker_code % len(names[3])]}
        for marker_code in present
    ]
    collected.blocks.append(Block(info_frame(block_entries), block_value, block_state, block_order))


def _pooling(replicates: str, values: np.ndarray, quantity: bool) -> str:
    """Say what was done to replicates (`pooled`): levels have a middle and no mean.

    Parameters
    ----------
    values : np.ndarray, shape (r,)
        The results, two or more.
    quantity : bool
        Whether they are quantities; else levels.
    """
    count = len(values)
    if quantity or replicates in ("first", "refuse"):
        return f"{replicates} of {count} replicates"
    if (values == values[0]).all():
        return f"{count} equal replicates"
    return f"{'lower ' if count % 2 == 0 else ''}middle level of {count} replicates"


def from_matrix(
    matrix: Matrix,
    number: int,
    runs: pd.DataFrame,
    n: int,
    dictionary: Dictionary,
    replicates: str,
    collected: Collected,
    problems: Problems,
) -> None:
    """Add one wide table to `collected`.

    Features that are quantities stay a matrix; those with words, and ordinal or binary ones with words
    to be read, take the way of the long tables.

    Parameters
    ----------
    number : int
        Which of the wide tables it is.
    runs, n, dictionary, replicates, collected, problems
        As in `from_long`.
    """
    at = _positions(runs, np.asarray(matrix.samples, dtype=object))
    columns = np.flatnonzero(at >= 0)
    at = at[columns]
    if not len(columns) or not len(matrix.features):
        return
    features = np.asarray(matrix.features, dtype=object)
    assay = words(runs["assay"])[at]
    if matrix.assay:
        assay = np.full(len(at), matrix.assay, dtype=object)
    specimen = words(runs["specimen"])[at]
    timepoint = words(runs["analysis"])[at]
    kind = str(matrix.defaults.get("kind") or "continuous")
    worded = pd.Index(features).isin(matrix.text["biomarker"].dropna().unique())
    listed = np.isin(features, sorted(dictionary.biomarkers))
    kinds = np.empty(len(features), dtype=object)
    kinds.fill(kind)
    for index in np.flatnonzero(listed):
        said = [
            dictionary.entry(features[index], where, by, defaults=matrix.defaults)["kind"]
            for where, by in sorted(set(zip(specimen, assay, strict=True)))
        ]
        # Levels in one of its specimens are read as words in all of them.
        levels = [word for word in said if word and word not in QUANTITIES]
        kinds[index] = str((levels or [word for word in said if word] or [kind])[0])
    wide = np.isin(kinds, QUANTITIES) & ~worded
    # A binary table of noughts and ones needs no reading of words.
    plain = (kinds == "binary") & ~worded & ~listed & (not matrix.defaults.get("positive"))
    if plain.any():
        for rows, piece in matrix.placed():
            value = piece.value
            plain[rows] &= (np.isnan(value) | (value == 0) | (value == 1)).all(axis=1)
    if (~(wide | plain)).any():
        from_long(
            _as_rows(matrix, ~(wide | plain), columns),
            [matrix.defaults | ({} if worded.all() else {"kind": matrix.defaults.get("kind", "")})],
            runs,
            n,
            dictionary,
            replicates,
            collected,
            problems,
        )
    kept = np.flatnonzero(wide | plain)
    if not len(kept):
        return
    failed = runs["failed"].to_numpy(dtype=bool)[at]
    subject = runs["subject"].to_numpy(dtype=np.int64)[at]
    order = runs["order"].to_numpy(dtype=np.int64)[at]
    places = []
    for name in sorted(set(zip(specimen, assay, timepoint, strict=True))):
        here = np.flatnonzero((specimen == name[0]) & (assay == name[1]) & (timepoint == name[2]))
        groups = _tied(subject[here], order[here])
        places.append(_Place(*name, here, groups, here[_kept(len(here), groups)]))
    for of, piece in matrix.taken():
        inside = np.flatnonzero((wide | plain)[of])
        rows = inside + of.start
        for place in places if len(rows) else []:
            info = _info(features[rows], kinds[rows], listed[rows], place, dictionary, matrix)
            lloq = info["lloq"].to_numpy(dtype=float)[:, None]
            uloq = info["uloq"].to_numpy(dtype=float)[:, None]
            grid = np.ix_(inside, columns[place.here])
            alike = (specimen == place.specimen) & (assay == place.assay)
            like = np.ix_(inside, columns[np.flatnonzero(alike)])
            status = piece.status[grid]
            value, state = state_of_quantities(
                piece.value[grid],
                piece.qualifier[grid],
                status,
                lloq,
                uloq,
                stated_limit(
                    *(getattr(piece, name)[like] for name in ("value", "qualifier", "status")), lloq
                ),
            )
            negative = plain[rows][:, None] & (status == NOT_DETECTED)
            value[negative], state[negative] = 0.0, MEASURED
            lost = failed[place.here]
            value[:, lost], state[:, lost] = np.nan, NOT_EVALUABLE
            for done, group in zip(place.done, place.groups, strict=True):
                told = _pooled_rows(value[:, group], state[:, group], rows, wide[rows], replicates)
                done.update((str(features[row]), what) for row, what in told)
            value, state = _pool_columns(value, state, place.groups, ~wide[rows], replicates)
            left = place.left
            best, states, used = collapse(value, state, subject[left], order[left], n)
            place.with_result[(TIER[state] == 0).any(axis=0)] = True
            preference = np.where(used >= 0, order[left][used], NOWHERE)
            place.blocks.append(Block(info, set_apart(best), set_apart(states), preference))
    for where, place in enumerate(places):
        collected.blocks.extend(place.blocks)
        collected.sources.append(
            pd.DataFrame(
                {
                    "run": at[place.left][place.with_result],
                    "source": f"{number}\t{where}",
                    "biomarker": "",
                    "assay": place.assay,
                }
            )
        )
        for group, done in zip(place.groups, place.done, strict=True):
            members = at[place.here[group]]
            _tell_tied(members, runs, matrix, done, replicates, collected, problems)


@dataclass
class _Place:
    """Columns of a wide table that are of one specimen, assay and timepoint.

    `here` are their positions, `groups` those that are replicates of each other (positions within `here`), `left`
    those that are left when each group is its first. `done`: of each group, biomarker -> what was done to its results.
    """

    specimen: str
    assay: str
    timepoint: str
    here: np.ndarray
    groups: list[np.ndarray]
    left: np.ndarray
    blocks: list[Block] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.with_result = np.zeros(len(self.left), dtype=bool)
        self.done: list[dict[str, str]] = [{} for _ in self.groups]


def _tied(subject: np.ndarray, order: np.ndarray) -> list[np.ndarray]:
    """Return the columns that are replicates of each other: runs of one sample and rank."""
    both = pd.DataFrame({"subject": subject, "order": order})
    if not both.duplicated().any():
        return []
    groups = both.groupby(["subject", "order"], sort=False).indices.values()
    return [np.asarray(members) for members in groups if len(members) > 1]


def _kept(count: int, groups: list[np.ndarray]) -> np.ndarray:
    """Return the columns that are left when each group of replicates is its first."""
    gone = [group[1:] for group in groups]
    return np.setdiff1d(np.arange(count), np.concatenate(gone) if gone else [])


def _pooled_rows(
    value: np.ndarray, state: np.ndarray, rows: np.ndarray, quantity: np.ndarray, replicates: str
) -> list[tuple[int, str]]:
    """Return, of the features that several columns of a sample have a result of, which and what is done to them."""
    results = TIER[state] == 0
    return [
        (int(rows[i]), _pooling(replicates, value[i, results[i]], bool(quantity[i])))
        for i in np.flatnonzero(results.sum(axis=1) > 1)
    ]


def _tell_tied(
    members: np.ndarray,
    runs: pd.DataFrame,
    matrix: Matrix,
    done: dict[str, str],
    replicates: str,
    collected: Collected,
    problems: Problems,
) -> None:
    """Note that columns of a wide table were pooled: a row a biomarker, of many one that says how many.

    Parameters
    ----------
    done : dict
        Biomarker -> what was done to its results, of those with several.
    """
    first = runs.iloc[members[0]]
    subject, sample = str(first["subject_id"]), str(first["sample_id"])
    listed = done
    if len(done) > MOST_LISTED:
        every = Counter(done.values())
        listed = {
            "": "; ".join(
                f"{what}, {count} biomarkers of {matrix.source}" for what, count in every.items()
            )
        }
    for biomarker, what in listed.items():
        place = (subject, str(first["specimen"]), str(first["analysis"]), biomarker, sample, "")
        collected.chosen.append((*place, what))
    if replicates == "refuse" and done:
        problems.add(
            "unresolved_choice",
            f"Sample {sample} has {len(members)} runs of one assay and version in {matrix.source}, and "
            "choose.replicates is refuse. Exclude all but one by a correction.",
            table="measurements",
            file=matrix.source,
            subject_id=subject,
            value=sample,
        )


def _info(
    features: np.ndarray,
    kinds: np.ndarray,
    listed: np.ndarray,
    place: _Place,
    dictionary: Dictionary,
    matrix: Matrix,
) -> pd.DataFrame:
    """Return an info row a feature; only features of the dictionary are looked up."""
    said = (place.specimen, place.assay)
    common = dictionary.entry("", *said, defaults=matrix.defaults) | {"timepoint": place.timepoint}
    columns: dict[str, np.ndarray] = {}
    for column in INFO:
        columns[column] = np.empty(len(features), dtype=float if column in NUMBERS else object)
        # not np.full, which makes a text of its own for every row: of a wide assay, hundreds of megabytes
        columns[column].fill(common[column])
    columns |= {"biomarker": features.copy(), "label": features.copy()}
    for index in np.flatnonzero(listed):
        entry = dictionary.entry(features[index], *said, defaults=matrix.defaults)
        for column in INFO:
            if column != "timepoint":
                columns[column][index] = entry[column]
    columns["kind"] = kinds.copy()
    columns["positive"][(kinds == "binary") & (columns["positive"] == "")] = "1"
    # as objects, for the same reason
    return pd.DataFrame(
        {
            name: pd.Series(column) if column.dtype == float else pd.Series(column, dtype=object)
            for name, column in columns.items()
        }
    )


def _pool_columns(
    value: np.ndarray,
    state: np.ndarray,
    groups: list[np.ndarray],
    ranked: np.ndarray,
    replicates: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Pool columns that are replicates; each group's first column is left."""
    if not groups:
        return value, state
    for group in groups:
        starts = np.arange(0, len(value) * len(group), len(group))
        value[:, group[0]], state[:, group[0]], _ = pooled(
            value[:, group].ravel(), state[:, group].ravel(), starts, replicates, ranked
        )
    keep = _kept(value.shape[1], groups)
    return value[:, keep], state[:, keep]


def _as_rows(matrix: Matrix, wanted: np.ndarray, columns: np.ndarray) -> pd.DataFrame:
    """Return some features of a wide table (a mask of all) as long measurements."""
    names = np.asarray(matrix.features, dtype=object)[wanted]
    samples = np.asarray(matrix.samples, dtype=object)[columns]
    parts = []
    for of, piece in matrix.placed():
        grid = np.ix_(np.flatnonzero(wanted[of]), columns)
        value, status = piece.value[grid], piece.status[grid]
        row, column = np.nonzero(~np.isnan(value) | (status != 0))
        parts.append(
            pd.DataFrame(
                {
                    "run_id": samples[column],
                    "biomarker": np.asarray(matrix.features, dtype=object)[of][
                        grid[0].ravel()[row]
                    ],
                    "value": value[row, column],
                    "qualifier": np.array(["<", "", ">"], dtype=object)[
                        piece.qualifier[grid][row, column] + 1
                    ],
                    "text": "",
                    "status": np.array(STATUSES, dtype=object)[status[row, column]],
                }
            )
        )
    numbers = pd.concat(parts, ignore_index=True)
    text = matrix.text
    text = text[text["biomarker"].isin(names) & text["run_id"].isin(samples)]
    spoken = pd.DataFrame(
        {
            "run_id": words(text["run_id"]),
            "biomarker": words(text["biomarker"]),
            "value": np.nan,
            "qualifier": "",
            "text": words(text["value"]),
            "status": "measured",
        }
    )
    rows = pd.concat([numbers, spoken], ignore_index=True)
    return rows.assign(assay=matrix.assay, source=0)


def merged(
    blocks: list[Block], subjects: np.ndarray, problems: Problems, *, room: int = 0
) -> Markers:
    """Stack the blocks; a marker that several of them have takes each subject's preferred result.

    The list is emptied: what is stacked is let go of, so that a wide table is in memory once. With `room` so many
    markers can follow without a copy.
    """
    if not blocks:
        return Markers.empty(subjects)
    info = pd.concat([block.info for block in blocks], ignore_index=True)
    identity = ["biomarker", "specimen", "assay", "timepoint"]
    doubled = info.duplicated(identity, keep=False).to_numpy()
    keep = ~info.duplicated(identity).to_numpy()
    place = np.cumsum(keep) - 1
    rows_kept = int(keep.sum())
    value = np.empty((rows_kept + room, len(subjects)))
    state = np.empty(value.shape, dtype=np.uint8)
    rivals: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    for block in blocks:
        block.info = info[:0]
    start = 0
    while blocks:
        block = blocks.pop(0)
        rows = slice(start, start + len(block.value))
        start = rows.stop
        value[place[rows][keep[rows]]] = block.value[keep[rows]]
        state[place[rows][keep[rows]]] = block.state[keep[rows]]
        order = np.broadcast_to(block.order, block.value.shape)
        for row in np.flatnonzero(doubled[rows]):
            rivals[row + rows.start] = block.value[row], block.state[row], order[row]
    for _, members in info[doubled].groupby(identity, sort=False).groups.items():
        top, *others = list(members)
        best = tuple(array.copy() for array in rivals[top])
        for other in others:
            _merge_rows(best, rivals[other], info.loc[top], subjects, problems)
        value[place[top]], state[place[top]], _ = best
    info = info if keep.all() else info[keep].reset_index(drop=True)
    return Markers(subjects, info, value[:rows_kept], state[:rows_kept], (value, state))


def _merge_rows(
    top: tuple[np.ndarray, np.ndarray, np.ndarray],
    other: tuple[np.ndarray, np.ndarray, np.ndarray],
    info: pd.Series,
    subjects: np.ndarray,
    problems: Problems,
) -> None:
    """Put a subject's value, state and preference in place of those of `top` where they are preferred."""
    tier_top, tier_other = TIER[top[1]], TIER[other[1]]
    same = (top[2] == other[2]) & (tier_top == 0) & (tier_other == 0)
    for index in np.flatnonzero(same & (top[0] != other[0])):
        problems.add(
            "files_disagree",
            f"{info['biomarker']} of subject {subjects[index]} ({info['timepoint']}) is "
            f"{top[0][index]:g} in one measurements table and {other[0][index]:g} in another.",
            table="measurements",
            column=str(info["biomarker"]),
            subject_id=str(subjects[index]),
            value=f"{other[0][index]:g}",
        )
    better = (tier_other < tier_top) | ((tier_other == tier_top) & (other[2] < top[2]))
    for array, rival in zip(top, other, strict=True):
        array[better] = rival[better]


def chosen_frame(rows: list[tuple[str, ...]]) -> pd.DataFrame:
    """Return rows of ``check/chosen_samples.tsv``."""
    return pd.DataFrame(rows, columns=CHOSEN)
