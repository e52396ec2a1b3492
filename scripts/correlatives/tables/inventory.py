"""How many samples were expected, received, assayed and usable: ``check/inventory.tsv``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from correlatives.tables.timepoints import (
    baseline_name,
    days_from_randomisation,
    progression_names,
)
from correlatives.tables.words import words
from correlatives.time_units import DAYS_A_MONTH

#: Columns of ``check/inventory.tsv``.
INVENTORY = ["timepoint", "specimen", "assay", "arm", "expected", "received", "assayed", "usable"]


def expected_subjects(
    timepoint: str,
    config: dict[str, Any],
    months: np.ndarray,
    progressed: np.ndarray,
    first_dose_day: np.ndarray,
) -> np.ndarray:
    """Say of whom a sample is expected at a timepoint.

    At baseline of everyone; at progression of those who progressed (and of those with a sample of whom that is not known); at a timepoint on treatment of
    those alive and free of progression when its window opens (of everyone where the configuration gives no
    window, or where a subject's follow-up is unknown).

    Parameters
    ----------
    months : np.ndarray of float, shape (n,)
        Progression-free survival, event or not.
    progressed : np.ndarray of bool, shape (n,)
    first_dose_day : np.ndarray of float, shape (n,)

    Returns
    -------
    np.ndarray of bool, shape (n,)
    """
    if timepoint in progression_names(config):
        return progressed
    everyone = np.ones(len(months), dtype=bool)
    window = ((config.get("timepoints") or {}).get(timepoint) or {}).get("window_days")
    if timepoint == baseline_name(config) or not window:
        return everyone
    opens = days_from_randomisation(np.full(len(months), float(window[0])), first_dose_day)
    return np.isnan(months) | (months > opens / DAYS_A_MONTH)


def is_scheduled(timepoint: str, config: dict[str, Any]) -> bool:
    """Say whether a timepoint is one of the study's; a visit that none of its timepoints has is unscheduled."""
    given = config.get("timepoints") or {}
    named = {*given, baseline_name(config), *progression_names(config)}
    return not given or timepoint in named


def inventory(
    runs: pd.DataFrame,
    samples: pd.DataFrame,
    assays: pd.DataFrame,
    arm: np.ndarray,
    labels: list[str],
    expected: dict[str, np.ndarray],
    order: list[str],
) -> pd.DataFrame:
    """Count subjects by timepoint, specimen, assay and arm.

    Parameters
    ----------
    runs : pd.DataFrame
        Runs of the cohort: subject (position), specimen, analysis, usable.
    samples : pd.DataFrame
        Samples of the cohort: subject (position), specimen, analysis.
    assays : pd.DataFrame
        run (position), assay (what each run was to be assayed for, by its own word or its results'), assayed (whether
        there is a result of it, or it failed quality control).
    arm : np.ndarray of str, shape (n,)
    labels : list of str
        Arms in the order of the table.
    expected : dict
        Timepoint -> np.ndarray of bool, shape (n,). At another, an unscheduled visit, nobody can be missed: expected is received.
    order : list of str
        Timepoints in the order of the table.

    Returns
    -------
    pd.DataFrame
        Subjects, not samples: received has a sample, assayed a result of this assay (or one that failed quality
        control), usable one that passed quality control.
    """
    at = assays["run"].to_numpy(dtype=np.int64)
    done = pd.DataFrame(
        {
            "subject": runs["subject"].to_numpy(dtype=np.int64)[at],
            "specimen": words(runs["specimen"])[at],
            "timepoint": words(runs["analysis"])[at],
            "assay": words(assays["assay"]),
            "assayed": assays["assayed"].to_numpy(dtype=bool),
            "usable": runs["usable"].to_numpy(dtype=bool)[at] & assays["assayed"].to_numpy(bool),
        }
    )
    got = pd.DataFrame(
        {
            "subject": samples["subject"].to_numpy(dtype=np.int64),
            "specimen": words(samples["specimen"]),
            "timepoint": words(samples["analysis"]),
        }
    )
    got = got[got["timepoint"] != ""]
    rank = {name: index for index, name in enumerate(order)}
    places = sorted(
        set(zip(got["timepoint"], got["specimen"], strict=True)),
        key=lambda place: (rank.get(place[0], len(rank)), place),
    )
    # An assay is listed where somebody's sample was sent to it; a sample sent nowhere has an empty one.
    of_place = {
        place: sorted(set(group["assay"]))
        for place, group in done.groupby(["timepoint", "specimen"])
    }
    rows = []
    for timepoint, specimen in places:
        here = got[(got["timepoint"] == timepoint) & (got["specimen"] == specimen)]
        received = np.zeros(len(arm), dtype=bool)
        received[here["subject"].to_numpy()] = True
        for assay in of_place.get((timepoint, specimen), [""]):
            runs_here = done[
                (done["timepoint"] == timepoint)
                & (done["specimen"] == specimen)
                & (done["assay"] == assay)
            ]
            assayed = np.zeros(len(arm), dtype=bool)
            assayed[runs_here.loc[runs_here["assayed"], "subject"].to_numpy()] = True
            usable = np.zeros(len(arm), dtype=bool)
            usable[runs_here.loc[runs_here["usable"], "subject"].to_numpy()] = True
            for label in labels:
                of_arm = arm == label
                rows.append(
                    (
                        timepoint,
                        specimen,
                        assay,
                        label,
                        *tuple(
                            int((of_arm & group).sum())
                            for group in (
                                expected.get(timepoint, received),
                                received,
                                assayed,
                                usable,
                            )
                        ),
                    )
                )
    return pd.DataFrame(rows, columns=INVENTORY)
