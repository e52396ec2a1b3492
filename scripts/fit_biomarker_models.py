"""Fit the model of every marker of one domain on every endpoint."""

from correlatives.predictive.model import fit_models, fit_prognostic_models

from correlatives.cohort import Cohort, clinical_markers
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.cohort).analysed()
    if step.wildcards.domain == "clinical":
        markers = clinical_markers(cohort, step.params.clinical_markers)
    else:
        markers = cohort.markers.select(timepoint=cohort.study["baseline"])
    for endpoint, path in zip(step.params.endpoints, step.output.fits, strict=True):
        fit = fit_models if cohort.randomised else fit_prognostic_models
        table = fit(cohort, endpoint, markers, covariates=step.params.covariates)
        table.to_parquet(path, index=False)
