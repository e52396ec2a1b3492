"""An estimate and its limits."""

from __future__ import annotations

from typing import NamedTuple


class Interval(NamedTuple):
    """An estimate with its lower and upper 95 % limits, all on one scale; NaN where not estimable."""

    estimate: float
    low: float
    high: float
