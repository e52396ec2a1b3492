"""Change on treatment as a covariate that moves with time: a sensitivity analysis of the landmark's.

A subject enters the risk set when the first sample after baseline is drawn, with the change known then, and the
change is updated at each later draw (counting process). Who had no sample, or whose endpoint came before it, does
not count: nothing is credited with the time it took to measure it.

References
----------
Andersen PK, Gill RD. Annals of Statistics 1982;10:1100-1120. Therneau TM, Grambsch PM. Modeling Survival Data, 2000.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort, strata_by_arm
from correlatives.markers import MEASURED
from correlatives.pairing import names_with_assay, sample_months
from correlatives.resistance.dynamics import (
    CLEARANCE,
    LEAST_EVENTS,
    LEAST_SPREAD,
    TOLERANCE_MONTHS,
    change_markers,
)
from correlatives.resistance.pairs import arm_masks
from correlatives.survival.ties import tie_times

COLUMNS = [
    "biomarker",
    "specimen",
    "endpoint",
    "arm",
    "n",
    "not_at_risk",
    "intervals",
    "events",
    "hr",
    "hr_low",
    "hr_high",
    "p_lrt",
    "p_interaction_lrt",
    "note",
]

Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Intervals:
    """Follow-up in pieces within which the covariate does not change.

    Attributes
    ----------
    subject : np.ndarray of int, shape (m,)
    start, stop : np.ndarray of float, shape (m,)
        Months from randomisation; at risk after `start`, up to and including `stop`.
    event : np.ndarray of float, shape (m,)
        Whether the endpoint came at `stop`.
    value : np.ndarray of float, shape (m,)
    """

    subject: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    event: np.ndarray
    value: np.ndarray


def time_dependent(
    cohort: Cohort, timepoints: Sequence[str], endpoints: Sequence[str] | None = None
) -> pd.DataFrame:
    """Fit the change on treatment as a time-dependent covariate: ``resistance/time_dependent.tsv``.

    Parameters
    ----------
    cohort : Cohort
    timepoints : sequence of str
        On-treatment timepoints (configuration: ``resistance.early``).
    endpoints : sequence of str, optional
        Time-to-event endpoints; all of them by default.

    Returns
    -------
    pd.DataFrame
        Markers drawn at two or more of the timepoints (at the one, if there is only one): of a single
        draw the landmark says as much. A row a changing marker (``ratio:TK1``, ``vaf_ratio:PIK3CA``, ``clearance:…``, without the timepoint), endpoint and arm
        (and ``all``, stratified by arm; only ``all`` in a single-arm study). `n` subjects at risk with the
        marker, `not_at_risk` the others of the arm, `intervals` their pieces of follow-up. `hr` per
        doubling of a ratio to baseline, else cleared against not cleared (Cox, Efron, delayed entry, stratified as randomised) with Wald limits, `p_lrt` its
        likelihood-ratio test, `p_interaction_lrt` that of arm × change.
    """
    baseline = str(cohort.study.get("baseline", "baseline"))
    timed = [
        name
        for name, configuration in cohort.study["endpoints"].items()
        if configuration["type"] == "time_to_event"
        and (endpoints is None or name in endpoints)
        and f"{name}_months" in cohort.subjects
    ]
    updates = _updates(cohort, [t for t in dict.fromkeys(timepoints) if t != baseline], baseline)
    rows = []
    for endpoint in timed:
        time = cohort.subjects[f"{endpoint}_months"].to_numpy(dtype=float)
        event = cohort.subjects[f"{endpoint}_event"].to_numpy(dtype=float)
        for (specimen, name), (drawn, value) in updates.items():
            pieces = follow_up(drawn, value, time, event)
            rows += _rows(cohort, name, specimen, endpoint, pieces)
    return pd.DataFrame(rows, columns=COLUMNS)


def follow_up(
    drawn: np.ndarray, value: np.ndarray, time: np.ndarray, event: np.ndarray
) -> Intervals:
    """Cut each subject's follow-up at the draws.

    Parameters
    ----------
    drawn, value : np.ndarray of float, shape (t, n)
        When each sample was drawn (months) and what it showed; NaN where there is none, or its time or value is
        not known.
    time, event : np.ndarray of float, shape (n,)
        Endpoint; NaN where not known.

    Returns
    -------
    Intervals
        From the first draw on; a sample drawn at or after the endpoint is not used.
    """
    parts: list[tuple[int, float, float, float, float]] = []
    for subject in np.flatnonzero(np.isfinite(time) & np.isfinite(event)):
        known = np.isfinite(drawn[:, subject]) & np.isfinite(value[:, subject])
        known &= drawn[:, subject] < time[subject] - TOLERANCE_MONTHS
        if not known.any():
            continue
        order = np.argsort(drawn[known, subject], kind="stable")
        starts = drawn[known, subject][order]
        stops = np.append(starts[1:], time[subject])
        for place, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            if stop <= start + TOLERANCE_MONTHS:
                continue  # two samples of one day: the later timepoint's holds
            ends = place == len(starts) - 1
            seen = value[known, subject][order][place]
            parts.append((subject, start, stop, event[subject] if ends else 0.0, seen))
    columns = np.array(parts, dtype=float).reshape(-1, 5).T
    return Intervals(columns[0].astype(int), *columns[1:])


def fit_counting_process(
    pieces: Intervals, columns: np.ndarray, stratum: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Fit a Cox model with delayed entry (Efron ties).

    Parameters
    ----------
    pieces : Intervals
    columns : np.ndarray, shape (m, k)
    stratum : np.ndarray of int, shape (m,), optional

    Returns
    -------
    coefficients : np.ndarray, shape (k,)
    covariance : np.ndarray, shape (k, k)
    loglik : float
        NaN in all of them where there is no finite maximum.
    """
    from statsmodels.duration.hazard_regression import PHReg

    k = columns.shape[1]
    centre, scale = columns.mean(axis=0), columns.std(axis=0)
    standard = (columns - centre) / scale
    start, stop = _order(pieces)
    model = PHReg(
        stop,
        standard,
        status=pieces.event,
        entry=start,
        strata=stratum,
        ties="efron",
    )
    with warnings.catch_warnings():
        # Whether there is a maximum is judged by the score and the coefficients below.
        warnings.simplefilter("ignore")
        try:
            found = model.fit(disp=False)
            at = np.asarray(found.params, dtype=float)
            information = -model.hessian(at)
            covariance = np.linalg.inv(information)
            step = covariance @ model.score(at)
        except np.linalg.LinAlgError:
            return np.full(k, np.nan), np.full((k, k), np.nan), np.nan
    # A coefficient of more than 10 per standard deviation runs away; a Newton step left over is no maximum.
    maximum = np.isfinite(at).all() and (np.linalg.eigvalsh(information) > 0).all()
    if not maximum or np.abs(at).max() > 10 or np.abs(step).max() > 1e-4:
        return np.full(k, np.nan), np.full((k, k), np.nan), np.nan
    return at / scale, covariance / np.outer(scale, scale), float(model.loglike(at))


def _order(pieces: Intervals) -> tuple[np.ndarray, np.ndarray]:
    """Return starts and stops as whole numbers in their order, all that a partial likelihood knows of time.

    A start stands half after its time: PHReg would count who enters at the time of an event as at risk of it, and
    twice who is cut there. Times that differ by rounding only are one.
    """
    start, stop = np.split(tie_times(np.concatenate([pieces.start, pieces.stop])), 2)
    times = np.unique([start, stop])
    return np.searchsorted(times, start) + 0.5, np.searchsorted(times, stop).astype(float)


def _updates(
    cohort: Cohort, timepoints: list[str], baseline: str
) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """Return (specimen, marker) -> when it was drawn and what it showed, shape (timepoints, n) each."""
    n = len(cohort.subjects)
    found: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
    for place, timepoint in enumerate(timepoints):
        markers = change_markers(cohort.markers, timepoint, baseline, all_known=True)
        assays = names_with_assay(markers)
        for row, specimen in enumerate(markers.info["specimen"].astype(str)):
            name, assay = assays[row].split("\t")
            name = name.removesuffix(f":{timepoint}")
            several = (assays == f"{name}:{timepoint}\t{assay}").sum() < (
                markers.info["biomarker"].eq(f"{name}:{timepoint}")
                & markers.info["specimen"].eq(specimen)
            ).sum()
            key = (specimen, f"{name} ({assay})" if several else name)
            empty = np.full((len(timepoints), n), np.nan)
            drawn, value = found.setdefault(key, (empty, empty.copy()))
            measured = markers.state[row] == MEASURED
            value[place] = np.where(measured, markers.value[row], np.nan)
            drawn[place] = sample_months(cohort, specimen, timepoint)
    least = min(2, len(timepoints))
    return {
        key: updates
        for key, updates in sorted(found.items())
        if np.isfinite(updates[1]).any(axis=1).sum() >= least
        and not (key[1].startswith(CLEARANCE) and np.nanmax(updates[1]) == 0)
    }


def _rows(
    cohort: Cohort, name: str, specimen: str, endpoint: str, pieces: Intervals
) -> list[tuple]:
    """Return the rows of one marker and endpoint, by arm."""
    everyone = np.ones(len(cohort.subjects), dtype=bool)
    groups = [("all", everyone)]
    experimental = None
    if cohort.randomised:
        groups = [*arm_masks(cohort), *groups]
        experimental = groups[1][1].astype(float)
    stratum = None
    if cohort.study.get("strata") and "stratum" in cohort.subjects:
        stratum = cohort.subjects["stratum"].to_numpy()
    rows = []
    for label, mask in groups:
        use = mask[pieces.subject]
        part = Intervals(*(values[use] for values in vars(pieces).values()))
        at_risk = len(np.unique(part.subject))
        counts = (
            at_risk,
            int(mask.sum()) - at_risk,
            len(part.value),
            int(part.event.sum()),
        )
        of_arm = experimental[part.subject] if label == "all" and experimental is not None else None
        of_stratum = None if stratum is None else stratum[part.subject]
        rows.append(
            (name, specimen, endpoint, label, *counts, *_estimates(part, of_arm, of_stratum))
        )
    return rows


def _estimates(
    part: Intervals, arm: np.ndarray | None, stratum: np.ndarray | None
) -> tuple[float, float, float, float, float, str]:
    """Return the hazard ratio with limits, its p, that of arm × change, and a note."""
    nothing = (np.nan,) * 5
    if part.event.sum() < LEAST_EVENTS:
        return *nothing, f"fewer than {LEAST_EVENTS} events"
    if np.ptp(part.value) <= LEAST_SPREAD:
        return *nothing, "one value in all subjects"
    if arm is not None:
        stratum = strata_by_arm(stratum, arm)
    beta, covariance, loglik = fit_counting_process(part, part.value[:, None], stratum)
    if np.isnan(loglik):
        return *nothing, "no finite maximum"
    without = _null_loglik(part, stratum)
    error = float(np.sqrt(covariance[0, 0]))
    ratio = np.exp(beta[0] + np.array([0.0, -Z_95, Z_95]) * error)
    p_interaction, note = np.nan, ""
    if arm is not None:
        of_arm = part.value * arm
        joint = (
            fit_counting_process(part, np.column_stack([part.value, of_arm]), stratum)[2]
            if np.ptp(arm) > 0 and np.ptp(of_arm) > 0
            else np.nan
        )
        p_interaction = _lrt(joint, loglik)
        note = "" if np.isfinite(joint) else "no finite maximum with the interaction"
    return (*(float(r) for r in ratio), _lrt(loglik, without), p_interaction, note)


def _null_loglik(part: Intervals, stratum: np.ndarray | None) -> float:
    """Partial log-likelihood without a covariate."""
    from statsmodels.duration.hazard_regression import PHReg

    start, stop = _order(part)
    # Any column will do at a coefficient of 0.
    model = PHReg(
        stop,
        part.value[:, None],
        status=part.event,
        entry=start,
        strata=stratum,
        ties="efron",
    )
    return float(model.loglike(np.zeros(1)))


def _lrt(larger: float, smaller: float) -> float:
    from scipy.special import chdtrc

    if not (np.isfinite(larger) and np.isfinite(smaller)):
        return np.nan
    return float(chdtrc(1, max(0.0, 2.0 * (larger - smaller))))
