"""From a file to a table in the contract's words: presets, columns, recoding, missing values, filters."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from correlatives.tables.cells import as_numbers
from correlatives.tables.contracts import CONTRACTS
from correlatives.tables.expressions import ExpressionError, parse
from correlatives.tables.presets import Preset, with_preset
from correlatives.tables.problems import Problems
from correlatives.tables.readers import Sheet, read_sheet
from correlatives.tables.words import nearest

#: Spellings of "missing" unless a table says otherwise.
MISSING_WORDS = ("", "NA", ".")

#: Tables of which a header alone says something: nothing to correct, no alias.
MAY_BE_EMPTY = ("identifiers", "corrections")


@dataclass
class Part:
    """One file (or one endpoint of a wide file) of a table, as text in the contract's words.

    Attributes
    ----------
    frame : pd.DataFrame
        Object columns of text, None where missing, and ``_row``.
    names : dict
        Our column -> the file's, where they differ.
    set_aside : pd.DataFrame
        Rows that the filter left out.
    ragged : dict
        Our column -> cells of rows that could not be taken apart, as far as they are known.
    whole : bool
        False where rows were lost of which nothing is known.
    """

    table: str
    file: str
    entry: dict[str, Any]
    frame: pd.DataFrame
    names: dict[str, str]
    set_aside: pd.DataFrame
    decimal: str = "."
    header_row: int = 1
    ragged: dict[str, list[str]] = field(default_factory=dict)
    whole: bool = True

    def tell(
        self,
        problems: Problems,
        rule: str,
        message: str,
        *,
        column: str = "",
        row: object = None,
        subject_id: object = "",
        value: object = "",
    ) -> None:
        """Note a problem of this file; `column` is ours and told as the file's."""
        problems.add(
            rule,
            message,
            table=self.table,
            file=self.file,
            row=None if row is None else int(row),  # type: ignore[call-overload]
            column=self.names.get(column, column),
            subject_id="" if subject_id is None or subject_id != subject_id else str(subject_id),
            value="" if value is None else value,
        )

    def shown(self, column: str) -> str:
        """Return the file's name of a column of ours."""
        return self.names.get(column, column)


class Source:
    """The files of one study: read once each, mapped for every table that they serve.

    Attributes
    ----------
    guesses : list of str
        What was guessed of each file, in words.
    notes : list of str
        What was set aside in tables that `check/flow.tsv` does not count by rows.
    broken : set of str
        Tables of which something could not be read, so that identifiers may be missing from them.
    """

    def __init__(self, config: Mapping[str, Any], folder: str | Path, problems: Problems) -> None:
        self.config = config
        self.folder = Path(folder)
        self.problems = problems
        self.guesses: list[str] = []
        self.notes: list[str] = []
        self.broken: set[str] = set()
        self._sheets: dict[tuple[str, ...], Sheet | None] = {}

    def entries(self, table: str) -> list[dict[str, Any]]:
        """Return the table's entries in the configuration, as a list."""
        given = (self.config.get("tables") or {}).get(table)
        if not given:
            return []
        return [dict(entry) for entry in (given if isinstance(given, list) else [given])]

    def files(self, entry: Mapping[str, Any]) -> list[tuple[Path, str]]:
        """Return the files of an entry (patterns expanded, sorted) and their names in messages."""
        from correlatives.tables.config import expand

        paths = expand(str(entry["path"]), self.folder)
        if len(paths) == 1:
            literal = Path(entry["path"])
            if self.folder / literal == paths[0]:
                return [(paths[0], str(entry["path"]))]
        named = []
        for path in paths:
            inside = path.is_relative_to(self.folder)
            named.append((path, str(path.relative_to(self.folder) if inside else path)))
        return named

    def sheet(self, table: str, entry: Mapping[str, Any], path: Path, name: str) -> Sheet | None:
        """Read a file, once however many tables it serves; what is wrong with it is told once."""
        options = ("sheet", "delimiter", "decimal", "encoding", "header_row", "orientation")
        key = (str(path), *(str(entry.get(option) or "") for option in options))
        if key not in self._sheets:
            before = len(self.problems.errors)

            def tell(rule: str, message: str, **place: Any) -> None:  # noqa: ANN401
                self.problems.add(rule, message, table=table, file=name, **place)

            try:
                sheet = read_sheet(path, entry, tell)
            except Exception as error:  # whatever a library raises must not end the check
                tell(
                    "file_unreadable",
                    f"The file cannot be read ({type(error).__name__}: {error}). Export it again.",
                )
                sheet = None
            if sheet is not None:
                self.guesses += [f"{name}: {guess}" for guess in sheet.guesses]
                untold = len(self.problems.errors) == before
                if not len(sheet.rows) and untold and table not in MAY_BE_EMPTY:
                    tell(
                        "file_without_rows",
                        "The file has a header and no rows. Fill it in, or take the table out of "
                        "the configuration.",
                        row=sheet.header_row,
                    )
                    self.broken.add(table)
            self._sheets[key] = sheet
        sheet = self._sheets[key]
        if sheet is None or not sheet.whole:
            self.broken.add(table)
        return sheet

    def parts(self, table: str, entries: list[dict[str, Any]] | None = None) -> Iterator[Part]:
        """Yield every file of a table in the contract's words."""
        for given in self.entries(table) if entries is None else entries:
            entry, preset = with_preset(table, given)
            for path, name in self.files(entry):
                sheet = self.sheet(table, entry, path, name)
                if sheet is None:
                    continue
                yield from self._mapped(table, name, entry, given, preset, sheet)

    def _mapped(
        self,
        table: str,
        name: str,
        entry: dict[str, Any],
        given: Mapping[str, Any],
        preset: Preset | None,
        sheet: Sheet,
    ) -> Iterator[Part]:
        blank = Part(
            table,
            name,
            entry,
            pd.DataFrame(),
            {},
            pd.DataFrame(),
            sheet.decimal,
            sheet.header_row,
            whole=sheet.whole,
        )
        rows = self._rows(blank, sheet)
        words = missing_words(entry)
        raw = rows
        if preset is not None and preset.prepare is not None:
            cleaned = rows.copy()
            for column in cleaned.columns.drop("_row"):
                cleaned[column] = blanked(cleaned[column].to_numpy(dtype=object), words)
            raw, gone = preset.prepare(cleaned)
            self.notes += [
                f"{name}: {n} row(s) set aside by the preset {entry['preset']}: {reason}"
                for reason, n in gone.items()
            ]
        keep = self.kept(blank, raw, words)
        if not keep.all():
            self.notes.append(
                f"{name}: {int((~keep).sum())} of {len(keep)} rows set aside by where: {entry['where']}"
            )
        wide = (
            entry.get("endpoints")
            if table == "outcomes" and entry.get("layout") == "wide"
            else None
        )
        chosen = self._columns(blank, entry, given, preset, raw)
        if wide is None:
            yield self._part(blank, chosen, raw, keep, sheet, words)
            return
        for endpoint, pair in wide.items():
            missing = [theirs for theirs in pair.values() if theirs not in raw]
            if missing and not given.get("endpoints"):
                continue  # the preset's endpoint is not in this file
            for theirs in missing:
                self._no_column(blank, "layout", theirs, raw)
            if missing:
                continue
            part = self._part(blank, {**chosen, **pair}, raw, keep, sheet, words)
            for frame in (part.frame, part.set_aside):
                frame["endpoint"] = np.full(len(frame), endpoint, dtype=object)
            recorded = part.frame["time"].notna() | part.frame["event"].notna()
            part.frame = part.frame[recorded].reset_index(drop=True)
            used = {theirs for p in wide.values() for theirs in p.values()} - set(pair.values())
            part.frame = part.frame.drop(columns=[c for c in part.frame if c in used])
            yield part

    def _rows(self, part: Part, sheet: Sheet) -> pd.DataFrame:
        """Return the cells by the file's column names, as text, with ``_row``."""
        columns: dict[str, np.ndarray] = {}
        for index, name in enumerate(sheet.header):
            cells = sheet.texts(index)
            if not name:
                filled = [cell for cell in cells if cell is not None and str(cell).strip()]
                numbered = [str(number) for number in range(len(filled) + 1)]
                if filled and filled not in (numbered[1:], numbered[:-1]):
                    part.tell(
                        self.problems,
                        "column_unnamed",
                        f"Column {index + 1} holds values (such as {filled[0]!r}) and has no name. "
                        "Give it one.",
                        row=sheet.header_row,
                        value=filled[0],
                    )
                continue
            columns[name] = cells
        rows = pd.DataFrame(columns, index=pd.RangeIndex(len(sheet.rows)), dtype=object)
        rows["_row"] = sheet.rows
        return rows

    def kept(self, part: Part, rows: pd.DataFrame, words: frozenset[str]) -> np.ndarray:
        """Say which rows the entry's ``where`` keeps."""
        text = str(part.entry.get("where") or "").strip()
        everything = np.ones(len(rows), dtype=bool)
        if not text:
            return everything
        try:
            expression = parse(text)
        except ExpressionError as error:
            part.tell(self.problems, "filter_invalid", f"where: {error}", value=text)
            return everything
        unknown = [name for name in expression.names if name not in rows]
        for name in unknown:
            part.tell(
                self.problems,
                "filter_names_no_column",
                f"where names the column {name!r}, which the file does not have (where uses the file's "
                f"own names).{nearest(name, rows.columns)} Correct the name.",
                column=name,
                row=part.header_row,
                value=text,
            )
        if unknown:
            return everything
        named = {}
        for name in expression.names:
            cells = blanked(rows[name].to_numpy(dtype=object), words)
            if part.decimal == ",":
                numbers = as_numbers(cells, ",")
                cells = np.where(numbers.code == 0, numbers.value.astype(object), cells)
                cells = np.array([None if c is None else str(c) for c in cells], dtype=object)
            named[name] = pd.Series(cells, dtype=object)
        return np.asarray(expression.where(pd.DataFrame(named)), dtype=bool)

    def _no_column(self, part: Part, key: str, theirs: str, rows: pd.DataFrame) -> None:
        part.tell(
            self.problems,
            "mapping_names_no_column",
            f"`{key}` names the column {theirs!r}, which the file does not have."
            f"{nearest(theirs, rows.columns)} Correct the name.",
            column=theirs,
            row=part.header_row,
            value=theirs,
        )

    def _columns(
        self,
        part: Part,
        entry: Mapping[str, Any],
        given: Mapping[str, Any],
        preset: Preset | None,
        rows: pd.DataFrame,
    ) -> dict[str, str]:
        """Return our column -> the file's, of those that are mapped."""
        chosen: dict[str, str] = {}
        for ours, options in (preset.columns if preset else {}).items():
            for theirs in (options,) if isinstance(options, str) else options:
                if theirs in rows:
                    chosen[ours] = theirs
                    break
        for ours, theirs in (given.get("columns") or {}).items():
            if str(theirs) in rows:
                chosen[str(ours)] = str(theirs)
            else:
                chosen.pop(str(ours), None)
                self._no_column(part, "columns", str(theirs), rows)
                chosen[str(ours)] = ""  # told once: not a missing column as well
        return chosen

    def _part(
        self,
        blank: Part,
        chosen: Mapping[str, str],
        rows: pd.DataFrame,
        keep: np.ndarray,
        sheet: Sheet,
        words: frozenset[str],
    ) -> Part:
        recode = {
            str(column): {str(k).strip(): str(v) for k, v in said.items()}
            for column, said in (blank.entry.get("values") or {}).items()
        }
        renamed = set(chosen.values()) - set(chosen)
        columns: dict[str, np.ndarray] = {}
        contract = CONTRACTS[blank.table]
        for ours in [*chosen, *(c for c in rows.columns if c not in renamed and c not in chosen)]:
            if ours == "_row" or ours in columns:
                continue
            theirs = chosen.get(ours, ours)
            if theirs == "":
                continue
            identifier = ours in contract.columns and contract.columns[ours].type == "id"
            columns[ours] = tidied(
                rows[theirs].to_numpy(dtype=object),
                words,
                recode.get(ours, {}),
                trim=not identifier,
            )
        for ours, word in (blank.entry.get("constants") or {}).items():
            if ours in columns:
                blank.tell(
                    self.problems,
                    "column_duplicate",
                    f"`constants` gives the column {ours!r}, which the file has already"
                    f"{f' as {chosen[ours]!r}' if chosen.get(ours, ours) != ours else ''}. Take one of the two away.",
                    column=chosen.get(ours, ours),
                    row=sheet.header_row,
                    value=word,
                )
                continue
            columns[str(ours)] = np.full(len(rows), str(word), dtype=object)
        frame = pd.DataFrame(columns, index=pd.RangeIndex(len(rows)), dtype=object)
        frame["_row"] = rows["_row"].to_numpy()
        names = {ours: theirs for ours, theirs in chosen.items() if theirs and theirs != ours}
        lost = {ours for ours, theirs in chosen.items() if theirs == ""}
        for ours in recode:
            if ours not in frame and ours not in lost and blank.entry.get("preset") is None:
                blank.tell(
                    self.problems,
                    "mapping_names_no_column",
                    f"`values` recodes the column {ours!r}, which the table does not have (values uses "
                    f"our names).{nearest(ours, columns)} Correct the name.",
                    column=ours,
                    row=sheet.header_row,
                    value=ours,
                )
        part = dataclasses.replace(
            blank,
            frame=frame[keep].reset_index(drop=True),
            set_aside=frame[~keep].reset_index(drop=True),
            names=names,
        )
        if sheet.ragged:
            for ours in contract.columns:
                theirs = chosen.get(ours, ours)
                if contract.columns[ours].type == "id" and theirs in sheet.header:
                    position = sheet.header.index(theirs)
                    part.ragged[ours] = [f[position] for f in sheet.ragged if position < len(f)]
        self._require(part, lost)
        return part

    def _require(self, part: Part, told: set[str]) -> None:
        """Report required columns that are not there."""
        contract = CONTRACTS[part.table]
        dates = {column.name: column.date_column for column in contract.columns.values()}
        have = (
            set(part.frame.columns)
            | told
            | ({"endpoint"} if part.entry.get("endpoints") else set())
        )
        for name in contract.required:
            if name in have or (dates[name] and dates[name] in have):
                continue
            part.tell(
                self.problems,
                "column_missing",
                f"The required column {name!r} is not there.{self._found_instead(name, part)} "
                f"Add it, or name the file's own under `columns: {{{name}: …}}`.",
                column=name,
                row=part.header_row,
            )
            if contract.columns[name].type == "id":
                self.broken.add(part.table)
        if contract.one_of and not any(name in have for name in contract.one_of):
            names = " or ".join(repr(name) for name in contract.one_of)
            part.tell(
                self.problems,
                "column_missing",
                f"A column {names} is required, and neither is there."
                f"{self._found_instead(contract.one_of[0], part)} Add one, or name the file's own under "
                f"`columns: {{{contract.one_of[0]}: …}}`.",
                column=contract.one_of[0],
                row=part.header_row,
            )

    @staticmethod
    def _found_instead(name: str, part: Part) -> str:
        return nearest(name, [c for c in part.frame.columns if c != "_row"])


def missing_words(entry: Mapping[str, Any]) -> frozenset[str]:
    """Return the spellings of "missing" of an entry; an empty cell always is one."""
    given = entry.get("na")
    return frozenset({"", *(str(word) for word in (MISSING_WORDS if given is None else given))})


def blanked(cells: np.ndarray, words: frozenset[str]) -> np.ndarray:
    """Return text cells with None for every spelling of "missing"."""
    return tidied(cells, words, {}, trim=False)


def tidied(
    cells: np.ndarray, words: frozenset[str], recode: Mapping[str, str], *, trim: bool
) -> np.ndarray:
    """Recode text cells, then put None for "missing".

    Parameters
    ----------
    cells : np.ndarray of object, shape (n,)
    words : frozenset of str
        Spellings of "missing".
    recode : mapping
        Their word (trimmed) -> ours.
    trim : bool
        Take white space off both ends; identifiers keep it.

    Returns
    -------
    np.ndarray of object, shape (n,)
    """
    codes, levels = pd.factorize(cells, use_na_sentinel=True)
    new = np.empty(len(levels) + 1, dtype=object)
    for index, level in enumerate(levels):
        text = str(level)
        stripped = text.strip()
        if stripped in recode:
            stripped = text = recode[stripped]
        new[index] = None if stripped in words else (stripped if trim else text)
    new[len(levels)] = recode.get("") if recode.get("") not in words else None
    return new[codes]
