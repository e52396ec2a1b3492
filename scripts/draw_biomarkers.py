"""Draw what was found of the biomarkers: forest, volcano, plane, curves and correlations."""

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort, clinical_markers
from correlatives.figures import (
    forest_predictive,
    forest_prognostic,
    marker_correlation,
    marker_km,
    prognostic_predictive,
    volcano,
)
from correlatives.figures.markers import distinct_names
from correlatives.markers import KEY, Markers
from correlatives.predictive.continuous import read_chosen
from correlatives.predictive.levels import choose_splits, split_markers
from correlatives.predictive.rows import marker_rows
from correlatives.predictive.screened import read_screened
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.outcomes)
    paths = dict(zip(step.params.endpoints, step.input.tables, strict=True))
    # curves and correlations need markers' values; forests of one arm do not. A wide assay's table at a time
    parts, ordered = [pd.DataFrame(columns=KEY)], []
    for path in paths.values() if cohort.randomised else []:
        table = read_screened(path)
        parts.append(choose_splits(table))
        ordered.append(marker_correlation.choose([table]))
    correlated = marker_correlation.choose(ordered) if ordered else parts[0]
    parts.append(correlated)
    clinical = clinical_markers(cohort, step.params.clinical_markers)
    wanted = set(pd.concat(parts)[KEY].itertuples(index=False, name=None))
    markers = Markers.concatenate([clinical, *read_chosen(step.input.markers, wanted)])
    labels = clinical.labels()
    for path in step.input.markers:
        labels |= Markers.read_labels(path, cohort.study["baseline"])
    evaluable = pd.read_csv(step.input.evaluable, sep="\t")
    evaluable = evaluable.set_index(["endpoint", "subjects", "arm"]).sort_index()
    shared = {"simulated": cohort.study["simulated"], "labels": labels}
    of = {
        name: max((e for e in paths if name.endswith(f"_{e}")), key=len, default="")
        for name in step.params.figures
    }
    read = ""
    for name, endpoint in sorted(of.items(), key=lambda figure: figure[1]):
        kind = name.removesuffix(f"_{endpoint}")
        if endpoint != read:
            table, read = read_screened(paths[endpoint]), endpoint
        if kind == "forest_predictive":
            everybody = None  # durations of response are not compared between arms
            if (endpoint, "all", "all") in evaluable.index:
                line = evaluable.loc[(endpoint, "all", "all")]
                effect = [line[f"treatment_effect{end}"] for end in ("", "_low", "_high")]
                everybody = forest_predictive.Overall(line["n"], line["events"], *effect)
            drawn = forest_predictive.draw(
                table, endpoint, arms=cohort.arms, overall=everybody, **shared
            )
        elif kind == "forest_prognostic":
            drawn = forest_prognostic.draw(table, endpoint, **shared)
        elif kind == "volcano":
            drawn = volcano.draw(table, endpoint, **shared)
        elif kind == "prognostic_predictive":
            drawn = prognostic_predictive.draw(table, endpoint, **shared)
        elif kind == "km_marker":
            drawn = marker_km.draw(
                cohort, endpoint, split_markers(cohort, markers, table), **shared
            )
        else:
            # each marker once, on the scale of analysis, in the order in which they were picked
            rows = marker_rows(markers.of_subjects(cohort.subjects["in_population"].to_numpy(bool)))
            places = [tuple(key) for key in rows.info[KEY].astype(str).to_numpy()]
            keys = correlated[KEY].itertuples(index=False, name=None)
            rows = rows.take(np.array([places.index(k) for k in keys if k in places], dtype=int))
            drawn = marker_correlation.draw(
                distinct_names(rows.info, labels),
                rows.value,
                confirmatory=rows.info["family"].eq("confirmatory").to_numpy(),
                rule=marker_correlation.RULE,
                simulated=cohort.study["simulated"],
            )
        drawn.write(step.stem(step.output[name]), step.params.long_names)
