"""A locked model as a nomogram: points of each input, and what their sum predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from correlatives.figures.style import (
    BLACK,
    DIM,
    DOUBLE,
    LARGE,
    NORMAL,
    RULE,
    SMALL,
    Drawn,
    canvas,
    caption,
    new_figure,
    no_data,
    rst_escape,
    shorten,
    styled,
    text_width,
    wrap,
)
from correlatives.response.points import (
    POINTS,
    nomogram,
    points_table,
    predicted,
    round_predictions,
    score_at,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Inputs drawn at most; the table has all of them.
MOST_ROWS = 22

#: Inches: height of a row, where scales begin, air at the right.
ROW, LEFT, RIGHT = 0.34, 1.95, 0.25

#: Air between two values of a scale, in inches.
AIR = 0.05


@styled
def draw(model: Mapping[str, Any], *, simulated: bool = False) -> Drawn:
    """Draw the nomogram of a locked model.

    Parameters
    ----------
    model : mapping
        As from ``read_locked``, or one that was refused.
    simulated : bool

    Returns
    -------
    Drawn
        Source: ``points_table``.
    """
    endpoint = str(model["endpoint"])
    title = f"{rst_escape(endpoint)}: points of the locked model."
    if model.get("refused"):
        why = str(model["refused"]).rstrip(".")
        return no_data(why, title=title, columns=POINTS, simulated=simulated, width=DOUBLE)
    survival = model["type"] == "time_to_event"
    what = (
        f"Risk until {model['horizon_months']:g} months" if survival else "Probability of response"
    )
    made = nomogram(model)
    highest = sum(float(scale.points.max()) for scale in made.scales)
    lowest, most = (
        float(end) for end in predicted(model, made.base + np.array([0.0, highest]) * made.a_point)
    )
    if not highest:
        why = f"no input of the locked model moves its prediction. {what}, of everybody: {100 * lowest:.0f} %"
        return no_data(why, title=title, columns=POINTS, simulated=simulated, width=DOUBLE)
    table = points_table(model)
    shown = made.scales[:MOST_ROWS]
    rows = len(shown) + 3
    figure, top = new_figure(DOUBLE, rows * ROW + 0.1, simulated=simulated)
    axes = canvas(figure)
    room = DOUBLE - LEFT - RIGHT
    widest = max(float(scale.points.max()) for scale in shown)

    def line(row: int) -> float:
        return top - 0.06 - (row + 0.45) * ROW

    _scale(
        axes,
        line(0),
        "Points",
        np.arange(0, 101, 10) * room / widest,
        [str(value) for value in range(0, 101, 10)],
        weight="bold",
    )
    for row, scale in enumerate(shown, start=1):
        _scale(
            axes,
            line(row),
            scale.label,
            scale.points * room / widest,
            scale.worded,
            missing=scale.missing * room / widest,
            levels=scale.levels,
        )
    step = next(s for s in (10, 20, 25, 50, 100, 200, 250, 500) if highest / s <= 12)
    totals = np.arange(0, highest + 1e-9, step)
    row = len(shown) + 1
    axes.plot([LEFT, LEFT + room], [line(row - 1) - ROW * 0.62] * 2, color=RULE, linewidth=0.4)
    _scale(
        axes,
        line(row),
        "Total points",
        totals * room / highest,
        [f"{value:g}" for value in totals],
        weight="bold",
        end=room,
    )
    wanted = round_predictions(lowest, most)
    points = (np.array([score_at(model, each) for each in wanted]) - made.base) / made.a_point
    _scale(
        axes,
        line(row + 1),
        f"{what} (%)",
        points * room / highest,
        [f"{100 * each:.4g}" for each in wanted],
        weight="bold",
        end=room,
    )
    left_out = len(made.scales) - len(shown)
    freeze = model["data_freeze"]
    return Drawn(
        figure,
        table,
        caption(
            title,
            f"{freeze['subjects']} subjects, {freeze['events']} {'events' if survival else 'responders'}; "
            f"{len(made.scales)} {'input' if len(made.scales) == 1 else 'inputs'}. Every value has its points on the scale at the top; their sum is read at total "
            "points, and the prediction below it. Scales end where the training subjects' values did; circles are the "
            "points of a missing value; scales too short for their levels, or for the ends of their range, have "
            "points in words.",
            f"{left_out} inputs that move the prediction least are left out of the figure: add their points from "
            "the table."
            if left_out
            else "",
            *(rst_escape(said) for said in model["intended_use"] if said.startswith("Warning")),
            "The figure does not show how sure the points are, nor that an input causes anything: a penalised model shares "
            "one effect among inputs that go together.",
            simulated=simulated,
        ),
    )


def _scale(
    axes: Axes,
    y: float,
    label: str,
    places: np.ndarray,
    values: Sequence[str],
    *,
    weight: str = "normal",
    end: float | None = None,
    missing: float | None = None,
    levels: bool = False,
) -> None:
    """Draw one scale: a line with ticks, and as many of its values as fit, the ends first.

    Where not even both ends fit, or not every level of an input that has levels, their points stand in words beside the
    line, or below it where there is no room.
    """
    lines = wrap(label, LEFT - 0.2, NORMAL, weight=weight)
    axes.text(
        LEFT - 0.12,
        y,
        "\n".join(lines),
        ha="right",
        va="center",
        fontsize=LARGE if weight == "bold" else NORMAL,
        fontweight=weight,
        linespacing=1.1,
    )
    if not len(places):
        return
    # words at the same place are read as one
    at_place = {
        place: " / ".join(v for p, v in zip(places, values, strict=True) if p == place)
        for place in dict.fromkeys(places)
    }
    places, values = list(at_place), list(at_place.values())
    x = LEFT + np.asarray(places, dtype=float)
    first, last = (float(x.min()), float(x.max())) if end is None else (LEFT, LEFT + end)
    axes.plot([first, last], [y, y], color=BLACK, linewidth=0.6, solid_capstyle="butt")
    axes.vlines(x, y, y + 0.035, color=BLACK, linewidth=0.5)
    if missing is not None:
        axes.plot(
            LEFT + missing, y, "o", markersize=3.2, markerfacecolor="white", color=BLACK, mew=0.6
        )
    ends = list(dict.fromkeys([int(np.argmin(x)), int(np.argmax(x))]))
    needed = list(range(len(x))) if levels else ends
    short = [shorten(value, 1.5, SMALL) for value in values]
    wide = [text_width(value, SMALL) + AIR for value in short]
    # The ends of a range need room where they are; a level stays clear of the input's name.
    crowded = len(ends) > 1 and x[ends[1]] - x[ends[0]] < (wide[ends[0]] + wide[ends[1]]) / 2
    taken: dict[int, tuple[float, float]] = {}
    for index in dict.fromkeys([*ends, *range(len(x))]):
        at = max(x[index], LEFT - 0.08 + wide[index] / 2)
        low, high = at - wide[index] / 2, at + wide[index] / 2
        if not any(low < b and high > a for a, b in taken.values()):
            taken[index] = (low, high)
    cut = levels and any(short[index] != values[index] for index in needed)
    if end is None and (crowded or cut or not set(needed) <= set(taken)):
        scale = (DOUBLE - LEFT - RIGHT) / 100
        words = "; ".join(f"{values[k]}: {(x[k] - LEFT) / scale:.0f}" for k in needed)
        beside = max(float(x.max()), LEFT + (missing or 0.0)) + 0.12
        lines = wrap(words, max(DOUBLE - 0.05 - beside, 0.0), SMALL)
        fits = " ".join(lines) == words
        axes.text(
            beside if fits else LEFT - 0.08,
            y if fits else y - 0.03,
            "\n".join(lines if fits else wrap(words, DOUBLE - 0.05 - LEFT, SMALL)),
            ha="left",
            va="center" if fits else "top",
            fontsize=SMALL,
            color=DIM,
            linespacing=1.1,
        )
        return
    for index, (low, high) in taken.items():
        axes.text(
            (low + high) / 2,
            y - 0.03,
            short[index],
            ha="center",
            va="top",
            fontsize=SMALL,
            color=BLACK if weight == "bold" else DIM,
        )
