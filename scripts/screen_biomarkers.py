"""Correct for the number of markers looked at, and write the table of each endpoint."""

import pandas as pd
from correlatives.predictive.multiplicity import adjust

from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    for endpoint, path in zip(step.params.endpoints, step.output.tables, strict=True):
        fits = [
            pd.read_parquet(file)
            for file in step.input.fits
            if file.endswith(f"/{endpoint}.parquet")
        ]
        step.write(adjust(fits), path)
