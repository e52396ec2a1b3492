"""Aliases of identifiers, and documented changes to locked files."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from correlatives.tables.cells import as_date, number_of
from correlatives.tables.contracts import CONTRACTS
from correlatives.tables.keys import Known
from correlatives.tables.mapping import Part
from correlatives.tables.problems import Problems
from correlatives.tables.words import nearest

#: ``field`` of a correction that leaves the whole row out.
EXCLUDE = "exclude"

#: In a ``key``: the line of the file, for rows that nothing else tells apart, such as one typed twice.
ROW, ROW_COLUMN = "row", "_row"


class Aliases:
    """Other names of subjects and samples.

    Parameters
    ----------
    parts : list of Part
        Of the identifiers table.
    """

    def __init__(self, parts: list[Part], problems: Problems) -> None:
        self.of: dict[str, dict[str, str]] = {"subject_id": {}, "sample_id": {}}
        self._said: list[tuple[Part, int, str, str, str]] = []
        for part in parts:
            frame = part.frame
            if "alias" not in frame:
                continue
            for index in range(len(frame)):
                alias = frame["alias"].iloc[index]
                row = int(frame["_row"].iloc[index])
                named = [
                    (column, frame[column].iloc[index])
                    for column in ("subject_id", "sample_id")
                    if column in frame and frame[column].iloc[index] is not None
                ]
                if alias is None:
                    part.tell(
                        problems,
                        "value_missing",
                        "There is no alias. Give the identifier that some table uses.",
                        column="alias",
                        row=row,
                    )
                    continue
                if len(named) != 1:
                    found = "both a subject and a sample" if named else "nothing"
                    part.tell(
                        problems,
                        "alias_conflict",
                        f"Alias {alias!r} stands for {found}. Give one sample_id or one subject_id.",
                        column="alias",
                        row=row,
                        value=alias,
                    )
                    continue
                column, identifier = named[0]
                before = self.of[column].get(alias)
                if before is not None and before != identifier:
                    part.tell(
                        problems,
                        "alias_conflict",
                        f"Alias {alias!r} stands for {before!r} and for {identifier!r}. "
                        "An alias stands for one identifier: remove one row.",
                        column=column,
                        row=row,
                        value=alias,
                    )
                    continue
                self.of[column][alias] = identifier
                self._said.append((part, row, column, alias, identifier))

    def apply(self, frame: pd.DataFrame) -> None:
        """Replace aliases in the identifier columns of a frame, in place."""
        for column, names in self.of.items():
            if names and column in frame:
                cells = frame[column].to_numpy(dtype=object)
                frame[column] = self.replaced(cells, column)

    def replaced(self, cells: np.ndarray, column: str) -> np.ndarray:
        """Return identifiers with aliases replaced; white space at the ends of an alias is no difference."""
        names = self.of.get(column, {})
        if not names:
            return cells
        return np.array(
            [
                names.get(cell, names.get(cell.strip(), cell)) if isinstance(cell, str) else cell
                for cell in cells
            ],
            dtype=object,
        )

    def report_unknown(self, known: Known, column: str, problems: Problems) -> None:
        """Report aliases of identifiers that the study does not have, or that are identifiers themselves."""
        for part, row, of, alias, identifier in self._said:
            if of != column:
                continue
            there = identifier in known or identifier in known.gone or identifier in known.lost
            if not there and known.complete:
                part.tell(
                    problems,
                    "alias_conflict",
                    f"Alias {alias!r} stands for {identifier!r}, which is not in the {known.kind}s table. "
                    "Give an identifier of that table.",
                    column=column,
                    row=row,
                    value=identifier,
                )


@dataclass
class Correction:
    """One row of the corrections table, and what became of it."""

    part: Part
    number: int
    row: int
    table: str
    key: dict[str, str]
    field: str
    old: str | None
    new: str | None
    reason: str
    by: str = ""
    date: str = ""
    #: rows changed or excluded, rows that hold something else, rows that hold nothing
    applied: int = 0
    differing: list[str] = field(default_factory=list)
    empty: int = 0
    #: identifiers excluded: subject_id or sample_id
    excluded: list[str] = field(default_factory=list)
    sound: bool = True

    def matches(self, cell: object, decimal: str) -> bool:
        """Say whether a cell is what the correction expects: as text, number or date."""
        return _same(cell, self.old, decimal)

    def replacement(self, decimal: str) -> str | None:
        """Return the new value, with the decimal sign of the file that it goes into."""
        own = self.part.decimal
        if self.new is None or own == decimal or np.isnan(number_of(self.new, own)):
            return self.new
        return self.new.replace(own, decimal)

    @property
    def where(self) -> str:
        """The key as it is written: ``subject_id=0012;endpoint=PFS``."""
        return ";".join(f"{name}={value}" for name, value in self.key.items())

    @property
    def step(self) -> str:
        """Name of its step in the flow."""
        done = "a row excluded" if self.field == EXCLUDE else f"{self.field} changed"
        return f"correction {self.number}: {self.table}, {done} ({self.reason})"


class Corrections:
    """The corrections of a study, applied in order to every file of their table."""

    def __init__(self, parts: list[Part], problems: Problems) -> None:
        self.all: list[Correction] = []
        for part in parts:
            frame = part.frame
            if not {"table", "key", "field"} <= set(frame.columns):
                continue
            for index in range(len(frame)):
                self.all.append(self._read(part, frame.iloc[index], problems))

    def _read(self, part: Part, said: pd.Series, problems: Problems) -> Correction:
        row = int(said["_row"])

        def text(column: str) -> str:
            value = said.get(column)
            return "" if value is None or value != value else str(value).strip()

        def wrong(column: str, message: str) -> None:
            nonlocal sound
            sound = False
            part.tell(
                problems, "correction_invalid", message, column=column, row=row, value=text(column)
            )

        sound = True
        pairs = [pair for pair in text("key").split(";") if pair.strip()]
        key: dict[str, str] = {}
        for pair in pairs:
            name, equals, value = pair.partition("=")
            if equals:
                key[name.strip()] = value.strip()
        if text("key") and (len(key) != len(pairs) or not key):
            wrong(
                "key",
                f"The key {text('key')!r} cannot be read. Write column=value, several separated by "
                "semicolons: subject_id=0012;endpoint=PFS.",
            )
        table = text("table")
        if table and table not in CONTRACTS:
            wrong("table", f"There is no table {table!r}.{nearest(table, CONTRACTS)}")
        if not (table and key and text("field")):
            sound = False  # an empty required cell is told by the contract
        number = len(self.all) + 1
        old, new = said.get("old"), said.get("new")
        return Correction(
            part,
            number,
            row,
            table,
            key,
            text("field"),
            None if old is None or old != old else str(old),
            None if new is None or new != new else str(new),
            text("reason"),
            text("by"),
            text("date"),
            sound=sound,
        )

    def of(self, table: str) -> list[Correction]:
        """Return the sound corrections of one table, in order."""
        return [c for c in self.all if c.table == table and c.sound]

    def frame(self) -> pd.DataFrame:
        """Return ``check/corrections.tsv``: what was changed or excluded, by whom, when and why, and in how many rows."""
        return pd.DataFrame(
            [
                (
                    c.number,
                    c.table,
                    c.where,
                    c.field,
                    c.old,
                    c.new,
                    c.reason,
                    c.by,
                    c.date,
                    c.applied,
                )
                for c in self.all
            ],
            columns=[
                *["number", "table", "key", "field", "old", "new", "reason", "by", "date", "rows"]
            ],
        )

    def apply(self, part: Part, problems: Problems) -> None:
        """Correct a part's rows, in place."""
        for correction in self.of(part.table):
            frame = part.frame
            columns = {
                name: ROW_COLUMN if name == ROW else self._column(part, name)
                for name in correction.key
            }
            unknown = [name for name, column in columns.items() if column is None]
            field_column = (
                EXCLUDE if correction.field == EXCLUDE else self._column(part, correction.field)
            )
            if unknown or field_column is None:
                continue  # told at the end, if no file of the table has them
            match = np.ones(len(frame), dtype=bool)
            for name, wanted in correction.key.items():
                cells = frame[columns[name]].to_numpy(dtype=object)
                match &= np.array(
                    [cell is not None and str(cell).strip() == wanted for cell in cells], dtype=bool
                )
            places = np.flatnonzero(match)
            if not len(places):
                continue
            if field_column == EXCLUDE:
                correction.applied += len(places)
                for name in ("sample_id", "subject_id"):
                    if name in frame:
                        correction.excluded += [
                            str(cell) for cell in frame[name].to_numpy(dtype=object)[places] if cell
                        ]
                        break
                part.set_aside = pd.concat([part.set_aside, frame[match]], ignore_index=True)
                part.frame = frame[~match].reset_index(drop=True)
                continue
            cells = frame[field_column].to_numpy(dtype=object).copy()
            for index in places:
                if correction.matches(cells[index], part.decimal):
                    cells[index] = correction.replacement(part.decimal)
                    correction.applied += 1
                elif cells[index] is None:
                    correction.empty += 1
                else:
                    correction.differing.append(str(cells[index]))
            frame[field_column] = cells

    @staticmethod
    def _column(part: Part, name: str) -> str | None:
        if name in part.frame:
            return name
        return next((ours for ours, theirs in part.names.items() if theirs == name), None)

    def report(self, problems: Problems, columns: dict[str, set[str]], broken: set[str]) -> None:
        """Report corrections that found no row, or another value than they say.

        Parameters
        ----------
        columns : dict
            Table -> the columns of its files.
        broken : set of str
            Tables that could not be read whole: a row may be in what is lost.
        """
        for correction in self.all:
            if not correction.sound:
                continue
            part, place = correction.part, {"row": correction.row}
            key = correction.where
            if correction.differing or (correction.empty and not correction.applied):
                found = correction.differing[0] if correction.differing else ""
                part.tell(
                    problems,
                    "correction_old_differs",
                    f"{correction.table} {key}, {correction.field}: the file holds {found!r}, the correction "
                    f"says it holds {correction.old or ''!r}. Correct `old`, or remove the correction if the "
                    "file was put right.",
                    column="old",
                    value=correction.old or "",
                    **place,
                )
            elif not correction.applied and correction.table not in broken:
                there = columns.get(correction.table, set())
                names = [
                    n
                    for n in [*correction.key, correction.field]
                    if n not in {*there, EXCLUDE, ROW}
                ]
                if not there:
                    why = f"The study has no table {correction.table!r}."
                elif names and names[0] in CONTRACTS[correction.table].required:
                    continue  # the missing column is told with its table
                elif names:
                    why = f"The table has no column {names[0]!r}.{nearest(names[0], sorted(there))}"
                else:
                    why = "No row of the table has this key."
                part.tell(
                    problems,
                    "correction_invalid",
                    f"{correction.table} {key}: {why} Correct the row of the corrections table.",
                    column="field" if names and names[0] == correction.field else "key",
                    value=key,
                    **place,
                )


def _same(cell: object, old: str | None, decimal: str) -> bool:
    """Say whether a cell is what a correction expects: as text, number or date."""
    if cell is None or old is None:
        return cell is None and old is None
    one, other = str(cell).strip(), str(old).strip()
    if one == other:
        return True
    number = number_of(one, decimal)
    if number == number and number in (number_of(other), number_of(other, decimal)):
        return not (one.isdigit() and other.isdigit())  # 0012 is not 12
    day = as_date(one)
    return day is not None and day == as_date(other)
