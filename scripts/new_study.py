"""Write the folder of a new study: a commented configuration, empty tables and what to do with them.

    python scripts/new_study.py NAME [--folder studies]

The configuration comes from ``workflow/schemas/config.schema.yaml`` and the tables from the contracts,
so that neither can drift from what the workflow accepts.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from correlatives.tables.config import SCHEMA
from correlatives.tables.contracts import CONTRACTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from correlatives.tables.contracts import Column, Contract

#: Tables that a new study starts with; the others are there and commented out, since a table that is
#: switched on and empty is an error.
FIRST_TABLES = ("subjects", "outcomes", "samples", "measurements")

#: Endpoints that a new study starts with once it has the table named.
LATER_ENDPOINTS = {"ORR": ("responses", {"type": "response", "responders": ["CR", "PR"]})}

#: Rows of the workbook in which words are offered and numbers are checked.
ROWS = 5000

#: Excel takes a list of words of this many characters at most.
LONGEST_LIST = 255

#: Excel's own number of its text format: what is typed stays as it is.
TEXT_FORMAT = 49

WIDTH = 100


def first_values(name: str) -> dict[str, Any]:
    """Return what a new study writes out; every other key is commented out, at its default."""
    return {
        "study": {
            "id": name,
            "title": name,
            "design": "randomised",
            "arms": {"control": ["control"], "experimental": ["experimental"]},
            "time_unit": "months",
        },
        "results_dir": f"results/{name}",
        "tables": {table: {"path": f"data/{table}.csv"} for table in FIRST_TABLES},
        "endpoints": {
            "PFS": {"type": "time_to_event"},
            "OS": {"type": "time_to_event"},
        },
    }


# --- the configuration ----------------------------------------------------------------------------------


def flow(value: object) -> str:
    """Write a value on one line, as YAML."""
    text = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10**6
    )
    return text.removesuffix("\n").removesuffix("\n...")


def prose(text: str, indent: str) -> Iterator[str]:
    """Yield comment lines."""
    yield from textwrap.wrap(
        text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
    )


def explained(schema: Mapping[str, Any], *, example: bool = False) -> str:
    """Return what a key means, what it may be, its default and, on the same line, an example."""
    parts = [schema.get("description", "")]
    words = schema.get("enum") or schema.get("items", {}).get("enum")
    if words:
        options = " or ".join(f'"{word}"' if not word.isidentifier() else word for word in words)
        parts.append(f"One of {options}." if "enum" in schema else f"Any of {options}.")
    if "x-default" in schema:
        parts.append(f"Default: {schema['x-default']}.")
    elif example and "default" in schema:
        parts.append(f"Default: {flow(schema['default'])}.")
    if example and "examples" in schema:
        parts.append(f"For example {flow(schema['examples'][0])}")
    return " ".join(part for part in parts if part)


def example_of(key: str, schema: Mapping[str, Any], indent: str) -> Iterator[str]:
    """Yield an example as it would be written, in comment lines."""
    if "examples" not in schema:
        return
    yield f"{indent}# For example:"
    value = schema["examples"][0]
    if isinstance(value, list):
        lines = [f"{key}:", *(f"  - {flow(item)}" for item in value)]
    elif all(isinstance(item, dict) for item in value.values()):
        lines = [f"{key}:", *(f"  {name}: {flow(item)}" for name, item in value.items())]
    else:
        lines = [f"{key}: {flow(value)}"]
    yield from (f"{indent}#     {line}" for line in lines)


def settings(
    schema: Mapping[str, Any], written: Mapping[str, Any], indent: str = "", *, off: bool = False
) -> Iterator[str]:
    """Yield the lines of the keys of one group: what is written, and the rest commented out."""
    for key, inner in schema.get("properties", {}).items():
        if not indent:
            yield ""
        yield from prose(explained(inner), indent)
        yield from example_of(key, inner, indent)
        silent = off or key not in written
        sign = "#" if silent else ""
        value = written.get(key, inner.get("default"))
        if key == "tables":
            yield f"{indent}{key}:"
            yield from tables(inner, value)
        elif key == "endpoints" and not indent:
            yield f"{indent}{key}:"
            yield from endpoints(inner, value)
        elif "properties" in inner and "x-default" not in inner:
            yield f"{indent}{sign}{key}:"
            yield from settings(inner, written.get(key) or {}, indent + "  ", off=silent)
        elif value is None:
            yield f"{indent}{sign}{key}:"
        else:
            yield f"{indent}{sign}{key}: {flow(value)}"


def tables(schema: Mapping[str, Any], written: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the tables; what every table may say is explained once."""
    known = schema["properties"]
    common = known["subjects"]["properties"]
    yield from prose(
        "Every table may also say, beside its path, such as {path: x.csv, na: [-]}:", "  "
    )
    for key, inner in common.items():
        if key != "path":
            yield from prose(f"- {key}: {explained(inner, example=True)}", "  ")
    for table, inner in known.items():
        yield from prose(explained(inner), "  ")
        special = {
            key: f"{key} ({', '.join(option['enum'])})" if "enum" in option else key
            for key, option in inner["properties"].items()
            if key not in common
        }
        if special:
            yield from prose(
                f"It may also say {', '.join(special.values())}: see config/README.md.", "  "
            )
        sign = "" if table in written else "#"
        yield f"  {sign}{table}: {flow(written.get(table, {'path': f'data/{table}.csv'}))}"


def endpoints(schema: Mapping[str, Any], written: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the endpoints; what an endpoint may say is explained once."""
    yield from prose("An endpoint may say:", "  ")
    for key, inner in schema["additionalProperties"]["properties"].items():
        yield from prose(f"- {key}: {explained(inner, example=True)}", "  ")
    for name, value in written.items():
        yield f"  {name}: {flow(value)}"
    for name, (table, value) in LATER_ENDPOINTS.items():
        yield from prose(f"Remove the # of {name} once the table {table} is filled in:", "  ")
        yield f"  #{name}: {flow(value)}"


def configuration(name: str) -> str:
    """Return the text of a new study's ``config.yaml``."""
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    head = [
        *prose(f"The study {name}: everything the workflow has to know about it.", ""),
        *prose(
            "Lines of # and a space explain. Keys right after a # are at their default: remove the # "
            "(also of the key above, if that has one) to set them. config/README.md says more.",
            "",
        ),
        *prose(f"snakemake --configfile studies/{name}/config.yaml", ""),
    ]
    return "\n".join([*head, *settings(schema, first_values(name))]) + "\n"


# --- the tables -----------------------------------------------------------------------------------------


def write_csv(contract: Contract, path: Path) -> None:
    """Write the header of one table."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle, lineterminator="\n").writerow(contract.columns)


def write_workbook(contracts: Iterable[Contract], path: Path) -> None:
    """Write one sheet a table, with lists of the words allowed, and a sheet that explains the columns."""
    import xlsxwriter

    with xlsxwriter.Workbook(path) as book:
        # the same file from the same contracts: without the hour at which it was made
        book.set_properties({"created": datetime.datetime(2000, 1, 1)})
        formats = {
            "required": book.add_format(
                {"bold": True, "bg_color": "#DDEBF7", "num_format": TEXT_FORMAT}
            ),
            "optional": book.add_format({"bg_color": "#F2F2F2", "num_format": TEXT_FORMAT}),
            "text": book.add_format({"num_format": TEXT_FORMAT}),
            "date": book.add_format({"num_format": "yyyy-mm-dd"}),
            "wrapped": book.add_format({"text_wrap": True, "valign": "top"}),
        }
        guide = book.add_worksheet("columns")
        for position, (title, width) in enumerate(
            [("table", 14), ("column", 24), ("required", 10), ("what it holds", 80), ("values", 50)]
        ):
            guide.set_column(position, position, width, formats["wrapped"])
            guide.write_string(0, position, title, formats["required"])
        guide.freeze_panes(1, 0)
        line = 0
        for contract in contracts:
            sheet = book.add_worksheet(contract.name)
            sheet.freeze_panes(1, 0)
            for position, column in enumerate(contract.columns.values()):
                needed = column.required or column.name in contract.one_of
                _write_column(sheet, position, column, formats, needed=needed)
                line += 1
                for at, text in enumerate(
                    [
                        contract.name,
                        column.name,
                        _needed(contract, column),
                        column.description,
                        _allowed(column),
                    ]
                ):
                    guide.write_string(line, at, text, formats["wrapped"])


def _needed(contract: Contract, column: Column) -> str:
    if column.required:
        return "yes"
    return "one of them" if column.name in contract.one_of else ""


def _allowed(column: Column) -> str:
    if column.words:
        return ", ".join(column.words)
    if column.minimum is not None and column.maximum is not None:
        return f"{column.minimum:g} to {column.maximum:g}"
    if column.minimum is not None:
        return f"at least {column.minimum:g}"
    kinds = {"day": "a study day: 1 is the first dose, -1 the day before", "date": "a date"}
    return kinds.get(column.type, column.type)


def _write_column(
    sheet: Any,  # noqa: ANN401 - xlsxwriter is imported only where it is used
    position: int,
    column: Column,
    formats: Mapping[str, Any],
    *,
    needed: bool,
) -> None:
    sheet.write_string(0, position, column.name, formats["required" if needed else "optional"])
    # identifiers and words as text: 0012 stays 0012, and 1-5 is no date
    plain = {"number": None, "integer": None, "day": None, "date": formats["date"]}
    look = plain.get(column.type, formats["text"])
    sheet.set_column(position, position, max(12, len(column.name) + 2), look)
    title, text = column.name[:32], column.description[:255]
    rule: dict[str, Any] = {"validate": "any"}
    if column.words and len(",".join(column.words)) <= LONGEST_LIST:
        rule = {"validate": "list", "source": list(column.words)}
    elif column.type in ("number", "integer", "day"):
        rule = {
            "validate": "decimal" if column.type == "number" else "integer",
            **_between(column),
        }
    sheet.data_validation(
        1, position, ROWS, position, rule | {"input_title": title, "input_message": text}
    )


def _between(column: Column) -> dict[str, Any]:
    low, high = column.minimum, column.maximum
    if low is not None and high is not None:
        return {"criteria": "between", "minimum": low, "maximum": high}
    if low is not None:
        return {"criteria": ">=", "value": low}
    if high is not None:
        return {"criteria": "<=", "value": high}
    return {"criteria": "between", "minimum": -1_000_000_000, "maximum": 1_000_000_000}


# --- what to do with them -------------------------------------------------------------------------------


def read_me(name: str, folder: Path) -> str:
    """Return the text of the new study's README."""
    rows = []
    for contract in CONTRACTS.values():
        required = ", ".join(f"`{column}`" for column in contract.required)
        if contract.one_of:
            required = f"{required}, {' or '.join(f'`{c}`' for c in contract.one_of)}".lstrip(", ")
        state = "on" if contract.name in FIRST_TABLES else "off"
        rows.append(f"| {contract.name} | {contract.description} | {required} | {state} |")
    return f"""# {name}

1. Fill the tables in `data/`: the CSV files, or the sheets of `data/tables.xlsx` (its sheet *columns*
   says what each column holds; cells offer the words that are allowed). Identifiers are text: `0012`
   stays `0012`. Leave a cell empty where nothing is known. Further columns of your own are kept and may
   be used by name.
2. Say in `config.yaml` what the study is: its arms (the words in the `arm` column), its endpoints, the
   unit of time. Tables that are *off* below are commented out there: remove the `#` of those you fill
   (with `responses`, also that of the endpoint `ORR`), and put one before those you do not need: a
   table that is on and has no rows is an error. A table of the workbook is named by its sheet:
   `subjects: {{path: data/tables.xlsx, sheet: subjects}}`. Files you already have need no retyping: `path`
   leads anywhere, and `columns` and `values` say what their columns and words mean.
3. Look at what the check says, and put right what it finds:

       make check STUDY={(folder / name).as_posix()}/config.yaml

4. Run everything:

       make run STUDY={(folder / name).as_posix()}/config.yaml

   Both are called in the folder of the workflow, and set up its environment where that is not done yet. To call
   Snakemake yourself, `source .venv/bin/activate` first, then
   `snakemake --configfile {(folder / name).as_posix()}/config.yaml`.

   The results are in `results/{name}`, the report is `results/{name}/report.html`.

| table | one row is | needs | in config.yaml |
|---|---|---|---|
{chr(10).join(rows)}

Every study needs subjects, outcomes or responses, and measurements or alterations.
`config/README.md` of the workflow explains every key of `config.yaml`.
"""


def write_study(name: str, folder: Path) -> Path:
    """Write the folder of a new study.

    Parameters
    ----------
    name : str
        Letters, digits, _ and -.
    folder : Path
        Where studies are kept; made where it does not exist.

    Returns
    -------
    Path
        The study's own folder.

    Raises
    ------
    ValueError
        If the name has other signs.
    FileExistsError
        If there is something of that name already.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f'"{name}" has other signs than letters, digits, _ and -.')
    study = folder / name
    if study.exists():
        raise FileExistsError(f"{study} is there already. Nothing was written.")
    data = study / "data"
    data.mkdir(parents=True)
    (study / "config.yaml").write_text(configuration(name), encoding="utf-8")
    for contract in CONTRACTS.values():
        write_csv(contract, data / f"{contract.name}.csv")
    write_workbook(CONTRACTS.values(), data / "tables.xlsx")
    (study / "README.md").write_text(read_me(name, folder), encoding="utf-8")
    return study


def main(arguments: list[str] | None = None) -> int:
    """Write a new study; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the folder of a new study.")
    parser.add_argument("name", help="the study's name: letters, digits, _ and -")
    parser.add_argument(
        "--folder", type=Path, default=Path("studies"), help="where studies are kept (studies)"
    )
    given = parser.parse_args(arguments)
    try:
        study = write_study(given.name, given.folder)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{study} is ready. {study / 'README.md'} says what to do.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
