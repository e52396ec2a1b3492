"""What each input table holds: loaded from ``workflow/schemas``, the only home of columns and ranges."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

#: One schema a table, beside the schema of the configuration.
SCHEMAS = Path(__file__).resolve().parents[3] / "workflow" / "schemas"

#: The contract's tables, in the order in which they are read and reported.
TABLES = (
    "subjects",
    "outcomes",
    "responses",
    "samples",
    "runs",
    "measurements",
    "alterations",
    "coverage",
    "biomarkers",
    "pathways",
    "signatures",
    "doses",
    "assessments",
    "identifiers",
    "corrections",
)


class Column(NamedTuple):
    """One column of a table.

    Attributes
    ----------
    name, description : str
    type : str
        ``text``, ``id`` (text, never trimmed or recased), ``number``, ``integer``, ``day`` (study day: no day 0),
        ``date``, or ``word`` (one of `words`).
    required : bool
        Must be there.
    filled : bool
        Must hold something in every row.
    words : tuple of str
        What a ``word`` may be.
    minimum, maximum : float or None
        Limits of numbers, inclusive.
    default : object
        What an empty cell means, None if nothing.
    date_column : str
        Of day columns: the column of dates that may stand for it.
    """

    name: str
    description: str
    type: str
    required: bool
    filled: bool
    words: tuple[str, ...]
    minimum: float | None
    maximum: float | None
    default: Any
    date_column: str


class Contract(NamedTuple):
    """One table: its columns, its key, and columns of which one at least must be there."""

    name: str
    description: str
    columns: dict[str, Column]
    key: tuple[str, ...]
    one_of: tuple[str, ...]

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the required columns."""
        return tuple(name for name, column in self.columns.items() if column.required)


def _column(name: str, said: dict[str, Any], required: bool) -> Column:
    kind = said.get("x-type")
    if kind is None:
        kind = {"number": "number", "integer": "integer"}.get(said.get("type", "string"), "text")
        if said.get("format") == "date":
            kind = "date"
        if "enum" in said:
            kind = "word"
    return Column(
        name=name,
        description=said.get("description", ""),
        type=kind,
        required=required,
        filled=required and not said.get("x-empty", False),
        words=tuple(str(word) for word in said.get("enum", ())),
        minimum=said.get("minimum"),
        maximum=said.get("maximum"),
        default=said.get("default"),
        date_column=said.get("x-date-column", ""),
    )


@cache
def contract(table: str) -> Contract:
    """Return the contract of a table.

    Raises
    ------
    FileNotFoundError
        If there is no schema of that name.
    """
    text = (SCHEMAS / f"{table}.schema.yaml").read_text(encoding="utf-8")
    schema = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text).get_single_data()
    required = set(schema.get("required", ()))
    columns = {
        name: _column(name, said or {}, name in required)
        for name, said in schema["properties"].items()
    }
    one_of = tuple(
        name for option in schema.get("anyOf", ()) for name in option.get("required", ())
    )
    return Contract(
        table, schema.get("description", ""), columns, tuple(schema.get("x-key", ())), one_of
    )


#: Table name -> its contract.
CONTRACTS: dict[str, Contract] = {table: contract(table) for table in TABLES}

#: The specimens of the contract.
SPECIMENS: tuple[str, ...] = CONTRACTS["samples"].columns["specimen"].words
