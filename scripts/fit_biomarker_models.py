"""Fit the model of every marker of one domain, or of a block of them, on every endpoint."""

from pathlib import Path

import pandas as pd

from correlatives.cohort import Cohort, clinical_markers
from correlatives.markers import Markers
from correlatives.predictive.model import fit_domain, fit_prognostic_models
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    files = {Path(path).stem: path for path in step.input.cohort}
    cohort = Cohort.read(files["outcomes"])
    baseline = cohort.study["baseline"]
    domain, _, block = step.wildcards.part.partition("-")
    model = {
        "covariates": step.params.covariates,
        "alpha": step.params.alpha,
        "seed": step.params.seed,
        "threads": step.threads,
    }
    # how wide the exploratory family is: over all assays and, if configured, endpoints
    sizes = pd.read_parquet(files["families"]).set_index(["timepoint", "family"])["markers"]
    exploratory = int(sizes.get((baseline, "exploratory"), 0))
    tables = len(step.params.endpoints) if step.params.family_over_endpoints else 1
    for endpoint, path in zip(step.params.endpoints, step.output.fits, strict=True):
        if domain == "clinical":
            markers = clinical_markers(cohort.analysed(), step.params.clinical_markers)
            size = exploratory + int(markers.info["family"].eq("exploratory").sum())
        else:
            size = exploratory
            # a piece of a wide assay at a time: memory does not grow with the number of markers
            markers = Markers.pieces(
                files[domain],
                timepoint=baseline,
                block=int(block or 1),
                blocks=step.params.marker_blocks if block else 1,
            )
        if cohort.randomised:
            # Every domain draws the same arms: the study's seed, not the job's.
            fit_domain(
                cohort,
                endpoint,
                markers,
                randomisations=step.params.randomisations,
                exploratory=size * tables,
                **model,
            ).write(path)
        else:
            fit_prognostic_models(cohort, endpoint, markers, **model).to_parquet(path, index=False)
