"""Intrinsic resistance: what baseline samples say of benefit from the drug, pathway by pathway.

The models and the randomisation test are those of `correlatives.predictive`: the same marker has the same numbers
here and there. Early progression is progression (the event of the progression endpoint) up to the landmark; who
was censored before it is not evaluable, neither early nor late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort
from correlatives.markers import Markers
from correlatives.multiplicity import FEW_CARRIERS, benjamini_hochberg
from correlatives.predictive.model import (
    COLUMNS as PREDICTIVE_COLUMNS,
)
from correlatives.predictive.model import (
    PROGNOSTIC_COLUMNS,
    fit_domain,
    fit_prognostic_models,
)
from correlatives.resistance.pairs import level_and_name, pathway_order, pathways_of_genes
from correlatives.tables.outcomes import progression_endpoint

#: Name of the binary endpoint, and how results of it are labelled.
EARLY = "early_progression"

#: What the tables of the predictive analysis have that is of its own families.
NOT_HERE = ("family", "p_fwer", "timepoint")

COLUMNS = [
    "pathway",
    "level",
    "endpoint",
    "not_evaluable",
    *(name for name in PREDICTIVE_COLUMNS if name not in NOT_HERE),
]
SINGLE_ARM_COLUMNS = [
    "pathway",
    "level",
    "endpoint",
    "not_evaluable",
    *(name for name in PROGNOSTIC_COLUMNS if name not in NOT_HERE),
]

#: Within a pathway: the pathway itself, its genes, its proteins and expressions.
LEVELS = ("pathway", "gene", "other")


def intrinsic(
    cohort: Cohort,
    early_progression_months: float,
    covariates: Sequence[str] = (),
    *,
    randomisations: int = 0,
    seed: int = 1,
) -> pd.DataFrame:
    """Test the baseline markers of the pathways: ``resistance/intrinsic.tsv``.

    Parameters
    ----------
    cohort : Cohort
    early_progression_months : float
        Landmark of early progression, from randomisation.
    covariates : sequence of str
        Prognostic columns of the subjects table, in every model (configuration: ``predictive.covariates``).
    randomisations, seed : int
        Draws of the randomisation test and the study's seed, as in the predictive analysis.

    Returns
    -------
    pd.DataFrame
        The columns of ``predictive/{endpoint}.tsv`` (a single arm: of ``prognostic/{endpoint}.tsv``) of every
        baseline marker that belongs to a pathway, by its dictionary row or by the pathways table, on
        the progression endpoint and on early progression (odds ratios). Pathways in the order of the pathways
        table, in each the pathway, its genes in the table's order, then proteins and expression.
        `not_evaluable`: subjects without a known outcome, for early progression those censored before the
        landmark. `q_value` is Benjamini–Hochberg's over the rows of an endpoint in which at least five subjects differ from
        the most common value. `minimum_detectable_ratio` is at the two-sided level of 0.05 of the marker alone: that of a
        confirmatory marker in ``predictive/{endpoint}.tsv`` is larger, being at the critical value of its family.
    """
    columns = COLUMNS if cohort.randomised else SINGLE_ARM_COLUMNS
    endpoint = progression_endpoint(cohort.study["endpoints"])
    markers, order = pathway_markers(cohort)
    if not endpoint or f"{endpoint}_months" not in cohort.subjects or not len(markers):
        return pd.DataFrame(columns=columns)
    extended = with_early_progression(cohort, endpoint, early_progression_months)
    tables = []
    for name in (endpoint, EARLY):
        if cohort.randomised:
            table = fit_domain(
                extended, name, markers, covariates, randomisations=randomisations, seed=seed
            ).table
            p = "p_randomisation" if randomisations else "p_interaction_lrt"
        else:
            table = fit_prognostic_models(extended, name, markers, covariates)
            p = "p_prognostic"
        table = table.merge(order, on=["biomarker", "specimen"], how="left", validate="m:1")
        q_value = np.full(len(table), np.nan)
        inside = table["in_family"].to_numpy(dtype=bool)
        members = np.flatnonzero(inside)
        q_value[members] = benjamini_hochberg(table[p].to_numpy(dtype=float)[members])
        known = extended.subjects[name if name == EARLY else f"{name}_months"].notna()
        said = table["method"].astype(str).to_numpy(dtype=object)
        said[members] += f"; Benjamini–Hochberg on {p}, family of {len(members)}"
        if cohort.randomised:
            said += "; minimum detectable ratio of this marker alone, unadjusted"
        note = table["note"].fillna("").to_numpy(dtype=object)
        note[~inside] = [
            f"{text}; {FEW_CARRIERS}" if text else FEW_CARRIERS for text in note[~inside]
        ]
        table = table.assign(
            q_value=q_value,
            method=said,
            note=note,
            endpoint=name,
            not_evaluable=int((~known).sum()),
        ).sort_values(["rank", "biomarker", "specimen"], kind="stable")
        tables.append(table[columns])
    return pd.concat(tables, ignore_index=True)


def with_early_progression(cohort: Cohort, endpoint: str, months: float) -> Cohort:
    """Return the cohort with the response endpoint `EARLY`: 1 progressed by the landmark, 0 beyond it, else NaN."""
    time = cohort.subjects[f"{endpoint}_months"].to_numpy(dtype=float)
    event = cohort.subjects[f"{endpoint}_event"].to_numpy(dtype=float)
    with np.errstate(invalid="ignore"):
        early = np.where(time > months, 0.0, np.where(event == 1, 1.0, np.nan))
    early[np.isnan(time) | np.isnan(event)] = np.nan
    endpoints = {**cohort.study["endpoints"], EARLY: {"type": "response"}}
    return replace(
        cohort,
        study={**cohort.study, "endpoints": endpoints},
        subjects=cohort.subjects.assign(**{EARLY: early}),
    )


def pathway_markers(cohort: Cohort) -> tuple[Markers, pd.DataFrame]:
    """Return the baseline markers that belong to a pathway, and where each stands in the order of reading.

    Returns
    -------
    markers : Markers
    order : pd.DataFrame
        biomarker, specimen, pathway, level, rank: one row a biomarker and specimen.
    """
    baseline = str(cohort.study.get("baseline", "baseline"))
    markers = cohort.markers.select(timepoint=baseline)
    pathways = pathway_order(cohort)
    of_gene = pathways_of_genes(cohort)
    genes = list(of_gene)
    info = markers.info
    names = info["biomarker"].astype(str)
    stated = info["pathway"].fillna("").astype(str)
    pathways += sorted(set(stated) - {"", *pathways})
    rows = []
    keep = np.zeros(len(info), dtype=bool)
    for place, (name, specimen, pathway) in enumerate(
        zip(names, info["specimen"].astype(str), stated, strict=True)
    ):
        level, of = "other", ""
        if name.startswith(("gene:", "pathway:")):
            level, of = level_and_name(name)
            of = of.split(" ")[0] if level == "gene" else of
        if not pathway:
            pathway = {"pathway": of, "gene": of_gene.get(of, [""])[0]}.get(level, "")
        if not pathway or name.startswith(("ratio:", "vaf_ratio:")):
            continue
        keep[place] = True
        position = genes.index(of) if level == "gene" and of in of_gene else len(genes)
        rank = (pathways.index(pathway) * len(LEVELS) + LEVELS.index(level)) * (len(genes) + 1)
        rows.append((name, specimen, pathway, level, rank + position))
    order = pd.DataFrame(rows, columns=["biomarker", "specimen", "pathway", "level", "rank"])
    return markers.where(keep), order.drop_duplicates(["biomarker", "specimen"])
