"""How well predictions tell responders, or those with an event by the horizon, from others."""

from __future__ import annotations

import numpy as np
import pandas as pd

from correlatives.figures.predictions import Known, known_outcomes, metric, model_styles
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
        Out-of-fold predictions of the endpoint: subject (order number), repeat, model, outcome 0/1, probability, and
        of a time to event time_months and horizon_months.
    endpoint : str
    performance : pd.DataFrame, optional
        ``response/performance.tsv``: the AUC printed (metric ``auc``, ``auc_at_{months}_months``). It is not computed
        here.
    simulated : bool

    Returns
    -------
    Drawn
        Source: model, repeat (empty: the mean), false_positive_rate, true_positive_rate.

    References
    ----------
    Uno H et al. JASA 2007;102:527-537 (cumulative/dynamic curve of a time to event, weighted for censoring).
    """
    title = f"{rst_escape(endpoint)}: discrimination of the response models."
    known = known_outcomes(predictions)
    # those censored before the horizon are neither: the others stand for them
    rows = known.rows[known.rows["weight"] > 0]
    if rows["status"].nunique() < 2:
        return no_data(_why(known, endpoint), title=title, columns=COLUMNS, simulated=simulated)
    styles = model_styles(rows)
    at = f" at {known.months:g} months" if known.survival else ""
    figure, top = new_figure(SINGLE, 3.3, simulated=simulated)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=0.6, zorder=0)
    sources = []
    for model, (colour, line, _) in styles.items():
        curves = []
        for repeat, part in rows[rows["model"] == model].groupby("repeat", sort=True):
            false_positive, true_positive = roc_curve(
                *(part[name].to_numpy(dtype=float) for name in ("status", "probability", "weight"))
            )
            axes.plot(
                false_positive, true_positive, color=colour, linewidth=0.4, alpha=0.35, zorder=1
            )
            curves.append(at_grid(false_positive, true_positive))
            sources.append(_source(model, repeat, false_positive, true_positive))
        mean = np.mean(curves, axis=0)
        sources.append(_source(model, "", np.r_[0.0, GRID], np.r_[0.0, mean]))
        auc = metric(performance, endpoint, model, f"auc{known.behind}")
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
    axes.set_xlabel(f"1 − specificity{at}")
    axes.set_ylabel(f"Sensitivity{at}")
    figure.legend(loc="outside lower center", fontsize=SMALL)
    constrain(figure, top)
    return Drawn(
        figure,
        pd.concat(sources, ignore_index=True),
        caption(
            title,
            f"{known.counted()}.",
            "Every prediction is of a subject whom the model had not seen. Thin lines: one repeat, all folds pooled; "
            "thick lines: their mean at equal false positive rates. AUC with 95 % limits as in the performance "
            "table, which is not the area under a line of folds pooled. The limits allow for what refitting on other "
            "subjects would change (Nadeau & Bengio 2003).",
            f"Sensitivity is of those with the event by {known.months:g} months, specificity of those followed for longer "
            "without it (cumulative/dynamic, Uno 2007), every subject weighted by the inverse probability of being "
            "uncensored, as for the AUC: those censored before are on neither side, and the others stand for them."
            if known.survival
            else "",
            below_chance(performance, endpoint, list(styles), f"auc{known.behind}"),
            "The figure does not show whether the probabilities are right (calibration does), nor performance in "
            "another hospital's patients.",
            simulated=simulated,
        ),
    )


def _why(known: Known, endpoint: str) -> str:
    """Return why there is no curve."""
    if not len(known.rows):
        return f"{endpoint} has no predicted probabilities"
    if known.survival:
        return f"all subjects whose status at {known.months:g} months is known have the same status of {endpoint}"
    return f"all predicted subjects have the same outcome of {endpoint}"


def below_chance(
    performance: pd.DataFrame | None, endpoint: str, models: list[str], name: str
) -> str:
    """Say what an AUC below 0.5 with all its limits means; empty where there is none."""
    if performance is None or not len(performance):
        return ""
    rows = performance[
        (performance["endpoint"] == endpoint)
        & performance["model"].isin(models)
        & (performance["metric"] == name)
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


def roc_curve(
    outcome: np.ndarray, probability: np.ndarray, weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates at every threshold, from (0, 0) to (1, 1); ties are one step.

    Parameters
    ----------
    outcome : np.ndarray of 0 and 1, shape (n,)
        Both present.
    probability : np.ndarray, shape (n,)
    weight : np.ndarray, shape (n,), optional
        How many subjects each stands for.
    """
    order = np.argsort(-probability, kind="stable")
    weight = np.ones(len(outcome)) if weight is None else weight
    last = np.r_[np.diff(probability[order]) != 0, True]
    negative, positive = (np.cumsum((weight * (outcome == status))[order]) for status in (0, 1))
    return np.r_[0.0, negative[last] / negative[-1]], np.r_[0.0, positive[last] / positive[-1]]


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
