"""Response rates by arm."""

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

COLUMNS = ("endpoint", "arm", "n", "responders", "rate", "rate_low", "rate_high")


@styled
def draw(
    by_arm: pd.DataFrame,
    contrast: pd.DataFrame | None = None,
    *,
    arms: Mapping[str, str],
    simulated: bool = False,
) -> Drawn:
    """Draw the response rates with their limits, and the comparison between arms.

    Parameters
    ----------
    by_arm : pd.DataFrame
        ``efficacy/response_by_arm.tsv``.
    contrast : pd.DataFrame, optional
        ``efficacy/response_contrast.tsv``.
    arms : mapping
        ``{"control": label, "experimental": label}``, or ``{"all": label}``.
    simulated : bool

    Returns
    -------
    Drawn
        Source: endpoint, arm, n, responders, rate with its limits.
    """
    title = "Response by arm." if len(arms) > 1 else "Response."
    if not len(by_arm):
        return no_data("no response endpoint", title=title, columns=COLUMNS, simulated=simulated)
    styles = arm_styles(arms)
    two = contrast is not None and len(contrast) > 0 and len(arms) > 1
    # The table has a Cochran–Mantel–Haenszel p where the study names strata, and then the odds ratio is pooled over them.
    stratified = two and contrast["p_cmh"].notna().any()
    rows = []
    for endpoint in by_arm["endpoint"].unique():
        cells: list[str | tuple[str, str]] = [str(endpoint)]
        marks = []
        for i, label in enumerate(styles):
            found = by_arm[(by_arm["endpoint"] == endpoint) & (by_arm["arm"] == label)]
            if not len(found):
                cells.append("–")
                continue
            line = found.iloc[0]
            shown = [
                100 * line[c] if finite(line[c]) else np.nan
                for c in ("rate", "rate_low", "rate_high")
            ]
            cells.append(
                (
                    f"{format_number(line['responders'], 0)} / {format_number(line['n'], 0)}",
                    f"{format_interval(*shown, digits=0)} %" if finite(shown[0]) else "",
                )
            )
            style = styles[label]
            marks.append(
                Mark(
                    line["rate"],
                    line["rate_low"],
                    line["rate_high"],
                    style.colour,
                    style.marker,
                    offset=(i - (len(styles) - 1) / 2) * 0.8,
                )
            )
        if two:
            found = contrast[contrast["endpoint"] == endpoint]
            cells += _comparison(found.iloc[0] if len(found) else None)[: 4 if stratified else 3]
        rows.append(Row(cells, [marks]))
    columns: list[Column | Plot] = [Column("Endpoint", "left", 1.2)]
    columns += [Column(f"{shorten(label, 1.2)} responders/n", room=1.05) for label in styles]
    columns += [
        Plot("Rate (%)", reference=None, logarithmic=False, percent=True, limits=(0.0, 1.0))
    ]
    if two:
        columns += [
            Column("Difference, % (95 % CI)", room=1.15),
            Column("OR, stratified (95 % CI)" if stratified else "OR, exact (95 % CI)", room=1.2),
            Column("Fisher p", room=0.45),
        ]
    if stratified:
        columns.append(Column("CMH p", room=0.45))
    laid = lay_out(
        columns,
        rows,
        simulated=simulated,
        key=[(label, Mark(1, 1, 1, s.colour, s.marker)) for label, s in styles.items()],
    )
    source = by_arm[by_arm["arm"].isin(list(styles))]
    return Drawn(
        laid.figure,
        source[[c for c in COLUMNS if c in source]].reset_index(drop=True),
        caption(
            title,
            "Responders over subjects of the primary population"
            + (", by arm; " if len(styles) > 1 else "; ")
            + "rates with Clopper–Pearson 95 % limits.",
            f"Difference: {rst_escape(arms['experimental'])} minus {rst_escape(arms['control'])} with "
            "Miettinen–Nurminen limits and p by Fisher's exact test, neither stratified. "
            + (
                "Odds ratio (OR): Mantel–Haenszel over the randomisation strata with Robins–Breslow–Greenland limits, and the "
                "Cochran–Mantel–Haenszel (CMH) test of it. The subgroup figure's odds ratio of all subjects is of a "
                "logistic model with the strata as terms and Firth's penalty, and differs; in a small study by much, the "
                "penalty drawing it towards 1."
                if stratified
                else "Odds ratio (OR): conditional maximum likelihood with exact limits, not stratified."
            )
            if two
            else "",
            "The figure does not show how long responses lasted, nor how deep they were.",
            simulated=simulated,
        ),
    )


def _comparison(line: pd.Series | None) -> list[str]:
    """Return the cells of the comparison between arms."""
    if line is None:
        return ["–"] * 4
    shown = [
        100 * line[f"difference{end}"] if finite(line[f"difference{end}"]) else np.nan
        for end in ("", "_low", "_high")
    ]
    return [
        format_interval(*shown, digits=0),
        format_interval(line["odds_ratio"], line["odds_ratio_low"], line["odds_ratio_high"]),
        format_p(line["p_fisher"]),
        format_p(line["p_cmh"]),
    ]
