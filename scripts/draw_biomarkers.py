"""Draw the forest and the volcano plot of the biomarkers of each endpoint."""

import pandas as pd

from correlatives.cohort import Cohort
from correlatives.figures import (
    forest_predictive,
    forest_prognostic,
    prognostic_predictive,
    volcano,
)
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.outcomes)
    named = pd.concat(
        pd.read_parquet(
            path,
            columns=["biomarker", "specimen", "label"],
            filters=[("timepoint", "==", cohort.study["baseline"])],
        )
        for path in step.input.markers
    ).dropna()
    places = zip(named["biomarker"], named["specimen"], strict=True)
    labels = dict(zip(places, named["label"], strict=True))
    shared = {"simulated": cohort.study["simulated"], "labels": labels}
    for endpoint, path in zip(step.params.endpoints, step.input.tables, strict=True):
        table = pd.read_csv(path, sep="\t")
        if step.params.randomised:
            forest = forest_predictive.draw(table, endpoint, arms=cohort.arms, **shared)
            forest.write(step.stem(step.output[f"forest_predictive_{endpoint}"]))
            drawn = volcano.draw(table, endpoint, **shared)
            drawn.write(step.stem(step.output[f"volcano_{endpoint}"]))
            drawn = prognostic_predictive.draw(table, endpoint, **shared)
            drawn.write(step.stem(step.output[f"prognostic_predictive_{endpoint}"]))
        else:
            forest = forest_prognostic.draw(table, endpoint, **shared)
            forest.write(step.stem(step.output[f"forest_prognostic_{endpoint}"]))
