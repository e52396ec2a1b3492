"""The Kaplan–Meier estimate, its quantiles and landmarks with their limits, and follow-up.

The definitions are those of R's ``survfit(conf.type = "log-log")``, ``quantile.survfit`` and
``summary.survfit``, so that a curve, its median and its landmarks can be checked line by line.

References
----------
Kaplan EL, Meier P. JASA 1958;53:457-481. Greenwood M, 1926. Brookmeyer R, Crowley J. Biometrics
1982;38:29-41. Kalbfleisch JD, Prentice RL, 2002 (log-log limits). Schemper M, Smith TL. Controlled
Clinical Trials 1996;17:343-346 (reverse Kaplan–Meier).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from correlatives.intervals import Interval
from correlatives.likelihood import normal_quantile
from correlatives.survival.ties import TOLERANCE, tie_times


class KaplanMeier:
    """Kaplan–Meier estimate of one group.

    Parameters
    ----------
    time : array-like, shape (n,)
        Time to event or censoring, in any unit; times equal but for rounding are tied.
    event : array-like, shape (n,)
        1 event, 0 censored.
    level : float
        Confidence level of the limits.

    Attributes
    ----------
    times : np.ndarray, shape (t,)
        Distinct times, of events and of censoring.
    survival : np.ndarray, shape (t,)
        Estimate just after each.
    at_risk, events, censored : np.ndarray of int, shape (t,)
    cumulative_variance : np.ndarray, shape (t,)
        Greenwood's variance of log survival.
    low, high : np.ndarray, shape (t,)
        Pointwise log-log limits: 1 where nobody has had an event yet, NaN where survival is 0.

    Raises
    ------
    ValueError
        If time is missing, negative or infinite, or event is not 0 or 1.
    """

    def __init__(self, time: ArrayLike, event: ArrayLike, level: float = 0.95) -> None:
        time = np.asarray(time, dtype=float)
        event = np.asarray(event, dtype=float)
        if time.ndim != 1 or time.shape != event.shape:
            raise ValueError(
                f"time {time.shape} and event {event.shape} must be vectors of one length"
            )
        if not (np.isfinite(time).all() and (time >= 0).all()):
            raise ValueError(
                "time must be finite and not negative: leave missing outcomes out first"
            )
        if not np.isin(event, (0.0, 1.0)).all():
            raise ValueError("event has values other than 0 and 1")
        self.n = len(time)
        self.level = level
        self.times, code = np.unique(tie_times(time), return_inverse=True)
        code = code.reshape(-1)
        size = len(self.times)
        self.events = np.bincount(code, weights=event, minlength=size).astype(int)
        total = np.bincount(code, minlength=size)
        self.censored = total - self.events
        self.at_risk = self.n - np.append(0, np.cumsum(total)[:-1]) if size else total
        left = self.at_risk - self.events
        self.survival = np.cumprod(left / np.maximum(self.at_risk, 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.where(self.events > 0, self.events / (self.at_risk * left), 0.0)
            self.cumulative_variance = np.cumsum(steps)
            log = np.log(self.survival)
            shift = normal_quantile(level) * np.sqrt(self.cumulative_variance) / log
            centre = np.log(-log)
            self.low = np.exp(-np.exp(centre - shift))
            self.high = np.exp(-np.exp(centre + shift))
        self.low[self.survival == 1] = self.high[self.survival == 1] = 1.0
        self.low[self.survival == 0] = self.high[self.survival == 0] = np.nan

    def at(self, t: float) -> Interval:
        """Return survival at time `t` with its limits; NaN after the last time unless everybody has had the event."""
        if self.n == 0 or not np.isfinite(t):
            return Interval(np.nan, np.nan, np.nan)
        index = np.searchsorted(self.times, t + self._slack(), side="right") - 1
        if index < 0:
            return Interval(1.0, 1.0, 1.0)
        if t > self.times[-1] + self._slack() and self.survival[-1] > 0:
            return Interval(np.nan, np.nan, np.nan)
        return Interval(
            float(self.survival[index]), float(self.low[index]), float(self.high[index])
        )

    def at_risk_at(self, times: ArrayLike) -> np.ndarray:
        """Return how many are at risk (event or censoring not before) at each of `times`."""
        times = np.atleast_1d(np.asarray(times, dtype=float))
        index = np.searchsorted(self.times, times - self._slack(), side="left")
        return np.append(self.at_risk, 0)[index]

    def quantile(self, q: float) -> Interval:
        """Return the time by which a share `q` has had the event, with Brookmeyer–Crowley limits.

        Where survival equals 1 - q over an interval, its midpoint; NaN where a curve does not get there.
        """
        return Interval(
            self._crossing(self.survival, q),
            self._crossing(self.low, q),
            self._crossing(self.high, q),
        )

    def median(self) -> Interval:
        """Return the median with Brookmeyer–Crowley limits (log-log)."""
        return self.quantile(0.5)

    def _slack(self) -> float:
        """Return the width within which two times are one (as in `tie_times`)."""
        return TOLERANCE * max(1.0, float(np.abs(self.times).mean())) if len(self.times) else 0.0

    def _crossing(self, curve: np.ndarray, q: float) -> float:
        known = np.isfinite(curve)
        if not known.any():
            return np.nan
        fallen = np.append(0.0, 1.0 - curve[known])
        times = np.append(0.0, self.times[known])
        reached = np.flatnonzero(fallen >= q - TOLERANCE)
        if not len(reached):
            return np.nan
        first = reached[0]
        beyond = np.flatnonzero(fallen > q + TOLERANCE)
        if abs(fallen[first] - q) > TOLERANCE:
            return float(times[first])
        end = times[beyond[0]] if len(beyond) else self.times[-1]
        return float((times[first] + end) / 2)


def reverse_median(time: ArrayLike, event: ArrayLike) -> Interval:
    """Return median follow-up with its limits: the Kaplan–Meier median with censoring as the event."""
    return KaplanMeier(time, 1.0 - np.asarray(event, dtype=float)).median()


def nelson_aalen(time: ArrayLike, event: ArrayLike) -> np.ndarray:
    """Return Nelson and Aalen's cumulative hazard at every subject's own time, shape (n,).

    References
    ----------
    Aalen O. Annals of Statistics 1978;6:701-726.
    """
    curve = KaplanMeier(time, event)
    hazard = np.cumsum(curve.events / np.maximum(curve.at_risk, 1))
    return hazard[np.searchsorted(curve.times, tie_times(np.asarray(time, dtype=float)))]
