"""Correct for the number of markers looked at, and write the table of each endpoint."""

from pathlib import Path

import pandas as pd

from correlatives.predictive.model import DomainFits
from correlatives.predictive.multiplicity import adjust
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    read = DomainFits.read if step.params.randomised else pd.read_parquet
    for endpoint, path in zip(step.params.endpoints, step.output.tables, strict=True):
        fits = [read(file) for file in step.input.fits if Path(file).stem == endpoint]
        step.write(adjust(fits, alpha=step.params.alpha), path)
