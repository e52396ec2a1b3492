"""Values of every subject over the visits, the model's mean, and the days on the drug."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from correlatives.figures.courses import (
    FOREMOST,
    LIMITS,
    SYMBOLS,
    Course,
    beyond,
    courses,
    forward,
    value_axis,
    write_key,
    write_title,
)
from correlatives.figures.style import (
    BLACK,
    DIM,
    DOUBLE,
    RULE,
    SMALL,
    ArmStyle,
    Drawn,
    arm_styles,
    canvas,
    caption,
    finite,
    new_figure,
    no_data,
    place,
    rst_escape,
    shorten,
    styled,
)
from correlatives.markers import BELOW, MEASURED
from correlatives.pairing import sample_months
from correlatives.resistance.pairs import arm_masks, months_on_treatment
from correlatives.time_units import DAYS_A_MONTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from correlatives.cohort import Cohort

COLUMNS = (
    "what",
    "biomarker",
    "specimen",
    "arm",
    "order",
    "timepoint",
    "day",
    "value",
    "limit",
    "value_low",
    "value_high",
    "n",
    "share_on_drug",
)

#: Inches: head of the figure, height of a line of panels, and of a panel.
HEAD, LINE, PANEL = 0.46, 2.4, 1.72

#: Lines of panels on a page, and panels in a line.
DOWN, ACROSS = 3, 4

#: Width of the place of the progression sample, as a share of the days drawn.
APART = 0.2

#: Days between visits whose days nobody knows.
STEP_DAYS = 7.0

#: Days between two numbers of the axis.
STEPS = (1, 7, 14, 21, 28, 56, 84, 168, 336, 10000)

#: Shade of a day on which everybody was on the drug; others are in proportion.
DARKEST = 0.88


class Visits(NamedTuple):
    """When the samples of a specimen were drawn, in days from the first dose: (timepoints, n), and typically."""

    days: np.ndarray
    typical: np.ndarray


@styled
def draw(
    cohort: Cohort,
    longitudinal: pd.DataFrame | None = None,
    *,
    drug: str,
    from_: str = "baseline",
    to: str = "progression",
    at_progression: bool = True,
    top: int = 6,
    subject_level: bool = False,
    simulated: bool = False,
) -> Drawn:
    """Draw a panel a biomarker, specimen and arm: a line a subject over study days, progression apart.

    Parameters
    ----------
    cohort : Cohort
    longitudinal : pd.DataFrame, optional
        ``resistance/longitudinal.tsv``: the means drawn (rows ``mean``). None is computed here.
    drug : str
        The drug whose days are shaded, from the dose intervals.
    from_, to : str
        Analysis timepoints; those between them in the configuration are drawn too.
    at_progression : bool
        Whether samples at `to` of subjects who stopped without progression are set aside.
    top : int
        Biomarkers drawn at most, the foremost first (`courses.courses`), of those measured on treatment.
    subject_level : bool
        Whether subject identifiers may be written.
    simulated : bool

    Returns
    -------
    Drawn
        Source: rows ``subject`` (a value), ``model`` (a mean with its limits, on the biomarker's own scale) and
        ``drug`` (share of the arm's subjects on the drug that day).
    """
    title = "Biomarkers over the course of treatment, subject by subject."
    columns = ["subject_id", *COLUMNS] if subject_level else list(COLUMNS)
    part = cohort.analysed()
    listed = [str(t) for t in part.study.get("timepoints") or [from_, to]]
    between = [t for t in listed if t not in (from_, to)]
    times = [from_, *between, to]
    found = [
        course
        for course in courses(part, times, to=to if at_progression else None)
        if (course.known[0] & course.known[1:-1].any(axis=0)).any()
    ]
    styles = arm_styles(cohort.arms)
    masks = arm_masks(part)
    across = max(1, ACROSS // len(masks))
    shown = found[: min(top, across * DOWN)]
    if not shown:
        return no_data(
            f"no continuous biomarker was measured at {from_} and between it and {to} in the same subject",
            title=title,
            columns=columns,
            simulated=simulated,
            width=DOUBLE,
        )
    lines = -(-len(shown) // across)
    figure, edge = new_figure(DOUBLE, HEAD + LINE * lines + 0.02, simulated=simulated)
    page = canvas(figure)
    pitch = (DOUBLE - 0.04) / across
    ids = part.subjects["subject_id"].to_numpy(dtype=object)
    visits: dict[str, Visits] = {}
    rows: list[dict[str, object]] = []
    dosed = {label: _share_on_drug(part, mask, drug) for label, mask in masks}
    modelled = False
    guessed = False
    for k, course in enumerate(shown):
        if course.specimen not in visits:
            visits[course.specimen], unknown = _visits(part, course.specimen, times)
            guessed |= unknown
        when = visits[course.specimen]
        left = 0.05 + pitch * (k % across)
        ceiling = edge - HEAD - LINE * (k // across)
        write_title(page, course, left, ceiling - 0.02, pitch - 0.15)
        width = (pitch - 0.5 - 0.1 * (len(masks) - 1)) / len(masks)
        means = _means(longitudinal, course)
        for j, (label, mask) in enumerate(masks):
            axes = place(
                figure, left + 0.36 + j * (width + 0.1), ceiling - 0.42 - PANEL, width, PANEL
            )
            value_axis(axes.yaxis, course.transform, course.height)
            axes.tick_params(axis="both", labelsize=SMALL)
            if j:
                axes.set_yticklabels([])
            rows += _draw_panel(
                axes,
                course,
                np.flatnonzero(mask),
                label,
                styles[label],
                when,
                times,
                dosed[label],
                _of_arm(means, label, from_),
                ids,
                width,
            )
            modelled |= bool(len(means))
            n = int((course.known[:, mask]).any(axis=0).sum())
            page.text(
                left + 0.36 + j * (width + 0.1),
                ceiling - 0.36,
                f"n = {n}",
                fontsize=SMALL,
                color=styles[label].colour,
                va="center_baseline",
            )
    _write_key(page, styles, drug, modelled, any(share.any() for _, share in dosed.values()), edge)
    page.text(
        0.05,
        edge - 0.3,
        f"Study day (1 = first dose); right of the line: {shorten(to, 1.5, SMALL)}, whenever it was",
        fontsize=SMALL,
        color=DIM,
        va="center_baseline",
    )
    counts = "; ".join(
        f"{rst_escape(course.label)}: {int(course.known.any(axis=0).sum())} subjects, "
        f"{int(course.known.sum())} values"
        for course in shown
    )
    return Drawn(
        figure,
        pd.DataFrame(rows, columns=["subject_id", *COLUMNS])[columns],
        caption(
            title,
            counts + ".",
            f"Shown are {len(shown)} of {len(found)} biomarkers with a value at {rst_escape(from_)} and on treatment: "
            f"{FOREMOST}."
            if len(found) > len(shown)
            else "",
            "A thin line is a subject; a triangle is a value beyond a limit of quantification, drawn at the limit."
            + (
                " Black: means of the mixed model, constrained to be alike at "
                f"{rst_escape(from_)}, with 95 % limits, at the typical day of the visit and put back on the biomarker's own "
                "scale (for logarithms a geometric mean)."
                if modelled
                else ""
            )
            + (
                f" Shaded: days on {rst_escape(drug)} by the dose intervals, the darker the more of the arm's subjects with doses."
                if any(share.any() for _, share in dosed.values())
                else f" No dose intervals of {rst_escape(drug)} are known, so no days are shaded."
            )
            + (" Visits of which no day is known stand in their order." if guessed else ""),
            "The figure does not show who left before a visit: means at later visits are of those still sampled, under the "
            "model's assumption that what is missing can be foretold from what was seen.",
            simulated=simulated,
        ),
    )


def _visits(cohort: Cohort, specimen: str, times: Sequence[str]) -> tuple[Visits, bool]:
    """Return when a specimen's samples were drawn (not the last timepoint's), and whether some days are made up."""
    days = np.full((len(times), len(cohort.subjects)), np.nan)
    typical = np.full(len(times), np.nan)
    guessed = False
    for t, time in enumerate(times[:-1]):
        months = months_on_treatment(cohort, sample_months(cohort, specimen, time))
        days[t] = months * DAYS_A_MONTH
        if np.isfinite(days[t]).any():
            typical[t] = float(np.nanmedian(days[t]))
        else:
            typical[t] = 0.0 if t == 0 else typical[t - 1] + STEP_DAYS
            guessed = True
        days[t] = np.where(np.isfinite(days[t]), days[t], typical[t])
    return Visits(days, typical), guessed


def _share_on_drug(cohort: Cohort, mask: np.ndarray, drug: str) -> tuple[np.ndarray, np.ndarray]:
    """Return study days, and of each the share of the arm's subjects with doses who were on the drug."""
    doses = cohort.course[cohort.course["what"] == "dose"]
    doses = doses[doses["subject_id"].isin(cohort.subjects.loc[mask, "subject_id"])]
    treated = doses["subject_id"].nunique()
    of_drug = doses[doses["name"].astype(str).str.casefold() == drug.casefold()]
    days = np.arange(-60, 400, dtype=float)
    if not treated or not len(of_drug):
        return days, np.zeros(len(days))
    start = pd.to_numeric(of_drug["start_day"], errors="coerce").to_numpy(dtype=float)
    stop = pd.to_numeric(of_drug["stop_day"], errors="coerce").to_numpy(dtype=float)
    codes = pd.factorize(of_drug["subject_id"])[0]
    share = np.zeros(len(days))
    for i, day in enumerate(days):
        share[i] = len(np.unique(codes[(start <= day) & (day <= stop)])) / treated
    return days, share


def _means(longitudinal: pd.DataFrame | None, course: Course) -> pd.DataFrame:
    """Return the model's means of a biomarker."""
    if longitudinal is None or not len(longitudinal):
        return pd.DataFrame()
    return longitudinal[
        (longitudinal["biomarker"] == course.biomarker)
        & (longitudinal["specimen"] == course.specimen)
        & (longitudinal["quantity"] == "mean")
    ]


def _of_arm(means: pd.DataFrame, label: str, from_: str) -> pd.DataFrame:
    """Return an arm's means, with that of both arms at the baseline."""
    if not len(means):
        return means
    shared = (means["arm"] == "all") & (means["timepoint"] == from_)
    return means[(means["arm"] == label) | shared]


def _draw_panel(
    axes: Axes,
    course: Course,
    members: np.ndarray,
    label: str,
    style: ArmStyle,
    when: Visits,
    times: Sequence[str],
    dosed: tuple[np.ndarray, np.ndarray],
    means: pd.DataFrame,
    ids: np.ndarray,
    width: float,
) -> list[dict[str, object]]:
    """Draw one biomarker in one arm; return the source's rows."""
    known, height = course.known, course.height
    scheduled = when.days[:-1][known[:-1]]
    first, last = float(scheduled.min()), float(scheduled.max())
    span = max(last - first, 7.0)
    slot = last + APART * span
    x = when.days.copy()
    x[-1] = slot
    x_mean = np.append(when.typical[:-1], slot)
    base = {"biomarker": course.biomarker, "specimen": course.specimen, "arm": label}
    rows: list[dict[str, object]] = []
    days, share = dosed
    days = days - 1.0
    within = (days >= first - 1) & (days <= last + 0.04 * span) & (share > 0)
    for day, part in zip(days[within], share[within], strict=True):
        axes.axvspan(
            day - 0.5,
            min(day + 0.5, last + 0.06 * span),
            facecolor=str(1 - (1 - DARKEST) * part),
            linewidth=0,
            zorder=-3,
            gid="on drug",
        )
        rows.append({"what": "drug", **base, "day": _study_day(day), "share_on_drug": part})
    members = members[known[:, members].any(axis=0)]
    starts = np.array([height[known[:, i], i][0] for i in members])
    members = members[np.argsort(starts, kind="stable")]
    alpha = float(np.clip(20 / max(len(members), 1), 0.1, 0.6))
    lines: list[np.ndarray] = []
    for order, i in enumerate(members):
        there = np.flatnonzero(known[:, i])
        there = there[
            np.argsort(x[there, i], kind="stable")
        ]  # whatever the order of the timepoints
        lines.append(np.column_stack([x[there, i], height[there, i]]))
        rows += [
            {
                "subject_id": ids[i],
                "what": "subject",
                **base,
                "order": order + 1,
                "timepoint": times[t],
                "day": _study_day(when.days[t, i]),
                "value": course.value[t, i],
                "limit": LIMITS[int(course.state[t, i])],
            }
            for t in there
        ]
    axes.add_collection(
        LineCollection(
            lines, colors=style.colour, linewidths=0.5, alpha=alpha, zorder=1, gid="subjects"
        ),
        autolim=False,
    )
    for state, marker in SYMBOLS.items():
        if state == MEASURED:
            continue
        where = np.nonzero(course.state[:, members] == state)
        axes.plot(
            x[:, members][where],
            height[:, members][where],
            linestyle="none",
            marker=marker,
            markersize=2.8,
            markerfacecolor="white",
            markeredgecolor=style.colour,
            markeredgewidth=0.5,
            zorder=2,
            gid=LIMITS[state],
        )
    drawn: list[tuple[float, float, float, float]] = []
    for t, time in enumerate(times):
        line = means[means["timepoint"] == time] if len(means) else means
        if not len(line) or not finite(line["estimate"].iloc[0]):
            continue
        ends = [float(line[f"estimate{end}"].iloc[0]) for end in ("", "_low", "_high")]
        values = _own_scale(course.transform, np.array(ends))
        drawn.append((x_mean[t], *forward(course.transform, values)))
        rows.append(
            {
                "what": "model",
                **base,
                "timepoint": time,
                "day": _study_day(when.typical[t]),
                "value": values[0],
                "value_low": values[1],
                "value_high": values[2],
                "n": line["n"].iloc[0],
            }
        )
    if drawn:
        at, middle, low, high = np.array(sorted(drawn)).T
        apart = [withStroke(linewidth=2.6, foreground="white")]  # from the subjects' lines
        axes.vlines(at, low, high, color=BLACK, linewidth=0.9, zorder=4, path_effects=apart)
        axes.plot(at, middle, color="white", linewidth=2.6, zorder=3)
        axes.plot(
            at,
            middle,
            color=BLACK,
            linewidth=1.1,
            linestyle=style.line,
            marker=style.marker,
            markersize=2.6,
            zorder=5,
            gid="model",
        )
    axes.axvline((last + slot) / 2, color=RULE, linewidth=0.5, linestyle=(0, (2, 2)), zorder=0)
    axes.set_xlim(first - 0.06 * span, slot + 0.09 * span)
    step = next(days for days in STEPS if days / (slot - first) * width > 0.3)
    ticks = np.arange(np.ceil(first / step), np.floor(last / step) + 1) * step
    axes.set_xticks(ticks, [f"{_study_day(tick):g}".replace("-", "−") for tick in ticks])
    return rows


def _study_day(days: float) -> float:
    """Return the study day of days from the first dose: that is day 1, the day before it is day −1."""
    return days + 1.0 if days >= 0 else days


def _own_scale(transform: str, values: np.ndarray) -> np.ndarray:
    """Put means on the transformed scale back on the biomarker's own."""
    if transform == "log2":
        return np.exp2(values)
    if transform == "log10":
        return np.power(10.0, values)
    if transform == "sqrt":
        return np.square(np.maximum(values, 0.0))
    if transform == "logit":
        return 1.0 / (1.0 + np.exp(-values))
    return values


def _write_key(
    page: Axes, styles: dict[str, ArmStyle], drug: str, modelled: bool, dosed: bool, edge: float
) -> None:
    """Write what lines, symbols and shades mean."""
    handles: list[object] = [
        Line2D([], [], color=style.colour, linewidth=0.8) for style in styles.values()
    ]
    room = 1.75
    names = [shorten(label, room, SMALL) for label in styles]
    if modelled:
        handles.append(Line2D([], [], color=BLACK, linewidth=1.1))
        names.append("model mean, 95 %")
    handles.append(beyond(SYMBOLS[BELOW]))
    names.append("beyond a limit")
    if dosed:
        handles.append(Patch(facecolor=str(DARKEST), linewidth=0))
        names.append(shorten(f"on {drug}", 1.2, SMALL))
    write_key(page, handles, names, edge)
