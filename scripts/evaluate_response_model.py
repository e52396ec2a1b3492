"""Predict one endpoint in subjects whom the models have not seen: a share of the repeats and permutations."""

from correlatives.cohort import Cohort
from correlatives.response.evaluation import models_table, resampled, task_of
from correlatives.wide import candidates
from correlatives.workflow import job, seed_for

with job(snakemake) as step:  # noqa: F821
    part, parts = int(step.wildcards.part) - 1, step.params.parts
    endpoint = step.wildcards.endpoint
    task = task_of(
        Cohort.read(step.input.cohort, keep=candidates(step.input.cohort)),
        endpoint,
        step.params.clinical,
    )
    for note in task.notes:
        print(note)
    share = resampled(
        task,
        # not the job's own seed: how the work is split must not matter
        seed=seed_for(step.params.seed, "response", endpoint),
        repeats=range(part, step.params.repeats, parts),
        permutations=range(part, step.params.permutations, parts),
        folds=step.params.folds,
        forest_permuted=step.params.forest_permuted,
    )
    step.write(models_table(task), step.output.models)
    share.predictions.to_parquet(step.output.predictions, index=False)
    share.coefficients.to_parquet(step.output.coefficients, index=False)
    share.permutations.to_parquet(step.output.permutations, index=False)
