"""What moved between two freezes: who, which p-values, which claims."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from correlatives.figures.style import (
    BLACK,
    BLUE,
    DIM,
    DOUBLE,
    NORMAL,
    RULE,
    SHADE,
    SMALL,
    VERMILLION,
    Drawn,
    caption,
    format_interval,
    format_number,
    new_figure,
    place,
    rst_escape,
    styled,
    text_width,
    wrap,
)
from correlatives.publish.comparison import Comparison

#: Rows of the list at most.
MOST = 22

#: The smallest p that is drawn; smaller ones lie on the edge.
FLOOR = 1e-5

COLOURS = {"gained": VERMILLION, "lost": BLUE, "kept": BLACK, "none": RULE}
WORDS = {"gained": "claim gained", "lost": "claim lost", "kept": "claim kept", "none": "no claim"}

#: Inches: a row of the list, room for its name (two lines); at least, its p-values.
ROW, NAME, PLOT = 0.215, 1.8, 0.8

COLUMNS = [
    "panel",
    "table",
    "row",
    "change",
    "p_before",
    "p_after",
    "effect",
    "effect_before",
    "effect_after",
    "n",
]


@styled
def draw(moved: Comparison) -> Drawn:
    """Draw who changed, p-values before and after, and the claims and rows that moved most.

    Parameters
    ----------
    moved : Comparison

    Returns
    -------
    Drawn
        Source: a row a count (panel a), a test (panel b) and a row of the list (panel c). No subject is named.
    """
    tests = moved.tests.copy()
    for side in ("before", "after"):
        tests[f"height_{side}"] = -np.log10(tests[f"p_{side}"].astype(float).clip(lower=FLOOR))
    listed = _listed(tests)
    left = 0.72
    effects = max((text_width(_effect(row), SMALL) for row in listed.itertuples()), default=0.0)
    # What stands at the right is whole, whatever it takes.
    square = min(2.35, DOUBLE - left - 0.3 - NAME - PLOT - effects - 0.15)
    counts_height, gap = 0.78, 0.62
    tall = max(
        0.5 + square + gap + counts_height + 0.28,
        0.5 + ROW * max(len(listed), 1) + 0.28,
    )
    figure, top = new_figure(DOUBLE, tall, simulated=moved.simulated)

    counted = _counts(place(figure, left, top - counts_height - 0.22, square, counts_height), moved)
    _scatter(
        place(figure, left, top - counts_height - gap - square - 0.22, square, square), tests, moved
    )
    start = left + square + 0.3
    width = DOUBLE - start - NAME - effects - 0.15
    height = ROW * max(len(listed), 1)
    _list(place(figure, start + NAME, top - height - 0.22, width, height), listed, moved)

    both = tests["p_before"].notna() & tests["p_after"].notna()
    keep = [
        "table",
        "row",
        "change",
        "p_before",
        "p_after",
        "effect",
        "effect_before",
        "effect_after",
    ]
    source = pd.concat(
        [
            counted.assign(panel="a"),
            tests.loc[both, keep].assign(panel="b"),
            listed[keep].assign(panel="c"),
        ],
        ignore_index=True,
    ).reindex(columns=COLUMNS)
    gained, lost, kept = ((tests["change"] == how).sum() for how in ("gained", "lost", "kept"))
    kinds = moved.causes.groupby("kind", sort=False).size()
    causes = (
        ", ".join(f"{kind} ({n})" for kind, n in kinds.items())
        if len(kinds)
        else "nothing, by their records"
    )
    return Drawn(
        figure,
        source,
        caption(
            f"What moved from {rst_escape(moved.before)} to {rst_escape(moved.after)}.",
            f"Claims gained: {gained}, lost: {lost}, kept: {kept}, of {len(tests)} tests. What differs: {causes}.",
            "**a**, subjects and samples added, removed and changed (any value recorded of them).",
            f"**b**, the p-value on which each claim would rest, before and after, of the {int(both.sum())} tests that are in "
            f"both; those below {FLOOR:g} lie on the edge. Dashed: the level of a claim.",
            "**c**, claims gained and lost first, then the tests whose p-value moved most (on the logarithmic scale): open, "
            f"before; filled, after; at most {MOST}. At the right the effect before and after.",
            "A claim is a family-wise p (confirmatory families) or a false discovery rate q (exploratory ones) of at "
            "most the configured level; between the arms as a whole, the stratified test's p.",
            simulated=moved.simulated,
        ),
    )


def _name(table: str, row: str) -> str:
    """Return what a row is called in the list; that it is at baseline, or continuous, goes without saying."""
    file = table.rsplit("/", 1)[1].removesuffix(".tsv")
    row = row.replace(" · baseline", "").replace(" · continuous", "")
    return f"{file}: {row}".replace("_", " ")


def _listed(tests: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the list: claims gained and lost, then what moved most."""
    move = (tests["height_after"] - tests["height_before"]).abs()
    rank = tests["change"].map({"gained": 0, "lost": 1}).fillna(2)
    order = pd.DataFrame({"rank": rank, "move": -move.fillna(0.0)}).sort_values(
        ["rank", "move"], kind="stable"
    )
    changed = (rank < 2) | (move > 0)
    return tests.loc[[i for i in order.index if changed[i]][:MOST]].reset_index(drop=True)


def _effect(row: Any) -> str:  # noqa: ANN401 (a row of a table)
    """Return the effect before and after, with its limits."""
    after = format_interval(row.effect_after, row.effect_after_low, row.effect_after_high)
    return f"{format_number(row.effect_before)} → {after}"


def _counts(axes: Axes, moved: Comparison) -> pd.DataFrame:
    """Draw how many subjects and samples were added, removed and changed."""
    rows = [
        (unit, how, int(((moved.people["unit"] == unit) & (moved.people["change"] == how)).sum()))
        for unit in ("subject", "sample")
        for how in ("added", "removed", "changed")
    ]
    shades = {"added": VERMILLION, "removed": BLUE, "changed": SHADE}
    places = [0, 1, 2, 3.6, 4.6, 5.6]
    numbers = [n for *_, n in rows]
    axes.barh(
        places,
        numbers,
        color=[shades[how] for _, how, _ in rows],
        edgecolor=DIM,
        linewidth=0.4,
        height=0.85,
    )
    axes.set_yticks(places, [how for _, how, _ in rows], fontsize=SMALL)
    axes.set_ylim(6.2, -0.6)
    axes.set_xlim(0, max(*numbers, 1) * 1.18)
    axes.tick_params(length=0)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    for y, n in zip(places, numbers, strict=True):
        axes.annotate(
            str(n), (n, y), (3, 0), textcoords="offset points", va="center", fontsize=SMALL
        )
    for y, words in ((1, "subjects"), (4.6, "samples")):
        axes.annotate(
            words,
            (0, y),
            (-42, 0),
            textcoords="offset points",
            va="center",
            ha="center",
            rotation=90,
            fontsize=SMALL,
        )
    axes.set_title("a", loc="left", x=-0.29)
    return pd.DataFrame(
        [(f"{unit}s", how, n) for unit, how, n in rows], columns=["row", "change", "n"]
    )


def _scatter(axes: Axes, tests: pd.DataFrame, moved: Comparison) -> None:
    """Draw the p-value of every test before and after."""
    both = tests[tests["p_before"].notna() & tests["p_after"].notna()]
    edge = -np.log10(FLOOR)
    heights = both[["height_before", "height_after"]].to_numpy(dtype=float)
    most = min(edge, max(2.0, float(heights.max()) if heights.size else 2.0)) * 1.06
    for change, colour in reversed(COLOURS.items()):
        part = both[both["change"] == change]
        claim = change != "none"
        axes.scatter(
            part["height_before"],
            part["height_after"],
            s=14 if claim else 5,
            color=colour,
            linewidths=0,
            alpha=1.0 if claim else 0.5,
            zorder=3 if claim else 1,
            rasterized=len(part) > 2000,
            clip_on=False,
        )
    axes.axline((0, 0), slope=1, color=RULE, linewidth=0.5, zorder=0)
    if len(tests):
        for line, side in ((axes.axvline, "before"), (axes.axhline, "after")):
            line(
                -np.log10(tests[f"alpha_{side}"].iloc[0]),
                color=DIM,
                linewidth=0.6,
                linestyle=(0, (4, 2)),
                zorder=0,
            )
    axes.set_xlim(0, most)
    axes.set_ylim(0, most)
    ticks = list(range(int(most) + 1))
    labels = ["1", "0.1", "0.01", *(f"0.{'0' * (t - 1)}1" for t in ticks[3:])][: len(ticks)]
    axes.set_xticks(ticks, labels, fontsize=SMALL)
    axes.set_yticks(ticks, labels, fontsize=SMALL)
    axes.set_xlabel(f"p or q, {moved.before}")
    axes.set_ylabel(f"p or q, {moved.after}")
    axes.set_title("b", loc="left", x=-0.29)
    shown = [change for change in COLOURS if (both["change"] == change).any()]
    handles = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker="o",
            markersize=3.6,
            markeredgewidth=0,
            color=COLOURS[change],
        )
        for change in shown
    ]
    axes.legend(
        handles,
        [WORDS[change] for change in shown],
        loc="upper left",
        fontsize=SMALL,
        handletextpad=0.2,
        borderaxespad=0.4,
        frameon=True,
        framealpha=1.0,
        edgecolor="none",
    )


def _list(axes: Axes, listed: pd.DataFrame, moved: Comparison) -> None:
    """Draw the rows that moved: name, p before and after, effect before and after."""
    axes.set_title("c", loc="left", x=-NAME / (axes.get_position().width * DOUBLE))
    for spine in ("left", "top", "right"):
        axes.spines[spine].set_visible(False)
    axes.set_yticks([])
    count = len(listed)
    axes.set_ylim(max(count, 1) - 0.5, -0.5)
    if not count:
        axes.set_axis_off()
        axes.text(
            0.5, 0.5, "no test moved", transform=axes.transAxes, ha="center", va="center", color=DIM
        )
        return
    heights = listed[["height_before", "height_after"]].to_numpy(dtype=float)
    most = max(2.0, float(np.nanmax(heights))) * 1.08
    axes.set_xlim(0, most)
    ticks = list(range(int(most) + 1))
    ticks = ticks if len(ticks) <= 4 else ticks[::2]
    axes.set_xticks(
        ticks, ["1" if t == 0 else f"0.{'0' * (t - 1)}1" for t in ticks], fontsize=SMALL
    )
    axes.set_xlabel("p or q")
    level = -np.log10(listed["alpha_after"].iloc[0])
    axes.axvline(level, color=DIM, linewidth=0.6, linestyle=(0, (4, 2)), zorder=0)
    for y, row in enumerate(listed.itertuples()):
        colour = COLOURS[row.change]
        dark = DIM if row.change == "none" else colour
        ends = [row.height_before, row.height_after]
        if np.all(np.isfinite(ends)):
            axes.plot(ends, [y, y], color=dark, linewidth=0.8, zorder=1)
        axes.plot(
            ends[:1],
            [y],
            "o",
            markersize=3.4,
            markerfacecolor="white",
            markeredgecolor=dark,
            markeredgewidth=0.7,
            zorder=2,
            clip_on=False,
        )
        axes.plot(
            ends[1:],
            [y],
            "o",
            markersize=3.4,
            color=dark,
            markeredgewidth=0,
            zorder=3,
            clip_on=False,
        )
        words = "\n".join(wrap(_name(row.table, row.row), NAME - 0.1, SMALL))
        axes.annotate(
            words,
            (0, y),
            (-NAME * 72 + 4, 0),
            textcoords="offset points",
            va="center",
            linespacing=1.05,
            fontsize=SMALL,
            color=BLACK if row.change != "none" else DIM,
            annotation_clip=False,
        )
        axes.annotate(
            _effect(row),
            (1, y),
            (5, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=dark,
            annotation_clip=False,
        )
    axes.annotate(
        "effect",
        (1, 1),
        (5, 5),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=NORMAL,
        annotation_clip=False,
    )
