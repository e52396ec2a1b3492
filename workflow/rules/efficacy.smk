# How the arms differ, whatever the biomarkers say.

EFFICACY_TABLES = {
    "survival_by_arm": "Survival by arm",
    "milestones": "Survival at milestones",
    "response_by_arm": "Response by arm",
    "evaluable": "Evaluable for biomarkers, and everybody",
}
if RANDOMISED:
    EFFICACY_TABLES |= {
        "survival_contrast": "Survival, between arms",
        "response_contrast": "Response, between arms",
        "subgroups": "Treatment effect in clinical subgroups",
    }
else:
    EFFICACY_TABLES |= {"historical": "Against the historical value stated"}

EFFICACY_FIGURES = {
    **{f"km_{endpoint}": f"Kaplan–Meier, {endpoint}" for endpoint in TIMES},
    **(
        {
            f"forest_subgroups_{e}": f"Subgroups, {e}"
            for e in TIMES + RESPONSES
            if config["endpoints"][e]["type"] != "duration_of_response"
        }
        if RANDOMISED
        else {}
    ),
    **({"response_rates": "Response rates"} if RESPONSES else {}),
    "waterfall": "Best change of the tumour",
    "swimmer": "Course of every subject",
}


rule estimate_efficacy:
    input:
        cohort=cohort("outcomes", "blood", "tissue", "alterations"),
        code=code("estimate_efficacy"),
    output:
        **{
            name: table(f"<results>/efficacy/{name}.tsv", "Efficacy", name, title)
            for name, title in EFFICACY_TABLES.items()
        },
    log:
        "<logs>/estimate_efficacy.log",
    benchmark:
        "<benchmarks>/estimate_efficacy.tsv"
    conda:
        "../../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        **digests("estimate_efficacy"),
        factors=sorted(
            set(config["predictive"]["clinical_markers"])
            | set(config["study"]["strata"])
        ),
    message:
        "Estimating survival and response by arm"
    script:
        "../../scripts/estimate_efficacy.py"


rule draw_efficacy:
    input:
        **{name: f"<results>/efficacy/{name}.tsv" for name in EFFICACY_TABLES},
        cohort=cohort("outcomes", "course"),
        code=code("draw_efficacy"),
    output:
        **{
            name: figure(name, "Efficacy", title)
            for name, title in EFFICACY_FIGURES.items()
        },
    log:
        "<logs>/draw_efficacy.log",
    benchmark:
        "<benchmarks>/draw_efficacy.tsv"
    conda:
        "../../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 1500 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        **digests("draw_efficacy"),
        long_names=LONG_NAMES,
        figures=list(EFFICACY_FIGURES),
        tables=list(EFFICACY_TABLES),
        subject_level=config["report"]["subject_level"],
    message:
        "Drawing survival, subgroups, best change and the course of the subjects"
    script:
        "../../scripts/draw_efficacy.py"


rule efficacy:
    input:
        rules.admit_cohort.output,
        rules.estimate_efficacy.output,
        rules.draw_efficacy.output,
