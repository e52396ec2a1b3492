# What a journal prints, and the page a reader opens first.
import json


rule figures:
    input:
        rules.describe_cohort.output,
        rules.draw_efficacy.output,
        rules.draw_biomarkers.output,
        EXPLORED,
        rules.draw_resistance.output,
        rules.summarise_response_models.output,


QUESTIONS = ["check", "efficacy", "predictive", "resistance", "response", "figures"]


# The report is made by calling Snakemake again on this very study. What `--config` put on top goes through a
# file, because nested values do not survive the command line.
WHOLE = RESULTS / "logs" / "configuration.json"
ON_TOP = (
    json.dumps({**WRITTEN, "data_dir": shown(DATA)})
    if workflow.config_settings.config
    else ""
)


rule report:
    input:
        rules.check.input,
        rules.describe_cohort.output,
        rules.efficacy.input,
        rules.predictive.input,
        rules.resistance.input,
        rules.response.input,
        landing=ancient(shown(HOUSE / "workflow/report/workflow.rst")),
    output:
        html="<results>/report.html",
        zip="<results>/report.zip",
    log:
        "<logs>/report.log",
    localrule: True
    conda:
        "../../envs/statistics.yaml"
    params:
        # The report shows labels and captions that stand in these files.
        shows={
            path.name: digest(path)
            for folder in ("report", "rules")
            for path in sorted((HOUSE / "workflow" / folder).iterdir())
        },
        study=config["study"],
        python=sys.executable,
        snakefile=shown(workflow.main_snakefile),
        files=[*map(shown, STUDY_FILES), *([WHOLE.as_posix()] if ON_TOP else [])],
        whole=lambda wildcards: WHOLE.as_posix(),
        on_top=ON_TOP,
        targets=QUESTIONS,
    message:
        "Putting the report together"
    shell:
        """
        printf '%s' {params.on_top:q} >{params.whole:q}
        for report in {output:q}; do
            {params.python:q} -m snakemake --snakefile {params.snakefile:q} --nolock --cores 1 \
                --configfile {params.files:q} --report "$report" -- {params.targets} >>{log:q} 2>&1 \
                || {{ tail -n 5 {log:q} >&2; exit 1; }}
        done
        """
