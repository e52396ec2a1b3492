"""Candidate predictors of a response model: clinical columns and baseline markers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort
from correlatives.markers import Markers
from correlatives.predictive.covariates import numeric_columns
from correlatives.response.preparation import Design
from correlatives.tables.dictionary import DOMAIN_OF
from correlatives.tables.limits import analysis_values


def _missing_patterns(value: np.ndarray) -> list[np.ndarray]:
    """Columns that share a pattern of missing values, a group each: a lost sample loses all its markers together."""
    missing = ~np.isfinite(value)
    found: dict[bytes, list[int]] = {}
    for j in range(value.shape[1]):
        if missing[:, j].any() and not missing[:, j].all():
            found.setdefault(missing[:, j].tobytes(), []).append(j)
    return [np.array(columns) for columns in found.values()]


def baseline_markers(cohort: Cohort) -> Markers:
    """Return the markers that may become predictors."""
    baseline = cohort.markers.select(timepoint=cohort.study["baseline"])
    return baseline.where(baseline.info["specimen"].ne("clinical"))


def names_of(info: pd.DataFrame) -> list[str]:
    """Return ``specimen:biomarker``, with ``:assay`` after it where several assays measured it."""
    several = info.duplicated(["specimen", "biomarker"], keep=False)
    return [
        f"{specimen}:{biomarker}:{assay}" if more and assay else f"{specimen}:{biomarker}"
        for specimen, biomarker, assay, more in zip(
            info["specimen"], info["biomarker"], info["assay"], several, strict=True
        )
    ]


def candidate_predictors(cohort: Cohort, clinical: Sequence[str]) -> Design:
    """Assemble clinical columns, baseline markers and indicators of missing values.

    Markers are on their transformed scale, limits of detection handled as everywhere else; a categorical
    clinical column takes one column a level but the first. Clinical columns stay in every model.

    Parameters
    ----------
    cohort : Cohort
        Subjects to be predicted.
    clinical : sequence of str
        Columns of the subjects table.

    Returns
    -------
    Design
        n subjects × candidates.
    """
    columns, value = numeric_columns(cohort.subjects, clinical, "response.clinical")
    names = [f"clinical:{column}" for column in columns]
    is_clinical = [True] * len(names)
    baseline = baseline_markers(cohort)
    analysed = analysis_values(baseline)
    info = analysed.info
    marker_names = names_of(info)
    names = names + marker_names
    is_clinical += [False] * len(marker_names)
    value = np.hstack([value, analysed.value.T])
    discrete = np.array(
        [len(np.unique(column[np.isfinite(column)])) <= 2 for column in value.T], dtype=bool
    )
    discrete[len(columns) :] |= info["kind"].isin(["binary", "ordinal"]).to_numpy(dtype=bool)
    # one 0/1 column a pattern of missing values, named after the first column that has it
    patterns = _missing_patterns(value)
    firsts = [int(columns[0]) for columns in patterns]
    indicators = (~np.isfinite(value[:, firsts])).astype(float)
    clinical_too = np.array(is_clinical, dtype=bool)
    domain = np.array(
        ["clinical"] * len(columns) + [DOMAIN_OF.get(specimen, "") for specimen in info["specimen"]]
    )
    return Design(
        names=names + [f"missing:{names[j]}" for j in firsts],
        value=np.hstack([value, indicators]),
        discrete=np.concatenate([discrete, np.ones(len(firsts), dtype=bool)]),
        always=np.concatenate([clinical_too, clinical_too[firsts]]),
        domains={
            name: np.concatenate(
                [domain == name, [bool((domain[group] == name).any()) for group in patterns]]
            ).astype(bool)
            for name in ("blood", "tissue")
        },
    )
