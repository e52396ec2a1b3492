# How tumours become resistant, from baseline, on-treatment and progression samples.

RESISTANCE_TABLES = {
    "pairs": "Flow of subjects into pairs",
    "calls_set_aside": "Calls set aside and flagged",
    "acquired": "Acquired and lost, within arms",
    "acquired_by_arm": "Acquired, between arms",
    "acquired_by_timing": "Acquired, early and late progressors",
    "alterations": "Acquired and lost, each alteration",
    "paired_change": "Paired change",
    "longitudinal": "Course over all visits, by arm",
    "dynamics": "Early change and survival from the landmark",
    "time_dependent": "Change as a time-dependent covariate",
    "lead_time": "Molecular before imaging progression",
    "intrinsic": "Baseline markers and benefit, by pathway",
    "concordance": "Tissue against plasma",
    "concordance_by_class": "Tissue against plasma, by tumour fraction and interval",
    "concordance_continuous": "Tissue against blood, numbers",
    "evidence": "Evidence, gene by gene",
}
RESISTANCE_FIGURES = {
    "pairs_flow": "From the subjects to pairs of samples",
    "oncoprint": "Alterations at baseline and progression",
    "oncoprint_tissue": "Alterations at baseline and progression, tissue",
    "alluvial": "Alterations kept, gained and lost",
    "acquired": "Acquired alterations by arm",
    "slopes": "Biomarkers at baseline and progression",
    "spaghetti": "Biomarkers over the course of treatment",
    **{
        f"km_landmark_{endpoint}": f"{endpoint} from the landmark, by early change"
        for endpoint in of_type("time_to_event")
    },
    "concordance": "Tissue against plasma",
    "agreement": "Tissue against blood, numbers",
    "evidence": "Evidence, gene by gene",
    "dossier": "Dossier, a page a gene",
}
# All but those that only the tables show.
DRAWN_TABLES = [name for name in RESISTANCE_TABLES if name != "time_dependent"]

INTRINSIC = ["<results>/predictive/PFS.tsv"] if RANDOMISED and "PFS" in SCREENED else []


rule analyse_resistance:
    input:
        cohort=cohort(*PARTS),
        # Intrinsic resistance: what baseline markers say of benefit, from the one engine that tests it.
        screened=INTRINSIC,
        code=code("analyse_resistance"),
    output:
        **{
            name: table(f"<results>/resistance/{name}.tsv", "Resistance", name, title)
            for name, title in RESISTANCE_TABLES.items()
        },
    log:
        "<logs>/analyse_resistance.log",
    benchmark:
        "<benchmarks>/analyse_resistance.tsv"
    conda:
        "../../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        **digests("analyse_resistance"),
        settings=lookup(dpath="resistance", within=config),
        predictive=lookup(dpath="predictive", within=config),
        seed=config["seed"],
        timepoints=config["timepoints"],
        min_tumour_fraction=lookup(
            dpath="min_tumour_fraction", within=config["evaluable"]
        ),
        if_missing=lookup(dpath="if_missing", within=config["evaluable"]),
    message:
        "Comparing baseline, on-treatment and progression samples"
    script:
        "../../scripts/analyse_resistance.py"


rule draw_resistance:
    input:
        **{name: f"<results>/resistance/{name}.tsv" for name in DRAWN_TABLES},
        cohort=cohort(*PARTS),
        code=code("draw_resistance"),
    output:
        **{
            name: figure(name, "Resistance", title)
            for name, title in RESISTANCE_FIGURES.items()
        },
    log:
        "<logs>/draw_resistance.log",
    benchmark:
        "<benchmarks>/draw_resistance.tsv"
    conda:
        "../../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        **digests("draw_resistance"),
        long_names=LONG_NAMES,
        tables=DRAWN_TABLES,
        endpoints=of_type("time_to_event"),
        settings=lookup(dpath="resistance", within=config),
        timepoints=config["timepoints"],
        subject_level=config["report"]["subject_level"],
    message:
        "Drawing what the samples say of resistance"
    script:
        "../../scripts/draw_resistance.py"


rule resistance:
    input:
        rules.admit_cohort.output,
        rules.analyse_resistance.output,
        rules.draw_resistance.output,
