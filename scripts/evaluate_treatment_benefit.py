"""Predict who benefits from the experimental arm, in subjects whom the models have not seen."""

import pandas as pd

from correlatives.cohort import Cohort
from correlatives.response.benefit import BENEFIT, BY_QUANTILE, treatment_benefit
from correlatives.response.evaluation import task_of
from correlatives.wide import candidates
from correlatives.workflow import job, seed_for

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.cohort, keep=candidates(step.input.cohort))
    tables = {"benefit": [], "benefit_by_quantile": []}
    for endpoint in step.params.endpoints:
        task = task_of(cohort, endpoint, step.params.clinical, forest=False)
        stratum = cohort.analysed().subjects["stratum"].to_numpy(dtype=int)
        found = treatment_benefit(
            task,
            stratum[task.subject - 1],
            seed=seed_for(step.params.seed, "treatment benefit", endpoint),
            repeats=step.params.repeats,
            folds=step.params.folds,
            randomisations=step.params.permutations,
        )
        for note in found.notes:
            print(note)
        tables["benefit"].append(found.table)
        tables["benefit_by_quantile"].append(found.by_quantile)
    for name, columns in (("benefit", BENEFIT), ("benefit_by_quantile", BY_QUANTILE)):
        filled = [table for table in tables[name] if len(table)]
        whole = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=columns)
        step.write(whole, step.output[name])
