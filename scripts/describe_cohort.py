"""Write the joined table and Table 1; draw the flow and the sample inventory."""

import pandas as pd

from correlatives.cohort import Cohort, joined
from correlatives.efficacy import table_one
from correlatives.figures import flow, inventory
from correlatives.tables.timepoints import progression_names
from correlatives.wide import Evaluable, joinable
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    files = step.input.cohort
    table = joined(Cohort.read(files, keep=joinable(files)))
    step.write(table, step.output.joined)
    table.to_parquet(step.output.parquet, index=False)
    cohort = Cohort.read(files, keep=Evaluable(files))
    # Chosen ones alone; else what the configuration names comes first.
    described = step.params.columns or list(
        dict.fromkeys(step.params.named + cohort.study["described"])
    )
    step.write(table_one(cohort, described), step.output.table_one)
    shared = {"arms": cohort.arms, "simulated": cohort.study["simulated"]}
    steps = pd.read_csv(step.input.flow, sep="\t", keep_default_na=False)
    # The same samples serve every endpoint: the figure shows them for the first, the table for all.
    first = next(iter(cohort.study["endpoints"]))
    again = steps["step"].str.match(f"analysis: (?!{first},).*, ")
    flow.draw(steps[~again], **shared).write(step.stem(step.output.flow), step.params.long_names)
    counts = pd.read_csv(step.input.inventory, sep="\t", keep_default_na=False)
    progression = progression_names(step.params.schedule)
    inventory.draw(counts, progression=progression, **shared).write(
        step.stem(step.output.inventory)
    )
