"""Set complete cases beside multiple imputation of missing markers, for each endpoint."""

import pandas as pd

from correlatives.cohort import Cohort, clinical_markers
from correlatives.markers import KEY, Markers
from correlatives.predictive.continuous import read_chosen
from correlatives.predictive.model import outcome_of
from correlatives.predictive.sensitivity import choose_missing, sensitivity
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.outcomes)
    analysed = cohort.analysed()
    tables = {
        endpoint: pd.read_csv(path, sep="\t", dtype=dict.fromkeys(KEY, str))
        for endpoint, path in zip(step.params.endpoints, step.input.tables, strict=True)
    }
    covariates = step.params.covariates
    chosen = [
        choose_missing(table, int(outcome_of(analysed, endpoint, covariates).kept.sum()))
        for endpoint, table in tables.items()
    ]
    wanted = set(pd.concat(chosen)[KEY].itertuples(index=False, name=None))
    clinical = clinical_markers(cohort, step.params.clinical_markers)
    markers = Markers.concatenate([clinical, *read_chosen(step.input.markers, wanted)])
    for (endpoint, table), path in zip(tables.items(), step.output.tables, strict=True):
        found = sensitivity(cohort, endpoint, markers, table, covariates, seed=step.params.seed)
        step.write(found, path)
