"""Results of the laboratories: long and wide tables, qualifiers, words, versions, units."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from correlatives.tables.cells import (
    EMPTY,
    NOT_A_NUMBER,
    NUMBER,
    Qualified,
    as_results,
    looks_like_date,
    remedy,
    spelled,
)
from correlatives.tables.checks import SYMBOLS, typed
from correlatives.tables.contracts import CONTRACTS
from correlatives.tables.corrections import EXCLUDE
from correlatives.tables.dictionary import Dictionary, levels_of, positives_of
from correlatives.tables.keys import empty_columns, latest
from correlatives.tables.mapping import Part, missing_words
from correlatives.tables.presets import with_preset
from correlatives.tables.readers import ROWS_A_PIECE, Sheet
from correlatives.tables.references import References, Runs
from correlatives.tables.study import NOT_DONE, STATUSES, Matrix, Piece
from correlatives.tables.units import convert_units, report_dictionary
from correlatives.tables.words import nearest

if TYPE_CHECKING:
    from correlatives.tables.load import _Loader

#: Words that laboratories write for "no result"; a binary biomarker's free words are not among them.
NONRESULT_WORDS = frozenset(
    [
        "qns",
        "insufficient",
        "failed",
        "fail",
        "failure",
        "pending",
        "cancelled",
        "canceled",
        "invalid",
        "indeterminate",
        "hemolyzed",
        "haemolysed",
        "haemolyzed",
        "clotted",
        "unknown",
        "unk",
        "nd",
        "n/a",
        "missing",
        "error",
        "nr",
        "tnp",
        "dnr",
    ]
)
_INDETERMINATE = STATUSES.index("indeterminate")
#: Columns that identify, and are no biomarker of a wide table.
_IDENTIFYING = ("subject_id", "sample_id", "run_id")


@dataclass
class Measured:
    """What the measurement tables hold; see `Study`."""

    dictionary: pd.DataFrame
    long: pd.DataFrame = field(default_factory=pd.DataFrame)
    defaults: list[dict[str, Any]] = field(default_factory=list)
    matrices: list[Matrix] = field(default_factory=list)
    implied: list[dict[str, Any]] = field(default_factory=list)


class Vocabulary:
    """What a biomarker's words mean.

    Parameters
    ----------
    dictionary : Dictionary
    nonresults : mapping
        The laboratory's words for "no result" -> status.
    """

    def __init__(self, dictionary: Dictionary, nonresults: Mapping[str, str]) -> None:
        self.dictionary = dictionary
        self.nonresults = {str(word).strip().casefold(): s for word, s in nonresults.items()}

    def status(self, word: str) -> int | None:
        """Return the code of the status that a non-result stands for."""
        found = self.nonresults.get(word.strip().casefold())
        return None if found is None else STATUSES.index(found)

    def kind(self, biomarker: str, specimen: str, assay: str, defaults: Mapping[str, Any]) -> str:
        """Return the kind that the dictionary or the table's defaults say, "" if neither does."""
        row = self.said(biomarker, specimen, assay, defaults)
        if row.get("kind"):
            return str(row["kind"])
        if row.get("levels"):
            return "ordinal"
        return "binary" if row.get("positive") else ""

    def said(
        self, biomarker: str, specimen: str, assay: str, defaults: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return kind, levels and positive words: the dictionary's, else the table's defaults."""
        row = self.dictionary.row(biomarker, specimen, assay)
        if row is None and not specimen:  # what is wrong with the specimen is told elsewhere
            row = next((r for k, r in self.dictionary.rows.items() if k[0] == biomarker), None)
        row = row or {}
        said = {}
        for name in ("kind", "levels", "positive"):
            value = row.get(name) or defaults.get(name) or ""
            said[name] = (
                "|".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            )
        return said

    def accepts(
        self, word: str, biomarker: str, specimen: str, assay: str, defaults: Mapping[str, Any]
    ) -> str:
        """Say why a word is no value of the biomarker; "" if it is one."""
        row = self.said(biomarker, specimen, assay, defaults)
        kind = self.kind(biomarker, specimen, assay, defaults)
        if kind not in ("ordinal", "binary"):
            return "It is neither a number nor a mapped non-result."
        levels = levels_of(row["levels"])
        positive = positives_of(row["positive"])
        if word in levels or word in positive:
            return ""
        if levels:
            return f"The levels of {biomarker} are {', '.join(levels)}."
        if kind == "ordinal":
            return f"{biomarker} is ordinal, and the dictionary gives no levels."
        if word.casefold() in NONRESULT_WORDS:
            return "It looks like a non-result that nothing maps."
        return ""


def read_measurements(loader: _Loader, references: References, runs: Runs) -> Measured:
    """Read the dictionary and every measurement table."""
    measured = Measured(loader.plain("biomarkers"))
    report_dictionary(
        measured.dictionary,
        loader.parts.get("biomarkers", {}),
        loader.problems,
        interactions=loader.config["study"]["design"] == "randomised",
    )
    dictionary = Dictionary(measured.dictionary)
    vocabulary = Vocabulary(dictionary, loader.config.get("nonresults") or {})
    frames: list[pd.DataFrame] = []
    for entry in loader.source.entries("measurements"):
        filled, _ = with_preset("measurements", entry)
        if filled.get("layout") == "wide":
            for path, name in loader.source.files(filled):
                sheet = loader.source.sheet("measurements", filled, path, name)
                if sheet is not None:
                    wide = _Wide(loader, filled, name, sheet, vocabulary, references, runs)
                    matrix = wide.matrix(measured)
                    if matrix is not None:
                        measured.matrices.append(matrix)
            continue
        measured.defaults.append(dict(filled.get("defaults") or {}))
        for part in loader.source.parts("measurements", [entry]):
            loader.noted(part)
            loader.aliases.apply(part.frame)
            loader.corrections.apply(part, loader.problems)
            frame = _long(part, loader, vocabulary, references, runs, measured)
            if frame is not None:
                frames.append(frame)
    stacked = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    stacked = _finished(stacked, loader)
    specimens = dict(zip(runs.samples["sample_id"], runs.samples["specimen"], strict=True))
    parts = loader.parts.get("measurements", {})
    _report_words_that_disagree(stacked, parts, loader)
    convert_units(stacked, specimens, dictionary, measured.defaults, parts, loader.problems)
    measured.long = stacked
    return measured


def _finished(frame: pd.DataFrame, loader: _Loader) -> pd.DataFrame:
    """Return long measurements with all columns, each of its type."""
    n = len(frame)
    if "_file" in frame:
        frame["_file"] = pd.array(frame["_file"].to_numpy(dtype=object), dtype="str")
    full = empty_columns(frame, "measurements")
    for name in ("qualifier", "text"):
        if name not in full:
            full[name] = pd.array(np.full(n, None, dtype=object), dtype="str")
    for name in ("qualifier", "unit", "assay"):
        full[name] = full[name].fillna("")
    if "source" not in full:
        full["source"] = np.zeros(n, dtype=np.int64)
    if not n:
        full["value"] = np.zeros(0)
    named = [
        "run_id",
        "sample_id",
        "biomarker",
        "value",
        "qualifier",
        "text",
        "status",
        "unit",
        "assay",
        "replicate",
        "result_version",
        "source",
    ]
    rest = [c for c in full.columns if c not in named and not c.startswith("_")]
    for name in rest:
        full[name] = pd.array(full[name].to_numpy(dtype=object), dtype="str")
    return full[[*named, *rest, "_file", "_row"]]


# Long ---------------------------------------------------------------------------------------------


def _long(
    part: Part,
    loader: _Loader,
    vocabulary: Vocabulary,
    references: References,
    runs: Runs,
    measured: Measured,
) -> pd.DataFrame | None:
    """Return one long file's results."""
    problems, frame = loader.problems, part.frame
    if part.entry.get("assay"):
        given = frame["assay"] if "assay" in frame else pd.Series(None, index=frame.index)
        frame["assay"] = given.astype(object).where(given.notna(), part.entry["assay"])
    place = references.place(part, runs, problems)
    if place is None or not {"biomarker", "value"} <= set(frame.columns):
        return None
    loader.note_aside(part, int(place.aside.sum()), "samples")
    place = place.without_aside(part)
    frame = part.frame
    # Where the table names no assay it is that of the run: the dictionary may have a row for it.
    assays = runs.assays(place.run)
    if (assays != "").any():
        given = frame["assay"] if "assay" in frame else pd.Series(None, index=frame.index)
        frame["assay"] = given.astype(object).where(
            given.notna(), np.where(assays == "", None, assays)
        )
    cells = frame["value"].to_numpy(dtype=object)
    rows = typed(part, problems, place.subject, loader.calendar)
    biomarker = rows["biomarker"].to_numpy(dtype=object)
    n = len(frame)
    assay = rows["assay"].fillna("").to_numpy(dtype=object) if "assay" in rows else np.full(n, "")
    said = rows["status"].to_numpy(dtype=object) if "status" in rows else np.full(n, None)
    specimen = _specimens(place.sample, runs, n)
    value, code, qualifier = as_results(cells, part.decimal)
    status = np.zeros(n, dtype=np.int8)
    text = np.full(n, None, dtype=object)
    defaults = part.entry.get("defaults") or {}

    def tell(index: int, rule: str, message: str, column: str = "value") -> None:
        part.tell(
            problems,
            rule,
            message,
            column=column,
            row=frame["_row"].iloc[index],
            subject_id=place.subject[index],
            value=cells[index] if column == "value" else frame[column].iloc[index],
        )

    verdicts: dict[tuple, str] = {}
    for index in np.flatnonzero(code > EMPTY):
        word = str(cells[index]).strip()
        if code[index] != NOT_A_NUMBER:
            tell(index, *remedy(int(code[index]), part.decimal, word))
            status[index] = _INDETERMINATE
            continue
        mapped = vocabulary.status(word)
        if mapped is not None:
            status[index] = mapped
            continue
        key = (word, biomarker[index], specimen[index], assay[index])
        if key not in verdicts:
            verdicts[key] = vocabulary.accepts(*key, defaults)
        if not verdicts[key]:
            text[index] = word
        elif looks_like_date(word):
            status[index] = _INDETERMINATE
            tell(index, "value_turned_into_date", _turned(word))
        elif isinstance(said[index], str) and said[index] != "measured":
            pass  # the status says that there is no value; the word explains why
        else:
            status[index] = _INDETERMINATE
            tell(index, "word_not_a_value", _no_value(word, str(biomarker[index]), verdicts[key]))
    # A level or a binary biomarker's value may look like a number: keep it as it is written.
    kinds: dict[tuple, str] = {}
    for index in np.flatnonzero(code == NUMBER):
        key = (biomarker[index], specimen[index], assay[index])
        if key not in kinds:
            kinds[key] = vocabulary.kind(*key, defaults)
        if kinds[key] in ("ordinal", "binary"):
            text[index] = str(cells[index]).strip()
    for index in np.flatnonzero([isinstance(s, str) for s in said]):
        stated = STATUSES.index(said[index])
        result = code[index] == NUMBER or text[index] is not None
        if stated and result:
            harmless = STATUSES[stated] == "not_detected" and (
                value[index] == 0 or qualifier[index] < 0
            )
            if not harmless:
                tell(
                    index,
                    "value_with_status",
                    f"The row has the value {cells[index]!r} and the status {said[index]!r}: the value is not "
                    "used. Correct the status if there is a result.",
                )
        elif not stated and code[index] == EMPTY:
            tell(
                index,
                "value_missing",
                "The status is 'measured', and there is no value. Give the value, or the status that says "
                "why there is none.",
            )
        if stated or code[index] == NUMBER:
            status[index] = stated
    status[(code == EMPTY) & (status == 0)] = NOT_DONE
    value[status != 0] = np.nan
    text[status != 0] = None
    qualifier[status != 0] = 0
    rows["run_id"] = pd.array(place.run, dtype="str")
    rows["sample_id"] = pd.array(place.sample, dtype="str")
    rows["value"] = value
    rows["qualifier"] = pd.array(
        np.array(["<", "", ">"], dtype=object)[qualifier.astype(int) + 1], dtype="str"
    )
    rows["text"] = pd.array(text, dtype="str")
    rows["status"] = pd.array(np.array(STATUSES, dtype=object)[status], dtype="str")
    rows["source"] = len(measured.defaults) - 1
    rows["_file"] = part.file
    rows = rows[~pd.isna(place.run) & rows["biomarker"].notna().to_numpy()]
    return _versions(part, rows, loader)


def _specimens(samples: np.ndarray, runs: Runs, n: int) -> np.ndarray:
    of = dict(zip(runs.samples["sample_id"], runs.samples["specimen"], strict=True))
    found = [of.get(s, "") if isinstance(s, str) else "" for s in samples]
    return np.array([f if isinstance(f, str) else "" for f in found], dtype=object)


def _versions(part: Part, rows: pd.DataFrame, loader: _Loader) -> pd.DataFrame:
    """Keep the last version of each result; report replicates that have one name."""
    key = [c for c in ("run_id", "biomarker", "assay", "replicate") if c in rows]
    if "result_version" in rows and rows["result_version"].notna().any():
        kept = latest(rows, key)
        if len(kept) < len(rows):
            loader.source.notes.append(
                f"{part.file}: {len(rows) - len(kept)} result(s) superseded by a later result_version"
            )
        rows = kept
    if "replicate" in rows:
        named = rows[rows["replicate"].notna()]
        for index in named.index[named.duplicated(key)]:
            row = rows.loc[index]
            part.tell(
                loader.problems,
                "duplicate_key",
                f"Replicate {row['replicate']} of {row['biomarker']} is there twice for {row['run_id']}. Number the "
                "replicates, or give a result_version.",
                column="replicate",
                row=row["_row"],
                subject_id=loader.subject_of.get(row["sample_id"], ""),
                value=row["replicate"],
            )
    return rows


def _words_are_pooled(loader: _Loader) -> bool:
    """Whether replicates are pooled: ``first`` and ``refuse`` decide between words too."""
    return (loader.config.get("choose") or {}).get("replicates", "mean") in ("mean", "median")


def _disagreement(
    biomarker: str, sample: str, first: tuple[str, str], other: tuple[str, str]
) -> str:
    """Say that two results of one sample are different words; each is (word, where)."""
    return (
        f"{biomarker} of sample {sample} is {first[0]!r} in {first[1]} and {other[0]!r} in {other[1]}. Words have no "
        "mean: correct one, remove one, or number the replicates in a column `replicate`."
    )


def _report_words_that_disagree(
    rows: pd.DataFrame, parts: Mapping[str, Part], loader: _Loader
) -> None:
    """Report levels of one sample and assay that differ, where no replicate or run tells them apart."""
    if not len(rows) or not _words_are_pooled(loader):
        return
    rows = rows[rows["text"].notna() & rows["status"].eq("measured") & rows["replicate"].isna()]
    rows = rows.assign(word=[str(text).strip() for text in rows["text"]])
    grouped = rows.groupby(["run_id", "biomarker", "assay"], sort=False)
    first = grouped[["word", "_file", "_row"]].transform("first")
    differs = (rows["word"] != first["word"]).to_numpy(dtype=bool)
    for row, base in zip(
        rows[differs].to_dict("records"), first[differs].to_dict("records"), strict=True
    ):
        there = f"row {base['_row']}"
        if base["_file"] != row["_file"]:
            there += f" of {base['_file']}"
        parts[row["_file"]].tell(
            loader.problems,
            "duplicate_key",
            _disagreement(
                row["biomarker"],
                row["sample_id"],
                (base["word"], there),
                (row["word"], f"row {row['_row']}"),
            ),
            column="value",
            row=row["_row"],
            subject_id=loader.subject_of.get(row["sample_id"], ""),
            value=row["word"],
        )


def _turned(word: str) -> str:
    return (
        f"{word!r} looks like a score that a spreadsheet turned into a date (1-5 becomes 5-Jan); it is set "
        "aside as indeterminate. Write it again, in a cell formatted as text."
    )


def _no_value(word: str, biomarker: str, why: str) -> str:
    return (
        f"{word!r} is no value of {biomarker}. {why} Correct it, map it under `nonresults`, or give the "
        "biomarker's levels or positive words in the dictionary."
    )


# Wide ---------------------------------------------------------------------------------------------


class _Wide:
    """One wide table on its way to a `Matrix`."""

    def __init__(
        self,
        loader: _Loader,
        entry: dict[str, Any],
        name: str,
        sheet: Sheet,
        vocabulary: Vocabulary,
        references: References,
        runs: Runs,
    ) -> None:
        self.loader, self.problems = loader, loader.problems
        self.entry, self.sheet = entry, sheet
        self.vocabulary, self.references, self.runs = vocabulary, references, runs
        self.key = str(entry.get("key") or "sample_id")
        self.by_feature = entry.get("orientation") == "features_in_rows"
        self.mapped = {
            str(ours): str(theirs) for ours, theirs in (entry.get("columns") or {}).items()
        }
        self.words = missing_words(entry)
        self.defaults = dict(entry.get("defaults") or {})
        self.assay = str(entry.get("assay") or "")
        self.replicates = np.zeros(0, dtype=object)
        blank = pd.DataFrame()
        self.part = Part(
            "measurements",
            name,
            entry,
            blank,
            {},
            blank,
            sheet.decimal,
            sheet.header_row,
            whole=sheet.whole,
        )
        loader.parts.setdefault("measurements", {})[name] = self.part
        loader.columns.setdefault("measurements", set()).update(
            {*_IDENTIFYING, "biomarker", "value", *sheet.header[:200]}
        )

    def matrix(self, measured: Measured) -> Matrix | None:
        """Return the table, None if its features or samples cannot be told."""
        laid = self._features_in_rows() if self.by_feature else self._samples_in_rows()
        if laid is None:
            return None
        features, feature_rows, ids, id_rows, pieces = laid
        if self.by_feature or len(self.replicates) != len(ids):
            self.replicates = np.full(len(ids), "", dtype=object)
        self.features, self.feature_rows = features, feature_rows
        self.ids = self.loader.aliases.replaced(ids, self.key)
        self.id_rows = id_rows
        # What the warnings need of the file: the lines of its identifiers, or of its biomarkers.
        named, rows = ("biomarker", feature_rows) if self.by_feature else (self.key, id_rows)
        text = pd.Series(features if self.by_feature else self.ids, dtype=object)
        self.part.frame = pd.DataFrame({named: text, "_row": rows})
        self.subjects = np.full(len(ids), None, dtype=object)
        self.specimens = np.full(len(ids), "", dtype=object)
        run, keep = self._place()
        self.assays = np.full(len(ids), self.assay, dtype=object)
        if not self.assay:
            self.assays = self.runs.assays(run)
        told = set(self.assays[keep])
        self._check_recoding()
        texts: list[tuple[str, str, str]] = []
        some = np.zeros(len(ids), dtype=bool)
        read: list[Piece] = []
        self.start = 0
        try:
            for cells in pieces:
                cells = self._corrected(self._recoded(cells))
                if cells.dtype.kind == "f":
                    parsed, status = self._numbers(cells)
                else:
                    parsed, status, said = self._parsed(cells, keep, run)
                    texts += said
                self._report_words_that_disagree(cells, status, run, keep)
                some |= (status != NOT_DONE).any(axis=0)
                value = np.where(status == 0, parsed.value, np.nan)
                read.append(Piece(value, parsed.qualifier, status).of_samples(keep))
                self.start += len(cells)
        except OSError as error:  # what a damaged file raises when its numbers are asked for
            self.part.tell(
                self.problems,
                "file_unreadable",
                f"The file cannot be read ({error}). Write it again.",
            )
            self.loader.source.broken.add("measurements")
            return None
        self._report_symbols()
        before = keep
        if self.key == "subject_id":
            run, keep = self._imply(some, keep, measured)
            place = dict(zip(self.ids, run, strict=True))
            texts = [(place.get(i) or i, b, v) for i, b, v in texts]
        if not keep[before].all():
            read = [piece.of_samples(keep[before]) for piece in read]
        columns = np.flatnonzero(keep)
        text = pd.DataFrame(texts, columns=["run_id", "biomarker", "value"], dtype="str")
        if self.key != "subject_id":
            place = dict(zip(self.ids, run, strict=True))
            text["run_id"] = pd.array([place.get(i) for i in text["run_id"]], dtype="str")
        return Matrix(
            source=self.part.file,
            features=features,
            samples=np.asarray(run[columns], dtype=object),
            pieces=read,
            defaults=self.defaults,
            assay=told.pop() if len(told) == 1 else "",
            text=text[text["run_id"].notna()].reset_index(drop=True),
        )

    # Layout

    def _check_recoding(self) -> None:
        self.recode = {str(name): words for name, words in (self.entry.get("values") or {}).items()}
        for name in self.recode:
            if name != "value" and name not in self.features:
                self._no_column("values", name, list(self.features))

    def _recoded(self, cells: np.ndarray) -> np.ndarray:
        """Put our words for theirs where the entry's `values` name a biomarker (or every one, under ``value``)."""
        said = self.recode
        if not said:
            return cells
        for row, feature in enumerate(self.features[self.start : self.start + len(cells)]):
            words = {**said.get("value", {}), **said.get(str(feature), {})}
            if words and cells.dtype == object:
                known = {str(theirs).strip(): str(ours) for theirs, ours in words.items()}
                cells[row] = [
                    known.get(cell.strip(), cell) if isinstance(cell, str) else cell
                    for cell in cells[row]
                ]
        return cells

    def _numeric(self, columns: Sequence[int]) -> bool:
        """Whether columns can be taken as numbers: what is to be recoded is looked at as it was written."""
        return not self.entry.get("values") and self.sheet.numeric(columns)

    def _cells(self, columns: Sequence[int], keep: np.ndarray) -> np.ndarray:
        """Return some of the sheet's columns, one a row of the result: float if all are, else object."""
        if columns and self._numeric(columns):
            return np.stack([self.sheet.cells(index)[keep].astype(float) for index in columns])
        cells = np.empty((len(columns), int(keep.sum())), dtype=object)
        for position, index in enumerate(columns):
            cells[position] = self.sheet.texts(index)[keep]
        return cells

    def _kept_rows(self) -> np.ndarray:
        text = str(self.entry.get("where") or "").strip()
        n = len(self.sheet.rows)
        if not text:
            return np.ones(n, dtype=bool)
        rows = {
            name: self.sheet.texts(index)
            for index, name in enumerate(self.sheet.header)
            if name and name in text
        }
        known = pd.DataFrame(rows, index=pd.RangeIndex(n), dtype=object)
        for name in self.sheet.header[:50]:  # for the hint of a misspelt name
            if name and name not in known:
                known[name] = None
        keep = self.loader.source.kept(self.part, known, self.words)
        if not keep.all():
            self.loader.source.notes.append(
                f"{self.part.file}: {int((~keep).sum())} of {n} rows set aside by where: {text}"
            )
        return keep

    def _samples_in_rows(self) -> tuple | None:
        header, keep = self.sheet.header, self._kept_rows()
        theirs = self.mapped.get(self.key, self.key)
        if theirs not in header:
            self.part.tell(
                self.problems,
                "column_missing",
                f"The key column {theirs!r} is not there.{nearest(theirs, header[:200])} Add it, or name the "
                f"file's own under `columns: {{{self.key}: …}}`.",
                column=theirs,
                row=self.sheet.header_row,
            )
            return None
        if theirs != self.key:
            self.part.names[self.key] = theirs
        ours = {theirs: name for name, theirs in self.mapped.items()}
        contract = set(CONTRACTS["measurements"].columns) | set(CONTRACTS["samples"].columns)
        skip = {theirs, ""} | {
            name for name in header if ours.get(name, name) in (contract | set(_IDENTIFYING))
        }
        names = {
            ours.get(name, name): index for index, name in enumerate(header) if name not in skip
        }
        for ours_name, theirs_name in self.mapped.items():
            if theirs_name not in header:
                self._no_column("columns", theirs_name, header)
                names.pop(ours_name, None)
        chosen = self._selected(list(names))
        ids = self._id_cells(self.sheet.texts(header.index(theirs)))
        ids, rows = ids[keep], self.sheet.rows[keep]
        replicate = self.mapped.get("replicate", "replicate")
        if replicate in header:
            told = self._id_cells(self.sheet.texts(header.index(replicate)))[keep]
            self.replicates = np.array([str(one or "").strip() for one in told], dtype=object)
        columns = [names[name] for name in chosen]
        pieces = (
            self._cells(columns[start : start + ROWS_A_PIECE], keep)
            for start in range(0, len(columns), ROWS_A_PIECE)
        )
        self._of_feature = {name: header[names[name]] for name in chosen}
        features = np.array(chosen, dtype=object)
        return features, np.full(len(chosen), self.sheet.header_row), ids, rows, pieces

    def _features_in_rows(self) -> tuple | None:
        header, keep = self.sheet.header, self._kept_rows()
        theirs = self.mapped.get("biomarker", header[0])
        if theirs not in header:
            self._no_column("columns", theirs, header)
            return None
        first = header.index(theirs)
        self.part.names["biomarker"] = theirs
        names = self.sheet.texts(first)[keep]
        rows = self.sheet.rows[keep]
        named = np.array([isinstance(n, str) and n.strip() != "" for n in names], dtype=bool)
        for index in np.flatnonzero(~named):
            self.part.tell(
                self.problems,
                "value_missing",
                "There is no biomarker. Name it in the first column.",
                column="biomarker",
                row=rows[index],
            )
        stripped = np.array([n.strip() if isinstance(n, str) else "" for n in names], dtype=object)
        chosen = set(self._selected([name for name in stripped if name]))
        use = named & np.array([name in chosen for name in stripped], dtype=bool)
        seen: dict[str, int] = {}
        for index in np.flatnonzero(use):
            name = stripped[index]
            if name in seen:
                use[index] = False
                self.part.tell(
                    self.problems,
                    "duplicate_key",
                    f"Biomarker {name!r} is in row {seen[name]} already. The table has one row a biomarker: "
                    "remove one, or give it a name of its own.",
                    column="biomarker",
                    row=rows[index],
                    value=name,
                )
            else:
                seen[name] = int(rows[index])
        columns = [i for i, name in enumerate(header) if i != first and name]
        wanted = keep.copy()
        wanted[keep] = use
        pieces = self._rows(columns, wanted)
        ids = self._id_cells(np.array([header[i] for i in columns], dtype=object))
        self._of_feature = {}
        header_rows = np.full(len(ids), self.sheet.header_row)
        return stripped[use], rows[use], ids, header_rows, pieces

    def _rows(self, columns: list[int], wanted: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the wanted rows of some columns, so many at a time."""
        if self._numeric(columns):
            for rows, grid in self.sheet.numbers(columns):
                yield grid[wanted[rows]]
            return
        cells = self._cells(columns, wanted).T
        for start in range(0, len(cells), ROWS_A_PIECE):
            yield cells[start : start + ROWS_A_PIECE]

    def _id_cells(self, cells: np.ndarray) -> np.ndarray:
        return np.array(
            [None if not isinstance(c, str) or c.strip() in self.words else c for c in cells],
            dtype=object,
        )

    def _selected(self, names: list[str]) -> list[str]:
        wanted = [str(name) for name in self.entry.get("select") or []]
        if not wanted:
            return names
        there = set(names)
        for name in wanted:
            if name not in there:
                self._no_column("select", name, names)
        return [name for name in dict.fromkeys(wanted) if name in there]

    def _no_column(self, key: str, name: str, names: Sequence[str]) -> None:
        what = "biomarker" if self.by_feature and key == "select" else "column"
        self.part.tell(
            self.problems,
            "mapping_names_no_column",
            f"`{key}` names the {what} {name!r}, which the file does not have."
            f"{nearest(name, list(names)[:500])} Correct the name.",
            column=name,
            row=self.sheet.header_row,
            value=name,
        )

    # Whose it is

    def _place(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the run of each sample column, and which of them stay."""
        frame = pd.DataFrame({self.key: self.ids, "_row": self.id_rows}, dtype=object)
        part = dataclasses.replace(self.part, frame=frame)
        before = len(self.problems.found)
        if self.key == "subject_id":
            known = self.references.known_subjects
            found = known.resolve(part, "subject_id", self.problems)
            aside = known.set_aside(self.ids)
            self.subjects = found
            self.specimens[:] = str(self.entry.get("specimen") or "")
            self._report_missing_ids()
            repeated = pd.Series(found).duplicated() & ~pd.isna(found)
            for index in np.flatnonzero(repeated):
                self.part.tell(
                    self.problems,
                    "duplicate_key",
                    f"Subject {found[index]} has more than one row. The table has one row a subject: remove "
                    "one, or use key: sample_id.",
                    column="subject_id",
                    row=self.id_rows[index],
                    subject_id=found[index],
                    value=self.ids[index],
                )
            run = np.where(repeated, None, found)
        else:
            if self.assay:
                frame["assay"] = self.assay
            place = self.references.place(part, self.runs, self.problems)
            assert place is not None
            run, aside, self.subjects = place.run, place.aside, place.subject
            self.specimens = _specimens(place.sample, self.runs, len(run))
        if self.by_feature:  # an identifier of this layout is a column of its own
            for index in range(before, len(self.problems.found)):
                problem = self.problems.found[index]
                self.problems.found[index] = problem._replace(column=problem.value)
        self.loader.note_aside(self.part, int(aside.sum()), "samples or subjects")
        return run, ~pd.isna(run)

    def _report_missing_ids(self) -> None:
        for index in np.flatnonzero(pd.isna(self.ids)):
            self.part.tell(
                self.problems,
                "value_missing",
                f"There is no {self.part.shown(self.key)}. Say whose row it is.",
                column=self.key,
                row=self.id_rows[index],
            )

    def _imply(
        self, some: np.ndarray, keep: np.ndarray, measured: Measured
    ) -> tuple[np.ndarray, np.ndarray]:
        """Make the samples that one row a subject implies, where the row has any result."""
        specimen = str(self.entry.get("specimen") or "")
        timepoint = str(self.entry.get("timepoint") or "")
        some = keep & some
        run = np.full(len(keep), None, dtype=object)
        for index in np.flatnonzero(some):
            subject = self.subjects[index]
            sample = f"{subject}/{specimen}/{timepoint}/{self.assay}"
            measured.implied.append(
                {
                    "sample_id": sample,
                    "subject_id": subject,
                    "specimen": specimen,
                    "timepoint": timepoint,
                    "assay": self.assay or None,
                    "_file": self.part.file,
                    "_row": int(self.id_rows[index]),
                }
            )
            run[index] = self.runs.imply(sample, self.assay)
        return run, some

    # What the cells say

    def _name_of(self, feature: int) -> str:
        """Return the name of a feature of the piece that is read."""
        return str(self.features[self.start + feature])

    def _place_of(self, feature: int, column: int) -> tuple[int, str]:
        """Return row and column of a cell as a person sees them."""
        if self.by_feature:
            return int(self.feature_rows[self.start + feature]), str(self.ids[column])
        name = self._name_of(feature)
        return int(self.id_rows[column]), self._of_feature.get(name, name)

    def _tell(self, feature: int, column: int, rule: str, message: str, value: object) -> None:
        row, name = self._place_of(feature, column)
        self.part.tell(
            self.problems,
            rule,
            message,
            column=name,
            row=row,
            subject_id=self.subjects[column],
            value=value,
        )

    def _numbers(self, cells: np.ndarray) -> tuple[Qualified, np.ndarray]:
        """Return results and status codes of cells that are numbers."""
        value = cells.astype(float)
        code = np.where(np.isnan(value), EMPTY, NUMBER).astype(np.int8)
        value, code = self._finite(value, code)
        for word in self.words:  # a number that means "missing", such as -99
            if _is_number(word) and spelled(float(word)) == word:
                code[value == float(word)] = EMPTY
        status = np.where(code == EMPTY, NOT_DONE, 0).astype(np.int8)
        if (code > EMPTY).any():
            status[code > EMPTY] = _INDETERMINATE
        return Qualified(value, code, np.broadcast_to(np.int8(0), value.shape)), status

    def _finite(self, value: np.ndarray, code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        for feature, column in zip(*np.nonzero(np.isinf(value)), strict=True):
            text = spelled(value[feature, column]) or ""
            self._tell(feature, column, *remedy(5, ".", text), text)
            code[feature, column] = 5
            value[feature, column] = np.nan
        return value, code

    def _corrected(self, cells: np.ndarray) -> np.ndarray:
        """Apply corrections whose key names the sample (or subject) and the biomarker."""
        feature_at = None
        for correction in self.loader.corrections.of("measurements"):
            key = correction.key
            who = key.get(self.key)
            if who is None or set(key) - {self.key, "biomarker"}:
                continue
            columns = [i for i, one in enumerate(self.ids) if isinstance(one, str) and one == who]
            if feature_at is None:
                here = self.features[self.start : self.start + len(cells)]
                feature_at = {name: i for i, name in enumerate(here)}
            if "biomarker" in key:
                rows = [feature_at[key["biomarker"]]] if key["biomarker"] in feature_at else []
            else:
                rows = list(range(len(cells))) if correction.field == EXCLUDE else []
            if not rows or not columns or correction.field not in (EXCLUDE, "value"):
                continue
            if cells.dtype.kind == "f":
                texts = np.empty(cells.shape, dtype=object)
                texts[:] = [[spelled(cell) for cell in row] for row in cells]
                cells = texts
            for row in rows:
                for column in columns:
                    cell = cells[row, column]
                    cell = None if cell is None or str(cell).strip() in self.words else cell
                    if correction.field == EXCLUDE:
                        cells[row, column] = None
                        correction.applied += 1
                    elif correction.matches(cell, self.part.decimal):
                        cells[row, column] = correction.replacement(self.part.decimal)
                        correction.applied += 1
                    elif cell is None:
                        correction.empty += 1
                    else:
                        correction.differing.append(str(cell))
        return cells

    def _parsed(
        self, cells: np.ndarray, keep: np.ndarray, run: np.ndarray
    ) -> tuple[Qualified, np.ndarray, list[tuple[str, str, str]]]:
        """Return results, status codes, and words (id, biomarker, word)."""
        shape = cells.shape
        flat = cells.ravel()
        value = np.full(len(flat), np.nan)
        code = np.full(len(flat), EMPTY, dtype=np.int8)
        qualifier = np.zeros(len(flat), dtype=np.int8)
        if self.part.decimal == ".":
            value = np.array(
                pd.to_numeric(pd.Series(flat, dtype=object), errors="coerce"), dtype=float
            )
            code[~np.isnan(value)] = NUMBER
            open_cells = np.flatnonzero(~np.isfinite(value))
        else:
            open_cells = np.arange(len(flat))
        # Few spellings are left: each is read once.
        level_of, levels = pd.factorize(flat[open_cells], use_na_sentinel=True)
        texts = np.array([str(level) for level in levels] + [None], dtype=object)
        stripped = np.array(
            [None if t is None or t.strip() in self.words else t for t in texts], dtype=object
        )
        read = as_results(stripped, self.part.decimal)
        value[open_cells] = read.value[level_of]
        code[open_cells] = read.code[level_of]
        qualifier[open_cells] = read.qualifier[level_of]
        for word in self.words:  # a number that means "missing", such as -99
            if word and self.part.decimal == "." and _is_number(word):
                absent = np.flatnonzero(value == float(word))
                spelt = [i for i in absent if str(flat[i]).strip() == word]
                value[spelt], code[spelt] = np.nan, EMPTY
        value, code = value.reshape(shape), code.reshape(shape)
        qualifier = qualifier.reshape(shape)
        status = np.where(code == EMPTY, NOT_DONE, 0).astype(np.int8)
        words = self._judged(cells, value, code, status, keep)
        return Qualified(value, code, qualifier), status, words

    def _judged(
        self,
        cells: np.ndarray,
        value: np.ndarray,
        code: np.ndarray,
        status: np.ndarray,
        keep: np.ndarray,
    ) -> list[tuple[str, str, str]]:
        """Decide on every cell that is no number: a non-result, a word, or an error."""
        words: list[tuple[str, str, str]] = []
        hopeless = self._columns_of_words(cells, code, keep)
        verdicts: dict[tuple, str] = {}
        for feature, column in zip(*np.nonzero(code > EMPTY), strict=True):
            if not keep[column]:
                continue
            word = str(cells[feature, column]).strip()
            if code[feature, column] != NOT_A_NUMBER:
                decimal = self.part.decimal
                self._tell(
                    feature, column, *remedy(int(code[feature, column]), decimal, word), word
                )
                status[feature, column] = _INDETERMINATE
                continue
            mapped = self.vocabulary.status(word)
            if mapped is not None:
                status[feature, column] = mapped
                continue
            biomarker = self._name_of(feature)
            key = (word, biomarker, str(self.specimens[column]), str(self.assays[column]))
            if key not in verdicts:
                verdicts[key] = self.vocabulary.accepts(*key, self.defaults)
            if not verdicts[key]:
                words.append((str(self.ids[column]), biomarker, word))
                continue
            status[feature, column] = _INDETERMINATE
            if feature in hopeless:
                continue
            if looks_like_date(word):
                self._tell(feature, column, "value_turned_into_date", _turned(word), word)
            else:
                message = _no_value(word, biomarker, verdicts[key])
                self._tell(feature, column, "word_not_a_value", message, word)
        return words

    def _columns_of_words(self, cells: np.ndarray, code: np.ndarray, keep: np.ndarray) -> set[int]:
        """Report, once each, features that hold words only: they are no biomarkers, or lack levels."""
        hopeless: set[int] = set()
        if self.by_feature or self.entry.get("select") or not keep.any():
            return hopeless
        wordy = (code[:, keep] == NOT_A_NUMBER).sum(axis=1)
        numeric = (code[:, keep] == NUMBER).any(axis=1)
        for feature in np.flatnonzero((wordy >= 3) & ~numeric):
            columns = np.flatnonzero((code[feature] == NOT_A_NUMBER) & keep)
            biomarker = self._name_of(feature)
            kind = self.vocabulary.kind(
                biomarker,
                str(self.specimens[columns[0]]),
                str(self.assays[columns[0]]),
                self.defaults,
            )
            if kind in ("ordinal", "binary"):
                continue
            mapped = [self.vocabulary.status(str(cells[feature, c])) for c in columns]
            if any(code is not None for code in mapped):
                continue
            hopeless.add(int(feature))
            word = str(cells[feature, columns[0]])
            self._tell(
                feature,
                int(columns[0]),
                "word_not_a_value",
                f"{biomarker} has {len(columns)} words (such as {word!r}) and no number. If it is no biomarker, "
                "name the biomarkers under `select`; if it is one, give its levels or positive words in "
                "the dictionary.",
                word,
            )
        return hopeless

    def _report_words_that_disagree(
        self, cells: np.ndarray, status: np.ndarray, run: np.ndarray, keep: np.ndarray
    ) -> None:
        """Report levels of one sample that differ between its rows, where no replicate tells them apart."""
        named = pd.Series(run).where(keep)
        repeated = np.flatnonzero(named.duplicated(keep=False) & named.notna())
        if not len(repeated) or self.key == "subject_id" or not _words_are_pooled(self.loader):
            return
        for feature, biomarker in enumerate(self.features[self.start : self.start + len(cells)]):
            first: dict[tuple[str, str], int] = {}
            for column in repeated[status[feature, repeated] == 0]:
                kind = self.vocabulary.kind(
                    str(biomarker),
                    str(self.specimens[column]),
                    str(self.assays[column]),
                    self.defaults,
                )
                if kind not in ("ordinal", "binary"):
                    continue
                base = first.setdefault((str(run[column]), self.replicates[column]), column)
                said, word = ((spelled(cells[feature, c]) or "").strip() for c in (base, column))
                if said != word:
                    there, here = (
                        "another column" if self.by_feature else f"row {self.id_rows[c]}"
                        for c in (base, column)
                    )
                    message = _disagreement(
                        str(biomarker), str(self.ids[column]), (said, there), (word, here)
                    )
                    self._tell(feature, int(column), "duplicate_key", message, word)

    def _report_symbols(self) -> None:
        """Report features whose names a spreadsheet turned into dates."""
        for feature, name in enumerate(self.features):
            if looks_like_date(name):
                self.part.tell(
                    self.problems,
                    "value_turned_into_date",
                    f"{name!r} is a date where a {SYMBOLS[1]} belongs: a spreadsheet turned a symbol such as "
                    "MARCHF1 or SEPTIN9 into it. Write the symbol again, in a cell formatted as text.",
                    column="biomarker" if self.by_feature else str(name),
                    row=self.feature_rows[feature],
                    value=name,
                )


def _is_number(text: str) -> bool:
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False
