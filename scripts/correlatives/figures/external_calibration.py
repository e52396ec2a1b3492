"""Whether the probabilities and risks of a locked model are right in subjects of another study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from correlatives.figures.calibration import (
    draw_groups,
    frame,
    hardly_differ,
    lowess,
    say_alike,
)
from correlatives.figures.style import (
    DIM,
    GREEN,
    SINGLE,
    Drawn,
    caption,
    constrain,
    format_interval,
    new_figure,
    no_data,
    rst_escape,
    styled,
)
from correlatives.response.performance import GROUP, GROUPS

COLUMNS = ("panel", "predicted", "observed", "low", "high", "n", "events")

#: Metric of the performance table -> what it is called under the panel.
PRINTED = {
    "auc": "AUC",
    "c_index_ipcw": "C-index",
    "brier": "Brier",
    "calibration_intercept": "intercept",
    "calibration_slope": "slope",
}


@styled
def draw(
    predictions: pd.DataFrame,
    model: Mapping[str, Any],
    performance: pd.DataFrame,
    *,
    simulated: bool = False,
    notes: Sequence[str] = (),
) -> Drawn:
    """Draw what was observed against what a locked model predicted.

    Parameters
    ----------
    predictions : pd.DataFrame
        ``External.predictions``: predicted, outcome, time_months.
    model : mapping
        As from ``read_locked``.
    performance : pd.DataFrame
        ``External.performance``: printed under the panel.
    simulated : bool
    notes : sequence of str
        Why there is nothing to draw.

    Returns
    -------
    Drawn
        Source: panel (group, smooth), predicted, observed with 95 % limits, n, events (by the horizon; or responders).
    """
    survival = model["type"] == "time_to_event"
    endpoint = str(model["endpoint"])
    title = f"{rst_escape(endpoint)}: calibration of the locked model in these samples."
    if len(predictions) < GROUP or not len(performance):
        why = " ".join(notes).rstrip(".") or f"fewer than {GROUP} outcomes are known"
        return no_data(why, title=title, columns=COLUMNS, simulated=simulated)
    ordered = predictions.sort_values("predicted", kind="stable")
    figure, top = new_figure(SINGLE, 3.4, simulated=simulated)
    axes = figure.add_subplot()
    p, y = (ordered[name].to_numpy(dtype=float) for name in ("predicted", "outcome"))
    time = ordered["time_months"].to_numpy(dtype=float) if survival else None
    rows = draw_groups(axes, p, y, time, model.get("horizon_months", np.nan), colour=GREEN)
    if hardly_differ(p):
        say_alike(axes, p)
    elif not survival:
        grid = np.linspace(p[0], p[-1], 41)
        smooth = np.clip(lowess(p, y, grid), 0, 1)
        axes.plot(grid, smooth, color=GREEN, linewidth=1.0, zorder=1)
        rows += [
            {"panel": "smooth", "predicted": at, "observed": seen}
            for at, seen in zip(grid, smooth, strict=True)
        ]
    axes.vlines(p, -0.07, -0.03, color=DIM, linewidth=0.3)
    frame(axes)
    what = _what(model)
    printed = [
        f"{PRINTED[name]} {format_interval(estimate, low, high)}"
        for metric, estimate, low, high in performance[
            ["metric", "estimate", "low", "high"]
        ].itertuples(index=False)
        if (name := str(metric).split("_at_")[0]) in PRINTED
    ]
    lines = [", ".join(printed[at : at + 2]) for at in range(0, len(printed), 2)]
    axes.set_xlabel("\n".join([f"Predicted {what}", *lines]), linespacing=1.3)
    axes.set_ylabel(f"Observed {what}")
    constrain(figure, top)
    events = int(ordered["outcome"].sum())
    n = len(ordered)
    return Drawn(
        figure,
        pd.DataFrame(rows, columns=list(COLUMNS)),
        caption(
            title,
            f"{n} subjects, {events} {'events' if survival else 'responders'}; locked model "
            f"{rst_escape(model['digest'][:19])}, made from study {rst_escape(model['data_freeze']['study'])} "
            f"({model['data_freeze']['subjects']} subjects). Nothing was refitted.",
            "Points: groups of equal size by prediction "
            f"(at most {GROUPS}, of at least {GROUP} subjects where there are as many), with "
            + (
                f"one minus the Kaplan–Meier estimate at {model['horizon_months']:g} months and its log-log 95 % limits"
                if survival
                else "Wilson 95 % limits; line: locally weighted regression"
            )
            + "; ticks: subjects; diagonal: perfect calibration. Metrics with 95 % limits as in the table of performance "
            "in these samples.",
            "Missing inputs were imputed with constants of the training study, and values outside its range were used as "
            "they are: the table of scores says whose. The figure does not show whether the model helps to decide anything.",
            simulated=simulated,
        ),
    )


def _what(model: Mapping[str, Any]) -> str:
    if model["type"] == "time_to_event":
        return f"risk until {model['horizon_months']:g} months"
    return "probability of response"
