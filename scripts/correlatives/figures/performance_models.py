"""What each model and each kind of specimen adds: performance side by side."""

from __future__ import annotations

import re

import pandas as pd

from correlatives.figures.predictions import model_styles
from correlatives.figures.style import (
    DOUBLE,
    NORMAL,
    RULE,
    SMALL,
    Drawn,
    caption,
    finite,
    format_interval,
    new_figure,
    no_data,
    place,
    rst_escape,
    styled,
    wrap,
)

COLUMNS = ("model", "metric", "estimate", "low", "high", "n", "events")

#: Metric, without its horizon -> heading, and the value of a model that knows nothing.
PANELS = {
    "auc": ("AUC", 0.5),
    "c_index_ipcw": ("C-index (IPCW)", 0.5),
    "brier": ("Brier score", None),
    "auc_gain": ("Gain in AUC\nover clinical", 0.0),
    "c_index_ipcw_gain": ("Gain in C-index\nover clinical", 0.0),
}

#: Inches: a row, names at the left, head and foot, air between panels.
ROW, LEFT, HEAD, FOOT, GAP, RIGHT = 0.36, 1.45, 0.38, 0.3, 0.22, 0.12


@styled
def draw(performance: pd.DataFrame, endpoint: str, *, simulated: bool = False) -> Drawn:
    """Draw the performance of every model with its limits.

    Parameters
    ----------
    performance : pd.DataFrame
        ``response/performance.tsv``.
    endpoint : str
    simulated : bool

    Returns
    -------
    Drawn
        Source: the rows drawn.
    """
    title = f"{rst_escape(endpoint)}: performance by model and specimen."
    own = performance[performance["endpoint"] == endpoint]
    found = {
        metric: _panel(metric)
        for metric in dict.fromkeys(own["metric"])
        if _panel(metric) is not None
    }
    order = list(PANELS)
    metrics = sorted(found, key=lambda metric: order.index(found[metric][0]))
    if not metrics:
        return no_data(
            f"no model of {endpoint} was judged",
            title=title,
            columns=COLUMNS,
            simulated=simulated,
            width=DOUBLE,
        )
    own = own[own["metric"].isin(metrics)]
    styles = model_styles(own)
    models = list(dict.fromkeys(own["model"]))
    height = HEAD + FOOT + ROW * len(models)
    figure, top = new_figure(DOUBLE, height, simulated=simulated)
    width = (DOUBLE - LEFT - RIGHT - GAP * (len(metrics) - 1)) / len(metrics)
    total = figure.get_size_inches()[1]
    for row, model in enumerate(models):
        figure.text(
            (LEFT - 0.1) / DOUBLE,
            (top - HEAD - (row + 0.5) * ROW) / total,
            "\n".join(wrap(str(model), LEFT - 0.15, NORMAL)),
            ha="right",
            va="center",
            fontsize=NORMAL,
            linespacing=1.1,
        )
    for column, metric in enumerate(metrics):
        kind, months = found[metric]
        heading, nothing = PANELS[kind]
        axes = place(figure, LEFT + column * (width + GAP), FOOT, width, ROW * len(models))
        axes.set_ylim(len(models), 0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_title(
            f"{heading}\nat {months} months" if months else heading,
            fontsize=NORMAL,
            loc="left",
        )
        if nothing is not None:
            axes.axvline(nothing, color=RULE, linewidth=0.6, zorder=0)
        part = own[own["metric"] == metric].set_index("model")
        for row, model in enumerate(models):
            if model not in part.index:
                continue
            line = part.loc[model]
            colour, _, marker = styles[model]
            y = row + 0.42
            if finite(line["low"]) and finite(line["high"]):
                axes.plot([line["low"], line["high"]], [y, y], color=colour, linewidth=1.0)
            if finite(line["estimate"]):
                axes.plot(line["estimate"], y, marker, color=colour, markersize=4)
            axes.text(
                0.0,
                row + 0.83,
                _printed(line),
                transform=axes.get_yaxis_transform(),
                fontsize=SMALL,
                va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            )
        axes.margins(x=0.06)
        axes.locator_params(axis="x", nbins=4, steps=[1, 2, 5, 10])
    counted = own.iloc[0]
    survival = any(found[metric][0].startswith("c_index") for metric in metrics)
    return Drawn(
        figure,
        own[list(COLUMNS)].reset_index(drop=True),
        caption(
            title,
            f"{int(counted['n'])} subjects, {int(counted['events'])} {'events' if survival else 'responders'}.",
            "Points: performance in subjects whom the model had not seen, with 95 % limits as in the performance table. "
            "Models differ in what they may use: clinical columns only, biomarkers of one kind of specimen besides, or "
            "all of them; the random forest is the flexible reference. Vertical lines: a model that knows nothing, or adds "
            "nothing to the clinical one; the Brier score has none (smaller is better, and what is small depends on how many "
            f"{'have the event' if survival else 'respond'}).",
            "C-index (IPCW): pairs are weighted by the inverse probability of being uncensored (Uno 2011)."
            if survival
            else "",
            "The figure does not show performance in another hospital's patients.",
            simulated=simulated,
        ),
    )


def _printed(line: pd.Series) -> str:
    """Return an estimate with its limits in two decimals, however small they are."""
    ends = [
        round(value, 2) + 0.0 if finite(value) else value
        for value in line[["estimate", "low", "high"]]
    ]
    return format_interval(*ends)


def _panel(metric: object) -> tuple[str, str] | None:
    """Return which panel shows a metric, and its horizon in months; None where none does."""
    found = re.fullmatch(r"(\w+?)(?:_at_([\d.]+)_months)?(_gain)?", str(metric))
    if found is None:
        return None
    kind = f"{found[1]}{found[3] or ''}"
    return (kind, found[2] or "") if kind in PANELS else None
