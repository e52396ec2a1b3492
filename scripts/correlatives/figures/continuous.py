"""Treatment effect along continuous markers: spline and line beside sliding windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from correlatives.figures.courses import round_numbers
from correlatives.figures.markers import MEASURES, Labels, label_of
from correlatives.figures.style import (
    BLACK,
    DIM,
    DOUBLE,
    GREEN,
    LARGE,
    ORANGE,
    PURPLE,
    RULE,
    SMALL,
    Drawn,
    canvas,
    caption,
    finite,
    log_ticks,
    new_figure,
    no_data,
    p_equals,
    place,
    ratio_axis,
    ratio_limits,
    rst_escape,
    shorten,
    styled,
    wrap,
)
from correlatives.predictive.continuous import COLUMNS, analysis_scale, own_scale

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

#: Inches of a row of panels, of the panels in it, and of the head with the key.
ROW = 1.06
PANEL = 0.6
HEAD = 0.42

#: What the caption says where a marker has such values.
BEYOND = (
    "Green ticks, set higher: values beyond a limit of quantification, at the number that stands for them (the limit over √2, or what a "
    "normal distribution fitted to all values expects); there lines and windows rest on a model of the marker, not on measurements. "
)

#: Panels: left edges and widths in inches.
SPLINE_LEFT, STEPP_LEFT, PANEL_WIDTH = 1.78, 4.66, 2.42


@styled
def draw(
    table: pd.DataFrame,
    endpoint: str,
    *,
    arms: Mapping[str, str],
    values: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]] | None = None,
    labels: Labels | None = None,
    tested: int | None = None,
    simulated: bool = False,
) -> Drawn:
    """Draw the treatment effect along each marker, a row a marker.

    Parameters
    ----------
    table : pd.DataFrame
        ``predictive/continuous_{endpoint}.tsv``.
    endpoint : str
    arms : mapping
        ``{"control": label, "experimental": label}``.
    values : mapping, optional
        (Biomarker, specimen) -> values of the subjects analysed, on the marker's own scale, measured ones and
        those beyond a limit of quantification: drawn as a rug.
    labels : mapping, optional
        Biomarker, or (biomarker, specimen), -> the label of the dictionary.
    tested : int, optional
        Continuous markers among which those of the table were picked.
    simulated : bool

    Returns
    -------
    Drawn
        Source: the table, and the rug's values (analysis ``value``, ``value_beyond_limit``).
    """
    title = f"{rst_escape(endpoint)}: treatment effect along continuous markers."
    if not len(table):
        return no_data(
            f"no continuous marker could be analysed for {endpoint}",
            title=title,
            columns=COLUMNS,
            simulated=simulated,
        )
    words, short, model = MEASURES.get(
        str(table["effect_measure"].iloc[0]), MEASURES["hazard_ratio"]
    )
    parts = [part for _, part in table.groupby(["biomarker", "specimen", "timepoint"], sort=False)]
    figure, top = new_figure(DOUBLE, HEAD + ROW * len(parts), simulated=simulated)
    page = canvas(figure)
    _draw_key(page, top, short, arms)
    rug_rows, beyond = [], []
    for i, part in enumerate(parts):
        bottom = top - HEAD - ROW * (i + 1) + (ROW - PANEL) - 0.08
        line = part.iloc[0]
        nobody = (np.zeros(0), np.zeros(0))
        rug = (values or {}).get((str(line["biomarker"]), str(line["specimen"])), nobody)
        rug_rows += [
            pd.DataFrame({"value": np.sort(ticks)}).assign(
                analysis=analysis,
                **{c: line[c] for c in ("biomarker", "specimen", "timepoint", "family")},
            )
            for analysis, ticks in zip(("value", "value_beyond_limit"), rug, strict=True)
        ]
        beyond.append(len(rug[1]))
        _write_name(page, part, labels, bottom + PANEL, beyond[-1])
        _draw_row(figure, part, rug, bottom, short)
    source = pd.concat([table, *rug_rows], ignore_index=True).reindex(columns=COLUMNS)
    windows = table[table["analysis"].eq("stepp") & table["value"].notna()]
    confirmatory = int(sum(part["family"].iloc[0] == "confirmatory" for part in parts))
    of = f" of {tested}" if tested is not None else ""
    good = "below" if short == "HR" else "above"
    sizes = _window_sizes(windows)
    subjects = [int(part["n"].iloc[0]) for part in parts]
    events = [int(part["events"].iloc[0]) for part in parts]
    return Drawn(
        figure,
        source,
        caption(
            title,
            f"{len(parts)}{of} continuous markers ({confirmatory} confirmatory): the confirmatory ones by "
            "randomisation p of the interaction, then exploratory ones by the same, until the page is full. "
            f"{min(subjects)}–{max(subjects)} subjects with a value and {min(events)}–{max(events)} events a marker; "
            "the numbers stand under each name.",
            f"{words.capitalize()} ({good} 1 the experimental arm does better) of "
            f"{rst_escape(arms['experimental'])} over {rst_escape(arms['control'])} ({model}). Left: restricted cubic "
            "spline with knots at the 10th, 50th and 90th percentile, pointwise 95 % band (Wald, joint covariance), and "
            "the straight line of the main table, between the 5th and the 95th percentile; ticks below are subjects. "
            f"{BEYOND if any(beyond) else ''}Dotted: the cut of the dictionary, where there is one. p: likelihood-ratio test that the interaction is not "
            "linear, for comparison only.",
            f"Right: sliding windows (STEPP), {sizes}: estimate at each window's median with 95 % profile limits, the "
            "horizontal bar spans the window. p: randomisation test with the windows as one family. The triangle is the "
            "cut at which arms differ most, with a 95 % bootstrap interval, and its p is corrected for having been "
            "chosen among all cuts between the 10th and the 90th percentile: exploratory, never a cut to use.",
            "Neighbouring windows share most of their subjects: they are not independent findings. p-values are "
            "not adjusted for the number of markers. The figure does not show that an effect changes where its bands "
            "overlap, nor anything beyond the range drawn. Exploratory markers were picked for their small p and overstate "
            "their effects.",
            simulated=simulated,
        ),
    )


def _window_sizes(windows: pd.DataFrame) -> str:
    """Return how many subjects the windows have, and by which rule they were made, that their methods name."""
    rule = windows["method"].astype(str).str.extract(r"at least (\d+) that share at most (\d+)")
    if rule.isna().all(axis=None):
        return "windows"
    least, shared, own = (
        f"{sizes.min()}" if sizes.min() == sizes.max() else f"{sizes.min()} to {sizes.max()}"
        for sizes in (
            *(rule[column].dropna().astype(int) for column in rule),
            windows["n"].astype(int),
        )
    )
    return f"windows of {own} subjects (at least {least} that share at most {shared} with the next; equal values are not parted)"


def _draw_key(page: Axes, top: float, short: str, arms: Mapping[str, str]) -> None:
    """Write what the panels and the marks are."""
    name = {"HR": "Hazard ratio", "OR": "Odds ratio"}[short]
    comparison = shorten(
        f"{name} (logarithmic), {arms['experimental']} v {arms['control']}",
        DOUBLE - SPLINE_LEFT - 0.05,
        LARGE,
    )
    page.text(SPLINE_LEFT, top - 0.06, comparison, fontsize=LARGE, va="top")
    handles = [
        Line2D([], [], color=BLACK, linewidth=1.2),
        Patch(color=PURPLE, alpha=0.25, linewidth=0),
        Line2D([], [], color=DIM, linewidth=0.8, linestyle=(0, (4, 2))),
        Line2D([], [], color=ORANGE, linewidth=1.0, linestyle=(0, (1, 1))),
        Line2D([], [], color=BLACK, marker="o", markersize=3, linewidth=0.6),
        Line2D([], [], color=ORANGE, marker="^", markersize=3.5, linewidth=0.8),
    ]
    names = [
        "spline",
        "95 % band",
        "straight line",
        "prespecified cut",
        "window, 95 % limits",
        "selected cut (exploratory)",
    ]
    width, height = page.figure.get_size_inches()
    page.legend(
        handles,
        names,
        loc="upper left",
        bbox_to_anchor=(SPLINE_LEFT / width, (top - 0.2) / height),
        bbox_transform=page.figure.transFigure,
        ncols=6,
        fontsize=SMALL,
        columnspacing=1.0,
        handlelength=1.5,
        handletextpad=0.4,
        borderpad=0,
    )


def _write_name(
    page: Axes, part: pd.DataFrame, labels: Labels | None, top: float, beyond: int
) -> None:
    """Write the marker's name, where it was measured, and its numbers."""
    line = part.iloc[0]
    room = SPLINE_LEFT - 0.44
    place_ = f"{line['specimen']}, {line['timepoint']}".replace("_", " ")
    lines = [
        *((text, LARGE, BLACK) for text in wrap(label_of(line, labels), room, LARGE)),
        (place_, SMALL, DIM),
        (str(line["family"]), SMALL, DIM),
        (f"{int(line['events'])} / {int(line['n'])} events / subjects", SMALL, DIM),
        *([(f"{beyond} beyond a limit", SMALL, GREEN)] if beyond else []),
    ]
    for i, (text, size, colour) in enumerate(lines):
        page.text(
            0.06,
            top + 0.05 - 0.125 * i,
            shorten(text, room, size),
            fontsize=size,
            color=colour,
            va="top",
        )


def _draw_row(
    figure: object,
    part: pd.DataFrame,
    rug: tuple[np.ndarray, np.ndarray],
    bottom: float,
    short: str,
) -> None:
    """Draw a marker's two panels on one pair of axes' limits."""
    transform = part["transform"].iloc[0]
    smooth = part[part["analysis"].eq("spline")]
    line = part[part["analysis"].eq("linear")]
    windows = part[part["analysis"].eq("stepp") & part["value"].notna()]
    shown = [*line["effect"], *smooth["effect"], *windows["effect"]]
    lows = [*smooth["effect_low"], *windows["effect_low"]]
    highs = [*smooth["effect_high"], *windows["effect_high"]]
    low, high = ratio_limits(shown, lows, highs)
    x = analysis_scale(line["value"].to_numpy(dtype=float), transform)
    first, last = float(x.min()), float(x.max())
    margin = 0.04 * (last - first) or 0.5
    unit = part["unit"].iloc[0]
    unit = "" if pd.isna(unit) else str(unit)
    # An axis without a word would be taken for an omission.
    unit = unit or "value (its unit is not given)"
    panels = []
    for left in (SPLINE_LEFT, STEPP_LEFT):
        axes = place(figure, left, bottom, PANEL_WIDTH, PANEL)
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        axes.set_xlim(first - margin, last + margin)
        ratio_axis(axes.yaxis, low, high, most=4)
        axes.axhline(1, color=RULE, linewidth=0.6, zorder=0)
        _own_ticks(axes, transform, first, last)
        axes.set_xlabel(shorten(unit, PANEL_WIDTH, SMALL), fontsize=SMALL, labelpad=1.0)
        panels.append(axes)
    left, right = panels
    band = np.isfinite(smooth["effect_low"]) & np.isfinite(smooth["effect_high"])
    at = analysis_scale(smooth["value"].to_numpy(dtype=float), transform)
    left.fill_between(
        at[band],
        np.clip(smooth["effect_low"][band], low / 10, high * 10),
        np.clip(smooth["effect_high"][band], low / 10, high * 10),
        color=PURPLE,
        alpha=0.25,
        linewidth=0,
    )
    left.plot(at, smooth["effect"], color=BLACK, linewidth=1.2)
    left.plot(x, line["effect"], color=DIM, linewidth=0.8, linestyle=(0, (4, 2)))
    for ticks, colour, height in zip(rug, (BLACK, GREEN), (0.03, 0.11), strict=True):
        inside = analysis_scale(ticks, transform)
        inside = inside[(inside >= first - margin) & (inside <= last + margin)]
        left.plot(
            inside,
            np.full(len(inside), height),
            transform=left.get_xaxis_transform(),
            linestyle="none",
            marker="|",
            markersize=3.2,
            markeredgewidth=0.35,
            color=colour,
            alpha=0.6,
        )
    for cut in part.loc[part["analysis"].eq("prespecified_cut"), "value"]:
        position = float(analysis_scale(cut, transform))
        for axes in panels:
            axes.axvline(position, color=ORANGE, linewidth=1.0, linestyle=(0, (1, 1)), zorder=0.5)
    if not smooth["effect"].notna().any():
        _say(left, str(smooth["note"].iloc[0]))
    _above(left, "Not linear: p", smooth["p_nonlinear_interaction_lrt"])
    _draw_windows(right, windows, transform, low, high)
    _draw_selected(right, part[part["analysis"].eq("selected_cut")], transform)
    stepp = part.loc[part["analysis"].eq("stepp"), "p_stepp_randomisation"]
    chosen = part.loc[part["analysis"].eq("selected_cut"), "p_maximally_selected_randomisation"]
    _above(right, "STEPP: p", stepp, "selected cut: p", chosen)
    if not len(windows):
        _say(right, str(part.loc[part["analysis"].eq("stepp"), "note"].iloc[0]))


def _draw_windows(
    axes: Axes, windows: pd.DataFrame, transform: str, low: float, high: float
) -> None:
    """Draw the windows: estimate at the median, limits upwards, extent across."""
    middle, start, end = (
        analysis_scale(windows[column].to_numpy(dtype=float), transform)
        for column in ("value", "value_low", "value_high")
    )
    for i, (_, row) in enumerate(windows.iterrows()):
        if not finite(row["effect"]):
            continue
        axes.plot([start[i], end[i]], [row["effect"]] * 2, color=RULE, linewidth=0.5, zorder=1)
        below = row["effect_low"] if finite(row["effect_low"]) else low / 10
        above = row["effect_high"] if finite(row["effect_high"]) else high * 10
        axes.plot([middle[i]] * 2, [below, above], color=BLACK, linewidth=0.6, zorder=2)
    axes.plot(
        middle, windows["effect"], linestyle="none", marker="o", markersize=3, color=BLACK, zorder=3
    )


def _draw_selected(axes: Axes, rows: pd.DataFrame, transform: str) -> None:
    """Draw the selected cut and its interval at the foot of the panel."""
    for _, row in rows[rows["value"].notna()].iterrows():
        cut, low, high = (
            float(analysis_scale(row[column], transform))
            for column in ("value", "value_low", "value_high")
        )
        foot = axes.get_xaxis_transform()
        axes.plot([low, high], [0.06, 0.06], transform=foot, color=ORANGE, linewidth=0.8)
        axes.plot([cut], [0.06], transform=foot, color=ORANGE, marker="^", markersize=3.5)


def _own_ticks(axes: Axes, transform: str, first: float, last: float) -> None:
    """Mark the axis in the marker's own unit."""
    if transform in ("log2", "log10"):
        low, high = own_scale(np.array([first, last]), transform)
        ticks = np.array(log_ticks(float(low), float(high), 6), dtype=float)
    elif transform in ("sqrt", "logit"):
        # Equal steps would leave the lower half without a number.
        ticks = np.array(round_numbers(transform, first, last), dtype=float)
    else:
        low, high = own_scale(np.array([first, last]), transform)
        ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
        ticks = ticks[(ticks >= low) & (ticks <= high)]
    axes.xaxis.set_major_locator(FixedLocator(analysis_scale(ticks, transform)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(
        FuncFormatter(
            lambda value, _: f"{float(f'{float(own_scale(value, transform)):.3g}'):g}".replace(
                "-", "−"
            )
        )
    )
    axes.tick_params(labelsize=SMALL, pad=1.5)


def _above(axes: Axes, *pieces: object) -> None:
    """Write p-values over a panel: words, and the column that holds the p in every row."""
    texts = []
    for words, column in zip(pieces[::2], pieces[1::2], strict=True):
        known = column.dropna()
        if len(known):
            shown = p_equals(known.iloc[0])
            texts.append(f"{words} {shown}")
    axes.text(
        1.0,
        1.02,
        ", ".join(texts),
        transform=axes.transAxes,
        ha="right",
        va="bottom",
        fontsize=SMALL,
    )


def _say(axes: Axes, why: str) -> None:
    """Write into an empty panel why it is empty."""
    axes.text(
        0.5,
        0.5,
        shorten(why, PANEL_WIDTH - 0.1, SMALL),
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=SMALL,
        color=DIM,
    )
