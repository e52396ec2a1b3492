"""Treatment effect at the levels of each biomarker, and the interaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from correlatives.figures.forest import (
    Band,
    Column,
    Mark,
    Pair,
    Plot,
    Row,
    better,
    draw_reference,
    lay_out,
)
from correlatives.figures.markers import (
    MEASURES,
    Labels,
    families,
    fitted,
    interaction_test,
    is_confirmatory,
    named,
    rank,
    too_few,
)
from correlatives.figures.style import (
    BLACK,
    DIM,
    Drawn,
    caption,
    finite,
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
    from collections.abc import Mapping

#: A detectable ratio beyond this is written as that: no treatment does as much.
MOST_SHOWN = 100


class Overall(NamedTuple):
    """The treatment effect of all subjects: that of ``efficacy/evaluable.tsv``."""

    n: float
    events: float
    estimate: float
    low: float
    high: float


@styled
def draw(
    table: pd.DataFrame,
    endpoint: str,
    *,
    arms: Mapping[str, str],
    overall: Overall | None = None,
    labels: Labels | None = None,
    top: int = 20,
    simulated: bool = False,
) -> Drawn:
    """Draw the first rows of a predictive table: confirmatory markers, then by p.

    Parameters
    ----------
    table : pd.DataFrame
        ``predictive/{endpoint}.tsv``.
    endpoint : str
    arms : mapping
        ``{"control": label, "experimental": label}``.
    overall : Overall, optional
        Drawn as a diamond in a row of its own.
    labels : mapping, optional
        Biomarker, or (biomarker, specimen), -> the label of the dictionary.
    top : int
        Rows drawn.
    simulated : bool

    Returns
    -------
    Drawn
        Source: the rows drawn, in order, with all columns of the table; first that of all subjects (biomarker ``all``, the
        effect in treatment_effect).
    """
    title = f"{rst_escape(endpoint)}: treatment effect by biomarker."
    if not len(table):
        return no_data(
            f"no biomarker was tested for {endpoint}",
            title=title,
            columns=list(table.columns),
            simulated=simulated,
        )
    ordered, ranked_by = rank(table, ("p_randomisation", "p_interaction_lrt"))
    # A confirmatory marker that too few carry is told with its family; an exploratory one takes no result's place.
    last = too_few(ordered) & ~is_confirmatory(ordered)
    shown = pd.concat([ordered[~last], ordered[last]]).iloc[:top]
    words, short, model = MEASURES.get(
        str(shown["effect_measure"].dropna().iloc[0])
        if shown["effect_measure"].notna().any()
        else "hazard_ratio",
        MEASURES["hazard_ratio"],
    )
    p_column = interaction_test(table)
    when = bool(shown["timepoint"].ne(shown["timepoint"].iloc[0]).any())
    rows: list[Row] = [] if overall is None else [_overall_row(overall)]
    for heading, confirmatory, part in families(table, shown):
        rows.append(Row([heading], heading=True))
        rows += [
            _row(line, labels, p_column, confirmatory, when, few)
            for few, (_, line) in zip(too_few(part), part.iterrows(), strict=True)
        ]
    good_left = short == "HR"
    counted = "events" if good_left else "responders"
    laid = lay_out(
        [
            Column("Biomarker", "left", 2.2),
            Column("Events / n" if good_left else "Resp. / n", room=0.5),
            Plot(
                f"Treatment effect ({short})",
                left=better(arms, "experimental" if good_left else "control"),
                right=better(arms, "control" if good_left else "experimental"),
            ),
            Column(f"{short} (95 % CI) at low, high", room=0.95),
            Plot(f"Interaction: ratio of {words}s"),
            Column("Ratio (95 % CI); detectable", room=1.05),
            Column("p", room=0.4),
            Column("Adjusted p", room=0.5),
        ],
        rows,
        simulated=simulated,
        key=[
            ("treatment effect at a low or negative marker", Mark(1, 1, 1, DIM, "o", filled=False)),
            ("at a high or positive marker", Mark(1, 1, 1, BLACK, "o")),
            ("interaction", Mark(1, 1, 1, BLACK, "D")),
        ],
    )
    if overall is not None and finite(overall.estimate):
        draw_reference(
            laid.axes[0],
            overall.estimate,
            rows,
            laid.edges,
            laid.lefts[0],
            color=BLACK,
            linewidth=0.6,
            linestyle=(0, (1, 2)),
        )
    floor = "" if p_column == "p_interaction_lrt" else _smallest(table)
    return Drawn(
        laid.figure,
        _source(shown, overall),
        caption(
            title,
            f"{len(shown)} of {len(table)} tests, each of at most {_largest(table)} subjects. "
            f"{ranked_by} Markers at {rst_escape(', '.join(shown['timepoint'].astype(str).unique()))}. {counted.capitalize()}{'' if good_left else ' (resp.)'} and subjects are those with a value of the marker.",
            f"Left: {words} ({'below' if good_left else 'above'} 1 the experimental arm does better) of {rst_escape(arms['experimental'])} over {rst_escape(arms['control'])}, at a low "
            "marker (open) and a high one (filled): within the levels of a binary marker, at the 25th and 75th "
            "percentile of a continuous one. Right: the interaction, a ratio of such ratios per unit under the marker's name, from "
            f"one model of all subjects ({fitted(shown, model)}; arm + marker + arm × marker) with 95 % limits. It is not the "
            "quotient of the two on the left: those of a binary marker are fitted within each level, and with few "
            "subjects the two may even disagree in direction. Grey, and under the ratio as a number: the smallest "
            "ratio (or its inverse) that this study had 80 % power to see, for a confirmatory marker at its family's critical value, "
            "else at the level of the marker alone. Arrows mark limits beyond the axis (0 or ∞: there is none); – is not estimable. Of markers in "
            f"which fewer than {LEAST_CARRIERS} subjects differ from the most common value nothing is estimated here, and they are in no family; exploratory ones come last.",
            ""
            if overall is None
            else f"Large diamond and dotted line: all {format_number(overall.n, 0)} subjects with the endpoint "
            f"({format_number(overall.events, 0)} {counted}); {_whole(good_left, shown)}",
            (
                "p by the randomisation test" + floor
                if p_column == "p_randomisation"
                else "p by the likelihood-ratio test, which does not hold its level in trials of this size"
            )
            + "; adjusted within the family: family-wise for confirmatory, false discovery rate (q) for "
            "exploratory markers.",
            "The figure does not show that a marker without a small p does not matter: ratios within the grey "
            "band would mostly have been missed. Units differ between markers, so their ratios cannot be compared with "
            "each other. Exploratory rows are the extremes of many tests and overstate their effects.",
            simulated=simulated,
        ),
    )


def _row(
    line: pd.Series,
    labels: Labels | None,
    p_column: str,
    confirmatory: bool,
    when: bool,
    few: bool,
) -> Row:
    """Build one marker's row."""
    measured = f"{format_number(line['events'], 0)} / {format_number(line['n'], 0)}"
    if few:
        # A ratio from two carriers would be read as a result; the table has it, with the note.
        return Row(
            [
                named(line, labels, when=when),
                measured,
                "",
                ("too few carriers:", "not estimated")
                if line["kind"] == "binary"
                else ("too few differ:", "not estimated"),
                "",
                "",
            ],
            [[], []],
            indent=True,
        )
    levels = [
        Mark(
            *_ratio(line, f"treatment_effect_at_{level}"),
            colour,
            "o",
            filled=filled,
            offset=offset,
            size=3.2,
        )
        for level, colour, filled, offset in (
            ("low", DIM, False, -0.42),
            ("high", BLACK, True, 0.42),
        )
    ]
    ratio = _ratio(line, "interaction_ratio")
    interaction: list[Mark | Band] = [Mark(*ratio, BLACK, "D", size=3.4)]
    detectable = line["minimum_detectable_ratio"]
    if finite(detectable) and detectable > 0:
        detectable = max(detectable, 1 / detectable)
        interaction.insert(0, Band(1 / detectable, detectable))
    adjusted = line["p_fwer"] if confirmatory else line["q_value"]
    return Row(
        [
            named(line, labels, when=when),
            measured,
            Pair(
                *(
                    format_interval(*_ratio(line, f"treatment_effect_at_{level}"))
                    for level in ("low", "high")
                ),
                ", ".join(
                    format_number(line[f"treatment_effect_at_{level}"]) for level in ("low", "high")
                ),
            ),
            (
                format_interval(*ratio),
                _detectable(detectable),
            ),
            format_p(line[p_column]),
            format_p(adjusted),
        ],
        [levels, interaction],
        indent=True,
    )


def _ratio(line: pd.Series, name: str) -> tuple[float, float, float]:
    """Return a ratio of the table with its limits."""
    return open_ended(line[name], line[f"{name}_low"], line[f"{name}_high"])


def _detectable(ratio: float) -> str:
    """Say what ratio could have been detected; no effect is as large as some that could not."""
    if not finite(ratio):
        return ""
    return f"detectable {format_number(ratio) if ratio <= MOST_SHOWN else f'>{MOST_SHOWN}'}"


def _overall_row(overall: Overall) -> Row:
    """Build the row of all subjects."""
    interval = overall.estimate, overall.low, overall.high
    return Row(
        [
            "All subjects",
            f"{format_number(overall.events, 0)} / {format_number(overall.n, 0)}",
            format_interval(*interval),
            "",
            "",
            "",
        ],
        [[Mark(*interval, BLACK, "D", size=5.2)], []],
        bold=True,
    )


def _whole(survival: bool, shown: pd.DataFrame) -> str:
    """Say of which model the effect of all subjects is, and in which tables it stands."""
    stratified = shown["method"].astype("str").str.contains(", stratified", regex=False).any()
    if survival:
        return (
            "hazard ratio of efficacy/evaluable.tsv and subgroups.tsv by a Cox model of the arm (Efron's ties"
            f"{', stratified as randomised' if stratified else ''})."
        )
    return (
        "odds ratio of efficacy/evaluable.tsv and subgroups.tsv by a logistic model of the arm with Firth's penalty"
        + (
            " and an indicator of each randomisation stratum, not the Mantel–Haenszel one of response_contrast.tsv."
            if stratified
            else ", not the conditional one of response_contrast.tsv."
        )
    )


def _source(shown: pd.DataFrame, overall: Overall | None) -> pd.DataFrame:
    """Return the numbers drawn."""
    if overall is None:
        return shown.reset_index(drop=True)
    first = pd.DataFrame(
        {
            "biomarker": ["all"],
            "n": [overall.n],
            "events": [overall.events],
            "effect_measure": shown["effect_measure"].iloc[:1].to_numpy(),
            "treatment_effect": [overall.estimate],
            "treatment_effect_low": [overall.low],
            "treatment_effect_high": [overall.high],
        }
    )
    effects = [name for name in first if name not in shown]
    return pd.concat([first, shown], ignore_index=True)[[*shown.columns, *effects]]


def _largest(table: pd.DataFrame) -> str:
    """Return the number of subjects of the row that has most."""
    return format_number(np.nanmax(table["n"].to_numpy(dtype=float)), 0)


def _smallest(table: pd.DataFrame) -> str:
    """Return the smallest p of the table, in words."""
    p = table["p_randomisation"].min()
    return f" (smallest found: {p:.2g})" if finite(p) else ""
