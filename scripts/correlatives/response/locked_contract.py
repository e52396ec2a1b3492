"""What the file of a locked model has to hold: ``workflow/schemas/locked_model.schema.yaml``, and what no schema can say."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import yaml

from correlatives.tables.contracts import SCHEMAS
from correlatives.tables.units import conversions

if TYPE_CHECKING:
    from jsonschema import ValidationError

#: Characters of a wrong value that a message shows.
SHOWN = 40


def faults_of(content: Mapping[str, Any]) -> list[str]:
    """Say which entries of a locked model are missing, of the wrong type, or contradict another.

    Parameters
    ----------
    content : mapping
        The file, as JSON gives it.

    Returns
    -------
    list of str
        One line an entry: where it is (items of lists counted from 1, inputs by their name), what was found and what would
        be right. Empty where a subject can be scored with it.
    """
    from jsonschema import Draft202012Validator

    errors = Draft202012Validator(_schema()).iter_errors(content)
    told = [_fault(error, content) for error in sorted(errors, key=lambda e: _sortable(e.path))]
    # an entry that more than one rule is about is told once
    return list(dict.fromkeys(told)) or list(_contradictions(content))


@functools.cache
def _schema() -> dict[str, Any]:
    text = (SCHEMAS / "locked_model.schema.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def _sortable(path: Sequence[str | int]) -> list[tuple[int, str]]:
    return [(part, "") if isinstance(part, int) else (-1, part) for part in path]


def _fault(error: ValidationError, content: Mapping[str, Any]) -> str:
    path = list(error.absolute_path)
    if error.validator == "required":
        missing = next(key for key in error.validator_value if f"'{key}'" in error.message)
        return f"{_place([*path, missing], content)} is missing."
    right = error.schema.get("description", "another value")
    return f"{_place(path, content)}: found {_shown(error.instance)}; right would be {right}."


def _place(path: Sequence[str | int], content: object) -> str:
    """Return where an entry is: ``inputs 2 (serum:TK1), terms 1, scale``."""
    words: list[str] = []
    for part in path:
        inside = isinstance(content, (dict, list))
        try:
            content = content[part] if inside else None
        except (KeyError, IndexError):
            content = None
        if isinstance(part, int):
            name = content.get("name") if isinstance(content, dict) else None
            named = isinstance(name, str) and name.isprintable() and name
            words[-1] += f" {part + 1} ({name})" if named else f" {part + 1}"
        else:
            words.append(part)
    return ", ".join(words) or "the file"


def _shown(value: object) -> str:
    if isinstance(value, (dict, list)):
        noun = "a list" if isinstance(value, list) else "a group of entries"
        return noun if value else f"an empty {noun.split()[1]}"
    text = json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _contradictions(content: Mapping[str, Any]) -> Iterator[str]:
    """Say which entries contradict others, in a file whose entries are all there and of their type."""
    for name, times in Counter(item["name"] for item in content["inputs"]).items():
        if times > 1:
            yield f"inputs: {name} is there {times} times."
    for place, item in enumerate(content["inputs"]):
        where = _place(["inputs", place], content)
        low, high = item.get("range") or (0.0, 0.0)
        if low > high:
            yield f"{where}, range: {low:g} is above {high:g}."
        try:
            conversions(item.get("conversion", ""))
        except ValueError:
            yield (
                f"{where}, conversion: found {_shown(item['conversion'])}; right would be unit*factor."
            )
        worded = item["kind"] == "words"
        for number, term in enumerate(item["terms"]):
            if term["is"] == "missing":
                continue
            if (term["is"] == "word") != worded:
                yield f"{where}, terms {number + 1}: a {term['is']} of {item['kind']}."
            elif worded and term["word"] not in item["words"]:
                yield f"{where}, terms {number + 1}, word: {_shown(term['word'])} is none of its words."
    baseline = content.get("baseline") if content["type"] != "response" else None
    if baseline is None:
        return
    months, survival = baseline["time_months"], baseline["survival"]
    if len(months) != len(survival):
        yield f"baseline: {len(months)} times and {len(survival)} values of the survival."
    if any(b <= a for a, b in pairwise(months)):
        yield "baseline, time_months: the times do not rise."
    if any(b > a for a, b in pairwise(survival)):
        yield "baseline, survival: it rises."
