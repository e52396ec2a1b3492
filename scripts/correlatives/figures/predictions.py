"""What the figures of out-of-fold predictions share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from correlatives.figures.style import BLACK, DIM, GREEN, ORANGE, PURPLE, SKY, format_interval
from correlatives.response.performance import horizon_weights

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


@dataclass(frozen=True)
class Known:
    """Out-of-fold predictions of subjects whose outcome is known.

    Attributes
    ----------
    rows : pd.DataFrame
        The predictions, with `status` (1: responded, or had the event by the horizon) and `weight` (1 for a response;
        ``horizon_weights`` of a time to event, 0 for those censored before the horizon).
    months : float
        The horizon; NaN for a response.
    """

    rows: pd.DataFrame
    months: float

    @property
    def survival(self) -> bool:
        """Whether a time to event is predicted."""
        return math.isfinite(self.months)

    @property
    def behind(self) -> str:
        """What follows a metric's name in the performance table."""
        return f"_at_{self.months:g}_months" if self.survival else ""

    @property
    def subjects(self) -> pd.DataFrame:
        """One row a subject."""
        return self.rows.drop_duplicates("subject")

    @property
    def censored(self) -> int:
        """Subjects whose status at the horizon is not known."""
        return int((self.subjects["weight"] == 0).sum())

    def counted(self) -> str:
        """Return n, responders or events, and repeats in words."""
        subjects = self.subjects
        positive, n = int(subjects["status"].sum()), len(subjects)
        status = f"{positive} responders"
        if self.survival:
            status = (
                f"{positive} with the event by {self.months:g} months, {n - positive - self.censored} followed for longer "
                f"without it, {self.censored} censored before"
            )
        repeats = self.rows["repeat"].nunique()
        return (
            f"{n} subjects{':' if self.survival else ','} {status}; {repeats} "
            f"{'repeat' if repeats == 1 else 'repeats'} of nested cross-validation"
        )


def known_outcomes(predictions: pd.DataFrame) -> Known:
    """Return the predictions that have a probability and an outcome.

    Parameters
    ----------
    predictions : pd.DataFrame
        ``Evaluation.predictions``: subject, repeat, model, outcome, probability; of a time to event also time_months
        and horizon_months.
    """
    rows = predictions[predictions["probability"].notna() & predictions["outcome"].notna()]
    months = (
        float(rows["horizon_months"].iloc[0])
        if "horizon_months" in rows and len(rows)
        else math.nan
    )
    if not math.isfinite(months):
        return Known(rows.assign(status=rows["outcome"], weight=1.0), math.nan)
    subjects = rows.drop_duplicates("subject").set_index("subject")
    time, event = (subjects[name].to_numpy(dtype=float) for name in ("time_months", "outcome"))
    weight = pd.Series(horizon_weights(time, event, months), subjects.index)
    return Known(
        rows.assign(
            status=(rows["outcome"] == 1) & (rows["time_months"] <= months),
            weight=rows["subject"].map(weight),
        ).astype({"status": float}),
        months,
    )


def measured(
    performance: pd.DataFrame | None, endpoint: str, model: str, name: str
) -> tuple[float, float, float] | None:
    """Return a metric with its limits; None where the table does not have it."""
    if performance is None or not len(performance):
        return None
    found = performance[
        (performance["endpoint"] == endpoint)
        & (performance["model"] == model)
        & (performance["metric"] == name)
    ]
    if not len(found):
        return None
    estimate, low, high = (found.iloc[0][end] for end in ("estimate", "low", "high"))
    return estimate, low, high


def metric(
    performance: pd.DataFrame | None,
    endpoint: str,
    model: str,
    name: str,
    digits: int = 2,
) -> str:
    """Return a metric with its limits as printed, empty where the table does not have it."""
    values = measured(performance, endpoint, model, name)
    return "" if values is None else format_interval(*values, digits)
