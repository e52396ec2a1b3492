"""How long before the scan the blood showed progression."""

from __future__ import annotations

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort
from correlatives.intervals import Interval
from correlatives.pairing import BLOOD, HALF_A_DAY, PROGRESSION_WINDOW_DAYS, sample_months
from correlatives.resistance.classes import ClassStates, classes_of, were_looked_for
from correlatives.resistance.pairs import arm_masks, reading_order
from correlatives.tables.alterations import CLASSES
from correlatives.time_units import DAYS_A_MONTH

COLUMNS = ["marker", "specimen", "arm", "n", "median", "median_low", "median_high"]

#: Name of the first new alteration in any gene.
ANY_GENE = "new alteration"


def lead_time(
    cohort: Cohort, from_: str, *, rise: float = 2.0, min_tumour_fraction: float = 0.01
) -> pd.DataFrame:
    """Estimate the time from molecular to imaging progression: ``resistance/lead_time.tsv``.

    Molecular progression is the first blood sample after baseline with a counted alteration of a class
    (mutation, amplification, deletion, fusion) that could be read in that gene at baseline and was not there
    (``gene:…``, and ``new alteration`` for the first in any gene), or (``tumour_fraction``) with a tumour fraction of at least `rise` times the lowest before it,
    and not below `min_tumour_fraction`.

    Parameters
    ----------
    cohort : Cohort
    from_ : str
        The baseline timepoint.
    rise : float
        Fold increase over the nadir that counts.
    min_tumour_fraction : float
        Tumour fraction, on the scale 0 to 1, below which no rise counts.

    Returns
    -------
    pd.DataFrame
        Days by arm: positive where blood came first. `n` are the subjects with both progressions, the
        molecular one at the latest in a sample within 28 days after imaging; that sample itself gives a lead of about zero, so
        the median is not of blood-first subjects only. It cannot be finer than the sampling, and
        who never progressed in blood is not in it. Limits are order statistics (exact binomial), NaN
        below six subjects.
    """
    if "progression_months" not in cohort.subjects:
        return pd.DataFrame(columns=COLUMNS)
    progressed = cohort.subjects["progression_months"].to_numpy(dtype=float)
    rows = []
    for specimen in BLOOD:
        found = new_alterations(cohort, from_, specimen)
        found["tumour_fraction"] = tumour_fraction_rise(
            cohort, from_, specimen, rise, min_tumour_fraction
        )
        for marker, months in found.items():
            days = (progressed - months) * DAYS_A_MONTH
            with np.errstate(invalid="ignore"):
                both = days >= -(PROGRESSION_WINDOW_DAYS + HALF_A_DAY)
            if both.any():
                rows += [
                    (marker, specimen, label, int((both & mask).sum()), *median(days[both & mask]))
                    for label, mask in arm_masks(cohort)
                ]
    return pd.DataFrame(rows, columns=COLUMNS)


def new_alterations(cohort: Cohort, from_: str, specimen: str) -> dict[str, np.ndarray]:
    """Return when an alteration of each gene was first found whose class was looked for at baseline in vain.

    Returns
    -------
    dict of str to np.ndarray of float, shape (n,)
        ``new alteration`` first, then ``gene:…``; months from randomisation, NaN where none was found.
    """
    calls = _dated_calls(cohort, from_, specimen)
    baseline = ClassStates.at(cohort.markers, specimen, from_)
    start = sample_months(cohort, specimen, from_)
    subjects = pd.Index(cohort.subjects["subject_id"])
    listed = sorted(set(calls["gene"].astype(str)))
    by_class = dict(list(calls.groupby(["gene", "class"])))
    first: dict[str, np.ndarray] = {}
    for g in reading_order(cohort, ["gene"] * len(listed), listed):
        parts = []
        for of_class in (*CLASSES, ""):
            mine = by_class.get((listed[g], of_class))
            if mine is None:
                continue
            state = baseline.of(listed[g], of_class, looked_for=mine["looked_for"].any())
            earliest = mine.groupby("subject_id")["months"].min().reindex(subjects)
            months = earliest.to_numpy(dtype=float)
            with np.errstate(invalid="ignore"):
                parts.append(np.where((state == 0) & ~(months <= start), months, np.nan))
        months = np.fmin.reduce(parts)
        if np.isfinite(months).any():
            first[f"gene:{listed[g]}"] = months
    if not first:
        return {}
    return {ANY_GENE: np.fmin.reduce(list(first.values())), **first}


def tumour_fraction_rise(
    cohort: Cohort, from_: str, specimen: str, rise: float, min_tumour_fraction: float
) -> np.ndarray:
    """Return when the tumour fraction first rose from its nadir, in months; NaN where it did not."""
    samples = cohort.samples
    wanted = samples[
        samples["specimen"].eq(specimen) & samples["usable"].fillna(False).astype(bool)
    ]
    wanted = wanted.assign(
        months=pd.to_numeric(wanted["months"], errors="coerce").astype(float),
        fraction=pd.to_numeric(wanted["tumour_fraction"], errors="coerce").astype(float),
    ).dropna(subset=["months", "fraction"])
    wanted = wanted.sort_values(["subject_id", "months", "run_id"], kind="stable")
    found = {}
    for subject, series in wanted.groupby("subject_id", sort=False):
        is_baseline = series["timepoint"].eq(from_).to_numpy()
        if not is_baseline.any():
            continue
        begin = int(np.flatnonzero(is_baseline)[0])
        fraction = series["fraction"].to_numpy()[begin:]
        months = series["months"].to_numpy()[begin:]
        nadir = np.minimum.accumulate(fraction)[:-1]
        risen = (fraction[1:] >= rise * nadir) & (fraction[1:] >= min_tumour_fraction)
        risen &= (fraction[1:] > nadir) & ~is_baseline[begin + 1 :]
        if risen.any():
            found[subject] = months[1:][risen][0]
    return pd.Series(found, dtype=float).reindex(cohort.subjects["subject_id"]).to_numpy(float)


def median(values: np.ndarray) -> Interval:
    """Return the median with exact 95 % order-statistic limits, NaN below six values.

    References
    ----------
    Hollander M, Wolfe DA, Chicken E. Nonparametric Statistical Methods, 3rd ed., section 3.6.
    """
    if not len(values):
        return Interval(np.nan, np.nan, np.nan)
    from scipy.special import bdtr

    n = len(values)
    ordered = np.sort(values)
    rank = int((bdtr(np.arange(n // 2), n, 0.5) <= 0.025).sum())
    low, high = (ordered[rank - 1], ordered[n - rank]) if rank else (np.nan, np.nan)
    return Interval(float(np.median(ordered)), float(low), float(high))


def _dated_calls(cohort: Cohort, from_: str, specimen: str) -> pd.DataFrame:
    """Return the counted calls of later, usable samples with their months."""
    columns = ["subject_id", "gene", "class", "looked_for", "months"]
    calls, samples = cohort.calls, cohort.samples
    if calls.empty or samples.empty:
        return pd.DataFrame(columns=columns)
    usable = samples[samples["usable"].fillna(False).astype(bool)]
    months = pd.to_numeric(usable["months"], errors="coerce").astype(float)
    by_run = pd.Series(months.to_numpy(), index=usable["run_id"].to_numpy())
    by_run = by_run[~by_run.index.duplicated()]
    wanted = calls[
        calls["specimen"].eq(specimen)
        & ~calls["timepoint"].eq(from_).fillna(False)
        & calls["counted"].fillna(False).astype(bool)
    ]
    wanted = wanted.assign(months=wanted["run_id"].map(by_run).astype(float))
    wanted = wanted.assign(**{"class": classes_of(wanted), "looked_for": were_looked_for(wanted)})
    return wanted.dropna(subset=["months"])[columns]
