"""Judge the models of all endpoints by their out-of-fold predictions, and draw them."""

import pandas as pd

from correlatives.cohort import Cohort
from correlatives.figures import calibration, roc
from correlatives.response.evaluation import TABLES, Share, judge, together
from correlatives.response.tripod import checklist
from correlatives.workflow import job


def share(predictions: str, coefficients: str, permutations: str) -> Share:
    """Return what one job did."""
    return Share(*map(pd.read_parquet, (predictions, coefficients, permutations)))


with job(snakemake) as step:  # noqa: F821
    simulated = Cohort.read(step.input.outcomes).study["simulated"]
    parts = step.params.parts
    judged = {}
    for place, endpoint in enumerate(step.params.endpoints):
        files = slice(place * parts, (place + 1) * parts)
        judged[endpoint] = judge(
            endpoint,
            pd.read_csv(step.input.models[files][0], sep="\t"),
            together(
                [
                    share(*paths)
                    for paths in zip(
                        step.input.predictions[files],
                        step.input.coefficients[files],
                        step.input.permutations[files],
                        strict=True,
                    )
                ]
            ),
        )
        for note in judged[endpoint].notes:
            print(note)
    tables = {}
    for name, columns in TABLES.items():
        filled = [table for one in judged.values() if len(table := getattr(one, name))]
        tables[name] = (
            pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=columns)
        )
        step.write(tables[name], step.output[name])
    tripod = checklist(
        step.params.study,
        step.params.definitions,
        step.params.response,
        eligibility=step.params.eligibility,
        performance=tables["performance"],
        sample_size=tables["sample_size"],
    )
    step.write(tripod, step.output.tripod_ai)
    for endpoint, one in judged.items():
        shared = {"performance": tables["performance"], "simulated": simulated}
        roc.draw(one.predictions, endpoint, **shared).write(
            step.stem(step.output[f"roc_{endpoint}"]), step.params.long_names
        )
        calibration.draw(one.predictions, endpoint, **shared).write(
            step.stem(step.output[f"calibration_{endpoint}"]), step.params.long_names
        )
