"""The cohort: subjects × markers, with masks for missing, not evaluable and outside the limits.

Written once as Parquet, a file a domain, and read by every analysis.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from correlatives.markers import (
    ABOVE,
    BELOW,
    INFO,
    MEASURED,
    MISSING,
    NOT_EVALUABLE,
    NUMBERS,
    Markers,
)
from correlatives.tables.dictionary import (
    column_label,
    info_frame,
    levels_of,
    positive_of_two,
    two_levels,
)
from correlatives.tables.words import words

if TYPE_CHECKING:
    pass

__all__ = [
    "ABOVE",
    "BELOW",
    "DOMAINS",
    "EMPTY",
    "INFO",
    "MEASURED",
    "MISSING",
    "NOT_EVALUABLE",
    "Cohort",
    "Markers",
    "clinical_label",
    "clinical_markers",
    "joined",
]

#: What is put behind the name of an input column that the cohort needs for itself (``stratum``).
GIVEN = "_given"

#: Files of the marker matrices, in the order in which they are joined.
DOMAINS = ("blood", "tissue", "alterations")


@dataclass(frozen=True)
class Cohort:
    """Subjects of the two arms (all subjects in a single-arm study), their outcomes and markers.

    Attributes
    ----------
    study : dict
        What the analyses need to know of the configuration: ``title``, ``design``, ``arms`` (``control``
        and ``experimental`` -> label; single-arm: ``{"all": label}``), ``strata`` (columns), ``endpoints``
        (name -> its configuration), ``simulated``, ``baseline`` (name of the baseline timepoint),
        ``population``, ``id``, ``timepoints`` (in order), ``columns`` (of the subjects table), ``described``
        (those that describe subjects at baseline), ``clinical`` (column -> what the dictionary says of it as a marker of specimen ``clinical``).
    subjects : pd.DataFrame, n rows
        subject_id, arm (pooled label), arm_code (0, 1; NaN single-arm), stratum (0-based code of the
        combination of strata), in_population (bool), eligible (``met``, ``not_met``, ``unknown``), ``{endpoint}_months`` and
        ``{endpoint}_event`` (float, NaN where missing) of time-to-event endpoints (durations of
        response too), ``{endpoint}`` (0, 1, NaN) of response endpoints, best_overall_response,
        best_change_pct, progression_months (NaN if none), progression_seen (``yes``, ``no``, empty where not
        known), event_reason (what the event of the progression
        endpoint was; empty if not stated), off_treatment_reason, the columns of the
        subjects table (with ``_given`` behind its name where one is called as one of these).
    markers : Markers
        Of the domains that were read.
    samples : pd.DataFrame
        One row a run of a cohort subject: run_id, sample_id, subject_id, specimen, visit (label), timepoint
        (analysis timepoint, empty if none), day, months (from randomisation), days_since_last_dose, assay, version,
        batch, qc, tumour_fraction, usable (bool), chosen (bool), sequenced (bool: looked for alterations), site_of_tissue, anatomical_site, lesion_id,
        block_age_years.
    calls : pd.DataFrame
        Alterations detected: subject_id, run_id, sample_id, specimen, timepoint, gene, alteration, kind, significance,
        vaf, copy_number, copy_number_scale, partner, origin, counted (bool: makes the gene altered), chosen (bool),
        looked_for (bool: the study looks for that class of alteration in the gene and specimen).
    course : pd.DataFrame
        What happened when: subject_id, what (``dose``, ``assessment``), name (drug; response), start_day,
        stop_day, value (dose_mg; sum_mm), new_lesion.
    pathways : pd.DataFrame
        gene, kind, pathway, direction.
    """

    study: dict[str, Any]
    subjects: pd.DataFrame
    markers: Markers
    samples: pd.DataFrame
    calls: pd.DataFrame
    course: pd.DataFrame
    pathways: pd.DataFrame

    @property
    def randomised(self) -> bool:
        """Whether there are two arms to compare."""
        return self.study["design"] == "randomised"

    @property
    def arms(self) -> dict[str, str]:
        """Role -> label of the arm, control first."""
        return self.study["arms"]

    def analysed(self) -> Cohort:
        """Return the cohort of the primary population."""
        keep = self.subjects["in_population"].to_numpy(dtype=bool)
        ids = set(self.subjects.loc[keep, "subject_id"])
        part = {
            name: frame[frame["subject_id"].isin(ids)].reset_index(drop=True)
            for name, frame in (
                ("samples", self.samples),
                ("calls", self.calls),
                ("course", self.course),
            )
        }
        return Cohort(
            study=self.study,
            subjects=self.subjects.loc[keep].reset_index(drop=True),
            markers=self.markers.of_subjects(keep),
            pathways=self.pathways,
            **part,
        )

    def write(self, folder: str | Path) -> None:
        """Write ``outcomes``, ``blood``, ``tissue``, ``alterations``, ``samples``, ``calls``, ``course``, ``pathways`` and ``families`` (.parquet)."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        outcomes = pa.Table.from_pandas(self.subjects, preserve_index=False)
        outcomes = outcomes.replace_schema_metadata(
            {**(outcomes.schema.metadata or {}), "study": json.dumps(self.study)}
        )
        pq.write_table(outcomes, folder / "outcomes.parquet")
        for domain in DOMAINS:
            self.markers.write(folder / f"{domain}.parquet", domain=domain)
        self.markers.family_sizes().to_parquet(folder / "families.parquet", index=False)
        for name in ("samples", "calls", "course", "pathways"):
            getattr(self, name).to_parquet(folder / f"{name}.parquet", index=False)

    @staticmethod
    def read(
        paths: str | Path | Iterable[str | Path],
        keep: Callable[[Markers], np.ndarray] | None = None,
    ) -> Cohort:
        """Read the files given (``outcomes.parquet`` is required); what is not given is empty.

        Of the markers those that a function of a row group's markers keeps, all without one (see `correlatives.wide`).
        """
        listed = [paths] if isinstance(paths, (str, Path)) else list(paths)
        files = {Path(path).stem: Path(path) for path in listed}
        outcomes = pq.read_table(files["outcomes"])
        subjects = outcomes.to_pandas()
        ids = subjects["subject_id"].to_numpy(dtype=object)
        parts = [
            part
            for domain in DOMAINS
            if domain in files
            for part in (
                [Markers.read(files[domain])]
                if keep is None
                else [group.where(keep(group)) for group in Markers.groups(files[domain])]
            )
        ]
        frames = {
            name: pd.read_parquet(files[name]) if name in files else pd.DataFrame(columns=columns)
            for name, columns in EMPTY.items()
        }
        return Cohort(
            study=json.loads(outcomes.schema.metadata[b"study"]),
            subjects=subjects,
            markers=Markers.concatenate([Markers.empty(ids), *parts]),
            **frames,
        )


#: Columns of the tables beside the matrices.
EMPTY: dict[str, list[str]] = {
    "samples": [
        "run_id",
        "sample_id",
        "subject_id",
        "specimen",
        "visit",
        "timepoint",
        "day",
        "months",
        "days_since_last_dose",
        "assay",
        "version",
        "batch",
        "qc",
        "tumour_fraction",
        "usable",
        "chosen",
        "sequenced",
        "site_of_tissue",
        "anatomical_site",
        "lesion_id",
        "block_age_years",
    ],
    "calls": [
        "subject_id",
        "run_id",
        "sample_id",
        "specimen",
        "timepoint",
        "gene",
        "alteration",
        "kind",
        "significance",
        "vaf",
        "copy_number",
        "copy_number_scale",
        "partner",
        "origin",
        "counted",
        "chosen",
        "looked_for",
    ],
    "course": [
        "subject_id",
        "what",
        "name",
        "start_day",
        "stop_day",
        "value",
        "new_lesion",
    ],
    "pathways": ["gene", "kind", "pathway", "direction"],
}


def joined(cohort: Cohort) -> pd.DataFrame:
    """Return the joined table for other tools: ``cohort/cohort.tsv``.

    Parameters
    ----------
    cohort : Cohort
        With the markers of the domains wanted.

    Returns
    -------
    pd.DataFrame
        One row a subject: the columns of the subjects table (`arm` pooled), ``{endpoint}_months`` and
        ``{endpoint}_event`` or ``{endpoint}``, and ``{specimen}:{biomarker}`` at baseline (with ``:{assay}`` after
        it where several assays measured one biomarker): numbers on their own scale, the limit where a value
        lies beyond it, the level's word of an ordinal biomarker, 1 and 0 of a binary one, missing where
        there is no result.
    """
    subjects = cohort.subjects
    columns: dict[str, Any] = {}
    for name in cohort.study.get("columns", []):
        column = f"{name}{GIVEN}" if f"{name}{GIVEN}" in subjects else name
        columns[name] = subjects[column]
    columns["subject_id"] = subjects["subject_id"]
    columns["arm"] = subjects["arm"]
    for name, endpoint in cohort.study["endpoints"].items():
        timed = endpoint["type"] != "response"
        for column in (f"{name}_months", f"{name}_event") if timed else (name,):
            columns[column] = subjects[column]
    baseline = cohort.markers.select(timepoint=cohort.study["baseline"])
    info = baseline.info
    several = info.duplicated(["specimen", "biomarker"], keep=False).to_numpy()
    for row, (specimen, biomarker, assay, kind, levels) in enumerate(
        info[["specimen", "biomarker", "assay", "kind", "levels"]].itertuples(index=False)
    ):
        name = f"{specimen}:{biomarker}"
        values: Any = baseline.value[row]
        if kind == "ordinal" and levels:
            names = levels_of(levels)
            values = [None if np.isnan(code) else names[int(code)] for code in values]
        columns[f"{name}:{assay}" if several[row] and assay else name] = values
    first = ["subject_id", "arm"]
    order = first + [column for column in columns if column not in first]
    return pd.DataFrame(columns, index=subjects.index)[order]


def clinical_label(cohort: Cohort, column: str) -> str:
    """Return what a column of the subjects table is called: by the dictionary, else by its name in words."""
    return cohort.study.get("clinical", {}).get(column, {}).get("label") or column_label(column)


def clinical_markers(cohort: Cohort, names: Sequence[str]) -> Markers:
    """Return columns of the subjects table as baseline markers of specimen ``clinical``.

    Two values make a binary marker, positive being the one that obviously is (yes, Y, 1, true, positive,
    …), else the later in sort order; numbers of more than two values are continuous; three words or more
    make one binary marker a level but the first in sort order (``site=B``, positive v all other subjects with
    a value). A column without two values, or that is not there, gives no marker.

    Parameters
    ----------
    cohort : Cohort
    names : sequence of str
        Columns of ``cohort.subjects``. An input column whose name the cohort uses itself is found
        under its own name all the same.

    Returns
    -------
    Markers
        Domain ``clinical``; labels, families, transforms and cuts of the dictionary's rows of specimen ``clinical``.
    """
    subjects = cohort.subjects
    ids = subjects["subject_id"].to_numpy(dtype=object)
    entries: list[dict[str, Any]] = []
    values: list[np.ndarray] = []

    described = cohort.study.get("clinical", {})

    def add(
        column: str,
        kind: str,
        value: np.ndarray,
        level: str = "",
        positive: str = "",
        levels: str = "",
    ) -> None:
        entry: dict[str, Any] = dict.fromkeys(INFO, "") | dict.fromkeys(NUMBERS, np.nan)
        known = described.get(column, {})
        label = clinical_label(cohort, column)
        entries.append(
            entry
            | {
                "biomarker": f"{column}={level}" if level else column,
                "label": f"{label}: {level}" if level else label,
                "specimen": "clinical",
                "timepoint": cohort.study["baseline"],
                "kind": kind,
                "positive": positive,
                "levels": levels,
                "transform": "none",
                "family": "exploratory",
                "prespecified": "no",
                "domain": "clinical",
            }
            | {name: said for name, said in known.items() if name not in ("label", "positive")}
        )
        values.append(value)

    for name in names:
        column = f"{name}{GIVEN}" if f"{name}{GIVEN}" in subjects else name
        if column not in subjects:
            continue
        spelling = words(subjects[column])
        present = spelling != ""
        found = sorted(set(spelling[present]))
        if len(found) < 2:
            continue
        if len(found) == 2:
            positive = described.get(name, {}).get("positive", "")
            positive = positive if positive in found else positive_of_two(found)
            value = np.where(present, spelling == positive, np.nan)
            add(name, "binary", value, "", positive, two_levels(found, positive))
        elif pd.api.types.is_numeric_dtype(subjects[column].dtype):
            add(name, "continuous", subjects[column].to_numpy(dtype=float))
        else:
            for level in found[1:]:
                value = np.where(present, spelling == level, np.nan)
                add(name, "binary", value, level, level)
    if not entries:
        return Markers.empty(ids)
    value = np.array(values, dtype=float)
    state = np.where(np.isnan(value), MISSING, MEASURED).astype(np.uint8)
    return Markers(ids, info_frame(entries), value, state)


def strata_by_arm(strata: np.ndarray | None, arm: np.ndarray) -> np.ndarray:
    """Return strata that no two arms share.

    Parameters
    ----------
    strata : np.ndarray of int, shape (n,), or None
        From 0; None where there are none.
    arm : np.ndarray, shape (n,)
        0 or 1.

    Returns
    -------
    np.ndarray of int, shape (n,)
    """
    own = np.asarray(arm).astype(np.int64)
    return own if strata is None else 2 * np.asarray(strata, dtype=np.int64) + own
