"""Why a job runs, in the words of the person who runs it.

Snakemake keeps, of every job that was done, the values of its parameters without their names. Most of them say
what they are: digests of code and tables, versions of libraries, sections of the configuration. What two sets of
them differ in is worked out here. Imports nothing slow, and nothing of Snakemake.
"""

from __future__ import annotations

import ast
import base64
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

#: A file of code and the digest of its content, as ``workflow.digests`` writes them.
_CODE = re.compile(r"(?P<path>[^@]+\.py)@(?P<digest>[0-9a-f]{12}|absent)")
_DIGEST = re.compile(r"[0-9a-f]{12}|absent")
#: A library and its version, as ``workflow.libraries`` writes them.
_LIBRARY = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)")

#: How much of a value is shown.
_LONGEST = 60
#: How many changes, or names, are listed.
_MOST = 6

_NOTHING = object()

#: Snakemake cuts the names of its records into pieces of this many characters, folders but for the last.
_LONGEST_NAME = 254


def made_elsewhere(results_dir: str | Path, folder: str | Path = ".") -> str:
    """Say so if Snakemake's records in a folder know nothing of finished results.

    What was changed since a job was done is seen by its record in ``.snakemake`` of the folder in which it was
    started. Without one Snakemake takes the results for up to date, whatever they were made from.

    Parameters
    ----------
    results_dir : str or Path
        Relative to `folder`, or absolute.
    folder : str or Path
        The working directory of the run.

    Returns
    -------
    str
        The sentence for the user; "" where there are no finished results, or a record of them.
    """
    folder = Path(folder)
    last = Path(results_dir, "provenance.json")
    if not (folder / last).is_file():
        return ""
    records = folder / ".snakemake" / "metadata"
    there = (folder / last).absolute()
    for spelling in {str(last), os.path.relpath(there, folder), str(there)}:
        name = base64.urlsafe_b64encode(spelling.encode()).decode()
        parts = [name[i : i + _LONGEST_NAME] for i in range(0, len(name), _LONGEST_NAME)]
        if records.joinpath(*("@" + part for part in parts[:-1]), parts[-1]).is_file():
            return ""
    return (
        f"The results in {results_dir} were made in another folder, or its records (.snakemake) are gone: what "
        "changed since then cannot be seen from here, and they would be taken for up to date. Go on in the folder "
        "where they were made, or make them anew, once, with --forceall."
    )


def changes(before: Collection[str], now: Mapping[str, str]) -> list[str]:
    """Return one phrase for each thing that differs between two runs of a job.

    Parameters
    ----------
    before : collection of str
        Representations (``repr``) of the parameters that only the earlier run had.
    now : mapping of str to str
        Representations of those that only this run has, with the parameter's name.

    Returns
    -------
    list of str
        Such as ``data/blood.csv changed`` or ``predictive.randomisations: 999 → 9999``. Empty where nothing
        differs.
    """
    old, new = [_value(text) for text in before], [(n, _value(text)) for text, n in now.items()]
    old, new, phrases = _of_pattern(_CODE, "path", "digest", old, new, _code, "code")
    old, new, more = _of_pattern(_LIBRARY, "name", "version", old, new, _library, "libraries")
    phrases += more
    for name, value in sorted(new, key=lambda pair: pair[0]):
        was = _counterpart(value, old)
        if was is _NOTHING:
            phrases.append(f"{_setting(name)} is {_shown(value)} now")
        else:
            old.remove(was)
            # a section of the configuration goes by its keys, a parameter of one value by its name
            sections = isinstance(value, dict) and all(isinstance(v, dict) for v in value.values())
            phrases += _differences(() if sections else (_setting(name),), was, value)
    if old and not new:
        phrases += [f"a setting is gone: {_shown(value)}" for value in old]
    return phrases


def listed(names: Iterable[str], most: int = _MOST) -> str:
    """Return names with commas, and how many more there are."""
    names = list(dict.fromkeys(names))
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _value(text: str) -> Any:  # noqa: ANN401  (whatever a parameter may be)
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _of_pattern(
    pattern: re.Pattern[str],
    key: str,
    value: str,
    old: Sequence[Any],
    new: Sequence[tuple[str, Any]],
    phrase: Callable[[str, str | None, str | None], str],
    what: str,
) -> tuple[list[Any], list[tuple[str, Any]], list[str]]:
    """Take the texts of one pattern out of both sides, and say what differs."""

    def split(
        items: Iterable[Any], text_of: Callable[[Any], Any]
    ) -> tuple[dict[str, str], list[Any]]:
        found, rest = {}, []
        for item in items:
            text = text_of(item)
            match = pattern.fullmatch(text) if isinstance(text, str) else None
            if match:
                found[match[key]] = match[value]
            else:
                rest.append(item)
        return found, rest

    was, old_rest = split(old, lambda item: item)
    is_now, new_rest = split(new, lambda item: item[1])
    if not was and len(is_now) > 1:
        # results of a version that did not note them
        return old_rest, new_rest, [f"it was not noted which {what} it was made with"]
    phrases = [
        phrase(name, was.get(name), is_now.get(name)) for name in sorted(was.keys() | is_now.keys())
    ]
    return old_rest, new_rest, phrases


def _code(path: str, was: str | None, now: str | None) -> str:
    if was is None:
        return f"scripts/{path} is used now"
    return f"scripts/{path} was edited" if now else f"scripts/{path} is not used any more"


def _library(name: str, was: str | None, now: str | None) -> str:
    if was is None:
        return f"{name} {now} is used now"
    return f"{name} {was} → {now}" if now else f"{name} is not used any more"


def _setting(name: str) -> str:
    return name.replace("__", ".")


def _counterpart(value: Any, old: Sequence[Any]) -> Any:  # noqa: ANN401
    """Return which of the earlier values stood where this one stands."""
    if isinstance(value, dict):
        alike = [(len(value.keys() & was.keys()), was) for was in old if isinstance(was, dict)]
        shared, was = max(alike, key=lambda pair: pair[0], default=(0, _NOTHING))
        return was if shared else _NOTHING
    same = [was for was in old if type(was) is type(value)]
    return same[0] if len(same) == 1 else _NOTHING


def _differences(path: tuple[str, ...], was: Any, now: Any) -> list[str]:  # noqa: ANN401
    """Return one phrase a difference between two values, however deep."""
    if was == now:
        return []
    if isinstance(was, dict) and isinstance(now, dict):
        found = []
        for key in sorted(was.keys() | now.keys(), key=str):
            found += _differences((*path, str(key)), was.get(key, _NOTHING), now.get(key, _NOTHING))
        return found
    if isinstance(was, list) and isinstance(now, list):
        if len(was) == len(now) and all(isinstance(item, dict) for item in [*was, *now]):
            found = []
            for number, (before, after) in enumerate(zip(was, now, strict=True), start=1):
                found += _differences((*path, f"entry {number}"), before, after)
            return found
        if any(isinstance(item, (dict, list)) for item in [*was, *now]):
            gone, new = [i for i in was if i not in now], [i for i in now if i not in was]
            name = ".".join(path)
            return [f"{name}: new is {_shown(item)}" for item in new] + [
                f"{name}: gone is {_shown(item)}" for item in gone
            ]
    if _is_digest(was) and _is_digest(now):
        name = path[-1]
        if was == "absent" or was is _NOTHING:
            return [f"{name} is new"]
        return [f"{name} is gone" if now in ("absent", _NOTHING) else f"{name} changed"]
    return [f"{'.'.join(path)}: {_shown(was)} → {_shown(now)}"]


def _is_digest(value: Any) -> bool:  # noqa: ANN401
    return value is _NOTHING or (isinstance(value, str) and bool(_DIGEST.fullmatch(value)))


def _shown(value: Any) -> str:  # noqa: ANN401
    """Return a value as a configuration has it, shortened."""
    if value is _NOTHING:
        return "not set"
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        for key in ("path", "criterion", "rule"):
            if key in value:
                return str(value[key])
        text = ", ".join(f"{key}: {_shown(item)}" for key, item in value.items())
        text = f"{{{text}}}"
    elif isinstance(value, (list, tuple)):
        text = f"[{', '.join(_shown(item) for item in value)}]"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
