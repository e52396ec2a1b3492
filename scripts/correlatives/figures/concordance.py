"""Whether plasma finds what the tissue has, gene by gene."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from correlatives.figures.forest import Column, Mark, Plot, Row, lay_out
from correlatives.figures.style import (
    BLACK,
    DIM,
    NORMAL,
    SMALL,
    Drawn,
    caption,
    format_interval,
    format_number,
    no_data,
    rst_escape,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CELLS = ("both", "tissue_only", "plasma_only", "neither")

COLUMNS = (
    "name",
    "by",
    "class",
    "pairs",
    *CELLS,
    *(f"{rate}{end}" for rate in ("ppa", "npa", "kappa") for end in ("", "_low", "_high")),
)

#: Colours of a cell that holds all pairs: agreement, and disagreement.
AGREE, DISAGREE = np.array([0.36, 0.36, 0.36]), np.array([0.90, 0.62, 0.0])


@styled
def draw(
    concordance: pd.DataFrame,
    by_class: pd.DataFrame | None = None,
    *,
    top: int = 22,
    simulated: bool = False,
) -> Drawn:
    """Draw a row a gene: its pairs by what tissue and plasma say, and both percent agreements.

    Parameters
    ----------
    concordance : pd.DataFrame
        ``resistance/concordance.tsv``.
    by_class : pd.DataFrame, optional
        ``resistance/concordance_by_class.tsv``: its rows of all genes together are drawn below.
    top : int
        Genes drawn at most, those altered in most subjects.
    simulated : bool

    Returns
    -------
    Drawn
        Source: the rows of the tables that are drawn.
    """
    title = "Alterations in plasma and in tissue of the same subjects."
    # RB1, but not its kinds (RB1 deletion), which are part of it.
    genes = concordance[~concordance["name"].astype(str).str.contains(" ")]
    altered = genes[["both", "tissue_only", "plasma_only"]].sum(axis=1)
    if not len(genes) or not (altered > 0).any():
        return no_data(
            "no gene could be read in tissue and plasma of the same subject"
            if not len(genes)
            else "no alteration was found in subjects whose tissue and plasma could both be read",
            title=title,
            columns=COLUMNS,
            simulated=simulated,
        )
    rank = np.lexsort((genes["name"].astype(str), -altered))
    kept = np.sort([i for i in rank[:top] if altered.iloc[i] > 0])
    shown = genes.iloc[kept].assign(**{"by": "gene", "class": ""})
    parts = [("Genes", shown)]
    if by_class is not None and len(by_class):
        together = by_class[by_class["name"] == "all genes"]
        parts += [
            (f"All genes together, by {by}", lines)
            for by, lines in together.groupby("by", sort=False)
        ]
    rows: list[Row] = []
    for heading, lines in parts:
        rows.append(Row([heading], heading=True))
        for _, line in lines.iterrows():
            marks = [
                [Mark(line[rate], line[f"{rate}_low"], line[f"{rate}_high"], BLACK, marker)]
                for rate, marker in (("ppa", "o"), ("npa", "D"))
            ]
            kappa = [line[f"kappa{end}"] for end in ("", "_low", "_high")]
            rows.append(
                Row(
                    [
                        str(line["class"] or line["name"]),
                        f"{int(line['pairs'])}",
                        format_interval(*kappa)
                        if np.isfinite(kappa[1])
                        else format_number(kappa[0]),
                    ],
                    [[], *marks],
                    indent=True,
                )
            )
    laid = lay_out(
        [
            Column("", "left", 1.5),
            Column("Pairs", room=0.5),
            Plot(
                "Pairs by result",
                reference=None,
                logarithmic=False,
                limits=(0, len(CELLS)),
                weight=1.5,
            ),
            Plot(
                "Positive in plasma, of positive in tissue (%)",
                "positive agreement",
                None,
                False,
                limits=(-0.04, 1.04),
                percent=True,
            ),
            Plot(
                "Negative in plasma, of negative in tissue (%)",
                "negative agreement",
                None,
                False,
                limits=(-0.04, 1.04),
                percent=True,
            ),
            Column("Kappa (95 % CI)", room=1.1),
        ],
        rows,
        simulated=simulated,
    )
    for axes in laid.axes[1:]:
        axes.set_xticks([0.0, 0.5, 1.0])
    lines_drawn = pd.concat([lines for _, lines in parts], ignore_index=True)
    _draw_matrix(laid.axes[0], rows, laid.edges, lines_drawn)
    hidden = int((altered > 0).sum()) - len(shown)
    silent = int((altered == 0).sum())
    return Drawn(
        laid.figure,
        lines_drawn.reindex(columns=list(COLUMNS)),
        caption(
            title,
            f"{int(genes['pairs'].max())} subjects at most have tissue and plasma before treatment that can both be read at a gene; "
            "each row says its own pairs.",
            "The four cells hold the pairs by result, the darker the larger their share of the row: grey where tissue and plasma "
            "agree, orange where they do not. Percent agreement with Clopper–Pearson 95 % limits: tissue is the "
            "reference, not the truth. Kappa with large-sample limits (none where agreement is perfect, nor for all genes together). Rows of all genes count "
            "gene × subject, their limits take the subject as the unit; below the limit of the tumour fraction only positive "
            "calls in plasma can be read, so that no agreement is stated.",
            "Shown are genes altered in tissue or plasma of at least one pair"
            + (
                f", the {len(shown)} altered most often; {hidden} more are in the table only"
                if hidden
                else ""
            )
            + f"; {silent} genes were altered in neither of any pair. Single kinds of alteration are in the table.",
            "The figure does not show subjects in whom one of the two could not be read, nor how long apart the samples "
            f"were taken, gene by gene. {rst_escape('Plasma without tumour DNA')} is not evaluable, not negative.",
            simulated=simulated,
        ),
    )


def _draw_matrix(axes: Axes, rows: list[Row], edges: np.ndarray, lines: pd.DataFrame) -> None:
    """Draw the cells of every row, with their numbers."""
    from matplotlib.patches import Rectangle

    axes.set_xticks(
        np.arange(len(CELLS)) + 0.5,
        ["both", "tissue\nonly", "plasma\nonly", "neither"],
        fontsize=SMALL,
    )
    axes.tick_params(axis="x", length=0, pad=1)
    axes.spines["bottom"].set_visible(False)
    position = 0
    for row, high, low in zip(rows, edges[:-1], edges[1:], strict=True):
        if row.heading:
            continue
        line = lines.iloc[position]
        position += 1
        for j, cell in enumerate(CELLS):
            share = line[cell] / line["pairs"] if line["pairs"] else 0.0
            full = AGREE if cell in ("both", "neither") else DISAGREE
            colour = 1 - (1 - full) * share**0.5
            axes.add_patch(
                Rectangle(
                    (j + 0.04, low + 0.01),
                    0.92,
                    high - low - 0.02,
                    facecolor=colour,
                    edgecolor=DIM if share else "#BBBBBB",
                    linewidth=0.3,
                    gid="cell",
                )
            )
            axes.text(
                j + 0.5,
                (low + high) / 2,
                f"{int(line[cell])}",
                ha="center",
                va="center_baseline",
                fontsize=NORMAL,
                color="white" if float(np.dot(colour, (0.3, 0.59, 0.11))) < 0.55 else BLACK,
            )
