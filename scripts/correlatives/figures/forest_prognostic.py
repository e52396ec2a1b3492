"""Association of each biomarker with outcome in a single-arm study."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from correlatives.figures.forest import Column, Mark, Plot, Row, lay_out
from correlatives.figures.markers import MEASURES, Labels, families, fitted, named, rank, too_few
from correlatives.figures.style import (
    BLACK,
    Drawn,
    caption,
    format_interval,
    format_number,
    format_p,
    no_data,
    open_ended,
    rst_escape,
    styled,
)
from correlatives.multiplicity import LEAST_CARRIERS

if TYPE_CHECKING:
    pass


@styled
def draw(
    table: pd.DataFrame,
    endpoint: str,
    *,
    labels: Labels | None = None,
    top: int = 30,
    simulated: bool = False,
) -> Drawn:
    """Draw the first rows of a prognostic table: confirmatory markers, then by p.

    Parameters
    ----------
    table : pd.DataFrame
        ``prognostic/{endpoint}.tsv``: the marker's effect in ``marker_effect`` (or, as the only arm there is, in
        ``marker_effect_control`` or ``marker_effect_experimental``) with ``_low`` and ``_high``, ``p_prognostic``,
        ``q_value`` and ``p_fwer`` where they are.
    endpoint : str
    labels : mapping, optional
        Biomarker, or (biomarker, specimen), -> the label of the dictionary.
    top : int
        Rows drawn.
    simulated : bool

    Returns
    -------
    Drawn
        Source: the rows drawn, in order, with all columns of the table.
    """
    title = f"{rst_escape(endpoint)}: prognostic association of biomarkers."
    if not len(table):
        return no_data(
            f"no biomarker was tested for {endpoint}",
            title=title,
            columns=list(table.columns),
            simulated=simulated,
        )
    effect = next(
        name
        for name in ("marker_effect", "marker_effect_experimental", "marker_effect_control")
        if name in table
    )
    ordered, ranked_by = rank(table, ("p_prognostic",))
    shown = ordered.iloc[:top]
    words, short, model = MEASURES.get(
        str(shown["effect_measure"].iloc[0]), MEASURES["hazard_ratio"]
    )
    rows: list[Row] = []
    for heading, confirmatory, part in families(table, shown):
        rows.append(Row([heading], heading=True))
        for few, (_, line) in zip(too_few(part), part.iterrows(), strict=True):
            interval = open_ended(*(line[f"{effect}{end}"] for end in ("", "_low", "_high")))
            adjusted = line.get("p_fwer" if confirmatory else "q_value", np.nan)
            rows.append(
                Row(
                    [
                        named(line, labels),
                        f"{format_number(line['events'], 0)} / {format_number(line['n'], 0)}",
                        *(
                            (("too few differ:", "not estimated"), "", "")
                            if few
                            else (
                                format_interval(*interval),
                                format_p(line["p_prognostic"]),
                                format_p(adjusted),
                            )
                        ),
                    ],
                    [[] if few else [Mark(*interval, BLACK, "s")]],
                    indent=True,
                )
            )
    counted = "responders" if short == "OR" else "events"
    sides = ("longer survival", "better"), ("shorter survival", "worse")
    if short == "OR":
        sides = ("fewer responses", "fewer"), ("more responses", "more")
    laid = lay_out(
        [
            Column("Biomarker", "left", 2.4),
            Column("Events / n" if counted == "events" else "Resp. / n", room=0.6),
            Plot(f"{words.capitalize()}, 95 % limits", left=sides[0], right=sides[1]),
            Column(f"{short} (95 % CI)", room=1.15),
            Column("p", room=0.5),
            Column("Adjusted p", room=0.55),
        ],
        rows,
        simulated=simulated,
    )
    largest = format_number(np.nanmax(table["n"].to_numpy(dtype=float)), 0)
    return Drawn(
        laid.figure,
        shown.reset_index(drop=True),
        caption(
            title,
            f"{len(shown)} of {len(table)} tests, each of at most {largest} subjects. {ranked_by} {counted.capitalize()}{' (resp.)' if short == 'OR' else ''} and "
            "subjects are those with a value of the marker.",
            f"{words.capitalize()} per unit under the marker's name ({fitted(shown, model)}) with 95 % limits; arrows mark limits "
            "beyond the axis (0 or ∞: there is none), – is not estimable. p by the likelihood-ratio test of the marker; adjusted within the "
            "family (family-wise for confirmatory, false discovery rate for exploratory markers). Markers in which fewer than "
            f"{LEAST_CARRIERS} subjects differ from the most common value are in no family, and nothing is estimated here.",
            "All subjects had the same treatment: the figure does not show whether a marker tells who benefits "
            "from it. Units differ between markers, so their ratios cannot be compared with each other.",
            simulated=simulated,
        ),
    )
