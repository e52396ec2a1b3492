# Tables in: read, checked, joined; nothing is fitted before every problem has been told.

# The dictionaries that describe the simulated assays.
DICTIONARIES = ["biomarkers.tsv", "coverage.tsv", "pathways.tsv", "signatures.tsv"]

if RAW_MADE:

    rule simulate_trial:
        input:
            dictionaries=[
                ancient(shown(HOUSE / "config" / name)) for name in DICTIONARIES
            ],
            code=code("simulate_trial"),
        output:
            tables=RAW_MADE,
            truth=f"{MADE}/truth.yaml",
        log:
            "<logs>/simulate_trial.log",
        benchmark:
            "<benchmarks>/simulate_trial.tsv"
        conda:
            "../../envs/statistics.yaml"
        resources:
            mem_mb=lambda wildcards, attempt: 1000 * attempt,
            runtime=lambda wildcards, attempt: 10 * attempt,
        params:
            **digests("simulate_trial"),
            seed=config["seed"],
            dictionaries={
                name: digest(HOUSE / "config" / name) for name in DICTIONARIES
            },
        message:
            "Simulating the trial that the shipped study analyses"
        script:
            "../../scripts/simulate_trial.py"


GIVEN_MB = sum(path.stat().st_size for path in RAW_GIVEN if path.exists()) // 10**6


rule check_tables:
    input:
        tables=[ancient(shown(path)) for path in RAW_GIVEN if path.exists()],
        made=RAW_MADE,
        locked=[ancient(shown(path)) for path in SCORED.values() if path.exists()],
        code=code("check_tables"),
    output:
        **{part: f"<results>/check/cohort/{part}.parquet" for part in PARTS},
        problems="<results>/check/problems.tsv",
        summary="<results>/check/summary.txt",
        corrections="<results>/check/corrections.tsv",
        flow="<results>/check/flow.tsv",
        inventory="<results>/check/inventory.tsv",
        eligibility="<results>/check/eligibility.tsv",
        chosen_samples="<results>/check/chosen_samples.tsv",
        signatures="<results>/check/signatures.tsv",
    log:
        "<logs>/check_tables.log",
    benchmark:
        "<benchmarks>/check_tables.tsv"
    conda:
        "../../envs/statistics.yaml"
    resources:
        # A wide table is in memory once; in its file it may be compressed.
        mem_mb=lambda wildcards, attempt: (1000 + 3 * GIVEN_MB) * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        **digests("check_tables"),
        schemas={
            path.name: digest(path)
            for path in sorted((HOUSE / "workflow/schemas").glob("*.yaml"))
        },
        # A path and what it holds: a table that changed, appeared or went away is seen, whatever its date.
        tables={shown(path): digest(path) for path in RAW_GIVEN},
        study=settings(
            "study",
            "tables",
            "endpoints",
            "timepoints",
            "choose",
            "nonresults",
            "alterations_count",
            "evaluable",
            "predictive.covariates",
            "predictive.clinical_markers",
            "response.clinical",
            "resistance.from",
            "resistance.to",
            "resistance.early",
            "eligibility",
            "population",
            "accept",
            "report.table_one",
        ),
        locked={name: shown(path) for name, path in SCORED.items()},
        locked_digests={name: digest(path) for name, path in SCORED.items()},
        data=lambda wildcards: shown(DATA),
        results=lambda wildcards: RESULTS.as_posix(),
    message:
        "Reading, checking and joining the tables"
    script:
        "../../scripts/check_tables.py"


# The gate: an error stops every run here, and the tables of the check stay. Consumers see only the
# files whose content changed, which is why this is a checkpoint.
checkpoint admit_cohort:
    input:
        problems="<results>/check/problems.tsv",
        summary="<results>/check/summary.txt",
        cohort=[f"<results>/check/cohort/{part}.parquet" for part in PARTS],
    output:
        **{part: f"<results>/cohort/{part}.parquet" for part in PARTS},
    log:
        "<logs>/admit_cohort.log",
    localrule: True
    conda:
        "../../envs/statistics.yaml"
    message:
        "Admitting the cohort if no table has an error"
    shell:
        """
        if grep -q '^error' {input.problems:q}; then
            cp {input.summary:q} {log:q}
            exit 1
        fi
        folder=$(dirname {output.outcomes:q})
        for part in {input.cohort:q}; do
            name=$(basename "$part")
            # a copy that is interrupted is not taken for the file
            cp "$part" "$folder/.unfinished-$name"
            mv "$folder/.unfinished-$name" "$folder/$name"
        done >{log:q} 2>&1
        """


rule check:
    input:
        "<results>/check/problems.tsv",
        "<results>/check/corrections.tsv",
        "<results>/check/flow.tsv",
        "<results>/check/inventory.tsv",
        "<results>/check/eligibility.tsv",
        "<results>/check/chosen_samples.tsv",
        "<results>/check/signatures.tsv",
        rules.admit_cohort.output,
