"""How well predictions tell responders from others: receiver operating characteristic."""

from __future__ import annotations

import numpy as np
import pandas as pd

from correlatives.figures.predictions import counts, metric, model_styles, of_response
from correlatives.figures.style import (
    RULE,
    SINGLE,
    SMALL,
    Drawn,
    caption,
    constrain,
    new_figure,
    no_data,
    rst_escape,
    shorten,
    styled,
)

COLUMNS = ("model", "repeat", "false_positive_rate", "true_positive_rate")

#: The AUC of predictions that say nothing.
CHANCE = 0.5

#: False positive rates at which the repeats' curves are averaged.
GRID = np.linspace(0, 1, 101)


@styled
def draw(
    predictions: pd.DataFrame,
    endpoint: str,
    *,
    performance: pd.DataFrame | None = None,
    simulated: bool = False,
) -> Drawn:
    """Draw the curve of each model, averaged over repeats.

    Parameters
    ----------
    predictions : pd.DataFrame
        Out-of-fold predictions of the endpoint: subject (order number), repeat, model, outcome 0/1, probability.
    endpoint : str
    performance : pd.DataFrame, optional
        ``response/performance.tsv``: the AUC printed (metric ``auc``). It is not computed here.
    simulated : bool

    Returns
    -------
    Drawn
        Source: model, repeat (empty: the mean), false_positive_rate, true_positive_rate.
    """
    title = f"{rst_escape(endpoint)}: discrimination of the response models."
    known = of_response(predictions)
    if not len(known) or known["outcome"].nunique() < 2:
        why = (
            f"{endpoint} has no predicted probabilities"
            if not len(known)
            else f"all predicted subjects have the same outcome of {endpoint}"
        )
        return no_data(why, title=title, columns=COLUMNS, simulated=simulated)
    figure, top = new_figure(SINGLE, 3.3, simulated=simulated)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=0.6, zorder=0)
    sources = []
    for model, (colour, line, _) in model_styles(known).items():
        curves = []
        part = known[known["model"] == model]
        for repeat, rows in part.groupby("repeat", sort=True):
            false_positive, true_positive = roc_curve(
                rows["outcome"].to_numpy(dtype=float), rows["probability"].to_numpy(dtype=float)
            )
            axes.plot(
                false_positive, true_positive, color=colour, linewidth=0.4, alpha=0.35, zorder=1
            )
            curves.append(at_grid(false_positive, true_positive))
            sources.append(_source(model, repeat, false_positive, true_positive))
        mean = np.mean(curves, axis=0)
        sources.append(_source(model, "", np.r_[0.0, GRID], np.r_[0.0, mean]))
        auc = metric(performance, endpoint, model, ("auc", "roc_auc"))
        name = shorten(model, 1.9, SMALL)
        axes.plot(
            np.r_[0.0, GRID],
            np.r_[0.0, mean],
            color=colour,
            linestyle=line,
            zorder=2,
            label=f"{name}: AUC {auc}" if auc else name,
        )
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    axes.set_xlabel("1 − specificity")
    axes.set_ylabel("Sensitivity")
    figure.legend(loc="outside lower center", fontsize=SMALL)
    constrain(figure, top)
    return Drawn(
        figure,
        pd.concat(sources, ignore_index=True),
        caption(
            title,
            f"{counts(known)}.",
            "Every prediction is of a subject whom the model had not seen. Thin lines: one repeat, all folds pooled; "
            "thick lines: their mean at equal false positive rates. AUC with 95 % limits as in the performance "
            "table, which is not the area under a line of folds pooled. The limits allow for what refitting on other "
            "subjects would change (Nadeau & Bengio 2003).",
            below_chance(performance, endpoint, list(model_styles(known))),
            "The figure does not show whether the probabilities are right (calibration does), nor performance in "
            "another hospital's patients.",
            simulated=simulated,
        ),
    )


def below_chance(performance: pd.DataFrame | None, endpoint: str, models: list[str]) -> str:
    """Say what an AUC below 0.5 with all its limits means; empty where there is none."""
    if performance is None or not len(performance):
        return ""
    rows = performance[
        (performance["endpoint"] == endpoint)
        & performance["model"].isin(models)
        & performance["metric"].astype(str).str.lower().isin(("auc", "roc_auc"))
        & (performance["high"].astype(float) < CHANCE)
    ]
    if not len(rows):
        return ""
    names = ", ".join(rst_escape(name) for name in rows["model"])
    return (
        f"The limits of the AUC lie below 0.5 for: {names}. That is no evidence that biomarkers harm, nor that the "
        "predictions would be right if turned round: models that have found no signal scatter around 0.5, on either "
        "side of it. It means that no signal was found."
    )


def roc_curve(outcome: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates at every threshold, from (0, 0) to (1, 1); ties are one step.

    Parameters
    ----------
    outcome : np.ndarray of 0 and 1, shape (n,)
        Both present.
    probability : np.ndarray, shape (n,)
    """
    order = np.argsort(-probability, kind="stable")
    positive = np.cumsum(outcome[order])
    last = np.r_[np.diff(probability[order]) != 0, True]
    true_positive = np.r_[0.0, positive[last] / positive[-1]]
    number = np.arange(1, len(outcome) + 1)
    false_positive = np.r_[0.0, (number - positive)[last] / (len(outcome) - positive[-1])]
    return false_positive, true_positive


def at_grid(false_positive: np.ndarray, true_positive: np.ndarray) -> np.ndarray:
    """Return the curve's height at ``GRID``; on a vertical stretch, its upper end."""
    last = np.r_[np.diff(false_positive) > 0, True]
    return np.interp(GRID, false_positive[last], true_positive[last])


def _source(
    model: str, repeat: object, false_positive: np.ndarray, true_positive: np.ndarray
) -> pd.DataFrame:
    """Return a curve as rows of the source table."""
    return pd.DataFrame(
        {
            "model": model,
            "repeat": repeat,
            "false_positive_rate": false_positive,
            "true_positive_rate": true_positive,
        }
    )
