"""What docs/columns.md says of the columns of the output tables, to compare with their headers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "columns.md"

#: The section of columns that mean the same in every table.
EVERYWHERE = "In every table"


def documented() -> dict[str, list[str]]:
    """Return heading -> the columns explained below it."""
    found: dict[str, list[str]] = {}
    for part in DOCUMENT.read_text(encoding="utf-8").split("\n## ")[1:]:
        heading, _, text = part.partition("\n")
        rows = re.findall(r"^\| (`.*?) \|.*\|$", text, re.M)
        found[heading.strip()] = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    return found


def disagreements(table: str, header: Iterable[str]) -> list[str]:
    """Return what the document and the header of a table (``predictive/ENDPOINT.tsv``) do not share, in words."""
    sections = documented()
    if table not in sections:
        return [f"{table} has no section"]
    columns = list(header)
    own, shared = sections[table], set(sections[EVERYWHERE])
    base = [
        name.rsplit("_", 1)[0]
        if name.endswith(("_low", "_high")) and name not in own and name not in shared
        else name
        for name in columns
    ]
    unexplained = [name for name in dict.fromkeys(base) if name not in own and name not in shared]
    return [f"{table}: {name} is not explained" for name in unexplained] + [
        f"{table}: {name} is no column" for name in own if name not in base
    ]
