"""How many subjects carry what a marker has to say: those who differ from its most common value."""

from __future__ import annotations

import numpy as np


def subjects_differing(value: np.ndarray) -> np.ndarray:
    """Count the subjects who differ from each marker's most common value.

    The carriers of a binary marker, or its non-carriers if they are fewer; nearly everybody for a continuous one;
    those above the limit where most are below it. Arm and outcome play no part.

    Parameters
    ----------
    value : np.ndarray, shape (p, n)
        NaN where not evaluable.

    Returns
    -------
    np.ndarray of int, shape (p,)
    """
    known = np.isfinite(value)
    if value.shape[1] == 0:
        return np.zeros(len(value), dtype=np.int64)
    ordered = np.sort(np.where(known, value, np.inf), axis=1)
    fresh = np.ones(ordered.shape, dtype=bool)
    fresh[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    # length of the run of equal values that each position is in, so far
    position = np.arange(value.shape[1])
    run = position - np.maximum.accumulate(np.where(fresh, position, 0), axis=1) + 1
    most = np.where(np.isfinite(ordered), run, 0).max(axis=1)
    return known.sum(axis=1) - most
