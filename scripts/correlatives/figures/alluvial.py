"""What became of alterations between two timepoints: kept, gained, lost or never there, by pathway and arm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from correlatives.figures.style import (
    BLACK,
    DIM,
    DOUBLE,
    GREEN,
    LARGE,
    NORMAL,
    PURPLE,
    RULE,
    SMALL,
    TALLEST,
    Drawn,
    arm_styles,
    canvas,
    caption,
    new_figure,
    no_data,
    place,
    rst_escape,
    shorten,
    styled,
    text_width,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

COLUMNS = (
    "level",
    "name",
    "specimen",
    "arm",
    "pairs",
    "kept",
    "gained",
    "lost",
    "absent",
    "not_evaluable",
)

#: What becomes of an alteration, in the order in which it is written, and its colour.
FATES = {
    "kept": "#4D4D4D",
    "gained": PURPLE,
    "lost": GREEN,
    "absent": "#D9D9D9",
    "not_evaluable": "white",
}

#: Order of the ribbons at the earlier and at the later timepoint, from the top.
BEFORE = ("kept", "lost", "gained", "absent")
AFTER = ("kept", "gained", "lost", "absent")

#: Inches: a line of counts, air between rows, heads of a block, the two timepoints' bars.
LINE, BETWEEN, HEAD, BAR = 0.103, 0.11, 0.46, 0.045

#: The widest panel with its counts, in inches.
WIDEST = 2.4

#: Share of a panel's height between altered, not altered and not evaluable.
GAP = 0.06


@styled
def draw(
    acquired: pd.DataFrame,
    *,
    arms: Mapping[str, str],
    from_: str = "baseline",
    to: str = "progression",
    top: int = 10,
    simulated: bool = False,
) -> Drawn:
    """Draw a panel a pathway, specimen and arm: the pairs flow from the earlier to the later timepoint.

    Parameters
    ----------
    acquired : pd.DataFrame
        ``resistance/acquired.tsv``.
    arms : mapping
        ``{"control": label, "experimental": label}``, or ``{"all": label}``.
    from_, to : str
        Analysis timepoints.
    top : int
        Pathways drawn at most, in the order of the pathways table; without any, genes by the pairs that gained or
        lost an alteration. Fewer where a page has no room.
    simulated : bool

    Returns
    -------
    Drawn
        Source: the pairs of every panel by what became of the alteration; they sum to `pairs`.
    """
    title = f"Alterations kept, gained and lost from {rst_escape(from_)} to {rst_escape(to)}."
    rows, level, readable = _choose(acquired, list(arms.values()), top)
    if not len(rows):
        return no_data(
            f"no subject has a sample at {from_} and one at {to} that can be read at any gene",
            title=title,
            columns=COLUMNS,
            simulated=simulated,
            width=DOUBLE,
        )
    styles = arm_styles(arms)
    specimens = list(dict.fromkeys(rows["specimen"]))
    across = max(1, 4 // len(styles))
    blocks = [specimens[i : i + across] for i in range(0, len(specimens), across)]
    height_of_row = LINE * len(FATES) + BETWEEN
    names = {block: _names(rows, block) for block in map(tuple, blocks)}
    # A page holds so many rows; each block keeps its first ones.
    room = int((TALLEST - 0.35 - HEAD * len(blocks)) / height_of_row)
    most = max(1, room // len(blocks))
    names = {block: found[:most] for block, found in names.items()}
    hidden = readable - len({name for found in names.values() for name in found})
    height = sum(HEAD + height_of_row * len(found) for found in names.values()) + 0.3
    figure, edge = new_figure(DOUBLE, height, simulated=simulated)
    page = canvas(figure)
    left = min(max(text_width(n, NORMAL) for found in names.values() for n in found) + 0.14, 1.3)
    most_across = max(len(block) for block in blocks) * len(styles)
    column = min((DOUBLE - left - 0.05) / most_across, WIDEST)
    indexed = rows.set_index(["specimen", "name", "arm"])
    drawn: list[dict[str, object]] = []
    for block, found in names.items():
        for k, specimen in enumerate(block):
            x = left + column * len(styles) * k
            page.text(
                x,
                edge - 0.04,
                specimen.replace("_", " ").capitalize(),
                va="top",
                fontsize=LARGE,
                fontweight="bold",
            )
            for j, (label, style) in enumerate(styles.items()):
                here = rows[(rows["specimen"] == specimen) & (rows["arm"] == label)]
                pairs = int(here["pairs"].max()) if len(here) else 0
                for line, text in enumerate((label, f"{pairs} pairs")):
                    page.text(
                        x + column * j,
                        edge - 0.26 - 0.11 * line,
                        shorten(text, column - 0.1, SMALL),
                        va="center_baseline",
                        fontsize=SMALL,
                        color=style.colour,
                    )
        edge -= HEAD
        for name in found:
            middle = edge - height_of_row / 2
            page.text(
                left - 0.08,
                middle,
                shorten(name, left - 0.1, NORMAL),
                ha="right",
                va="center_baseline",
                fontsize=NORMAL,
                style="italic" if level == "gene" else "normal",
            )
            for k, specimen in enumerate(block):
                for j, label in enumerate(styles):
                    key = (specimen, name, label)
                    if key not in indexed.index:
                        continue
                    counts = _counts(indexed.loc[key])
                    x = left + column * (len(styles) * k + j)
                    size = LINE * len(FATES)
                    axes = place(figure, x, middle - size / 2, column - 0.78, size)
                    _draw_ribbons(axes, counts)
                    _write_counts(page, x + column - 0.74, middle + size / 2, counts)
                    drawn.append(
                        {
                            "level": level,
                            "name": name,
                            "specimen": specimen,
                            "arm": label,
                            "pairs": sum(counts.values()),
                            **counts,
                        }
                    )
            edge -= height_of_row
    page.text(
        DOUBLE / 2,
        0.12,
        f"Left bar {shorten(from_, 1.2, SMALL)}, right bar {shorten(to, 1.2, SMALL)}: altered (black) above not altered "
        "(grey); heights are shares of the arm's pairs",
        ha="center",
        va="center_baseline",
        fontsize=SMALL,
        color=DIM,
    )
    what = "pathways" if level == "pathway" else "genes"
    rule = (
        "in the order of the pathways table"
        if level == "pathway"
        else "by the pairs that gained or lost an alteration, since no pathway could be read"
    )
    return Drawn(
        figure,
        pd.DataFrame(drawn, columns=list(COLUMNS)),
        caption(
            title,
            f"{_pairs_in_words(rows, styles)}. Shown are {what}, {rule}"
            + (f"; {hidden} more are in the table only." if hidden else "."),
            "Every panel holds all pairs of its specimen and arm, drawn to the same height. Kept: altered in both samples; "
            "gained: in the later one only; lost: in the earlier one only; absent: in neither; not evaluable: one of the two "
            "samples could not be read (not looked at, too little tumour DNA, failed), which is not absent.",
            "A pathway is altered where one of its genes is, in the direction that the pathways table gives. The figure does "
            "not show subjects without a pair, who differ from those with one, nor how long they were treated; lost in plasma "
            "can mean that less tumour DNA was shed.",
            simulated=simulated,
        ),
    )


def _choose(acquired: pd.DataFrame, arms: Sequence[str], top: int) -> tuple[pd.DataFrame, str, int]:
    """Return the rows of the pathways, or else of the genes that changed; their level; how many there are."""
    rows = acquired[acquired["arm"].isin(arms)]
    readable = rows.groupby(["level", "name", "specimen"])["evaluable"].transform("sum") > 0
    rows = rows[readable]
    pathways = rows[rows["level"] == "pathway"]
    if len(pathways):
        names = list(dict.fromkeys(pathways["name"]))
        return pathways[pathways["name"].isin(names[:top])], "pathway", len(names)
    genes = rows[rows["level"] == "gene"]
    changed = (genes["gained"] + genes["lost"]).groupby(genes["name"]).sum()
    order = sorted(changed.index, key=lambda name: (-changed[name], name))
    genes = genes[genes["name"].isin(order[:top])]
    rank = genes["name"].map({name: i for i, name in enumerate(order)})
    return genes.loc[rank.sort_values(kind="stable").index], "gene", len(order)


def _names(rows: pd.DataFrame, specimens: Sequence[str]) -> list[str]:
    """Return the names that have a row in one of the specimens, in the order of the rows."""
    return list(dict.fromkeys(rows.loc[rows["specimen"].isin(specimens), "name"].astype(str)))


def _counts(row: pd.Series) -> dict[str, int]:
    """Return the pairs by fate."""
    counts = {fate: int(row[fate]) for fate in FATES if fate != "not_evaluable"}
    return {**counts, "not_evaluable": int(row["pairs"]) - int(row["evaluable"])}


def _pairs_in_words(rows: pd.DataFrame, arms: Sequence[str]) -> str:
    pairs = rows.groupby(["specimen", "arm"], sort=False)["pairs"].max()
    return "; ".join(
        f"{rst_escape(specimen.replace('_', ' '))}, {rst_escape(arm)}: {int(pairs[specimen, arm])} pairs"
        for specimen in dict.fromkeys(rows["specimen"])
        for arm in arms
        if (specimen, arm) in pairs.index
    )


def _draw_ribbons(axes: Axes, counts: Mapping[str, int]) -> None:
    """Draw one panel: two bars, the ribbons between them, and the pairs that could not be read below."""
    from matplotlib.patches import PathPatch, Rectangle
    from matplotlib.path import Path

    axes.set_axis_off()
    total = sum(counts.values())
    width = axes.get_position().width * axes.figure.get_size_inches()[0]
    axes.set_xlim(0, width)
    axes.set_ylim(0, 1)
    if not total:
        return
    unit = (1 - 2 * GAP) / total

    def levels(order: Sequence[str], altered: Sequence[str]) -> dict[str, float]:
        """Return the upper edge of every ribbon at one timepoint."""
        edges, y = {}, 1.0
        for fate in order:
            if fate == next(f for f in order if f not in altered):
                y -= GAP
            edges[fate] = y
            y -= unit * counts[fate]
        return edges

    before, after = levels(BEFORE, ("kept", "lost")), levels(AFTER, ("kept", "gained"))
    for edges, x, altered in (
        (before, 0.0, ("kept", "lost")),
        (after, width - BAR, ("kept", "gained")),
    ):
        for fate, y in edges.items():
            colour = BLACK if fate in altered else RULE
            size = unit * counts[fate]
            if size:
                axes.add_patch(Rectangle((x, y - size), BAR, size, facecolor=colour, linewidth=0))
    first, last = BAR, width - BAR
    middle = (first + last) / 2
    for fate in ("absent", "kept", "lost", "gained"):
        size = unit * counts[fate]
        if not size:
            continue
        a, b = before[fate], after[fate]
        corners = [
            (first, a),
            (middle, a),
            (middle, b),
            (last, b),
            (last, b - size),
            (middle, b - size),
            (middle, a - size),
            (first, a - size),
            (first, a),
        ]
        curve = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
        axes.add_patch(
            PathPatch(Path(corners, curve), facecolor=FATES[fate], linewidth=0, alpha=0.9, gid=fate)
        )
    unread = unit * counts["not_evaluable"]
    if unread:
        axes.add_patch(
            Rectangle(
                (0, 0),
                width,
                unread,
                facecolor="white",
                edgecolor=RULE,
                linewidth=0.4,
                hatch="//////",
                gid="not_evaluable",
            )
        )


def _write_counts(page: Axes, x: float, top: float, counts: Mapping[str, int]) -> None:
    """Write the pairs by fate beside a panel, with the colour of each."""
    from matplotlib.patches import Rectangle

    for i, (fate, colour) in enumerate(FATES.items()):
        y = top - LINE * (i + 0.5)
        unread = fate == "not_evaluable"
        page.add_patch(
            Rectangle(
                (x, y - 0.03),
                0.06,
                0.06,
                facecolor=colour,
                edgecolor=RULE if unread else colour,
                linewidth=0.4 if unread else 0,
                hatch="////////" if unread else None,
            )
        )
        notable = fate in ("gained", "lost") and counts[fate] > 0
        page.text(
            x + 0.09,
            y,
            f"{counts[fate]} {'not read' if unread else fate}",
            va="center_baseline",
            fontsize=SMALL,
            color=BLACK if counts[fate] else RULE,
            fontweight="bold" if notable else "normal",
        )
