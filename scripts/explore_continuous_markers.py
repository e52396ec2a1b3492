"""Look closely at the continuous markers of each endpoint, and draw what is found."""

import pandas as pd

from correlatives.cohort import Cohort, clinical_markers
from correlatives.figures import continuous
from correlatives.markers import Markers
from correlatives.predictive.continuous import (
    choose_markers,
    explore,
    read_chosen,
    values_analysed,
)
from correlatives.workflow import job

KEY = ["biomarker", "specimen", "timepoint"]

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.outcomes)
    tables = {
        endpoint: pd.read_csv(path, sep="\t", dtype=dict.fromkeys(KEY, str), keep_default_na=True)
        for endpoint, path in zip(step.params.endpoints, step.input.tables, strict=True)
    }
    chosen = pd.concat([choose_markers(table) for table in tables.values()])
    wanted = set(chosen[KEY].itertuples(index=False, name=None))
    markers = Markers.concatenate(
        [
            clinical_markers(cohort, step.params.clinical_markers),
            *read_chosen(step.input.markers, wanted),
        ]
    )
    info = markers.info
    labels = {
        (row.biomarker, row.specimen): row.label for row in info.itertuples() if pd.notna(row.label)
    }
    model = {"covariates": step.params.covariates}
    shared = {"labels": labels, "simulated": cohort.study["simulated"]}
    for endpoint, path in zip(step.params.endpoints, step.output.tables, strict=True):
        table = tables[endpoint]
        # the draws of the screen: from the study's seed, not the job's
        found = explore(
            cohort,
            endpoint,
            markers,
            table,
            randomisations=step.params.randomisations,
            seed=step.params.seed,
            **model,
        )
        step.write(found, path)
        drawn = continuous.draw(
            found,
            endpoint,
            arms=cohort.arms,
            values=values_analysed(cohort, endpoint, markers, found, **model),
            tested=int(table["kind"].isin(["continuous", "count"]).sum()),
            **shared,
        )
        drawn.write(step.stem(step.output[f"continuous_{endpoint}"]))
