# How well response can be predicted from what is known before treatment.

LEARNED = [name for name in MODELLED if name in RESPONSES + TIMES]
RESPONSE_FIGURES = {
    f"{name}_{endpoint}": f"{title}, {endpoint}"
    for endpoint in LEARNED
    for name, title in (("roc", "ROC"), ("calibration", "Calibration"))
}


# Repeats and permutations are dealt to this many jobs an endpoint: the results do not depend on it.
SHARES = range(1, config["response"]["jobs"] + 1)
SHARED = "<results>/response/parts/{endpoint}/{part}"

RESPONSE_TABLES = {
    "performance": "Performance",
    "sample_size": "Sample size",
    "permutation": "Permutation of the outcome",
    "stability": "Which predictors are chosen",
    "calibration_by_arm": "Calibration by arm",
    "calibration_curve": "Calibration curves",
    "decision_curve": "Decision curves",
}


SHARE_FILES = {
    file: expand(f"{SHARED}/{file}", endpoint=LEARNED, part=SHARES)
    for file in (
        "models.tsv",
        "out_of_fold.parquet",
        "coefficients.parquet",
        "permutations.parquet",
    )
}


rule evaluate_response_model:
    input:
        cohort=cohort("outcomes", "blood", "tissue", "alterations"),
        code=code("evaluate_response_model"),
    output:
        models=f"{SHARED}/models.tsv",
        predictions=f"{SHARED}/out_of_fold.parquet",
        coefficients=f"{SHARED}/coefficients.parquet",
        permutations=f"{SHARED}/permutations.parquet",
    log:
        "<logs>/response/{endpoint}_{part}.log",
    benchmark:
        "<benchmarks>/response/{endpoint}_{part}.tsv"
    wildcard_constraints:
        endpoint="|".join(LEARNED) or "none",
        part=r"\d+",
    conda:
        "../../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        **digests("evaluate_response_model"),
        clinical=lookup(dpath="clinical", within=config["response"]),
        repeats=lookup(dpath="repeats", within=config["response"]),
        folds=lookup(dpath="folds", within=config["response"]),
        permutations=lookup(dpath="permutations", within=config["response"]),
        forest_permuted=lookup(dpath="permute_forest", within=config["response"]),
        parts=len(SHARES),
        seed=config["seed"],
    message:
        "Predicting {wildcards.endpoint} in samples the model has not seen (job {wildcards.part})"
    script:
        "../../scripts/evaluate_response_model.py"


rule summarise_response_models:
    input:
        models=SHARE_FILES["models.tsv"],
        predictions=SHARE_FILES["out_of_fold.parquet"],
        coefficients=SHARE_FILES["coefficients.parquet"],
        permutations=SHARE_FILES["permutations.parquet"],
        outcomes=cohort("outcomes"),
        code=code("summarise_response_models"),
    output:
        **{
            name: figure(name, "Response", title)
            for name, title in RESPONSE_FIGURES.items()
        },
        **{
            name: table(f"<results>/response/{name}.tsv", "Response", name, title)
            for name, title in RESPONSE_TABLES.items()
        },
        tripod_ai=table(
            "<results>/response/tripod_ai.tsv",
            "Response",
            "tripod_ai",
            "TRIPOD+AI checklist",
        ),
    log:
        "<logs>/response/summary.log",
    benchmark:
        "<benchmarks>/response/summary.tsv"
    conda:
        "../../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 1500 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        **digests("summarise_response_models"),
        long_names=LONG_NAMES,
        endpoints=LEARNED,
        parts=len(SHARES),
        study=config["study"],
        definitions={name: config["endpoints"][name] for name in LEARNED},
        response={**config["response"], "endpoints": LEARNED},
        eligibility=len(config["eligibility"]),
    message:
        "Judging and drawing how well response is predicted"
    script:
        "../../scripts/summarise_response_models.py"


if RANDOMISED:

    rule evaluate_treatment_benefit:
        input:
            cohort=cohort("outcomes", "blood", "tissue", "alterations"),
            code=code("evaluate_treatment_benefit"),
        output:
            benefit=table(
                "<results>/response/benefit.tsv",
                "Response",
                "benefit",
                "Treatment benefit",
            ),
            benefit_by_quantile=table(
                "<results>/response/benefit_by_quantile.tsv",
                "Response",
                "benefit_by_quantile",
                "Treatment benefit by predicted benefit",
            ),
        log:
            "<logs>/response/benefit.log",
        benchmark:
            "<benchmarks>/response/benefit.tsv"
        conda:
            "../../envs/statistics.yaml"
        resources:
            mem_mb=lambda wildcards, attempt: 2000 * attempt,
            runtime=lambda wildcards, attempt: 60 * attempt,
        params:
            **digests("evaluate_treatment_benefit"),
            endpoints=LEARNED,
            clinical=lookup(dpath="clinical", within=config["response"]),
            repeats=lookup(dpath="repeats", within=config["response"]),
            folds=lookup(dpath="folds", within=config["response"]),
            permutations=lookup(dpath="permutations", within=config["response"]),
            seed=config["seed"],
        message:
            "Predicting who benefits from the experimental arm"
        script:
            "../../scripts/evaluate_treatment_benefit.py"


include: "locked.smk"


rule response:
    input:
        rules.admit_cohort.output,
        rules.summarise_response_models.output,
        rules.evaluate_treatment_benefit.output if RANDOMISED else [],
        rules.lock_response_models.output,
        rules.draw_response_models.output,
