# New samples, scored by models that an earlier study locked. Nothing is fitted.

if SCORED:

    rule score_samples:
        input:
            cohort=cohort("outcomes", "blood", "tissue", "alterations", "pathways"),
            # one that is not there is told by the check
            locked=[ancient(shown(path)) for path in SCORED.values() if path.exists()],
            code=code("score_samples"),
        output:
            **{
                scored_figure(name): figure(
                    scored_figure(name), "Scores", f"Calibration, {name}"
                )
                for name in SCORED
            },
            scores=(
                table(
                    f"<results>/response/scores_{COHORT}.tsv",
                    "Scores",
                    "scores",
                    "Scores",
                )
                if config["report"]["subject_level"]
                else f"<results>/response/scores_{COHORT}.tsv"
            ),
            performance=table(
                f"<results>/response/scores_{COHORT}_performance.tsv",
                "Scores",
                "external_performance",
                "Performance in these samples",
            ),
        log:
            "<logs>/response/score.log",
        benchmark:
            "<benchmarks>/response/score.tsv"
        conda:
            "../../envs/statistics.yaml"
        resources:
            mem_mb=lambda wildcards, attempt: 1500 * attempt,
            runtime=lambda wildcards, attempt: 10 * attempt,
        params:
            **digests("score_samples"),
            locked={name: shown(path) for name, path in SCORED.items()},
            digests=[digest(path) for path in SCORED.values()],
            figures=[scored_figure(name) for name in SCORED],
            seed=config["seed"],
        message:
            "Scoring the subjects with the locked models"
        script:
            "../../scripts/score_samples.py"

    rule score:
        input:
            rules.admit_cohort.output,
            rules.score_samples.output,

else:

    rule score:
        log:
            "<logs>/response/score.log",
        localrule: True
        conda:
            "../../envs/statistics.yaml"
        message:
            "This study names no locked model to score with: give `score` in its file (config/README.md)"
        shell:
            """
            echo "This study names no locked model to score with: give score in its file (config/README.md)." \
                | tee {log:q} >&2
            exit 1
            """
