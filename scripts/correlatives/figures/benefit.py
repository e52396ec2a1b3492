"""Whether those predicted to benefit more from the experimental arm did benefit more."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from correlatives.figures.style import (
    BLUE,
    DIM,
    RULE,
    SINGLE,
    SMALL,
    VERMILLION,
    Drawn,
    caption,
    constrain,
    finite,
    format_interval,
    format_number,
    new_figure,
    no_data,
    p_equals,
    rst_escape,
    styled,
    text_width,
)

COLUMNS = (
    "group",
    "predicted",
    "effect_measure",
    "observed",
    "low",
    "high",
    "n_control",
    "n_experimental",
    "events_control",
    "events_experimental",
)


@styled
def draw(
    groups: pd.DataFrame, benefit: pd.DataFrame, endpoint: str, *, simulated: bool = False
) -> Drawn:
    """Draw the observed difference between the arms over the predicted one.

    Parameters
    ----------
    groups : pd.DataFrame
        ``response/benefit_by_quantile.tsv``.
    benefit : pd.DataFrame
        ``response/benefit.tsv``: c_for_benefit with its limits, score_z with its re-randomisation p and the draws behind it.
    endpoint : str
    simulated : bool

    Returns
    -------
    Drawn
        Source: the groups drawn.
    """
    title = f"{rst_escape(endpoint)}: treatment effect by predicted benefit."
    own = groups[groups["endpoint"] == endpoint]
    known = own[np.isfinite(own["observed"].astype(float))]
    if not len(known):
        told = own if len(own) else benefit[benefit["endpoint"] == endpoint]
        notes = told["note"] if "note" in told else pd.Series(dtype=object)
        said = [str(note) for note in notes.dropna().unique() if str(note)]
        why = said[0] if said else f"nobody's benefit on {endpoint} was predicted"
        return no_data(why, title=title, columns=COLUMNS, simulated=simulated)
    survival = str(known["effect_measure"].iloc[0]) == "survival_difference"
    months = known["horizon_months"].iloc[0]
    what = f"event-free at {months:g} months" if survival else "response rate"
    figure, top = new_figure(SINGLE, 3.1, simulated=simulated)
    axes = figure.add_subplot()
    values = known[["predicted", "observed", "low", "high"]].to_numpy(dtype=float)
    x = values[:, 0]
    air = 0.12 * max(float(np.ptp(x)), 0.05)
    left, right = float(x.min()) - air, float(x.max()) + air
    axes.axhline(0, color=DIM, linewidth=0.6, zorder=0)
    axes.plot([left, right], [left, right], color=RULE, linewidth=0.6, zorder=0)
    for place, observed, low, high in values:
        colour = VERMILLION if observed > 0 else BLUE
        if finite(low) and finite(high):
            axes.plot([place, place], [low, high], color=colour, linewidth=0.9)
        axes.plot(place, observed, "o", markersize=4, color=colour, gid="group")
    ends = np.r_[values[:, 1:].ravel(), left, right, 0.0]
    ends = ends[np.isfinite(ends)]
    spread = max(float(np.ptp(ends)), 0.1)
    bottom = float(ends.min()) - 0.2 * spread
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, float(ends.max()) + 0.06 * spread)
    axes.set_xlabel(f"Predicted difference, {what}\n{_printed(benefit, endpoint)}".rstrip())
    axes.set_ylabel("Observed difference\n(experimental − control)")
    constrain(figure, top)
    _count(axes, known, bottom, spread)
    n = int(own[["n_control", "n_experimental"]].to_numpy().sum())
    events = int(own[["events_control", "events_experimental"]].to_numpy().sum())
    left_out = len(own) - len(known)
    return Drawn(
        figure,
        own[list(COLUMNS)].reset_index(drop=True),
        caption(
            title,
            f"{n} subjects, {events} {'events' if survival else 'responders'}, {_grouped(len(own))} "
            "predicted benefit: the predicted difference between the arms, by models fitted on other subjects. Points: "
            + (
                f"difference of the Kaplan–Meier estimates at {months:g} months with Greenwood's 95 % limits"
                if survival
                else "difference of the response rates with Miettinen–Nurminen 95 % limits"
            )
            + ", in the colour of the arm that did better (orange: experimental, blue: control); numbers: subjects, control + experimental; oblique line: benefit as "
            "predicted; level line: no difference.",
            f"{left_out} of the groups could not be estimated: the table says why."
            if left_out
            else "",
            "c-for-benefit: the share of pairs of matched pairs in which the one predicted to benefit more did, over all repeats.",
            _tested(benefit, endpoint),
            "Points that do not rise from left to right, or a c-for-benefit around 0.5, mean that nobody was found who benefits "
            "more than others.",
            "The figure does not show that a marker decides about benefit, nor whom to treat.",
            simulated=simulated,
        ),
    )


def _grouped(groups: int) -> str:
    """Return into what subjects were put."""
    if groups == 1:
        return "in one group, their number or the spread of the predictions being too small for more, by"
    return f"in {groups} groups of equal size by"


def _count(axes: Axes, known: pd.DataFrame, bottom: float, spread: float) -> None:
    """Write the subjects of each group at the bottom, one step higher where the number before is too near."""
    inch = axes.figure.dpi
    ends = [-np.inf] * 3
    for line in known.sort_values("predicted").itertuples(index=False):
        text = f"{int(line.n_control)} + {int(line.n_experimental)}"
        half = text_width(text, SMALL) * inch / 2 + 0.02 * inch
        x = axes.transData.transform((line.predicted, bottom))[0]
        free = [step for step, end in enumerate(ends) if x - half > end] or [2]
        ends[free[0]] = x + half
        axes.text(
            line.predicted,
            bottom + (0.02 + 0.055 * free[0]) * spread,
            text,
            ha="center",
            va="bottom",
            fontsize=SMALL,
            color=DIM,
        )


def _printed(benefit: pd.DataFrame, endpoint: str) -> str:
    """Return the c-for-benefit, and below it the score with the p-value that is its, as far as the table has them."""
    rows = benefit[benefit["endpoint"] == endpoint].set_index("metric")
    said = []
    if "c_for_benefit" in rows.index and finite(rows.loc["c_for_benefit", "estimate"]):
        line = rows.loc["c_for_benefit"]
        said.append(f"c-for-benefit {format_interval(line['estimate'], line['low'], line['high'])}")
    if "score_z" in rows.index and finite(rows.loc["score_z", "estimate"]):
        line = rows.loc["score_z"]
        text = f"score Z {format_number(line['estimate'])}"
        if finite(line["p_randomisation"]):
            text += (
                f", re-randomisation p {p_equals(line['p_randomisation'])} "
                f"({_drawn(line['randomisations'])})"
            )
        said.append(text)
    return "\n".join(said)


def _drawn(randomisations: float) -> str:
    """Return how many times the arms were drawn."""
    return f"{int(randomisations):,} draw{'' if randomisations == 1 else 's'}"


def _tested(benefit: pd.DataFrame, endpoint: str) -> str:
    """Say what the p-value is of, from how many draws, and how small it can be."""
    own = benefit[(benefit["endpoint"] == endpoint) & (benefit["metric"] == "score_z")]
    if not len(own) or not finite(own["estimate"].iloc[0]):
        return ""
    said = (
        "Score Z: the score of arm × predicted benefit over its standard error, in the first repeat, positive where those "
        "predicted to benefit more did"
    )
    draws = own["randomisations"].iloc[0]
    if not finite(own["p_randomisation"].iloc[0]):
        return f"{said}; it was not tested."
    return (
        f"{said}. Its p-value, one-sided, is of {_drawn(draws)} of the arms anew, for each of which the whole procedure was "
        f"repeated; the smallest that these allow is {1 / (1 + draws):.2g}. It is no test of the c-for-benefit."
    )
