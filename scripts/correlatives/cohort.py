"""The cohort: subjects × markers, with masks for missing, not evaluable and outside the limits.

Written once as Parquet, a file a domain, and read by every analysis.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    Markers,
)

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
        ``population``, ``id``.
    subjects : pd.DataFrame, n rows
        subject_id, arm (pooled label), arm_code (0, 1; NaN single-arm), stratum (0-based code of the
        combination of strata), in_population (bool), eligible (``met``, ``not_met``, ``unknown``), ``{endpoint}_months`` and
        ``{endpoint}_event`` (float, NaN where missing) of time-to-event endpoints (durations of
        response too), ``{endpoint}`` (0, 1, NaN) of response endpoints, best_overall_response,
        best_change_pct, progression_months (NaN if none), off_treatment_reason, the columns of the
        subjects table.
    markers : Markers
        Of the domains that were read.
    samples : pd.DataFrame
        One row a run of a cohort subject: run_id, sample_id, subject_id, specimen, visit (label), timepoint
        (analysis timepoint, empty if none), day, months (from randomisation), days_since_last_dose, assay, version,
        batch, qc, tumour_fraction, usable (bool), chosen (bool), site_of_tissue, anatomical_site, lesion_id.
    calls : pd.DataFrame
        Alterations detected: subject_id, run_id, sample_id, specimen, timepoint, gene, alteration, kind, significance,
        vaf, copy_number, copy_number_scale, partner, origin, counted (bool: makes the gene altered), chosen (bool).
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
        """Write ``outcomes``, ``blood``, ``tissue``, ``alterations``, ``samples``, ``calls``, ``course``, ``pathways`` (.parquet)."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        outcomes = pa.Table.from_pandas(self.subjects, preserve_index=False)
        outcomes = outcomes.replace_schema_metadata(
            {**(outcomes.schema.metadata or {}), "study": json.dumps(self.study, sort_keys=True)}
        )
        pq.write_table(outcomes, folder / "outcomes.parquet")
        for domain in DOMAINS:
            self.markers.select(domain=domain).write(folder / f"{domain}.parquet")
        for name in ("samples", "calls", "course", "pathways"):
            getattr(self, name).to_parquet(folder / f"{name}.parquet", index=False)

    @staticmethod
    def read(paths: str | Path | Iterable[str | Path]) -> Cohort:
        """Read the files given (``outcomes.parquet`` is required); what is not given is empty."""
        listed = [paths] if isinstance(paths, (str, Path)) else list(paths)
        files = {Path(path).stem: Path(path) for path in listed}
        outcomes = pq.read_table(files["outcomes"])
        subjects = outcomes.to_pandas()
        ids = subjects["subject_id"].to_numpy(dtype=object)
        parts = [Markers.read(files[domain]) for domain in DOMAINS if domain in files]
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
        "site_of_tissue",
        "anatomical_site",
        "lesion_id",
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
