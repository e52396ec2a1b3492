# Which biomarkers predict benefit from the experimental arm (two arms), or carry prognosis (one arm).

SCREEN = "predictive" if RANDOMISED else "prognostic"
SCREEN_CATEGORY = "Predictive biomarkers" if RANDOMISED else "Prognostic biomarkers"
SCREEN_FIGURES = {
    **{
        f"forest_{SCREEN}_{endpoint}": f"Forest plot, {endpoint}"
        for endpoint in SCREENED
    },
    **(
        {
            **{
                f"volcano_{endpoint}": f"Volcano plot, {endpoint}"
                for endpoint in SCREENED
            },
            **{
                f"prognostic_predictive_{endpoint}": f"Prognostic or predictive, {endpoint}"
                for endpoint in SCREENED
            },
            **{
                f"km_marker_{endpoint}": f"Curves by marker and arm, {endpoint}"
                for endpoint in SCREENED
                if endpoint in TIMES
            },
            "marker_correlation": "Correlation of markers",
        }
        if RANDOMISED
        else {}
    ),
}

# What one job fits: a domain, or a block of its markers.
MARKER_BLOCKS = config["predictive"]["marker_blocks"]
FITTED = [
    part
    for domain in DOMAINS
    for part in (
        [domain]
        if domain == "clinical" or MARKER_BLOCKS == 1
        else [f"{domain}-{block}" for block in range(1, MARKER_BLOCKS + 1)]
    )
]


rule fit_biomarker_models:
    input:
        cohort=lambda wildcards: cohort(
            *dict.fromkeys(
                [
                    "outcomes",
                    "families",
                    *(
                        []
                        if wildcards.part == "clinical"
                        else [wildcards.part.partition("-")[0]]
                    ),
                ]
            )
        )(wildcards),
        code=code("fit_biomarker_models"),
    output:
        fits=[
            f"<results>/{SCREEN}/fits/{{part}}/{endpoint}.parquet"
            for endpoint in SCREENED
        ],
    log:
        f"<logs>/{SCREEN}/fit_{{part}}.log",
    benchmark:
        f"<benchmarks>/{SCREEN}/fit_{{part}}.tsv"
    wildcard_constraints:
        part="|".join(FITTED),
    conda:
        "../../envs/statistics.yaml"
    threads: lambda wildcards: 1 if wildcards.part == "clinical" else 2
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        **digests("fit_biomarker_models"),
        endpoints=SCREENED,
        covariates=lookup(dpath="covariates", within=config["predictive"]),
        alpha=lookup(dpath="alpha", within=config["predictive"]),
        randomisations=lookup(dpath="randomisations", within=config["predictive"]),
        family_over_endpoints=lookup(
            dpath="family_over_endpoints", within=config["predictive"]
        ),
        clinical_markers=lambda wildcards: (
            config["predictive"]["clinical_markers"]
            if wildcards.part == "clinical"
            else []
        ),
        marker_blocks=MARKER_BLOCKS,
        seed=config["seed"],
    message:
        "Fitting the model of every {wildcards.part} marker"
    script:
        "../../scripts/fit_biomarker_models.py"


rule screen_biomarkers:
    input:
        fits=expand(
            f"<results>/{SCREEN}/fits/{{part}}/{{endpoint}}.parquet",
            part=FITTED,
            endpoint=SCREENED,
        ),
        gate=gate,
        code=code("screen_biomarkers"),
    output:
        tables=[
            table(
                f"<results>/{SCREEN}/{endpoint}.tsv",
                SCREEN_CATEGORY,
                SCREEN,
                f"Biomarkers, {endpoint}",
            )
            for endpoint in SCREENED
        ],
    log:
        f"<logs>/{SCREEN}/screen.log",
    benchmark:
        f"<benchmarks>/{SCREEN}/screen.tsv"
    conda:
        "../../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        **digests("screen_biomarkers"),
        endpoints=SCREENED,
        alpha=lookup(dpath="alpha", within=config["predictive"]),
        family_over_endpoints=lookup(
            dpath="family_over_endpoints", within=config["predictive"]
        ),
        randomised=RANDOMISED,
    message:
        "Correcting for the number of markers looked at"
    script:
        "../../scripts/screen_biomarkers.py"


rule draw_biomarkers:
    input:
        tables=rules.screen_biomarkers.output.tables,
        outcomes=cohort("outcomes"),
        markers=cohort("blood", "tissue", "alterations"),
        evaluable="<results>/efficacy/evaluable.tsv",
        code=code("draw_biomarkers"),
    output:
        **{
            name: figure(name, SCREEN_CATEGORY, title)
            for name, title in SCREEN_FIGURES.items()
        },
    log:
        f"<logs>/{SCREEN}/draw.log",
    benchmark:
        f"<benchmarks>/{SCREEN}/draw.tsv"
    conda:
        "../../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        **digests("draw_biomarkers"),
        long_names=LONG_NAMES,
        endpoints=SCREENED,
        figures=list(SCREEN_FIGURES),
        clinical_markers=lookup(dpath="clinical_markers", within=config["predictive"]),
    message:
        "Drawing the biomarkers"
    script:
        "../../scripts/draw_biomarkers.py"


rule impute_missing_markers:
    input:
        tables=rules.screen_biomarkers.output.tables,
        outcomes=cohort("outcomes"),
        markers=cohort("blood", "tissue", "alterations"),
        code=code("impute_missing_markers"),
    output:
        tables=[
            table(
                f"<results>/{SCREEN}/sensitivity_{endpoint}.tsv",
                SCREEN_CATEGORY,
                "sensitivity",
                f"Missing markers imputed, {endpoint}",
            )
            for endpoint in SCREENED
        ],
    log:
        f"<logs>/{SCREEN}/impute_missing_markers.log",
    benchmark:
        f"<benchmarks>/{SCREEN}/impute_missing_markers.tsv"
    conda:
        "../../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        **digests("impute_missing_markers"),
        endpoints=SCREENED,
        covariates=lookup(dpath="covariates", within=config["predictive"]),
        clinical_markers=lookup(dpath="clinical_markers", within=config["predictive"]),
        seed=config["seed"],
    message:
        "Imputing missing markers to see whether they matter"
    script:
        "../../scripts/impute_missing_markers.py"


# What needs two arms: a job an endpoint, each a rule since a report's captions know no wildcards.
for endpoint in SCREENED if RANDOMISED else []:

    rule:
        name:
            f"explore_continuous_markers_{endpoint}"
        input:
            table=f"<results>/predictive/{endpoint}.tsv",
            outcomes=cohort("outcomes"),
            markers=cohort("blood", "tissue", "alterations"),
            code=code("explore_continuous_markers"),
        output:
            figure=figure(
                f"continuous_{endpoint}",
                SCREEN_CATEGORY,
                f"Continuous markers, {endpoint}",
            ),
            table=table(
                f"<results>/predictive/continuous_{endpoint}.tsv",
                SCREEN_CATEGORY,
                "continuous",
                f"Continuous markers, {endpoint}",
            ),
        log:
            f"<logs>/predictive/explore_continuous_markers_{endpoint}.log",
        benchmark:
            f"<benchmarks>/predictive/explore_continuous_markers_{endpoint}.tsv"
        conda:
            "../../envs/statistics.yaml"
        threads: 1
        resources:
            mem_mb=lambda wildcards, attempt: 2000 * attempt,
            runtime=lambda wildcards, attempt: 30 * attempt,
        params:
            **digests("explore_continuous_markers"),
            long_names=LONG_NAMES,
            endpoint=endpoint,
            covariates=lookup(dpath="covariates", within=config["predictive"]),
            clinical_markers=lookup(
                dpath="clinical_markers", within=config["predictive"]
            ),
            randomisations=lookup(dpath="randomisations", within=config["predictive"]),
            seed=config["seed"],
        message:
            f"Looking closely at the continuous markers on {endpoint}"
        script:
            "../../scripts/explore_continuous_markers.py"


EXPLORED = [
    f"<results>/{name}"
    for endpoint in (SCREENED if RANDOMISED else [])
    for name in (
        f"predictive/continuous_{endpoint}.tsv",
        *(f"figures/continuous_{endpoint}.{form}" for form in ("png", "pdf", "svg")),
    )
]


rule predictive:
    input:
        rules.admit_cohort.output,
        rules.screen_biomarkers.output,
        rules.draw_biomarkers.output,
        rules.impute_missing_markers.output,
        EXPLORED,
    message:
        (
            "Predictive biomarkers are done"
            if RANDOMISED
            else "A single-arm study cannot say which biomarkers predict benefit: there is no arm to"
            " compare with. Its prognostic biomarkers are in prognostic/."
        )
