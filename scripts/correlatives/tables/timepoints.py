"""From visits and days to analysis timepoints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from correlatives.pairing import HALF_A_DAY, PROGRESSION_WINDOW_DAYS
from correlatives.tables.problems import Problems
from correlatives.tables.words import words

#: A specimen that was there before treatment, whenever it was asked for.
ARCHIVED = "archival_tissue"


def baseline_name(config: dict[str, Any]) -> str:
    """Return the name of the baseline timepoint: where the resistance analysis starts from.

    `resistance.from` if set, else ``baseline``.
    """
    return str((config.get("resistance") or {}).get("from") or "baseline")


def progression_names(config: dict[str, Any]) -> list[str]:
    """Return the timepoints that lie around progression, `resistance.to` first."""
    to = str((config.get("resistance") or {}).get("to") or "progression")
    around = [
        name
        for name, rule in (config.get("timepoints") or {}).items()
        if (rule or {}).get("around") == "progression"
    ]
    return [to, *(name for name in around if name != to)]


def days_from_randomisation(study_day: np.ndarray, first_dose_day: np.ndarray) -> np.ndarray:
    """Turn study days (1 = first dose, no day 0) into days from randomisation.

    Parameters
    ----------
    study_day : np.ndarray of float, shape (s,)
    first_dose_day : np.ndarray of float, shape (s,)
        Days from randomisation to the first dose.
    """
    return first_dose_day + np.where(study_day > 0, study_day - 1, study_day)


def study_days(days: np.ndarray, first_dose_day: np.ndarray) -> np.ndarray:
    """Turn days from randomisation into study days (1 = first dose, no day 0)."""
    since_dose = days - first_dose_day
    return np.where(since_dose >= 0, since_dose + 1, since_dose)


def assign(samples: pd.DataFrame, config: dict[str, Any], problems: Problems) -> np.ndarray:
    """Return the analysis timepoint of every sample ("" if its visit is not said).

    A visit is looked up in the `visits` of each timepoint; a visit that has a timepoint's own name is
    that timepoint. A timepoint without `visits` takes unmapped samples whose study day lies in its
    window. Other visits are kept under their own label, with the warning ``visit_not_mapped``. Archival
    tissue is always baseline.

    Parameters
    ----------
    samples : pd.DataFrame
        Columns specimen, timepoint (the visit as labelled), day.

    Returns
    -------
    np.ndarray of str, shape (s,)
    """
    rules = config.get("timepoints") or {}
    place: dict[str, str] = {}
    for name, rule in rules.items():
        for visit in (rule or {}).get("visits") or []:
            place.setdefault(str(visit), name)
    for name in rules:
        place.setdefault(name, name)
    visit = words(samples["timepoint"])
    day = samples["day"].to_numpy(dtype=float)
    result = np.array([place.get(label, "") for label in visit], dtype=object)
    for name, rule in rules.items():
        rule = rule or {}
        window = rule.get("window_days")
        if window and not rule.get("visits") and rule.get("around") != "progression":
            inside = (result == "") & (day >= window[0]) & (day <= window[1])
            result[inside] = name
    archived = words(samples["specimen"]) == ARCHIVED
    result[archived] = baseline_name(config)
    unmapped = (result == "") & (visit != "")
    if rules:
        for label in sorted(set(visit[unmapped])):
            where = np.flatnonzero(unmapped & (visit == label))
            first = samples.iloc[where[0]]
            problems.add(
                "visit_not_mapped",
                f"Visit {label!r} of {len(where)} sample(s) is in no timepoint of the configuration; it "
                f"is kept as a timepoint of its own. Add it to the visits of one of: {', '.join(rules)}.",
                table="samples",
                file=str(first.get("_file", "")),
                row=line_of(first),
                column="timepoint",
                value=label,
            )
    result[unmapped] = visit[unmapped]
    return result


def nominal_days(
    timepoint: np.ndarray, config: dict[str, Any], progression_day: np.ndarray
) -> np.ndarray:
    """Return the day (study days) that a sample of each timepoint is meant to be near.

    The middle of the window; its upper end where the window ends by day 1 (a baseline sample is the
    better the closer it is to the first dose); the subject's day of progression where the window lies
    around progression, whatever its ends. NaN where nothing says.

    Parameters
    ----------
    timepoint : np.ndarray of str, shape (s,)
    progression_day : np.ndarray of float, shape (s,)
        Study day of progression of the sample's subject, NaN if there was none.
    """
    result = np.full(len(timepoint), np.nan)
    for name, rule in (config.get("timepoints") or {}).items():
        rule = rule or {}
        here = timepoint == name
        window = rule.get("window_days")
        if rule.get("around") == "progression":
            result[here] = progression_day[here]
        elif window:
            low, high = window
            result[here] = high if high <= 1 else (low + high) / 2
    return result


def check_windows(
    samples: pd.DataFrame,
    config: dict[str, Any],
    randomisation_days: float | None,
    problems: Problems,
) -> None:
    """Warn of samples outside their window, and of on-treatment samples taken after progression.

    Parameters
    ----------
    samples : pd.DataFrame
        Samples of the cohort: sample_id, subject_id, specimen, analysis (timepoint), day, elapsed (days
        from randomisation), progression_elapsed (the same for progression, NaN if none), _file, _row.
    randomisation_days
        Tolerance in days of a time that was given in another unit (a day for months).
    """
    tolerance = 0.0 if randomisation_days is None else randomisation_days
    rules = config.get("timepoints") or {}
    baseline = baseline_name(config)
    late = progression_names(config)
    analysis = words(samples["analysis"])
    fresh = words(samples["specimen"]) != ARCHIVED
    day = samples["day"].to_numpy(dtype=float)
    since = samples["elapsed"].to_numpy(dtype=float) - samples["progression_elapsed"].to_numpy(
        dtype=float
    )
    for name, rule in rules.items():
        window = (rule or {}).get("window_days")
        if not window:
            continue
        around = rule.get("around") == "progression"
        offset, slack = (since, tolerance) if around else (day, 0.0)
        outside = (offset < window[0] - slack) | (offset > window[1] + slack)
        for index in np.flatnonzero((analysis == name) & fresh & outside):
            sample = samples.iloc[index]
            found = (
                f"{offset[index]:+.0f} days from progression"
                if around
                else f"study day {offset[index]:g}"
            )
            kept = "It is kept"
            if name == late[0] and around and offset[index] < -PROGRESSION_WINDOW_DAYS - HALF_A_DAY:
                kept += (
                    f", but makes no pair: it was taken more than {PROGRESSION_WINDOW_DAYS:g} days before "
                    "progression"
                )
            problems.add(
                "sample_outside_window",
                f"Sample {sample['sample_id']} ({sample['specimen']}, {name}) was taken at {found}; the "
                f"window is {window[0]} to {window[1]}. {kept}. Correct its day or visit if wrong.",
                table="samples",
                file=str(sample.get("_file", "")),
                row=line_of(sample),
                column="day",
                subject_id=str(sample["subject_id"]),
                value=f"{day[index]:g}",
            )
    on_treatment = fresh & (analysis != "") & (analysis != baseline) & ~np.isin(analysis, late)
    for index in np.flatnonzero(on_treatment & (since > tolerance)):
        sample = samples.iloc[index]
        problems.add(
            "on_treatment_after_progression",
            f"Sample {sample['sample_id']} is labelled {analysis[index]}, on treatment, but was taken "
            f"{since[index]:.0f} days after progression. Check its visit, its day and the progression.",
            table="samples",
            file=str(sample.get("_file", "")),
            row=line_of(sample),
            column="timepoint",
            subject_id=str(sample["subject_id"]),
            value=analysis[index],
        )


def line_of(row: pd.Series) -> int | None:
    """Return the line of the file that a row came from, if it is known."""
    line = row.get("_row")
    return None if line is None or pd.isna(line) else int(line)
