"""A locked model as a table of points, to be added up by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from correlatives.markers import ABOVE, BELOW, MEASURED
from correlatives.response.locked import Taken, contribution, is_survival, probability, risk
from correlatives.tables.dictionary import column_label, levels_of

#: Columns of ``response/points_{endpoint}.tsv``.
POINTS = ["part", "input", "label", "value", "points", "predicted"]

#: Points of the input that moves the score most, from one end of its training range to the other.
MOST = 100.0

#: What a missing value is called.
MISSING_VALUE = "missing"

#: Values of a quantity that get their points, at about.
VALUES = 6

#: Predicted probabilities or risks that get their total points where the model's range is wide; steps between them where
#: it is narrow; and how many there are at least.
PREDICTED = (0.01, 0.02, *(k / 20 for k in range(1, 20)), 0.98, 0.99)
STEPS = (0.02, 0.01, 0.005, 0.002, 0.001)
LEAST = 4


class Scale(NamedTuple):
    """Points of one input.

    Attributes
    ----------
    name, label : str
        Of the input; the label with its unit.
    worded : list of str
        What it may be, in words or numbers.
    points : np.ndarray, shape (k,)
        Of each value; the lowest is 0.
    missing : float
        Points where the input is missing. Where the model has a term of its own for that, ``missing`` is one of the
        values.
    levels : bool
        Whether the values are all that the input can be, not points of a range.
    """

    name: str
    label: str
    worded: list[str]
    points: np.ndarray
    missing: float
    levels: bool


class Nomogram(NamedTuple):
    """All inputs on one scale.

    Attributes
    ----------
    scales : list of Scale
        The widest first.
    base : float
        Score at 0 points.
    a_point : float
        Score a point.
    """

    scales: list[Scale]
    base: float
    a_point: float


def nomogram(model: Mapping[str, Any]) -> Nomogram:
    """Return the points of every input of a locked model.

    Parameters
    ----------
    model : mapping
        As from `read_locked`.

    Returns
    -------
    Nomogram
        Over the training range of each input. A score is `base` plus the sum of all points times `a_point`.
    """
    added = [(item, *_values(item)) for item in model["inputs"]]
    spans = [float(np.ptp(known)) for _, _, known, _ in added]
    widest = max(spans, default=0.0)
    a_point = widest / MOST if widest > 0 else 1.0
    scales = [
        Scale(
            item["name"],
            _label(item),
            values,
            (known - known.min()) / a_point,
            (missing - known.min()) / a_point,
            _has_levels(item),
        )
        for item, values, known, missing in added
    ]
    base = float(model.get("intercept", 0.0)) + sum(float(known.min()) for _, _, known, _ in added)
    order = np.argsort([-span for span in spans], kind="stable")
    return Nomogram([scales[k] for k in order], base, a_point)


def predicted(model: Mapping[str, Any], score: np.ndarray) -> np.ndarray:
    """Return the probability of the response, or the risk until the model's horizon."""
    return risk(model, score, model["horizon_months"]) if is_survival(model) else probability(score)


def score_at(model: Mapping[str, Any], wanted: float) -> float:
    """Return the score at which the prediction is `wanted`; NaN where none is."""
    if not is_survival(model):
        return math.log(wanted / (1.0 - wanted))
    baseline = -math.log1p(-float(risk(model, np.zeros(1), model["horizon_months"])[0]))
    return math.log(-math.log1p(-wanted) / baseline) if 0 < baseline < math.inf else math.nan


def round_predictions(low: float, high: float) -> list[float]:
    """Return round numbers between two predictions, for the nomogram's last axis.

    Those of ``PREDICTED`` where enough of them are inside, else the multiples of the first of ``STEPS`` that has enough.
    Where hardly a multiple of the last is inside, the ends are given as they are.
    """
    within = [wanted for wanted in PREDICTED if low <= wanted <= high]
    for step in STEPS:
        if len(within) >= LEAST:
            break
        first, last = math.ceil(low / step), math.floor(high / step)
        within = [round(k * step, 3) for k in range(max(first, 1), last + 1) if k * step < 1]
    return within if len(within) > 1 else [low, high]


def points_table(model: Mapping[str, Any]) -> pd.DataFrame:
    """Return points of every input, and predictions of total points.

    Parameters
    ----------
    model : mapping
        As from `read_locked`; with ``refused`` and no model, there are no rows.

    Returns
    -------
    pd.DataFrame
        Columns ``POINTS``; part is ``input`` (points of a value) or ``total`` (prediction at total points).
    """
    if "inputs" not in model or not model["inputs"]:
        return pd.DataFrame(columns=POINTS)
    made = nomogram(model)
    rows = [
        ("input", scale.name, scale.label, value, float(points), math.nan)
        for scale in made.scales
        for value, points in dict(
            [*zip(scale.worded, scale.points, strict=True), (MISSING_VALUE, scale.missing)]
        ).items()
    ]
    highest = sum(float(scale.points.max()) for scale in made.scales)
    totals = np.linspace(0.0, highest, 21)
    rows += [
        ("total", "", "total points", "", float(total), float(reached))
        for total, reached in zip(
            totals, predicted(model, made.base + totals * made.a_point), strict=True
        )
    ]
    return pd.DataFrame(rows, columns=POINTS)


def _label(item: Mapping[str, Any]) -> str:
    name = item.get("label") or (column_label(item["column"]) if "column" in item else item["name"])
    specimen = str(item.get("specimen", "")).replace("_", " ")
    name = f"{name} ({specimen})" if specimen and specimen not in name.lower() else name
    return f"{name}, {item['unit']}" if item.get("unit") else str(name)


def _has_levels(item: Mapping[str, Any]) -> bool:
    """Return whether an input is one of a few words or codes, or detected or not."""
    return item["kind"] in ("words", "binary", "ordinal") or item["rule"] in ("detected", "above")


def _values(item: Mapping[str, Any]) -> tuple[list[str], np.ndarray, float]:
    """Return values of an input in words, what each adds to the score, and what a missing one adds."""
    state: list[int] | None = None
    given: list[Any]
    if item["kind"] == "words":
        words = given = list(item["words"])
    elif item["rule"] == "detected":
        words, given, state = ["not detected", "detected"], [1.0, 1.0], [BELOW, MEASURED]
    elif item["rule"] == "above":
        words, given, state = ["within limits", "above"], [1.0, 1.0], [MEASURED, ABOVE]
    elif item["kind"] in ("binary", "ordinal"):
        words = _levels(item)
        given = [float(code) for code in range(len(words))]
    else:
        given = _ticks(item)
        words = [shown(value) for value in given]
    n = len(given)
    taken = Taken(
        np.array(given, dtype=object if item["kind"] == "words" else float),
        np.full(n, MEASURED, dtype=np.uint8) if state is None else np.array(state, np.uint8),
        np.full(n, np.nan),
    )
    known = contribution(item, taken, np.ones(n, dtype=bool))
    missing = contribution(item, taken, np.zeros(n, dtype=bool))[:1]
    if not np.ptp(known):
        words, known = ["any value"], known[:1]
    if any(term["is"] == "missing" for term in item["terms"]):
        words, known = [*words, MISSING_VALUE], np.append(known, missing)
    return words, known, float(missing[0])


def shown(value: float) -> str:
    """Return a number with four significant digits, without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _levels(item: Mapping[str, Any]) -> list[str]:
    if levels := levels_of(item.get("levels", "")):
        return levels
    altered = str(item.get("biomarker", "")).startswith(("gene:", "pathway:"))
    return ["not altered", "altered"] if altered else ["negative", "positive"]


def _ticks(item: Mapping[str, Any]) -> list[float]:
    """Return the ends of a quantity's training range, and round values between them."""
    low, high = item.get("range") or (0.0, 1.0)
    if high <= low:
        return [low]
    if item["transform"] in ("log2", "log10") and low > 0 and high / low > 10:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        between = [m * 10.0**d for d in decades for m in (1, 2, 5)]
        inside = [value for value in between if low < value < high]
        step = max(1, math.ceil(len(inside) / VALUES))
        return [low, *inside[::step], high]
    step = 10.0 ** math.floor(math.log10((high - low) / VALUES))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= VALUES)
    if float(low).is_integer() and float(high).is_integer():
        step = max(step, 1.0)
    first = math.floor(low / step) + 1
    inside = [first * step + k * step for k in range(VALUES + 1)]
    return [low, *(round(value, 12) for value in inside if low < value < high), high]
