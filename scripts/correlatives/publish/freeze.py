"""Freezes: the results of one day, kept together with what made them, and never changed again."""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

from correlatives.publish.provenance import sha256
from correlatives.tables.config import OWNER_FILE

#: Digests of every file of a freeze, as ``sha256sum --check`` reads them.
MANIFEST = "SHA256SUMS"

#: What a freeze may be called: it is a folder.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

#: Folders of the results that say how the run went, not what came out.
OF_THE_RUN = ("logs", "benchmarks")

#: The report is there once: as the page.
LEFT_OUT = ("report.zip",)


class Refused(Exception):
    """A freeze that cannot be made or used; the message is for the user."""


def kept(results: str | Path) -> list[Path]:
    """Return the files of a results folder that a freeze keeps, relative to it and sorted.

    Tables, figures, the cohort, locked models, the report and the provenance: what lies in the folder or in one of
    its folders. What lies deeper is working material, except locked models; results of another study in a
    folder below are that study's.
    """
    results = Path(results)
    found = [path for path in results.iterdir() if path.is_file()]
    for folder in results.iterdir():
        if folder.is_dir() and folder.name not in OF_THE_RUN and not (folder / OWNER_FILE).exists():
            found += [path for path in folder.iterdir() if path.is_file()]
    found += (results / "response" / "locked").glob("*.json")
    return sorted(
        path.relative_to(results)
        for path in found
        if not path.name.startswith(".") and path.name not in LEFT_OUT
    )


def vacant(folder: str | Path, name: str) -> Path:
    """Return the place of a new freeze in a folder of freezes.

    Raises
    ------
    Refused
        If it cannot be called so, or is there already.
    """
    if not NAME.fullmatch(name):
        raise Refused(
            f"A freeze cannot be called {name!r}. Use letters, digits, dots, _ and -, such as 2026-11."
        )
    place = Path(folder) / name
    if place.exists():
        raise Refused(
            f"{place} is there already, and a freeze is never overwritten. Choose another name."
        )
    return place


def make(folder: str | Path, name: str, files: Mapping[str, str | Path]) -> Path:
    """Write a freeze: copies of files that nobody may write, and their digests.

    Parameters
    ----------
    folder : str or Path
        Of freezes.
    name : str
        Of the freeze, which appears whole or not at all.
    files : mapping from str to path
        Name within the freeze -> the file to copy.

    Returns
    -------
    Path
        The freeze's own folder.

    Raises
    ------
    Refused
        As `vacant`.
    """
    place = vacant(folder, name)
    part = place.with_name(f".{name}.part")
    thaw(part)
    try:
        lines = []
        for inside, path in sorted(files.items()):
            copy = part / inside
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            lines.append(f"{sha256(copy)}  {inside}\n")
        (part / MANIFEST).write_text("".join(lines), encoding="utf-8")
        part.rename(place)
    except BaseException:
        thaw(part)
        raise
    writable = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    for path in [*place.rglob("*"), place]:
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~writable)
    return place


def thaw(folder: str | Path) -> None:
    """Remove a folder whose files may be read-only; nothing where there is none."""
    folder = Path(folder)
    if not folder.exists():
        return
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    shutil.rmtree(folder)


def digests(folder: str | Path) -> dict[str, str]:
    """Return the name within a freeze -> digest of its files, from its list."""
    lines = (Path(folder) / MANIFEST).read_text(encoding="utf-8").splitlines()
    return dict(reversed(line.split("  ", 1)) for line in lines)


def verified(folder: str | Path) -> Path:
    """Return a freeze's folder if it is whole and nothing in it has changed.

    Raises
    ------
    Refused
        Naming what is missing, changed or added.
    """
    folder = Path(folder)
    manifest = folder / MANIFEST
    if not manifest.is_file():
        others = sorted(path.parent.name for path in folder.parent.glob(f"*/{MANIFEST}"))
        there = f"There are: {', '.join(others)}." if others else "There is none at all."
        raise Refused(f"There is no freeze {folder}. {there}")
    listed = digests(folder)
    present = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    } - {MANIFEST}
    wrong = [f"{name} is missing" for name in sorted(listed.keys() - present)]
    wrong += [f"{name} was added" for name in sorted(present - listed.keys())]
    wrong += [
        f"{name} was changed"
        for name in sorted(listed.keys() & present)
        if sha256(folder / name) != listed[name]
    ]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise Refused(
            f"The freeze {folder} is not what was frozen: {'; '.join(wrong[:5])}{more}. "
            "Restore it from a copy, or do not use it."
        )
    return folder
