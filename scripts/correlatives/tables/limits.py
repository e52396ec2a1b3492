"""Marker values as the models take them: transformed, with values beyond limits put somewhere defensible."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from correlatives.markers import ABOVE, BELOW, MEASURED, Markers

#: Up to this share of censored values they stand at the limit over the square root of 2.
FEW_CENSORED = 0.15

#: Above this share only detected v not detected is analysed.
MOST_CENSORED = 0.50

#: Markers whose values are differences of natural logarithms already: ratios to baseline.
LOG_RATIOS = ("ratio:", "vaf_ratio:")

#: Units whose values are logarithms already, by their first word -> the logarithm of 2. NPX is Olink's log2 scale.
LOG_UNITS = {"log2": 1.0, "npx": 1.0, "log10": float(np.log10(2.0)), "ln": float(np.log(2.0))}

#: Markers of alterations whose limit is not the laboratory's for a biomarker but that of finding a variant.
ALLELE_FRACTIONS = ("max_vaf", "mean_vaf")


class AnalysisValues(NamedTuple):
    """Values of p markers and n subjects, ready for a design matrix.

    Attributes
    ----------
    value : np.ndarray of float64, shape (p, n)
        Transformed; NaN where not usable.
    usable : np.ndarray of bool, shape (p, n)
    fraction_censored : np.ndarray of float, shape (p,)
        Of the results, those beyond a limit; NaN without results, 0 for ordinal and binary markers.
    note : np.ndarray of str, shape (p,)
        What was done that a reader must know, empty if nothing.
    kind : np.ndarray of str, shape (p,)
        As in ``info`` of the markers, but binary where too many values are censored.
    words : np.ndarray of str, shape (p,)
        What 1 and 0 mean of a marker that became binary here, else empty.
    info : pd.DataFrame, p rows
        ``Markers.info`` with this kind.
    bounds : np.ndarray of object, shape (p,)
        For markers whose values beyond limits are to be imputed, a pair of arrays of shape (n,): the lower and the upper
        bound of each such value on the transformed scale, NaN elsewhere. None for other markers.
    """

    value: np.ndarray
    usable: np.ndarray
    fraction_censored: np.ndarray
    note: np.ndarray
    kind: np.ndarray
    words: np.ndarray
    info: pd.DataFrame
    bounds: np.ndarray


def taken_by(transform: str, values: np.ndarray) -> np.ndarray:
    """Say which values a transform is defined for (NaN is none of them)."""
    with np.errstate(invalid="ignore"):
        if transform in ("log2", "log10"):
            return values > 0
        if transform == "logit":
            return (values > 0) & (values < 1)
        if transform == "sqrt":
            return values >= 0
    return ~np.isnan(values)


def transformed(transform: str, values: np.ndarray) -> np.ndarray:
    """Return values on the scale of a transform; meaningless where `taken_by` says no."""
    with np.errstate(invalid="ignore", divide="ignore"):
        if transform == "log2":
            return np.log2(values)
        if transform == "log10":
            return np.log10(values)
        if transform == "sqrt":
            return np.sqrt(values)
        if transform == "logit":
            return np.log(values) - np.log1p(-values)
    return values


@functools.cache
def log_of_two(unit: str) -> float:
    """Return how far apart a value and its double are in a unit whose values are logarithms; 0 in any other."""
    first = re.match(r"[a-z]+\d*(?![a-z])", unit.strip().lower())
    return LOG_UNITS.get(first.group(), 0.0) if first else 0.0


def doubling_of(biomarker: str, unit: object) -> tuple[float, bool]:
    """Return the logarithm of 2 on a marker's scale, 0 where that is no logarithm; and whether it is a log ratio."""
    if str(biomarker).startswith(LOG_RATIOS):
        return float(np.log(2.0)), True
    return (log_of_two(unit) if isinstance(unit, str) else 0.0), False


def doublings(info: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return `doubling_of` every marker: two arrays of shape (p,)."""
    found = [doubling_of(*row) for row in zip(info["biomarker"], info["unit"], strict=True)]
    doubling, ratio = zip(*found, strict=True) if found else ((), ())
    return np.array(doubling, dtype=float), np.array(ratio, dtype=bool)


def standing(
    value: np.ndarray, state: np.ndarray, doubling: float | np.ndarray, ratio: bool | np.ndarray
) -> np.ndarray:
    """Return values, those beyond a limit where they stand: below at the limit over √2, above at the limit.

    On a scale of logarithms that is half a doubling under the limit; log ratios stand as far over an upper limit: a ratio is
    below its limit where the later value is below that value's, and above it where the first was. A negative limit on
    any other scale stands as it is, and so does 0 unless of a ratio: that is what not detected is where no limit is stated.

    Parameters
    ----------
    value, state : np.ndarray, shape (n,) or (p, n)
    doubling, ratio : float and bool, or np.ndarray of shape (p, 1)
        From `doubling_of`, or `doublings`.
    """
    below, above = state == BELOW, state == ABOVE
    with np.errstate(invalid="ignore"):
        divided = np.where(below & (value > 0), value / np.sqrt(2.0), value)
    beyond = (above & ratio).astype(float) - below.astype(float)
    moved = (np.asarray(doubling) > 0) & (ratio | (value != 0))
    return np.where(moved, value + beyond * doubling / 2.0, divided)


def _place(limit: np.ndarray, logarithmic: bool, ratio: bool, fraction: bool, lloq: float) -> str:
    """Say where values below their limits stand.

    Parameters
    ----------
    limit : np.ndarray, shape (values below,)
        0 where something was not detected and no limit is stated.
    logarithmic : bool
        Whether the values are logarithms.
    ratio : bool
        Whether they are log ratios, of which 0 is a limit like any other.
    fraction : bool
        Whether they are one of `ALLELE_FRACTIONS`.
    lloq : float
        Of the dictionary; NaN where it states none.
    """
    over_root = limit != 0 if logarithmic else limit > 0
    over_root |= ratio
    unknown = (limit == 0) & ~over_root
    parts = []
    if over_root.any():
        source = ""
        if fraction and (limit[over_root] == lloq).all():
            source = " (the limit is the dictionary's lloq)"
        elif fraction:
            source = " (of nothing found; the limit is the assay's lod_vaf in the coverage table)"
        parts.append(f"at the limit over √2{source}")
    if unknown.any():
        source = (
            " (neither lod_vaf in the coverage table nor the dictionary's lloq)" if fraction else ""
        )
        parts.append(f"at 0 where no limit is stated{source}")
    if not parts or (~over_root & ~unknown).any():
        parts.append("at the limit")
    return ", and ".join(parts)


def _bounds(
    transform: str, limit: np.ndarray, below: np.ndarray, above: np.ndarray, floor: float
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of values beyond limits on the transformed scale, NaN for the others; `floor` is the scale's least value."""
    at = transformed(transform, limit)
    least = float(transformed(transform, np.array(floor)))
    low = np.where(below, least, np.where(above, at, np.nan))
    high = np.where(below, at, np.where(above, np.inf, np.nan))
    return low, high


def analysis_values(
    markers: Markers,
    index: Sequence[int] | np.ndarray | None = None,
    *,
    imputing: bool = False,
) -> AnalysisValues:
    """Return the values of markers on the scale of analysis.

    The rule goes by the share of values beyond a limit among the results of the subjects given:
    under 15 % a value below stands at its limit over √2 (Hornung & Reed 1990), one above at its limit;
    15 to 50 % the same for those who do not impute (the note says so); over 50 % the marker becomes
    detected (1) v not detected (0), or, where most are above the upper limit, above (1) v not (0).
    Then the marker's transform. A value that the transform cannot take (0 or less under a logarithm or a
    logit, 1 or more under a logit, less than 0 under a root) is not usable, and noted. Log ratios and
    limits of 0 or less: see `standing`. The note says which.

    Parameters
    ----------
    markers : Markers
    index : array-like of int or bool, optional
        Which markers; all by default.
    imputing : bool
        Whether the caller imputes what is beyond limits at 15 to 50 %: `bounds` are wanted, and the note leaves what
        is done to the caller. Where not detected has no stated limit, there are none.

    Returns
    -------
    AnalysisValues

    References
    ----------
    Hornung RW, Reed LD. Applied Occupational and Environmental Hygiene 1990;5:46-51.
    """
    at = np.arange(len(markers)) if index is None else np.arange(len(markers))[np.asarray(index)]
    info = markers.info.iloc[at]
    state = markers.state[at]
    values = markers.value[at].astype(np.float64, copy=True)
    kind = info["kind"].to_numpy(dtype=object)
    quantity = np.isin(kind, ["continuous", "count"])
    below, above = state == BELOW, state == ABOVE
    usable = (state == MEASURED) | below | above
    results = usable.sum(axis=1)
    n_below, n_above = below.sum(axis=1), above.sum(axis=1)
    with np.errstate(invalid="ignore"):
        fraction = np.where(results > 0, (n_below + n_above) / np.maximum(results, 1), np.nan)
    fraction = np.where(quantity, fraction, np.where(results > 0, 0.0, np.nan))
    dichotomised = quantity & (fraction > MOST_CENSORED)
    notes: list[list[str]] = [[] for _ in at]
    words = np.full(len(at), "", dtype=object)
    bounds = np.full(len(at), None, dtype=object)

    biomarker = info["biomarker"].to_numpy(dtype=object)
    doubling, ratio = doublings(info)
    logarithmic = doubling > 0
    limit = values.copy()
    stood = standing(values, state, doubling[:, None], ratio[:, None])
    values = np.where(quantity[:, None], stood, values)

    transform = info["transform"].to_numpy(dtype=object)
    for name in ("log2", "log10", "logit", "sqrt"):
        rows = np.flatnonzero((transform == name) & quantity & ~dichotomised)
        if not len(rows):
            continue
        part = values[rows]
        allowed = taken_by(name, part)
        part = transformed(name, part)
        lost = (usable[rows] & ~allowed).sum(axis=1)
        for row in np.flatnonzero(lost):
            notes[rows[row]].append(f"{lost[row]} value(s) that {name} cannot take are left out")
        usable[rows] &= allowed
        values[rows] = part

    for row in np.flatnonzero(dichotomised):
        share = f"{100 * fraction[row]:.0f} % of values beyond a limit"
        if n_below[row] >= n_above[row]:
            values[row] = (~below[row]).astype(float)
            words[row] = "detected v not detected"
        else:
            values[row] = above[row].astype(float)
            words[row] = "above v within the upper limit"
        notes[row].append(f"{share}: {words[row]}")
    censored = quantity & ~dichotomised & (fraction > 0)
    fractions = np.isin(biomarker, ALLELE_FRACTIONS) & (info["domain"] == "alterations").to_numpy()
    lloq = info["lloq"].to_numpy(dtype=float)
    for row in np.flatnonzero(censored):
        share = f"{100 * fraction[row]:.0f} % of values beyond a limit"
        here = below[row] & usable[row]
        place = _place(
            limit[row, here], logarithmic[row], ratio[row], bool(fractions[row]), lloq[row]
        )
        if not here.any():
            if not (above[row] & usable[row]).any():
                continue  # all of them are left out by the transform, which is noted
            place = "at the limit times √2" if ratio[row] else "at the limit"
        elif ratio[row] and (above[row] & usable[row]).any():
            place += " or times √2"
        if fraction[row] < FEW_CENSORED:
            notes[row].append(f"{share}: {place}")
            continue
        unstated = here & (limit[row] == 0) & ~ratio[row]
        if imputing and not unstated.any():
            # a marker without a negative value has none below 0 either
            known = usable[row]
            floor = 0.0 if (limit[row, known] >= 0).all() and not logarithmic[row] else -np.inf
            bounds[row] = _bounds(transform[row], limit[row], here, above[row] & known, floor)
            notes[row].append(share)
        else:
            notes[row].append(f"{share}: {place}, without imputation")
    values[~usable] = np.nan
    kind = np.where(dichotomised, "binary", kind).astype(object)
    return AnalysisValues(
        value=values,
        usable=usable,
        fraction_censored=fraction,
        note=np.array(["; ".join(parts) for parts in notes], dtype=object),
        kind=kind,
        words=words,
        info=info.assign(kind=kind).reset_index(drop=True),
        bounds=bounds,
    )
