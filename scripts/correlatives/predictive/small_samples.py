"""What small samples need of the interaction model: where it carries Firth's penalty, how far its limits reach, and when they are none.

Profile limits with the chi-square quantile cover too seldom in trials of this size (0.90 to 0.93 at 46 subjects). Which
remedy covers 0.95 was found by simulation (docs/calibration.md): Firth's penalty in logistic models, whose limits for
a handful of carriers lie a little nearer than the chi-square quantile says; in Cox models a quantile of Student's t,
whose degrees of freedom are what the interaction rests on: events, and the subjects who carry the marker.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

#: Firth's penalty where a cell of arm × level of a binary marker has fewer events (Jóźwiak et al. 2024).
LEAST_EVENTS = 10

#: Firth's penalty where a Cox model has fewer events for each coefficient (Peduzzi et al. 1995).
EVENTS_A_COEFFICIENT = 10

#: Degrees of freedom that each subject gives who differs from the marker's most common value.
FREEDOM_A_CARRIER = 1.5

#: By what share the penalised deviance of a logistic interaction falls short of chi-square with one subject in a cell
#: of arm × level of a binary marker; of two half of it, and so on (a factor of Bartlett's kind).
SHORT_OF_CHI_SQUARE = 1 / 3

#: Level of all limits.
LEVEL = 0.95

#: A limit beyond this ratio, or its inverse, is none: a trial's likelihood does not change any more between it and
#: infinity, so that where a limit falls there the penalty alone decides.
LARGEST_RATIO = 1e6

#: The ratios of a row, and what notes call them.
RATIOS = {
    "marker_effect": "marker effect",
    "marker_effect_control": "marker effect, control arm",
    "marker_effect_experimental": "marker effect, experimental arm",
    "treatment_effect_at_low": "treatment effect at low marker",
    "treatment_effect_at_high": "treatment effect at high marker",
    "interaction_ratio": "interaction",
}


def needs_penalty(
    survival: bool, events: np.ndarray, coefficients: int, in_cells: np.ndarray
) -> np.ndarray:
    """Say which markers' models carry Firth's penalty before anything is fitted.

    Those without a finite maximum, which only the fit can tell, get it besides.

    Parameters
    ----------
    survival : bool
        Cox, else logistic: every logistic model carries it.
    events : np.ndarray, shape (p,)
        Events of the subjects with the marker.
    coefficients : int
        Of the model with interaction.
    in_cells : np.ndarray, shape (p,)
        Fewest events in a cell of arm × level of a binary marker; infinite for other markers.

    Returns
    -------
    np.ndarray of bool, shape (p,)

    References
    ----------
    Jóźwiak K et al. Scientific Reports 2024;14:14232. Peduzzi P et al. Journal of Clinical Epidemiology
    1995;48:1503-1510.
    """
    if not survival:
        return np.ones(len(events), dtype=bool)
    return (in_cells < LEAST_EVENTS) | (events < EVENTS_A_COEFFICIENT * coefficients)


def degrees_of_freedom(
    survival: bool, events: np.ndarray, coefficients: int, differing: np.ndarray
) -> np.ndarray:
    """Return the degrees of freedom of the limits of an interaction, shape (p,); arguments as in `deviance_at_limits`.

    Logistic: infinite. Cox: the smaller of events − coefficients and 1½ subjects differing, at least 1.
    """
    if not survival:
        return np.full(len(events), np.inf)
    return np.maximum(np.minimum(events - coefficients, FREEDOM_A_CARRIER * differing), 1.0)


def deviance_at_limits(
    survival: bool,
    events: np.ndarray,
    coefficients: int,
    differing: np.ndarray,
    in_cells: np.ndarray | float = np.inf,
) -> np.ndarray:
    """Return how far twice the (penalised) log-likelihood has fallen at the 95 % limits of an interaction.

    Parameters
    ----------
    survival, events, coefficients
        As in `needs_penalty`.
    differing : np.ndarray, shape (p,)
        `carriers.subjects_differing` of the subjects with the marker.
    in_cells : np.ndarray, shape (p,), optional
        Fewest subjects in a cell of arm × level of a binary marker; infinite for other markers.

    Returns
    -------
    np.ndarray, shape (p,)
        Cox: the square of Student's t with `degrees_of_freedom`. Logistic: the chi-square quantile, 3.84, less
        `SHORT_OF_CHI_SQUARE` of it over the fewest subjects in a cell.

    References
    ----------
    Bartlett MS. Proceedings of the Royal Society A 1937;160:268-282 (likelihood-ratio statistics divided by their
    mean); that of this statistic was found by simulation.
    """
    from scipy.special import stdtrit

    freedom = degrees_of_freedom(survival, events, coefficients, differing)
    whole = stdtrit(freedom, 0.5 + LEVEL / 2) ** 2
    if survival:
        return whole
    return whole * (1 - SHORT_OF_CHI_SQUARE / np.maximum(in_cells, 1))


def limits_that_exist(
    table: Mapping[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], list[list[str]]]:
    """Return the limits of a table's ratios, NaN where they are none, and what the notes of its rows say of these.

    Parameters
    ----------
    table : mapping of str to array-like, shape (p,) each
        Those of `RATIOS` that there are, each with ``_low`` and ``_high``; other columns do not matter.

    Returns
    -------
    limits : dict of str to np.ndarray
        The columns of the limits.
    notes : list of list of str
        Of each row; of ratios without an estimate nothing is said.
    """
    limits = {}
    notes: list[list[str]] = []
    for name, words in RATIOS.items():
        if name not in table:
            continue
        estimate = np.asarray(table[name], dtype=float)
        notes = notes or [[] for _ in estimate]
        sides = {}
        for side, end in (("lower", "_low"), ("upper", "_high")):
            limit = np.asarray(table[name + end], dtype=float)
            near = (limit >= 1 / LARGEST_RATIO) & (limit <= LARGEST_RATIO)
            limits[name + end] = np.where(near, limit, np.nan)
            sides[side] = near
        for row in np.flatnonzero(np.isfinite(estimate)):
            gone = [side for side, near in sides.items() if not near[row]]
            if gone:
                notes[row].append(f"{words}: no finite {' or '.join(gone)} limit")
    return limits, notes
