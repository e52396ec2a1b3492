"""Whether decisions by a model would do more good than treating all or none."""

from __future__ import annotations

import numpy as np
import pandas as pd

from correlatives.figures.predictions import model_styles
from correlatives.figures.style import (
    DIM,
    RULE,
    SINGLE,
    SMALL,
    Drawn,
    caption,
    constrain,
    format_number,
    new_figure,
    no_data,
    rst_escape,
    shorten,
    styled,
)

COLUMNS = ("model", "threshold", "net_benefit", "net_benefit_all", "net_benefit_none")

#: A net benefit that differs less from 0 is 0 to the eye, and the thresholds beyond are left out.
LEAST = 0.002


@styled
def draw(
    curves: pd.DataFrame,
    endpoint: str,
    *,
    performance: pd.DataFrame | None = None,
    simulated: bool = False,
) -> Drawn:
    """Draw the net benefit of each model over the threshold probability.

    Parameters
    ----------
    curves : pd.DataFrame
        ``response/decision_curve.tsv``: endpoint, model, horizon_months (empty for a response), threshold,
        net_benefit, net_benefit_all, net_benefit_none.
    endpoint : str
    performance : pd.DataFrame, optional
        ``response/performance.tsv``: n and events.
    simulated : bool

    Returns
    -------
    Drawn
        Source: the curves drawn.

    References
    ----------
    Vickers AJ, Elkin EB. Medical Decision Making 2006;26:565-574.
    """
    title = f"{rst_escape(endpoint)}: decision curves of the response models."
    own = curves[curves["endpoint"] == endpoint]
    own = own[own["net_benefit"].notna()]
    if not len(own):
        return no_data(
            f"{endpoint} has no predictions to decide by",
            title=title,
            columns=COLUMNS,
            simulated=simulated,
        )
    months = own["horizon_months"].iloc[0] if "horizon_months" in own else np.nan
    survival = bool(np.isfinite(months))
    away = own[own["net_benefit"].abs() > LEAST]["threshold"]
    last = float(min(max(away.max() if len(away) else 0.5, 0.2) + 0.05, 1.0))
    own = own[own["threshold"] <= last]
    figure, top = new_figure(SINGLE, 3.4, simulated=simulated)
    axes = figure.add_subplot()
    first = own[own["model"] == own["model"].iloc[0]].sort_values("threshold")
    axes.plot(
        first["threshold"], first["net_benefit_all"], color=RULE, linewidth=0.9, label="everybody"
    )
    axes.axhline(0, color=DIM, linewidth=0.7, label="nobody")
    for model, (colour, line, _) in model_styles(own).items():
        part = own[own["model"] == model].sort_values("threshold")
        axes.plot(
            part["threshold"],
            part["net_benefit"],
            color=colour,
            linestyle=line,
            linewidth=1.0,
            label=shorten(str(model), 2.4, SMALL),
        )
    highest = max(float(own["net_benefit"].max()), float(first["net_benefit_all"].max()), 0.02)
    axes.set_xlim(0, last)
    lowest = -0.25 * highest
    axes.set_ylim(lowest, 1.06 * highest)
    what = f"risk of the event until {months:g} months" if survival else "probability of response"
    axes.set_xlabel(f"Threshold: {what}")
    axes.set_ylabel("Net benefit")
    figure.legend(loc="outside lower center", fontsize=SMALL, ncols=2)
    constrain(figure, top)
    counted = "" if performance is None else _counted(performance, endpoint, survival)
    return Drawn(
        figure,
        own[list(COLUMNS)].reset_index(drop=True),
        caption(
            title,
            counted,
            "Net benefit of acting on everybody whose predicted "
            f"{what} reaches the threshold: the share of true positives less that of false positives, weighted by the odds "
            "of the threshold. Acting on everybody and on nobody are the strategies to beat. Predictions are of subjects whom "
            "the model had not seen"
            + ("; those censored before are weighted for." if survival else ".")
            + " Each repeat of the cross-validation has a curve by its own predictions, and their mean is drawn, while the "
            "calibration figure shows each subject's mean prediction over the repeats. Thresholds beyond which no model acts on anybody are left out.",
            f"Curves are cut at a net benefit of {format_number(lowest)}."
            if (own[["net_benefit", "net_benefit_all"]] < lowest).to_numpy().any()
            else "",
            "The figure does not show how sure the curves are: where they run close together, none is better.",
            simulated=simulated,
        ),
    )


def _counted(performance: pd.DataFrame, endpoint: str, survival: bool) -> str:
    rows = performance[performance["endpoint"] == endpoint]
    if not len(rows):
        return ""
    n, events = int(rows["n"].iloc[0]), int(rows["events"].iloc[0])
    return f"{n} subjects, {events} {'events' if survival else 'responders'}."
