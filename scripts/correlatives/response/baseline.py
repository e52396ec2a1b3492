"""Baseline hazard of a Cox model, and the time at which risks are judged and printed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

#: Share of the subjects still in follow-up at the time for which risks are printed.
FOLLOWED = 0.5


def baseline_hazard(
    time: np.ndarray, event: np.ndarray, log_hazard: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the event times and the cumulative baseline hazard from each on, by Breslow's estimate.

    Parameters
    ----------
    time, event : np.ndarray, shape (n,)
        Months; 1 for an event.
    log_hazard : np.ndarray, shape (n,)
        Linear predictor of the fitted model.

    References
    ----------
    Breslow NE. Journal of the Royal Statistical Society B 1972;34:216-217.
    """
    months, place = np.unique(time, return_inverse=True)
    risk = np.bincount(place, weights=np.exp(log_hazard), minlength=len(months))
    at_risk = np.cumsum(risk[::-1])[::-1]
    died = np.bincount(place, weights=event, minlength=len(months))
    some = died > 0
    return months[some], np.cumsum(died[some] / at_risk[some])


def survival_at(
    months: float, baseline: tuple[np.ndarray, np.ndarray], log_hazard: np.ndarray
) -> np.ndarray:
    """Return the probability to be free of the event at a time, for log hazards (n,)."""
    times, hazard = baseline
    place = int(np.searchsorted(times, months, side="right"))
    return np.exp(-(hazard[place - 1] if place else 0.0) * np.exp(log_hazard))


def horizon(time: np.ndarray, milestones: Sequence[float]) -> float:
    """Return the month for which risks are judged and printed.

    The last milestone that at least half of the subjects were followed to, event or not; without
    such a milestone the median time, in whole months where it is one or more.
    """
    reached = [m for m in sorted(milestones) if (time >= m).mean() >= FOLLOWED]
    median = float(np.median(time))
    return float(reached[-1]) if reached else float(math.floor(median)) if median >= 1 else median
