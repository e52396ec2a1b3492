"""What is possible but unlikely: warnings across the tables of a study."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from correlatives.tables.checks import Calendar
from correlatives.tables.contracts import CONTRACTS
from correlatives.tables.dictionary import Dictionary
from correlatives.tables.mapping import Part
from correlatives.tables.problems import Problems
from correlatives.tables.study import Matrix, Study
from correlatives.tables.words import nearest

#: Names of columns that identify a person.
_IDENTIFYING = re.compile(
    r"(?:(?:patient|subject|participant|pt|first|last|full|sur|family|given|maiden|middle)[ _.-]?"
    r"(?:name|initials)|name|surname|initials|dob|birth[ _.-]?(?:date|day)|date[ _.-]?of[ _.-]?birth|"
    r"brthdtc?|mrn|medical[ _.-]?record(?:[ _.-]?(?:number|no|nr))?|ssn|social[ _.-]?security.*|"
    r"nhs[ _.-]?(?:number|no)|hospital[ _.-]?(?:number|no|id)|passport.*|(?:home|street)?[ _.-]?address|"
    r"zip(?:[ _.-]?code)?|post(?:al)?[ _.-]?code|(?:tele)?phone(?:[ _.-]?(?:number|no))?|e[ _.-]?mail.*)",
    re.IGNORECASE,
)
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[a-z]{2,}", re.IGNORECASE)

#: Two times are one day if they differ by no more (months).
_SAME_DAY = 1.0 / 30.4375 * 1.01

#: A gap of so many decades between neighbouring values sets a group of values apart.
GAP_DECADES = 1.5
#: Fewer values than this say nothing of a biomarker's scale or shape.
FEW = 5
FEW_FOR_SHAPE = 10
#: A skewness beyond which a tail is long, and the ratio of maximum to median.
SKEWED, TAIL_RATIO = 1.5, 5.0
#: Wide tables of more biomarkers are told of in one line.
MANY = 50


def report_identifying(part: Part, problems: Problems) -> None:
    """Report columns that look like identifiers of a person."""
    for column in part.frame.columns:
        name = part.shown(column)
        if column == "_row" or column in CONTRACTS[part.table].columns:
            continue
        cells = part.frame[column]
        mail = next(
            (c for c in cells.head(200) if isinstance(c, str) and _MAIL.fullmatch(c.strip())), None
        )
        if not _IDENTIFYING.fullmatch(name.strip()) and mail is None:
            continue
        part.tell(
            problems,
            "column_looks_identifying",
            f"Column {name!r} looks like what identifies a person. Take it out of the file, or accept this "
            "warning with the reason why it is harmless.",
            column=column,
            row=part.header_row,
        )


def report_unnamed_columns(study: Study) -> None:
    """Report strata, covariates and clinical markers that are no columns of the subjects table."""
    config, subjects = study.config, study.subjects
    if "subject_id" not in subjects or not len(subjects):
        return
    wanted = [
        ("study.strata", "stratum_names_no_column", (config.get("study") or {}).get("strata")),
        *(
            (f"{section}.{key}", "covariate_names_no_column", (config.get(section) or {}).get(key))
            for section, key in (
                ("predictive", "covariates"),
                ("predictive", "clinical_markers"),
                ("response", "clinical"),
            )
        ),
    ]
    there = [c for c in subjects.columns if not c.startswith("_")]
    file = str(subjects["_file"].iloc[0])
    for key, rule, names in wanted:
        for name in names or []:
            if str(name) not in there:
                study.problems.add(
                    rule,
                    f"{key} names {name!r}, which the subjects table has not.{nearest(str(name), there)} "
                    "Correct the name, or map the column.",
                    table="subjects",
                    file=file,
                    row=1,
                    column=str(name),
                    value=str(name),
                )


def report_implausible(
    study: Study, parts: Mapping[str, Mapping[str, Part]], calendar: Calendar
) -> None:
    """Report everything else that is possible but unlikely."""
    _outcomes(study, parts.get("outcomes", {}), calendar)
    _subject_values(study, parts.get("subjects", {}))
    dictionary = Dictionary(study.biomarkers)
    _long_measurements(study, parts.get("measurements", {}), dictionary)
    for matrix in study.matrices:
        _wide_measurements(study, matrix, parts.get("measurements", {}), dictionary)


# Outcomes -----------------------------------------------------------------------------------------


def _outcomes(study: Study, parts: Mapping[str, Part], calendar: Calendar) -> None:
    frame = study.outcomes
    named = frame["endpoint"].fillna("").str.upper()
    pfs = frame[named == "PFS"].drop_duplicates("subject_id").set_index("subject_id")
    os = frame[named == "OS"].drop_duplicates("subject_id").set_index("subject_id")
    unit = str((study.config.get("study") or {}).get("time_unit") or "months")
    died_at = os[["time_months", "event"]].add_suffix("_os")
    both = pfs.join(died_at, how="inner")

    def tell(rule: str, subject: object, row: pd.Series, column: str, message: str) -> None:
        part = parts.get(row["_file"])
        if part is not None:
            value = row["event"] if column == "event" else row["time_months"]
            part.tell(
                study.problems,
                rule,
                message,
                column=column,
                row=row["_row"],
                subject_id=subject,
                value="" if pd.isna(value) else f"{value:g}",
            )

    for subject, row in both[both["time_months"] > both["time_months_os"] + 1e-6].iterrows():
        tell(
            "pfs_after_os",
            subject,
            row,
            "time",
            f"PFS of {subject} is {row['time_months']:.4g} months, OS {row['time_months_os']:.4g}. "
            f"Progression-free survival ends with death at the latest: check both times (in {unit}).",
        )
    told: set[tuple[object, object]] = set()

    def reversed_coding(subject: object, row: pd.Series, what: str) -> None:
        if (subject, row["endpoint"]) in told:
            return
        told.add((subject, row["endpoint"]))
        tell(
            "censored_at_event",
            subject,
            row,
            "event",
            f"{row['endpoint']} of {subject} is censored, but {what}. If this is so for many subjects, the "
            "coding is reversed: write `event_coding: censor`.",
        )

    censored = frame[(frame["event"] == 0) & frame["reason"].isin(["death", "progression"])]
    for _, row in censored.iterrows():
        if row["endpoint"].upper() == "OS" and row["reason"] == "progression":
            continue
        reversed_coding(row["subject_id"], row, f"its reason is {row['reason']}")
    died = (
        (both["event"] == 0)
        & (both["event_os"] == 1)
        & ((both["time_months"] - both["time_months_os"]).abs() <= _SAME_DAY)
    )
    for subject, row in both[died].iterrows():
        reversed_coding(subject, row, "the subject died at that time (OS)")
    seen = study.assessments
    progressed = seen[(seen["response"] == "PD") & seen["day"].notna()]
    for subject, day in zip(progressed["subject_id"], progressed["day"], strict=True):
        if subject not in pfs.index or pfs.loc[subject, "event"] != 0:
            continue
        days = calendar.first_dose_day.get(subject, 0.0) + (day - 1 if day > 0 else day)
        if abs(days / 30.4375 - pfs.loc[subject, "time_months"]) <= _SAME_DAY:
            reversed_coding(
                subject, pfs.loc[subject], f"progression was assessed on day {day:g}, at that time"
            )


# Scale and shape ----------------------------------------------------------------------------------


def thousandfold(values: np.ndarray) -> np.ndarray:
    """Say which values are a thousandfold off the others.

    Positive values are grouped on the decimal logarithm, cut where neighbours are `GAP_DECADES` apart. A
    value outside the largest group is off if, moved by exactly three decades, it falls within that
    group's range (widened by a factor of two). The largest group must hold `FEW` values.

    Parameters
    ----------
    values : np.ndarray of float, shape (n,)

    Returns
    -------
    np.ndarray of bool, shape (n,)
    """
    off = np.zeros(len(values), dtype=bool)
    with np.errstate(invalid="ignore"):
        usable = np.flatnonzero(np.isfinite(values) & (values > 0))
    if len(usable) <= FEW:
        return off
    logs = np.log10(values[usable])
    order = np.argsort(logs, kind="stable")
    cuts = np.flatnonzero(np.diff(logs[order]) >= GAP_DECADES) + 1
    if not len(cuts):
        return off
    groups = np.split(order, cuts)
    main = max(groups, key=len)
    if len(main) < FEW:
        return off
    low, high = logs[main].min() - np.log10(2), logs[main].max() + np.log10(2)
    for group in groups:
        if group is main:
            continue
        for index in group:
            moved = logs[index] + (3 if logs[index] < low else -3)
            off[usable[index]] = low <= moved <= high
    return off


def has_long_tail(values: np.ndarray) -> bool:
    """Say whether positive values have a long right tail that a logarithm would take away.

    At least `FEW_FOR_SHAPE` values, all positive; skewness at least `SKEWED`, that of the logarithm at most half
    of it; maximum at least `TAIL_RATIO` medians.
    """
    values = values[np.isfinite(values)]
    if len(values) < FEW_FOR_SHAPE or (values <= 0).any():
        return False
    if values.max() < TAIL_RATIO * np.median(values):
        return False
    plain = _skewness(values)
    return plain >= SKEWED and abs(_skewness(np.log(values))) <= plain / 2


def _skewness(values: np.ndarray) -> float:
    centred = values - values.mean()
    spread = np.sqrt((centred**2).mean())
    return float((centred**3).mean() / spread**3) if spread > 0 else 0.0


def _subject_values(study: Study, parts: Mapping[str, Part]) -> None:
    frame = study.subjects
    for column in frame.columns:
        if column.startswith("_") or frame[column].dtype.kind != "f" or column == "first_dose_day":
            continue
        values = frame[column].to_numpy(dtype=float)
        for index in np.flatnonzero(thousandfold(values)):
            row = frame.iloc[index]
            part = parts.get(row["_file"])
            if part is not None:
                _tell_thousandfold(
                    study.problems,
                    part,
                    column,
                    row["_row"],
                    row["subject_id"],
                    values,
                    index,
                    column,
                )


def _tell_thousandfold(
    problems: Problems,
    part: Part,
    name: str,
    row: object,
    subject: object,
    values: np.ndarray,
    index: int,
    column: str,
) -> None:
    middle = np.nanmedian(values)
    part.tell(
        problems,
        "value_thousandfold_off",
        f"{values[index]:g} is about a thousandfold off the other values of {name} (median {middle:g}), as when one "
        "laboratory counts per µL and another 10³ per µL. Bring it to the same unit.",
        column=column,
        row=row,
        subject_id=subject,
        value=f"{values[index]:g}",
    )


def _long_measurements(study: Study, parts: Mapping[str, Part], dictionary: Dictionary) -> None:
    frame = study.measurements
    if not len(frame):
        return
    samples = study.samples.drop_duplicates("sample_id").set_index("sample_id")
    specimen = samples["specimen"].reindex(frame["sample_id"]).fillna("").to_numpy(dtype=object)
    subject = samples["subject_id"].reindex(frame["sample_id"]).fillna("").to_numpy(dtype=object)
    value = frame["value"].to_numpy(dtype=float)
    plain = (frame["qualifier"] == "").to_numpy() & (frame["status"] == "measured").to_numpy()
    groups = frame.groupby([frame["biomarker"], specimen], sort=False).indices
    for (name, where), members in groups.items():
        first = frame.iloc[members[0]]
        part = parts.get(first["_file"])
        if part is None:
            continue
        source = int(first["source"])
        defaults = study.defaults[source] if 0 <= source < len(study.defaults) else {}
        row = dictionary.row(name, where, str(first["assay"] or ""))
        any_row = row or next(
            (r for key, r in dictionary.rows.items() if key[:2] == (name, where)), None
        )
        if "biomarkers" in study.given and any_row is None:
            _tell_unlisted(study, part, name, where, dictionary, first["_row"], "biomarker")
        kept = members[plain[members]]
        numbers = value[kept]
        for index in np.flatnonzero(thousandfold(numbers)):
            at = frame.iloc[kept[index]]
            _tell_thousandfold(
                study.problems,
                parts.get(at["_file"], part),
                str(name),
                at["_row"],
                subject[kept[index]],
                numbers,
                index,
                "value",
            )
        if _untransformed(any_row, defaults) and has_long_tail(numbers):
            _tell_tail(study, part, str(name), str(where), numbers, first["_row"], "value")


def _untransformed(row: Mapping[str, Any] | None, defaults: Mapping[str, Any]) -> bool:
    said = {k: v for k, v in defaults.items() if v}
    said |= {k: v for k, v in (row or {}).items() if isinstance(v, str) and v}
    return (said.get("kind") or "continuous") == "continuous" and (
        said.get("transform") or "none"
    ) == "none"


def _tell_unlisted(
    study: Study,
    part: Part,
    name: str,
    where: str,
    dictionary: Dictionary,
    row: object,
    column: str,
) -> None:
    others = sorted({key[1] for key in dictionary.rows if key[0] == name})
    hint = (
        f" The dictionary has it in {', '.join(others)}."
        if others
        else nearest(str(name), sorted(dictionary.biomarkers))
    )
    part.tell(
        study.problems,
        "biomarker_not_in_dictionary",
        f"{name} in {where or 'this specimen'} has no row in the dictionary: it is exploratory and not "
        f"transformed unless the table's defaults say otherwise.{hint} Add a row.",
        column=column,
        row=row,
        value=name,
    )


def _tell_tail(
    study: Study, part: Part, name: str, where: str, values: np.ndarray, row: object, column: str
) -> None:
    part.tell(
        study.problems,
        "long_right_tail",
        f"{name} ({where}) has a long right tail (median {np.median(values):g}, maximum {values.max():g}) and no "
        "transform. Give it a transform, such as log2, in the dictionary or the table's defaults.",
        column=column,
        row=row,
        value=name,
    )


def _wide_measurements(
    study: Study, matrix: Matrix, parts: Mapping[str, Part], dictionary: Dictionary
) -> None:
    part = parts.get(matrix.source)
    if part is None or not len(matrix.samples) or not len(matrix.features):
        return
    runs = study.runs.drop_duplicates("run_id").set_index("run_id")
    samples = study.samples.drop_duplicates("sample_id").set_index("sample_id")
    sample = runs["sample_id"].reindex(matrix.samples)
    found = samples.reindex(sample.to_numpy())
    subject = found["subject_id"].to_numpy(dtype=object)
    specimens = list(dict.fromkeys(s for s in found["specimen"] if isinstance(s, str)))
    where = specimens[0] if specimens else ""
    head = part.header_row
    by_feature = part.entry.get("orientation") == "features_in_rows"
    ours = {str(o): str(t) for o, t in (part.entry.get("columns") or {}).items()}

    def column_of(name: str) -> str:
        return part.shown("biomarker") if by_feature else ours.get(name, name)

    listed = np.isin(matrix.features, sorted(dictionary.biomarkers))
    if "biomarkers" in study.given and not listed.all():
        absent = [str(name) for name in matrix.features[~listed]]
        if len(absent) > MANY:
            part.tell(
                study.problems,
                "biomarker_not_in_dictionary",
                f"{len(absent)} of {len(matrix.features)} biomarkers ({_some(absent)}) have no row in the "
                "dictionary: they are exploratory, and the table's defaults hold. Add rows for those that "
                "were prespecified.",
                column=column_of(absent[0]) if by_feature else "",
                row=head,
                value=f"{len(absent)} biomarkers",
            )
        else:
            for name in absent:
                _tell_unlisted(study, part, name, where, dictionary, head, column_of(name))
    plain = np.where((matrix.status == 0) & (matrix.qualifier == 0), matrix.value, np.nan)
    few = len(matrix.features) <= MANY
    tailed: list[str] = []
    lines = _lines(part)
    for index, name in enumerate(matrix.features):
        row = dictionary.row(str(name), where, matrix.assay)
        wanted = _untransformed(row, matrix.defaults) and (listed[index] or few)
        if not wanted and not (listed[index] or few):
            continue
        values = plain[index]
        for at in np.flatnonzero(thousandfold(values)):
            _tell_thousandfold(
                study.problems,
                part,
                str(name),
                lines.get(str(subject[at]), None) if not by_feature else None,
                subject[at],
                values,
                int(at),
                column_of(str(name)),
            )
        finite = values[np.isfinite(values)]
        if wanted and has_long_tail(finite):
            _tell_tail(study, part, str(name), where, finite, head, column_of(str(name)))
    if not few and _untransformed(None, matrix.defaults):
        tailed = [
            str(name)
            for name, values in zip(matrix.features[~listed], plain[~listed], strict=True)
            if has_long_tail(values[np.isfinite(values)])
        ]
    if tailed:
        part.tell(
            study.problems,
            "long_right_tail",
            f"{len(tailed)} of {len(matrix.features)} biomarkers ({_some(tailed)}) have a long right tail, and the "
            "table has no transform. Give `defaults: {transform: log2}`, or a row in the dictionary.",
            column=column_of(tailed[0]) if by_feature else "",
            row=head,
            value=f"{len(tailed)} biomarkers",
        )


def _lines(part: Part) -> dict[str, int]:
    """Return identifier -> line of a wide table with samples in rows, as far as it was kept."""
    frame = part.frame
    key = next((k for k in ("subject_id", "sample_id", "run_id") if k in frame), None)
    if key is None:
        return {}
    return {str(one): int(row) for one, row in zip(frame[key], frame["_row"], strict=True)}


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (", …" if len(listed) > 3 else "")
