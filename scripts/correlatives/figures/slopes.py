"""Values before treatment and at progression, a line a subject, by biomarker and arm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from correlatives.figures.courses import (
    FOREMOST,
    LIMITS,
    SYMBOLS,
    Course,
    beyond,
    change_in_words,
    courses,
    value_axis,
    write_key,
    write_title,
)
from correlatives.figures.style import (
    BLACK,
    DOUBLE,
    SMALL,
    ArmStyle,
    Drawn,
    arm_styles,
    canvas,
    caption,
    finite,
    new_figure,
    no_data,
    p_equals,
    place,
    rst_escape,
    shorten,
    styled,
)
from correlatives.markers import ABOVE, BELOW, MEASURED
from correlatives.resistance.pairs import arm_masks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from correlatives.cohort import Cohort

COLUMNS = (
    "biomarker",
    "specimen",
    "arm",
    "order",
    "value_from",
    "limit_from",
    "value_to",
    "limit_to",
)

#: Inches: head of the figure, height of a line of panels, and of a panel.
HEAD, LINE, PANEL = 0.3, 2.04, 1.08

#: Distance between the first columns of two arms, the columns of an arm being 1 apart.
BETWEEN = 2.06

#: Panels a line, and lines a page.
ACROSS, DOWN = 3, 4


@styled
def draw(
    cohort: Cohort,
    paired_change: pd.DataFrame,
    *,
    from_: str = "baseline",
    to: str = "progression",
    at_progression: bool = True,
    top: int = ACROSS * DOWN,
    subject_level: bool = False,
    simulated: bool = False,
) -> Drawn:
    """Draw a panel a biomarker and specimen, with a pair of columns an arm.

    Parameters
    ----------
    cohort : Cohort
    paired_change : pd.DataFrame
        ``resistance/paired_change.tsv``: the estimates printed. None is computed here.
    from_, to : str
        Analysis timepoints.
    at_progression : bool
        Whether samples at `to` of subjects who stopped without progression are set aside.
    top : int
        Biomarkers drawn at most, the foremost first (`courses.courses`).
    subject_level : bool
        Whether subject identifiers may be written; else subjects are numbered by their values.
    simulated : bool

    Returns
    -------
    Drawn
        Source: one row a line drawn: the two values, and on which side of a limit they lie.
    """
    title = f"Biomarkers at {rst_escape(from_)} and {rst_escape(to)}, subject by subject."
    columns = ["subject_id", *COLUMNS] if subject_level else list(COLUMNS)
    part = cohort.analysed()
    changes = paired_change[
        (paired_change["from"] == from_)
        & (paired_change["to"] == to)
        & (paired_change["pairs"] > 0)
    ]
    wanted = frozenset(zip(changes["biomarker"].astype(str), changes["specimen"], strict=True))
    found = courses(part, [from_, to], to=to if at_progression else None, only=wanted)
    found = [course for course in found if course.known.all(axis=0).any()]
    shown = found[:top]
    if not shown:
        return no_data(
            f"no continuous biomarker was measured at {from_} and at {to} in the same subject",
            title=title,
            columns=columns,
            simulated=simulated,
            width=DOUBLE,
        )
    styles = arm_styles(cohort.arms)
    masks = arm_masks(part)
    lines = -(-len(shown) // ACROSS)
    figure, edge = new_figure(DOUBLE, HEAD + LINE * lines, simulated=simulated)
    page = canvas(figure)
    _write_key(page, styles, edge)
    pitch = (DOUBLE - 0.05) / ACROSS
    by_key = changes.set_index(["biomarker", "specimen", "arm"])
    ids = part.subjects["subject_id"].to_numpy(dtype=object)
    rows: list[dict[str, object]] = []
    for k, course in enumerate(shown):
        left = 0.05 + pitch * (k % ACROSS)
        ceiling = edge - HEAD - LINE * (k // ACROSS)
        write_title(page, course, left, ceiling - 0.03, pitch - 0.15)
        axes = place(figure, left + 0.36, ceiling - 0.64 - PANEL, pitch - 0.5, PANEL)
        rows += _draw_panel(axes, course, masks, styles, from_, to, by_key, pitch - 0.5, ids)
    hidden = len(found) - len(shown)
    pairs = {
        label: int(changes.loc[changes["arm"] == label, "pairs"].max())
        for label in styles
        if (changes["arm"] == label).any()
    }
    return Drawn(
        figure,
        pd.DataFrame(rows, columns=["subject_id", *COLUMNS])[columns],
        caption(
            title,
            "; ".join(f"{rst_escape(a)}: up to {n} pairs" for a, n in pairs.items())
            + "; each panel says its own."
            if pairs
            else "",
            f"Shown are {len(shown)} of {len(found)} biomarkers with pairs: {FOREMOST}."
            if hidden
            else "",
            "A line is a subject. A triangle that points down is a value below the limit of quantification, one that points "
            "up a value above the upper limit, both drawn at the limit; black bars are medians of the pairs. Axes are "
            "those of the analysis (logarithmic, square root or plain).",
            "Over each arm: pairs, the Hodges–Lehmann estimate of the change with 95 % limits, and p of Wilcoxon's signed-rank "
            "test (not adjusted; the table has q). × is a ratio of the later to the earlier value, √ and logit a difference on that "
            "scale. No estimate is given where more than half of the values lie beyond a limit.",
            "The figure does not show subjects with one of the two samples only; the change within an arm is not an effect of "
            "treatment.",
            simulated=simulated,
        ),
    )


def _write_key(page: Axes, styles: dict[str, ArmStyle], edge: float) -> None:
    """Write what colours and symbols mean."""
    handles = [
        Line2D([], [], color=style.colour, marker="o", markersize=3, linewidth=0.8)
        for style in styles.values()
    ]
    names = [shorten(label, 2.0, SMALL) for label in styles]
    handles += [beyond(SYMBOLS[BELOW]), beyond(SYMBOLS[ABOVE])]
    names += ["below the limit", "above the limit"]
    handles.append(Line2D([], [], color=BLACK, linewidth=1.6))
    names.append("median")
    write_key(page, handles, names, edge)


def _draw_panel(
    axes: Axes,
    course: Course,
    masks: list[tuple[str, np.ndarray]],
    styles: dict[str, ArmStyle],
    from_: str,
    to: str,
    changes: pd.DataFrame,
    width: float,
    ids: np.ndarray,
) -> list[dict[str, object]]:
    """Draw one biomarker; return the source's rows."""
    paired = course.known.all(axis=0)
    height = course.height
    rows: list[dict[str, object]] = []
    ticks, names = [], []
    span = BETWEEN * (len(masks) - 1) + 1.6
    room = width / span  # of a column
    for j, (label, mask) in enumerate(masks):
        style = styles[label]
        x = BETWEEN * j + np.array([0.0, 1.0])
        ticks += list(x)
        names += [shorten(time, 0.98 * room, SMALL) for time in (from_, to)]
        here = np.flatnonzero(paired & mask)
        # From the lowest start up, so that the number of a line says nothing of who it is.
        here = here[np.lexsort((course.value[1, here], course.value[0, here]))]
        alpha = float(np.clip(8 / max(len(here), 1), 0.18, 0.7))
        axes.add_collection(
            LineCollection(
                [np.column_stack([x, height[:, i]]) for i in here],
                colors=style.colour,
                linewidths=0.5,
                alpha=alpha,
                zorder=1,
                gid="subjects",
            ),
            autolim=False,
        )
        for state, marker in SYMBOLS.items():
            for t in (0, 1):
                of_state = here[course.state[t, here] == state]
                axes.plot(
                    np.full(len(of_state), x[t]),
                    height[t, of_state],
                    linestyle="none",
                    marker=marker,
                    markersize=2.0 if state == MEASURED else 3.2,
                    markerfacecolor=style.colour if state == MEASURED else "white",
                    markeredgecolor=style.colour,
                    markeredgewidth=0 if state == MEASURED else 0.6,
                    alpha=min(1.0, 2 * alpha) if state == MEASURED else 1.0,
                    zorder=2 if state == MEASURED else 3,
                    clip_on=False,
                    gid=LIMITS[state] or "measured",
                )
        if len(here):
            for t in (0, 1):
                middle = float(np.median(height[t, here]))
                axes.plot(
                    x[t] + np.array([-0.16, 0.16]),
                    [middle, middle],
                    color=BLACK,
                    linewidth=1.6,
                    zorder=4,
                    solid_capstyle="butt",
                )
        for line, text in enumerate(_estimate(course, label, changes, len(here))):
            axes.text(
                float(x.mean()),
                PANEL + 0.34 - 0.1 * line,
                shorten(text, (BETWEEN - 0.1) * room, SMALL),
                transform=_inches_above(axes),
                ha="center",
                va="top",
                fontsize=SMALL,
                color=style.colour,
            )
        rows += [
            {
                "subject_id": ids[i],
                "biomarker": course.biomarker,
                "specimen": course.specimen,
                "arm": label,
                "order": order + 1,
                "value_from": course.value[0, i],
                "limit_from": LIMITS[int(course.state[0, i])],
                "value_to": course.value[1, i],
                "limit_to": LIMITS[int(course.state[1, i])],
            }
            for order, i in enumerate(here)
        ]
    value_axis(axes.yaxis, course.transform, height[:, paired])
    axes.set_xlim(-0.3, span - 0.3)
    axes.set_xticks(ticks, names, fontsize=SMALL)
    axes.tick_params(axis="x", length=0)
    axes.tick_params(axis="y", labelsize=SMALL)
    axes.spines["bottom"].set_visible(False)
    return rows


def _inches_above(axes: Axes) -> object:
    """Return coordinates with data along x and inches from the panel's bottom along y."""
    from matplotlib.transforms import Affine2D, blended_transform_factory

    up = Affine2D().scale(1.0, 1.0 / PANEL) + axes.transAxes
    return blended_transform_factory(axes.transData, up)


def _estimate(course: Course, arm: str, changes: pd.DataFrame, drawn: int) -> list[str]:
    """Return what is written over an arm: pairs and p, and the change with its limits."""
    key = (course.biomarker, course.specimen, arm)
    if key not in changes.index:
        return [f"n = {drawn}"]
    line = changes.loc[key]
    line = line.iloc[0] if isinstance(line, pd.DataFrame) else line
    words = f"n = {int(line['pairs'])}"
    if not finite(line["median_change"]):
        return [words, "no estimate"]
    if finite(line["p_wilcoxon"]):
        words += f", p {p_equals(line['p_wilcoxon'])}"
    ends = [float(line[f"median_change{end}"]) for end in ("", "_low", "_high")]
    estimate, _, limits = change_in_words(course.transform, ends).partition(" (")
    return [words, estimate, f"({limits}"]
