"""Alterations gained between two timepoints, by arm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from correlatives.figures.forest import Column, Mark, Plot, Row, lay_out
from correlatives.figures.style import (
    Drawn,
    arm_styles,
    caption,
    finite,
    format_interval,
    format_number,
    format_p,
    no_data,
    rst_escape,
    shorten,
    styled,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = (
    "level",
    "name",
    "specimen",
    "arm",
    "pairs",
    "evaluable",
    "gained",
    "rate_gained",
    "rate_gained_low",
    "rate_gained_high",
    "p_mcnemar_exact",
    "rate_difference",
    "rate_difference_low",
    "rate_difference_high",
    "p_fisher",
    "p_adjusted",
    "q_value",
)

#: What the levels are called, in the order drawn.
LEVELS = {"pathway": "Pathways", "gene": "Genes"}


#: How names of one kind of a gene's alterations end (``RB1 deletion``).
KINDS = ("mutation", "amplification", "deletion", "fusion")

#: More rows than these do not fit a page.
MOST = 25


@styled
def draw(
    acquired: pd.DataFrame,
    by_arm: pd.DataFrame | None,
    *,
    arms: Mapping[str, str],
    top: int = 15,
    simulated: bool = False,
) -> Drawn:
    """Draw the rates gained: every pathway, and the genes gained most often.

    Parameters
    ----------
    acquired : pd.DataFrame
        ``resistance/acquired.tsv``.
    by_arm : pd.DataFrame or None
        ``resistance/acquired_by_arm.tsv``; None or without rows in a single-arm study.
    arms : mapping
        ``{"control": label, "experimental": label}``, or ``{"all": label}``.
    top : int
        Pathways drawn in each specimen, and genes of those gained at least once; fewer where a page has no room.
    simulated : bool

    Returns
    -------
    Drawn
        Source: the rows of acquired.tsv drawn, with the comparison between arms beside them.
    """
    title = "Alterations gained from baseline to progression."
    if len(acquired) and len(arms) > 1:
        acquired = acquired[acquired["arm"].isin(list(arms.values()))]
    chosen, hidden = _choose(acquired, top)
    while len(chosen) > MOST and top > 1:
        top -= 1
        chosen, hidden = _choose(acquired, top)
    if not len(chosen):
        why = (
            "no subject has a sample at both timepoints that can be read at any gene"
            if not len(acquired) or not (acquired["evaluable"] > 0).any()
            else "nothing was gained between the two timepoints"
        )
        return no_data(why, title=title, columns=COLUMNS, simulated=simulated)
    two = by_arm is not None and len(by_arm) > 0 and len(arms) > 1
    styles = arm_styles(arms)
    keys = ["level", "name", "specimen"]
    compared = by_arm.set_index(keys) if two else None
    rows: list[Row] = []
    drawn: list[dict[str, object]] = []
    previous: tuple[str, str] | None = None
    for key in chosen:
        level, name, specimen = key
        if (specimen, level) != previous:
            previous = (specimen, level)
            heading = LEVELS.get(level, level.capitalize())
            rows.append(Row([f"{heading}, {specimen.replace('_', ' ')}"], heading=True))
        cells: list[str | tuple[str, str]] = [name]
        marks = []
        between = compared.loc[key] if compared is not None and key in compared.index else None
        for i, label in enumerate(styles):
            found = acquired[(acquired[keys] == list(key)).all(axis=1) & (acquired["arm"] == label)]
            if not len(found):
                cells.append("–")
                continue
            line = found.iloc[0]
            p = format_p(line["p_mcnemar_exact"])
            cells.append(
                (
                    f"{format_number(line['gained'], 0)} / {format_number(line['evaluable'], 0)}",
                    f"p {p}" if p != "–" else "",
                )
            )
            style = styles[label]
            marks.append(
                Mark(
                    line["rate_gained"],
                    line["rate_gained_low"],
                    line["rate_gained_high"],
                    style.colour,
                    style.marker,
                    offset=(i - (len(styles) - 1) / 2) * 0.8,
                )
            )
            drawn.append(
                {
                    **{column: line.get(column) for column in COLUMNS},
                    **(
                        {
                            column: between.get(column, np.nan)
                            for column in COLUMNS
                            if column.startswith("rate_diff")
                            or column in ("p_fisher", "p_adjusted", "q_value")
                        }
                        if between is not None
                        else {}
                    ),
                }
            )
        if two:
            cells += _comparison(between)
        rows.append(Row(cells, [marks], indent=True))
    columns: list[Column | Plot] = [Column("Gained", "left", 1.6)]
    columns += [Column(f"{shorten(label, 1.2)} gained/n", room=1.0) for label in styles]
    columns += [Plot("Rate gained (%)", reference=None, logarithmic=False, percent=True)]
    if two:
        columns += [
            Column("Difference, % (95 % CI)", room=1.15),
            Column("Fisher p", room=0.45),
            Column("Adjusted p", room=0.55),
            Column("q", room=0.45),
        ]
    laid = lay_out(
        columns,
        rows,
        simulated=simulated,
        key=[(label, Mark(1, 1, 1, s.colour, s.marker)) for label, s in styles.items()],
    )
    pairs = acquired.groupby("arm", sort=False)["pairs"].max()
    counts = "; ".join(
        f"{rst_escape(label)}: {format_number(pairs.get(label), 0)} pairs" for label in styles
    )
    return Drawn(
        laid.figure,
        pd.DataFrame(drawn, columns=list(COLUMNS)),
        caption(
            title,
            f"{counts}. The denominator of every row is its own: pairs of which both samples could be read at the "
            "gene (coverage and tumour fraction). A pathway can be read in a sample where one of its genes is altered, or else "
            "only where all of its genes could be read, so that its denominator is often smaller than its genes'; and "
            "who had one gene of it altered at baseline gains no pathway with another.",
            "Share gained with Clopper–Pearson 95 % limits. The p under the counts tests gained against lost within the "
            "arm (exact McNemar), not the rate gained: it can be small where nothing was gained and much was lost."
            + (
                " Difference: experimental minus control with Miettinen–Nurminen limits; Fisher's exact p; "
                "adjusted p: Firth logistic model with time on treatment; q: false discovery rate over the "
                "rows gained at least once, within specimen: pathways, genes, and the classes of genes (such as RB1 mutation) are "
                "three families."
                if two
                else ""
            ),
            f"Shown are at most {top} pathways and {top} genes a specimen, those gained most often and genes gained at "
            f"least once; {hidden} further rows are in the "
            "table only."
            if hidden
            else "",
            "One kind of a gene's alterations (mutation, amplification, deletion, fusion) has its own row only where its "
            "pairs evaluable, gained or lost differ from the gene's.",
            "The figure does not show subjects without a pair, who differ from those with one; nor what was lost. "
            "Subjects treated for longer have had more time to gain alterations.",
            simulated=simulated,
        ),
    )


def _choose(acquired: pd.DataFrame, top: int) -> tuple[list[tuple[str, str, str]], int]:
    """Return the rows to draw, by specimen: pathways, then genes by pairs gained; and how many are left out."""
    if not len(acquired):
        return [], 0
    totals = (
        acquired.groupby(["specimen", "level", "name"], sort=True)[["gained", "evaluable"]]
        .sum()
        .reset_index()
    )
    totals = totals[totals["evaluable"] > 0]
    same = _repeats(acquired)
    repeated = [
        key in same for key in zip(totals["specimen"], totals["level"], totals["name"], strict=True)
    ]
    totals = totals[~np.array(repeated, dtype=bool)]
    chosen: list[tuple[str, str, str]] = []
    for specimen in sorted(totals["specimen"].unique()):
        for level in LEVELS:
            part = totals[(totals["specimen"] == specimen) & (totals["level"] == level)]
            part = part.sort_values(["gained", "name"], ascending=[False, True], kind="stable")
            part = part[(part["gained"] > 0) | (level == "pathway")]
            chosen += [(level, name, specimen) for name in part["name"].iloc[:top]]
    return chosen, len(totals) - len(chosen)


def _repeats(acquired: pd.DataFrame) -> set[tuple[str, str, str]]:
    """Return (specimen, level, name) of single kinds that would be drawn as their gene is in every arm."""
    numbers = [column for column in ("evaluable", "gained", "lost") if column in acquired]
    counts = {
        key: sorted(part[["arm", *numbers]].itertuples(index=False, name=None))
        for key, part in acquired.groupby(["specimen", "level", "name"], sort=False)
    }
    found = set()
    for (specimen, level, name), here in counts.items():
        gene, _, kind = str(name).rpartition(" ")
        if kind in KINDS and counts.get((specimen, level, gene)) == here:
            found.add((specimen, level, name))
    return found


def _comparison(line: pd.Series | None) -> list[str]:
    """Return the cells of the comparison between arms."""
    if line is None:
        return ["–"] * 4
    difference = [line[f"rate_difference{end}"] for end in ("", "_low", "_high")]
    shown = [100 * value if finite(value) else np.nan for value in difference]
    return [
        format_interval(*shown, digits=0),
        format_p(line["p_fisher"]),
        format_p(line["p_adjusted"]),
        format_p(line["q_value"]),
    ]
