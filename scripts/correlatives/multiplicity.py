"""Adjusting p-values for how many were looked at."""

from __future__ import annotations

import numpy as np

#: Subjects that must differ from a marker's most common value for it to be in a family: known before anyone
#: looks at arm or outcome.
LEAST_CARRIERS = 5
#: Said in `note` of rows that are in no family for want of them.
FEW_CARRIERS = (
    f"not in its family: fewer than {LEAST_CARRIERS} subjects differ from the most common value"
)


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Adjust p-values for the false discovery rate; those that are NaN stay NaN and do not count.

    Parameters
    ----------
    p : np.ndarray, shape (m,)

    Returns
    -------
    np.ndarray, shape (m,)

    References
    ----------
    Benjamini Y, Hochberg Y. Journal of the Royal Statistical Society B 1995;57:289-300.
    """
    from scipy.stats import false_discovery_control

    q = np.full(len(p), np.nan)
    known = np.isfinite(p)
    if known.any():
        q[known] = false_discovery_control(p[known])
    return q
