"""Endpoints of the subjects: times, events, responses, durations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from correlatives.tables.problems import Problems
from correlatives.tables.timepoints import days_from_randomisation
from correlatives.tables.words import POSITIVE, nearest, words
from correlatives.time_units import DAYS_A_MONTH

#: Responses that are a response whenever they were seen.
RESPONDED = ("CR", "PR")

#: Reasons of an outcome that are the end of treatment, without progression.
STOPPED = ("toxicity", "withdrawal")

#: A form's words for treatment that was stopped for progression.
STOPPED_FOR_PROGRESSION = r"(?<!no )(?<!without )(?<!not )progress|^pd$"

#: Times of two events that differ by less are the same visit (months; one day).
SAME_DAY_MONTHS = 1.0 / DAYS_A_MONTH


def progression_endpoint(endpoints: dict[str, Any]) -> str:
    """Return the endpoint that says when the disease progressed: PFS, else one named like it, else none."""
    timed = [name for name, e in endpoints.items() if e.get("type") == "time_to_event"]
    for wanted in ("PFS", "TTP"):
        for name in timed:
            if name.upper() == wanted:
                return name
    return next((name for name in timed if name.upper().startswith(("PFS", "TTP"))), "")


def survival_endpoint(endpoints: dict[str, Any]) -> str:
    """Return the endpoint of overall survival, "" if there is none."""
    timed = [name for name, e in endpoints.items() if e.get("type") == "time_to_event"]
    return next((name for name in timed if name.upper() == "OS"), "")


def wanted_column(endpoint: dict[str, Any]) -> str:
    """Return the column of the responses table that a response endpoint reads."""
    return str(endpoint.get("column") or "best_overall_response")


def endpoint_columns(
    ids: np.ndarray,
    config: dict[str, Any],
    outcomes: pd.DataFrame,
    responses: pd.DataFrame,
    assessments: pd.DataFrame,
    first_dose_day: np.ndarray,
    problems: Problems,
) -> pd.DataFrame:
    """Return the endpoints' columns for the subjects `ids`, in their order.

    Time to event: ``{endpoint}_months``, ``{endpoint}_event``; missing is NaN.

    Response, from `best_overall_response`: 1 for the words of `responders`, else 0. NE counts as no
    response, as in the denominator of all randomised; a subject without any entry is NaN (not known to
    have been assessed) and is counted in the flow. With `at_least_months`, a response other than CR and
    PR counts if it lasted: the last assessment without progression, or progression-free survival,
    reaches that month. It is 0 if progression, or an event of progression-free survival, came before,
    and NaN if follow-up ended before. From a `column`: 1 for the words of `positive`, else 0.

    Duration of response: the outcomes endpoint of that name if there is one; else, among responders
    (by the endpoint `of`), from the first assessment with CR or PR (or another of its `responders`
    that is not SD) to the end of progression-free survival. NaN for non-responders, and where no
    assessment says when the response began.

    Parameters
    ----------
    ids : np.ndarray of str, shape (n,)
    first_dose_day : np.ndarray of float, shape (n,)
        Days from randomisation to the first dose, of the same subjects.

    Returns
    -------
    pd.DataFrame, n rows
        In addition best_overall_response, best_change_pct, progression_months, and event_reason: what the outcomes
        table says the event of the progression endpoint was (empty without an event, or where it does not say).
    """
    endpoints: dict[str, Any] = config["endpoints"]
    index = pd.Index(ids)
    columns: dict[str, np.ndarray] = {}
    timed = outcomes[outcomes["subject_id"].isin(index)]
    by_endpoint = {
        str(name): frame.drop_duplicates("subject_id").set_index("subject_id").reindex(index)
        for name, frame in timed.groupby("endpoint", sort=False)
    }
    given = set(outcomes["endpoint"].dropna().astype(str))
    for name, endpoint in endpoints.items():
        own = name in by_endpoint
        if endpoint["type"] == "time_to_event" or (
            endpoint["type"] == "duration_of_response" and name in given
        ):
            if name not in given:
                problems.add(
                    "endpoint_unknown",
                    f"Endpoint {name!r} is in no row of the outcomes.{nearest(name, sorted(given))}",
                    table="outcomes",
                    column="endpoint",
                    value=name,
                )
            frame = by_endpoint.get(name)
            blank = np.full(len(index), np.nan)
            columns[f"{name}_months"] = frame["time_months"].to_numpy(float) if own else blank
            columns[f"{name}_event"] = frame["event"].to_numpy(float) if own else blank.copy()
    reference = progression_endpoint(endpoints)
    months = columns.get(f"{reference}_months", np.full(len(index), np.nan))
    event = columns.get(f"{reference}_event", np.full(len(index), np.nan))
    reason = np.full(len(index), "", dtype=object)
    if reference in by_endpoint:
        reason = words(by_endpoint[reference]["reason"])
    progressed = (event == 1) & np.isin(reason, ["", "progression"])
    columns["progression_months"] = np.where(progressed, months, np.nan)
    columns["event_reason"] = np.where(event == 1, reason, "")

    answers = responses.drop_duplicates("subject_id").set_index("subject_id").reindex(index)
    best = (
        words(answers["best_overall_response"])
        if "best_overall_response" in answers
        else np.full(len(index), "", dtype=object)
    )
    columns["best_overall_response"] = best
    columns["best_change_pct"] = (
        answers["best_change_pct"].to_numpy(dtype=float)
        if "best_change_pct" in answers
        else np.full(len(index), np.nan)
    )
    seen = _assessed(assessments, index, first_dose_day)
    for name, endpoint in endpoints.items():
        if endpoint["type"] != "response":
            continue
        column = wanted_column(endpoint)
        if column not in responses:
            problems.add(
                "endpoint_names_no_column",
                f"Endpoint {name!r} reads column {column!r}, which the responses table has not."
                + nearest(column, responses.columns),
                table="responses",
                column=column,
            )
            columns[name] = np.full(len(index), np.nan)
            continue
        if endpoint.get("column"):
            columns[name] = _two_valued(words(answers[column]), endpoint, name, problems)
        else:
            columns[name] = _response(best, endpoint, months, event, seen)
    for name, endpoint in endpoints.items():
        if endpoint["type"] == "duration_of_response" and name not in given:
            columns |= _duration(name, endpoint, endpoints, columns, months, event, seen, problems)
    return pd.DataFrame(columns)


def _assessed(
    assessments: pd.DataFrame, index: pd.Index, first_dose_day: np.ndarray
) -> pd.DataFrame:
    """Return the assessments of the subjects: position (of the subject), months, response; in time order."""
    position = index.get_indexer(assessments["subject_id"])
    known = position >= 0
    part = assessments.loc[known]
    position = position[known]
    days = days_from_randomisation(part["day"].to_numpy(dtype=float), first_dose_day[position])
    frame = pd.DataFrame(
        {
            "position": position,
            "months": days / DAYS_A_MONTH,
            "response": words(part["response"]) if "response" in part else "",
            "day": part["day"].to_numpy(dtype=float),
        }
    )
    return frame[frame["months"].notna()].sort_values(["position", "months"], kind="stable")


def _extreme(frame: pd.DataFrame, n: int, how: str) -> np.ndarray:
    """Return the first or last month of each subject's assessments, NaN without any; shape (n,)."""
    result = np.full(n, np.nan)
    found = frame.groupby("position")["months"].agg(how)
    result[found.index.to_numpy()] = found.to_numpy(dtype=float)
    return result


def _response(
    best: np.ndarray,
    endpoint: dict[str, Any],
    months: np.ndarray,
    event: np.ndarray,
    seen: pd.DataFrame,
) -> np.ndarray:
    listed = np.isin(best, [str(word) for word in endpoint["responders"]])
    result = np.where(best == "", np.nan, listed.astype(float))
    least = endpoint.get("at_least_months")
    if not least:
        return result
    n = len(best)
    first_progression = _extreme(seen[seen["response"] == "PD"], n, "min")
    stable = seen[
        ~seen["response"].isin(["PD", "NE", ""])
        & ~(seen["months"].to_numpy() >= first_progression[seen["position"].to_numpy()])
    ]
    last_stable = _extreme(stable, n, "max")
    lasted = (last_stable >= least) | (months >= least)
    ended = (first_progression < least) | ((months < least) & (event == 1))
    timed = listed & ~np.isin(best, RESPONDED)
    return np.where(timed, np.where(lasted, 1.0, np.where(ended, 0.0, np.nan)), result)


def _two_valued(
    found: np.ndarray, endpoint: dict[str, Any], name: str, problems: Problems
) -> np.ndarray:
    positive = {str(word) for word in endpoint.get("positive") or []}
    if not positive:
        positive = {word for word in set(found) if word.casefold() in POSITIVE}
        if not positive:
            problems.add(
                "no_positive_value",
                f"Endpoint {name!r} does not say which values are a response. Give them as `positive`.",
                table="responses",
                column=str(endpoint.get("column")),
                value=", ".join(sorted(set(found) - {""})[:5]),
            )
            return np.full(len(found), np.nan)
    return np.where(found == "", np.nan, np.isin(found, sorted(positive)).astype(float))


def _duration(
    name: str,
    endpoint: dict[str, Any],
    endpoints: dict[str, Any],
    columns: dict[str, np.ndarray],
    months: np.ndarray,
    event: np.ndarray,
    seen: pd.DataFrame,
    problems: Problems,
) -> dict[str, np.ndarray]:
    n = len(months)
    of = str(endpoint.get("of") or "ORR")
    responded = columns.get(of, np.full(n, np.nan)) == 1
    words_of_response = [
        str(word) for word in endpoints.get(of, {}).get("responders") or RESPONDED if word != "SD"
    ]
    began = _extreme(seen[seen["response"].isin(words_of_response)], n, "min")
    length = months - began
    known = responded & (length >= 0)
    undated = int((responded & ~known).sum())
    if undated:
        problems.add(
            "response_not_dated",
            f"{undated} of {int(responded.sum())} responders have no duration of response ({name}): it needs "
            f"the assessment at which the response was first seen, on or before the end of progression-free "
            "survival. Give the assessments, or an outcomes endpoint of that name.",
            table="assessments",
            value=name,
        )
    return {
        f"{name}_months": np.where(known, length, np.nan),
        f"{name}_event": np.where(known, event, np.nan),
    }


def progression_seen(
    ids: np.ndarray,
    columns: pd.DataFrame,
    endpoints: dict[str, Any],
    assessments: pd.DataFrame,
    stopped_for: np.ndarray,
) -> np.ndarray:
    """Say of whom any table tells that the disease progressed.

    Parameters
    ----------
    ids : np.ndarray of str, shape (n,)
    columns : pd.DataFrame, n rows
        Of `endpoint_columns`.
    endpoints : dict
        Configuration: ``endpoints``.
    assessments : pd.DataFrame
    stopped_for : np.ndarray of str, shape (n,)
        Of `off_treatment_reason`.

    Returns
    -------
    np.ndarray of str, shape (n,)
        ``yes``: an event of progression-free survival by progression (or without a reason), an assessment
        or a best response of PD, or treatment stopped for progression. ``no``: none of these, and
        progression-free survival is known, censored or with an event of another cause such as death. Empty where it is
        not known.
    """
    reference = progression_endpoint(endpoints)
    known = np.zeros(len(ids), dtype=bool)
    if f"{reference}_event" in columns:
        known = columns[f"{reference}_event"].notna().to_numpy(dtype=bool)
    assessed = set(words(assessments["subject_id"])[words(assessments["response"]) == "PD"])
    stopped = pd.Series(stopped_for, dtype=str).str.casefold()
    seen = (
        columns["progression_months"].notna().to_numpy(dtype=bool)
        | (words(columns["best_overall_response"]) == "PD")
        | np.isin(ids, sorted(assessed))
        | stopped.str.contains(STOPPED_FOR_PROGRESSION, regex=True).to_numpy(dtype=bool)
    )
    return np.where(seen, "yes", np.where(known, "no", "")).astype(object)


def off_treatment_reason(
    ids: np.ndarray, doses: pd.DataFrame, outcomes: pd.DataFrame, reference: str
) -> np.ndarray:
    """Return why treatment ended: the last reason given for the drug that was stopped last; shape (n,).

    A drug that was stopped earlier while another went on is not the end of treatment. Of drugs stopped on
    one day the one with a reason counts. Where the doses name no reason, toxicity and withdrawal are taken
    from the outcomes of `reference` (progression-free survival). Empty without a reason.
    """
    result = _reason_of_doses(ids, doses)
    said = outcomes[
        outcomes["endpoint"].eq(reference).fillna(False).to_numpy(dtype=bool)
        & outcomes["reason"].isin(STOPPED).to_numpy(dtype=bool)
    ].drop_duplicates("subject_id")
    censored = words(said.set_index("subject_id")["reason"].reindex(pd.Index(ids)))
    return np.where(result == "", censored, result)


def _reason_of_doses(ids: np.ndarray, doses: pd.DataFrame) -> np.ndarray:
    result = np.full(len(ids), "", dtype=object)
    if "reason_off" not in doses or not len(doses):
        return result
    frame = pd.DataFrame(
        {
            "subject": words(doses["subject_id"]),
            "drug": words(doses["drug"]),
            "stop": doses["stop_day"].fillna(doses["start_day"]).to_numpy(dtype=float),
            "reason": words(doses["reason_off"]),
        }
    ).sort_values("stop", kind="stable")
    given = frame[frame["reason"] != ""].drop_duplicates(["subject", "drug"], keep="last")
    last = frame.groupby(["subject", "drug"], sort=False)["stop"].max().rename("last")
    last = last.reset_index()
    last = last[last["last"] == last.groupby("subject")["last"].transform("max")]
    found = last.merge(given, on=["subject", "drug"]).drop_duplicates("subject")
    return words(found.set_index("subject")["reason"].reindex(pd.Index(ids)))


def check_outcomes(
    ids: np.ndarray,
    columns: pd.DataFrame,
    config: dict[str, Any],
    outcomes: pd.DataFrame,
    assessments: pd.DataFrame,
    first_dose_day: np.ndarray,
    problems: Problems,
) -> None:
    """Warn of endpoints that contradict each other.

    ``pfs_after_os``; ``censored_at_event``: a reason of progression or death beside a censored
    time, or a death or a progression, by another table, at the time at which the endpoint is censored.
    """
    endpoints = config["endpoints"]
    pfs, os = progression_endpoint(endpoints), survival_endpoint(endpoints)
    lines = {
        (subject, endpoint): (str(file), line)
        for subject, endpoint, file, line in zip(
            outcomes["subject_id"],
            outcomes["endpoint"],
            outcomes.get("_file", pd.Series("", index=outcomes.index)),
            outcomes.get("_row", pd.Series(pd.NA, index=outcomes.index)),
            strict=True,
        )
    }

    def warn(rule: str, index: int, endpoint: str, value: object, message: str) -> None:
        file, line = lines.get((ids[index], endpoint), ("", None))
        problems.add(
            rule,
            message,
            table="outcomes",
            file=file,
            row=None if line is None or pd.isna(line) else int(line),
            column="event" if rule == "censored_at_event" else "time",
            subject_id=ids[index],
            value=value,
        )

    for name, endpoint in endpoints.items():
        column = name if endpoint["type"] == "response" else f"{name}_months"
        without = np.flatnonzero(columns[column].isna())
        # A duration of response exists for responders only; an endpoint nobody has is an error already.
        if endpoint["type"] == "duration_of_response" or len(without) in (0, len(ids)):
            continue
        problems.add(
            "subject_without_outcome",
            f"{len(without)} of {len(ids)} subjects have no {name} (the first is {ids[without[0]]}); they are not "
            "in its analyses. Complete the table if it is known.",
            table="responses" if endpoint["type"] == "response" else "outcomes",
            column=name,
        )
    if pfs and os:
        progression, death = (columns[f"{name}_months"].to_numpy(float) for name in (pfs, os))
        for index in np.flatnonzero(progression > death + SAME_DAY_MONTHS / 2):
            warn(
                "pfs_after_os",
                index,
                pfs,
                f"{progression[index]:g}",
                f"{pfs} of subject {ids[index]} ends at {progression[index]:.2f} months, after {os} "
                f"({death[index]:.2f} months).",
            )
    reasons = {
        (subject, endpoint): reason
        for subject, endpoint, reason in zip(
            outcomes["subject_id"], outcomes["endpoint"], words(outcomes["reason"]), strict=True
        )
    }
    died = np.full(len(ids), np.nan)
    if os:
        event = columns[f"{os}_event"].to_numpy(float) == 1
        died = np.where(event, columns[f"{os}_months"].to_numpy(float), np.nan)
    seen = _assessed(assessments, pd.Index(ids), first_dose_day)
    progressed = _extreme(seen[seen["response"] == "PD"], len(ids), "min")
    for name in (pfs, os):
        if not name:
            continue
        time = columns[f"{name}_months"].to_numpy(float)
        censored = columns[f"{name}_event"].to_numpy(float) == 0
        telling = ("progression", "death") if name == pfs else ("death",)
        for index in np.flatnonzero(censored):
            reason = reasons.get((ids[index], name), "")
            if reason in telling:
                why = f"its reason is {reason}"
            elif name == pfs and abs(died[index] - time[index]) < SAME_DAY_MONTHS:
                why = "the subject died at that time"
            elif name == pfs and abs(progressed[index] - time[index]) < SAME_DAY_MONTHS:
                why = "progression was assessed at that time"
            else:
                continue
            warn(
                "censored_at_event",
                index,
                name,
                "0",
                f"{name} of subject {ids[index]} is censored at {time[index]:.2f} months, but {why}. Many "
                "such lines are the usual sign of a reversed event coding (event_coding: censor).",
            )
