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

COLUMNS = ("model", "false_positive_rate", "true_positive_rate")

#: The AUC of predictions that say nothing.
CHANCE = 0.5

#: Predictors that differ by less, relatively, are ties, as for the AUC.
ROUNDING = 1e-12


@styled
def draw(
    predictions: pd.DataFrame,
    endpoint: str,
    *,
    performance: pd.DataFrame | None = None,
    simulated: bool = False,
) -> Drawn:
    """Draw one curve a model: the mean over all that was held out together, with the AUC of the table as its area.

    Parameters
    ----------
    predictions : pd.DataFrame
        Out-of-fold predictions of the endpoint: subject (order number), repeat, fold, model, outcome 0/1, predictor,
        probability, and of a time to event time_months and horizon_months.
    endpoint : str
    performance : pd.DataFrame, optional
        ``response/performance.tsv``: the AUC printed (metric ``auc``, ``auc_at_{months}_months``). It is not computed
        here.
    simulated : bool

    Returns
    -------
    Drawn
        Source: model, false_positive_rate, true_positive_rate.

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
        false_positive, true_positive = mean_curve(rows[rows["model"] == model])
        sources.append(
            pd.DataFrame(
                {
                    "model": model,
                    "false_positive_rate": false_positive,
                    "true_positive_rate": true_positive,
                }
            )
        )
        auc = metric(performance, endpoint, model, f"auc{known.behind}")
        name = shorten(model, 1.9, SMALL)
        axes.plot(
            false_positive,
            true_positive,
            color=colour,
            linestyle=line,
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
            "Every prediction is of a subject whom the model had not seen. Lines: mean, at equal false positive rates, of "
            "the curves of the folds of all repeats, each weighted by its pairs to compare, so that the area "
            "under a line is the AUC of the performance table; grey: chance. AUC with 95 % limits, which allow for what "
            "refitting on other subjects would change (Nadeau & Bengio 2003).",
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
    outcome: np.ndarray, predictor: np.ndarray, weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates at every threshold, from (0, 0) to (1, 1); ties are one step.

    Parameters
    ----------
    outcome : np.ndarray of 0 and 1, shape (n,)
        Both present.
    predictor : np.ndarray, shape (n,)
        Larger: the outcome is more probable. Those that differ by rounding only are ties.
    weight : np.ndarray, shape (n,), optional
        How many subjects each stands for.
    """
    order = np.argsort(-predictor, kind="stable")
    weight = np.ones(len(outcome)) if weight is None else weight
    falling = predictor[order]
    last = np.r_[-np.diff(falling) > ROUNDING * (1.0 + np.abs(falling[:-1])), True]
    negative, positive = (np.cumsum((weight * (outcome == status))[order]) for status in (0, 1))
    return np.r_[0.0, negative[last] / negative[-1]], np.r_[0.0, positive[last] / positive[-1]]


def mean_curve(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean curve of what was held out together, whose area is the AUC of the performance table.

    The AUC compares subjects of one fold only, since models of different folds are not on one scale. It is the mean of the
    folds' areas, weighted by their pairs; so is this curve of the folds' curves, exactly, steps included.

    Parameters
    ----------
    rows : pd.DataFrame
        Predictions of one model: repeat, fold, status, weight, predictor.

    Returns
    -------
    false_positive, true_positive : np.ndarray
        Every place where a fold's curve bends, twice: just before it and at it.
    """
    curves, pairs = [], []
    for _, block in rows.groupby(["repeat", "fold"], sort=True):
        status, predictor, weight = (
            block[name].to_numpy(dtype=float) for name in ("status", "predictor", "weight")
        )
        compared = weight[status == 1].sum() * weight[status == 0].sum()
        if compared > 0:
            curves.append(roc_curve(status, predictor, weight))
            pairs.append(compared)
    places = np.unique(np.concatenate([false_positive for false_positive, _ in curves]))
    heights = np.average([_heights(*curve, places) for curve in curves], axis=0, weights=pairs)
    return np.repeat(places, 2), heights.ravel()


def _heights(
    false_positive: np.ndarray, true_positive: np.ndarray, places: np.ndarray
) -> np.ndarray:
    """Return a curve's height just before, and at, false positive rates, shape (places, 2)."""
    before = np.searchsorted(false_positive, places, side="left")
    at = np.searchsorted(false_positive, places, side="right") - 1
    # between two points of the curve: on the line that joins them
    span = false_positive[before] - false_positive[at]
    inside = before > at
    share = np.where(inside, places - false_positive[at], 0.0) / np.where(inside, span, 1.0)
    between = true_positive[at] + share * (true_positive[before] - true_positive[at])
    return np.column_stack([np.where(inside, between, true_positive[end]) for end in (before, at)])
