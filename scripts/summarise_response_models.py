"""Put the endpoints' performance together, and draw it."""

import pandas as pd

from correlatives.cohort import Cohort
from correlatives.figures import calibration, roc
from correlatives.response.evaluation import PERFORMANCE, SAMPLE_SIZE
from correlatives.workflow import job


def together(paths: list[str], columns: list[str]) -> pd.DataFrame:
    """Stack the tables of the endpoints."""
    filled = [table for path in paths if len(table := pd.read_csv(path, sep="\t"))]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=columns)


with job(snakemake) as step:  # noqa: F821
    simulated = Cohort.read(step.input.outcomes).study["simulated"]
    performance = together(step.input.performance, PERFORMANCE)
    step.write(performance, step.output.performance)
    step.write(together(step.input.sample_size, SAMPLE_SIZE), step.output.sample_size)
    for endpoint, path in zip(step.params.endpoints, step.input.predictions, strict=True):
        if endpoint not in step.params.responses:
            continue
        predictions = pd.read_parquet(path)
        shared = {"performance": performance, "simulated": simulated}
        roc.draw(predictions, endpoint, **shared).write(step.stem(step.output[f"roc_{endpoint}"]))
        calibration.draw(predictions, endpoint, **shared).write(
            step.stem(step.output[f"calibration_{endpoint}"])
        )
