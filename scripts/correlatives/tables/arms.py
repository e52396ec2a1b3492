"""Who is in which arm, and in which stratum."""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np
import pandas as pd

from correlatives.tables.problems import Problems
from correlatives.tables.timepoints import line_of
from correlatives.tables.words import recoding, words


def arm_labels(config: dict[str, Any], given: np.ndarray) -> dict[str, str]:
    """Return role -> label: control and experimental, or ``all`` of a single-arm study.

    Parameters
    ----------
    given : np.ndarray of str
        Values of subjects.arm. A single-arm study goes by its one value; with several (cohorts of one
        trial) or none it is called ``all``.
    """
    study = config["study"]
    if study["design"] == "randomised":
        arms = study["arms"]
        return {role: " / ".join(map(str, arms[role])) for role in ("control", "experimental")}
    found = sorted(set(given) - {""})
    return {"all": found[0] if len(found) == 1 else "all"}


def assign_arms(
    subjects: pd.DataFrame, config: dict[str, Any], problems: Problems
) -> tuple[dict[str, str], np.ndarray, dict[str, str], dict[str, str]]:
    """Say who is in the cohort, and in which arm.

    Returns
    -------
    labels : dict
        Role -> label.
    code : np.ndarray of float, shape (rows of `subjects`,)
        0 control, 1 experimental; NaN for others, and for everyone in a single-arm study.
    set_aside : dict
        subject_id -> why the subject is not in the cohort.
    relabel : dict
        Arm as in the data -> label of the cohort.
    """
    ids = words(subjects["subject_id"])
    given = words(subjects["arm"]) if "arm" in subjects else np.full(len(subjects), "", object)
    labels = arm_labels(config, given)
    code = np.full(len(subjects), np.nan)
    if config["study"]["design"] != "randomised":
        return labels, code, {}, dict.fromkeys(sorted({*given, ""}), labels["all"])
    listed = {
        role: {str(value) for value in config["study"]["arms"].get(role) or []}
        for role in ("control", "experimental", "other")
    }
    code[np.isin(given, list(listed["control"]))] = 0.0
    code[np.isin(given, list(listed["experimental"]))] = 1.0
    set_aside: dict[str, str] = {}
    unlisted: dict[str, list[int]] = {}
    for index in np.flatnonzero(np.isnan(code)):
        arm = given[index]
        if arm == "":
            set_aside[ids[index]] = "no arm"
            row = subjects.iloc[index]
            problems.add(
                "subject_without_arm",
                f"Subject {ids[index]} has no arm. Give the arm that the subject was randomised to.",
                table="subjects",
                file=str(row.get("_file", "")),
                row=line_of(row),
                column="arm",
                subject_id=ids[index],
            )
            continue
        set_aside[ids[index]] = f"other arm: {arm}"
        if arm not in listed["other"]:
            unlisted.setdefault(arm, []).append(index)
    for arm, rows in sorted(unlisted.items()):
        first = subjects.iloc[rows[0]]
        meant = [
            value for values in listed.values() for value in values if _plain(value) == _plain(arm)
        ]
        like = (
            f" It differs from {min(meant)!r}, which is listed, only in case or spaces: if they are one arm, "
            f"recode the table's with {recoding('arm', arm, min(meant))}, or correct study.arms."
            if meant
            else ""
        )
        problems.add(
            "arm_not_listed",
            f"Arm {arm!r} ({len(rows)} subject(s)) is in none of the lists of study.arms and is set aside."
            f"{like} {'Else list' if meant else 'List'} it under control, experimental or other.",
            table="subjects",
            file=str(first.get("_file", "")),
            row=line_of(first),
            column=_column_of_arms(config),
            value=arm,
        )
    _report_empty(subjects, given, listed, unlisted, problems)
    relabel = {
        value: labels[role] for role in ("control", "experimental") for value in listed[role]
    }
    return labels, code, set_aside, relabel


def _column_of_arms(config: dict[str, Any]) -> str:
    """Return the column of the arms by the name that the study's file gives it."""
    given = (config.get("tables") or {}).get("subjects") or {}
    entries = [given] if isinstance(given, dict) else given
    names = [(entry.get("columns") or {}).get("arm") for entry in entries]
    return next((str(name) for name in names if name), "arm")


def _plain(arm: str) -> str:
    """Return an arm as it is told from others: without case and spaces."""
    return "".join(arm.casefold().split())


def _report_empty(
    subjects: pd.DataFrame,
    given: np.ndarray,
    listed: dict[str, set[str]],
    unlisted: dict[str, list[int]],
    problems: Problems,
) -> None:
    """Report an arm to be compared in which there is nobody.

    Of several arms that are pooled, one may be empty, unless the data write it in other case or spaces.
    """
    found = sorted(set(given) - {""})
    files = [str(file) for file in subjects.get("_file", [])]
    for role in ("control", "experimental"):
        empty = sorted(listed[role] - set(found))
        alone = len(empty) == len(listed[role])
        for arm in empty:
            same = [other for other in sorted(unlisted) if _plain(other) == _plain(arm)]
            if not alone and not same:
                continue
            close = same or _closest(arm, sorted(unlisted))
            if close:
                hint = (
                    f"The nearest in the data is {close[0]!r} ({len(unlisted[close[0]])} subject(s)): if it is "
                    f"that arm, correct study.arms, or recode the subjects table's: {recoding('arm', close[0], arm)}."
                )
            elif found:
                hint = f"The data have {', '.join(map(repr, found))}. Correct study.arms, or recode with `values: {{arm: {{...}}}}`."
            elif not len(subjects):
                hint = (
                    "Of the subjects table no subject is left. Fill it in, or correct its `where`."
                )
            else:
                hint = "No subject has an arm. Give the arms in the subjects table."
            problems.add(
                "arm_empty",
                f"Nobody is in the arm {arm!r}, which study.arms lists under {role}. {hint}",
                table="subjects",
                file=files[0] if files else "",
                column="arm",
                value=arm,
            )


def _closest(arm: str, others: list[str]) -> list[str]:
    """Return the one of `others` that is written most like `arm`, if any is."""
    plain = {_plain(other): other for other in reversed(others)}
    return [plain[p] for p in difflib.get_close_matches(_plain(arm), list(plain), n=1, cutoff=0.6)]


def strata_codes(subjects: pd.DataFrame, columns: list[str], problems: Problems) -> np.ndarray:
    """Return a number for each combination of the strata, 0-based, in the order of their values.

    A missing value is a level of its own, with the warning ``stratum_missing``.

    Returns
    -------
    np.ndarray of int, shape (n,)
    """
    known = [column for column in columns if column in subjects]
    if not known:
        return np.zeros(len(subjects), dtype=np.int64)
    values = [words(subjects[column]) for column in known]
    for column, found in zip(known, values, strict=True):
        for index in np.flatnonzero(found == ""):
            row = subjects.iloc[index]
            problems.add(
                "stratum_missing",
                f"Subject {row['subject_id']} has no {column}, a randomisation stratum; those without it "
                "are analysed as a stratum of their own.",
                table="subjects",
                file=str(row.get("_file", "")),
                row=line_of(row),
                column=column,
                subject_id=str(row["subject_id"]),
            )
    combined = list(zip(*values, strict=True))
    order = {combination: code for code, combination in enumerate(sorted(set(combined)))}
    return np.array([order[combination] for combination in combined], dtype=np.int64)
