"""Draw alterations at baseline and progression, and the rates acquired by arm."""

import pandas as pd

from correlatives.cohort import Cohort
from correlatives.figures import acquired, oncoprint
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.cohort)
    simulated = cohort.study["simulated"]
    oncoprint.draw(
        cohort,
        from_=step.params.settings["from"],
        to=step.params.settings["to"],
        subject_level=step.params.subject_level,
        simulated=simulated,
    ).write(step.stem(step.output.oncoprint))
    acquired.draw(
        pd.read_csv(step.input.acquired, sep="\t"),
        pd.read_csv(step.input.acquired_by_arm, sep="\t"),
        arms=cohort.arms,
        simulated=simulated,
    ).write(step.stem(step.output.acquired))
