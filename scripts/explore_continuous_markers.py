"""Look closely at the continuous markers of each endpoint, and draw what is found."""

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort, clinical_markers
from correlatives.figures import continuous, marker_correlation, marker_km
from correlatives.markers import Markers
from correlatives.predictive.continuous import (
    choose_markers,
    explore,
    read_chosen,
    values_analysed,
)
from correlatives.predictive.levels import split_markers
from correlatives.predictive.rows import marker_rows
from correlatives.workflow import job

KEY = ["biomarker", "specimen", "timepoint"]

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.outcomes)
    tables = {
        endpoint: pd.read_csv(path, sep="\t", dtype=dict.fromkeys(KEY, str))
        for endpoint, path in zip(step.params.endpoints, step.input.tables, strict=True)
    }
    correlated = pd.concat(tables.values()).sort_values(
        ["family", "p_randomisation", *KEY], kind="stable"
    )
    correlated = correlated.drop_duplicates(KEY).head(marker_correlation.MOST)
    confirmatory = [table[table["family"].eq("confirmatory")] for table in tables.values()]
    chosen = pd.concat(
        [*(choose_markers(table) for table in tables.values()), correlated, *confirmatory]
    )
    wanted = set(chosen[KEY].itertuples(index=False, name=None))
    markers = Markers.concatenate(
        [
            clinical_markers(cohort, step.params.clinical_markers),
            *read_chosen(step.input.markers, wanted),
        ]
    )
    info = markers.info
    labels = {
        (row.biomarker, row.specimen): row.label for row in info.itertuples() if pd.notna(row.label)
    }
    model = {"covariates": step.params.covariates}
    shared = {"labels": labels, "simulated": cohort.study["simulated"]}
    for endpoint, path in zip(step.params.endpoints, step.output.tables, strict=True):
        table = tables[endpoint]
        # the draws of the screen: from the study's seed, not the job's
        found = explore(
            cohort,
            endpoint,
            markers,
            table,
            randomisations=step.params.randomisations,
            seed=step.params.seed,
            **model,
        )
        step.write(found, path)
        drawn = continuous.draw(
            found,
            endpoint,
            arms=cohort.arms,
            values=values_analysed(cohort, endpoint, markers, found, **model),
            tested=int(table["kind"].isin(["continuous", "count"]).sum()),
            **shared,
        )
        drawn.write(step.stem(step.output[f"continuous_{endpoint}"]))
        if f"km_marker_{endpoint}" in step.output.keys():  # noqa: SIM118  (a list with names)
            drawn = marker_km.draw(
                cohort, endpoint, split_markers(cohort, markers, table), **shared
            )
            drawn.write(step.stem(step.output[f"km_marker_{endpoint}"]))

    # each marker once, on the scale of analysis, in the order in which they were picked
    rows = marker_rows(markers.of_subjects(cohort.subjects["in_population"].to_numpy(dtype=bool)))
    places = [tuple(key) for key in rows.info[KEY].astype(str).to_numpy()]
    picked = [
        places.index(key)
        for key in correlated[KEY].itertuples(index=False, name=None)
        if key in places
    ]
    rows = rows.take(np.array(picked, dtype=int))
    names = [
        labels.get((row.biomarker, row.specimen)) or row.biomarker for row in rows.info.itertuples()
    ]
    marker_correlation.draw(
        names,
        rows.value,
        confirmatory=rows.info["family"].eq("confirmatory").to_numpy(),
        rule="Confirmatory ones first, then those with the smallest randomisation p of an interaction with "
        f"any endpoint, {marker_correlation.MOST} at most.",
        simulated=cohort.study["simulated"],
    ).write(step.stem(step.output["marker_correlation"]))
