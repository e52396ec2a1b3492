"""Draw what baseline, on-treatment and progression samples say of resistance."""

import pandas as pd

from correlatives.cohort import Cohort
from correlatives.figures import acquired, alluvial, oncoprint, slopes
from correlatives.pairing import means_progression
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.cohort)
    tables = {
        name: pd.read_csv(path, sep="\t")
        for name, path in step.input.items()
        if name in step.params.tables
    }
    simulated = {"simulated": cohort.study["simulated"]}
    subjects = {"subject_level": step.params.subject_level, **simulated}
    asked = step.params.settings
    times = {"from_": asked["from"], "to": asked["to"]}
    at_end = {"at_progression": means_progression(step.params.timepoints, asked["to"])}
    drawings = {
        "oncoprint": lambda: oncoprint.draw(cohort, **times, **subjects),
        "acquired": lambda: acquired.draw(
            tables["acquired"], tables["acquired_by_arm"], arms=cohort.arms, **simulated
        ),
        "alluvial": lambda: alluvial.draw(
            tables["acquired"], arms=cohort.arms, **times, **simulated
        ),
        "slopes": lambda: slopes.draw(
            cohort, tables["paired_change"], **times, **at_end, **subjects
        ),
    }
    for name, draw in drawings.items():
        draw().write(step.stem(step.output[name]))
