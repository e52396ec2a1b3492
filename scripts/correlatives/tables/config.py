"""The study configuration: read strictly, checked as a whole, and filled with its defaults.

``workflow/schemas/config.schema.yaml`` is the only home of keys, ranges and defaults; what depends on
more than one key is checked and filled here. Nothing slow is imported: every start of the workflow
passes through this module.
"""

from __future__ import annotations

import copy
import difflib
import functools
import glob
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from jsonschema import ValidationError

SCHEMA = Path(__file__).parents[3] / "workflow" / "schemas" / "config.schema.yaml"

#: Keys of a table that a preset may decide: left out of the filled table when there is a preset and
#: the study does not give them, so that ``{**table_defaults(name), **preset, **table}`` is right.
DECIDED_BY_PRESET = (
    "layout",
    "event_coding",
    "vaf_scale",
    "na",
    "key",
    "orientation",
    "endpoints",
    "delimiter",
    "header_row",
)

#: Written into a results folder; says whose results they are.
OWNER_FILE = ".study"

#: Where something stands: keys, and positions in lists (from 0).
Keys = tuple[str | int, ...]

#: Whatever a configuration file may hold: nothing is known of it before it is checked.
Value = Any


class ConfigError(Exception):
    """The configuration cannot be used; ``lines`` has one plain sentence a problem."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = list(lines)


class Finding(NamedTuple):
    """One problem, at a place of the configuration."""

    path: Keys
    message: str
    #: Line of the file, where it is known from the file's text.
    place: str = ""
    #: The key that an unknown one was probably meant to be.
    meant: str = ""


class Source(NamedTuple):
    """One file: what it says, on which line each key stands, and what YAML changed."""

    name: str
    mapping: dict[str, Any]
    lines: dict[Keys, int]
    findings: list[Finding]


# --- public -------------------------------------------------------------------------------------------


def load(path: str | Path, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read, check and fill the configuration of one study.

    Parameters
    ----------
    path : str or Path
        The study's file.
    overrides : mapping, optional
        Values on top of the file, as ``--config`` gives them: objects are merged, all else is replaced.

    Returns
    -------
    dict
        Every key of the schema, defaults filled; every table is a list of tables (see ``check``).

    Raises
    ------
    ConfigError
        With every problem, one line each.
    """
    source = _read(Path(path))
    filled, lines = _check(_merge(source.mapping, overrides or {}), [source])
    if lines:
        raise ConfigError(lines)
    return filled


def check(
    mapping: Mapping[str, Any],
    source_path: str | Path | None = None,
    text: str | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Check and fill a configuration that is already a mapping.

    Parameters
    ----------
    mapping : mapping
        The configuration.
    source_path : str or Path, optional
        The file it came from, for messages.
    text : str, optional
        That file's text: lets problems name their line and finds what YAML changed.

    Returns
    -------
    filled : dict
        The configuration with its defaults. Every key of the schema is there; what is empty and has
        no default is None. Every entry of ``tables`` is a list (empty without such a table). A table
        with a ``preset`` lacks the keys of ``DECIDED_BY_PRESET`` that the study does not give.
    lines : list of str
        One plain sentence a problem; with any, `filled` is not to be used.
    """
    named = str(source_path) if source_path else ""
    try:
        sources = [] if text is None else [_parse(text, named or "configuration")]
    except ConfigError as error:
        return dict(mapping), error.lines
    return _check(mapping, sources, named=named)


def check_files(
    paths: Iterable[str | Path], merged: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Check and fill what Snakemake made of its configuration files and ``--config``.

    Snakemake has already parsed the files, so what YAML changed is found in their text; all else is
    checked on `merged`, so that ``--config`` counts.

    Parameters
    ----------
    paths : iterable of str or Path
        The configuration files, the last one on top. None at all where another workflow hands over
        the configuration.
    merged : mapping
        The configuration that results.

    Returns
    -------
    filled : dict
    lines : list of str
        As for ``check``.
    """
    try:
        sources = [_read(Path(path)) for path in paths]
    except ConfigError as error:
        return dict(merged), error.lines
    return _check(merged, sources)


def table_defaults(name: str) -> dict[str, Any]:
    """Return the schema's defaults of one entry of table `name` (such as ``outcomes``)."""
    return _fill({}, _schema()["properties"]["tables"]["properties"][name])


def data_folder(config: Mapping[str, Any], study_file: str | Path | None) -> Path:
    """Return the folder that the tables' paths start from.

    ``data_dir`` where it is set (relative: from the working directory), else the folder of
    `study_file` (None: the working directory).
    """
    if config.get("data_dir"):
        return Path(config["data_dir"])
    return Path(study_file).parent if study_file else Path()


def expand(path: str, folder: str | Path) -> list[Path]:
    """Return the files that a table's `path` stands for, sorted.

    A pattern that matches nothing, and a plain path, give the path itself, so that the check of the
    tables can say that it is missing.
    """
    whole = Path(folder) / path
    if not whole.exists() and glob.has_magic(path):
        # only the table's own path is a pattern: the folder may have any name
        matches = glob.glob(path, root_dir=folder)  # noqa: PTH207 (takes absolute patterns too)
        found = sorted(Path(folder, match) for match in matches)
        return [match for match in found if match.is_file()] or [whole]
    return [whole]


def raw_files(config: Mapping[str, Any], folder: str | Path) -> dict[str, list[Path]]:
    """Return the files of every table that the study names, patterns expanded and sorted.

    Parameters
    ----------
    config : mapping
        A filled configuration.
    folder : str or Path
        As from ``data_folder``.

    Returns
    -------
    dict of str to list of Path
        By table name; a file that two entries of a table name is there once.
    """
    return {
        name: list(
            dict.fromkeys(file for entry in entries for file in expand(entry["path"], folder))
        )
        for name, entries in config["tables"].items()
        if entries
    }


def refuse_foreign_results(results_dir: str | Path, study_id: str) -> str | None:
    """Say so if `results_dir` holds the results of another study.

    Returns
    -------
    str or None
        The sentence for the user; None where the folder is new, unmarked or this study's.
    """
    marker = Path(results_dir) / OWNER_FILE
    try:
        owner = json.loads(marker.read_text(encoding="utf-8"))["id"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return (
            f"{marker} cannot be read. Remove it if the results in {results_dir} are this study's."
        )
    if owner == study_id:
        return None
    return (
        f"{results_dir} holds the results of study {owner}; this is study {study_id}. "
        f"Set another results_dir, such as results_{re.sub(r'[^A-Za-z0-9_-]+', '_', study_id)}."
    )


def claim_results(results_dir: str | Path, study_id: str) -> None:
    """Mark `results_dir` as the results of study `study_id`, for ``refuse_foreign_results``."""
    folder = Path(results_dir)
    folder.mkdir(parents=True, exist_ok=True)
    # in one step: half a mark would be taken for that of a study unknown
    unfinished = folder / f"{OWNER_FILE}.unfinished"
    unfinished.write_text(json.dumps({"id": study_id}) + "\n", encoding="utf-8")
    unfinished.replace(folder / OWNER_FILE)


# --- reading ------------------------------------------------------------------------------------------


@functools.cache
def _schema() -> dict[str, Any]:
    # ours, so that nobody needs the words of an error: the fast reader where there is one
    reader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with SCHEMA.open(encoding="utf-8") as handle:
        return yaml.load(handle, Loader=reader)


def _read(path: Path) -> Source:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            [f"{path}: byte {error.start + 1} is not UTF-8. Save the file as UTF-8 text."]
        ) from None
    except FileNotFoundError:
        raise ConfigError([f"{path}: there is no such file."]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror})."]) from None
    return _parse(text, str(path))


def _parse(text: str, name: str) -> Source:
    """Take a file's text apart, keeping lines and noting duplicate keys and changed values."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        mapping = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}" if mark else ""
        raise ConfigError([f"{name}{where}: {_yaml_problem(error)}"]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError([f"{name}: YAML cannot read this: {error}."]) from None
    if root is None:
        raise ConfigError([f"{name}: the file is empty. It needs study, tables and endpoints."])
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError([f"{name}: keys are expected (study:, tables:, endpoints:), not a list."])
    lines: dict[Keys, int] = {(): 1}
    findings: list[Finding] = []
    try:
        _walk(root, (), _schema(), lines, findings)
        plain, _ = _plain(mapping)
    except RecursionError:
        raise ConfigError([f"{name}: an alias (*) refers to itself."]) from None
    return Source(name, plain, lines, findings)


def _yaml_problem(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or str(error)
    if "'\\t'" in problem:
        return "there is a tab. YAML wants spaces for indentation."
    if "mapping values are not allowed" in problem:
        return 'a ": " stands inside a text. Put the text in quotes.'
    if "could not determine a constructor" in problem:
        return "a tag (!) stands here. Put the text in quotes."
    context = f" {error.context}" if error.context else ""
    return f"YAML cannot read this:{context} {problem}. Check brackets, quotes and indentation."


#: Numbers as a person writes them; other spellings YAML reads as a number are not what was meant.
_PLAIN_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][-+]?[0-9]+)?")

_KINDS = {
    "tag:yaml.org,2002:bool": "boolean",
    "tag:yaml.org,2002:int": "number",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:timestamp": "date",
    "tag:yaml.org,2002:null": "null",
}


def _walk(
    node: yaml.Node,
    path: Keys,
    schema: Mapping[str, Any],
    lines: dict[Keys, int],
    findings: list[Finding],
) -> None:
    """Note the line of everything under `node`, and what YAML changed there."""
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                findings.append(Finding(path, "a key has to be a text.", _line(key)))
                continue
            if key.tag == "tag:yaml.org,2002:merge":
                _walk(value, path, schema, {}, findings)
                continue
            name = key.value
            here = (*path, name)
            if name in first:
                findings.append(
                    Finding(
                        here,
                        f"the key is there twice, first on line {first[name]}. Keep one of the two.",
                        _line(key),
                    )
                )
            else:
                first[name] = key.start_mark.line + 1
                lines[here] = key.start_mark.line + 1
            if key.tag in _KINDS:
                findings.append(Finding(here, _changed(key, "the key "), _line(key)))
            _walk(value, here, _child(schema, name), lines, findings)
    elif isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            lines[(*path, position)] = item.start_mark.line + 1
            _walk(item, (*path, position), _child(schema, position), lines, findings)
    elif node.style is None and node.tag in _KINDS:
        kind = _KINDS[node.tag]
        wanted = _types(schema)
        if wanted == {"string"}:
            # an empty value is "not given", but not in a list or among a person's own keys
            if kind != "null" or isinstance(path[-1], int) or schema.get("x-own"):
                findings.append(Finding(path, _changed(node), _line(node)))
        elif (
            kind == "number"
            and wanted & {"number", "integer"}
            and not _PLAIN_NUMBER.fullmatch(node.value)
        ):
            value = yaml.safe_load(node.value)
            findings.append(
                Finding(
                    path,
                    f"YAML reads {node.value} as the number {value}. "
                    "Write a plain number without leading zeros, colons or other signs.",
                    _line(node),
                )
            )


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"


def _changed(node: yaml.ScalarNode, what: str = "") -> str:
    spelling = node.value or "nothing"
    kind = _KINDS[node.tag]
    if kind == "null":
        return f'found {what}{spelling}, where text belongs. Write "{node.value}" in quotes.'
    if kind == "date":
        meaning = "a date"
    else:
        value = yaml.safe_load(node.value)
        meaning = str(value).lower() if kind == "boolean" else f"the number {value}"
    return (
        f"YAML reads {what}{spelling} as {meaning}, where text belongs. "
        f'Write "{node.value}" in quotes.'
    )


def _plain(value: Value, path: Keys = ()) -> tuple[Value, list[Finding]]:
    """Copy a configuration into plain dicts, lists and values whose keys are all text."""
    if hasattr(value, "items"):
        copied: dict[str, Any] = {}
        findings = []
        for key, item in value.items():
            if not isinstance(key, str):
                findings.append(
                    Finding(
                        (*path, str(key)),
                        f"the key is {_found(key)}, where text belongs. Write it in quotes.",
                    )
                )
            copied[str(key)], inner = _plain(item, (*path, str(key)))
            findings += inner
        return copied, findings
    if isinstance(value, (list, tuple)):
        parts = [_plain(item, (*path, position)) for position, item in enumerate(value)]
        return [part for part, _ in parts], [f for _, inner in parts for f in inner]
    return value, []


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge as Snakemake does: objects key by key, all else replaced."""
    merged = dict(below)
    for key, value in above.items():
        both = hasattr(value, "items") and hasattr(merged.get(key), "items")
        merged[key] = _merge(merged[key], value) if both else value
    return merged


# --- the schema ---------------------------------------------------------------------------------------


def _types(schema: Mapping[str, Any]) -> set[str]:
    wanted = schema.get("type", [])
    return {wanted} if isinstance(wanted, str) else set(wanted)


def _child(schema: Mapping[str, Any], key: str | int) -> Mapping[str, Any]:
    """Return the schema of what stands under `key`; empty where the schema does not know it."""
    if isinstance(key, int):
        return schema.get("items", {})
    if key in schema.get("properties", {}):
        return schema["properties"][key]
    own = schema.get("additionalProperties", {})
    # the user's own names (such as words to recode): an empty value there is not "not given"
    return {**own, "x-own": True} if isinstance(own, dict) and own else {}


def _at(schema: Mapping[str, Any], path: Keys) -> Mapping[str, Any]:
    for key in path:
        schema = _child(schema, key)
    return schema


def _fill(value: Value, schema: Mapping[str, Any]) -> Value:
    """Fill the defaults of the schema below `value`; None where a key has none."""
    if isinstance(value, dict):
        filled = {}
        for name, inner in schema.get("properties", {}).items():
            given = value[name] if name in value else copy.deepcopy(inner.get("default"))
            filled[name] = _fill(given, inner)
        for name, item in value.items():
            if name not in filled:
                filled[name] = _fill(item, _child(schema, name))
        return filled
    if isinstance(value, list):
        return [_fill(item, schema.get("items", {})) for item in value]
    if isinstance(value, float) and "integer" in _types(schema) and value.is_integer():
        return int(value)
    return value


def _without_empty(value: Value, schema: Mapping[str, Any]) -> Value:
    """Drop keys of the schema that are there without a value: they count as not given."""
    if isinstance(value, dict):
        known = schema.get("properties", {})
        return {
            key: _without_empty(item, _child(schema, key))
            for key, item in value.items()
            if not (item is None and key in known)
        }
    if isinstance(value, list):
        return [_without_empty(item, schema.get("items", {})) for item in value]
    return value


# --- checking -----------------------------------------------------------------------------------------


def _check(
    mapping: Mapping[str, Any], sources: Sequence[Source], named: str = ""
) -> tuple[dict[str, Any], list[str]]:
    plain, findings = _plain(mapping)
    plain = _without_empty(_outcome_layouts(plain), _schema())
    changed = [
        (source, finding)
        for source in sources
        for finding in source.findings
        # what --config replaced is not used; a duplicate key is wrong all the same
        if "twice" in finding.message
        or _lookup(source.mapping, finding.path) == _lookup(plain, finding.path)
        or finding.path not in source.lines
    ]
    told = {finding.path for _, finding in changed}
    findings += [f for f in _schema_findings(plain) if f.path not in {g.path for g in findings}]
    wrong = told | {finding.path for finding in findings}
    findings += [f for f in _cross_findings(plain) if not _under(f.path, wrong)]

    misspelt = {(*f.path[:-1], f.meant) for f in findings if f.meant}
    findings = [
        f for f in findings if not (f.path in misspelt and f.message.startswith("is missing"))
    ]
    findings = [finding for finding in findings if finding.path not in told]
    places = [
        *(
            (f"{source.name} {finding.place}, {_spell(finding.path)}: ")
            for source, finding in changed
        ),
        *(_place(finding, plain, sources, named) for finding in findings),
    ]
    messages = [finding.message for finding in [*(f for _, f in changed), *findings]]
    lines = [place + message for place, message in zip(places, messages, strict=True)]
    lines = [f"{line}{_BRACES}" if _from_braces(line) else line for line in lines]
    if lines:
        return plain, sorted(dict.fromkeys(lines), key=_line_number)
    return _filled(plain), []


#: Snakemake hands over everything inside braces as text.
_BRACES = " Inside braces of --config everything is text: set it in the study's file."


def _from_braces(line: str) -> bool:
    nested = r"--config, [^:]*[.\[][^:]*: "
    told = r"found the text .*, where (true or false|a number|a whole number) belongs"
    return bool(re.match(nested + told, line))


def _line_number(line: str) -> int:
    """Return the line of the file that a problem names, so that they are told from top to bottom."""
    match = re.match(r".*? line (\d+), ", line)
    return int(match[1]) if match else 0


def _under(path: Keys, wrong: set[Keys]) -> bool:
    """Say whether `path` or anything above it (but the top) is already known to be wrong."""
    return any(path[:length] in wrong for length in range(1, len(path) + 1))


_ABSENT = object()


def _lookup(value: Value, path: Keys) -> Value:
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return value


def _spell(path: Keys) -> str:
    """Write a path as a person reads it: items of lists are counted from 1."""
    text = ""
    for key in path:
        text += f"[{key + 1}]" if isinstance(key, int) else f".{key}" if text else key
    return text or "the study"


def _place(finding: Finding, plain: Value, sources: Sequence[Source], named: str) -> str:
    value = _lookup(plain, finding.path)
    for source in reversed(sources):
        path = finding.path
        if value is not _ABSENT and _lookup(source.mapping, path) != value:
            continue
        while path not in source.lines:  # a key that is missing stands under its parent
            path = path[:-1]
        place = f"{source.name} line {source.lines[path]}" if path else source.name
        return f"{place}, {_spell(finding.path)}: " if finding.path else f"{place}: "
    start = "--config, " if sources else f"{named}, " if named else ""
    return f"{start}{_spell(finding.path)}: "


_NOUNS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a group of keys",
}


def _found(value: Value) -> str:
    """Say what a value is, in plain words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"{str(value).lower()} (a truth value)"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f'the text "{value}"' if value else "an empty text"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, dict):
        return "a group of keys"
    return f"the date {value}" if hasattr(value, "isoformat") else f"{value}"


def _words(options: Iterable[str], last: str = "or") -> str:
    """Join words as a sentence does: a, b or c."""
    *head, tail = list(options)
    return f"{', '.join(head)} {last} {tail}" if head else tail


def _nearest(word: str, options: Iterable[str]) -> str | None:
    by_lower = {option.lower(): option for option in options}
    close = difflib.get_close_matches(str(word).lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def _schema_findings(plain: dict[str, Any]) -> list[Finding]:
    """Return what the schema finds, in the words of a user."""
    from jsonschema import Draft202012Validator

    schema = _schema()
    findings: list[Finding] = []
    for error in Draft202012Validator(schema).iter_errors(plain):
        path = tuple(error.absolute_path)
        if error.validator == "additionalProperties":
            known = list(error.schema.get("properties", {}))
            findings += [
                Finding((*path, key), _unknown(key, known), meant=_nearest(key, known) or "")
                for key in error.instance
                if key not in known
            ]
        elif error.validator == "required":
            key = error.message.split("'")[1]
            description = error.schema["properties"][key].get("description", "")
            first_sentence = description.split(". ")[0].rstrip(".")
            findings.append(Finding((*path, key), f"is missing. {first_sentence}."))
        elif "propertyNames" in error.absolute_schema_path:
            findings.append(
                Finding(
                    (*path, error.instance),
                    f'the name "{error.instance}" has other signs than letters, digits, _ and -. '
                    "Names of endpoints are used in file names.",
                )
            )
        else:
            findings.append(Finding(path, _VALIDATORS[error.validator](error)))
    findings += _not_finite(plain, ())
    order = {key: position for position, key in enumerate(schema["properties"])}
    return sorted(findings, key=lambda f: order.get(f.path[0] if f.path else "", -1))


def _not_finite(value: Value, path: Keys) -> Iterator[Finding]:
    if isinstance(value, float) and not math.isfinite(value):
        yield Finding(path, f"found {value}, where a finite number belongs.")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _not_finite(item, (*path, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _not_finite(item, (*path, position))


def _unknown(key: str, known: list[str]) -> str:
    near = _nearest(key, known)
    if near:
        return f"unknown key. Was {near} meant?"
    if key in _homes():
        return f"unknown key here. {key} belongs under {_words(_homes()[key])}."
    return f"unknown key. Known here: {_words(known, 'and')}."


@functools.cache
def _homes() -> dict[str, list[str]]:
    """Return where each key of the schema belongs (tables apart: they all have the same keys)."""
    homes: dict[str, list[str]] = {}

    def collect(schema: Mapping[str, Any], path: str) -> None:
        for key, inner in schema.get("properties", {}).items():
            homes.setdefault(key, []).append(path or "the top of the file")
            if path != "tables":
                collect(inner, f"{path}.{key}".lstrip("."))
        if isinstance(schema.get("additionalProperties"), dict):
            collect(schema["additionalProperties"], f"{path}.<name>")

    collect(_schema(), "")
    return homes


def _wrong_type(error: ValidationError) -> str:
    value, wanted = error.instance, error.validator_value
    found = _found(value)
    if wanted == "boolean" and isinstance(value, str):
        return f"found {found}, where true or false belongs. Write it without quotes."
    if wanted in ("number", "integer") and isinstance(value, str):
        try:
            number = f" Write {float(value):g} without quotes."
        except ValueError:
            number = ""
        return f"found {found}, where {_NOUNS[wanted]} belongs.{number}"
    if wanted == "array" and isinstance(value, (str, int, float)):
        return f"found {found}, where a list belongs. Write [{value}], in square brackets."
    if wanted == "string" and isinstance(value, (bool, int, float)):
        spelling = str(value).lower() if isinstance(value, bool) else value
        return f'found {found}, where text belongs. Write "{spelling}", in quotes.'
    nouns = [wanted] if isinstance(wanted, str) else wanted
    is_table = isinstance(value, str) and "path" in error.schema.get("properties", {})
    hint = f" Write {{path: {value}}}." if is_table else ""
    return f"found {found}, where {_words(_NOUNS[noun] for noun in nouns)} belongs.{hint}"


def _not_listed(error: ValidationError) -> str:
    if not isinstance(error.instance, str):
        return f"found {_found(error.instance)}. Right would be {_words(error.validator_value)}."
    near = _nearest(error.instance, error.validator_value)
    hint = f" Was {near} meant?" if near else ""
    return f"found {_found(error.instance)}. Right would be {_words(error.validator_value)}.{hint}"


def _repeated(error: ValidationError) -> str:
    seen: list[Any] = []
    for item in error.instance:
        if item in seen:
            return f"{_found(item)} is in the list twice."
        seen.append(item)
    return "a value is in the list twice."


#: jsonschema's keyword -> a sentence. The keys are those that the schema uses.
_VALIDATORS: dict[str, Callable[[ValidationError], str]] = {
    "type": _wrong_type,
    "enum": _not_listed,
    "minimum": lambda e: f"{e.instance} is too small. It has to be at least {e.validator_value}.",
    "maximum": lambda e: f"{e.instance} is too large. It may be at most {e.validator_value}.",
    "exclusiveMinimum": lambda e: (
        f"{e.instance} is too small. It has to be more than {e.validator_value}."
    ),
    "exclusiveMaximum": lambda e: (
        f"{e.instance} is too large. It has to be less than {e.validator_value}."
    ),
    "minItems": lambda e: (
        f"found {len(e.instance)} values. It needs {_counted(e, 'minItems', 'at least')}."
    ),
    "maxItems": lambda e: (
        f"found {len(e.instance)} values. It takes {_counted(e, 'maxItems', 'at most')}."
    ),
    "minProperties": lambda e: "is empty. At least one has to be named here.",
    "minLength": lambda e: "is empty. Write a text, or leave the key out.",
    "maxLength": lambda e: (
        f'found {_found(e.instance)}, where one character belongs (a tab is "\\t" in double quotes).'
    ),
    "pattern": lambda e: f"found {_found(e.instance)}. Letters, digits, _ and - are allowed.",
    "uniqueItems": _repeated,
}


def _counted(error: ValidationError, keyword: str, bound: str) -> str:
    low, high = error.schema.get("minItems"), error.schema.get("maxItems")
    return f"exactly {low}" if low == high else f"{bound} {error.schema[keyword]}"


# --- what depends on more than one key -----------------------------------------------------------------


def _outcome_layouts(plain: dict[str, Any]) -> dict[str, Any]:
    """Take ``layout: {wide: {endpoints: ...}}`` for what it means: a wide layout and its endpoints."""
    tables = _dict(plain.get("tables"))
    if "outcomes" not in tables:
        return plain
    outcomes = tables["outcomes"]
    entries = outcomes if isinstance(outcomes, list) else [outcomes]
    spelled = []
    for entry in entries:
        layout = _dict(_dict(entry).get("layout"))
        if len(layout) == 1 and isinstance(layout.get("wide"), dict):
            entry = {**entry, "layout": "wide", **layout["wide"]}
        spelled.append(entry)
    tables = {**tables, "outcomes": spelled if isinstance(outcomes, list) else spelled[0]}
    return {**plain, "tables": tables}


def _dict(value: Value) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Value) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _entries(plain: Mapping[str, Any], name: str) -> Iterator[tuple[Keys, dict[str, Any]]]:
    """Yield each table of one name with its path."""
    given = _dict(plain.get("tables")).get(name)
    if isinstance(given, dict):
        yield ("tables", name), given
    elif isinstance(given, list):
        for position, entry in enumerate(given):
            if isinstance(entry, dict):
                yield ("tables", name, position), entry


def _cross_findings(plain: dict[str, Any]) -> list[Finding]:
    return [
        *_check_arms(_dict(plain.get("study"))),
        *_check_tables(plain),
        *_check_endpoints(plain),
        *_check_timepoints(plain),
        *_check_eligibility(plain),
        *_check_accepted(plain),
        *_check_expressions(plain, _schema(), ()),
    ]


def _check_arms(study: Mapping[str, Any]) -> Iterator[Finding]:
    arms = _dict(study.get("arms"))
    named = {role: _texts(arms.get(role)) for role in ("control", "experimental", "other")}
    if study.get("design", "randomised") == "single_arm":
        if named["control"] and named["experimental"]:
            yield Finding(
                ("study", "arms"),
                "a single_arm study has one arm, but control and experimental are both given. "
                "Keep one of them, or write design: randomised.",
            )
    else:
        for role in ("control", "experimental"):
            if not named[role] and not arms.get(role):
                yield Finding(
                    ("study", "arms", role),
                    "is missing. A randomised study names the values of the arm column for the "
                    f"{role} arm, such as [A].",
                )
    roles: dict[str, list[str]] = {}
    for role, values in named.items():
        for value in dict.fromkeys(values):
            roles.setdefault(value, []).append(role)
    for value, places in roles.items():
        if len(places) > 1:
            yield Finding(
                ("study", "arms", places[-1]),
                f"{value} is in {_words(places, 'and')}. An arm has one place.",
            )


def _check_tables(plain: Mapping[str, Any]) -> Iterator[Finding]:
    tables = plain.get("tables")
    if isinstance(tables, dict):
        needed = [("subjects", "is missing. Every study needs a table with one row a subject.")]
        # new samples may be scored before anybody knows how their subjects fared
        if not plain.get("score"):
            needed += [
                ("outcomes responses", "is missing. A study needs outcomes or responses."),
                (
                    "measurements alterations",
                    "is missing. A study needs measurements or alterations.",
                ),
            ]
        for names, message in needed:
            if not any(tables.get(name) for name in names.split()):
                yield Finding(("tables", names.split()[0]), message)
    for name, table in _schema()["properties"]["tables"]["properties"].items():
        tables_of = table["properties"]["preset"]["x-tables"]
        for path, entry in _entries(plain, name):
            preset = entry.get("preset")
            if isinstance(preset, str) and name not in tables_of.get(preset, [name]):
                yield Finding(
                    (*path, "preset"),
                    f"{preset} is a format of {_words(tables_of[preset])}, not of {name}.",
                )
    for path, entry in _entries(plain, "outcomes"):
        wide = entry.get("layout") == "wide"
        # a preset decides the layout unless it is given
        if wide and not entry.get("endpoints"):
            yield Finding(
                (*path, "endpoints"),
                "is missing. A wide layout names the columns of each endpoint, such as "
                "{PFS: {time: PFS_months, event: PFS_event}}.",
            )
        if entry.get("endpoints") and not wide:
            yield Finding((*path, "endpoints"), "goes with layout: wide only. Write layout: wide.")
    for path, entry in _entries(plain, "measurements"):
        yield from _check_measurements(path, entry)
    for path, entry in _entries(plain, "alterations"):
        named = "vaf" in _dict(entry.get("columns"))
        if named and not entry.get("vaf_scale") and not entry.get("preset"):
            yield Finding(
                (*path, "vaf_scale"),
                "is missing. Say whether vaf is a fraction (0 to 1) or a percent (0 to 100).",
            )


def _check_measurements(path: Keys, entry: Mapping[str, Any]) -> Iterator[Finding]:
    wide = entry.get("layout") == "wide"
    key = entry.get("key")
    if not wide and not entry.get("preset"):
        for name in ("key", "orientation", "select"):
            if name in entry:
                yield Finding((*path, name), "goes with layout: wide only. Write layout: wide.")
    if wide and key is None and not entry.get("preset"):
        yield Finding(
            (*path, "key"),
            "is missing. A wide layout says what a row is: sample_id, run_id or subject_id.",
        )
    if wide and entry.get("constants"):
        yield Finding(
            (*path, "constants"),
            "goes with layout: long only: the columns of a wide table are biomarkers. "
            "Write assay, or defaults, in its place.",
        )
    for name in ("specimen", "timepoint"):
        if wide and key == "subject_id" and name not in entry:
            yield Finding(
                (*path, name),
                f"is missing. With one row a subject, say the {name} that the values come from.",
            )
        if name in entry and key != "subject_id":
            yield Finding(
                (*path, name),
                "goes with key: subject_id only. Otherwise the samples table says it.",
            )


#: Keys of an endpoint that go with some types only.
_KEYS_BY_TYPE = {
    "time_to_event": {"milestones_months", "rmst_horizon_months"},
    "response": {"responders", "at_least_months", "column", "positive"},
    "duration_of_response": {"of", "milestones_months", "rmst_horizon_months"},
}


def _check_endpoints(plain: Mapping[str, Any]) -> Iterator[Finding]:
    if "endpoints" not in plain and not plain.get("score"):
        description = _schema()["properties"]["endpoints"]["description"]
        yield Finding(("endpoints",), f"is missing. {description.split('. ')[0]}.")
    endpoints = _dict(plain.get("endpoints"))
    seen: dict[str, str] = {}
    for name in endpoints:
        twin = seen.setdefault(name.lower(), name)
        if twin != name:
            yield Finding(
                ("endpoints", name),
                f"differs from {twin} in upper and lower case only. Their files would have one "
                "name on some computers.",
            )
    for name, endpoint in endpoints.items():
        if isinstance(endpoint, dict):
            yield from _check_endpoint(("endpoints", name), endpoint, endpoints)
    for section in ("predictive", "response"):
        given = _dict(plain.get(section)).get("endpoints")
        for position, name in enumerate(given if isinstance(given, list) else []):
            if isinstance(name, str) and name not in endpoints:
                yield Finding((section, "endpoints", position), _no_endpoint(name, endpoints))


def _no_endpoint(name: str, endpoints: Iterable[str]) -> str:
    known = list(endpoints)
    return (
        f"{name} is not among endpoints ({', '.join(known)})."
        if known
        else (f"{name} is not among endpoints, which is empty.")
    )


def _check_endpoint(
    path: Keys, endpoint: Mapping[str, Any], endpoints: Mapping[str, Any]
) -> Iterator[Finding]:
    kind = endpoint.get("type")
    if not isinstance(kind, str) or kind not in _KEYS_BY_TYPE:
        return
    shared = {"type", "label", "historical"}
    elsewhere = set().union(*_KEYS_BY_TYPE.values()) - _KEYS_BY_TYPE[kind] - shared
    for key in endpoint:
        if key in elsewhere:
            types = [other for other, keys in _KEYS_BY_TYPE.items() if key in keys]
            yield Finding((*path, key), f"goes with type {_words(types)}, not with {kind}.")
    if kind == "response":
        yield from _check_response(path, endpoint)
    elif kind == "duration_of_response":
        of = endpoint.get("of")
        if of is None:
            yield Finding(
                (*path, "of"),
                "is missing. Name the response endpoint whose responders are followed.",
            )
        elif isinstance(of, str) and of not in endpoints:
            yield Finding((*path, "of"), _no_endpoint(of, endpoints))
        elif isinstance(of, str) and _dict(endpoints[of]).get("type") != "response":
            yield Finding((*path, "of"), f"{of} is not an endpoint of type response.")
    yield from _check_historical((*path, "historical"), kind, _dict(endpoint.get("historical")))


def _check_response(path: Keys, endpoint: Mapping[str, Any]) -> Iterator[Finding]:
    if "responders" in endpoint and "column" in endpoint:
        yield Finding(
            (*path, "column"), "stands beside responders. Keep one: they are two ways to say it."
        )
    if "responders" not in endpoint and "column" not in endpoint:
        yield Finding(
            (*path, "responders"),
            "is missing. Say which best responses count, such as [CR, PR], or name a column.",
        )
    if "column" in endpoint and "positive" not in endpoint:
        yield Finding(
            (*path, "positive"), "is missing. Say which values of the column count, such as [Y]."
        )
    if "positive" in endpoint and "column" not in endpoint:
        yield Finding((*path, "positive"), "goes with column only.")
    if "at_least_months" in endpoint and "column" in endpoint:
        yield Finding((*path, "at_least_months"), "goes with responders, not with column.")


def _check_historical(path: Keys, kind: str, given: Mapping[str, Any]) -> Iterator[Finding]:
    value, unit = given.get("value"), given.get("unit")
    if kind == "response":
        largest = 100 if unit == "percent" else 1
        if unit == "months":
            yield Finding((*path, "unit"), "found months; a response has a fraction or a percent.")
        elif isinstance(value, (int, float)) and value > largest:
            yield Finding(
                (*path, "value"),
                f"{value} is more than {largest}. "
                + ("" if largest == 100 else "Write a fraction, or unit: percent.").strip(),
            )
    elif unit in ("fraction", "percent"):
        yield Finding((*path, "unit"), f"found {unit}; a time has months.")


def _check_timepoints(plain: Mapping[str, Any]) -> Iterator[Finding]:
    timepoints = _dict(plain.get("timepoints"))
    for name, timepoint in timepoints.items():
        if not isinstance(timepoint, dict):
            continue
        path = ("timepoints", name)
        if "around" in timepoint and "window_days" not in timepoint:
            yield Finding((*path, "window_days"), "is missing. around says what it counts from.")
        window = timepoint.get("window_days")
        if (
            isinstance(window, list)
            and len(window) == 2
            and all(isinstance(day, (int, float)) for day in window)
            and window[0] > window[1]
        ):
            yield Finding(
                (*path, "window_days"),
                f"starts at {window[0]} and ends at {window[1]}. Write the earlier day first.",
            )
    yield from _check_visits(timepoints)
    resistance = _dict(plain.get("resistance"))
    known = _schema()["properties"]["resistance"]["properties"]
    start = resistance.get("from", known["from"]["default"])
    early = resistance.get("early")
    early = early if isinstance(early, list) else []
    for position, name in enumerate(early):
        if name == start:
            yield Finding(
                ("resistance", "early", position),
                f"{name} is where the change starts from (resistance.from). Name timepoints on treatment only.",
            )
    if not timepoints:
        return
    usual_names = {key: known[key]["default"] for key in ("from", "to")}
    named: list[tuple[Keys, Any]] = [
        (("resistance", key), resistance[key])
        for key, usual in usual_names.items()
        # the usual name says nothing when it is written out: no such samples, no such analysis
        if key in resistance and resistance[key] != usual
    ]
    named += [(("resistance", "early", position), name) for position, name in enumerate(early)]
    for path, name in named:
        if isinstance(name, str) and name not in timepoints:
            yield Finding(path, f"{name} is not among timepoints ({', '.join(timepoints)}).")


def _check_visits(timepoints: Mapping[str, Any]) -> Iterator[Finding]:
    # A visit that has a timepoint's own name is of that timepoint.
    owner: dict[str, str] = {str(name): name for name in timepoints}
    for name, timepoint in timepoints.items():
        visits = _dict(timepoint).get("visits")
        for position, visit in enumerate(visits if isinstance(visits, list) else []):
            if isinstance(visit, str) and owner.setdefault(visit, name) != name:
                yield Finding(
                    ("timepoints", name, "visits", position),
                    f"the visit {visit} belongs to {owner[visit]} already. A visit is of one timepoint.",
                )


def _check_eligibility(plain: Mapping[str, Any]) -> Iterator[Finding]:
    criteria = plain.get("eligibility")
    first: dict[str, int] = {}
    for position, item in enumerate(criteria if isinstance(criteria, list) else []):
        name = _dict(item).get("criterion")
        if isinstance(name, str) and first.setdefault(name, position) != position:
            yield Finding(
                ("eligibility", position, "criterion"),
                f'"{name}" is there twice, first as item {first[name] + 1}. Name each differently.',
            )
    if plain.get("population") == "eligible" and not criteria:
        yield Finding(("population",), "eligible needs criteria under eligibility.")


def _check_accepted(plain: Mapping[str, Any]) -> Iterator[Finding]:
    from correlatives.tables.problems import RULES

    accepted = plain.get("accept")
    for position, item in enumerate(accepted if isinstance(accepted, list) else []):
        rule = _dict(item).get("rule")
        if not isinstance(rule, str) or not RULES:
            continue
        path = ("accept", position, "rule")
        if rule not in RULES:
            near = _nearest(rule, RULES)
            hint = f" Was {near} meant?" if near else " The rules are listed in config/README.md."
            yield Finding(path, f"there is no rule {rule}.{hint}")
        elif RULES[rule][0] == "error":
            yield Finding(path, f"{rule} is an error. Only warnings can be accepted.")


def _check_expressions(value: Value, schema: Mapping[str, Any], path: Keys) -> Iterator[Finding]:
    """Parse every text that the schema marks as an expression."""
    if isinstance(value, str) and schema.get("x-expression") and value.strip():
        from correlatives.tables.expressions import ExpressionError, parse

        try:
            parse(value)
        except ExpressionError as error:
            yield Finding(path, str(error))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _check_expressions(item, _child(schema, key), (*path, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _check_expressions(item, schema.get("items", {}), (*path, position))


# --- filling ------------------------------------------------------------------------------------------


def _filled(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a checked configuration with every default, every table a list."""
    tables = {
        name: given if isinstance(given, list) else [given]
        for name, given in plain["tables"].items()
    }
    schema = _schema()
    filled = _fill({"endpoints": {}, **plain, "tables": tables}, schema)
    filled["tables"] = {
        name: [
            _leave_to_preset(entry, given) for entry, given in zip(full, tables[name], strict=True)
        ]
        if (full := filled["tables"][name])
        else []
        for name in schema["properties"]["tables"]["properties"]
    }
    study = filled["study"]
    study["title"] = study["title"] or study["id"]
    if filled["resistance"]["drug"] is None:
        arms = study["arms"]
        treated = arms["experimental"] or arms["control"]
        filled["resistance"]["drug"] = " / ".join(treated) or "the study treatment"
    comparable = [
        name
        for name, endpoint in filled["endpoints"].items()
        if endpoint["type"] != "duration_of_response"
    ]
    for section in ("predictive", "response"):
        if filled[section]["endpoints"] is None:
            filled[section]["endpoints"] = list(comparable)
    for name, endpoint in filled["endpoints"].items():
        endpoint["label"] = endpoint["label"] or name
        historical = endpoint["historical"]
        if historical:
            response = endpoint["type"] == "response"
            if historical["unit"] == "percent":
                historical["value"] /= 100
            historical["unit"] = "fraction" if response else "months"
    return filled


def _leave_to_preset(entry: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    if not entry.get("preset"):
        return entry
    return {k: v for k, v in entry.items() if k in given or k not in DECIDED_BY_PRESET}
