"""Compare baseline, on-treatment and progression samples, table by table."""

from correlatives.cohort import Cohort
from correlatives.pairing import means_progression
from correlatives.predictive.screened import read_screened
from correlatives.resistance.acquired import acquired, acquired_by_arm, acquired_by_timing
from correlatives.resistance.alterations import alteration_changes
from correlatives.resistance.change import paired_change
from correlatives.resistance.concordance import concordance
from correlatives.resistance.concordance_by_class import (
    concordance_by_class,
    concordance_continuous,
)
from correlatives.resistance.dynamics import dynamics, window_ends
from correlatives.resistance.evidence import evidence
from correlatives.resistance.intrinsic import intrinsic
from correlatives.resistance.lead_time import lead_time
from correlatives.resistance.longitudinal import longitudinal
from correlatives.resistance.pair_flow import calls_by_use, pair_flow
from correlatives.resistance.time_dependent import time_dependent
from correlatives.wide import paired_or_named
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.cohort, keep=paired_or_named(step.input.cohort)).analysed()
    asked, model = step.params.settings, step.params.predictive
    from_, to = asked["from"], asked["to"]
    at = {"at_progression": means_progression(step.params.timepoints, to)}
    least = {"min_tumour_fraction": step.params.min_tumour_fraction}
    tables = {
        "pairs": pair_flow(cohort, from_, to, **at),
        "calls_set_aside": calls_by_use(cohort, from_, to),
        "acquired": acquired(cohort, from_, to, **at),
        "acquired_by_arm": acquired_by_arm(cohort, from_, to, **at),
        "acquired_by_timing": acquired_by_timing(
            cohort, from_, to, asked["early_progression_months"], **at
        ),
        "alterations": alteration_changes(cohort, from_, to, **least, **at),
        "paired_change": paired_change(cohort, from_, to, asked["early"], **at),
        "longitudinal": longitudinal(cohort, from_, to, asked["drug"], **at),
        "dynamics": dynamics(cohort, asked["early"], window_ends(step.params.timepoints)),
        "time_dependent": time_dependent(cohort, asked["early"]),
        "lead_time": lead_time(cohort, from_, **least),
        "intrinsic": intrinsic(
            cohort,
            asked["early_progression_months"],
            model["covariates"],
            randomisations=model["randomisations"],
            # The draws of the predictive analysis: the same marker has the same p there and here.
            seed=step.params.seed,
        ),
        "concordance": concordance(cohort, from_),
        "concordance_by_class": concordance_by_class(
            cohort, from_, if_missing=step.params.if_missing, **least
        ),
        "concordance_continuous": concordance_continuous(cohort, from_),
    }
    screened = [read_screened(path) for path in step.input.screened]
    known = (
        *("acquired", "acquired_by_arm", "paired_change", "longitudinal"),
        *("dynamics", "intrinsic", "concordance"),
    )
    tables["evidence"] = evidence(
        cohort,
        **{name: tables[name] for name in known},
        predictive=screened[0] if screened else None,
        to=to,
        drug=asked["drug"],
        alpha=model["alpha"],
    )
    for name, table in tables.items():
        step.write(table, step.output[name])
