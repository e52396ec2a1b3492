"""How much a continuous biomarker changed between two samples of the same subject."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort
from correlatives.intervals import Interval
from correlatives.markers import ABOVE, BELOW, MISSING, Markers
from correlatives.multiplicity import benjamini_hochberg
from correlatives.pairing import (
    RESULTS,
    names_with_assay,
    not_at_progression,
    of_specimen,
    quantities,
    sample_months,
    specimens,
)
from correlatives.resistance.pairs import arm_masks
from correlatives.tables.limits import analysis_values

COLUMNS = [
    "biomarker",
    "specimen",
    "from",
    "to",
    "arm",
    "pairs",
    "median_change",
    "median_change_low",
    "median_change_high",
    "p_wilcoxon",
    "q_value",
]

#: Differences that agree to this many significant digits of the largest value are ties.
TIE_DIGITS = 10

#: Up to this many non-zero differences the signed-rank test is exact.
EXACT_PAIRS = 50

#: Standard normal quantile of 95 % limits.
Z_95 = 1.959963984540054


def paired_change(
    cohort: Cohort,
    from_: str,
    to: str,
    early: Sequence[str] = (),
    *,
    at_progression: bool = True,
) -> pd.DataFrame:
    """Estimate the change of every continuous biomarker: ``resistance/paired_change.tsv``.

    Parameters
    ----------
    cohort : Cohort
    from_, to : str
        Analysis timepoints: the change is `to` minus `from_`.
    early : sequence of str
        On-treatment timepoints, compared with `from_` too.
    at_progression : bool
        Whether samples at `to` of subjects who stopped without progression are set aside.

    Returns
    -------
    pd.DataFrame
        A row a biomarker, specimen, pair of timepoints and arm (and ``all``; only ``all`` in a
        single-arm study). `median_change` is the Hodges–Lehmann estimate (the median of the pairwise
        means of the differences) on the marker's transformed scale, with its distribution-free limits; `p_wilcoxon`
        the signed-rank test, exact up to 50 differences, beyond that normal with tie and
        continuity correction (as R). Values beyond the limits stand where
        `correlatives.tables.limits` puts them (below: the limit over √2); two on the same side are no
        change. With more than half of a biomarker's paired values beyond the limits (all arms) only the
        number of pairs is given. `q_value` is Benjamini–Hochberg's over the biomarkers within specimen × pair of timepoints × arm.
    """
    markers = quantities(cohort.markers)
    ones = np.ones(len(cohort.subjects), dtype=bool)
    groups = [("all", ones)]
    if cohort.randomised:
        groups = [*arm_masks(cohort), ("all", ones)]
    blocks = []
    for specimen in specimens(markers):
        before = of_specimen(markers, specimen, from_)
        for later in [*dict.fromkeys(t for t in early if t != to), to]:
            after = of_specimen(markers, specimen, later)
            at_end = np.full(len(ones), "", dtype=object)
            if at_progression and later == to:
                at_end = not_at_progression(cohort, sample_months(cohort, specimen, to))
            names, difference, unknown = _differences(before, after, at_end == "")
            for label, mask in groups:
                block = _summaries(difference[:, mask], unknown)
                block.insert(0, "biomarker", names)
                block = block[block["pairs"] > 0]
                block = block.assign(
                    **{"specimen": specimen, "from": from_, "to": later, "arm": label},
                    q_value=benjamini_hochberg(block["p_wilcoxon"].to_numpy(dtype=float)),
                )
                if len(block):
                    blocks.append(block[COLUMNS])
    if not blocks:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(blocks, ignore_index=True)


def hodges_lehmann(differences: np.ndarray) -> Interval:
    """Estimate the centre of paired differences, with distribution-free 95 % limits.

    Parameters
    ----------
    differences : np.ndarray of float, shape (m,)
        Zeros included: no change is an observation too.

    Returns
    -------
    Interval
        The median of the m (m + 1) / 2 Walsh averages, and the averages whose ranks are the quantiles
        of the signed-rank statistic (exact up to 50 differences, then normal). Limits are NaN below six
        differences, where no pair of ranks covers 95 %.

    References
    ----------
    Hollander M, Wolfe DA, Chicken E. Nonparametric Statistical Methods, 3rd ed., section 3.3.
    """
    m = len(differences)
    if not m:
        return Interval(np.nan, np.nan, np.nan)
    first, second = _triangle(m)
    walsh = (differences[first] + differences[second]) / 2.0
    total = len(walsh)
    middle = sorted({(total - 1) // 2, total // 2})
    rank = _limit_rank(m)
    wanted = [*middle, rank - 1, total - rank] if rank else middle
    walsh.partition(wanted)
    low, high = (walsh[rank - 1], walsh[total - rank]) if rank else (np.nan, np.nan)
    return Interval(float(walsh[middle].mean()), float(low), float(high))


def signed_rank_p(differences: np.ndarray) -> float:
    """Test whether paired differences are symmetric about zero (Wilcoxon's signed-rank test).

    Parameters
    ----------
    differences : np.ndarray of float, shape (m,)
        Rounded, so that ties are ties. Zeros are left out, as Wilcoxon did.

    Returns
    -------
    float
        Two-sided p: exact over all signs up to 50 non-zero differences, ties or not; beyond that the
        normal approximation with tie and continuity correction. 1 if all differences are zero.
    """
    nonzero = differences[differences != 0]
    if not len(differences):
        return np.nan
    if not len(nonzero):
        return 1.0
    _, inverse, counts = np.unique(np.abs(nonzero), return_inverse=True, return_counts=True)
    # Twice the mid-ranks, which are whole numbers.
    doubled = (2 * np.cumsum(counts) - counts + 1)[inverse]
    statistic = int(doubled[nonzero > 0].sum())
    total = int(doubled.sum())
    if len(nonzero) <= EXACT_PAIRS:
        cumulative = _sign_distribution(tuple(np.sort(doubled).tolist()))
        return float(min(1.0, 2.0 * cumulative[min(statistic, total - statistic)]))
    from scipy.special import ndtr

    excess = abs(statistic - total / 2.0) / 2.0
    variance = float((doubled.astype(float) ** 2).sum()) / 16.0
    return float(min(1.0, 2.0 * ndtr(-max(0.0, excess - 0.5) / np.sqrt(variance))))


def _differences(
    before: Markers, after: Markers, keep: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return biomarkers, their rounded differences, and whether too many values are censored.

    Returns
    -------
    names : np.ndarray of str, shape (p,)
        With the assay where a biomarker was measured by several.
    difference : np.ndarray of float, shape (p, n)
        On the transformed scale; NaN without a pair.
    unknown : np.ndarray of bool, shape (p,)
        Whether so many values are beyond the limits that only the pairs can be counted.
    """
    _, first, second = np.intersect1d(
        names_with_assay(before), names_with_assay(after), return_indices=True
    )
    info = before.info.iloc[first].reset_index(drop=True)
    name = info["biomarker"].astype(str)
    several = name.duplicated(keep=False)
    names = name.where(~several, name + " (" + info["assay"].fillna("").astype(str) + ")")
    states = [before.state[first], after.state[second]]
    paired = keep & np.isin(states[0], RESULTS) & np.isin(states[1], RESULTS)
    # Both timepoints go through the limits together, so that both are on one scale.
    values = analysis_values(
        Markers(
            np.concatenate([before.subjects, before.subjects]),
            info,
            np.hstack([before.value[first], after.value[second]]),
            np.hstack([np.where(paired, state, MISSING) for state in states]),
        )
    )
    unknown = values.kind != info["kind"].to_numpy(dtype=object)
    start, end = np.hsplit(values.value, 2)
    difference = end - start
    same_side = (states[0] == states[1]) & np.isin(states[0], (BELOW, ABOVE))
    difference = np.where(same_side & ~np.isnan(difference), 0.0, difference)
    # The same step between two values must be the same number, or float noise would order ties.
    scale = np.abs(np.nan_to_num(values.value)).max(axis=1, initial=0.0)[:, None]
    scale = np.where(scale > 0, scale, 1.0)
    step = 10.0 ** (np.ceil(np.log10(scale)) - TIE_DIGITS)
    return names.to_numpy(dtype=object), np.round(difference / step) * step, unknown


def _summaries(difference: np.ndarray, unknown: np.ndarray) -> pd.DataFrame:
    """Summarise each row's differences."""
    rows = []
    for row, censored in zip(difference, unknown, strict=True):
        known = row[~np.isnan(row)]
        if censored or not len(known):
            rows.append((len(known), np.nan, np.nan, np.nan, np.nan))
        else:
            rows.append((len(known), *hodges_lehmann(known), signed_rank_p(known)))
    return pd.DataFrame(
        rows,
        columns=[
            "pairs",
            "median_change",
            "median_change_low",
            "median_change_high",
            "p_wilcoxon",
        ],
    )


@lru_cache(maxsize=64)
def _triangle(m: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(m)


@lru_cache(maxsize=1024)
def _sign_distribution(doubled_ranks: tuple[int, ...]) -> np.ndarray:
    """Cumulative distribution of the doubled signed-rank statistic over all 2^m signs."""
    counts = np.zeros(sum(doubled_ranks) + 1)
    counts[0] = 1.0
    reached = 0
    for rank in doubled_ranks:
        reached += rank
        counts[rank : reached + 1] += counts[: reached - rank + 1].copy()
        counts[: reached + 1] /= 2.0
    return np.cumsum(counts)


@lru_cache(maxsize=1024)
def _limit_rank(m: int) -> int:
    """Rank (1-based) of the Walsh average that is the lower 95 % limit; 0 if there is none."""
    if m <= EXACT_PAIRS:
        cumulative = _sign_distribution(tuple(range(2, 2 * m + 1, 2)))[::2]
        # Wilcoxon's W <= rank - 1 must have a probability of at most 2.5 %.
        return int(np.searchsorted(cumulative, 0.025, side="right"))
    mean = m * (m + 1) / 4.0
    deviation = np.sqrt(m * (m + 1) * (2 * m + 1) / 24.0)
    return int(np.floor(mean - Z_95 * deviation + 0.5))
