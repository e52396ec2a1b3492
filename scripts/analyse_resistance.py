"""Compare baseline, on-treatment and progression samples, table by table."""

import pandas as pd

from correlatives.cohort import Cohort
from correlatives.pairing import means_progression
from correlatives.resistance.acquired import acquired, acquired_by_arm, acquired_by_timing
from correlatives.resistance.change import paired_change
from correlatives.resistance.concordance import concordance
from correlatives.resistance.dynamics import dynamics, window_ends
from correlatives.resistance.evidence import evidence
from correlatives.resistance.lead_time import lead_time
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.cohort).analysed()
    asked = step.params.settings
    from_, to = asked["from"], asked["to"]
    at = {"at_progression": means_progression(step.params.timepoints, to)}
    tables = {
        "acquired": acquired(cohort, from_, to, **at),
        "acquired_by_arm": acquired_by_arm(cohort, from_, to, **at),
        "acquired_by_timing": acquired_by_timing(
            cohort, from_, to, asked["early_progression_months"], **at
        ),
        "paired_change": paired_change(cohort, from_, to, asked["early"], **at),
        "dynamics": dynamics(cohort, asked["early"], window_ends(step.params.timepoints)),
        "lead_time": lead_time(cohort, from_, min_tumour_fraction=step.params.min_tumour_fraction),
        "concordance": concordance(cohort, from_),
    }
    screened = [pd.read_csv(path, sep="\t") for path in step.input.screened]
    known = ("acquired", "acquired_by_arm", "paired_change", "dynamics", "concordance")
    tables["evidence"] = evidence(
        cohort,
        **{name: tables[name] for name in known},
        predictive=screened[0] if screened else None,
        to=to,
        drug=asked["drug"],
    )
    for name, table in tables.items():
        step.write(table, step.output[name])
