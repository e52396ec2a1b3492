"""Correct for the number of markers looked at, and write the table of each endpoint."""

from pathlib import Path

import pandas as pd

from correlatives.predictive.model import DomainFits
from correlatives.predictive.multiplicity import adjust, adjust_together
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    read = DomainFits.read if step.params.randomised else pd.read_parquet
    paths = {
        endpoint: [file for file in step.input.fits if Path(file).stem == endpoint]
        for endpoint in step.params.endpoints
    }
    alpha = step.params.alpha
    if step.params.family_over_endpoints:
        fits = {endpoint: [read(file) for file in files] for endpoint, files in paths.items()}
        adjusted = adjust_together(fits, alpha=alpha).values()
    else:
        # one endpoint's fits in memory at a time
        adjusted = (adjust([read(file) for file in files], alpha=alpha) for files in paths.values())
    for table, path in zip(adjusted, step.output.tables, strict=True):
        step.write(table, path)
