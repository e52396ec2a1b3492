"""Kaplan–Meier curves by arm, with the numbers at risk."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from correlatives.figures.style import (
    DIM,
    LARGE,
    NORMAL,
    PURPLE,
    SINGLE,
    SMALL,
    ArmStyle,
    Drawn,
    arm_styles,
    caption,
    finite,
    format_interval,
    format_number,
    month_ticks,
    new_figure,
    no_data,
    p_equals,
    place,
    rst_escape,
    shorten,
    styled,
    text_width,
    wrap,
)
from correlatives.survival.kaplan_meier import KaplanMeier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

    from correlatives.cohort import Cohort

COLUMNS = (
    "panel",
    "arm",
    "months",
    "survival",
    "low",
    "high",
    "at_risk",
    "events",
    "censored",
)

#: What the vertical axis is called.
NAMES = {
    "PFS": "Progression-free survival",
    "OS": "Overall survival",
    "DOR": "Response continuing",
    "EFS": "Event-free survival",
    "DFS": "Disease-free survival",
}

#: Endpoint -> the title of its figure, where that is not what the axis counts.
TITLES = {"DOR": "Duration of response"}

#: A line of the risk table, in inches.
LINE = 0.125


@styled
def draw(
    cohort: Cohort,
    endpoint: str,
    *,
    by_arm: pd.DataFrame | None = None,
    contrast: pd.DataFrame | None = None,
    historical: pd.DataFrame | None = None,
    simulated: bool = False,
) -> Drawn:
    """Draw the curves of one time-to-event endpoint in the primary population.

    Parameters
    ----------
    cohort : Cohort
        With the columns ``{endpoint}_months`` and ``{endpoint}_event``.
    endpoint : str
        Name of the endpoint.
    by_arm : pd.DataFrame, optional
        ``efficacy/survival_by_arm.tsv``: the medians printed. Without it they are those of the curves.
    contrast : pd.DataFrame, optional
        ``efficacy/survival_contrast.tsv``: hazard ratio and log-rank p printed. Neither is computed here.
    historical : pd.DataFrame, optional
        Stated values to compare with: the table of ``efficacy.historical`` (its medians of this endpoint are
        drawn as points at 50 %), or a curve: ``months``, ``survival`` and ``label``.
    simulated : bool
        Whether every figure must say that the data are simulated.

    Returns
    -------
    Drawn
        Source: panel (curve, censored, at risk, historical), arm, months, survival with its log-log limits,
        at_risk (just before), events and censored: cumulative, on the curve up to and with the time, in the
        risk table before it, as at_risk, so that the three sum to n.
    """
    name = NAMES.get(endpoint, f"{endpoint}: event-free")
    whole = TITLES.get(endpoint, name)
    title = f"{rst_escape(whole)} by arm." if cohort.randomised else f"{rst_escape(whole)}."
    part = cohort.analysed()
    time = part.subjects[f"{endpoint}_months"].to_numpy(dtype=float)
    event = part.subjects[f"{endpoint}_event"].to_numpy(dtype=float)
    known = np.isfinite(time) & np.isfinite(event)
    styles = arm_styles(cohort.arms)
    arm = _arm_of(part)
    curves = {
        label: KaplanMeier(time[known & (arm == label)], event[known & (arm == label)])
        for label in styles
        if (known & (arm == label)).any()
    }
    if not curves:
        return no_data(
            f"no subject has a time and an event for {endpoint}",
            title=title,
            columns=COLUMNS,
            simulated=simulated,
        )
    longest = float(time[known].max())
    ticks = month_ticks(longest)

    table_height = LINE * (2 * len(curves) + 1) + 0.06
    panel_height = 2.05
    bottom = table_height + 0.40
    figure, _ = new_figure(SINGLE, bottom + panel_height + 0.10, simulated=simulated)
    axes = place(figure, 0.46, bottom, SINGLE - 0.46 - 0.16, panel_height)
    rows: list[dict[str, Any]] = []
    historical = _stated(historical, endpoint)
    for label, curve in curves.items():
        rows += _draw_curve(axes, label, curve, styles[label])
    if historical is not None and len(historical):
        rows += _draw_historical(axes, historical)
    axes.set_xlim(0, max(longest * 1.03, ticks[-1]))
    axes.set_ylim(0, 1.03)
    axes.set_xticks(ticks)
    axes.set_xticklabels([f"{tick:g}" for tick in ticks])
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.set_yticklabels([f"{value:.0f}" for value in np.linspace(0, 100, 6)])
    axes.set_ylabel(f"{shorten(name, 1.75, LARGE)} (%)")
    axes.set_xlabel(_origin(cohort, endpoint))
    rows += _draw_risk_table(figure, axes, curves, styles, ticks, table_height)

    medians = _medians(curves, endpoint, by_arm)
    comparison = _comparison(endpoint, contrast) if cohort.randomised else []
    _draw_key(axes, curves, styles, medians, comparison, historical)
    return Drawn(
        figure,
        pd.DataFrame(rows, columns=list(COLUMNS)),
        _caption(
            title, endpoint, part, known, arm, curves, medians, contrast, historical, simulated
        ),
    )


def _of_responders(cohort: Cohort, endpoint: str) -> bool:
    """Whether the endpoint is a duration of response, which only responders have."""
    described = cohort.study.get("endpoints") or {}
    return (described.get(endpoint) or {}).get("type") == "duration_of_response"


def _origin(cohort: Cohort, endpoint: str) -> str:
    """Return what the time axis counts, and from when."""
    if _of_responders(cohort, endpoint):
        return "Months from first response"
    return "Months from randomisation" if cohort.randomised else "Months from start"


def _arm_of(cohort: Cohort) -> np.ndarray:
    """Label of every subject's arm; in a single-arm study the one label there is."""
    if cohort.randomised:
        return cohort.subjects["arm"].to_numpy(dtype=object)
    return np.full(len(cohort.subjects), next(iter(cohort.arms.values())), dtype=object)


def _steps(curve: KaplanMeier) -> dict[str, np.ndarray]:
    """Return the corners of a curve, which starts at 0 with everybody at risk."""
    times = np.asarray(curve.times, dtype=float)
    arrays = {
        key: np.asarray(getattr(curve, key), dtype=float)
        for key in ("survival", "low", "high", "at_risk", "events", "censored")
    }
    if times.size == 0 or times[0] > 0:
        first = {"survival": 1.0, "low": 1.0, "high": 1.0, "events": 0.0, "censored": 0.0}
        first["at_risk"] = arrays["at_risk"][0] if times.size else 0.0
        times = np.r_[0.0, times]
        arrays = {key: np.r_[first[key], values] for key, values in arrays.items()}
    return {"months": times, **arrays}


def _draw_curve(
    axes: Axes, label: str, curve: KaplanMeier, style: ArmStyle
) -> list[dict[str, Any]]:
    """Draw one curve with its band and censored times, and return the numbers drawn."""
    steps = _steps(curve)
    months, survival = steps["months"], steps["survival"]
    band = np.isfinite(steps["low"]) & np.isfinite(steps["high"])
    axes.fill_between(
        months[band],
        steps["low"][band],
        steps["high"][band],
        step="post",
        color=style.colour,
        alpha=0.12,
        linewidth=0,
    )
    axes.plot(
        months,
        survival,
        drawstyle="steps-post",
        color=style.colour,
        linestyle=style.line,
        gid=f"curve-{label}",
        clip_on=False,
    )
    lost = steps["censored"] > 0
    axes.plot(
        months[lost],
        survival[lost],
        linestyle="none",
        marker="|",
        markersize=4,
        markeredgewidth=0.6,
        color=style.colour,
        clip_on=False,
    )
    events, censored = np.cumsum(steps["events"]), np.cumsum(steps["censored"])
    return [
        {
            "panel": "curve",
            "arm": label,
            "months": months[i],
            "survival": survival[i],
            "low": steps["low"][i],
            "high": steps["high"][i],
            "at_risk": int(steps["at_risk"][i]),
            "events": int(events[i]),
            "censored": int(censored[i]),
        }
        for i in range(len(months))
    ]


def _stated(historical: pd.DataFrame | None, endpoint: str) -> pd.DataFrame | None:
    """Return the stated values as months, survival and label; None where there are none."""
    if historical is None or not len(historical):
        return None
    if "measure" not in historical:
        return historical
    medians = historical[
        (historical["endpoint"] == endpoint) & (historical["measure"] == "median_months")
    ]
    if not len(medians):
        return None
    return pd.DataFrame(
        {
            "months": medians["historical"].to_numpy(dtype=float),
            "survival": 0.5,
            "label": [
                f"historical median {format_number(value, 1)} mo"
                + (f": {source}" if source else "")
                for value, source in zip(
                    medians["historical"], medians["source"].fillna(""), strict=True
                )
            ],
        }
    )


def _draw_historical(axes: Axes, historical: pd.DataFrame) -> list[dict[str, Any]]:
    """Draw the stated values to compare with."""
    rows = []
    for label, values in historical.groupby("label", sort=False):
        line = values.sort_values("months")
        axes.plot(
            line["months"],
            line["survival"],
            color=PURPLE,
            linestyle="-." if len(line) > 1 else "none",
            marker="D" if len(line) == 1 else None,
            markersize=4,
            linewidth=1.0,
        )
        rows += [
            {"panel": "historical", "arm": label, "months": months, "survival": survival}
            for months, survival in zip(line["months"], line["survival"], strict=True)
        ]
    return rows


def _draw_risk_table(
    figure: Figure,
    axes: Axes,
    curves: Mapping[str, KaplanMeier],
    styles: Mapping[str, ArmStyle],
    ticks: np.ndarray,
    height: float,
) -> list[dict[str, Any]]:
    """Write the numbers at risk and the events before under the time axis.

    All are of the moment just before the tick (R's ``survfit``): where times are whole months, an event at the tick
    itself is still at risk and must not be counted as past, or the numbers would not add up.
    """
    size = figure.get_size_inches()
    box = axes.get_position()
    table = place(figure, box.x0 * size[0], 0.02, box.width * size[0], height)
    table.set_xlim(axes.get_xlim())
    table.set_ylim(height, 0)
    table.set_axis_off()
    left = -0.40 / (box.width * size[0])
    table.text(
        left,
        LINE * 0.5,
        "At risk (events before)",
        transform=table.get_yaxis_transform(),
        va="center",
        fontsize=SMALL,
        color=DIM,
    )
    widest = max(
        text_width(f"{curve.at_risk[0]:.0f} ({np.sum(curve.events):.0f})", SMALL)
        for curve in curves.values()
        if len(curve.at_risk)
    )
    room = box.width * size[0] * (ticks[1] - ticks[0]) / np.diff(axes.get_xlim())[0]
    # With little room between two ticks, every second one has numbers.
    shown = ticks if widest < room * 0.92 else ticks[::2]
    rows = []
    for i, (label, curve) in enumerate(curves.items()):
        y = LINE * (2 * i + 1)
        table.text(
            left,
            y + LINE * 0.5,
            shorten(label, size[0] - 0.2, SMALL),
            transform=table.get_yaxis_transform(),
            va="center",
            fontsize=SMALL,
            color=styles[label].colour,
        )
        at_risk = np.asarray(curve.at_risk_at(ticks), dtype=float)
        events = np.append(0, np.cumsum(curve.events))
        for month, number in zip(ticks, at_risk, strict=True):
            # The distinct times before the tick are those whose subjects have left the risk set.
            gone = curve.n - int(number)
            passed = int(np.searchsorted(np.cumsum(curve.events + curve.censored), gone, "right"))
            so_far = int(events[passed])
            rows.append(
                {
                    "panel": "at risk",
                    "arm": label,
                    "months": month,
                    "at_risk": int(number),
                    "events": so_far,
                    "censored": gone - so_far,
                }
            )
            if month in shown:
                table.text(
                    month,
                    y + LINE * 1.5,
                    f"{number:.0f} ({so_far})",
                    ha="center",
                    va="center",
                    fontsize=SMALL,
                )
    return rows


def _medians(
    curves: Mapping[str, KaplanMeier], endpoint: str, by_arm: pd.DataFrame | None
) -> dict[str, str]:
    """Arm -> its median with limits, as printed."""
    shown = {}
    for label, curve in curves.items():
        row = None
        if by_arm is not None:
            found = by_arm[(by_arm["endpoint"] == endpoint) & (by_arm["arm"] == label)]
            row = found.iloc[0] if len(found) else None
        median = (
            (row["median"], row["median_low"], row["median_high"])
            if row is not None
            else tuple(curve.median())
        )
        median = tuple(value if finite(value) else np.nan for value in median)
        if not any(finite(value) for value in median):
            shown[label] = "NR"
        else:
            shown[label] = format_interval(*median, digits=1, missing="NR")
    return shown


def _comparison(endpoint: str, contrast: pd.DataFrame | None) -> list[str]:
    """Lines with the hazard ratio and the log-rank test."""
    if contrast is None:
        return []
    found = contrast[contrast["endpoint"] == endpoint]
    if not len(found):
        return []
    row = found.iloc[0]
    lines = []
    if finite(row["hr"]):
        stratified = "Stratified HR" if finite(row["p_logrank_stratified"]) else "HR"
        lines.append(f"{stratified} {format_interval(row['hr'], row['hr_low'], row['hr_high'])}")
    if finite(row["p_logrank_stratified"]):
        lines.append(f"Stratified log-rank p {p_equals(row['p_logrank_stratified'])}")
    elif finite(row["p_logrank"]):
        lines.append(f"Log-rank p {p_equals(row['p_logrank'])}")
    return lines


def _draw_key(
    axes: Axes,
    curves: Mapping[str, KaplanMeier],
    styles: Mapping[str, ArmStyle],
    medians: Mapping[str, str],
    comparison: list[str],
    historical: pd.DataFrame | None,
) -> None:
    """Write what the lines are, the medians and the comparison, where they hide no curve.

    The upper right corner is free when survival falls, the lower left when it stays high. If neither is, the
    key goes above the panel.
    """
    from matplotlib.lines import Line2D

    handles, texts = [], []
    for label in curves:
        handles.append(Line2D([], [], color=styles[label].colour, linestyle=styles[label].line))
        name = "\n".join(wrap(label, 1.5, SMALL, lines=3))
        texts.append(f"{name}\nmedian {medians[label]} mo")
    if historical is not None:
        for label, values in historical.groupby("label", sort=False):
            line = {"linestyle": "-."} if len(values) > 1 else {"linestyle": "none", "marker": "D"}
            handles.append(Line2D([], [], color=PURPLE, markersize=4, **line))
            texts.append(shorten(str(label), 1.6, NORMAL))
    if comparison:
        handles.append(Line2D([], [], linestyle="none"))
        texts.append("\n".join(comparison))
    figure = axes.figure
    corners = [
        np.column_stack([_steps(c)["months"], _steps(c)["survival"]]) for c in curves.values()
    ]
    for corner in ("upper right", "lower left"):
        legend = axes.legend(handles, texts, loc=corner, fontsize=SMALL, labelspacing=0.5)
        box = legend.get_window_extent(figure.canvas.get_renderer())
        if not any(_crosses(axes, points, box) for points in corners):
            return
        legend.remove()
    room = axes.get_position().width * figure.get_size_inches()[0] - 0.3
    names = [*curves, *(historical["label"].unique() if historical is not None else [])]
    for i, label in enumerate(names):
        median = f"median {medians[label]} mo" if label in medians else ""
        whole = ", ".join(part for part in (str(label), median) if part)
        if text_width(whole, SMALL) > room:
            lines = [*wrap(str(label), room, SMALL, lines=3), median]
            whole = "\n".join(line for line in lines if line)
        texts[i] = whole
    if comparison:
        texts[-1] = ", ".join(comparison)
    legend = axes.legend(
        handles, texts, loc="lower left", bbox_to_anchor=(0, 1.0), fontsize=SMALL, labelspacing=0.3
    )
    extra = legend.get_window_extent(figure.canvas.get_renderer()).height / figure.dpi + 0.04
    _grow(figure, extra)


def _crosses(axes: Axes, corners: np.ndarray, box: Bbox) -> bool:
    """Whether a step curve passes through a box on the screen (with a little air around it)."""
    x = np.repeat(corners[:, 0], 2)[1:]
    y = np.repeat(corners[:, 1], 2)[:-1]
    screen = axes.transData.transform(np.column_stack([x, y]))
    air = 4
    left, right, low, high = box.x0 - air, box.x1 + air, box.y0 - air, box.y1 + air
    for (x0, y0), (x1, y1) in itertools.pairwise(screen):
        if (
            max(x0, x1) >= left
            and min(x0, x1) <= right
            and max(y0, y1) >= low
            and min(y0, y1) <= high
        ):
            return True
    return False


def _grow(figure: Figure, extra: float) -> None:
    """Make the figure taller by `extra` inches at the top, everything below staying where it is."""
    width, height = figure.get_size_inches()
    boxes = [(axes, axes.get_position()) for axes in figure.axes]
    figure.set_size_inches(width, height + extra)
    for axes, box in boxes:
        scale = height / (height + extra)
        axes.set_position((box.x0, box.y0 * scale, box.width, box.height * scale))
    for text in figure.texts:
        x, y = text.get_position()
        text.set_position((x, 1 - (1 - y) * height / (height + extra)))


def _caption(
    title: str,
    endpoint: str,
    cohort: Cohort,
    known: np.ndarray,
    arm: np.ndarray,
    curves: Mapping[str, KaplanMeier],
    medians: Mapping[str, str],
    contrast: pd.DataFrame | None,
    historical: pd.DataFrame | None,
    simulated: bool,
) -> str:
    counts = "; ".join(
        f"{rst_escape(label)}: {int((known & (arm == label)).sum())} subjects, "
        f"{int(np.sum(curve.events))} events, median {medians[label]} months"
        for label, curve in curves.items()
    )
    left_out = int((~known).sum())
    compared = ""
    if contrast is not None and cohort.randomised:
        found = contrast[contrast["endpoint"] == endpoint]
        if len(found):
            row = found.iloc[0]
            compared = (
                f"Hazard ratio (experimental over control) "
                f"{format_interval(row['hr'], row['hr_low'], row['hr_high'])}: Cox model"
                + (
                    " stratified as randomised"
                    if finite(row["p_logrank_stratified"])
                    else ", not stratified"
                )
                + f", Efron's ties, "
                f"95 % profile-likelihood limits; n = {format_number(row['n'], 0)}, "
                f"{format_number(row['events'], 0)} events. Two-sided log-rank p {p_equals(row['p_logrank'])}"
                + (
                    f", stratified {p_equals(row['p_logrank_stratified'])}."
                    if finite(row["p_logrank_stratified"])
                    else "."
                )
            )
    stated = ""
    if historical is not None and len(historical):
        labels = ", ".join(rst_escape(label) for label in historical["label"].unique())
        stated = f"Stated for comparison, not randomised against: {labels}."
    if _of_responders(cohort, endpoint):
        shown = (
            f"Only the {int(known.sum())} responders with a known duration are shown, counted from the first response; "
            f"the other {left_out} of {len(known)} subjects of the primary population have no response, or none whose "
            "duration is known."
        )
        if cohort.randomised:
            shown += " Responders are not randomised groups: the arms are not compared."
    elif left_out:
        shown = f"{left_out} of {len(known)} subjects of the primary population have no time or event and are not shown."
    else:
        shown = f"All {len(known)} subjects of the primary population are shown."
    return caption(
        title,
        f"{counts}.",
        shown,
        "Kaplan–Meier estimates with pointwise 95 % log-log bands; ticks are censored subjects. Below: subjects "
        "at risk just before the time (who had neither an event nor were censored earlier) and, in brackets, events "
        "before it; the rest were censored before it. Medians with Brookmeyer–Crowley 95 % limits (NR, not reached).",
        compared,
        stated,
        "The figure does not show why subjects were censored"
        + (", nor whether the hazard ratio is constant in time" if compared else "")
        + "; where few remain at risk the curves are not reliable.",
        simulated=simulated,
    )
