"""Kaplan–Meier curves by arm within low and high marker: confirmatory markers, or else the first exploratory ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from correlatives.figures.km import NAMES
from correlatives.figures.markers import Labels
from correlatives.figures.small_curves import (
    HEAD,
    LEFTS,
    STEP,
    WIDTH,
    draw_curve,
    panel,
    write_key,
)
from correlatives.figures.style import (
    BLACK,
    DIM,
    DOUBLE,
    LARGE,
    SMALL,
    Drawn,
    arm_styles,
    canvas,
    caption,
    format_interval,
    new_figure,
    no_data,
    rst_escape,
    shorten,
    styled,
)
from correlatives.survival.kaplan_meier import KaplanMeier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from correlatives.cohort import Cohort
    from correlatives.predictive.levels import Split

#: Markers drawn at most, two a line.
MOST = 10

#: Inches: a line of panels, and a panel.
LINE, PANEL = 1.72, 0.82

COLUMNS = ["biomarker", "specimen", "timepoint", "split", "level", "arm", *STEP]


@styled
def draw(
    cohort: Cohort,
    endpoint: str,
    splits: Sequence[Split],
    *,
    labels: Labels | None = None,
    simulated: bool = False,
) -> Drawn:
    """Draw two panels a marker: low and high, the arms in each.

    Parameters
    ----------
    cohort : Cohort
        A randomised study; the primary population is drawn.
    endpoint : str
        A time to event.
    splits : sequence of Split
        From `predictive.levels.split_markers`.
    labels : mapping, optional
        Biomarker, or (biomarker, specimen), -> the label of the dictionary.
    simulated : bool

    Returns
    -------
    Drawn
        Source: every step of every curve; at_risk just before, events and censored at that time.
    """
    name = NAMES.get(endpoint, f"{endpoint}: event-free")
    family = splits[0].family if splits else "confirmatory"
    title = f"{rst_escape(name)} by arm within {family} markers."
    subjects = cohort.analysed().subjects
    time = subjects[f"{endpoint}_months"].to_numpy(dtype=float)
    event = subjects[f"{endpoint}_event"].to_numpy(dtype=float)
    arm = subjects["arm"].to_numpy(dtype=object)
    known = np.isfinite(time) & np.isfinite(event)
    shown = [split for split in splits if (known & np.isfinite(split.high)).any()][:MOST]
    if not shown:
        return no_data(
            f"no marker tested has two levels among the subjects with {endpoint}",
            title=title,
            columns=COLUMNS,
            simulated=simulated,
            width=DOUBLE,
        )
    styles = arm_styles(cohort.arms)
    lines = -(-len(shown) // 2)
    figure, top = new_figure(DOUBLE, HEAD + LINE * lines + 0.1, simulated=simulated)
    page = canvas(figure)
    handles = [
        Line2D([], [], color=style.colour, linestyle=style.line) for style in styles.values()
    ]
    names = [shorten(label, 2.6, SMALL) for label in styles]
    write_key(page, handles, names, top, name, "randomisation")
    longest = float(time[known].max())
    rows: list[dict[str, Any]] = []
    for k, split in enumerate(shown):
        ceiling = top - HEAD - LINE * (k // 2)
        bottom = ceiling - 0.32 - PANEL
        found = (labels or {}).get((split.biomarker, split.specimen)) or split.biomarker
        left = LEFTS[2 * (k % 2)]
        by = {"level": "", "prespecified cut": ", prespecified"}.get(split.by, f", by {split.by}")
        where = f"{split.specimen}{by}".replace("_", " ")
        head = shorten(found, 1.75, LARGE, "bold")
        page.text(left - 0.36, ceiling - 0.01, head, fontsize=LARGE, fontweight="bold", va="top")
        page.text(
            left + 2 * WIDTH + 0.2,
            ceiling - 0.01,
            shorten(where, 1.4, SMALL),
            fontsize=SMALL,
            color=DIM,
            va="top",
            ha="right",
        )
        for level, words, effect in (
            (0, split.low_words, split.effect_low),
            (1, split.high_words, split.effect_high),
        ):
            left = LEFTS[2 * (k % 2) + level]
            axes = panel(figure, left, bottom, PANEL, longest, numbered=level == 0)
            here = known & (split.high == level)
            text = words.replace(">=", "≥").replace("<=", "≤")
            text = re.sub("^([<>≤≥])(?! )", r"\1 ", text)
            if np.isfinite(effect.estimate):
                text += f": HR {format_interval(*effect)}"
            axes.text(
                0,
                1.04,
                shorten(text, WIDTH + 0.05, SMALL),
                transform=axes.transAxes,
                fontsize=SMALL,
                va="bottom",
                color=BLACK,
            )
            for i, (label, style) in enumerate(styles.items()):
                member = here & (arm == label)
                curve = KaplanMeier(time[member], event[member])
                of = (split.biomarker, split.specimen, split.timepoint, split.by, words, label)
                rows += [
                    dict(zip(COLUMNS, of, strict=False)) | step
                    for step in draw_curve(
                        page, axes, curve, i, colour=style.colour, line=style.line, width=1.0
                    )
                ]
    counts = "; ".join(
        f"{rst_escape((labels or {}).get((s.biomarker, s.specimen)) or s.biomarker)}: "
        f"{int((known & np.isfinite(s.high)).sum())} subjects, "
        f"{int((known & np.isfinite(s.high) & (event == 1)).sum())} events"
        for s in shown
    )
    left_out = len(splits) - len(shown)
    return Drawn(
        figure,
        pd.DataFrame(rows, columns=COLUMNS),
        caption(
            title,
            f"{counts}; of {int(known.sum())} subjects with {rst_escape(endpoint)}."
            + (f" {left_out} more {family} markers are not shown." if left_out else ""),
            "The study has no confirmatory marker: these are the exploratory ones with the smallest randomisation p, "
            "and were picked for it, so that their differences are overstated."
            if family == "exploratory"
            else "",
            f"Kaplan–Meier estimates; markers at {rst_escape(', '.join(dict.fromkeys(s.timepoint for s in shown)))}, the marker low on the left and high on the right: its two levels, the dictionary's "
            "cut, or, where it has none, the median of the subjects (said above each pair). Ticks are censored "
            "subjects. Hazard ratios (experimental over control, within the level; Cox with 95 % profile limits, and with Firth's penalty "
            "where there is no finite maximum without it, as without an event in an arm) are those of the "
            "main table; levels by the median have none there, since a median is no hypothesis.",
            "Whether the arms differ more in one level than the other is the test of interaction in the main table: two curves "
            "or two p-values compared by eye do not show it. The figure does not show subjects without a "
            "value of the marker.",
            simulated=simulated,
        ),
    )
