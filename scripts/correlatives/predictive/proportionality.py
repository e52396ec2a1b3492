"""Test of proportional hazards of one column of a Cox model, for thousands of markers at once."""

from __future__ import annotations

import numpy as np

from correlatives.marker_models import over_threads, settle_cache
from correlatives.survival.ties import tie_times

#: Markers that one thread takes at a time.
_PORTION = 256


def column_proportionality(
    time: np.ndarray,
    event: np.ndarray,
    designs: np.ndarray,
    include: np.ndarray,
    strata: np.ndarray | None,
    coefficients: np.ndarray,
    covariance: np.ndarray,
    column: int = -1,
    *,
    threads: int = 1,
) -> np.ndarray:
    """Test whether the hazard ratio of one column changes over time, as R's ``cox.zph`` (transform km).

    The score test of adding column × g(t), g the left-continuous Kaplan–Meier estimate (of the subjects
    included, strata pooled) turned upside down; Efron ties.

    Parameters
    ----------
    time, event : np.ndarray, shape (n,)
        Times and 1 for an event.
    designs : np.ndarray, shape (p, n, k)
        Columns of each marker's model.
    include : np.ndarray of bool, shape (p, n)
        Subjects in each marker's model.
    strata : np.ndarray of int, shape (n,), optional
        Stratum codes.
    coefficients, covariance : np.ndarray, shapes (p, k) and (p, k, k)
        Maximum-likelihood fit; NaN where a column is aliased or there is no fit.
    column : int
        The column tested.
    threads : int
        Threads of this process; the answers are the same for any number.

    Returns
    -------
    np.ndarray, shape (p,)
        p, NaN where there is no fit of the column or nothing to test.

    References
    ----------
    Grambsch PM, Therneau TM. Biometrika 1994;81:515-526.
    """
    from scipy.special import erfc

    settle_cache()
    from correlatives.predictive import compiled_proportionality as kernel

    p, n, k = designs.shape
    time = tie_times(time)
    codes = np.zeros(n, dtype=np.int64) if strata is None else np.asarray(strata, dtype=np.int64)
    statistic = np.full(p, np.nan)
    order, by_time = np.lexsort((np.arange(n), -time, codes)), np.argsort(time, kind="stable")

    def fill(markers: np.ndarray) -> None:
        kernel.fill_statistics(
            markers,
            designs,
            include,
            time,
            event > 0,
            codes,
            order,
            by_time,
            range(k)[column],
            coefficients,
            covariance,
            statistic,
        )

    fitted = np.flatnonzero(np.isfinite(coefficients[:, column]))
    over_threads(fill, [fitted[i : i + _PORTION] for i in range(0, len(fitted), _PORTION)], threads)
    # the chi-square tail at one degree of freedom
    return erfc(np.sqrt(0.5 * statistic))
