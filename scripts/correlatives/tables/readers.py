"""Take files apart into a header and cells of text; whatever cannot be taken apart is a problem, never an error raised."""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import os
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from correlatives.tables.cells import spelled, spelled_column

#: Endings of text tables, each also with ``.gz``.
TEXT = (".csv", ".tsv", ".txt", ".tab", ".maf")
FORMATS = (*TEXT, ".xlsx", ".xlsm", ".parquet", ".xpt", ".sas7bdat")

_DELIMITERS = (",", ";", "\t", "|")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
#: Lines looked at to guess the delimiter, and rows to guess the decimal sign and the header.
_SAMPLE_LINES, _SAMPLE_ROWS, _TITLE_ROWS = 200, 2000, 20
#: No field of a table is longer (characters); one that is, is an open quote.
_LONGEST_FIELD = 10_000_000
#: So many decimal commas, and no point, make them the habit of a comma-delimited file.
_HABIT = 5
#: What pandas calls an index without a name.
_INDEX = re.compile(r"__index_level_\d+__")
#: Bytes of a column of a Parquet file that are in memory at a time.
_BUFFER = 1 << 18
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f]")
_MAGIC = (
    (b"PK\x03\x04", "a zip archive or Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"PAR1", "a Parquet file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"HEADER RECORD", "a SAS transport file (.xpt)"),
)
_COMMA_DECIMAL = re.compile(r"[<>≤≥]?\s*[+-]?\d+,\d+")
_POINT_DECIMAL = re.compile(r"[<>≤≥]?\s*[+-]?\d+\.\d+")
_COMMA_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+")

#: ``tell(rule, message, row=, column=, value=)`` notes a problem of this file.
Tell = Callable[..., None]


#: Rows of a wide table that are worked on at a time: bounds memory, changes no result.
ROWS_A_PIECE = 4096


@dataclass(frozen=True)
class Stored:
    """A column of numbers that stays in its Parquet file until it is asked for.

    Attributes
    ----------
    path : Path
    name : str
        As the file writes it.
    dtype : np.dtype
        Of what is read.
    """

    path: Path
    name: str
    dtype: np.dtype

    def read(self) -> np.ndarray:
        """Return all of it."""
        import pyarrow.parquet as pq

        column = pq.ParquetFile(self.path, buffer_size=_BUFFER).read([self.name]).column(0)
        return _numbers(column)


@dataclass
class Sheet:
    """What a file holds, as a person sees it.

    Attributes
    ----------
    header : list of str
        Column names, trimmed.
    columns : list of np.ndarray or Stored
        One a column: text (object, None where a typed format has no value), or numbers where a typed format
        (Parquet) has them.
    rows : np.ndarray of int
        The line of each row: header = 1 in a plain file; record + 1 in a format without lines.
    header_row : int
    decimal : str
    ragged : list of list of str
        The fields of rows that are not in `columns`, so that their identifiers are known.
    whole : bool
        False where rows were lost that nothing is known of.
    guesses : list of str
        What was guessed, in words.
    """

    header: list[str]
    columns: list[np.ndarray | Stored]
    rows: np.ndarray
    header_row: int = 1
    decimal: str = "."
    ragged: list[list[str]] = field(default_factory=list)
    whole: bool = True
    guesses: list[str] = field(default_factory=list)

    def cells(self, index: int) -> np.ndarray:
        """Return a column as it is."""
        column = self.columns[index]
        return column.read() if isinstance(column, Stored) else column

    def texts(self, index: int) -> np.ndarray:
        """Return a column as text."""
        cells = self.cells(index)
        return cells if cells.dtype == object else spelled_column(cells)

    def numeric(self, indices: Sequence[int]) -> bool:
        """Whether these columns are all numbers."""
        return all(self.columns[index].dtype.kind in "fiu" for index in indices)

    def numbers(self, indices: Sequence[int]) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield some rows at a time of columns of numbers: where they are, and float64 of shape (rows, columns).

        Raises
        ------
        OSError
            If a column that stayed in its file cannot be read.
        """
        taken = [self.columns[index] for index in indices]
        stored = [column for column in taken if isinstance(column, Stored)]
        if stored:
            import pyarrow.parquet as pq
            from pyarrow import ArrowException

            # a buffer a column: a file may be one group of rows. Reading ahead would keep the file in memory
            file = pq.ParquetFile(stored[0].path, buffer_size=_BUFFER, pre_buffer=False)
            batches = file.iter_batches(ROWS_A_PIECE, columns=[one.name for one in stored])
        for start in range(0, len(self.rows), ROWS_A_PIECE):
            rows = slice(start, min(start + ROWS_A_PIECE, len(self.rows)))
            grid = np.empty((rows.stop - start, len(taken)))
            try:
                batch = next(batches) if stored else None
            except ArrowException as error:
                raise OSError(str(error)) from error
            for place, column in enumerate(taken):
                grid[:, place] = (
                    _numbers(batch.column(column.name))
                    if isinstance(column, Stored)
                    else column[rows]
                )
            yield rows, grid


def ending(path: Path) -> str:
    """Return the ending that says the format: ``.csv`` of ``a.csv.gz``."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes = suffixes[:-1]
    return suffixes[-1] if suffixes else ""


def read_sheet(path: Path, entry: Mapping[str, Any], tell: Tell) -> Sheet | None:
    """Read one file.

    Parameters
    ----------
    path : Path
    entry : mapping
        ``sheet, delimiter, decimal, encoding, header_row``; what is not given is guessed.
    tell : callable
        Notes a problem.

    Returns
    -------
    Sheet or None
        None if nothing could be read.
    """
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else None
        near = sorted(p.name for p in folder.iterdir() if p.is_file()) if folder is not None else []
        close = difflib.get_close_matches(path.name, near, n=1)
        more = f" and {len(near) - 8} more" if len(near) > 8 else ""
        there = f" The folder holds: {', '.join(near[:8])}{more}." if near else ""
        if close and close[0] != path.name:
            there = f" The nearest name is {close[0]!r}."
        if path.is_dir():
            what = f"{path} is a folder, not a file."
        elif path.is_symlink():
            what = f"{path} is a link to {path.readlink()}, and there is no such file."
        else:
            what = f"There is no file {path}."
        tell("file_missing", f"{what} Give the right path.{there}")
        return None
    if not os.access(path, os.R_OK):
        tell("file_unreadable", f"You may not read {path}. Ask its owner for leave to read it.")
        return None
    if path.stat().st_size == 0:
        tell(
            "file_empty",
            "The file is empty. Fill it in with a header line and rows, or take the table out of the configuration.",
            row=1,
        )
        return None
    kind = ending(path)
    if kind not in FORMATS:
        tell(
            "file_format_unknown",
            f"No reader knows files ending in {kind or 'nothing'!r}. Use csv, tsv, txt, xlsx, parquet, "
            "xpt or sas7bdat.",
        )
        return None
    if kind in (".xlsx", ".xlsm"):
        sheet = _read_workbook(path, entry, tell)
    elif kind == ".parquet":
        # of a table with a row a biomarker a piece is read at a time
        sheet = _read_parquet(path, tell, stored=entry.get("orientation") == "features_in_rows")
    elif kind in (".xpt", ".sas7bdat"):
        sheet = _read_sas(path, kind, tell)
    else:
        sheet = _read_text(path, kind, entry, tell)
    return _named_once(sheet, tell) if sheet is not None else None


def _named_once(sheet: Sheet, tell: Tell) -> Sheet:
    """Report columns of one name; keep the first of them."""
    seen: dict[str, int] = {}
    keep = []
    for index, name in enumerate(sheet.header):
        if name and name in seen:
            tell(
                "column_duplicate",
                f"Columns {seen[name] + 1} and {index + 1} are both named {name!r}. "
                "Give every column a name of its own.",
                row=sheet.header_row,
                column=name,
                value=name,
            )
            continue
        seen[name] = index
        keep.append(index)
    sheet.header = [sheet.header[index] for index in keep]
    sheet.columns = [sheet.columns[index] for index in keep]
    return sheet


# Text ---------------------------------------------------------------------------------------------


def _read_text(path: Path, kind: str, entry: Mapping[str, Any], tell: Tell) -> Sheet | None:
    try:
        raw = path.read_bytes()
        if path.suffix.lower() == ".gz":
            raw = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        tell("file_unreadable", f"The file cannot be read: {error}. Export it again.")
        return None
    guesses: list[str] = []
    text = _decode(raw, entry.get("encoding"), guesses, tell)
    if text is None:
        return None
    if not text.strip():
        tell(
            "file_empty",
            "The file is empty. Fill it in with a header line and rows, or take the table out of the configuration.",
            row=1,
        )
        return None
    lines = text.splitlines()
    comments = 0
    if not entry.get("header_row"):
        while comments < len(lines) and (
            lines[comments].startswith("#") or not lines[comments].strip()
        ):
            comments += 1
        if comments == len(lines):
            comments = 0
    delimiter = entry.get("delimiter")
    if delimiter == "\\t":
        delimiter = "\t"
    if not delimiter:
        delimiter = _guess_delimiter(lines[comments : comments + _SAMPLE_LINES], kind)
        if delimiter != {".csv": ",", ".tsv": "\t", ".tab": "\t", ".maf": "\t"}.get(kind):
            guesses.append(f"delimiter: {_NAMES.get(delimiter, delimiter)}")
    records, whole = _records(text, delimiter, comments, tell)
    if not records:
        if whole:
            tell("file_empty", "The file has no line of data. It needs a header and rows.", row=1)
        return None
    start = _header_position(records, entry.get("header_row"), len(lines), tell)
    if start is None:
        return None
    header_row, names = records[start]
    if header_row != 1 and not entry.get("header_row"):
        guesses.append(f"header_row: {header_row}")
    return _assemble(
        [name.strip() for name in names],
        header_row,
        records[start + 1 :],
        entry.get("decimal"),
        delimiter,
        guesses,
        whole,
        tell,
    )


def _decode(raw: bytes, encoding: str | None, guesses: list[str], tell: Tell) -> str | None:
    for magic, what in _MAGIC:
        if raw.startswith(magic):
            tell(
                "file_not_text",
                f"The file is {what}, not text. Give it its proper ending, or export it as CSV.",
                row=1,
            )
            return None
    if encoding:
        try:
            text = raw.decode(encoding)
        except LookupError:
            tell(
                "file_not_text", f"There is no encoding {encoding!r}. Use utf-8, utf-16 or cp1252."
            )
            return None
        except UnicodeError as error:
            place = getattr(error, "start", 0)
            tell(
                "file_not_text",
                f"The file is not {encoding}: byte {place + 1} cannot be read. "
                "State the encoding that it was saved in, or leave `encoding` out.",
                row=raw[:place].count(b"\n") + 1,
            )
            return None
        return text.removeprefix("\ufeff")
    text = None
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        tries = ["utf-16"]
    elif raw.startswith(b"\xef\xbb\xbf"):
        tries = ["utf-8-sig", "cp1252"]
    elif b"\x00" in raw[:4000]:
        tries = ["utf-16-le" if raw[1:2] == b"\x00" else "utf-16-be"]
    else:
        tries = ["utf-8", "cp1252"]
    for name in tries:
        try:
            text = raw.decode(name)
        except UnicodeError:
            continue
        if name not in ("utf-8", "utf-8-sig"):
            guesses.append(f"encoding: {name}")
        break
    odd = _CONTROL.search(text.removesuffix("\x1a")) if text is not None else None
    if text is None or odd is not None:
        row = 1 if odd is None or text is None else text.count("\n", 0, odd.start()) + 1
        tell(
            "file_not_text",
            "The file is not text that can be read (it holds signs that no text has). "
            "Export it as CSV in UTF-8.",
            row=row,
        )
        return None
    return text.removesuffix("\x1a").removeprefix("\ufeff")


def _guess_delimiter(lines: list[str], kind: str) -> str:
    """Return the sign that cuts most lines into the same number (more than one) of fields."""
    best, best_score = ("\t" if kind in (".tsv", ".tab", ".maf") else ","), (0.0, 0)
    told = [re.sub(r'"[^"]*"', "", line) for line in lines if line.strip()]
    for delimiter in _DELIMITERS:
        counts = Counter(line.count(delimiter) for line in told)
        counts.pop(0, None)
        if not counts:
            continue
        fields, agreeing = max(counts.items(), key=lambda item: (item[1], item[0]))
        score = (agreeing / len(told), fields)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _records(
    text: str, delimiter: str, comments: int, tell: Tell
) -> tuple[list[tuple[int, list[str]]], bool]:
    """Return (line at which a record starts, its fields), without blank lines; whether it is all of them."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    stream = io.StringIO(text, newline="")
    for _ in range(comments):
        stream.readline()
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    records: list[tuple[int, list[str]]] = []
    line = comments + 1
    try:
        for fields in reader:
            if len(fields) > 1 or (fields and fields[0].strip()):
                records.append((line, fields))
            line = comments + reader.line_num + 1
    except csv.Error as error:
        what = (
            "opens a quotation mark that is never closed"
            if "unexpected end" in str(error) or "field larger" in str(error)
            else "has a quotation mark within a field"
        )
        tell(
            "open_quote",
            f"The row {what} ({error}). Close it, or double a quotation mark that belongs to the text. "
            "The rows after it could not be read.",
            row=line,
        )
        return records, False
    finally:
        csv.field_size_limit(before)
    return records, True


def _header_position(
    records: list[tuple[int, list[str]]], header_row: int | None, lines: int, tell: Tell
) -> int | None:
    if header_row:
        for position, (line, _) in enumerate(records):
            if line == header_row:
                return position
        tell(
            "header_row_missing",
            f"header_row is {header_row}, but no row starts there (the file has {lines} lines). "
            "Give the line that holds the column names.",
            row=int(header_row),
        )
        return None
    widths = [
        sum(bool(field and field.strip()) for field in fields)
        for _, fields in records[: _TITLE_ROWS * 5]
    ]
    usual = Counter(widths).most_common(1)[0][0]
    if usual > 1:  # title lines above the header have one field
        for position, width in enumerate(widths[:_TITLE_ROWS]):
            if width > 1:
                return position
    return 0


def _assemble(
    header: list[str],
    header_row: int,
    records: list[tuple[int, list[str]]],
    decimal: str | None,
    delimiter: str,
    guesses: list[str],
    whole: bool,
    tell: Tell,
) -> Sheet:
    while (
        len(header) > 1
        and not header[-1]
        and all(
            len(fields) < len(header) or not fields[len(header) - 1].strip()
            for _, fields in records
        )
    ):
        header = header[:-1]
    k = len(header)
    regular: list[list[str]] = []
    lines: list[int] = []
    ragged: list[tuple[int, list[str]]] = []
    for line, fields in records:
        if len(fields) == k:
            regular.append(fields)
        elif len(fields) > k and not any(field.strip() for field in fields[k:]):
            regular.append(fields[:k])
        else:
            ragged.append((line, fields))
            continue
        lines.append(line)
    widths = {len(fields) for _, fields in ragged}
    if ragged and not regular and len(widths) == 1 and len(ragged) > 1:
        first, fields = ragged[0]
        title = (
            f" If row {first} holds the names ({', '.join(fields[:3])}, …), write header_row: {first}."
            if not any(field.strip()[:1] in ("", *"<>+-.0123456789") for field in fields)
            else ""
        )
        tell(
            "ragged_row",
            f"The header names {k} column(s), every row has {widths.pop()} fields. "
            f"Give every column a name, or state the delimiter.{title}",
            row=header_row,
            value=delimiter.join(header)[:80],
        )
    else:
        for line, fields in ragged:
            tell(
                "ragged_row",
                f"The row has {len(fields)} fields, the header names {k} columns. Fill in or remove "
                "fields, and put quotation marks around text that holds the delimiter "
                f"({_NAMES.get(delimiter, delimiter)}).",
                row=line,
                value=delimiter.join(fields)[:80],
            )
    cells = np.empty((len(regular), k), dtype=object)
    for position, fields in enumerate(regular):
        cells[position] = fields
    columns = [cells[:, index] for index in range(k)]
    if decimal not in (".", ","):
        decimal = _guess_decimal(regular[:_SAMPLE_ROWS], delimiter)
        if decimal == ",":
            guesses.append("decimal: comma")
    return Sheet(
        header,
        columns,
        np.array(lines, dtype=np.int64),
        header_row,
        decimal,
        [fields for _, fields in ragged],
        whole,
        guesses,
    )


def _guess_decimal(rows: list[list[str]], delimiter: str) -> str:
    """Return "," where more cells have a decimal comma than a decimal point, and not only thousands."""
    if delimiter == "," and not any("," in cell for row in rows for cell in row):
        return "."
    commas = points = sure = 0
    for row in rows:
        for cell in row:
            if "," in cell:
                if _COMMA_DECIMAL.fullmatch(cell.strip()):
                    commas += 1
                    sure += not _COMMA_THOUSANDS.fullmatch(cell.strip())
            elif "." in cell and _POINT_DECIMAL.fullmatch(cell.strip()):
                points += 1
    if delimiter == ",":  # a quoted 1,5 among whole numbers is an error, not the file's habit
        return "," if sure >= _HABIT and not points else "."
    return "," if sure and commas > points else "."


# Typed formats ------------------------------------------------------------------------------------


def _read_workbook(path: Path, entry: Mapping[str, Any], tell: Tell) -> Sheet | None:
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
        tell(
            "file_unreadable",
            f"The workbook cannot be opened ({error}). Save it as .xlsx again, or export it as CSV.",
        )
        return None
    try:
        names = list(book.sheetnames)
        wanted = entry.get("sheet")
        if wanted is not None and str(wanted) not in names:
            tell(
                "sheet_missing",
                f"The workbook has no sheet {wanted!r}. Name one of its sheets: {', '.join(names)}.",
                value=wanted,
            )
            return None
        guesses = []
        chosen = str(wanted) if wanted is not None else names[0]
        if wanted is None and len(names) > 1:
            guesses.append(f"sheet: {chosen} (of {', '.join(names)})")
        worksheet = book[chosen]
        worksheet.reset_dimensions()  # writers state them wrongly
        records: list[tuple[int, list[str | None]]] = []
        decimal = str(entry.get("decimal") or ".")
        for line, row in enumerate(worksheet.iter_rows(), start=1):
            fields = [_cell(cell, decimal) for cell in row]
            while fields and fields[-1] is None:
                fields.pop()
            if fields:
                records.append((line, fields))
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        tell("file_unreadable", f"The workbook cannot be read ({error}). Save it again as .xlsx.")
        return None
    finally:
        book.close()
    if not records:
        tell("file_empty", f"Sheet {chosen!r} is empty. It needs a header row and rows.", row=1)
        return None
    start = _header_position(
        [(line, [field or "" for field in fields]) for line, fields in records],
        entry.get("header_row"),
        records[-1][0],
        tell,
    )
    if start is None:
        return None
    header_row, names_row = records[start]
    if header_row != 1 and not entry.get("header_row"):
        guesses.append(f"header_row: {header_row}")
    body = records[start + 1 :]
    width = max([len(names_row), *(len(fields) for _, fields in body)])
    header = [(name or "").strip() for name in names_row] + [""] * (width - len(names_row))
    cells = np.full((len(body), width), None, dtype=object)
    for position, (_, fields) in enumerate(body):
        cells[position, : len(fields)] = fields
    sheet = Sheet(
        header,
        [cells[:, index] for index in range(width)],
        np.array([line for line, _ in body], dtype=np.int64),
        header_row,
        guesses=guesses,
    )
    _report_uncalculated(path, chosen, sheet, tell)
    return sheet


def _cell(cell: Any, decimal: str) -> str | None:  # noqa: ANN401 - openpyxl has three cell classes
    """Return a workbook's cell as text, its decimal sign a point.

    Typed numbers have no sign of their own; where the study states a comma, numbers typed as text have it.
    """
    value = cell.value
    if value is None:
        return None
    if isinstance(value, str) and decimal == "," and _COMMA_DECIMAL.fullmatch(value.strip()):
        return value.replace(",", ".")
    text = spelled(value)
    if isinstance(value, int) and not isinstance(value, bool):
        # A number shown with leading zeros is an identifier as the person sees it.
        shown = getattr(cell, "number_format", "") or ""
        if re.fullmatch(r"0{2,}", shown) and value >= 0:
            return str(value).zfill(len(shown))
    return text


def _report_uncalculated(path: Path, chosen: str, sheet: Sheet, tell: Tell) -> None:
    """Tell formulas that no program has calculated from empty cells."""
    with zipfile.ZipFile(path) as archive:
        if not any(
            b"<f" in archive.read(name)
            for name in archive.namelist()
            if name.startswith("xl/worksheets/") and name.endswith(".xml")
        ):
            return
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True, data_only=False)
    try:
        wanted = {int(line): position for position, line in enumerate(sheet.rows)}
        worksheet = book[chosen]
        worksheet.reset_dimensions()
        for line, row in enumerate(worksheet.iter_rows(values_only=True), start=1):
            for index, value in enumerate(row):
                formula = isinstance(value, str) and value.startswith("=")
                if not formula or line not in wanted or index >= len(sheet.header):
                    continue
                if sheet.columns[index][wanted[line]] is None:
                    tell(
                        "formula_without_value",
                        f"The formula {value!r} was never calculated, so the cell has no value. "
                        "Open and save the workbook in a spreadsheet program, or paste values.",
                        row=line,
                        column=sheet.header[index],
                        value=value,
                    )
    finally:
        book.close()


def _numbers(column: Any) -> np.ndarray:  # noqa: ANN401 - Arrow has two classes of columns
    """Return a column of Arrow's: whole numbers as they are if none is missing, else float64."""
    import pyarrow as pa

    if pa.types.is_integer(column.type) and not column.null_count:
        return np.asarray(column)
    return np.asarray(column.cast(pa.float64()))


def _read_parquet(path: Path, tell: Tell, *, stored: bool = False) -> Sheet | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        numeric = [
            field.name
            for field in schema
            if pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
        ]
        stay = set(numeric) if stored and len(set(schema.names)) == len(schema.names) else set()
        table = file.read([name for name in schema.names if name not in stay] if stay else None)
    except (pa.ArrowException, OSError) as error:
        tell("file_unreadable", f"The Parquet file cannot be read ({error}). Write it again.")
        return None
    header: list[str] = []
    columns: list[np.ndarray | Stored] = []
    read = iter(table.columns)
    for name in schema.names:
        if name in stay:
            header.append("" if _INDEX.fullmatch(name) else name.strip())
            columns.append(Stored(path, name, np.dtype(float)))
            continue
        column = next(read)
        kind = column.type
        header.append("" if _INDEX.fullmatch(name) else name.strip())
        if pa.types.is_floating(kind) or pa.types.is_integer(kind):
            columns.append(_numbers(column))
        elif (
            pa.types.is_dictionary(kind)
            or pa.types.is_string(kind)
            or pa.types.is_large_string(kind)
        ):
            values = np.array(column.to_pylist(), dtype=object)
            columns.append(values if pa.types.is_string(kind) else spelled_column(values))
        else:
            columns.append(spelled_column(np.array([*column.to_pylist(), None], dtype=object)[:-1]))
    # A numeric pandas index that nobody named carries nothing.
    keep = [
        index
        for index, (name, column) in enumerate(zip(header, columns, strict=True))
        if name or column.dtype == object
    ]
    keep.sort(key=lambda index: header[index] != "")  # pandas writes its index last
    rows = np.arange(file.metadata.num_rows, dtype=np.int64) + 2
    return Sheet([header[i] for i in keep], [columns[i] for i in keep], rows)


def _read_sas(path: Path, kind: str, tell: Tell) -> Sheet | None:
    import pyreadstat

    reader = pyreadstat.read_xport if kind == ".xpt" else pyreadstat.read_sas7bdat
    try:
        values, meta = reader(str(path), output_format="dict")
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, OSError, ValueError) as error:
        tell("file_unreadable", f"The SAS file cannot be read ({error}). Export it again.")
        return None
    header, columns = [], []
    formats = dict(getattr(meta, "original_variable_types", {}) or {})
    for name in meta.column_names:
        column = spelled_column(np.array([*values[name], None], dtype=object)[:-1])
        zeros = re.fullmatch(r"Z(\d+)", str(formats.get(name, "")))
        if zeros:
            column = np.array(
                [cell if cell is None else cell.zfill(int(zeros[1])) for cell in column],
                dtype=object,
            )
        header.append(name.strip())
        columns.append(column)
    count = len(columns[0]) if columns else 0
    return Sheet(header, columns, np.arange(count, dtype=np.int64) + 2)
