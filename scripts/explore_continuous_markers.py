"""Look closely at the continuous markers of one endpoint, and draw what is found."""

from correlatives.cohort import Cohort, clinical_markers
from correlatives.figures import continuous
from correlatives.markers import KEY, Markers
from correlatives.predictive.continuous import choose_markers, explore, read_chosen, values_analysed
from correlatives.predictive.screened import read_screened
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.outcomes)
    table = read_screened(step.input.table)
    wanted = set(choose_markers(table)[KEY].itertuples(index=False, name=None))
    clinical = clinical_markers(cohort, step.params.clinical_markers)
    markers = Markers.concatenate([clinical, *read_chosen(step.input.markers, wanted)])
    asked = (cohort, step.params.endpoint, markers)
    model = {"covariates": step.params.covariates}
    # the draws of the screen: from the study's seed, not the job's
    found = explore(
        *asked,
        table,
        randomisations=step.params.randomisations,
        seed=step.params.seed,
        **model,
    )
    step.write(found, step.output.table)
    continuous.draw(
        found,
        step.params.endpoint,
        arms=cohort.arms,
        values=values_analysed(*asked, found, **model),
        tested=int(table["kind"].isin(["continuous", "count"]).sum()),
        labels=markers.labels(),
        simulated=cohort.study["simulated"],
    ).write(step.stem(step.output.figure[0]), step.params.long_names)
