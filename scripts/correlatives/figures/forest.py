"""Tables with intervals drawn in their rows: what every forest plot here is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from correlatives.figures.style import (
    BLACK,
    DIM,
    DOUBLE,
    NORMAL,
    POINT,
    RULE,
    SHADE,
    SMALL,
    TALLEST,
    canvas,
    finite,
    new_figure,
    place,
    ratio_axis,
    ratio_limits,
    shorten,
    text_width,
    wrap,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Inches: margin of the figure, space between columns, a line of text, air above and below a row's text.
MARGIN = 0.06
GAP = 0.09
LINE = 0.125
AIR = 0.045
INDENT = 0.10

#: The narrowest a drawing may become before text gives way, in inches.
NARROWEST = 0.9

#: Behind every second row.
ZEBRA = "#F4F4F4"


class Column(NamedTuple):
    """A column of text: its title, alignment (left, right, center) and greatest width in inches."""

    title: str
    align: str = "center"
    room: float = 1.2


class Plot(NamedTuple):
    """A column in which intervals are drawn.

    ``label`` stands under the axis, ``left`` and ``right`` under its two sides, beside the reference: the first
    of their wordings that fits in two lines.
    ``limits`` are the axis's ends; without them they follow from what is drawn.
    """

    title: str
    label: str = ""
    reference: float | None = 1.0
    logarithmic: bool = True
    left: Sequence[str] = ()
    right: Sequence[str] = ()
    limits: tuple[float, float] | None = None
    percent: bool = False
    weight: float = 1.0


class Mark(NamedTuple):
    """An estimate with its limits. ``offset`` is in lines from the row's middle, downwards."""

    estimate: float
    low: float
    high: float
    colour: str = BLACK
    marker: str = "s"
    filled: bool = True
    offset: float = 0.0
    size: float = 3.6


class Band(NamedTuple):
    """A stretch of the axis shaded behind a row's marks."""

    low: float
    high: float


class Pair(NamedTuple):
    """Two numbers, one under the other, as the two marks of their row are, the upper one grey; `brief` where a row has one line."""

    upper: str
    lower: str
    brief: str


#: Text in one line, or a line and smaller detail under it, or two lines of one size.
Cell = str | tuple[str, str] | Pair


class Row(NamedTuple):
    """A row: a cell for every Column and marks (and bands) for every Plot, in order; or a heading."""

    cells: Sequence[Cell]
    marks: Sequence[Sequence[Mark | Band]] = ()
    heading: bool = False
    bold: bool = False
    indent: bool = False


class Laid(NamedTuple):
    """What was drawn where: the figure, its drawings, and the rows' edges in inches from the top down."""

    figure: Figure
    axes: list[Axes]
    edges: np.ndarray
    lefts: list[float]


def lay_out(
    columns: Sequence[Column | Plot],
    rows: Sequence[Row],
    *,
    simulated: bool,
    width: float = DOUBLE,
    key: Sequence[tuple[str, Mark]] = (),
) -> Laid:
    """Draw the rows under the columns' titles.

    Text columns are as wide as their text (up to their ``room``), drawings share what is left. Text that does
    not fit is broken, then shortened: the first column gives way first.

    Parameters
    ----------
    columns : sequence of Column and Plot
        From left to right; the first is a Column, with the rows' names.
    rows : sequence of Row
    simulated : bool
    width : float
        Inches.
    key : sequence of (str, Mark)
        What the marks mean, in a line under the table.
    """
    widths = _column_widths(columns, rows, width)
    lefts = [MARGIN]
    for w in widths[:-1]:
        lefts.append(lefts[-1] + w + GAP)
    titles = [
        wrap(
            column.title,
            w + (GAP * 0.5 if isinstance(column, Column) else 0),
            NORMAL,
            lines=4,
            weight="bold",
        )
        for column, w in zip(columns, widths, strict=True)
    ]
    # Long names take two lines where the page has room for them, and two more for their detail.
    for most, names, air in ((2, 2, AIR), (2, 1, AIR), (1, 1, AIR), (1, 1, 0.005)):
        texts = [_broken(row, columns, widths, most, names) for row in rows]
        heights = [max(map(len, cells), default=1) * LINE + 2 * air for cells in texts]
        if sum(heights) < TALLEST - 1.25:
            break
    head = max(len(lines) for lines in titles) * LINE + 0.08
    plots = [column for column in columns if isinstance(column, Plot)]
    foot = 0.22 if plots else 0.05
    foot += 0.15 if any(plot.label for plot in plots) else 0
    foot += 0.24 if any(plot.left or plot.right for plot in plots) else 0
    foot += 0.18 if key else 0
    body = sum(heights)
    figure, top = new_figure(width, head + body + foot + 0.04, simulated=simulated)
    page = canvas(figure)
    start = top - head

    for lines, column, left, w in zip(titles, columns, lefts, widths, strict=True):
        x, align = _anchor(column, left, w)
        for i, line in enumerate(reversed(lines)):
            page.text(
                x,
                start + 0.05 + i * LINE,
                line,
                ha=align,
                va="bottom",
                fontsize=NORMAL,
                fontweight="bold",
            )
    page.plot([MARGIN, width - MARGIN], [start, start], color=BLACK, linewidth=0.6)

    edges = start - np.concatenate([[0.0], np.cumsum(heights)])
    shaded = False
    for row, cells, high, low in zip(rows, texts, edges[:-1], edges[1:], strict=True):
        shaded = not shaded and not row.heading
        if shaded:
            page.axhspan(
                low,
                high,
                xmin=MARGIN / width,
                xmax=1 - MARGIN / width,
                facecolor=ZEBRA,
                linewidth=0,
                zorder=-5,
            )
        _write_row(page, row, cells, columns, lefts, widths, (high + low) / 2)
    axes = []
    order = 0
    for column, left, w in zip(columns, lefts, widths, strict=True):
        if isinstance(column, Plot):
            axes.append(
                _draw_plot(figure, column, rows, order, edges, left, w, float(edges[-1]), body)
            )
            order += 1
    if key:
        _write_key(page, key, width)
    drawings = [x for x, column in zip(lefts, columns, strict=True) if isinstance(column, Plot)]
    return Laid(figure, axes, edges, drawings)


def draw_reference(
    axes: Axes,
    value: float,
    rows: Sequence[Row],
    edges: np.ndarray,
    left: float,
    **style: Any,  # noqa: ANN401
) -> None:
    """Draw a vertical line through the rows, but not through headings that reach this far."""
    for row, high, low in zip(rows, edges[:-1], edges[1:], strict=True):
        if row.heading and MARGIN + text_width(str(row.cells[0]), NORMAL, "bold") > left:
            continue
        axes.plot([value, value], [low, high], zorder=0, solid_capstyle="butt", **style)


def _column_widths(
    columns: Sequence[Column | Plot], rows: Sequence[Row], width: float
) -> list[float]:
    """Widths in inches: text as wide as it needs, drawings share the rest."""
    widths = []
    order = 0
    for column in columns:
        if isinstance(column, Plot):
            widths.append(0.0)
            continue
        longest = max(
            (text_width(word, NORMAL, "bold") for word in column.title.split()), default=0
        )
        for row in rows:
            if row.heading:
                continue
            cell = row.cells[order]
            if isinstance(cell, str):
                parts: tuple[tuple[str, float], ...] = ((cell, NORMAL),)
            else:
                first = SMALL if isinstance(cell, Pair) else NORMAL
                parts = ((cell[0], first), (cell[1], SMALL))
            weight = "bold" if row.bold and order == 0 else "normal"
            longest = max(
                longest,
                *(
                    text_width(text, size, weight) + (INDENT if row.indent and order == 0 else 0)
                    for text, size in parts
                ),
            )
        # A title takes three lines at most.
        longest = max(longest, text_width(column.title, NORMAL, "bold") / 2.6)
        widths.append(min(longest + 0.02, max(column.room, 0.2)))
        order += 1
    plots = [i for i, column in enumerate(columns) if isinstance(column, Plot)]
    space = width - 2 * MARGIN - GAP * (len(columns) - 1) - sum(widths)
    # The last number of an axis reaches beyond the axis.
    space -= GAP if isinstance(columns[-1], Plot) else 0
    lacking = NARROWEST * len(plots) - space
    if plots and lacking > 0:
        given = min(lacking, max(widths[0] - 0.9, 0))
        widths[0] -= given
        space += given
    total = sum(columns[i].weight for i in plots)  # type: ignore[union-attr]
    for i in plots:
        widths[i] = max(space, 0.4 * len(plots)) * columns[i].weight / total  # type: ignore[union-attr]
    if not plots and space > 0:
        widths[0] += space
    return widths


def _anchor(column: Column | Plot, left: float, width: float) -> tuple[float, str]:
    """Where a column's text is fixed, and by which end."""
    align = column.align if isinstance(column, Column) else "center"
    return {
        "left": (left, "left"),
        "right": (left + width, "right"),
        "center": (left + width / 2, "center"),
    }[align]


def _broken(
    row: Row, columns: Sequence[Column | Plot], widths: Sequence[float], most: int, names: int
) -> list[list[tuple[str, float, str]]]:
    """Every cell's lines (text, size, colour): at most `most` of a text, `names` of a row's name and its detail each."""
    if row.heading:
        room = sum(widths) + GAP * (len(widths) - 1)
        return [[(shorten(str(row.cells[0]), room, NORMAL, "bold"), NORMAL, BLACK)]]
    rooms = [w for column, w in zip(columns, widths, strict=True) if isinstance(column, Column)]
    out = []
    for order, (cell, room) in enumerate(zip(row.cells, rooms, strict=True)):
        weight = "bold" if row.bold and order == 0 else "normal"
        room = room - (INDENT if row.indent and order == 0 else 0)
        if isinstance(cell, Pair):
            lines = [(cell.upper, DIM), (cell.lower, BLACK)] if most > 1 else [(cell.brief, BLACK)]
            out.append(
                [(shorten(text, room + 0.01, SMALL), SMALL, colour) for text, colour in lines]
            )
            continue
        if most == 1 and not isinstance(cell, str):
            # Without room for two lines, names keep their detail and numbers lose it.
            cell = "; ".join(part for part in cell if part) if order == 0 else cell[0]
        if isinstance(cell, str):
            lines = wrap(cell, room + 0.01, NORMAL, lines=most, weight=weight)
            out.append([(line, NORMAL, BLACK) for line in lines])
        else:
            each = names if order == 0 else 1
            main = wrap(cell[0], room + 0.01, NORMAL, lines=each, weight=weight)
            detail = wrap(cell[1], room + 0.01, SMALL, lines=each)
            out.append(
                [(line, NORMAL, BLACK) for line in main] + [(line, SMALL, DIM) for line in detail]
            )
    return out


def _write_row(
    page: Axes,
    row: Row,
    cells: Sequence[Sequence[tuple[str, float, str]]],
    columns: Sequence[Column | Plot],
    lefts: Sequence[float],
    widths: Sequence[float],
    middle: float,
) -> None:
    """Write a row's text."""
    if row.heading:
        page.text(lefts[0], middle, cells[0][0][0], va="center", fontsize=NORMAL, fontweight="bold")
        return
    order = 0
    for column, left, width in zip(columns, lefts, widths, strict=True):
        if isinstance(column, Plot):
            continue
        x, align = _anchor(column, left, width)
        x += INDENT if row.indent and order == 0 else 0
        lines = cells[order]
        for i, (text, size, colour) in enumerate(lines):
            y = middle + ((len(lines) - 1) / 2 - i) * LINE
            page.text(
                x,
                y,
                text,
                ha=align,
                va="center_baseline",
                fontsize=size,
                color=colour,
                fontweight="bold" if row.bold and order == 0 and i == 0 else "normal",
            )
        order += 1


def _draw_plot(
    figure: Figure,
    plot: Plot,
    rows: Sequence[Row],
    order: int,
    edges: np.ndarray,
    left: float,
    width: float,
    bottom: float,
    height: float,
) -> Axes:
    """Draw one column of intervals; its vertical coordinate is inches on the page."""
    axes = place(figure, left, bottom, width, height)
    axes.set_facecolor("none")
    axes.set_ylim(bottom, bottom + height)
    drawn = [
        (mark, (high + low) / 2, min(LINE, 0.45 * (high - low)))
        for row, high, low in zip(rows, edges[:-1], edges[1:], strict=True)
        if not row.heading
        for mark in row.marks[order]
    ]
    marks = [mark for mark, _, _ in drawn if isinstance(mark, Mark)]
    ends = plot.limits or _limits(plot, marks)
    if plot.logarithmic:
        axes.set_xscale("log")
    axes.set_xlim(*ends)
    if plot.logarithmic:
        ratio_axis(axes.xaxis, *ends, most=max(2, int(width / 0.26)))
    else:
        axes.xaxis.set_major_locator(
            MaxNLocator(max(2, int(width / 0.3)), steps=[1, 2, 2.5, 5, 10])
        )
        scale = 100 if plot.percent else 1
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value * scale:g}".replace("-", "−"))
        )
        ticks = [
            t for t in axes.xaxis.get_major_locator().tick_values(*ends) if ends[0] <= t <= ends[1]
        ]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if plot.reference is not None:
        draw_reference(axes, plot.reference, rows, edges, left, color=RULE, linewidth=0.6)
    for mark, middle, line in drawn:
        if isinstance(mark, Band):
            _draw_band(axes, mark, middle, 0.75 * line, ends)
        else:
            _draw_mark(axes, mark, middle - mark.offset * line, ends)
    below = bottom - 0.22
    page = figure.axes[0]
    if plot.label:
        below -= 0.13
        page.text(left + width / 2, below, plot.label, ha="center", va="bottom", fontsize=NORMAL)
    if (plot.left or plot.right) and plot.reference is not None:
        below -= 0.14
        x = figure.transFigure.inverted().transform(
            axes.transData.transform((plot.reference, bottom))
        )[0]
        x *= figure.get_size_inches()[0]
        rooms = [x - left - 0.05 + GAP / 2, left + width - x - 0.05 + GAP / 2]
        for lines, sign, align in zip(
            _fitting((plot.left, plot.right), rooms), (-1, 1), ("right", "left"), strict=True
        ):
            # On one baseline, whatever the letters: two texts side by side.
            for i, line in enumerate(lines):
                page.text(
                    x + sign * 0.05,
                    below + 0.035 - i * 1.16 * SMALL * POINT,
                    line,
                    ha=align,
                    va="baseline",
                    fontsize=SMALL,
                    color=DIM,
                )
    return axes


def _fitting(sides: Sequence[Sequence[str]], rooms: Sequence[float]) -> list[list[str]]:
    """Return the first wordings of which both sides fit in two lines, broken; nothing if none do."""
    for wordings in zip(*sides, strict=True):
        broken = [
            wrap(text, room, SMALL, lines=2) for text, room in zip(wordings, rooms, strict=True)
        ]
        if all(
            " ".join(lines) == " ".join(text.split())
            for lines, text in zip(broken, wordings, strict=True)
        ):
            return broken
    return [[], []]


def _limits(plot: Plot, marks: Sequence[Mark]) -> tuple[float, float]:
    """Return the ends of an axis that holds what is drawn."""
    if plot.logarithmic:
        return ratio_limits(
            [m.estimate for m in marks], [m.low for m in marks], [m.high for m in marks]
        )
    values = [v for m in marks for v in (m.estimate, m.low, m.high) if finite(v)]
    values += [plot.reference] if plot.reference is not None else []
    if plot.percent:
        return 0.0, min(1.0, max([*values, 0.05]) * 1.05)
    low, high = min(values, default=0.0), max(values, default=1.0)
    air = 0.05 * (high - low or 1.0)
    return low - air, high + air


def _draw_band(
    axes: Axes, band: Band, middle: float, half: float, ends: tuple[float, float]
) -> None:
    """Shade part of a row."""
    if finite(band.low) and finite(band.high):
        low, high = max(band.low, ends[0]), min(band.high, ends[1])
        axes.fill_between(
            [low, high],
            middle - half,
            middle + half,
            color=SHADE,
            linewidth=0,
            zorder=-1,
        )


def _draw_mark(axes: Axes, mark: Mark, y: float, ends: tuple[float, float]) -> None:
    """Draw an estimate and its limits; what is beyond the axis ends in an arrow."""
    first, last = ends
    if not finite(mark.estimate):
        return
    low = mark.low if not math.isnan(float(mark.low)) else mark.estimate
    high = mark.high if not math.isnan(float(mark.high)) else mark.estimate
    axes.plot(
        [min(max(low, first), last), max(min(high, last), first)],
        [y, y],
        color=mark.colour,
        linewidth=0.9,
        solid_capstyle="butt",
        zorder=2,
    )
    for beyond, x, marker in ((low < first, first, "<"), (high > last, last, ">")):
        if beyond:
            axes.plot(
                x,
                y,
                marker=marker,
                markersize=3,
                color=mark.colour,
                clip_on=False,
                markeredgewidth=0,
            )
    if first <= mark.estimate <= last:
        axes.plot(
            mark.estimate,
            y,
            marker=mark.marker,
            markersize=mark.size,
            markerfacecolor=mark.colour if mark.filled else "white",
            markeredgecolor=mark.colour,
            markeredgewidth=0.7,
            linestyle="none",
            zorder=3,
            clip_on=False,
            gid="estimate",
        )


def _write_key(page: Axes, key: Sequence[tuple[str, Mark]], width: float) -> None:
    """Write what the marks mean, centred at the bottom."""
    texts = [text for text, _ in key]
    if sum(text_width(text, NORMAL) + 0.35 for text in texts) > width - 2 * MARGIN:
        room = (width - 2 * MARGIN) / len(key) - 0.35
        texts = [shorten(text, room, NORMAL) for text in texts]
    lengths = [0.2 + text_width(text, NORMAL) + 0.15 for text in texts]
    x = max(MARGIN, (width - sum(lengths)) / 2)
    for text, (_, mark), length in zip(texts, key, lengths, strict=True):
        page.plot([x, x + 0.16], [0.09, 0.09], color=mark.colour, linewidth=0.9)
        page.plot(
            x + 0.08,
            0.09,
            marker=mark.marker,
            markersize=mark.size,
            markerfacecolor=mark.colour if mark.filled else "white",
            markeredgecolor=mark.colour,
            markeredgewidth=0.7,
        )
        page.text(x + 0.2, 0.09, text, va="center_baseline", fontsize=NORMAL)
        x += length


def better(arms: Mapping[str, str], role: str) -> tuple[str, str, str]:
    """Return wordings for the side of the axis on which an arm does better."""
    short = {"experimental": "exp."}.get(role, role)
    return f"{arms[role]} better", f"{role} better", f"{short} better"
