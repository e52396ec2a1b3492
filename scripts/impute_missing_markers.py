"""Set complete cases beside multiple imputation of missing markers, for each endpoint."""

import pandas as pd

from correlatives.cohort import Cohort, clinical_markers
from correlatives.markers import KEY, Markers
from correlatives.predictive.continuous import read_chosen
from correlatives.predictive.model import outcome_of
from correlatives.predictive.screened import read_screened
from correlatives.predictive.sensitivity import choose_missing, sensitivity
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.outcomes)
    analysed = cohort.analysed()
    tables = dict(zip(step.params.endpoints, step.input.tables, strict=True))
    covariates = step.params.covariates
    # a wide assay's table at a time
    chosen = [
        choose_missing(
            read_screened(path), int(outcome_of(analysed, endpoint, covariates).kept.sum())
        )
        for endpoint, path in tables.items()
    ]
    wanted = set(pd.concat(chosen)[KEY].itertuples(index=False, name=None))
    clinical = clinical_markers(cohort, step.params.clinical_markers)
    markers = Markers.concatenate([clinical, *read_chosen(step.input.markers, wanted)])
    for (endpoint, path), output in zip(tables.items(), step.output.tables, strict=True):
        table = read_screened(path)
        found = sensitivity(cohort, endpoint, markers, table, covariates, seed=step.params.seed)
        step.write(found, output)
