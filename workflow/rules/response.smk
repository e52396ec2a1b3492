# How well response can be predicted from what is known before treatment.

LEARNED = [name for name in MODELLED if name in RESPONSES + TIMES]
RESPONSE_FIGURES = {
    **{
        f"roc_{endpoint}": f"ROC, {endpoint}"
        for endpoint in LEARNED
        if endpoint in RESPONSES
    },
    **{
        f"calibration_{endpoint}": f"Calibration, {endpoint}"
        for endpoint in LEARNED
        if endpoint in RESPONSES
    },
}


rule evaluate_response_model:
    input:
        cohort=cohort("outcomes", "blood", "tissue", "alterations"),
        code=code("evaluate_response_model"),
    output:
        performance="<results>/response/parts/{endpoint}/performance.tsv",
        sample_size="<results>/response/parts/{endpoint}/sample_size.tsv",
        predictions="<results>/response/parts/{endpoint}/out_of_fold.parquet",
    log:
        "<logs>/response/{endpoint}.log",
    benchmark:
        "<benchmarks>/response/{endpoint}.tsv"
    wildcard_constraints:
        endpoint="|".join(LEARNED) or "none",
    conda:
        "../../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        **digests("evaluate_response_model"),
        clinical=lookup(dpath="response/clinical", within=config),
        seed=config["seed"],
    message:
        "Predicting {wildcards.endpoint} in samples the model has not seen"
    script:
        "../../scripts/evaluate_response_model.py"


rule summarise_response_models:
    input:
        performance=expand(
            "<results>/response/parts/{endpoint}/performance.tsv", endpoint=LEARNED
        ),
        sample_size=expand(
            "<results>/response/parts/{endpoint}/sample_size.tsv", endpoint=LEARNED
        ),
        predictions=expand(
            "<results>/response/parts/{endpoint}/out_of_fold.parquet", endpoint=LEARNED
        ),
        outcomes=cohort("outcomes"),
        code=code("summarise_response_models"),
    output:
        **{
            name: figure(name, "Response", title)
            for name, title in RESPONSE_FIGURES.items()
        },
        performance=table(
            "<results>/response/performance.tsv",
            "Response",
            "performance",
            "Performance",
        ),
        sample_size=table(
            "<results>/response/sample_size.tsv",
            "Response",
            "sample_size",
            "Sample size",
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
        endpoints=LEARNED,
        responses=RESPONSES,
    message:
        "Summarising and drawing how well response is predicted"
    script:
        "../../scripts/summarise_response_models.py"


include: "locked.smk"


rule response:
    input:
        rules.admit_cohort.output,
        rules.summarise_response_models.output,
        rules.lock_response_models.output,
