"""Estimate survival and response by arm, between arms and in clinical subgroups."""

from correlatives import efficacy
from correlatives.cohort import Cohort
from correlatives.wide import Evaluable
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.cohort, keep=Evaluable(step.input.cohort))
    for name, path in step.output.items():
        if name == "subgroups":
            table = efficacy.all_subgroups(cohort, step.params.factors)
        else:
            table = getattr(efficacy, name)(cohort)
        step.write(table, path)
