"""Draw survival by arm, subgroups, response, best change and the course of the subjects."""

import pandas as pd

from correlatives.cohort import Cohort, clinical_label
from correlatives.figures import forest_subgroups, km, response_rates, swimmer, waterfall
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.cohort)
    simulated = {"simulated": cohort.study["simulated"]}
    tables = {
        name: pd.read_csv(path, sep="\t")
        for name, path in step.input.items()
        if name in step.params.tables
    }
    for name in step.params.figures:
        if name.startswith("km_"):
            drawn = km.draw(
                cohort,
                name.removeprefix("km_"),
                by_arm=tables["survival_by_arm"],
                contrast=tables.get("survival_contrast"),
                historical=tables.get("historical"),
                **simulated,
            )
        elif name.startswith("forest_subgroups_"):
            endpoint = name.removeprefix("forest_subgroups_")
            factors = tables["subgroups"]["factor"].dropna().unique()
            drawn = forest_subgroups.draw(
                tables["subgroups"],
                endpoint,
                arms=cohort.arms,
                labels={factor: clinical_label(cohort, factor) for factor in factors},
                **simulated,
            )
        elif name == "response_rates":
            drawn = response_rates.draw(
                tables["response_by_arm"],
                tables.get("response_contrast"),
                arms=cohort.arms,
                **simulated,
            )
        else:
            course = {"waterfall": waterfall, "swimmer": swimmer}[name]
            drawn = course.draw(cohort, subject_level=step.params.subject_level, **simulated)
        drawn.write(step.stem(step.output[name]), step.params.long_names)
