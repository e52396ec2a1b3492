"""Fit the prespecified model of each endpoint on all subjects, and write its constants down."""

from pathlib import Path

import pandas as pd

from correlatives.cohort import Cohort
from correlatives.response.locked import as_text
from correlatives.response.locking import lock
from correlatives.wide import candidates
from correlatives.workflow import digest, job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.cohort, keep=candidates(step.input.cohort))
    performance = pd.read_csv(step.input.performance, sep="\t")
    sample_size = pd.read_csv(step.input.sample_size, sep="\t")
    made = {name: digest(Path(path)) for path, name in step.params.made.items()}
    for endpoint, path in zip(step.params.endpoints, step.output.models, strict=True):
        model = lock(
            cohort,
            endpoint,
            step.params.clinical,
            seed=step.seed,
            performance=performance,
            sample_size=sample_size,
            tables={**step.params.tables, **made},
            version=step.params.version,
        ).content
        print(model.get("refused") or f"{endpoint}: {len(model['inputs'])} inputs")
        Path(path).write_text(as_text(model), encoding="utf-8")
