"""Draw what the response models use, what they are good for, and what was locked."""

import json
from pathlib import Path

import pandas as pd

from correlatives.cohort import Cohort, Markers, clinical_label
from correlatives.figures import benefit, decision_curve, nomogram, performance_models, stability
from correlatives.response.points import points_table
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.outcomes)
    labels = {(column, "clinical"): clinical_label(cohort, column) for column in cohort.subjects}
    for path in step.input.markers:
        labels |= Markers.read_labels(path, cohort.study["baseline"])
    simulated = cohort.study["simulated"]

    def read(name: str) -> pd.DataFrame:
        """Return one of the tables behind the figures."""
        return pd.read_csv(step.input[name], sep="\t")

    performance, curves, chosen = map(read, ("performance", "decision_curve", "stability"))
    for endpoint, path in zip(step.params.endpoints, step.input.locked, strict=True):
        # a model that was refused is drawn as what it is: none
        model = json.loads(Path(path).read_text(encoding="utf-8"))
        step.write(points_table(model), step.output[f"points_{endpoint}"])
        drawn = {
            "performance_models": performance_models.draw(
                performance, endpoint, simulated=simulated
            ),
            "decision_curve": decision_curve.draw(
                curves, endpoint, performance=performance, simulated=simulated
            ),
            "stability": stability.draw(
                chosen,
                endpoint,
                str(model.get("model", "")),
                survival=model["type"] == "time_to_event",
                labels=labels,
                simulated=simulated,
            ),
            "nomogram": nomogram.draw(model, simulated=simulated),
        }
        if cohort.randomised:
            drawn["benefit"] = benefit.draw(
                read("benefit_by_quantile"), read("benefit"), endpoint, simulated=simulated
            )
        for name, figure in drawn.items():
            figure.write(step.stem(step.output[f"{name}_{endpoint}"]), step.params.long_names)
