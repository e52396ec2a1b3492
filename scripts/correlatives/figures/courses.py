"""Continuous biomarkers of the same subjects at several timepoints, as the figures of change draw them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from correlatives.figures.style import (
    DIM,
    LARGE,
    SMALL,
    format_interval,
    log_ticks,
    shorten,
)
from correlatives.markers import ABOVE, BELOW, MEASURED, MISSING
from correlatives.pairing import (
    RESULTS,
    names_with_assay,
    not_at_progression,
    of_specimen,
    quantities,
    sample_months,
    specimens,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from correlatives.cohort import Cohort

#: Logits at which an axis may have a number.
PROPORTIONS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)

#: Marker of a value, by its state: the way a triangle points is where the value lies beyond its limit.
SYMBOLS = {MEASURED: "o", BELOW: "v", ABOVE: "^"}

#: What such a value is called in the source.
LIMITS = {MEASURED: "", BELOW: "below", ABOVE: "above"}

#: The order of `courses`, in words of a caption.
FOREMOST = "confirmatory ones first, then those prespecified, those of a pathway, and those in most subjects"


class Course(NamedTuple):
    """One biomarker in one specimen.

    Attributes
    ----------
    biomarker : str
        As the tables of change call it (with the assay where several measured it).
    specimen : str
        A specimen of blood, or ``tissue``.
    label, unit, transform : str
        From the dictionary.
    value : np.ndarray of float, shape (timepoints, n)
        On the biomarker's own scale; the limit where the state is BELOW or ABOVE; NaN without a result.
    state : np.ndarray of uint8, shape (timepoints, n)
        MISSING where there is no result, or no place for it on the transformed scale.
    """

    biomarker: str
    specimen: str
    label: str
    unit: str
    transform: str
    value: np.ndarray
    state: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Whether there is a result, shape (timepoints, n)."""
        return self.state != MISSING

    @property
    def height(self) -> np.ndarray:
        """Return the values where the vertical axis has them, shape (timepoints, n)."""
        return forward(self.transform, self.value)


def courses(
    cohort: Cohort,
    timepoints: Sequence[str],
    *,
    to: str | None = None,
    only: frozenset[tuple[str, str]] | None = None,
) -> list[Course]:
    """Return the continuous biomarkers with results, the foremost first (``FOREMOST``, then by name).

    Parameters
    ----------
    cohort : Cohort
    timepoints : sequence of str
    to : str, optional
        The one of them that means progression: samples of subjects who stopped for another reason are
        set aside there.
    only : frozenset of (biomarker, specimen), optional
        The ones wanted.
    """
    markers = quantities(cohort.markers)
    found: list[tuple[tuple[bool, bool, bool, int, str, str], Course]] = []
    for specimen in specimens(markers):
        parts = [of_specimen(markers, specimen, timepoint) for timepoint in timepoints]
        keys = [names_with_assay(part) for part in parts]
        every = np.unique(np.concatenate(keys)) if keys else np.array([], dtype=str)
        names = pd.Series([key.split("\t")[0] for key in every], dtype=object)
        several = names.duplicated(keep=False).to_numpy()
        at_end = np.ones(len(cohort.subjects), dtype=bool)
        if to is not None:
            at_end = not_at_progression(cohort, sample_months(cohort, specimen, to)) == ""
        rows = [dict(zip(key, range(len(key)), strict=True)) for key in keys]
        for i, key in enumerate(every):
            assay = key.split("\t")[1]
            called = f"{names[i]} ({assay})" if several[i] else str(names[i])
            if only is not None and (called, specimen) not in only:
                continue
            value = np.full((len(parts), len(cohort.subjects)), np.nan)
            state = np.full(value.shape, MISSING, dtype=np.uint8)
            info = None
            for t, (part, row) in enumerate(zip(parts, rows, strict=True)):
                if key not in row:
                    continue
                info = part.info.iloc[row[key]] if info is None else info
                there = np.isin(part.state[row[key]], RESULTS)
                there &= at_end if timepoints[t] == to else True
                value[t] = np.where(there, part.value[row[key]], np.nan)
                state[t] = np.where(there, part.state[row[key]], MISSING)
            if info is None:
                continue
            transform = str(info["transform"] or "none")
            placed = np.isfinite(forward(transform, value))
            course = Course(
                called,
                specimen,
                str(info["label"] or called),
                str(info["unit"] or "") if pd.notna(info["unit"]) else "",
                transform,
                np.where(placed, value, np.nan),
                np.where(placed, state, MISSING).astype(np.uint8),
            )
            order = (
                info["family"] != "confirmatory",
                info["prespecified"] != "yes",
                not (pd.notna(info["pathway"]) and info["pathway"]),
                -int(course.known.sum()),
                called,
                specimen,
            )
            found.append((order, course))
    return [course for _, course in sorted(found, key=lambda pair: pair[0])]


def forward(transform: str, value: np.ndarray) -> np.ndarray:
    """Return values on the scale of the vertical axis: NaN where the transform has no place for them."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if transform in ("log2", "log10"):
            placed = np.log10(value)
        elif transform == "sqrt":
            placed = np.sqrt(value)
        elif transform == "logit":
            placed = np.log(value) - np.log1p(-value)
        else:
            placed = np.asarray(value, dtype=float)
    return np.where(np.isfinite(placed), placed, np.nan)


def round_numbers(transform: str, low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers of the biomarker's own scale for an axis of transformed values from `low` to `high`."""
    if transform in ("log2", "log10"):
        # Within the range with some air, so that a narrow one has two numbers.
        return log_ticks(10 ** (low - 0.02), 10 ** (high + 0.02), most)
    if transform == "logit":
        ends = [1 / (1 + math.exp(-end)) for end in (low, high)]
        ticks = [p for p in PROPORTIONS if ends[0] <= p <= ends[1]]
        return ticks[:: max(1, math.ceil(len(ticks) / most))]
    if transform == "sqrt" and high > 2 * max(low, 0):
        # Equal steps would leave the lower half of the axis without a number: from the top down, the next round
        # number that is far enough from the last, and from 0.
        apart = (high - low) / (most + 1)
        largest = math.floor(math.log10(high**2))
        ticks: list[float] = []
        for tick in (m * 10.0**k for k in range(largest, largest - 4, -1) for m in (5, 3, 2, 1)):
            place = math.sqrt(tick)
            above = math.sqrt(ticks[-1]) if ticks else math.inf
            if max(low, apart if low <= 0 else 0) <= place <= min(high, above - apart):
                ticks.append(tick)
        ticks += [0.0] if low <= 0 else []
        return ticks[::-1]
    ends = [max(low, 0) ** 2, max(high, 0) ** 2] if transform == "sqrt" else [low, high]
    return [
        t
        for t in MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(*ends)
        if ends[0] - 1e-9 * abs(ends[1]) <= t <= ends[1] * (1 + 1e-9)
    ]


def value_axis(axis: Axis, transform: str, drawn: np.ndarray) -> None:
    """Give a vertical axis of transformed values room for those drawn, and round numbers of the biomarker's own scale."""
    low, high = float(np.nanmin(drawn)), float(np.nanmax(drawn))
    air = 0.04 * (high - low) or 0.5
    axis.axes.set_ylim(low - air, high + air)
    ticks = round_numbers(transform, low - air, high + air)
    placed = forward(transform, np.array(ticks, dtype=float))
    axis.set_ticks(list(placed), [f"{tick:g}".replace("-", "−") for tick in ticks], minor=False)


def write_title(page: Axes, course: Course, left: float, top: float, room: float) -> None:
    """Write what was measured, in what and in which unit, over the panels of a biomarker."""
    page.text(
        left,
        top,
        shorten(course.label, room, LARGE, "bold"),
        fontsize=LARGE,
        fontweight="bold",
        va="top",
    )
    where = course.specimen.replace("_", " ") + (f", {course.unit}" if course.unit else "")
    page.text(left, top - 0.13, shorten(where, room, SMALL), fontsize=SMALL, color=DIM, va="top")


def write_key(page: Axes, handles: Sequence[Artist], names: Sequence[str], top: float) -> None:
    """Write what lines and symbols mean in a line at the top of the page."""
    width, height = page.figure.get_size_inches()
    page.legend(
        handles,
        names,
        loc="upper left",
        bbox_to_anchor=(0.03 / width, top / height),
        bbox_transform=page.figure.transFigure,
        ncols=len(handles),
        fontsize=SMALL,
        borderpad=0.2,
        columnspacing=1.0,
        handletextpad=0.5,
    )


def beyond(marker: str) -> Line2D:
    """Return the key's symbol of a value beyond a limit."""
    return Line2D(
        [], [], color=DIM, marker=marker, markerfacecolor="white", markersize=4, linestyle="none"
    )


def change_in_words(transform: str, change: Sequence[float]) -> str:
    """Return a change on the transformed scale as a reader takes it: a ratio of logarithms, else a difference."""
    base = {"log2": 2.0, "log10": 10.0}.get(transform)
    if base is not None:
        ratio = [base**x if np.isfinite(x) else np.nan for x in change]
        return "×" + format_interval(*ratio)
    largest = max((abs(x) for x in change if np.isfinite(x)), default=0.0)
    digits = 0 if largest >= 20 else 1 if largest >= 2 else 2 if largest >= 0.1 else 3
    sign = "+" if np.isfinite(change[0]) and round(change[0], digits) > 0 else ""
    mark = {"sqrt": "√ ", "logit": "logit "}.get(transform, "")
    return f"{mark}{sign}{format_interval(*change, digits=digits)}"
