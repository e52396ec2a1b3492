"""One rate and its limits.

References
----------
Clopper CJ, Pearson ES. Biometrika 1934;26:404-413. Wilson EB. JASA 1927;22:209-212.
Newcombe RG. Statistics in Medicine 1998;17:857-872 (continuity correction).
"""

from __future__ import annotations

import numpy as np

from correlatives.intervals import Interval


def _checked(successes: float, n: float) -> tuple[int, int]:
    if n < 0 or successes < 0 or successes > n or successes != int(successes) or n != int(n):
        raise ValueError(f"{successes} of {n}: expected whole numbers with 0 <= successes <= n")
    return int(successes), int(n)


def _binomial(successes: int, n: int, level: float, method: str) -> Interval:
    from scipy.stats import binomtest

    successes, n = _checked(successes, n)
    if n == 0:
        return Interval(np.nan, np.nan, np.nan)
    limits = binomtest(successes, n).proportion_ci(level, method=method)
    return Interval(successes / n, float(limits.low), float(limits.high))


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Return a rate with its exact limits; NaN if nobody was asked.

    Raises
    ------
    ValueError
        If the counts are not whole numbers with 0 <= successes <= n.
    """
    return _binomial(successes, n, level, "exact")


def wilson(successes: int, n: int, level: float = 0.95, *, continuity: bool = False) -> Interval:
    """Return a rate with Wilson's score limits, with or without continuity correction; NaN if nobody was asked.

    At a rate of exactly a half there is nothing to correct, as in R's ``prop.test``.

    Raises
    ------
    ValueError
        If the counts are not whole numbers with 0 <= successes <= n.
    """
    return _binomial(
        successes, n, level, "wilsoncc" if continuity and 2 * successes != n else "wilson"
    )


def binomial_p(successes: int, n: int, rate: float) -> float:
    """Return the exact two-sided p-value of a rate against a stated one (R's ``binom.test``)."""
    from scipy.stats import binomtest

    successes, n = _checked(successes, n)
    return float(binomtest(successes, n, rate).pvalue) if n else np.nan
