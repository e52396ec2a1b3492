"""Where results come from: every file, setting, seed and version, and who decided what about the data.

The same inputs give the same record byte for byte: it holds no time of day, no name of a machine and no
folder of a machine.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: Version of the record's layout.
LAYOUT = 1

#: Keys of the configuration that say where files lie, not what is analysed.
PLACES = ("data_dir", "results_dir")

#: How the seed of a job follows from the study's, for whoever has to draw the same numbers elsewhere.
DERIVATION = (
    "A job draws from the study's seed, or from the first 63 bits (big-endian) of the SHA-256 of the study's seed, "
    "the rule's name and its wildcards (name=value, sorted), joined by U+001F."
)


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's content, 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def combined(digests: Mapping[str, str]) -> str:
    """Return one SHA-256 of named digests, whatever their order: of the lines ``digest  name``."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def pinned(lock: str) -> dict[str, str]:
    """Return name -> version of the text of a lock file (``name==version`` a line), names in lower case with ``-``."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", lock, re.M)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def record(
    *,
    config: Mapping[str, Any],
    written: Mapping[str, str],
    inputs: Mapping[str, Mapping[str, str | Path]],
    code: Mapping[str, str],
    lock: str | Path,
    version: str,
    libraries: Mapping[str, str],
    drawing: Sequence[str],
    corrections: Sequence[Mapping[str, str]],
    flow: Sequence[Mapping[str, str]],
    problems: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    """Return the record of a study's results.

    Parameters
    ----------
    config : mapping
        The filled configuration.
    written : mapping from str to str
        Name and SHA-256 of the files that the configuration was written in.
    inputs : mapping from str to mapping
        Table -> name of a file -> where it is.
    code : mapping from str to str
        Name and SHA-256 of every file of the workflow.
    lock : str or Path
        The lock file.
    version : str
        Of the workflow.
    libraries : mapping from str to str
        Name and version of what the scripts use, Python included.
    drawing : sequence of str
        Rules that draw random numbers.
    corrections, flow, problems : sequence of mapping
        Rows of ``check/{name}.tsv``, as text.

    Returns
    -------
    dict
        Of JSON types, in a fixed order.
    """
    study = config["study"]
    locked = pinned(Path(lock).read_text(encoding="utf-8"))
    settings = {key: value for key, value in config.items() if key not in PLACES}
    files = [
        {"table": table, "file": name, "bytes": Path(path).stat().st_size, "sha256": sha256(path)}
        for table, named in sorted(inputs.items())
        for name, path in sorted(named.items())
    ]
    return {
        "layout": LAYOUT,
        "study": {key: study[key] for key in ("id", "title", "design", "simulated")},
        "inputs": files,
        "configuration": {
            "sha256": hashlib.sha256(_text(settings).encode()).hexdigest(),
            "files": dict(sorted(written.items())),
            "settings": settings,
        },
        "seeds": {
            "study": config["seed"],
            "rules that draw": sorted(drawing),
            "derivation": DERIVATION,
        },
        "decisions": {
            "arms": study.get("arms") or {},
            "population": config["population"],
            "filters": [
                {"table": table, "file": entry["path"], "where": entry["where"]}
                for table, entries in sorted(config["tables"].items())
                for entry in entries
                if entry.get("where")
            ],
            "corrections": [dict(row) for row in corrections],
            "left out": [
                {**{key: row[key] for key in ("step", "unit", "arm", "reason")}, "n": int(row["n"])}
                for row in flow
                if row["reason"] and int(row["n"])
            ],
            "accepted warnings": config["accept"],
            "warnings": sum(row["severity"] == "warning" for row in problems),
        },
        "software": {
            "workflow": version,
            "libraries": dict(sorted(libraries.items())),
            "lock": sha256(lock),
            "not as locked": {
                name: {"locked": locked[name], "found": found}
                for name, found in sorted(libraries.items())
                if name in locked and locked[name] != found
            },
        },
        "code": {"sha256": combined(code), "files": dict(sorted(code.items()))},
    }


def write(recorded: Mapping[str, Any], path: str | Path) -> None:
    """Write a record as JSON that a person can read."""
    Path(path).write_text(_text(recorded, indent=2) + "\n", encoding="utf-8")


def _text(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
