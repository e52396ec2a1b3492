"""Identifiers: which are known, which match only loosely, and rows that share a key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from correlatives.tables.contracts import CONTRACTS
from correlatives.tables.mapping import Part
from correlatives.tables.problems import Problems
from correlatives.tables.words import version_key


def folded(identifier: str) -> str:
    """Return an identifier without white space at its ends and without case."""
    return identifier.strip().casefold()


class Known:
    """The identifiers of one kind (subject, sample, run) that a table defines.

    Parameters
    ----------
    kind : str
        ``subject``, ``sample`` or ``run``.
    ids : iterable of str
        Those of the study.
    gone : iterable of str
        Those that a filter or a correction set aside: their rows elsewhere are set aside too, no errors.
    lost : iterable of str
        Those of rows that could not be taken apart: known, but nothing is known of them.
    complete : bool
        False where the defining table could not be read whole; then nothing is called unknown.
    """

    def __init__(
        self,
        kind: str,
        ids: Iterable[str] = (),
        *,
        gone: Iterable[str] = (),
        lost: Iterable[str] = (),
        complete: bool = True,
    ) -> None:
        self.kind = kind
        self.ids = dict.fromkeys(ids)
        self.gone = {one for one in gone if one not in self.ids}
        self.lost = {one for one in lost if one not in self.ids}
        self.complete = complete
        self._folded: dict[str, list[str]] = {}
        for one in [*self.ids, *sorted(self.gone), *sorted(self.lost)]:
            self._folded.setdefault(folded(one), []).append(one)

    def __contains__(self, identifier: object) -> bool:
        return identifier in self.ids

    def resolve(self, part: Part, column: str, problems: Problems) -> np.ndarray:
        """Return a part's identifiers in the spelling of the table that defines them.

        Unknown ones are errors, loose matches warnings (each once a file, at its first row). None where missing,
        unknown, or set aside.

        Returns
        -------
        np.ndarray of object, shape (n,)
        """
        cells = part.frame[column].to_numpy(dtype=object)
        rows = part.frame["_row"].to_numpy()
        codes, levels = pd.factorize(cells, use_na_sentinel=True)
        first = {int(code): index for index, code in reversed(list(enumerate(codes)))}
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        found = np.empty(len(levels) + 1, dtype=object)
        for code, level in enumerate(levels):
            text = str(level)
            if text in self.ids:
                found[code] = text
                continue
            if text in self.gone or text in self.lost:
                continue
            close = self._folded.get(folded(text), [])
            more = f" (in {counts[code]} rows)" if counts[code] > 1 else ""
            if len(close) == 1:
                found[code] = close[0] if close[0] in self.ids else None
                part.tell(
                    problems,
                    "id_matches_loosely",
                    f"{self.kind} {text!r} is {close[0]!r} only after trimming or without case{more}. It is "
                    "taken for that one. Write it the same way everywhere, or list it as an alias.",
                    column=column,
                    row=rows[first[code]],
                    subject_id=close[0] if self.kind == "subject" else "",
                    value=text,
                )
            elif self.complete:
                part.tell(
                    problems,
                    f"unknown_{self.kind}",
                    f"{self.kind} {text!r} is not in the {self.kind}s table{more}.{self._hint(text)} "
                    "Correct it, add the row, or list it under identifiers as an alias.",
                    column=column,
                    row=rows[first[code]],
                    subject_id=text if self.kind == "subject" else "",
                    value=text,
                )
        found[len(levels)] = None
        return found[codes]

    def _hint(self, text: str) -> str:
        bare = folded(text).lstrip("0")
        for one in self.ids:
            if folded(one).lstrip("0") == bare and bare:
                return f" There is {one!r}: were leading zeros lost?"
        return ""

    def set_aside(self, cells: np.ndarray) -> np.ndarray:
        """Say which cells name one that was set aside."""
        if not self.gone:
            return np.zeros(len(cells), dtype=bool)
        codes, levels = pd.factorize(cells, use_na_sentinel=True)
        gone = [
            str(level) not in self.ids
            and any(
                one in self.gone for one in [str(level), *self._folded.get(folded(str(level)), [])]
            )
            for level in levels
        ]
        return np.array([*gone, False], dtype=bool)[codes]


def report_duplicates(
    frame: pd.DataFrame, key: Sequence[str], part: Part, problems: Problems
) -> pd.DataFrame:
    """Report rows of one file that share a key; return the first of each.

    Where the file has a ``result_version``, the highest wins and nothing is reported, unless two share it.
    """
    names = [name for name in key if name in frame]
    absent = set(key) - set(names)
    if not names or not len(frame) or absent & set(CONTRACTS[part.table].required):
        return frame  # without a column of the key all rows would look alike: that column is told
    present = frame[[name for name in names if name not in ("version", "assay", "variants")]]
    usable = present.notna().all(axis=1)
    frame = frame[usable]
    if "result_version" in frame:
        frame = latest(frame, names)
    repeated = frame.duplicated(names, keep="first").to_numpy()
    if repeated.any():
        group = frame.groupby(names, sort=False, dropna=False).ngroup()
        first = frame["_row"].groupby(group).transform("first").to_numpy()
        for index in np.flatnonzero(repeated):
            row = frame.iloc[index]
            shown = ", ".join(f"{part.shown(n)} {row[n]}" for n in names if not pd.isna(row[n]))
            part.tell(
                problems,
                "duplicate_key",
                f"{shown} is in row {first[index]} already. The table has one row for each: remove one, or "
                f"exclude it with a correction (key: row={row['_row']}).",
                column=names[0],
                row=row["_row"],
                subject_id=row.get("subject_id", ""),
                value=row[names[0]],
            )
    return frame[~repeated].reset_index(drop=True)


def latest(frame: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Return, of rows with one key, those of the highest ``result_version``: by number, else date, else text."""
    versions = frame["result_version"].astype(object)
    texts = ["" if pd.isna(version) else str(version) for version in versions]
    order = {text: rank for rank, text in enumerate(sorted(set(texts), key=version_key))}
    rank = pd.Series([order[text] for text in texts], index=frame.index)
    groups = [frame[name].astype(object).where(frame[name].notna(), "") for name in key]
    best = rank.groupby(groups, sort=False).transform("max")
    return frame[rank == best]


def merged(
    frames: list[pd.DataFrame], key: Sequence[str], parts: Mapping[str, Part], problems: Problems
) -> pd.DataFrame:
    """Merge the files of one table by key; what two files say differently is an error.

    Parameters
    ----------
    frames : list of pd.DataFrame
        One a file, keys unique within each, with ``_file`` and ``_row``.
    key : sequence of str
    parts : mapping
        File -> its part, for names.

    Returns
    -------
    pd.DataFrame
        One row a key, in order of first appearance; ``_file`` and ``_row`` of the first file with it.
    """
    if not frames:
        return pd.DataFrame()
    stacked = pd.concat(frames, ignore_index=True)
    if len(frames) == 1 or not stacked.duplicated(list(key)).any():
        return stacked
    values = [c for c in stacked.columns if c not in (*key, "_file", "_row")]
    code = stacked.groupby(list(key), sort=False, dropna=False).ngroup().to_numpy()
    for column in values:
        cells = stacked[column]
        filled = np.flatnonzero(cells.notna().to_numpy())
        if not len(filled):
            continue
        first = pd.Series(filled, index=code[filled]).groupby(level=0).first()
        reference = first.reindex(code[filled]).to_numpy()
        told: set[int] = set()
        for index, base in zip(filled, reference, strict=True):
            if index == base or _same(cells.iloc[index], cells.iloc[base]) or code[index] in told:
                continue
            told.add(int(code[index]))
            _disagree(stacked, int(index), int(base), column, key, parts, problems)
    return stacked.groupby(code, sort=True).first().reset_index(drop=True)[list(stacked.columns)]


def _same(one: object, other: object) -> bool:
    if one == other:
        return True
    try:
        return float(one) == float(other)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _disagree(
    stacked: pd.DataFrame,
    index: int,
    base: int,
    column: str,
    key: Sequence[str],
    parts: Mapping[str, Part],
    problems: Problems,
) -> None:
    here, there = stacked.iloc[index], stacked.iloc[base]
    part = parts[here["_file"]]

    def shown(value: object) -> str:
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        if isinstance(value, pd.Timestamp):
            return value.date().isoformat()
        return str(value)

    which = ", ".join(f"{name} {here[name]}" for name in key)
    part.tell(
        problems,
        "files_disagree",
        f"Column {column} of {which}: {there['_file']} (row {there['_row']}) says {shown(there[column])!r}, "
        f"{here['_file']} (row {here['_row']}) says {shown(here[column])!r}. Correct one of the files, or "
        "list a correction.",
        column=column,
        row=here["_row"],
        subject_id=here.get("subject_id", ""),
        value=shown(here[column]),
    )


def empty_columns(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Return a table with every column of its contract, those that are missing empty; contract columns first."""
    contract = CONTRACTS[table]
    n = len(frame)
    for name, column in contract.columns.items():
        if name in frame:
            continue
        if column.type in ("number", "integer", "day"):
            frame[name] = np.full(n, np.nan)
        elif column.type == "date":
            frame[name] = np.full(n, np.datetime64("NaT"), dtype="datetime64[s]")
        else:
            frame[name] = pd.array(np.full(n, None, dtype=object), dtype="str")
    for name in ("_file", "_row"):
        if name not in frame:
            frame[name] = (
                pd.array([], dtype="str") if name == "_file" else np.zeros(0, dtype=np.int64)
            )
    first = [name for name in contract.columns if name in frame]
    rest = [name for name in frame.columns if name not in first and not name.startswith("_")]
    return frame[[*first, *rest, "_file", "_row"]].reset_index(drop=True)
