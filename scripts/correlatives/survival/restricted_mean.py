"""Restricted mean survival time and its difference between arms.

References
----------
Irwin JO. Journal of Hygiene 1949;47:188-189. Royston P, Parmar MKB. BMC Medical Research Methodology
2013;13:152. Variance as R's ``survfit`` prints it (Greenwood's, of the area).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from correlatives.intervals import Interval
from correlatives.likelihood import normal_quantile
from correlatives.survival.kaplan_meier import KaplanMeier


def mean_and_error(time: ArrayLike, event: ArrayLike, horizon: float) -> tuple[float, float]:
    """Return the area under the Kaplan–Meier curve up to `horizon` and its standard error.

    NaN where the curve is not known up to there: it ends with a censored time before the horizon.
    """
    curve = KaplanMeier(time, event)
    if curve.n == 0 or not horizon > 0:
        return np.nan, np.nan
    if curve.times[-1] < horizon and curve.survival[-1] > 0:
        return np.nan, np.nan
    before = curve.times < horizon
    edges = np.concatenate([[0.0], curve.times[before], [horizon]])
    heights = np.concatenate([[1.0], curve.survival[before]])
    pieces = heights * np.diff(edges)
    area = float(pieces.sum())
    rest = np.append(np.cumsum(pieces[::-1])[::-1], 0.0)[1:-1]  # area from each time to the horizon
    steps = np.diff(curve.cumulative_variance[before], prepend=0.0) if before.any() else np.zeros(0)
    # Where everybody left has the event the step is infinite, but no area is left to multiply it.
    counted = rest > 0
    variance = float((rest[counted] ** 2 * steps[counted]).sum())
    return area, float(np.sqrt(variance))


def restricted_mean(
    time: ArrayLike, event: ArrayLike, horizon: float, level: float = 0.95
) -> Interval:
    """Return the restricted mean survival time with its Wald limits, in the unit of time.

    Parameters
    ----------
    time, event : array-like, shape (n,)
    horizon : float
        End of the mean.

    Returns
    -------
    Interval
        NaN where the curve is not known up to the horizon; no limits where nobody had an event before it.
    """
    mean, error = mean_and_error(time, event, horizon)
    half = normal_quantile(level) * error if error > 0 else np.nan
    return Interval(mean, mean - half, mean + half)


def restricted_mean_difference(
    time: ArrayLike, event: ArrayLike, arm: ArrayLike, horizon: float, level: float = 0.95
) -> Interval:
    """Return the difference of restricted means, arm 1 minus arm 0, with its Wald limits.

    The standard error is (high - low) / (2 × 1.959964) at the default level. No limits where an arm has no event before
    the horizon: its mean would have no error.
    """
    time, event, arm = (np.asarray(part, dtype=float) for part in (time, event, arm))
    means, errors = [], []
    for code in (0.0, 1.0):
        mean, error = mean_and_error(time[arm == code], event[arm == code], horizon)
        means.append(mean)
        errors.append(error)
    difference = means[1] - means[0]
    half = normal_quantile(level) * np.hypot(*errors) if min(errors) > 0 else np.nan
    return Interval(difference, difference - half, difference + half)
