"""Candidate predictors of a response model: clinical columns and baseline markers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort
from correlatives.markers import Markers
from correlatives.multiplicity import LEAST_CARRIERS
from correlatives.predictive.covariates import numeric_columns
from correlatives.response.preparation import Design
from correlatives.tables.dictionary import DOMAIN_OF
from correlatives.tables.limits import analysis_values


def _missing_patterns(value: np.ndarray) -> list[np.ndarray]:
    """Columns that share a pattern of missing values, a group each: a lost sample loses all its markers together.

    Only patterns in which `LEAST_CARRIERS` subjects miss the value and as many do not: a column of one subject
    would learn that subject's outcome.
    """
    missing = ~np.isfinite(value)
    lost = missing.sum(axis=0)
    enough = np.minimum(lost, len(value) - lost) >= LEAST_CARRIERS
    found: dict[bytes, list[int]] = {}
    for j in range(value.shape[1]):
        if enough[j]:
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


def candidate_predictors(cohort: Cohort, clinical: Sequence[str], analysed: np.ndarray) -> Design:
    """Assemble clinical columns, baseline markers and indicators of missing values.

    Markers are on their transformed scale, limits of detection handled as everywhere else; a categorical
    clinical column takes one column a level but the first. Clinical columns stay in every model. A value that
    at least `LEAST_CARRIERS` of the subjects miss, and as many have, takes an indicator; missing in fewer, it is
    imputed only. That is counted over all subjects of the model, whatever their outcome, so that no training
    set has candidates of its own.

    Parameters
    ----------
    cohort : Cohort
        Subjects, and what is known of them.
    clinical : sequence of str
        Columns of the subjects table.
    analysed : np.ndarray of bool, shape (subjects of the cohort,)
        Those of the model: whose outcome is known.

    Returns
    -------
    Design
        n subjects of the model × candidates.

    Raises
    ------
    KeyError
        If a clinical column does not exist.
    """
    columns, value = numeric_columns(cohort.subjects, clinical, "response.clinical")
    names = [f"clinical:{column}" for column in columns]
    is_clinical = [True] * len(names)
    baseline = baseline_markers(cohort)
    markers = analysis_values(baseline)
    info = markers.info
    marker_names = names_of(info)
    names = names + marker_names
    is_clinical += [False] * len(marker_names)
    value = np.hstack([value, markers.value.T])
    discrete = np.array(
        [len(np.unique(column[np.isfinite(column)])) <= 2 for column in value.T], dtype=bool
    )
    discrete[len(columns) :] |= info["kind"].isin(["binary", "ordinal"]).to_numpy(dtype=bool)
    value = value[analysed]
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
