"""Read a study: every table, mapped, corrected, checked, merged; every problem at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from correlatives.tables.checks import Calendar, loosely_typed, typed
from correlatives.tables.contracts import CONTRACTS, TABLES
from correlatives.tables.corrections import Aliases, Corrections
from correlatives.tables.flow import Flow
from correlatives.tables.keys import Known, empty_columns, merged, report_duplicates
from correlatives.tables.mapping import Part, Source
from correlatives.tables.measurements import Measured, read_measurements
from correlatives.tables.plausibility import (
    report_identifying,
    report_implausible,
    report_unnamed_columns,
)
from correlatives.tables.problems import Problems
from correlatives.tables.references import References, Runs
from correlatives.tables.study import Study
from correlatives.time_units import DAYS, DAYS_A_MONTH

#: Tables of which a list is merged by key; others are put one below the other.
MERGED = ("subjects", "outcomes", "responses", "samples")

#: Contract columns of subjects and responses that are always there; the trial's own only where the data have them.
STRUCTURE = {
    "subjects": ("subject_id", "arm", "first_dose_day", "randomisation_date"),
    "responses": ("subject_id",),
}


def load_study(config: Mapping[str, Any], folder: str | Path) -> Study:
    """Read every table of a study.

    Parameters
    ----------
    config : mapping
        The filled configuration (`correlatives.tables.config`).
    folder : str or Path
        Where the tables' paths start.

    Returns
    -------
    Study
        `problems` holds everything that is wrong; nothing is raised for bad input. With errors, tables hold
        what could be read.
    """
    return _Loader(config, folder).study()


class _Loader:
    """The state of reading one study."""

    def __init__(self, config: Mapping[str, Any], folder: str | Path) -> None:
        self.config = dict(config)
        self.problems = Problems()
        self.problems.accept(self.config.get("accept") or [])
        self.source = Source(self.config, folder, self.problems)
        self.folder = str(folder)
        self.flow = Flow()
        self.columns: dict[str, set[str]] = {}
        self.parts: dict[str, dict[str, Part]] = {}
        self.calendar = Calendar(unit_days=DAYS[self._time_unit()])

    def study(self) -> Study:
        identifiers = [self.noted(part) for part in self.source.parts("identifiers")]
        corrections = [self.noted(part) for part in self.source.parts("corrections")]
        self.aliases = Aliases(identifiers, self.problems)
        for part in corrections:
            typed(part, self.problems, _nobody(part))
        self.corrections = Corrections(corrections, self.problems)

        subjects = self._subjects()
        outcomes = self._of_subjects("outcomes")
        responses = self._of_subjects("responses")
        doses = self._of_subjects("doses")
        assessments = self._of_subjects("assessments")
        samples = self._samples()
        references = References(self.known_subjects, self.known_samples, self.subject_of)
        runs = self._runs(samples, references)
        measured = read_measurements(self, references, runs)
        alterations = self._alterations(references, runs)
        biomarkers = measured.dictionary
        coverage, pathways = self.plain("coverage"), self.plain("pathways")
        signatures = self.plain("signatures")
        samples = self._with_implied(samples, measured)
        self._outcome_times(outcomes)
        self.aliases.report_unknown(self.known_subjects, "subject_id", self.problems)
        self.aliases.report_unknown(self.known_samples, "sample_id", self.problems)
        self.corrections.report(self.problems, self.columns, self.source.broken)
        self._count(subjects, samples)

        outcomes = empty_columns(outcomes, "outcomes").drop(columns=["time"])
        study = Study(
            config=self.config,
            subjects=subjects,
            outcomes=outcomes,
            responses=responses,
            samples=samples,
            runs=runs.frame(),
            measurements=measured.long,
            defaults=measured.defaults,
            matrices=measured.matrices,
            alterations=alterations,
            coverage=coverage,
            biomarkers=biomarkers,
            pathways=pathways,
            signatures=signatures,
            doses=doses,
            assessments=assessments,
            given=frozenset(table for table in TABLES if self.source.entries(table)),
            problems=self.problems,
            flow=self.flow,
            folder=self.folder,
        )
        study.guesses = list(self.source.guesses)
        study.notes = list(self.source.notes)
        study.corrections = self.corrections.frame()
        report_unnamed_columns(study)
        report_implausible(study, self.parts, self.calendar)
        return study

    # One table after the other ------------------------------------------------------------------

    def noted(self, part: Part) -> Part:
        """Keep in mind what a table's files hold, and tell identifying columns."""
        self.columns.setdefault(part.table, set()).update(
            c for c in (*part.frame.columns, *part.names.values()) if c != "_row"
        )
        self.parts.setdefault(part.table, {})[part.file] = part
        report_identifying(part, self.problems)
        return part

    def prepared(self, table: str) -> list[Part]:
        """Return a table's files with aliases replaced and corrections applied."""
        parts = []
        for part in self.source.parts(table):
            self.noted(part)
            self.aliases.apply(part.frame)
            self.aliases.apply(part.set_aside)
            self.corrections.apply(part, self.problems)
            parts.append(part)
        return parts

    def _subjects(self) -> pd.DataFrame:
        frames, gone, lost = [], {}, []
        spelled: Known | None = None
        parts = self.prepared("subjects")
        for part in parts:
            if "subject_id" not in part.frame:
                continue
            if spelled is not None:  # the first file's spelling holds
                loose = Known("subject", list(spelled.ids), complete=False)
                ids = loose.resolve(part, "subject_id", self.problems)
                given = part.frame["subject_id"].to_numpy(dtype=object)
                part.frame["subject_id"] = np.where(pd.isna(ids), given, ids)
            frame = typed(part, self.problems, part.frame["subject_id"].to_numpy(dtype=object))
            frame = self._first_doses(part, frame)
            frame["_file"] = part.file
            frames.append(report_duplicates(frame, ("subject_id",), part, self.problems))
            aside = part.set_aside
            if "subject_id" in aside:
                arms = aside["arm"] if "arm" in aside else pd.Series(None, index=aside.index)
                for subject, arm in zip(aside["subject_id"], arms, strict=True):
                    if isinstance(subject, str):
                        gone.setdefault(subject, arm if isinstance(arm, str) else "")
            lost += part.ragged.get("subject_id", [])
            have = [*(spelled.ids if spelled is not None else ()), *frames[-1]["subject_id"]]
            spelled = Known("subject", have)
        subjects = merged(frames, ("subject_id",), self.parts.get("subjects", {}), self.problems)
        subjects = self._finish(subjects, "subjects")
        ids = list(subjects["subject_id"])
        # A subject that is set aside in one file of several and kept in another is kept.
        self.gone_subjects = {one: arm for one, arm in gone.items() if one not in set(ids)}
        self.known_subjects = Known(
            "subject",
            ids,
            gone=self.gone_subjects,
            lost=lost,
            complete="subjects" not in self.source.broken and bool(frames),
        )
        subjects["first_dose_day"] = subjects["first_dose_day"].fillna(0.0)
        days = subjects["randomisation_date"].to_numpy().astype("datetime64[D]")
        self.calendar.randomised = {
            one: day for one, day in zip(ids, days, strict=True) if not np.isnat(day)
        }
        self.calendar.first_dose_day = dict(zip(ids, subjects["first_dose_day"], strict=True))
        return subjects

    def _first_doses(self, part: Part, frame: pd.DataFrame) -> pd.DataFrame:
        """Turn dates of the first dose into days from randomisation."""
        if "first_dose_date" not in frame or "randomisation_date" not in frame:
            return frame
        from correlatives.tables.cells import as_dates, why_no_date

        cells = part.frame["first_dose_date"].to_numpy(dtype=object)
        dates, readable = as_dates(cells)
        for index in np.flatnonzero(~readable):
            part.tell(
                self.problems,
                "not_a_date",
                why_no_date(str(cells[index])),
                column="first_dose_date",
                row=frame["_row"].iloc[index],
                subject_id=part.frame["subject_id"].iloc[index],
                value=cells[index],
            )
        randomised = frame["randomisation_date"].to_numpy().astype("datetime64[D]")
        between = (dates - randomised).astype("timedelta64[D]")
        days = np.where(np.isnat(between), np.nan, between.astype(float))
        if "first_dose_day" in frame:
            days = np.where(np.isnan(frame["first_dose_day"]), days, frame["first_dose_day"])
        frame["first_dose_day"] = days
        return frame

    def _of_subjects(self, table: str) -> pd.DataFrame:
        """Read a table whose rows name a subject."""
        frames = []
        for part in self.prepared(table):
            if "subject_id" not in part.frame:
                continue
            subjects = self.known_subjects.resolve(part, "subject_id", self.problems)
            aside = self.known_subjects.set_aside(part.frame["subject_id"].to_numpy(dtype=object))
            self.note_aside(part, int(aside.sum()), "subjects")
            part.frame, subjects = part.frame[~aside].reset_index(drop=True), subjects[~aside]
            self._flip(part)
            frame = typed(part, self.problems, subjects, self.calendar)
            frame["subject_id"] = pd.array(subjects, dtype="str")
            frame["_file"] = part.file
            frame = frame[~pd.isna(subjects)]
            if table == "outcomes":
                self._half_recorded(part, frame)
            if table == "doses":
                self._reversed(part, frame)
            key = CONTRACTS[table].key
            frames.append(report_duplicates(frame, key, part, self.problems) if key else frame)
        if table in MERGED:
            stacked = merged(frames, CONTRACTS[table].key, self.parts.get(table, {}), self.problems)
        else:
            stacked = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        return self._finish(stacked, table)

    def _flip(self, part: Part) -> None:
        """Turn a censoring indicator into an event; what is neither 0 nor 1 is left to the check."""
        if part.table != "outcomes" or part.entry.get("event_coding") != "censor":
            return
        if "event" not in part.frame:
            return
        reverse = {"0": "1", "1": "0", "0.0": "1", "1.0": "0"}
        part.frame["event"] = [
            reverse.get(cell, cell) if cell is not None else None for cell in part.frame["event"]
        ]

    def _half_recorded(self, part: Part, frame: pd.DataFrame) -> None:
        """Report outcomes with a time and no event, or an event and no time."""
        if not {"time", "event"} <= set(frame.columns):
            return
        cells = part.frame.loc[frame.index]
        dated = CONTRACTS["outcomes"].columns["time"].date_column
        given = {
            "event": cells["event"],
            "time": cells["time"] if "time" in cells else cells[dated],
        }
        if dated in cells:
            given["time"] = given["time"].fillna(cells[dated])
        for here, other in (("time", "event"), ("event", "time")):
            half = (given[here].isna() & given[other].notna()).to_numpy()
            for index in frame.index[half]:
                part.tell(
                    self.problems,
                    "value_missing",
                    f"There is no {part.shown(here)}, but {part.shown(other)} is {given[other][index]}. "
                    "Give both, or neither if the endpoint was not recorded.",
                    column=here,
                    row=frame["_row"][index],
                    subject_id=frame["subject_id"][index],
                )

    def _reversed(self, part: Part, frame: pd.DataFrame) -> None:
        if not {"start_day", "stop_day"} <= set(frame.columns):
            return
        for index in frame.index[(frame["stop_day"] < frame["start_day"]).to_numpy()]:
            part.tell(
                self.problems,
                "interval_reversed",
                f"The interval stops on day {frame['stop_day'][index]:g} and starts on day "
                f"{frame['start_day'][index]:g}. Give a day on or after the one it starts.",
                column="stop_day",
                row=frame["_row"][index],
                subject_id=frame["subject_id"][index],
                value=f"{frame['stop_day'][index]:g}",
            )

    def _samples(self) -> pd.DataFrame:
        frames, lost = [], []
        self.gone_samples: dict[str, tuple[str, str]] = {}  # sample -> (subject, reason)
        for part in self.prepared("samples"):
            if not {"sample_id", "subject_id"} <= set(part.frame.columns):
                continue
            subjects = self.known_subjects.resolve(part, "subject_id", self.problems)
            named = part.frame["subject_id"].to_numpy(dtype=object)
            aside = self.known_subjects.set_aside(named)
            for sample, subject in zip(part.frame["sample_id"][aside], named[aside], strict=True):
                if isinstance(sample, str):
                    self.gone_samples.setdefault(sample, (subject, "subject set aside"))
            unknown = pd.isna(subjects) & ~aside
            # An unknown subject's sample is known all the same: one error is enough.
            lost += [s for s in part.frame["sample_id"][unknown] if isinstance(s, str)]
            part.frame, subjects = part.frame[~aside].reset_index(drop=True), subjects[~aside]
            frame = typed(part, self.problems, subjects, self.calendar)
            frame["subject_id"] = pd.array(subjects, dtype="str")
            frame["_file"] = part.file
            filtered = part.set_aside
            if {"sample_id", "subject_id"} <= set(filtered.columns):
                for sample, subject in zip(
                    filtered["sample_id"], filtered["subject_id"], strict=True
                ):
                    if isinstance(sample, str):
                        self.gone_samples.setdefault(
                            sample, (subject or "", "set aside by the filter of the samples table")
                        )
            lost += part.ragged.get("sample_id", [])
            frame = frame[~pd.isna(subjects)]
            frames.append(report_duplicates(frame, ("sample_id",), part, self.problems))
        samples = merged(frames, ("sample_id",), self.parts.get("samples", {}), self.problems)
        samples = self._finish(samples, "samples")
        kept = set(samples["sample_id"])
        self.gone_samples = {s: v for s, v in self.gone_samples.items() if s not in kept}
        self.known_samples = Known(
            "sample",
            samples["sample_id"],
            gone=self.gone_samples,
            lost=lost,
            complete="samples" not in self.source.broken,
        )
        self.subject_of = dict(zip(samples["sample_id"], samples["subject_id"], strict=True))
        return samples

    def _runs(self, samples: pd.DataFrame, references: References) -> Runs:
        frames, gone, lost = [], [], []
        for part in self.prepared("runs"):
            if not {"run_id", "sample_id"} <= set(part.frame.columns):
                continue
            found = self.known_samples.resolve(part, "sample_id", self.problems)
            ids = part.frame["run_id"].to_numpy(dtype=object)
            aside = self.known_samples.set_aside(part.frame["sample_id"].to_numpy(dtype=object))
            gone += [one for one in ids[aside] if isinstance(one, str)]
            if "run_id" in part.set_aside:
                gone += [one for one in part.set_aside["run_id"] if isinstance(one, str)]
            lost += part.ragged.get("run_id", [])
            lost += [one for one in ids[pd.isna(found) & ~aside] if isinstance(one, str)]
            part.frame, found = part.frame[~aside].reset_index(drop=True), found[~aside]
            frame = typed(part, self.problems, references.subjects(found), self.calendar)
            frame["sample_id"] = pd.array(found, dtype="str")
            frame["_file"] = part.file
            frame = frame[~pd.isna(found)]
            frames.append(report_duplicates(frame, ("run_id",), part, self.problems))
        stacked = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        given = bool(self.source.entries("runs"))
        if len(stacked) and stacked.duplicated("run_id").any():
            stacked = merged(frames, ("run_id",), self.parts.get("runs", {}), self.problems)
        stacked = self._finish(stacked, "runs")
        known = Known(
            "run",
            stacked["run_id"],
            gone=gone,
            lost=lost,
            complete="runs" not in self.source.broken and given,
        )
        return Runs(stacked, samples, known, given=given)

    def _alterations(self, references: References, runs: Runs) -> pd.DataFrame:
        frames = []
        for part in self.prepared("alterations"):
            place = references.place(part, runs, self.problems, must_name_assay=True)
            if place is None:
                continue
            self.note_aside(part, int(place.aside.sum()), "samples")
            place = place.without_aside(part)
            frame = typed(part, self.problems, place.subject, self.calendar)
            self._fractions(part, frame, place.subject)
            frame["run_id"] = pd.array(place.run, dtype="str")
            frame["sample_id"] = pd.array(place.sample, dtype="str")
            frame["_file"] = part.file
            frame = frame[~pd.isna(place.run)]
            if {"gene", "kind"} <= set(frame.columns):
                if "alteration" in frame:
                    frame["alteration"] = frame["alteration"].fillna(frame["kind"])
                frame = frame[frame["gene"].notna() & frame["kind"].notna()]
            self._contradictions(part, frame)
            frames.append(frame)
        stacked = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        alterations = self._finish(stacked, "alterations")
        alterations["result"] = alterations["result"].fillna("detected")
        return alterations

    def _fractions(self, part: Part, frame: pd.DataFrame, subjects: np.ndarray) -> None:
        """Put allele fractions on the scale 0 to 1, in place; report those outside the scale stated."""
        if "vaf" not in frame or not frame["vaf"].notna().any():
            return
        scale = part.entry.get("vaf_scale")
        if scale not in ("fraction", "percent"):
            index = int(np.flatnonzero(frame["vaf"].notna())[0])
            part.tell(
                self.problems,
                "vaf_scale_missing",
                "The table has allele fractions, and the configuration does not say on which scale. Give "
                "`vaf_scale: fraction` (0 to 1) or `vaf_scale: percent` (0 to 100).",
                column="vaf",
                row=frame["_row"].iloc[index],
                subject_id=subjects[index],
                value=part.frame["vaf"].iloc[index],
            )
            frame["vaf"] = np.nan
            return
        top = 1.0 if scale == "fraction" else 100.0
        value = frame["vaf"].to_numpy(dtype=float)
        outside = (value < 0) | (value > top)
        for index in np.flatnonzero(outside):
            part.tell(
                self.problems,
                "vaf_outside_scale",
                f"{part.frame['vaf'].iloc[index]} is outside 0 to {top:g}, the scale {scale!r} that the "
                "configuration states. Correct the value or `vaf_scale`.",
                column="vaf",
                row=frame["_row"].iloc[index],
                subject_id=subjects[index],
                value=part.frame["vaf"].iloc[index],
            )
        filled = value[~np.isnan(value)]
        if scale == "percent" and len(filled) >= 5 and filled.max() <= 1:
            part.tell(
                self.problems,
                "vaf_scale_suspect",
                f"None of {len(filled)} allele fractions exceeds {filled.max():g}, though they are said to be in "
                "per cent. If they are fractions, write `vaf_scale: fraction`.",
                column="vaf",
                row=frame["_row"].iloc[int(np.flatnonzero(~np.isnan(value))[0])],
                value=f"{filled.max():g}",
            )
        frame["vaf"] = np.where(outside, np.nan, value) / top

    def _contradictions(self, part: Part, frame: pd.DataFrame) -> None:
        """Report an alteration that one run both has and has not."""
        names = ["run_id", "gene", "alteration", "kind"]
        if "result" not in frame or not set(names) <= set(frame.columns) or not len(frame):
            return
        result = frame["result"].fillna("detected")
        groups = [frame[name].astype(object) for name in names]
        several = result.groupby(groups, dropna=False).transform("nunique") > 1
        again = frame[several].duplicated(names)
        for index in again.index[again]:
            row = frame.loc[index]
            part.tell(
                self.problems,
                "duplicate_key",
                f"{row['gene']} {row['alteration']} has two results in run {row['run_id']}. Keep one of the rows.",
                column="result",
                row=row["_row"],
                subject_id=self.subject_of.get(row["sample_id"], ""),
                value=result[index],
            )

    def plain(self, table: str) -> pd.DataFrame:
        """Read a table that names neither subjects nor samples."""
        frames = []
        for part in self.prepared(table):
            frame = typed(part, self.problems, _nobody(part))
            frame["_file"] = part.file
            frames.append(report_duplicates(frame, CONTRACTS[table].key, part, self.problems))
        stacked = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        return self._finish(stacked, table)

    def _finish(self, frame: pd.DataFrame, table: str) -> pd.DataFrame:
        """Give a stacked table its contract's columns, and type the columns that no contract names."""
        if "_file" in frame:
            named = set(CONTRACTS[table].columns)
            rest = [c for c in frame.columns if c not in named and not c.startswith("_")]
            loosely_typed(frame, rest, self.parts.get(table, {}), self.problems, table=table)
            frame["_file"] = pd.array(frame["_file"].to_numpy(dtype=object), dtype="str")
        there = set(frame.columns)
        full = empty_columns(frame, table)
        if table in STRUCTURE:
            absent = [
                c for c in CONTRACTS[table].columns if c not in there and c not in STRUCTURE[table]
            ]
            full = full.drop(columns=absent)
        return full

    def _outcome_times(self, outcomes: pd.DataFrame) -> None:
        """Add ``time_months``."""
        outcomes["time_months"] = outcomes["time"] * (DAYS[self._time_unit()] / DAYS_A_MONTH)

    def _time_unit(self) -> str:
        return str((self.config.get("study") or {}).get("time_unit") or "months")

    def _with_implied(self, samples: pd.DataFrame, measured: Measured) -> pd.DataFrame:
        """Add the samples that tables with one row a subject imply."""
        if not measured.implied:
            return samples
        implied = pd.DataFrame(measured.implied).drop_duplicates("sample_id")
        implied = implied[~implied["sample_id"].isin(samples["sample_id"])]
        for column in implied.columns:
            if column != "_row":
                implied[column] = pd.array(implied[column].to_numpy(dtype=object), dtype="str")
        implied = empty_columns(implied.reset_index(drop=True), "samples")
        for name in samples.columns.difference(implied.columns):
            implied[name] = pd.array(np.full(len(implied), None, dtype=object), dtype="str")
        if not len(samples):
            return implied
        self.subject_of.update(zip(implied["sample_id"], implied["subject_id"], strict=True))
        for name in samples.columns:  # an optional column of numbers stays one
            if samples[name].dtype.kind == "f" and implied[name].dtype.kind != "f":
                implied[name] = np.nan
        return pd.concat([samples, implied[list(samples.columns)]], ignore_index=True)

    def note_aside(self, part: Part, rows: int, whose: str) -> None:
        if rows:
            self.source.notes.append(
                f"{part.file} ({part.table}): {rows} row(s) of {whose} that were set aside"
            )

    def _count(self, subjects: pd.DataFrame, samples: pd.DataFrame) -> None:
        """Start the flow: who is in the files, and who was left out by filters and corrections."""
        arms = {
            one: "" if pd.isna(arm) else str(arm)
            for one, arm in zip(subjects["subject_id"], subjects["arm"], strict=True)
        }
        everyone = {**arms, **self.gone_subjects}
        excluded = {
            one: correction.number
            for correction in self.corrections.all
            if correction.table == "subjects" and correction.field == "exclude"
            for one in correction.excluded
            if one in self.gone_subjects
        }
        self.flow.start("in the files", "subject", everyone)
        filtered = {one: "filter of the table" for one in self.gone_subjects if one not in excluded}
        if filtered:
            self.flow.leave_out("filter of the subjects table", "subject", filtered)
        sample_arm = {
            sample: arms.get(str(subject), "")
            for sample, subject in zip(samples["sample_id"], samples["subject_id"], strict=True)
        }
        gone_arm = {
            sample: everyone.get(str(subject), "")
            for sample, (subject, _) in self.gone_samples.items()
        }
        excluded_samples = {
            one
            for correction in self.corrections.all
            if correction.table == "samples" and correction.field == "exclude"
            for one in correction.excluded
            if one in self.gone_samples
        }
        self.flow.start("in the files", "sample", {**sample_arm, **gone_arm})
        reasons = {
            sample: why
            for sample, (_, why) in self.gone_samples.items()
            if sample not in excluded_samples
        }
        if reasons:
            self.flow.leave_out("filters of the tables", "sample", reasons)
        for correction in self.corrections.all:
            if not correction.applied:
                continue
            of_samples = correction.table in (
                "samples",
                "runs",
                "measurements",
                "alterations",
            )
            unit = "sample" if of_samples else "subject"
            left: dict[str, str] = {}
            if correction.field == "exclude" and correction.table in ("subjects", "samples"):
                gone = self.gone_subjects if correction.table == "subjects" else self.gone_samples
                left = {one: correction.reason for one in correction.excluded if one in gone}
            self.flow.leave_out(correction.step, unit, left)


def _nobody(part: Part) -> np.ndarray:
    return np.full(len(part.frame), None, dtype=object)
