"""An estimate and its limits; a test and its p-value."""

from __future__ import annotations

from typing import NamedTuple


class Interval(NamedTuple):
    """An estimate with its lower and upper 95 % limits, all on one scale; NaN where not estimable.

    Functions that answer for many markers at once hold arrays of shape (p,) in each field.
    """

    estimate: float
    low: float
    high: float


class Test(NamedTuple):
    """A test statistic, its degrees of freedom and its two-sided p-value; NaN where not estimable.

    Functions that answer for many markers at once hold arrays of shape (p,) in each field.
    """

    statistic: float
    df: float
    p: float

    #: Keeps pytest from collecting the class.
    __test__ = False
