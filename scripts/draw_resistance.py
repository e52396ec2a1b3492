"""Draw what baseline, on-treatment and progression samples say of resistance."""

import functools

import pandas as pd

from correlatives.cohort import Cohort
from correlatives.figures import (
    acquired,
    agreement,
    alluvial,
    concordance,
    dossier,
    evidence,
    km_landmark,
    oncoprint,
    pairs_flow,
    slopes,
    spaghetti,
)
from correlatives.pairing import means_progression
from correlatives.resistance.evidence_lines import evidence_lines
from correlatives.wide import paired_or_named
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.cohort, keep=paired_or_named(step.input.cohort))
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
    gathered = ("acquired", "acquired_by_arm", "paired_change", "dynamics", "concordance")
    lines = evidence_lines(
        cohort.analysed(),
        **{name: tables[name] for name in (*gathered, "intrinsic", "longitudinal")},
        to=asked["to"],
        **at_end,
    )
    told = ("acquired", "acquired_by_arm", "acquired_by_timing", "alterations", "concordance")
    told += ("lead_time", "evidence", "calls_set_aside")
    drawings = {
        "pairs_flow": lambda: pairs_flow.draw(tables["pairs"], arms=cohort.arms, **simulated),
        "oncoprint": lambda: oncoprint.draw(cohort, **times, **at_end, **subjects),
        "oncoprint_tissue": lambda: oncoprint.draw_tissue(cohort, **times, **at_end, **subjects),
        "acquired": lambda: acquired.draw(
            tables["acquired"], tables["acquired_by_arm"], arms=cohort.arms, **simulated
        ),
        "alluvial": lambda: alluvial.draw(
            tables["acquired"], arms=cohort.arms, **times, **simulated
        ),
        "slopes": lambda: slopes.draw(
            cohort, tables["paired_change"], **times, **at_end, **subjects
        ),
        "spaghetti": lambda: spaghetti.draw(
            cohort, tables["longitudinal"], drug=asked["drug"], **times, **at_end, **subjects
        ),
        "concordance": lambda: concordance.draw(
            tables["concordance"], tables["concordance_by_class"], **simulated
        ),
        "agreement": lambda: agreement.draw(
            cohort, tables["concordance_continuous"], timepoint=asked["from"], **subjects
        ),
        **{
            f"km_landmark_{endpoint}": functools.partial(
                km_landmark.draw, cohort, endpoint, tables["dynamics"], **simulated
            )
            for endpoint in step.params.endpoints
        },
    }
    drawings["evidence"] = lambda: evidence.draw(
        lines, arms=cohort.arms, drug=asked["drug"], **simulated
    )
    drawings["dossier"] = lambda: dossier.draw(
        dossier.Tables(lines=lines, **{name: tables[name] for name in told}),
        arms=cohort.arms,
        labels=cohort.markers.labels(),
        drug=asked["drug"],
        early_months=asked["early_progression_months"],
        **simulated,
    )
    for name, draw in drawings.items():
        draw().write(step.stem(step.output[name]), step.params.long_names)
