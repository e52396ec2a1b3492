"""All lines of evidence of every gene and pathway at a glance: blood and tissue apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from correlatives.figures.style import (
    BLACK,
    DIM,
    DOUBLE,
    GREEN,
    NORMAL,
    PURPLE,
    RULE,
    SINGLE,
    SMALL,
    Drawn,
    canvas,
    caption,
    finite,
    new_figure,
    no_data,
    rst_escape,
    shorten,
    styled,
    text_width,
    wrap,
)
from correlatives.resistance.evidence_lines import (
    AGREEMENT,
    BASELINE,
    CHANGE,
    EARLY_CHANGE,
    GAINED,
    GAINED_DIFFERENCE,
    LANDMARK,
    LATE_CHANGE,
    LOST,
    RATE,
    RATIO,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes


class Line(NamedTuple):
    """A line of evidence: its heading, which rows it takes, and of which arm."""

    heading: str
    line: str
    arm: str
    places: tuple[str, ...] = ("blood", "tissue")


COLUMNS = (
    "level",
    "name",
    "pathway",
    "line",
    "place",
    "state",
    "direction",
    "specimen",
    "marker",
    "timepoint",
    "arm",
    "measure",
    "transform",
    "estimate",
    "estimate_low",
    "estimate_high",
    "n",
    "of",
)

#: Cells that a line of one place takes at least.
LEAST_SHARE = 1.6

#: Inches: a row, the key, and the widest cell.
ROW, FOOT, WIDEST = 0.235, 0.44, 0.55

#: Rows on a page.
MOST = 32

#: Symbols by direction: colour, marker. Shape says the same as colour.
DIRECTIONS = {
    "above": (PURPLE, "^"),
    "below": (GREEN, "v"),
    "unclear": ("#8C8C8C", "o"),
    "rate": ("#404040", "s"),
}

#: Points across of the smallest and largest symbol.
SMALLEST, LARGEST = 2.2, 6.6

#: Effect at which a symbol is largest: a ratio of 4. Changes that are no ratio have a size between.
FULL_LOG2, MIDDLE = 2.0, 0.25


@styled
def draw(
    lines: pd.DataFrame,
    *,
    arms: Mapping[str, str],
    drug: str = "",
    top: int = MOST,
    simulated: bool = False,
) -> Drawn:
    """Draw a row a gene and pathway, a pair of cells (blood, tissue) a line of evidence.

    Parameters
    ----------
    lines : pd.DataFrame
        `resistance.evidence_lines.evidence_lines`.
    arms : mapping
        ``{"control": label, "experimental": label}``, or ``{"all": label}``.
    drug : str
        The drug that resistance is asked about.
    top : int
        Rows drawn at most: pathways, their genes, then other genes gained in a pair.
    simulated : bool

    Returns
    -------
    Drawn
        Source: one row a cell. `state`: estimated, not evaluable (samples that could not be read), no estimate (too
        few), nothing (no such data, not drawn); `direction` by the limits.
    """
    title = f"What is known of resistance{f' to {rst_escape(drug)}' if drug else ''}, gene by gene."
    shown, hidden = choose(lines, top)
    if not shown:
        return no_data(
            "no gene or pathway was looked at in any analysis of resistance",
            title=title,
            columns=COLUMNS,
            simulated=simulated,
            width=DOUBLE,
        )
    randomised = "experimental" in arms
    one = arms.get("experimental") or next(iter(arms.values()))
    of_one = f", {one}" if randomised else ""
    pieces = dict(list(lines.groupby(["level", "name"], sort=False)))
    columns = [
        Line("Baseline marker × arm" if randomised else "Baseline marker", BASELINE, "all"),
        Line(f"Early change{of_one}", EARLY_CHANGE, one if randomised else "all"),
        Line("Early change, survival from landmark", LANDMARK, "all"),
        *([Line(f"Gained, {arms['control']}", GAINED, arms["control"])] if randomised else []),
        Line(f"Gained{of_one}", GAINED, one),
        *([Line("Gained, arms compared", GAINED_DIFFERENCE, "all")] if randomised else []),
        Line(f"Lost{of_one}", LOST, one),
        Line(f"Change at progression{of_one}", LATE_CHANGE, one if randomised else "all"),
        Line("Plasma finds tissue's", AGREEMENT, "all", ("both",)),
    ]
    # What a study has nothing of takes no room.
    columns = [
        column._replace(places=places)
        for column in columns
        if (
            places := tuple(
                place
                for place in column.places
                if any(
                    _cell(pieces[key], column, place)["state"] != "nothing"
                    for key in shown
                    if key in pieces
                )
            )
        )
    ]
    if not columns:
        return no_data(
            "no gene or pathway was read in any sample of the analyses of resistance",
            title=title,
            columns=COLUMNS,
            simulated=simulated,
            width=DOUBLE,
        )
    left = min(max(text_width(name, NORMAL) for _, name in shown) + 0.22, 1.25)
    # a line of one place only is wider than a cell, or its heading would break within words
    shares = [max(len(column.places), LEAST_SHARE) for column in columns]
    unit = min((DOUBLE - left - 0.06 - 0.06 * len(columns)) / sum(shares), WIDEST)
    spans = [unit * share for share in shares]
    headings = [
        wrap(column.heading, span, SMALL, lines=6, weight="bold")
        for column, span in zip(columns, spans, strict=True)
    ]
    head = 0.26 + 0.1 * max(map(len, headings))
    end = left + sum(spans) + 0.06 * (len(columns) - 1)
    page_width = SINGLE if end < SINGLE - 0.05 else DOUBLE
    figure, edge = new_figure(page_width, head + ROW * len(shown) + FOOT, simulated=simulated)
    page = canvas(figure)
    start = edge - head
    rows: list[dict[str, object]] = []
    _write_names(page, shown, left, start, end)
    x = left
    for column, span, heading in zip(columns, spans, headings, strict=True):
        width = span / len(column.places)
        for i, text in enumerate(reversed(heading)):
            page.text(
                x + span / 2,
                start + 0.2 + 0.1 * i,
                text,
                ha="center",
                va="bottom",
                fontsize=SMALL,
                fontweight="bold",
            )
        for j, place in enumerate(column.places):
            middle = x + width * (j + 0.5)
            if place != "both":
                page.text(
                    middle, start + 0.06, place, ha="center", va="bottom", fontsize=SMALL, color=DIM
                )
            for i, (level, name) in enumerate(shown):
                cell = _cell(pieces.get((level, name), lines.iloc[:0]), column, place)
                low = start - ROW * (i + 1)
                _draw_cell(page, cell, x + width * j, low, width)
                rows.append(
                    {
                        "level": level,
                        "name": name,
                        "pathway": _pathway(pieces.get((level, name)), name, level),
                        "line": column.line,
                        "place": place,
                        **cell,
                    }
                )
        x += span + 0.06
    _write_key(page, rows)
    return Drawn(
        figure,
        pd.DataFrame(rows, columns=list(COLUMNS)),
        caption(
            title,
            f"{len(shown)} pathways and genes"
            + (
                f" (pathways, their genes, then genes gained in a pair; {hidden} more are in the table only)"
                if hidden
                else ""
            )
            + "; the number in a cell is its subjects, of a rate those in whom it could be read (of who had the "
            "alteration, for lost and for plasma).",
            "Baseline markers and survival from the landmark: the endpoint of progression. Triangles: both 95 % limits lie on one side of no effect. Up (purple): less benefit with the marker, shorter "
            "survival, a rise, or gained more often with the experimental treatment; down (green): the opposite. Grey "
            "circles: the limits hold no effect, which is not its absence. Squares are rates and have no direction. A "
            "symbol is the larger the larger the effect (largest: a ratio of 4, a share of 100 %; open: a rate of 0; changes that are no ratio "
            "have one size). Hatched: samples were there and could not be "
            "read; a dash: too few for an estimate; empty: no such data.",
            "A cell is the gene's or pathway's own alteration where that was analysed, else the first of its other biomarkers "
            "in the dictionary (protein, expression, activity); all of them are in the dossier. Limits are not adjusted for the number of cells: with "
            f"{sum(row['state'] == 'estimated' for row in rows)} estimates some exclude no effect by chance alone.",
            "The figure does not show a verdict: lines of evidence share subjects, and those with a progression sample are not a "
            "random part of those who progressed.",
            simulated=simulated,
        ),
    )


def choose(lines: pd.DataFrame, top: int) -> tuple[list[tuple[str, str]], int]:
    """Return (level, name) of the rows, and how many are left out: no single kinds of a gene's alterations."""
    if not len(lines):
        return [], 0
    names = lines[["level", "name", "pathway"]].drop_duplicates(["level", "name"])
    whole = (names["level"] == "pathway") | ~names["name"].astype(str).str.contains(" ")
    names = names[whole]
    gained = lines[(lines["line"] == GAINED) & (lines["estimate"] > 0)]
    changed = set(zip(gained["level"], gained["name"], strict=True))
    rank = [
        0
        if level == "pathway"
        else 1
        if isinstance(pathway, str) and pathway
        else 2
        if (level, name) in changed
        else 3
        for level, name, pathway in names.itertuples(index=False)
    ]
    order = sorted((r, i) for i, r in enumerate(rank) if r < 3)
    keys = list(zip(names["level"].astype(str), names["name"].astype(str), strict=True))
    kept = [keys[i] for _, i in order[:top]]
    return kept, len(keys) - len(kept)


def _pathway(piece: pd.DataFrame | None, name: str, level: str) -> str:
    if level == "pathway":
        return name
    return str(piece["pathway"].iloc[0]) if piece is not None and len(piece) else ""


def _cell(piece: pd.DataFrame, column: Line, place: str) -> dict[str, Any]:
    """Return what one cell says: its own alteration first, else the first other biomarker; the first timepoint."""
    here = piece[
        (piece["line"] == column.line) & (piece["arm"] == column.arm) & (piece["place"] == place)
    ]
    if not len(here):
        return {"state": "nothing", "direction": ""}
    here = here.assign(
        unknown=~np.isfinite(here["estimate"].astype(float)), other=~here["own"].astype(bool)
    ).sort_values(["unknown", "other"], kind="stable")
    line = here.iloc[0]
    kept = ("specimen", "marker", "timepoint", "arm", "measure", "transform", "n", "of")
    values = {key: line[key] for key in kept}
    ends = {f"estimate{end}": float(line[f"estimate{end}"]) for end in ("", "_low", "_high")}
    if not finite(ends["estimate"]):
        # Nobody positive in tissue is no sample that could not be read.
        unread = line["line"] in (GAINED, LOST) and line["n"] == 0
        return {**values, "state": "not evaluable" if unread else "no estimate", "direction": ""}
    direction = "unclear"
    if line["measure"] == RATE:
        direction = "rate"
    elif ends["estimate_low"] > line["null"]:
        direction = "above"
    elif ends["estimate_high"] < line["null"]:
        direction = "below"
    return {**values, **ends, "state": "estimated", "direction": direction}


def _size(cell: Mapping[str, Any]) -> float:
    """Return a symbol's width in points: the square root of the effect, so that areas compare."""
    value = float(cell["estimate"])
    if cell["measure"] == RATIO:
        share = min(abs(np.log2(value)) / FULL_LOG2, 1.0) if value > 0 else 1.0
    elif cell["measure"] == CHANGE:
        doublings = {"log2": 1.0, "log10": np.log2(10.0)}.get(str(cell["transform"]))
        share = MIDDLE if doublings is None else min(abs(value) * doublings / FULL_LOG2, 1.0)
    else:
        share = min(abs(value), 1.0)
    return float(SMALLEST + (LARGEST - SMALLEST) * np.sqrt(share))


def _write_names(
    page: Axes, shown: list[tuple[str, str]], left: float, start: float, end: float
) -> None:
    """Write the rows' names, and a line under the pathways."""
    for i, (level, name) in enumerate(shown):
        page.text(
            left - 0.1,
            start - ROW * (i + 0.5),
            shorten(name, left - 0.14, NORMAL, "bold" if level == "pathway" else "normal"),
            ha="right",
            va="center_baseline",
            fontsize=NORMAL,
            fontweight="bold" if level == "pathway" else "normal",
            style="normal" if level == "pathway" else "italic",
        )
    pathways = sum(level == "pathway" for level, _ in shown)
    if 0 < pathways < len(shown):
        y = start - ROW * pathways
        page.plot([0.06, end], [y, y], color=BLACK, linewidth=0.6)


def _draw_cell(page: Axes, cell: Mapping[str, Any], x: float, y: float, width: float) -> None:
    """Draw a cell: its frame, its symbol and its number."""
    from matplotlib.patches import Rectangle

    unread = cell["state"] == "not evaluable"
    page.add_patch(
        Rectangle(
            (x, y),
            width,
            ROW,
            facecolor="white",
            edgecolor="#D0D0D0",
            linewidth=0.4,
            zorder=0,
        )
    )
    if unread:
        page.add_patch(
            Rectangle(
                (x + 0.015, y + 0.015),
                width - 0.03,
                ROW - 0.03,
                facecolor="white",
                edgecolor=RULE,
                linewidth=0,
                hatch="////////",
                gid="not evaluable",
            )
        )
    elif cell["state"] == "no estimate":
        page.text(
            x + width / 2,
            y + ROW / 2,
            "–",
            ha="center",
            va="center_baseline",
            fontsize=NORMAL,
            color=DIM,
        )
    elif cell["state"] == "estimated":
        colour, marker = DIRECTIONS[str(cell["direction"])]
        none = cell["direction"] == "rate" and cell["estimate"] == 0
        page.plot(
            x + min(0.28 * width, width - 0.03 - text_width("000", SMALL) - 0.09),
            y + ROW / 2,
            marker=marker,
            markersize=_size(cell),
            color=colour,
            markerfacecolor="white" if none else colour,
            markeredgewidth=0.6 if none else 0,
            gid=str(cell["direction"]),
        )
        page.text(
            x + width - 0.03,
            y + ROW / 2,
            f"{int(cell['n'])}",
            ha="right",
            va="center_baseline",
            fontsize=SMALL,
            color=BLACK if cell["direction"] in ("above", "below") else DIM,
        )


def _write_key(page: Axes, rows: list[dict[str, object]]) -> None:
    """Write what the symbols mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    words = {
        "above": "limits above no effect",
        "below": "limits below no effect",
        "unclear": "limits hold no effect",
        "rate": "a rate",
    }
    found = {row["direction"] for row in rows}
    handles: list[Any] = []
    names = []
    for direction, (colour, marker) in DIRECTIONS.items():
        if direction in found:
            handles.append(
                Line2D([], [], linestyle="none", marker=marker, markersize=4.5, color=colour)
            )
            names.append(words[direction])
    if any(row["state"] == "not evaluable" for row in rows):
        handles.append(Patch(facecolor="white", edgecolor=RULE, linewidth=0.3, hatch="////////"))
        names.append("not evaluable")
    height = page.figure.get_size_inches()[1]
    page.legend(
        handles,
        names,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.02 / height),
        bbox_transform=page.figure.transFigure,
        ncols=5 if page.figure.get_size_inches()[0] > SINGLE + 0.1 else 2,
        fontsize=SMALL,
        columnspacing=1.2,
        handletextpad=0.3,
        borderpad=0.2,
    )
