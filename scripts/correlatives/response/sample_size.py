"""How many subjects a prediction model needs, by the criteria of Riley and colleagues.

References
----------
Riley RD et al. Statistics in Medicine 2019;38:1276-1296 (binary and time-to-event outcomes).
Riley RD et al. BMJ 2020;368:m441 (how to calculate it; R²Nagelkerke of 0.15 where nothing is known).
Ensor J, Martin EC, Riley RD. pmsampsize (the reference implementation).
"""

from __future__ import annotations

from math import ceil, exp, expm1, log, log1p, sqrt

#: Expected shrinkage, optimism in Nagelkerke's R² and margin of the overall risk that are accepted.
SHRINKAGE = 0.9
OPTIMISM = 0.05
MARGIN = 0.05

#: Share of the largest possible Cox–Snell R² that a model is expected to reach where no earlier study tells.
EXPECTED_NAGELKERKE = 0.15

_Z = 1.959963984540054


def largest_r2_binary(prevalence: float) -> float:
    """Largest Cox–Snell R² of a binary outcome: 1 − exp(2 ln L_null / n)."""
    if not 0.0 < prevalence < 1.0:
        return float("nan")
    null = prevalence * log(prevalence) + (1.0 - prevalence) * log1p(-prevalence)
    return -expm1(2.0 * null)


def largest_r2_survival(rate: float, mean_followup: float) -> float:
    """Largest Cox–Snell R² of a time to event, from the exponential null likelihood of pmsampsize."""
    events = rate * mean_followup
    if not events > 0.0:
        return float("nan")
    return -expm1(2.0 * (events * log(events) - events))


def n_for_shrinkage(parameters: int, r2: float, shrinkage: float) -> float:
    """Subjects at which the expected uniform shrinkage is `shrinkage` (criterion 1)."""
    return parameters / ((shrinkage - 1.0) * log1p(-r2 / shrinkage))


def expected_shrinkage(parameters: int, n: int, r2: float) -> float:
    """Return the expected uniform shrinkage of a model with `parameters` candidate parameters in `n` subjects.

    The solution S in (R², 1) of n = p / ((S − 1) ln(1 − R²/S)), by bisection: the right-hand side
    rises with S.
    """
    if parameters == 0:
        return 1.0
    if not (n > 0 and 0.0 < r2 < 1.0):
        return float("nan")
    low, high = r2 * (1.0 + 1e-15), 1.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if not r2 < middle < 1.0 or n_for_shrinkage(parameters, r2, middle) > n:
            high = middle
        else:
            low = middle
    return 0.5 * (low + high)


def _for_optimism(parameters: int, r2: float, largest: float) -> float:
    """Subjects for an optimism of at most 0.05 in Nagelkerke's R² (criterion 2)."""
    return n_for_shrinkage(parameters, r2, r2 / (r2 + OPTIMISM * largest))


def required_binary(parameters: int, prevalence: float, r2: float | None = None) -> int:
    """Smallest number of subjects that meets all criteria for a binary outcome.

    Parameters
    ----------
    parameters : int
        Candidate parameters, before any selection.
    prevalence : float
        Share with the outcome.
    r2 : float, optional
        Anticipated Cox–Snell R²; by default 15 % of its largest value.

    Returns
    -------
    int
        Subjects.

    Raises
    ------
    ValueError
        If the prevalence is not between 0 and 1.
    """
    largest = largest_r2_binary(prevalence)
    if not largest > 0.0:
        raise ValueError(f"prevalence {prevalence} is not between 0 and 1")
    r2 = EXPECTED_NAGELKERKE * largest if r2 is None else r2
    needed = [(_Z / MARGIN) ** 2 * prevalence * (1.0 - prevalence)]
    if parameters:
        needed += [
            n_for_shrinkage(parameters, r2, SHRINKAGE),
            _for_optimism(parameters, r2, largest),
        ]
    return ceil(max(needed) - 1e-9)


def required_survival(
    parameters: int,
    rate: float,
    mean_followup: float,
    timepoint: float,
    r2: float | None = None,
) -> int:
    """Smallest number of subjects that meets all criteria for a time to event.

    Parameters
    ----------
    parameters : int
        Candidate parameters, before any selection.
    rate : float
        Events per unit of time at risk.
    mean_followup : float
        Mean time at risk, in the same unit.
    timepoint : float
        Time at which the overall risk is to be precise, in the same unit.
    r2 : float, optional
        Anticipated Cox–Snell R²; by default 15 % of its largest value.

    Returns
    -------
    int
        Subjects.

    Raises
    ------
    ValueError
        If there are no events.
    """
    largest = largest_r2_survival(rate, mean_followup)
    if not largest > 0.0:
        raise ValueError("no events")
    r2 = EXPECTED_NAGELKERKE * largest if r2 is None else r2
    needed = [_for_risk(rate, mean_followup, timepoint)]
    if parameters:
        needed += [
            n_for_shrinkage(parameters, r2, SHRINKAGE),
            _for_optimism(parameters, r2, largest),
        ]
    return ceil(max(needed) - 1e-9)


def _for_risk(rate: float, mean_followup: float, timepoint: float) -> float:
    """Subjects for an exponential model's risk at `timepoint` within ± 0.05 (criterion 3)."""

    def width(n: float) -> float:
        error = _Z * sqrt(rate / (n * mean_followup))
        risk = -expm1(-rate * timepoint)
        upper = -expm1(-(rate + error) * timepoint) - risk
        lower = risk - (1.0 - exp(-max(rate - error, 0.0) * timepoint))
        return max(upper, lower)

    low, high = 1.0, 2.0
    while width(high) > MARGIN:
        low, high = high, 2.0 * high
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if width(middle) > MARGIN else (low, middle)
    return high
