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
from correlatives.tables.shape import FEW_FOR_SHAPE, TAIL_RATIO, long_tails
from correlatives.tables.study import Matrix, Study
from correlatives.tables.words import nearest
from correlatives.time_units import DAYS_A_MONTH

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
_SAME_DAY = 1.0 / DAYS_A_MONTH * 1.01

#: A gap of so many decades between neighbouring values sets a group of values apart.
GAP_DECADES = 1.5
#: Fewer values than this say nothing of a biomarker's scale.
FEW = 5
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
    """Report strata, covariates, clinical markers and columns of Table 1 that are no columns of the subjects table."""
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
                ("report", "table_one"),
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

    def remedy_of(row: pd.Series) -> str:
        entry = parts[row["_file"]].entry if row["_file"] in parts else {}
        if entry.get("event_coding") == "censor":
            return "`event_coding: censor` stands in the configuration, take it out"
        return "write `event_coding: censor`"

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
            f"coding is reversed: {remedy_of(row)}.",
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
        if abs(days / DAYS_A_MONTH - pfs.loc[subject, "time_months"]) <= _SAME_DAY:
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
    files = frame["_file"].to_numpy(dtype=object)
    lines = frame["_row"].to_numpy()
    source = frame["source"].to_numpy()
    assay = frame["assay"].fillna("").to_numpy(dtype=object)
    listed = {key[:2] for key in dictionary.rows}
    absent: dict[str, list[tuple[str, str, int]]] = {}
    tailed: dict[str, list[tuple[str, str, int, np.ndarray]]] = {}
    groups = frame.groupby([frame["biomarker"], specimen], sort=False).indices
    for (name, where), members in groups.items():
        first = members[0]
        file, line = files[first], int(lines[first])
        if file not in parts:
            continue
        defaults = study.defaults[source[first]] if 0 <= source[first] < len(study.defaults) else {}
        row = dictionary.row(name, where, str(assay[first]))
        if row is None and (name, where) in listed:
            row = next(r for key, r in dictionary.rows.items() if key[:2] == (name, where))
        # that an empty dictionary lists nothing has been told
        if "biomarkers" in study.given and dictionary.rows and row is None:
            absent.setdefault(file, []).append((str(name), str(where), line))
        kept = members[plain[members]]
        numbers = value[kept]
        for index in np.flatnonzero(thousandfold(numbers)):
            at = kept[index]
            _tell_thousandfold(
                study.problems,
                parts.get(files[at], parts[file]),
                str(name),
                lines[at],
                subject[at],
                numbers,
                index,
                "value",
            )
        tail = len(numbers) >= FEW_FOR_SHAPE and numbers.max() > TAIL_RATIO * numbers.min() > 0
        if tail and _untransformed(row, defaults) and long_tails(numbers[None, :])[0]:
            tailed.setdefault(file, []).append((str(name), str(where), line, numbers))
    for file, names in absent.items():
        if len(names) > MANY:
            _tell_many_unlisted(study, parts[file], [n for n, _, _ in names], names[0][2])
            continue
        for name, where, line in names:
            _tell_unlisted(study, parts[file], name, where, dictionary, line, "biomarker")
    for file, found in tailed.items():
        if len(found) > MANY:
            _tell_many_tails(study, parts[file], [n for n, *_ in found], found[0][2])
            continue
        for name, where, line, numbers in found:
            _tell_tail(study, parts[file], name, where, numbers, line, "value")


def _tell_many_unlisted(
    study: Study, part: Part, names: list[str], row: int, column: str = "biomarker"
) -> None:
    part.tell(
        study.problems,
        "biomarker_not_in_dictionary",
        f"{len(names)} biomarkers ({_some(names)}) have no row in the dictionary: they are exploratory, and "
        "the table's defaults hold. Add rows for those that were prespecified.",
        column=column,
        row=row,
        value=f"{len(names)} biomarkers",
    )


def _tell_many_tails(
    study: Study, part: Part, names: list[str], row: int, column: str = "biomarker"
) -> None:
    part.tell(
        study.problems,
        "long_right_tail",
        f"{len(names)} biomarkers ({_some(names)}) have a long right tail, and the table has no transform. "
        "Give `defaults: {transform: log2}`, or rows in the dictionary.",
        column=column,
        row=row,
        value=f"{len(names)} biomarkers",
    )


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

    names = [str(name) for name in matrix.features]
    listed = np.isin(matrix.features, sorted(dictionary.biomarkers))
    few = len(names) <= MANY
    # only biomarkers that may be told of by name have to be found in the file
    named = matrix.features[listed | (np.count_nonzero(~listed) <= MANY)]
    told = part.frame["biomarker"].isin(named) if by_feature else []
    part_rows = dict(part.frame.loc[told, ["biomarker", "_row"]].to_numpy()) if by_feature else {}
    head_column = column_of(names[0]) if by_feature else ""
    if "biomarkers" in study.given and dictionary.rows and not listed.all():
        absent = [name for name, there in zip(names, listed, strict=True) if not there]
        if len(absent) > MANY:
            _tell_many_unlisted(study, part, absent, head, head_column)
        else:
            for name in absent:
                _tell_unlisted(
                    study, part, name, where, dictionary, part_rows.get(name, head), column_of(name)
                )
    open_shape = np.full(len(names), _untransformed(None, matrix.defaults))
    for index in np.flatnonzero(listed):
        row = dictionary.row(names[index], where, matrix.assay)
        open_shape[index] = _untransformed(row, matrix.defaults)
    tails = np.zeros(len(names), dtype=bool)
    looked_at: dict[int, np.ndarray] = {}
    for of, piece in matrix.placed():
        plain = np.where((piece.status == 0) & (piece.qualifier == 0), piece.value, np.nan)
        tails[of][open_shape[of]] = long_tails(plain[open_shape[of]])
        looked_at |= {i + of.start: plain[i].copy() for i in np.flatnonzero((listed | few)[of])}
    lines = {} if by_feature else _lines(part)
    for index, values in looked_at.items():
        name = names[index]
        for at in np.flatnonzero(thousandfold(values)):
            names_of_row = (str(matrix.samples[at]), str(sample.iloc[at]), str(subject[at]))
            row = (
                int(part_rows[name])
                if by_feature
                else next((lines[one] for one in names_of_row if one in lines), None)
            )
            _tell_thousandfold(
                study.problems,
                part,
                name,
                row,
                subject[at],
                values,
                int(at),
                str(sample.iloc[at]) if by_feature else column_of(name),
            )
        if tails[index]:
            finite = values[np.isfinite(values)]
            line = part_rows.get(name, head)
            _tell_tail(study, part, name, where, finite, line, column_of(name))
    if not few and (tails & ~listed).any():
        many = [
            name
            for name, tail, there in zip(names, tails, listed, strict=True)
            if tail and not there
        ]
        _tell_many_tails(study, part, many, head, head_column)


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
