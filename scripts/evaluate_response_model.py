"""Predict one endpoint in subjects whom the model has not seen, and judge it."""

from correlatives.cohort import Cohort
from correlatives.response.evaluation import evaluate
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.cohort)
    judged = evaluate(cohort, step.wildcards.endpoint, step.params.clinical, seed=step.seed)
    for note in judged.notes:
        print(note)
    step.write(judged.performance, step.output.performance)
    step.write(judged.sample_size, step.output.sample_size)
    judged.predictions.to_parquet(step.output.predictions, index=False)
