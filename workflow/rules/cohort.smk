# Who is in the study: the joined table, Table 1, the flow of subjects and samples.


rule describe_cohort:
    input:
        cohort=cohort(*PARTS),
        flow="<results>/check/flow.tsv",
        inventory="<results>/check/inventory.tsv",
        code=code("describe_cohort"),
    output:
        joined="<results>/cohort/cohort.tsv",
        parquet="<results>/cohort/cohort.parquet",
        table_one=table(
            "<results>/efficacy/table_one.tsv", "Cohort", "table_one", "Table 1"
        ),
        flow=figure("flow", "Cohort", "Flow of subjects and samples"),
        inventory=figure("inventory", "Cohort", "Sample inventory"),
    log:
        "<logs>/describe_cohort.log",
    benchmark:
        "<benchmarks>/describe_cohort.tsv"
    conda:
        "../../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        **digests("describe_cohort"),
        long_names=LONG_NAMES,
        schedule={name: config[name] for name in ("resistance", "timepoints")},
        columns=config["report"]["table_one"],
        named=config["study"]["strata"]
        + config["response"]["clinical"]
        + config["predictive"]["clinical_markers"]
        + config["predictive"]["covariates"],
    message:
        "Describing the cohort: joined table, Table 1, flow and sample inventory"
    script:
        "../../scripts/describe_cohort.py"
