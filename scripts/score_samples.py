"""Score every subject with locked models, and say how good the scores are where outcomes are known."""

import pandas as pd

from correlatives.cohort import Cohort
from correlatives.figures import external_calibration
from correlatives.response.external import EXTERNAL, judged
from correlatives.response.locked import read_locked, score, stacked
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.cohort)
    scores, performance = [], []
    for (name, path), figure in zip(step.params.locked.items(), step.params.figures, strict=True):
        model = read_locked(path)
        table = score(model, cohort, name)
        scores.append(table)
        external = judged(model, table, cohort, seed=step.seed)
        print(*external.notes, sep="\n")
        performance += [external.performance] if len(external.performance) else []
        external_calibration.draw(
            external.predictions,
            model,
            external.performance,
            simulated=cohort.study["simulated"],
            notes=external.notes,
        ).write(step.stem(step.output[figure]))
    step.write(stacked(scores), step.output.scores)
    together = pd.concat(performance) if performance else pd.DataFrame(columns=EXTERNAL)
    step.write(together, step.output.performance)
