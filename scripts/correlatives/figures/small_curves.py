"""Small Kaplan–Meier panels, two pairs to a line of the page, with the numbers at risk below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from correlatives.figures.style import DIM, SMALL, month_ticks, place, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import LineStyleType

    from correlatives.survival.kaplan_meier import KaplanMeier

#: Inches: head with the key, a line of the risk table, and how far below a panel its first line is.
HEAD, RISK, BELOW = 0.36, 0.105, 0.21

#: Left edges of the four panels, and their width.
LEFTS, WIDTH = (0.42, 2.04, 4.04, 5.66), 1.42

#: What a step of a curve is in the source: at_risk just before, events and censored at the time.
STEP = ["months", "survival", "at_risk", "events", "censored"]


def write_key(
    page: Axes, handles: Sequence[Artist], names: Sequence[str], top: float, name: str, origin: str
) -> None:
    """Write what the lines mean, what the axes are (survival by name, months from where), and what is below them."""
    width, height = page.figure.get_size_inches()
    page.legend(
        handles,
        names,
        loc="upper left",
        bbox_to_anchor=(0.06 / width, (top - 0.02) / height),
        bbox_transform=page.figure.transFigure,
        ncols=len(handles),
        fontsize=SMALL,
        borderpad=0,
        columnspacing=1.2,
    )
    page.text(
        0.06,
        top - 0.18,
        f"{shorten(name, 3.0, SMALL)} (%) by months from {origin}; below, subjects at risk in that order",
        fontsize=SMALL,
        color=DIM,
        va="top",
    )


def panel(
    figure: Figure, left: float, bottom: float, height: float, longest: float, *, numbered: bool
) -> Axes:
    """Return the axes of a panel: months up to `longest`, survival in per cent, `numbered` where it is the first."""
    axes = place(figure, left, bottom, WIDTH, height)
    ticks = month_ticks(longest, most=6)
    axes.set_xlim(0, max(longest * 1.02, ticks[-1]))
    axes.set_ylim(0, 1.04)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=SMALL)
    axes.set_yticks([0, 0.5, 1], ["0", "50", "100"] if numbered else ["", "", ""], fontsize=SMALL)
    axes.tick_params(pad=1.5)
    return axes


def draw_curve(
    page: Axes,
    axes: Axes,
    curve: KaplanMeier,
    row: int,
    *,
    colour: str,
    line: LineStyleType,
    width: float,
) -> list[dict[str, Any]]:
    """Draw a curve with its censored times, and its numbers at risk in a row below; return its steps (``STEP``)."""
    months = np.append(0.0, curve.times)
    survival = np.append(1.0, curve.survival)
    if curve.n:
        axes.plot(
            months,
            survival,
            drawstyle="steps-post",
            color=colour,
            linestyle=line,
            linewidth=width,
            clip_on=False,
        )
        lost = np.append(False, curve.censored > 0)
        axes.plot(
            months[lost],
            survival[lost],
            linestyle="none",
            marker="|",
            markersize=3,
            markeredgewidth=0.4,
            color=colour,
        )
    for tick, number in zip(axes.get_xticks(), curve.at_risk_at(axes.get_xticks()), strict=True):
        write_below(page, axes, row, f"{int(number)}", colour, at=tick)
    counts = [
        np.append(first, rest)
        for first, rest in ((curve.n, curve.at_risk), (0, curve.events), (0, curve.censored))
    ]
    return [
        dict(zip(STEP, (months[i], survival[i], *(int(count[i]) for count in counts)), strict=True))
        for i in range(len(months))
    ]


def write_below(
    page: Axes, axes: Axes, row: int, words: str, colour: str, at: float | None = None
) -> None:
    """Write words in a row of a panel's risk table: centred on a month, or from where the panel begins."""
    box = axes.get_position()
    width, height = page.figure.get_size_inches()
    page.text(
        box.x0 * width + (0.0 if at is None else WIDTH * at / axes.get_xlim()[1]),
        box.y0 * height - BELOW - RISK * row,
        words,
        fontsize=SMALL,
        ha="left" if at is None else "center",
        va="center",
        color=colour,
    )
