"""Read, check and join every input table; tell all that is wrong with them."""

from pathlib import Path

from correlatives.assembly import build_cohort
from correlatives.tables.config import claim_results
from correlatives.tables.load import load_study
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    claim_results(Path(step.params.results), step.params.study["study"]["id"])
    study = load_study(step.params.study, Path(step.params.data))
    built = build_cohort(study)
    if step.params.locked:
        from correlatives.response.locked import report_misfits

        files = {name: Path(path) for name, path in step.params.locked.items()}
        report_misfits(files, built.cohort, study.problems)
    step.write(study.problems.frame(), step.output.problems)
    step.write(study.corrections, step.output.corrections)
    step.write(built.flow, step.output.flow)
    step.write(built.inventory, step.output.inventory)
    step.write(built.eligibility, step.output.eligibility)
    step.write(built.chosen_samples, step.output.chosen_samples)
    step.write(built.signatures, step.output.signatures)
    built.cohort.write(Path(step.output.outcomes).parent)
    Path(step.output.summary).write_text(
        study.problems.summary(str(step.place(step.output.problems))) + "\n", encoding="utf-8"
    )
