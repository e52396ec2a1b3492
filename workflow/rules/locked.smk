# The prespecified response model, written down so that it can be applied to new subjects without refitting.


rule lock_response_models:
    input:
        cohort=cohort("outcomes", "blood", "tissue", "alterations", "pathways"),
        performance="<results>/response/performance.tsv",
        sample_size="<results>/response/sample_size.tsv",
        made=RAW_MADE,
        code=code("lock_response_models"),
    output:
        models=expand("<results>/response/locked/{endpoint}.json", endpoint=LEARNED),
    log:
        "<logs>/response/lock.log",
    benchmark:
        "<benchmarks>/response/lock.tsv"
    conda:
        "../../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        **digests("lock_response_models"),
        endpoints=LEARNED,
        clinical=lookup(dpath="clinical", within=config["response"]),
        seed=config["seed"],
        version=VERSION,
        tables={f"{name_in_freeze(path)}": digest(path) for path in RAW_GIVEN},
        made={shown(path): f"{name_in_freeze(path)}" for path in RAW_MADE},
    message:
        "Fitting the response models on all subjects, and writing them down"
    script:
        "../../scripts/lock_response_models.py"


LOCKED_FIGURES = {
    f"{name}_{endpoint}": f"{title}, {endpoint}"
    for endpoint in LEARNED
    for name, title in (
        ("performance_models", "Performance by model and specimen"),
        ("decision_curve", "Decision curves"),
        ("stability", "Which predictors are chosen"),
        ("nomogram", "Points of the locked model"),
        *([("benefit", "Treatment effect by predicted benefit")] if RANDOMISED else []),
    )
}


rule draw_response_models:
    input:
        **(
            {
                "benefit": "<results>/response/benefit.tsv",
                "benefit_by_quantile": "<results>/response/benefit_by_quantile.tsv",
            }
            if RANDOMISED
            else {}
        ),
        performance="<results>/response/performance.tsv",
        decision_curve="<results>/response/decision_curve.tsv",
        stability="<results>/response/stability.tsv",
        locked=rules.lock_response_models.output.models,
        outcomes=cohort("outcomes"),
        # what the predictors are called
        markers=cohort("blood", "tissue", "alterations"),
        code=code("draw_response_models"),
    output:
        **{
            name: figure(name, "Response", title)
            for name, title in LOCKED_FIGURES.items()
        },
        **{
            f"points_{endpoint}": table(
                f"<results>/response/points_{endpoint}.tsv",
                "Response",
                "points",
                f"Points of the locked model, {endpoint}",
            )
            for endpoint in LEARNED
        },
    log:
        "<logs>/response/draw.log",
    benchmark:
        "<benchmarks>/response/draw.tsv"
    conda:
        "../../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 1500 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        **digests("draw_response_models"),
        long_names=LONG_NAMES,
        endpoints=LEARNED,
    message:
        "Drawing what the response models use, and what they are good for"
    script:
        "../../scripts/draw_response_models.py"
