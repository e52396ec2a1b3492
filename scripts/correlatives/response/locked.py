"""Locked models: constants in a file that new subjects are scored with, without refitting.

A locked model is text: what goes in, in which unit and within which limits, what is done to it, and the
numbers it is multiplied with. Nothing in it is executed. A digest over the content tells a file that was
changed afterwards from the one that was written.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from correlatives.cohort import GIVEN, Cohort
from correlatives.markers import ABOVE, BELOW, MEASURED
from correlatives.tables.limits import doubling_of, standing, taken_by, transformed
from correlatives.tables.problems import Problems
from correlatives.tables.units import conversions, plain_unit

FORMAT = "locked response model"
FORMAT_VERSION = 1

#: What a column of the score table says of a subject.
SCORES = ["subject_id", "endpoint", "locked", "score"]
AFTER = ["missing_inputs", "outside_range", "note"]

#: Room for rounding when a unit was converted, as a share of the training range's ends.
ROUNDING = 1e-9

#: Characters in a line of numbers.
LINE = 100

Content = dict[str, Any]


class LockedModelError(Exception):
    """A locked model cannot be used.

    Parameters
    ----------
    *messages : str
        All that is wrong, a sentence for the user each.
    """

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages


class Finding(NamedTuple):
    """What is wrong with data that a locked model should score; rule ids as in ``tables.problems``."""

    rule: str
    message: str
    table: str
    column: str


# --- the file ---------------------------------------------------------------------------------------


def digest_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a locked model's content, whatever its layout; its own digest is left out."""
    kept = {key: value for key, value in content.items() if key != "digest"}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def as_text(content: Mapping[str, Any]) -> str:
    """Return a locked model as the text of its file, with its digest.

    Numbers are written so that reading them gives the same doubles.
    """
    whole = {key: value for key, value in content.items() if key != "digest"}
    whole["digest"] = digest_of(whole)
    return _text(whole, "") + "\n"


def _text(value: object, indent: str) -> str:
    """Return JSON with one line a key, and lists of numbers or words on as few lines as they fit on."""
    deeper = indent + "  "
    if isinstance(value, Mapping) and value:
        lines = [f"{deeper}{json.dumps(k)}: {_text(v, deeper)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, (list, tuple)) and value:
        if any(isinstance(item, (Mapping, list, tuple)) for item in value):
            return "[\n" + ",\n".join(deeper + _text(v, deeper) for v in value) + f"\n{indent}]"
        items = [_text(item, deeper) for item in value]
        whole = f"[{', '.join(items)}]"
        if len(indent) + len(whole) <= LINE:
            return whole
        lines, line = [], ""
        for item in items:
            if line and len(deeper) + len(line) + len(item) + 2 > LINE:
                lines.append(line + ",")
                line = ""
            line += f", {item}" if line else item
        return "[\n" + "\n".join(deeper + each for each in [*lines, line]) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def read_locked(path: str | Path) -> Content:
    """Read a locked model.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict

    Raises
    ------
    LockedModelError
        If there is no such file, it is none, a newer workflow wrote it, it was changed after it was written, it holds no
        model, or entries are missing or wrong.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise LockedModelError(
            f"{path}: there is no such file. score.locked counts from data_dir."
        ) from None
    except (OSError, UnicodeDecodeError):
        raise LockedModelError(f"{path} cannot be read as UTF-8 text.") from None
    try:
        content = json.loads(
            text,
            object_pairs_hook=_no_key_twice,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except (ValueError, RecursionError) as error:
        raise LockedModelError(
            f"{path} is no JSON ({error}). Take the file as the workflow wrote it."
        ) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise LockedModelError(
            f"{path} is no locked model. One is written as response/locked/ENDPOINT.json."
        )
    version = content.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        made = content.get("version")
        raise LockedModelError(
            f"{path} has format version {json.dumps(version)[:20]}; this workflow reads {FORMAT_VERSION}. Score with the "
            f"version of the workflow that made it: {made if isinstance(made, str) else 'the file does not say which'}."
        )
    wrong = []
    if content.get("digest") != digest_of(content):
        wrong.append(
            f"{path} was changed after it was written: its digest does not fit its content. Take the "
            "file as the workflow wrote it; a model that is to be different is fitted and locked anew."
        )
    elif content.get("refused"):
        raise LockedModelError(f"{path} holds no model: {content['refused']}")
    from correlatives.response.locked_contract import faults_of

    wrong += [f"{path}: {fault}" for fault in faults_of(content)]
    if wrong:
        raise LockedModelError(*wrong)
    return content


def _no_key_twice(pairs: list[tuple[str, Any]]) -> Content:
    whole = dict(pairs)
    if len(whole) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return whole


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is no finite number")
    return number


def _whole(digits: str) -> int:
    _finite(digits)
    return int(digits)


# --- scoring ----------------------------------------------------------------------------------------


class Taken(NamedTuple):
    """One input of a model, as the subjects of a cohort have it.

    Attributes
    ----------
    value : np.ndarray, shape (n,)
        Numbers on the model's unit before any transform (a limit over √2 below it), or words; missing is NaN
        or "".
    state : np.ndarray of uint8, shape (n,)
        As of ``Markers``; MEASURED where a column of the subjects table has a value.
    limit : np.ndarray, shape (n,)
        The limit of those beyond one, else NaN.
    """

    value: np.ndarray
    state: np.ndarray
    limit: np.ndarray


def is_survival(model: Mapping[str, Any]) -> bool:
    """Return whether a model predicts a time to event."""
    return bool(model["type"] == "time_to_event")


def score(model: Mapping[str, Any], cohort: Cohort, name: str = "") -> pd.DataFrame:
    """Score every subject of a cohort with a locked model.

    Parameters
    ----------
    model : mapping
        As from `read_locked`.
    cohort : Cohort
        In which `findings` found no error.
    name : str
        What to call the model in the column ``locked``.

    Returns
    -------
    pd.DataFrame
        One row a subject: subject_id, endpoint, locked, score (log odds; log hazard relative to the average
        training subject), probability of the response, or risk of the event until horizon_months,
        missing_inputs and outside_range (separated by semicolons), note.
    """
    n = len(cohort.subjects)
    total = np.full(n, float(model.get("intercept", 0.0)))
    missing: list[list[str]] = [[] for _ in range(n)]
    outside: list[list[str]] = [[] for _ in range(n)]
    lost = np.zeros(n, dtype=int)
    for item in model["inputs"]:
        taken = _taken(item, cohort)
        known, strange = _known_and_strange(item, taken)
        for place in np.flatnonzero(~known):
            missing[place].append(item["name"])
        for place, why in strange:
            outside[place].append(why)
        lost += ~known
        total += contribution(item, taken, known)
    table = pd.DataFrame(
        {
            "subject_id": cohort.subjects["subject_id"].to_numpy(dtype=object),
            "endpoint": model["endpoint"],
            "locked": name,
            "score": total,
        }
    )
    if is_survival(model):
        table["risk"] = risk(model, total, model["horizon_months"])
        table["horizon_months"] = model["horizon_months"]
    else:
        table["probability"] = probability(total)
    table["missing_inputs"] = ["; ".join(names) for names in missing]
    table["outside_range"] = ["; ".join(words) for words in outside]
    if not model["inputs"]:
        table["note"] = "the model has no input: everybody gets the same"
    else:
        table["note"] = np.where(
            lost == len(model["inputs"]), "no input is known: the score of imputed values", ""
        )
    return table


def probability(score: np.ndarray) -> np.ndarray:
    """Return the probability of the response for log odds."""
    return 0.5 * (1.0 + np.tanh(0.5 * score))


def risk(model: Mapping[str, Any], score: np.ndarray, months: float) -> np.ndarray:
    """Return the probability of the event until a month of follow-up, for log relative hazards."""
    baseline = model["baseline"]
    place = int(np.searchsorted(baseline["time_months"], months, side="right"))
    survival = baseline["survival"][place - 1] if place else 1.0
    if survival <= 0.0:
        return np.ones_like(score)
    return -np.expm1(math.log(survival) * np.exp(score))


def _taken(item: Mapping[str, Any], cohort: Cohort) -> Taken:
    if item["table"] == "subjects":
        return _of_subjects(item, cohort.subjects)
    n = len(cohort.subjects)
    nothing = Taken(np.full(n, np.nan), np.zeros(n, dtype=np.uint8), np.full(n, np.nan))
    row = _row(item, cohort)
    if row is None:
        return nothing
    info = cohort.markers.info.iloc[row]
    state = cohort.markers.state[row]
    factor = _factor(item, info)
    value = cohort.markers.value[row] * (1.0 if factor is None else factor)
    beyond = np.isin(state, (BELOW, ABOVE))
    limit = np.where(beyond, value, np.nan)
    if item["kind"] in ("continuous", "count"):
        # On the model's scale: the value was converted to its unit.
        value = standing(value, state, *doubling_of(item["biomarker"], item.get("unit")))
    value = np.where((state == MEASURED) | beyond, value, np.nan)
    return Taken(value, state, limit)


def _of_subjects(item: Mapping[str, Any], subjects: pd.DataFrame) -> Taken:
    series = subjects[item["column"]]
    none = np.full(len(series), np.nan)
    if item["kind"] == "number":
        value = pd.to_numeric(series, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        return Taken(value, np.where(np.isnan(value), 0, MEASURED).astype(np.uint8), none)
    absent = series.isna().to_numpy()
    words = series.astype(object).where(~absent, "").astype(str).to_numpy(dtype=object)
    return Taken(words, np.where(words == "", 0, MEASURED).astype(np.uint8), none)


def _row(item: Mapping[str, Any], cohort: Cohort) -> int | None:
    """Return which marker of the cohort an input is; None if there is none, or several of other assays."""
    rows = _candidates(item, cohort)
    if len(rows) == 1:
        return int(rows[0])
    assays = cohort.markers.info["assay"].to_numpy(dtype=object)[rows]
    same = rows[assays == item.get("assay", "")]
    return int(same[0]) if len(same) == 1 else None


def _candidates(item: Mapping[str, Any], cohort: Cohort) -> np.ndarray:
    info = cohort.markers.info
    return np.flatnonzero(
        (info["biomarker"] == item["biomarker"]).to_numpy(dtype=bool)
        & (info["specimen"] == item["specimen"]).to_numpy(dtype=bool)
        & (info["timepoint"] == cohort.study["baseline"]).to_numpy(dtype=bool)
    )


def _factor(item: Mapping[str, Any], info: Mapping[str, Any]) -> float | None:
    """Return what values of a cohort are multiplied with to be in the model's unit, None if nobody knows."""
    theirs, ours = str(info["unit"] or ""), str(item.get("unit") or "")
    if plain_unit(theirs) == plain_unit(ours) or not ours:
        return 1.0
    if not theirs:
        return None
    known = conversions(str(item.get("conversion") or ""))
    if (factor := known.get(plain_unit(theirs), known.get(""))) is not None:
        return factor
    back = conversions(str(info.get("conversion") or "")).get(plain_unit(ours))
    return None if back is None else 1.0 / back


def _known_and_strange(
    item: Mapping[str, Any], taken: Taken
) -> tuple[np.ndarray, list[tuple[int, str]]]:
    """Say who has a value that the model can take, and whose value it was not trained on."""
    strange: list[tuple[int, str]] = []
    unit = f" {item['unit']}" if item.get("unit") else ""
    if item["kind"] == "words":
        known = np.isin(taken.value, item["words"])
        strange = [
            (int(place), f"{item['name']} = {taken.value[place]} (trained on {words_of(item)})")
            for place in np.flatnonzero(~known & (taken.value != ""))
        ]
        return known, strange
    known = ~np.isnan(taken.value) & taken_by(item["transform"], taken.value)
    rule = item["rule"]
    low, high = item.get("range") or (-math.inf, math.inf)
    room = ROUNDING * np.array([abs(low), abs(high)])
    compared = taken.value
    what = "trained on"
    if rule == "detected":
        compared, what = taken.limit, "limits in training"
        known = ~np.isnan(taken.value)
    elif rule == "above":
        compared, what = np.where(taken.state == ABOVE, taken.limit, np.nan), "limits in training"
        known = ~np.isnan(taken.value)
    with np.errstate(invalid="ignore"):
        beyond = (compared < low - room[0]) | (compared > high + room[1])
    for place in np.flatnonzero(beyond):
        strange.append(
            (
                int(place),
                f"{item['name']} = {compared[place]:.4g}{unit} ({what} {low:.4g} to {high:.4g})",
            )
        )
    untransformed = ~np.isnan(taken.value) & ~known
    for place in np.flatnonzero(untransformed):
        strange.append(
            (
                int(place),
                f"{item['name']} = {taken.value[place]:.4g}{unit} (no {item['transform']})",
            )
        )
    return known, strange


def words_of(item: Mapping[str, Any]) -> str:
    """Return the words that an input knows, as a list for a sentence."""
    return ", ".join(str(word) for word in item["words"])


def contribution(item: Mapping[str, Any], taken: Taken, known: np.ndarray) -> np.ndarray:
    """Return what an input adds to the score of each subject; shape (n,).

    Parameters
    ----------
    item : mapping
        One of the model's ``inputs``.
    taken : Taken
        The subjects' values.
    known : np.ndarray of bool, shape (n,)
        Whose value the model can take; the others' is imputed.
    """
    added = np.zeros(len(known))
    for term in item["terms"]:
        x = _term(term, item, taken, known)
        added += term["coefficient"] * ((x - term["centre"]) / term["scale"])
    return added


def _term(
    term: Mapping[str, Any], item: Mapping[str, Any], taken: Taken, known: np.ndarray
) -> np.ndarray:
    """Return a term's values before centring, missing ones imputed."""
    if term["is"] == "missing":
        return (~known).astype(float)
    if term["is"] == "word":
        value = (taken.value == term["word"]).astype(float)
    elif item["rule"] == "detected":
        value = (taken.state != BELOW).astype(float)
    elif item["rule"] == "above":
        value = (taken.state == ABOVE).astype(float)
    else:
        value = transformed(item["transform"], taken.value)
    return np.where(known, value, term["if_missing"])


# --- what has to fit before anything is scored ------------------------------------------------------


def findings(model: Mapping[str, Any], cohort: Cohort, name: str) -> Iterator[Finding]:
    """Say what in a cohort does not fit a model.

    Parameters
    ----------
    model : mapping
        As from `read_locked`.
    cohort : Cohort
        The subjects to score.
    name : str
        What to call the model.

    Yields
    ------
    Finding
    """
    configured = cohort.study["endpoints"].get(model["endpoint"])
    if configured and configured["type"] != model["type"]:
        yield Finding(
            "locked_endpoint_differs",
            f"{name} predicts {model['endpoint']} as a {model['type']}; the configuration calls it a "
            f"{configured['type']}. Name the endpoint otherwise, or leave it out.",
            "outcomes",
            "endpoint",
        )
    if model["data_freeze"]["simulated"] and not cohort.study["simulated"]:
        yield Finding(
            "locked_model_simulated",
            f"{name} was made from simulated data: scores of real subjects mean nothing.",
            "subjects",
            "",
        )
    for item in model["inputs"]:
        if item["table"] == "subjects":
            yield from _column_findings(item, cohort, name)
        else:
            yield from _marker_findings(item, cohort, name)


def _column_findings(item: Mapping[str, Any], cohort: Cohort, name: str) -> Iterator[Finding]:
    column = item["column"]
    where = ("subjects", column)
    if column not in cohort.subjects or f"{column}{GIVEN}" in cohort.subjects:
        yield Finding(
            "locked_input_missing",
            f"{name} takes column {column!r}, which the subjects table has not. Map it by `columns`, or add it "
            "and leave it empty where it is not known.",
            *where,
        )
        return
    series = cohort.subjects[column].dropna()
    numeric = pd.api.types.is_numeric_dtype(series)
    if item["kind"] == "number" and not numeric:
        read = pd.to_numeric(series.astype(str), errors="coerce")
        if read.isna().any():
            word = str(series[read.isna()].iloc[0])
            yield Finding(
                "locked_input_differs",
                f"{name} takes numbers in column {column!r}; {word!r} is none.",
                *where,
            )
    elif item["kind"] == "words" and numeric and len(series):
        yield Finding(
            "locked_input_differs",
            f"{name} takes words in column {column!r} ({words_of(item)}); numbers are there, such as "
            f"{series.iloc[0]:g}. Recode them by `values`.",
            *where,
        )


def _marker_findings(item: Mapping[str, Any], cohort: Cohort, name: str) -> Iterator[Finding]:
    where = (item["table"], item["biomarker"])
    what = f"{item['biomarker']} ({item['specimen']}, {cohort.study['baseline']})"
    rows = _candidates(item, cohort)
    row = _row(item, cohort)
    if row is None and len(rows):
        assays = ", ".join(cohort.markers.info["assay"].iloc[rows])
        yield Finding(
            "locked_input_ambiguous",
            f"{name} takes {what} by assay {item.get('assay', 'unnamed')}; there are results by {assays}. "
            "Set the others aside, or name the assay alike.",
            *where,
        )
        return
    taken = _taken(item, cohort) if row is not None else None
    if row is None or taken is None or np.isnan(taken.value).all():
        yield Finding(
            "locked_input_unmeasured",
            f"{name} takes {what}, and no subject has a result. It is imputed for all: check the spelling of "
            "biomarker, specimen and timepoint.",
            *where,
        )
        return
    info = cohort.markers.info.iloc[row]
    trained = item.get("assay", "")
    if trained and info["assay"] and info["assay"] != trained:
        yield Finding(
            "locked_assay_differs",
            f"{what} was measured by {info['assay']}; {name} was trained on {trained}.",
            *where,
        )
    if _factor(item, info) is None:
        theirs = f"is in {info['unit']!r}" if info["unit"] else "states no unit"
        yield Finding(
            "locked_unit_differs",
            f"{what} {theirs}; {name} takes {item['unit']!r}, and no conversion is known. Give the unit in the "
            f"dictionary, and a `conversion` to {item['unit']} if it is another.",
            *where,
        )
    quantities = ("continuous", "count")
    same = info["kind"] == item["kind"] or (
        info["kind"] in quantities and item["kind"] in quantities
    )
    if not same:
        yield Finding(
            "locked_input_differs",
            f"{what} is {info['kind']} here, and {item['kind']} in {name}. Say its `kind` in the dictionary.",
            *where,
        )
        return
    for part in ("levels", "positive"):
        ours, theirs = str(item.get(part) or ""), str(info[part] or "")
        if item["kind"] in ("ordinal", "binary") and ours != theirs and (ours and theirs):
            yield Finding(
                "locked_input_differs",
                f"{what} has {part} {theirs!r} here and {ours!r} in {name}. Recode the values, or give the same "
                f"`{part}` in the dictionary.",
                *where,
            )
    meant = item.get("definition", {})
    here = definition(item["biomarker"], cohort)
    if differing := [key for key in meant if meant[key] != here.get(key)]:
        ours = "; ".join(f"{key} {meant[key]}" for key in differing)
        theirs = "; ".join(f"{key} {here.get(key)}" for key in differing)
        yield Finding(
            "locked_input_differs",
            f"{what} means something else in {name}: it was trained with {ours}, and this study has {theirs}.",
            *where,
        )


def definition(biomarker: str, cohort: Cohort) -> dict[str, Any]:
    """Return what makes a gene or pathway altered, or a signature, in a study; empty for other biomarkers."""
    group, _, name = biomarker.partition(":")
    if group == "signature":
        return dict((cohort.study.get("signatures") or {}).get(name) or {})
    if group not in ("gene", "pathway"):
        return {}
    said: dict[str, Any] = {
        "alterations_count": sorted(cohort.study.get("alterations_count") or []),
        "evaluable": dict(cohort.study.get("evaluable") or {}),
    }
    if group == "pathway" and len(cohort.pathways):
        rows = cohort.pathways[cohort.pathways["pathway"] == name]
        said["members"] = sorted(
            f"{gene} {kind}" for gene, kind in zip(rows["gene"], rows["kind"], strict=True)
        )
    return said


def report_misfits(paths: Mapping[str, Path], cohort: Cohort, problems: Problems) -> None:
    """Tell what is wrong with the locked models, and what of the cohort does not fit them.

    Parameters
    ----------
    paths : mapping of str to Path
        What to call each model -> its file.
    cohort : Cohort
        The subjects to score.
    problems : Problems
        Where it is told.
    """
    for name, path in paths.items():
        try:
            model = read_locked(path)
        except LockedModelError as error:
            for message in error.messages:
                problems.add("locked_model_invalid", message, file=name)
            continue
        for found in findings(model, cohort, name):
            problems.add(found.rule, found.message, table=found.table, column=found.column)


def stacked(scores: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the scores of several models below one another, in the contract's columns."""
    whole = pd.concat(scores, ignore_index=True)
    predicted = [c for c in ("probability", "risk", "horizon_months") if c in whole]
    return whole[[*SCORES, *predicted, *AFTER]]
