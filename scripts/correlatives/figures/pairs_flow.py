"""From the subjects to pairs of samples that can be read: who is left at each step, and who is not and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from correlatives.figures.style import (
    DIM,
    DOUBLE,
    LARGE,
    NORMAL,
    RULE,
    SMALL,
    TALLEST,
    Drawn,
    arm_styles,
    canvas,
    caption,
    new_figure,
    no_data,
    rst_escape,
    shorten,
    styled,
    wrap,
)
from correlatives.pairing import PROGRESSION_WINDOW_DAYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

COLUMNS = ("specimen", "arm", "step", "reason", "n")

#: Inches: head of a block, a box, a line of reasons, air around reasons, width of the steps' names.
HEAD, BOX, LINE, AIR, LEFT = 0.5, 0.24, 0.1, 0.07, 1.15

#: Columns side by side.
ACROSS = 4


@styled
def draw(pairs: pd.DataFrame, *, arms: Mapping[str, str], simulated: bool = False) -> Drawn:
    """Draw a column of boxes a specimen and arm.

    Parameters
    ----------
    pairs : pd.DataFrame
        ``resistance/pairs.tsv``.
    arms : mapping
        ``{"control": label, "experimental": label}``, or ``{"all": label}``.
    simulated : bool

    Returns
    -------
    Drawn
        Source: the rows of the table that are drawn.
    """
    title = "From the subjects to pairs of samples."
    rows = pairs[pairs["arm"].isin(list(arms.values()))].copy()
    rows["reason"] = rows["reason"].fillna("").astype(str)
    if not len(rows):
        return no_data(
            "no specimen was looked at for alterations at the later timepoint",
            title=title,
            columns=COLUMNS,
            simulated=simulated,
            width=DOUBLE,
        )
    styles = arm_styles(arms)
    specimens = list(dict.fromkeys(rows["specimen"]))
    across = max(1, ACROSS // len(styles))
    blocks = [specimens[i : i + across] for i in range(0, len(specimens), across)]
    width = min((DOUBLE - LEFT - 0.05) / (len(blocks[0]) * len(styles)), 2.6)
    room = width - 0.26
    # Reasons that a page has no room for are in the table.
    for most in (6, 4, 3, 2, 1):
        plans = [_plan(rows, block, room, most) for block in blocks]
        total = sum(HEAD + sum(gap + BOX for gap in plan.values()) + 0.1 for plan in plans)
        if total < TALLEST - 0.1:
            break
    shown = 0
    while total >= TALLEST - 0.1 and len(blocks) > 1:
        blocks, plans = blocks[:-1], plans[:-1]
        total = sum(HEAD + sum(gap + BOX for gap in plan.values()) + 0.1 for plan in plans)
    figure, edge = new_figure(DOUBLE, total + 0.04, simulated=simulated)
    page = canvas(figure)
    for block, plan in zip(blocks, plans, strict=True):
        shown += len(block)
        for k, specimen in enumerate(block):
            for j, (label, style) in enumerate(styles.items()):
                x = LEFT + width * (len(styles) * k + j)
                if not j:
                    page.text(
                        x,
                        edge - 0.04,
                        shorten(str(specimen).replace("_", " ").capitalize(), width * 1.8, LARGE),
                        fontsize=LARGE,
                        fontweight="bold",
                        va="top",
                    )
                page.text(
                    x,
                    edge - 0.32,
                    shorten(label, width - 0.08, SMALL),
                    fontsize=SMALL,
                    color=style.colour,
                    va="center_baseline",
                )
                here = rows[(rows["specimen"] == specimen) & (rows["arm"] == label)]
                _draw_column(
                    page, here, plan, x, edge - HEAD + 0.06, width, room, most, style.colour
                )
        y = edge - HEAD + 0.06
        for step, gap in plan.items():
            y -= gap
            named = wrap(_named(step), LEFT - 0.12, NORMAL, lines=2)
            for i, line in enumerate(named):
                page.text(
                    0.06,
                    y - BOX / 2 + 0.055 * (len(named) - 1) - 0.11 * i,
                    line,
                    fontsize=NORMAL,
                    va="center_baseline",
                )
            y -= BOX
        edge -= HEAD + sum(gap + BOX for gap in plan.values()) + 0.1
    drawn = rows[rows["specimen"].isin([s for block in blocks for s in block])]
    counts = "; ".join(
        f"{rst_escape(str(specimen).replace('_', ' '))}, {rst_escape(arm)}: {pairs_of} and {evaluable}"
        for (specimen, arm), (pairs_of, evaluable) in _pairs(drawn).items()
    )
    left_out = len(specimens) - shown
    return Drawn(
        figure,
        drawn[list(COLUMNS)].reset_index(drop=True),
        caption(
            title,
            f"Pairs, and those of them that are evaluable (readable at one gene or more): {counts}.",
            "A box holds who remains after the step; beside the line, who was left out at it and why. A pair is a sample at "
            "either timepoint that passed quality control. A sample of a subject in whom no progression was seen, taken when "
            f"treatment stopped for toxicity, or more than {PROGRESSION_WINDOW_DAYS:g} days before progression, is not one at progression; where it is not known whether "
            "a subject progressed, the sample's label is believed."
            + (f" {left_out} further specimens are in the table only." if left_out else ""),
            "The figure does not show at how many genes a pair is evaluable: every rate has its own denominator.",
            simulated=simulated,
        ),
    )


def _pairs(rows: pd.DataFrame) -> dict[tuple[str, str], tuple[int, int]]:
    """Return how many pairs there are and how many of them are evaluable, a specimen and arm."""
    remaining = rows[rows["reason"] == ""].groupby(["specimen", "arm"], sort=False)["n"]
    return {key: (int(n.iloc[-2]), int(n.iloc[-1])) for key, n in remaining}


def _named(step: str) -> str:
    """Return a step's name, as it stands beside its boxes."""
    named = {
        "subjects": "Subjects",
        "at progression": "At progression: a pair",
        "evaluable": "Evaluable pair: read at a gene in both",
    }
    return named.get(step, step[:1].upper() + step[1:])


def _reasons(here: pd.DataFrame, step: str, room: float, most: int) -> list[str]:
    """Return the lines beside the line into a step."""
    left = here[(here["step"] == step) & (here["reason"] != "") & (here["n"] > 0)]
    texts = [f"{reason}: {int(n)}" for reason, n in zip(left["reason"], left["n"], strict=True)]
    if len(texts) > most:
        rest = int(left["n"].iloc[most - 1 :].sum())
        kind = "other" if most > 1 else "several"
        texts = [*texts[: most - 1], f"{kind} reasons: {rest}"]
    return [line for text in texts for line in wrap(text, room, SMALL, lines=2)]


def _plan(rows: pd.DataFrame, block: list[str], room: float, most: int) -> dict[str, float]:
    """Return step -> the space above its boxes, for the specimens side by side."""
    part = rows[rows["specimen"].isin(block)]
    plan: dict[str, float] = {}
    for step in dict.fromkeys(part["step"]):
        longest = max(
            (
                len(_reasons(here, step, room, most))
                for _, here in part.groupby(["specimen", "arm"], sort=False)
            ),
            default=0,
        )
        plan[step] = max(0.14, LINE * longest + 2 * AIR) if plan else 0.0
    return plan


def _draw_column(
    page: Axes,
    here: pd.DataFrame,
    plan: dict[str, float],
    x: float,
    top: float,
    width: float,
    room: float,
    most: int,
    colour: str,
) -> None:
    """Draw one specimen and arm: boxes, the lines between them, and the reasons."""
    from matplotlib.patches import Rectangle

    y = top
    for step, gap in plan.items():
        remaining = here[(here["step"] == step) & (here["reason"] == "")]
        if not len(remaining):
            y -= gap + BOX
            continue
        if gap:
            page.plot([x + 0.08, x + 0.08], [y, y - gap], color=RULE, linewidth=0.6)
            for i, text in enumerate(_reasons(here, step, room, most)):
                page.text(
                    x + 0.14,
                    y - AIR - LINE * (i + 0.5),
                    text,
                    fontsize=SMALL,
                    color=DIM,
                    va="center_baseline",
                )
        y -= gap
        page.add_patch(
            Rectangle(
                (x, y - BOX), width - 0.12, BOX, facecolor="white", edgecolor=colour, linewidth=0.7
            )
        )
        page.text(
            x + (width - 0.12) / 2,
            y - BOX / 2,
            f"{int(remaining['n'].iloc[0])}",
            ha="center",
            va="center_baseline",
            fontsize=LARGE,
            fontweight="bold",
        )
        y -= BOX
