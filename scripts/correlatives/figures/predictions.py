"""What the figures of out-of-fold predictions share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from correlatives.figures.style import BLACK, DIM, GREEN, ORANGE, PURPLE, SKY, format_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Colour, line and marker of the models, in the order in which they come: the clinical one, on which others must
#: improve, steps back. The colours of the arms are not among them.
MODELS = (
    (DIM, (0, (4, 1.4)), "s"),
    (GREEN, "-", "o"),
    (PURPLE, "-.", "^"),
    (ORANGE, (0, (1, 1)), "D"),
    (SKY, "-", "v"),
    (BLACK, "-", "P"),
)


def model_styles(predictions: pd.DataFrame) -> dict[str, tuple[str, object, str]]:
    """Return model -> colour, line, marker; the clinical model first, the fullest second."""
    models = list(dict.fromkeys(predictions["model"]))
    models.sort(key=lambda name: (name != "clinical", "+" not in name))
    return {name: MODELS[i % len(MODELS)] for i, name in enumerate(models)}


def of_response(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have a probability and an outcome."""
    if not len(predictions):
        return predictions
    known = predictions["probability"].notna() & predictions["outcome"].notna()
    return predictions[known]


def measured(
    performance: pd.DataFrame | None, endpoint: str, model: str, names: Sequence[str]
) -> tuple[float, float, float] | None:
    """Return a metric, by any of its names, with its limits; None where the table does not have it."""
    if performance is None or not len(performance):
        return None
    found = performance[
        (performance["endpoint"] == endpoint)
        & (performance["model"] == model)
        & performance["metric"].astype(str).str.lower().isin(names)
    ]
    if not len(found):
        return None
    estimate, low, high = (found.iloc[0][end] for end in ("estimate", "low", "high"))
    return estimate, low, high


def metric(
    performance: pd.DataFrame | None,
    endpoint: str,
    model: str,
    names: Sequence[str],
    digits: int = 2,
) -> str:
    """Return a metric with its limits as printed, empty where the table does not have it."""
    values = measured(performance, endpoint, model, names)
    return "" if values is None else format_interval(*values, digits)


def counts(predictions: pd.DataFrame) -> str:
    """Return n, responders and repeats in words."""
    subjects = predictions.drop_duplicates("subject")
    repeats = predictions["repeat"].nunique()
    return (
        f"{len(subjects)} subjects, {int(subjects['outcome'].sum())} responders; {repeats} "
        f"{'repeat' if repeats == 1 else 'repeats'} of nested cross-validation"
    )
