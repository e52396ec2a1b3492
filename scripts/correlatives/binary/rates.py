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


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Return a rate with its exact limits; NaN if nobody was asked.

    Raises
    ------
    ValueError
        If the counts are not whole numbers with 0 <= successes <= n.
    """
    from scipy.special import betaincinv

    x, n = _checked(successes, n)
    if n == 0:
        return Interval(np.nan, np.nan, np.nan)
    tail = (1 - level) / 2
    low = 0.0 if x == 0 else float(betaincinv(x, n - x + 1, tail))
    high = 1.0 if x == n else float(betaincinv(x + 1, n - x, 1 - tail))
    return Interval(x / n, low, high)


def wilson(successes: int, n: int, level: float = 0.95, *, continuity: bool = False) -> Interval:
    """Return a rate with Wilson's score limits, with or without continuity correction; NaN if nobody was asked.

    The correction is at most half the distance to a half, as in R's ``prop.test``.
    """
    from correlatives.likelihood import normal_quantile

    x, n = _checked(successes, n)
    if n == 0:
        return Interval(np.nan, np.nan, np.nan)
    z = normal_quantile(level)
    p = x / n
    step = min(0.5, abs(x - n / 2)) if continuity else 0.0

    def limit(sign: float) -> float:
        shifted = p + sign * step / n
        half = z * np.sqrt(shifted * (1 - shifted) / n + z**2 / (4 * n**2))
        return (shifted + z**2 / (2 * n) + sign * half) / (1 + z**2 / n)

    low = 0.0 if x == 0 else max(0.0, float(limit(-1.0)))
    high = 1.0 if x == n else min(1.0, float(limit(1.0)))
    return Interval(p, low, high)


def binomial_p(successes: int, n: int, rate: float) -> float:
    """Return the exact two-sided p-value of a rate against a stated one (R's ``binom.test``)."""
    from scipy.stats import binomtest

    x, n = _checked(successes, n)
    return float(binomtest(x, n, rate).pvalue) if n else np.nan
