"""Fit the model of every marker of one domain on every endpoint."""

from correlatives.cohort import Cohort, clinical_markers
from correlatives.predictive.model import fit_domain, fit_prognostic_models
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.cohort).analysed()
    if step.wildcards.domain == "clinical":
        markers = clinical_markers(cohort, step.params.clinical_markers)
    else:
        markers = cohort.markers.select(timepoint=cohort.study["baseline"])
    model = {"covariates": step.params.covariates, "alpha": step.params.alpha}
    for endpoint, path in zip(step.params.endpoints, step.output.fits, strict=True):
        if cohort.randomised:
            # Every domain draws the same arms: the study's seed, not the job's.
            fit_domain(
                cohort,
                endpoint,
                markers,
                randomisations=step.params.randomisations,
                seed=step.params.seed,
                **model,
            ).write(path)
        else:
            fit_prognostic_models(
                cohort, endpoint, markers, seed=step.params.seed, **model
            ).to_parquet(path, index=False)
