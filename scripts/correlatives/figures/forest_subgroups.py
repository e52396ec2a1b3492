"""Treatment effect in clinical subgroups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from correlatives.figures.forest import Column, Mark, Plot, Row, better, draw_reference, lay_out
from correlatives.figures.style import (
    BLACK,
    Drawn,
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

#: More rows than these do not fit a page, headings of factors counted.
MOST = 58

EFFECTS = {
    "hr": ("HR", "hazard ratio", "Cox model"),
    "odds_ratio": ("OR", "odds ratio", "logistic model"),
}


@styled
def draw(
    subgroups: pd.DataFrame,
    endpoint: str,
    *,
    arms: Mapping[str, str],
    labels: Mapping[str, str] | None = None,
    simulated: bool = False,
) -> Drawn:
    """Draw the treatment effect within the levels of each factor.

    Parameters
    ----------
    subgroups : pd.DataFrame
        One row a level: ``factor`` (empty or ``all`` for everybody), ``level``, ``n_control``,
        ``n_experimental``, ``events_control``, ``events_experimental``, ``hr`` (or ``odds_ratio``) with ``_low``
        and ``_high``, ``p_interaction_lrt`` (of the factor, repeated). A column ``endpoint``, if there, is filtered.
    endpoint : str
    arms : mapping
        ``{"control": label, "experimental": label}``.
    labels : mapping, optional
        Factor -> what it is called in the figure.
    simulated : bool

    Returns
    -------
    Drawn
        Source: the rows drawn, in order.
    """
    title = f"{rst_escape(endpoint)}: treatment effect in subgroups."
    table = subgroups
    if "endpoint" in table:
        table = table[table["endpoint"] == endpoint]
    effect = next(
        (name for name in EFFECTS if name in table and table[name].notna().any()),
        next((name for name in EFFECTS if name in table), "hr"),
    )
    short, words, model = EFFECTS[effect]
    if not len(table):
        return no_data(
            f"no subgroup analysis of {endpoint}",
            title=title,
            columns=list(subgroups.columns),
            simulated=simulated,
        )
    everybody = table["factor"].isna() | table["factor"].isin(["", "all", "All", "overall"])
    table = pd.concat([table[everybody], table[~everybody]])
    # Each factor takes a line for its name.
    lines = np.arange(1, len(table) + 1) + (~table["factor"].duplicated()).cumsum().to_numpy()
    shown = table[lines <= MOST]
    events = shown[["events_control", "events_experimental"]].sum(axis=1)
    largest = max(float(events.max()), 1.0)
    rows = []
    previous: object = None
    overall = np.nan
    for position, (_, line) in enumerate(shown.iterrows()):
        factor = line["factor"]
        whole = bool(everybody.loc[shown.index].iloc[position])
        if whole:
            overall = line[effect]
        elif factor != previous:
            name = (labels or {}).get(str(factor)) or str(factor).replace("_", " ")
            rows.append(Row([name], heading=True))
        same = whole or factor == previous
        previous = factor
        size = 5.2 if whole else 2.4 + 2.6 * np.sqrt(events.iloc[position] / largest)
        mark = Mark(
            line[effect],
            line[f"{effect}_low"],
            line[f"{effect}_high"],
            BLACK,
            "D" if whole else "s",
            size=size,
        )
        rows.append(
            Row(
                [
                    "All subjects" if whole else str(line["level"]),
                    _share(line, "control"),
                    _share(line, "experimental"),
                    format_interval(line[effect], line[f"{effect}_low"], line[f"{effect}_high"]),
                    "" if same else format_p(line["p_interaction_lrt"]),
                ],
                [[mark]],
                bold=whole,
                indent=not whole,
            )
        )
    good_left = effect == "hr"
    counted = "events" if good_left else "responders"
    laid = lay_out(
        [
            Column("Subgroup", "left", 2.5),
            Column(f"{shorten(arms['control'], 1.3)} {counted}/n", room=0.95),
            Column(f"{shorten(arms['experimental'], 1.3)} {counted}/n", room=0.95),
            Plot(
                f"{words.capitalize()}, 95 % limits",
                left=better(arms, "experimental" if good_left else "control"),
                right=better(arms, "control" if good_left else "experimental"),
            ),
            Column(f"{short} (95 % CI)", room=1.2),
            Column("Interaction p", room=0.75),
        ],
        rows,
        simulated=simulated,
    )
    if finite(overall):
        draw_reference(
            laid.axes[0],
            overall,
            rows,
            laid.edges,
            laid.lefts[0],
            color=BLACK,
            linewidth=0.6,
            linestyle=(0, (1, 2)),
        )
    whole_rows = table[everybody.loc[table.index]]
    counts = ""
    numbers = shown["level"].astype(str).str.startswith("≤").any()
    cut = "Numbers are cut at their median, which the lower group holds. " if numbers else ""
    if len(whole_rows):
        line = whole_rows.iloc[0]
        counts = "; ".join(
            f"{rst_escape(arms[role])}: {format_number(line[f'n_{role}'], 0)} subjects, "
            f"{format_number(line[f'events_{role}'], 0)} {counted}"
            for role in ("control", "experimental")
        )
    return Drawn(
        laid.figure,
        shown.reset_index(drop=True),
        caption(
            title,
            f"{counts}." if counts else "",
            f"{counted.capitalize()} over subjects in each arm; {words} of the experimental over the control arm "
            f"({'below' if good_left else 'above'} 1 the experimental arm does better; {model} within "
            "the subgroup, stratified as randomised where the study names strata) with 95 % limits; squares grow with the "
            f"number of {counted}, arrows mark limits beyond the "
            f"axis, – is not estimable. {cut}Dotted line: all subjects. p interaction: likelihood-ratio test of arm × "
            "factor, not adjusted for the number of factors.",
            "With strata, the logistic model has a term for each; the response table pools the same subjects by "
            "Mantel and Haenszel (without strata, by the exact conditional odds ratio), so that its odds ratio of all "
            "subjects differs from the one here; in a small study by much, since the models with few responders have Firth's penalty "
            "(column method of the table)."
            if effect == "odds_ratio"
            else "",
            f"{len(table) - len(shown)} further rows are in the table only."
            if len(table) > len(shown)
            else "",
            "Subgroups overlap and are small: the figure does not show that an effect is present in one subgroup "
            "and absent in another; only the interaction speaks to that. Subjects without a value of a factor are "
            "not in its rows.",
            simulated=simulated,
        ),
    )


def _share(line: pd.Series, role: str) -> str:
    """Return events over subjects of an arm."""
    return f"{format_number(line[f'events_{role}'], 0)} / {format_number(line[f'n_{role}'], 0)}"
