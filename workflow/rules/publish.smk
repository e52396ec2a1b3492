# What a journal prints, where it comes from, and the page a reader opens first.
import json

from correlatives.workflow import libraries  # noqa: E402

# Everything the workflow is made of.
CODE_FILES = sorted(
    path.relative_to(HOUSE).as_posix()
    for pattern in ("Snakefile", "workflow/**/*", "scripts/**/*.py", "envs/*.yaml")
    for path in HOUSE.glob(pattern)
    if path.is_file()
)
# What the jobs run, and the libraries that those use.
SCRIPTS = sorted(path.stem for path in HOUSE.glob("scripts/*.py"))


rule record_provenance:
    input:
        # After the gate: what is refused has no results.
        admitted=cohort("outcomes"),
        tables=[ancient(shown(path)) for path in RAW_GIVEN],
        made=RAW_MADE,
        corrections="<results>/check/corrections.tsv",
        flow="<results>/check/flow.tsv",
        problems="<results>/check/problems.tsv",
        lock=ancient(shown(HOUSE / "requirements.lock")),
        code=code("record_provenance"),
    output:
        "<results>/provenance.json",
    log:
        "<logs>/record_provenance.log",
    benchmark:
        "<benchmarks>/record_provenance.tsv"
    conda:
        "../../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        study=config,
        house=lambda wildcards: shown(HOUSE),
        inputs=lambda wildcards: named_inputs(),
        written=[shown(path) for path in STUDY_FILES],
        version=VERSION,
        scripts=SCRIPTS,
        code=CODE_FILES,
        drawing=[one.name for one in workflow.rules if "seed" in one.params.keys()],
        # What the record says is read from the files; here they only say that it has to be written anew.
        state={
            **{name: digest(HOUSE / name) for name in CODE_FILES},
            **{shown(path): digest(path) for path in [*RAW_GIVEN, *STUDY_FILES]},
            "requirements.lock": digest(HOUSE / "requirements.lock"),
            "libraries": (
                {k: v for name in SCRIPTS for k, v in libraries(name).items()}
                if INSTALLED
                else {}
            ),
        },
    message:
        "Recording where the results come from"
    script:
        "../../scripts/record_provenance.py"


# The tables that a publication shows or supplements. New samples that are scored are no publication.
if not SCORED:

    PUBLISHED = {
        "efficacy/table_one.tsv": "Baseline characteristics",
        **{f"efficacy/{name}.tsv": title for name, title in EFFICACY_TABLES.items()},
        **{
            f"{SCREEN}/{endpoint}.tsv": f"Biomarkers, {endpoint}"
            for endpoint in SCREENED
        },
        **{
            f"{SCREEN}/sensitivity_{endpoint}.tsv": f"Missing markers imputed, {endpoint}"
            for endpoint in SCREENED
        },
        **{
            f"{SCREEN}/continuous_{endpoint}.tsv": f"Continuous markers, {endpoint}"
            for endpoint in (SCREENED if RANDOMISED else [])
        },
        **{
            f"resistance/{name}.tsv": title for name, title in RESISTANCE_TABLES.items()
        },
        "response/performance.tsv": "Performance",
        "response/sample_size.tsv": "Sample size",
        "response/permutation.tsv": "Permutation of the outcome",
        **({"response/benefit.tsv": "Treatment benefit"} if RANDOMISED else {}),
    }

    rule write_publication:
        input:
            cohort=cohort("outcomes", "samples"),
            provenance="<results>/provenance.json",
            tables=[f"<results>/{name}" for name in PUBLISHED],
            code=code("write_publication"),
        output:
            methods="<results>/publish/methods.md",
            remark="<results>/publish/remark.tsv",
            tables="<results>/publish/tables.xlsx",
        log:
            "<logs>/write_publication.log",
        benchmark:
            "<benchmarks>/write_publication.tsv"
        conda:
            "../../envs/statistics.yaml"
        resources:
            mem_mb=lambda wildcards, attempt: 2000 * attempt,
            runtime=lambda wildcards, attempt: 20 * attempt,
        params:
            **digests("write_publication"),
            titles=PUBLISHED,
            figures=[
                "flow",
                "inventory",
                *EFFICACY_FIGURES,
                *SCREEN_FIGURES,
                *(f"continuous_{name}" for name in SCREENED if RANDOMISED),
                *RESISTANCE_FIGURES,
                *RESPONSE_FIGURES,
            ],
        message:
            "Writing the methods section, the REMARK checklist and the workbook of tables"
        script:
            "../../scripts/write_publication.py"


rule figures:
    input:
        (
            rules.score.input
            if SCORED
            else [
                rules.describe_cohort.output,
                rules.draw_efficacy.output,
                rules.draw_biomarkers.output,
                EXPLORED,
                rules.draw_resistance.output,
                rules.summarise_response_models.output,
                rules.draw_response_models.output,
            ]
        ),


# Targets that the report shows, and what they give.
if SCORED:
    QUESTIONS = ["check", "score"]
    ANSWERS = [rules.check.input, rules.score.input]
else:
    QUESTIONS = ["check", "efficacy", "predictive", "resistance", "response", "figures"]
    ANSWERS = [
        rules.check.input,
        rules.describe_cohort.output,
        rules.efficacy.input,
        rules.predictive.input,
        rules.resistance.input,
        rules.response.input,
        rules.figures.input,
    ]


# The report is made by calling Snakemake again on this very study. What `--config` put on top goes through a
# file, because nested values do not survive the command line.
WHOLE = RESULTS / "logs" / "configuration.json"
ON_TOP = (
    json.dumps({**WRITTEN, "data_dir": shown(DATA)})
    if workflow.config_settings.config
    else ""
)


# Not among the report's params: which interpreter it is made by, of many of one version, changes nothing in it.
# In the environment, since a command of a workflow that is used as a module sees no name of the workflow's own.
os.environ.update(CORRELATIVES_PYTHON=sys.executable)


rule report:
    input:
        ANSWERS,
        landing=ancient(shown(HOUSE / "workflow/report/workflow.rst")),
    output:
        html="<results>/report.html",
        zip="<results>/report.zip",
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.tsv"
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
        snakefile=shown(workflow.main_snakefile),
        files=[*map(shown, STUDY_FILES), *([WHOLE.as_posix()] if ON_TOP else [])],
        whole=lambda wildcards: WHOLE.as_posix(),
        # A report that is interrupted is not taken for one. It has its name from the start: a report.zip unpacks
        # to a folder of that name.
        unfinished=lambda wildcards: (RESULTS / ".unfinished-report").as_posix(),
        on_top=ON_TOP,
        targets=QUESTIONS,
    message:
        "Putting the report together"
    shell:
        """
        printf '%s' {params.on_top:q} >{params.whole:q}
        mkdir -p {params.unfinished:q}
        for report in {output:q}; do
            unfinished={params.unfinished:q}/${{report##*/}}
            "$CORRELATIVES_PYTHON" -m snakemake --snakefile {params.snakefile:q} --nolock --cores 1 \
                --configfile {params.files:q} --report "$unfinished" \
                -- {params.targets} >>{log:q} 2>&1 || {{ tail -n 5 {log:q} >&2; exit 1; }}
            mv "$unfinished" "$report"
        done
        rmdir {params.unfinished:q}
        """
