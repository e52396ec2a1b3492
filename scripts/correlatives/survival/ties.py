"""Times that are equal but for floating-point rounding."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

#: Square root of the double-precision epsilon, R's default.
TOLERANCE = float(np.sqrt(np.finfo(float).eps))


def tie_times(time: ArrayLike) -> np.ndarray:
    """Return times with those that differ by rounding only made equal, as R's ``aeqSurv`` does.

    Dates turned into months give 3.0000000000000004 beside 3.0; whether these are one event time must
    not depend on the unit.

    Parameters
    ----------
    time : array-like, shape (n,)
        NaN stays NaN.
    """
    time = np.asarray(time, dtype=float)
    distinct = np.unique(time[np.isfinite(time)])
    if len(distinct) < 2:
        return time
    gap = np.diff(distinct)
    tied = (gap <= TOLERANCE) | (gap <= TOLERANCE * np.abs(distinct).mean())
    if not tied.any():
        return time
    cuts = distinct[np.append(True, ~tied)]
    where = np.clip(np.searchsorted(cuts, time, side="right") - 1, 0, None)
    return np.where(np.isfinite(time), cuts[where], time)
