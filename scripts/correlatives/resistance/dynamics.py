"""Early change on treatment and what follows it: survival from the landmark, never from baseline.

Who has an early sample lived to have it drawn. Counting that time as follow-up (a naive analysis from
baseline) makes any change look protective. So the clock starts at a landmark by which the samples of the
timepoint had been drawn, subjects whose endpoint came before it are left out and counted, and
the landmark follows from the timepoint: there is no argument that could put it at baseline.

References
----------
Anderson JR, Cain KC, Gelber RD. Journal of Clinical Oncology 1983;1:710-719.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort, strata_by_arm
from correlatives.markers import ABOVE, BELOW, MEASURED, MISSING, Markers
from correlatives.pairing import names_with_assay, sample_months
from correlatives.resistance.pairs import arm_masks
from correlatives.survival.cox import fit_cox_many
from correlatives.tables.limits import LOG_RATIOS, analysis_values
from correlatives.time_units import DAYS_A_MONTH

COLUMNS = [
    "biomarker",
    "specimen",
    "timepoint",
    "endpoint",
    "landmark",
    "n_at_landmark",
    "excluded_before_landmark",
    "arm",
    "hr",
    "hr_low",
    "hr_high",
    "p_lrt",
    "p_interaction_lrt",
]

#: A change that was given as such, yes or no, by whoever measured both samples: ``change:ctDNA:cycle 3``.
GIVEN_CHANGE = "change:"

#: What was there at baseline is not found any more, yes or no: ``clearance:PIK3CA:C2D1``.
CLEARANCE = "clearance:"

#: Burdens of tumour DNA, whose clearance is followed with or without a ratio.
BURDENS = ("max_vaf", "tumour_fraction")

#: Below this many events there is no hazard ratio.
LEAST_EVENTS = 5

#: A change that varies by less is the same in all subjects.
LEAST_SPREAD = 1e-9

#: Times within a minute of each other, or of the landmark, are one.
TOLERANCE_MONTHS = 1e-6


def dynamics(
    cohort: Cohort,
    timepoints: Sequence[str],
    window_end_days: Mapping[str, float] | None = None,
    endpoints: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Relate early change to survival from the landmark: ``resistance/dynamics.tsv``.

    Parameters
    ----------
    cohort : Cohort
        With the derived markers ``ratio:…:{timepoint}`` and ``vaf_ratio:…:{timepoint}``; clearance
        is derived here (`change_markers`).
    timepoints : sequence of str
        On-treatment timepoints (configuration: ``resistance.early``).
    window_end_days : mapping of str to float, optional
        Upper end of each timepoint's window, in study days (configuration: ``timepoints``).
    endpoints : sequence of str, optional
        Time-to-event endpoints; all of them by default.

    Returns
    -------
    pd.DataFrame
        A row a marker, endpoint and arm (and ``all``; only ``all`` in a single-arm study). `landmark` in
        months from randomisation. `n_at_landmark`: subjects with the marker, under observation beyond
        the landmark; `excluded_before_landmark`: all subjects of the arm, with the marker or
        without, whose endpoint (event or censoring) came by the landmark. `hr` is per
        doubling of a ratio to baseline, else 1 against 0 (Cox, Efron, stratified as randomised; in ``all`` by arm too), with profile-likelihood limits; `p_lrt` its
        likelihood-ratio test; `p_interaction_lrt`, in the row ``all``, that of arm × change. A timepoint
        whose draws have neither a window nor days has no landmark and no estimate.

    Raises
    ------
    ValueError
        If a timepoint is the baseline: nothing has changed there, and survival from it is the
        naive analysis.
    """
    baseline = str(cohort.study.get("baseline", "baseline"))
    if baseline in timepoints:
        raise ValueError(
            f"{baseline} is the baseline: a change is measured at a later timepoint, and survival "
            "counted from the landmark after it."
        )
    timed = [
        name
        for name, configuration in cohort.study["endpoints"].items()
        if configuration["type"] == "time_to_event"
        and (endpoints is None or name in endpoints)
        and f"{name}_months" in cohort.subjects
    ]
    blocks = [
        _at_timepoint(cohort, timepoint, endpoint, (window_end_days or {}).get(timepoint))
        for endpoint in timed
        for timepoint in dict.fromkeys(timepoints)
    ]
    blocks = [block for block in blocks if len(block)]
    if not blocks:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(blocks, ignore_index=True)


def window_ends(timepoints: Mapping[str, Mapping[str, Any] | None]) -> dict[str, float]:
    """Return the upper end of each timepoint's window, in study days (configuration: ``timepoints``).

    A window around progression is not one of study days, and is left out.
    """
    return {
        name: float(rule["window_days"][1])
        for name, rule in timepoints.items()
        if rule and rule.get("window_days") and rule.get("around") != "progression"
    }


def change_markers(
    markers: Markers, timepoint: str, baseline: str, *, all_known: bool = False
) -> Markers:
    """Return the changes from baseline to the timepoint, by specimen and name.

    The cohort's ``ratio:…`` and ``vaf_ratio:…`` of that timepoint, and ``clearance:…``: 1 where what was
    there at baseline is not found any more, 0 where it still is, of every altered gene and of every
    quantity that has a ratio or is a burden of tumour DNA. Who had nothing to clear has no value.
    Binary markers ``change:…`` of that timepoint are taken as they were given.

    Parameters
    ----------
    markers : Markers
    timepoint, baseline : str
    all_known : bool
        Whether clearance is wanted even where nobody cleared at this timepoint: it may have been otherwise before.

    Returns
    -------
    Markers
        Ratios are base-2 logarithms, so that whatever is per unit of them is per doubling. Values beyond a
        limit stand where `correlatives.tables.limits` puts them; those with more than half of them beyond are not a
        quantity, and are left to their clearance.
    """
    name = markers.info["biomarker"].astype(str)
    at_time = name.str.endswith(f":{timepoint}")
    of_change = name.str.startswith(LOG_RATIOS) & at_time
    given = name.str.startswith(GIVEN_CHANGE) & at_time & markers.info["kind"].eq("binary")
    given &= markers.info["timepoint"].eq(timepoint)
    ratios = markers.where(of_change.to_numpy(dtype=bool))
    values = analysis_values(ratios)
    kept = values.kind == ratios.info["kind"].to_numpy(dtype=object)
    ratios = Markers(
        ratios.subjects,
        ratios.info.assign(unit="log2 ratio"),
        # the cohort's ratios are natural logarithms
        np.where(values.usable, values.value, np.nan) / np.log(2.0),
        np.where(values.usable, MEASURED, MISSING).astype(np.uint8),
    ).where(kept)
    followed = set(name[of_change].str.replace(r"^(vaf_)?ratio:", "", regex=True))
    followed |= {f"{burden}:{timepoint}" for burden in BURDENS}
    if name.eq("max_vaf").any():
        # Nothing found is nothing of the highest and of the mean: one clearance, not the same twice.
        followed.discard(f"mean_vaf:{timepoint}")
    cleared = _clearance(markers, timepoint, baseline, followed, all_known=all_known)
    found = Markers.concatenate([ratios, markers.where(given.to_numpy(dtype=bool)), cleared])
    order = found.info.sort_values(
        ["specimen", "biomarker", "assay"], kind="stable"
    ).index.to_numpy()
    return Markers(
        found.subjects,
        found.info.iloc[order].reset_index(drop=True),
        found.value[order],
        found.state[order],
    )


def _clearance(
    markers: Markers, timepoint: str, baseline: str, followed: set[str], *, all_known: bool
) -> Markers:
    """Return ``clearance:{gene or quantity}:{timepoint}`` where anybody cleared (or had something to clear)."""
    names = markers.info["biomarker"].astype(str)
    of_gene = names.str.fullmatch("gene:[^:]+").to_numpy(dtype=bool)
    of_quantity = (
        (names + f":{timepoint}").isin(followed)
        & markers.info["kind"].isin(["continuous", "count"])
    ).to_numpy(dtype=bool)
    part = markers.where(of_gene | of_quantity)
    before, after = part.select(timepoint=baseline), part.select(timepoint=timepoint)
    keys = [
        np.array(names_with_assay(m)) + "\t" + m.info["specimen"].astype(str).to_numpy(dtype=str)
        for m in (before, after)
    ]
    _, first, second = np.intersect1d(*keys, return_indices=True)
    was_there = (before.state[first] == MEASURED) | (before.state[first] == ABOVE)
    was_there &= before.value[first] > 0
    gone = (after.state[second] == BELOW) | (
        (after.state[second] == MEASURED) & (after.value[second] == 0)
    )
    known = was_there & np.isin(after.state[second], (MEASURED, BELOW, ABOVE))
    info = after.info.iloc[second].reset_index(drop=True)
    cleared = info["biomarker"].astype(str).str.replace(r"^gene:", "", regex=True)
    info = info.assign(
        biomarker=CLEARANCE + cleared + f":{timepoint}", kind="binary", transform="none"
    )
    found = Markers(
        markers.subjects,
        info,
        np.where(known, gone.astype(float), np.nan),
        np.where(known, MEASURED, MISSING).astype(np.uint8),
    )
    return found.where((known if all_known else known & gone).any(axis=1))


def landmark_months(
    cohort: Cohort, drawn: np.ndarray, has_marker: np.ndarray, window_end_day: float | None
) -> float:
    """Return when the samples of a timepoint have been drawn, in months from randomisation.

    The upper end of the timepoint's window, for the subject with a sample who started treatment last; without
    a window, the latest draw. One landmark a timepoint, whatever the marker.

    Parameters
    ----------
    cohort : Cohort
    drawn : np.ndarray of float, shape (p, n)
        When the sample of each marker and subject was drawn, in months from randomisation; NaN where
        unknown.
    has_marker : np.ndarray of bool, shape (p, n)
    window_end_day : float or None
        Study day (1 = first dose).

    Returns
    -------
    float
        NaN if there is neither a window nor a dated draw, or if it would not lie after randomisation.
    """
    if window_end_day is not None and has_marker.any():
        first_dose = np.zeros(len(cohort.subjects))
        if "first_dose_day" in cohort.subjects:
            given = pd.to_numeric(cohort.subjects["first_dose_day"], errors="coerce")
            first_dose = given.fillna(0.0).to_numpy(dtype=float)
        last_start = first_dose[has_marker.any(axis=0)].max()
        landmark = (last_start + window_end_day - 1.0) / DAYS_A_MONTH
    elif (has_marker & np.isfinite(drawn)).any():
        landmark = float(drawn[has_marker & np.isfinite(drawn)].max())
    else:
        return np.nan
    return float(landmark) if landmark > 0 else np.nan


def _at_timepoint(
    cohort: Cohort, timepoint: str, endpoint: str, window_end_day: float | None
) -> pd.DataFrame:
    """Return the rows of one timepoint and endpoint, by marker and arm."""
    baseline = str(cohort.study.get("baseline", "baseline"))
    markers = change_markers(cohort.markers, timepoint, baseline)
    if not len(markers):
        return pd.DataFrame(columns=COLUMNS)
    value = np.where(markers.state == MEASURED, markers.value, np.nan)
    has_marker = np.isfinite(value)
    time = cohort.subjects[f"{endpoint}_months"].to_numpy(dtype=float)
    event = cohort.subjects[f"{endpoint}_event"].to_numpy(dtype=float)
    known = np.isfinite(time) & np.isfinite(event)
    n = len(time)
    drawn_of = {
        specimen: sample_months(cohort, specimen, timepoint)
        for specimen in dict.fromkeys(markers.info["specimen"].astype(str))
    }
    drawn = np.array([drawn_of[specimen] for specimen in markers.info["specimen"].astype(str)])
    landmark = landmark_months(cohort, drawn, has_marker, window_end_day)
    with np.errstate(invalid="ignore"):
        beyond = known & (time > landmark + TOLERANCE_MONTHS)
        before = known & (time <= landmark + TOLERANCE_MONTHS)
        # A sample drawn after the landmark would be knowledge from the future.
        late = drawn > landmark + TOLERANCE_MONTHS
    use = beyond & has_marker & ~late
    stratum = None
    if cohort.study.get("strata") and "stratum" in cohort.subjects:
        stratum = cohort.subjects["stratum"].to_numpy()
    everyone = np.ones(n, dtype=bool)
    groups = [("all", everyone)]
    experimental = None
    if cohort.randomised:
        groups = [*arm_masks(cohort), *groups]
        experimental = groups[1][1].astype(float)
    blocks = []
    for label, mask in groups:
        include = use & mask
        estimates = _hazard_ratios(
            np.where(known, time, 1.0),
            np.where(known, event, 0.0),
            stratum,
            np.where(include, value, 0.0),
            include,
            experimental if label == "all" else None,
        )
        block = pd.DataFrame(
            {
                "biomarker": _labels(markers),
                "specimen": markers.info["specimen"].astype(str).to_numpy(),
                "timepoint": timepoint,
                "endpoint": endpoint,
                "landmark": landmark,
                "n_at_landmark": include.sum(axis=1),
                "excluded_before_landmark": int((before & mask).sum()),
                "arm": label,
                **estimates,
            },
            index=np.arange(len(markers)),
        )
        blocks.append(block)
    return pd.concat(blocks).sort_index(kind="stable")[COLUMNS]


def _labels(markers: Markers) -> np.ndarray:
    """Return the markers' names, with the assay where a specimen's biomarker was measured by several."""
    info = markers.info
    name = info["biomarker"].astype(str)
    several = pd.DataFrame({"name": name, "specimen": info["specimen"]}).duplicated(keep=False)
    labelled = name + " (" + info["assay"].fillna("").astype(str) + ")"
    return name.where(~several, labelled).to_numpy(dtype=object)


def _hazard_ratios(
    time: np.ndarray,
    event: np.ndarray,
    stratum: np.ndarray | None,
    change: np.ndarray,
    include: np.ndarray,
    experimental: np.ndarray | None,
) -> dict[str, np.ndarray]:
    """Return each marker's hazard ratio with limits, its p, and that of arm × change (with `experimental`)."""
    p = len(change)
    found = {name: np.full(p, np.nan) for name in COLUMNS[8:]}
    spread = np.array(
        [np.ptp(x[w]) if w.any() else 0.0 for x, w in zip(change, include, strict=True)]
    )
    enough = np.flatnonzero((event * include).sum(axis=1) >= LEAST_EVENTS)
    enough = enough[spread[enough] > LEAST_SPREAD]
    if not len(enough):
        return found
    x, rows = change[enough], include[enough]
    if experimental is not None:
        # An arm has hazards of its own, whatever the treatment does over time; the ratio of both lies between theirs.
        stratum = strata_by_arm(stratum, experimental)
    fits = fit_cox_many(time, event, x[:, :, None], rows, stratum)
    intervals, p_change = fits.interval(0), fits.test(0).p
    if (~fits.converged).any():
        # A change that separates who progresses from who does not: Firth's penalty keeps it finite.
        penalised = fit_cox_many(time, event, x[:, :, None], rows, stratum, firth=True)
        finite = penalised.interval(0)
        intervals = [
            np.where(fits.converged, plain, firth)
            for plain, firth in zip(intervals, finite, strict=True)
        ]
        p_change = np.where(fits.converged, p_change, penalised.test(0).p)
    for name, log_ratio in zip(("hr", "hr_low", "hr_high"), intervals, strict=True):
        found[name][enough] = np.exp(log_ratio)
    found["p_lrt"][enough] = p_change
    if experimental is not None:
        design = np.stack([x, x * experimental], axis=2)
        joint = fit_cox_many(time, event, design, rows, stratum)
        p_joint = joint.test(1).p
        if (~joint.converged).any():
            penalised = fit_cox_many(time, event, design, rows, stratum, firth=True)
            p_joint = np.where(joint.converged, p_joint, penalised.test(1).p)
        found["p_interaction_lrt"][enough] = p_joint
    return found
