"""What every figure must satisfy, for small and large studies, odd names and missing parts."""

import functools
import re

import numpy as np
import pandas as pd
import pytest
from figures_inputs import (
    ALONE,
    ARMS,
    ODD,
    VISITS,
    defects,
    make_cohort,
    make_curves,
    make_predictions,
    make_risks,
    make_rugs,
    make_screen,
    make_splits,
    make_values,
    texts_drawn,
    with_changes,
    with_everything,
    with_genes,
    with_pathway,
    with_quantities,
    with_tissue,
)

from correlatives.figures import (
    acquired,
    agreement,
    alluvial,
    benefit,
    calibration,
    concordance,
    continuous,
    decision_curve,
    dossier,
    evidence,
    external_calibration,
    flow,
    forest_predictive,
    forest_prognostic,
    forest_subgroups,
    inventory,
    km,
    km_landmark,
    marker_correlation,
    marker_km,
    nomogram,
    oncoprint,
    pairs_flow,
    performance_models,
    prognostic_predictive,
    response_rates,
    roc,
    slopes,
    spaghetti,
    stability,
    swimmer,
    volcano,
    waterfall,
)
from correlatives.figures.style import DOUBLE, SINGLE, STAMP, TALLEST
from correlatives.resistance.acquired import acquired as gained
from correlatives.resistance.acquired import acquired_by_arm, acquired_by_timing
from correlatives.resistance.alterations import alteration_changes
from correlatives.resistance.change import paired_change
from correlatives.resistance.concordance import concordance as tissue_against_plasma
from correlatives.resistance.concordance_by_class import (
    concordance_by_class,
    concordance_continuous,
)
from correlatives.resistance.dynamics import dynamics
from correlatives.resistance.evidence import evidence as evidence_in_words
from correlatives.resistance.evidence_lines import evidence_lines
from correlatives.resistance.lead_time import lead_time
from correlatives.resistance.pair_flow import calls_by_use, pair_flow
from correlatives.tables.flow import Flow

GENES = ["TP53", "PIK3CA", "RB1", "=SUM(A1)", "A gene $with$ a *long* name {{ 1 }}"]
LONG = "marker {} ± a signature $x_1$ with a name that goes on and on, measured in Köln"


def make_flow(arms=ARMS, analyses=4, n=60):
    counted = Flow()
    labels = list(arms.values())
    members = {str(i): labels[i % len(labels)] if i > 2 else "" for i in range(n)}
    counted.start("in the files", "subject", members)
    counted.leave_out("arms", "subject", {str(i): "arm unknown" for i in range(3)})
    reasons = ["withdrew consent before *anything* happened to them at all", "not eligible"]
    counted.leave_out("population", "subject", {str(i): reasons[i % 2] for i in range(3, 12)})
    for k in range(analyses):
        missing = {str(20 + i): "no evaluable baseline sample" for i in range(k)}
        counted.branch(f"analysis: PFS, domain {k}", "subject", missing)
    return counted.frame()


def make_inventory(arms=ARMS, visits=3):
    rows = [
        (f"visit {t}", specimen, assay, arm, 30, 28, 27, 20 + t % 5)
        for specimen, assay in (("plasma", "panel"), ("archival_tissue", "immunohistochemistry"))
        for t in range(visits)
        for arm in arms.values()
    ]
    return pd.DataFrame(rows, columns=list(inventory.COLUMNS))


def make_subgroups(arms=ARMS, levels=8, effect="hr"):
    rows = [("PFS", "all", "all", 30, 30, 20, 18, 0.7, 0.4, 1.2, np.nan)]
    for i in range(levels):
        factor = f"factor {i // 2} of a *clinical* kind"
        rows.append(("PFS", factor, f"level {i % 2}", 15, 15, 9, 8, 0.5 + i / 9, 0.3, 2.5, 0.2))
    rows[1] = ("PFS", rows[1][1], "empty", 0, 0, 0, 0, np.nan, np.nan, np.nan, 0.2)
    columns = ["endpoint", "factor", "level", "n_control", "n_experimental", "events_control"]
    columns += [
        "events_experimental",
        effect,
        f"{effect}_low",
        f"{effect}_high",
        "p_interaction_lrt",
    ]
    return pd.DataFrame(rows, columns=columns)


def make_acquired(arms=ARMS, genes=10):
    names = [("pathway", "RB"), ("pathway", "PI3K")] + [("gene", f"G{i}") for i in range(genes)]
    rows = [
        (level, name, "plasma", arm, 30, 25, i % 3, 1, 2, 22 - i % 3, (i % 3) / 25, 0.0, 0.2, 0.25)
        for i, (level, name) in enumerate(names)
        for arm in arms.values()
    ]
    columns = ["level", "name", "specimen", "arm", "pairs", "evaluable", "gained", "lost", "kept"]
    columns += ["absent", "rate_gained", "rate_gained_low", "rate_gained_high", "p_mcnemar_exact"]
    within = pd.DataFrame(rows, columns=columns)
    between = within[["level", "name", "specimen"]].drop_duplicates()
    between = between.assign(rate_difference=0.04, rate_difference_low=-0.1)
    between = between.assign(rate_difference_high=0.2, p_fisher=0.3, p_adjusted=0.4, q_value=0.6)
    return within, (between if len(arms) > 1 else None)


@functools.cache
def course_means(n, who, p, name="quantity {}"):
    """Return rows of longitudinal.tsv: one mean at baseline, one an arm later."""
    cohort, changes = followed(n, who, p, name)
    rows = [
        {
            "biomarker": biomarker,
            "specimen": specimen,
            "quantity": "mean",
            "timepoint": visit,
            "arm": arm,
            "n": 20.0,
            "estimate": 0.4 - 0.1 * step,
            "estimate_low": 0.2 - 0.1 * step,
            "estimate_high": 0.6 - 0.1 * step,
        }
        for biomarker, specimen in changes[["biomarker", "specimen"]].drop_duplicates().to_numpy()
        for step, visit in enumerate(VISITS)
        for arm in (["all"] if visit == "baseline" else cohort.arms.values())
    ]
    return pd.DataFrame(rows)


@functools.cache
def changed(n, who, p):
    """Return a cohort with ratios to baseline and clearance, and dynamics.tsv."""
    cohort = with_changes(some(n, who), p)
    cohort.study["endpoints"] = {"PFS": {"type": "time_to_event"}}
    return cohort, dynamics(cohort, ["C1D15"], {"C1D15": 19.0})


@functools.cache
def compared(n, genes):
    """Return concordance.tsv and concordance_by_class.tsv."""
    cohort = with_tissue(some(n, "two"), genes)
    return tissue_against_plasma(cohort, "baseline"), concordance_by_class(cohort, "baseline")


@functools.cache
def measured(n, p):
    """Return a cohort with quantities of one pathway in tissue and plasma, and how they agree."""
    cohort = with_pathway(some(n, "two"), p)
    return cohort, concordance_continuous(cohort, "baseline")


def make_pairs(arms, specimens=2):
    """Return pairs.tsv."""
    rows = []
    for i in range(specimens):
        for arm in arms.values():
            left = 60
            rows.append((f"specimen_{i}", arm, "subjects", "", left))
            for step, reasons in {
                "baseline sample": {"no baseline sample": 6},
                "progression sample": {
                    "no progression recorded, no progression sample": 12,
                    "progressed, no progression sample": 8,
                },
                "at progression": {f"stopped for reason {k}, not progression": 1 for k in range(9)},
                "evaluable": {} if i else {"no gene readable in both samples": 5},
            }.items():
                for reason, count in reasons.items():
                    rows.append((f"specimen_{i}", arm, step, reason, count))
                    left -= count
                rows.append((f"specimen_{i}", arm, step, "", left))
    return pd.DataFrame(rows, columns=list(pairs_flow.COLUMNS))


@functools.cache
def known(n, who, genes, p=4):
    """Return a cohort and every table of resistance that the dossier reads."""
    cohort = with_everything(some(n, who), genes, p)
    times = ("baseline", "progression")
    tables = {
        "acquired": gained(cohort, *times),
        "acquired_by_arm": acquired_by_arm(cohort, *times),
        "acquired_by_timing": acquired_by_timing(cohort, *times, 3),
        "alterations": alteration_changes(cohort, *times),
        "concordance": tissue_against_plasma(cohort, "baseline"),
        "lead_time": lead_time(cohort, "baseline"),
        "calls_set_aside": calls_by_use(cohort, *times),
    }
    numbers = {
        "acquired": tables["acquired"],
        "acquired_by_arm": tables["acquired_by_arm"],
        "paired_change": paired_change(cohort, *times, ["C1D15"]),
        "dynamics": dynamics(cohort, ["C1D15"], {"C1D15": 19.0}),
        "concordance": tables["concordance"],
    }
    tables["evidence"] = evidence_in_words(cohort, **numbers)
    lines = evidence_lines(cohort, **numbers, intrinsic=make_intrinsic(genes), longitudinal=None)
    return cohort, numbers, dossier.Tables(lines=lines, **tables)


def make_intrinsic(genes):
    """Return intrinsic.tsv; the first gene's interaction excludes 1, the second has no estimate."""
    rows = [
        {
            "biomarker": f"gene:{gene}",
            "specimen": specimen,
            "contrast": "positive v negative",
            "effect_measure": measure,
            "interaction_ratio": (3.0, np.nan, 0.8)[min(i, 2)],
            "interaction_ratio_low": (1.5, np.nan, 0.2)[min(i, 2)],
            "interaction_ratio_high": (6.0, np.nan, 3.2)[min(i, 2)],
            "n": 40,
            "p_interaction_lrt": 0.04,
            "q_value": 0.4,
        }
        for measure in ("hazard_ratio", "odds_ratio")
        for i, gene in enumerate(genes)
        for specimen in ("plasma", "archival_tissue")
    ]
    return pd.DataFrame(rows)


MANY = tuple(f"GENE{i}" for i in range(34))


@functools.cache
def followed(n, who, p, name="quantity {}"):
    """Return a cohort with continuous markers at four visits, and how they changed."""
    cohort = with_quantities(some(n, who), p, name=name)
    return cohort, paired_change(cohort, "baseline", "progression", ["C1D15", "C2D1"])


def make_pathways(arms, pathways, specimens):
    """Return acquired.tsv with that many pathways in that many specimens."""
    template = make_acquired(arms)[0].query("name == 'RB'")
    return pd.concat(
        template.assign(name=f"A pathway {i} with a long name", specimen=f"specimen_{j}")
        for j in range(specimens)
        for i in range(pathways)
    )


def make_scored(n, *, survival, spread=1.0, seed=9):
    """Return predictions, the locked model and its performance in samples with outcomes."""
    rng = np.random.default_rng(seed)
    score = rng.normal(0, spread, n)
    predicted = 1 / (1 + np.exp(-score))
    time = rng.exponential(10, n) if survival else np.full(n, np.nan)
    predictions = pd.DataFrame(
        {
            "predicted": predicted,
            "outcome": (rng.random(n) < predicted).astype(float),
            "time_months": time,
        }
    )
    model = {
        "endpoint": "PFS" if survival else "ORR",
        "type": "time_to_event" if survival else "response",
        "digest": "sha256:0123456789abcdef",
        "data_freeze": {"study": "a *first* study", "subjects": 132},
    } | ({"horizon_months": 6.0} if survival else {})
    metrics = ["c_index_ipcw", "brier"] if survival else ["auc", "brier", "calibration_intercept"]
    metrics += ["calibration_slope"]
    performance = pd.DataFrame(
        [(metric, 0.61, -0.52, 0.71) for metric in metrics],
        columns=["metric", "estimate", "low", "high"],
    )
    return predictions, model, performance if n else performance.iloc[:0]


JUDGED = [
    "clinical",
    "clinical + blood",
    "clinical + biomarkers",
    "a *forest* of all that there is",
]


def make_curves_of_decisions(models, *, survival):
    threshold = np.arange(1, 100) / 100
    everybody = 0.4 - 0.6 * threshold / (1 - threshold)
    return pd.concat(
        pd.DataFrame(
            {
                "endpoint": "PFS",
                "model": model,
                "horizon_months": 6.0 if survival else np.nan,
                "threshold": threshold,
                "net_benefit": np.where(threshold < 0.7, np.maximum(everybody, 0.01 * k), 0),
                "net_benefit_all": everybody,
                "net_benefit_none": 0.0,
            }
        )
        for k, model in enumerate(models)
    )


def make_performance(models, *, survival):
    behind = "_at_5.5_months" if survival else ""
    metrics = ["c_index_ipcw", f"auc{behind}"] if survival else ["auc"]
    rows = [
        ("PFS", model, metric, 0.5 + 0.03 * k, 0.41, 0.5 + 0.1 * k, 132, 98)
        for k, model in enumerate(models)
        for metric in [*metrics, f"brier{behind}", f"calibration_slope{behind}"]
    ] + [
        ("PFS", model, f"{metric}_gain", -0.0004, -0.003, 0.00214, 132, 98)
        for model in models[1:]
        for metric in metrics
    ]
    rows.append(("PFS", models[0], f"calibration_intercept{behind}", *[np.nan] * 3, 132, 98))
    columns = ["endpoint", "model", "metric", "estimate", "low", "high", "n", "events"]
    return pd.DataFrame(rows, columns=columns)


def make_benefit(groups, *, survival, seed=4):
    rng = np.random.default_rng(seed)
    predicted = np.sort(rng.normal(0.05, 0.1, groups))
    observed = predicted + rng.normal(0, 0.1, groups)
    by_quantile = pd.DataFrame(
        {
            "endpoint": "PFS",
            "group": np.arange(1, groups + 1),
            "groups": groups,
            "predicted": predicted,
            "effect_measure": "survival_difference" if survival else "rate_difference",
            "observed": observed,
            "low": observed - 0.3,
            "high": observed + 0.3,
            **dict.fromkeys(("n_control", "n_experimental"), 17),
            **dict.fromkeys(("events_control", "events_experimental"), 9),
            "horizon_months": 5.5 if survival else np.nan,
            "note": None,
        }
    )
    if groups > 2:
        by_quantile.loc[1, ["observed", "low", "high"]] = np.nan
        by_quantile.loc[1, "note"] = "an arm of this group is not followed to 5.5 months"
    metrics = [
        ("c_for_benefit", 0.53, 0.31, 0.75, np.nan, 0),
        ("score_z", 2.4, np.nan, np.nan, 0.004, 999),
    ]
    columns = ["metric", "estimate", "low", "high", "p_randomisation", "randomisations"]
    return by_quantile, pd.DataFrame(metrics, columns=columns).assign(endpoint="PFS")


def near_benefit(groups):
    """Groups whose predicted benefit hardly differs."""
    by_quantile, metrics = make_benefit(groups, survival=True)
    return by_quantile.assign(predicted=0.15 + 0.002 * np.arange(groups)), metrics


def make_stability(p, name="serum:marker {}"):
    return pd.DataFrame(
        {
            "endpoint": "PFS",
            "model": "clinical + biomarkers",
            "predictor": ["clinical:age", "missing:serum:TK1"][:p]
            + [name.format(i) for i in range(max(p - 2, 0))],
            "selected": np.linspace(1, 0.02, p),
            "positive": [1.0, 0.0, 0.7][:p] + [0.5] * max(p - 3, 0),
            "coefficient": 0.2,
            "fits": 100,
        }
    )


def make_locked(p, *, survival, name="marker {}"):
    """Return the content of a locked model with inputs of every kind."""
    term = {"if_missing": 1.0, "centre": 0.5, "scale": 0.5}
    said = {"table": "measurements", "specimen": "serum", "rule": "value", "transform": "none"}
    inputs = [
        {"name": "clinical:site", "table": "subjects", "column": "site", "kind": "words"}
        | {"words": ["Köln", "a *place* with a long name", "C"]}
        | {"terms": [{"is": "word", "word": "C", "coefficient": 0.3, **term}]},
        said
        | {"name": "plasma:gene:RB1", "biomarker": "gene:RB1", "kind": "binary"}
        | {"terms": [{"is": "value", "coefficient": 0.02, **term}]},
    ]
    inputs += [
        said
        | {"name": f"serum:{i}", "biomarker": "x", "label": name.format(i), "kind": "continuous"}
        | {"unit": "ng/mL", "range": [0.2, 3000.0], "transform": "log2" if i % 2 else "none"}
        | {
            "terms": [
                {"is": "value", "coefficient": 0.2 / (i + 1) / (300 if i % 2 == 0 else 1), **term},
                {"is": "missing", "coefficient": 0.1, **term},
            ][: 1 + i % 2]
        }
        for i in range(p)
    ]
    whole = {
        "endpoint": "PFS" if survival else "ORR",
        "type": "time_to_event" if survival else "response",
        "intended_use": ["For research.", "Warning: the study is too small to trust this model."],
        "inputs": inputs,
        "data_freeze": {"study": "first", "subjects": 132, "events": 98},
    }
    if not survival:
        return whole | {"intercept": -3.0}
    baseline = {"time_months": [1.0, 5.0], "survival": [0.9, 0.6]}
    return whole | {"baseline": baseline, "horizon_months": 6.0}


def make_rates(arms=ARMS):
    rows = [(e, arm, 30, 12, 0.4, 0.23, 0.59) for e in ("ORR", "CBR") for arm in arms.values()]
    return pd.DataFrame(rows, columns=list(response_rates.COLUMNS))


CONTRAST = pd.DataFrame(
    {
        "endpoint": ["PFS"],
        "n": [46],
        "events": [33],
        "hr": [0.71],
        "hr_low": [0.48],
        "hr_high": [1.05],
        "p_logrank": [0.087],
        "p_logrank_stratified": [0.09],
    }
)
RATES = pd.DataFrame(
    {
        "endpoint": ["ORR"],
        **{c: [0.1] for c in ("difference", "difference_low", "difference_high")},
        **{c: [2.1] for c in ("odds_ratio", "odds_ratio_low", "odds_ratio_high")},
        "p_fisher": [0.04],
        "p_cmh": [0.05],
    }
)
some = functools.lru_cache(maxsize=None)(
    lambda n, who: make_cohort(n, arms={"two": ARMS, "odd": ODD, "one": ALONE}[who], course=True)
)

#: name -> a function of simulated that draws.
CASES = {
    "km": lambda s: km.draw(some(46, "two"), "PFS", contrast=CONTRAST, simulated=s),
    "km, large": lambda s: km.draw(make_cohort(600, hazard=0.005), "PFS", simulated=s),
    "km, odd names": lambda s: km.draw(some(46, "odd"), "OS", contrast=CONTRAST, simulated=s),
    "km, one arm": lambda s: km.draw(some(46, "one"), "PFS", simulated=s),
    "subgroups": lambda s: forest_subgroups.draw(make_subgroups(), "PFS", arms=ARMS, simulated=s),
    "subgroups, many": lambda s: forest_subgroups.draw(
        make_subgroups(levels=80, effect="odds_ratio"), "PFS", arms=ODD, simulated=s
    ),
    "predictive": lambda s: forest_predictive.draw(make_screen(3), "PFS", arms=ARMS, simulated=s),
    "predictive, many": lambda s: forest_predictive.draw(
        make_screen(60, name=LONG, measure="odds_ratio"), "ORR", arms=ODD, top=40, simulated=s
    ),
    "predictive, no randomisation p": lambda s: forest_predictive.draw(
        make_screen(25, randomised=False), "PFS", arms=ARMS, simulated=s
    ),
    "prognostic": lambda s: forest_prognostic.draw(make_screen(12), "PFS", simulated=s),
    "prognostic, odd names": lambda s: forest_prognostic.draw(
        make_screen(40, name=LONG), "PFS", simulated=s
    ),
    "volcano": lambda s: volcano.draw(make_screen(40), "PFS", simulated=s),
    "volcano, three": lambda s: volcano.draw(make_screen(3, name=LONG), "PFS", simulated=s),
    "continuous": lambda s: continuous.draw(
        make_curves(3), "PFS", arms=ARMS, values=make_rugs(3), tested=9, simulated=s
    ),
    "continuous, many": lambda s: continuous.draw(
        make_curves(8, name=LONG, measure="odds_ratio"), "ORR", arms=ODD, simulated=s
    ),
    "plane": lambda s: prognostic_predictive.draw(make_screen(40), "PFS", simulated=s),
    "plane, large": lambda s: prognostic_predictive.draw(
        make_screen(2500, name=LONG), "PFS", simulated=s
    ),
    "correlation": lambda s: marker_correlation.draw(*make_values(6), simulated=s),
    "correlation, many": lambda s: marker_correlation.draw(
        *make_values(40, name=LONG), confirmatory=np.arange(40) < 3, simulated=s
    ),
    "km by marker": lambda s: marker_km.draw(
        some(46, "two"), "PFS", make_splits(some(46, "two"), 3), simulated=s
    ),
    "km by marker, many": lambda s: marker_km.draw(
        some(600, "odd"), "OS", make_splits(some(600, "odd"), 14, name=LONG), simulated=s
    ),
    "acquired": lambda s: acquired.draw(*make_acquired(), arms=ARMS, simulated=s),
    "acquired, many": lambda s: acquired.draw(*make_acquired(ODD, 60), arms=ODD, simulated=s),
    "acquired, one arm": lambda s: acquired.draw(*make_acquired(ALONE), arms=ALONE, simulated=s),
    "alluvial": lambda s: alluvial.draw(make_acquired()[0], arms=ARMS, simulated=s),
    "alluvial, genes": lambda s: alluvial.draw(
        make_acquired(ODD, 60)[0].query("level == 'gene'"), arms=ODD, simulated=s
    ),
    "alluvial, many": lambda s: alluvial.draw(make_pathways(ODD, 14, 5), arms=ODD, simulated=s),
    "alluvial, one arm": lambda s: alluvial.draw(
        make_pathways(ALONE, 5, 3), arms=ALONE, simulated=s
    ),
    "slopes": lambda s: slopes.draw(*followed(46, "two", 4), simulated=s),
    "slopes, many": lambda s: slopes.draw(*followed(600, "odd", 20, LONG), simulated=s),
    "slopes, one arm": lambda s: slopes.draw(*followed(46, "one", 3), simulated=s),
    "spaghetti": lambda s: spaghetti.draw(
        followed(46, "two", 4)[0], course_means(46, "two", 4), drug="palbociclib", simulated=s
    ),
    "spaghetti, many": lambda s: spaghetti.draw(
        followed(600, "odd", 20, LONG)[0],
        course_means(600, "odd", 20, LONG),
        drug="+ Palbociclib $x_1$ with a long name",
        simulated=s,
    ),
    "spaghetti, one arm, no model": lambda s: spaghetti.draw(
        followed(46, "one", 5)[0], drug="palbociclib", simulated=s
    ),
    "landmark": lambda s: km_landmark.draw(
        changed(120, "two", 2)[0], "PFS", changed(120, "two", 2)[1], simulated=s
    ),
    "landmark, many": lambda s: km_landmark.draw(
        changed(600, "odd", 9)[0], "PFS", changed(600, "odd", 9)[1], simulated=s
    ),
    "landmark, one arm": lambda s: km_landmark.draw(
        changed(60, "one", 3)[0], "PFS", changed(60, "one", 3)[1], simulated=s
    ),
    "concordance": lambda s: concordance.draw(*compared(46, tuple(GENES)), simulated=s),
    "concordance, many": lambda s: concordance.draw(
        *compared(300, tuple(f"GENE{i}" for i in range(60))), simulated=s
    ),
    "agreement": lambda s: agreement.draw(*measured(46, 1), simulated=s),
    "agreement, many": lambda s: agreement.draw(*measured(600, 6), simulated=s),
    "pairs": lambda s: pairs_flow.draw(make_pairs(ARMS), arms=ARMS, simulated=s),
    "pairs, many": lambda s: pairs_flow.draw(make_pairs(ODD, 7), arms=ODD, simulated=s),
    "pairs, one arm": lambda s: pairs_flow.draw(
        pair_flow(with_genes(some(46, "one"), GENES), "baseline", "progression"),
        arms=ALONE,
        simulated=s,
    ),
    "evidence": lambda s: evidence.draw(
        known(46, "two", tuple(GENES))[2].lines, arms=ARMS, drug="palbociclib", simulated=s
    ),
    "evidence, many": lambda s: evidence.draw(
        known(90, "odd", MANY)[2].lines, arms=ODD, drug="palbociclib", simulated=s
    ),
    "evidence, one arm": lambda s: evidence.draw(
        known(46, "one", tuple(GENES))[2].lines, arms=ALONE, simulated=s
    ),
    "dossier": lambda s: dossier.draw(
        known(46, "two", tuple(GENES))[2],
        arms=ARMS,
        drug="palbociclib",
        early_months=3,
        simulated=s,
    ),
    "dossier, many": lambda s: dossier.draw(
        known(90, "odd", MANY)[2], arms=ODD, drug="palbociclib", early_months=3, simulated=s
    ),
    "dossier, one arm": lambda s: dossier.draw(
        known(46, "one", tuple(GENES))[2], arms=ALONE, simulated=s
    ),
    "rates": lambda s: response_rates.draw(make_rates(), RATES, arms=ARMS, simulated=s),
    "rates, odd names": lambda s: response_rates.draw(
        make_rates(ODD), RATES, arms=ODD, simulated=s
    ),
    "rates, one arm": lambda s: response_rates.draw(make_rates(ALONE), arms=ALONE, simulated=s),
    "roc": lambda s: roc.draw(make_predictions(), "ORR", simulated=s),
    "roc, odd names": lambda s: roc.draw(make_predictions(models=[LONG]), "ORR", simulated=s),
    "calibration": lambda s: calibration.draw(make_predictions(), "ORR", simulated=s),
    "calibration, odd names": lambda s: calibration.draw(
        make_predictions(46, models=[LONG, "a", "b", "c"]), "ORR", simulated=s
    ),
    "roc, risks": lambda s: roc.draw(
        make_risks(models=JUDGED, months=5.5),
        "PFS",
        performance=make_performance(JUDGED, survival=True),
        simulated=s,
    ),
    "calibration, risks": lambda s: calibration.draw(
        make_risks(models=JUDGED, months=5.5),
        "PFS",
        performance=make_performance(JUDGED, survival=True),
        simulated=s,
    ),
    "calibration, risks, odd names": lambda s: calibration.draw(
        make_risks(46, models=[LONG], months=18.25), "PFS", simulated=s
    ),
    "external calibration": lambda s: external_calibration.draw(
        *make_scored(60, survival=True), simulated=s
    ),
    "external calibration, response": lambda s: external_calibration.draw(
        *make_scored(46, survival=False), simulated=s
    ),
    "external calibration, alike": lambda s: external_calibration.draw(
        *make_scored(20, survival=True, spread=0.01), simulated=s
    ),
    "decision curve": lambda s: decision_curve.draw(
        make_curves_of_decisions(JUDGED, survival=True),
        "PFS",
        performance=make_performance(JUDGED, survival=True),
        simulated=s,
    ),
    "decision curve, odd names": lambda s: decision_curve.draw(
        make_curves_of_decisions([LONG], survival=False), "PFS", simulated=s
    ),
    "performance": lambda s: performance_models.draw(
        make_performance(JUDGED, survival=True), "PFS", simulated=s
    ),
    "performance, odd names": lambda s: performance_models.draw(
        make_performance(["clinical", LONG], survival=False), "PFS", simulated=s
    ),
    "benefit": lambda s: benefit.draw(*make_benefit(4, survival=True), "PFS", simulated=s),
    "benefit, response": lambda s: benefit.draw(
        *make_benefit(4, survival=False), "PFS", simulated=s
    ),
    "benefit, groups as near as can be": lambda s: benefit.draw(
        *near_benefit(4), "PFS", simulated=s
    ),
    "benefit, one group": lambda s: benefit.draw(
        *make_benefit(1, survival=True), "PFS", simulated=s
    ),
    "stability": lambda s: stability.draw(
        make_stability(12), "PFS", "clinical + biomarkers", survival=True, simulated=s
    ),
    "stability, many": lambda s: stability.draw(
        make_stability(400, LONG), "PFS", "clinical + biomarkers", survival=True, simulated=s
    ),
    "stability, one": lambda s: stability.draw(
        make_stability(1), "PFS", "clinical + biomarkers", survival=True, simulated=s
    ),
    "nomogram": lambda s: nomogram.draw(make_locked(6, survival=True), simulated=s),
    "nomogram, many": lambda s: nomogram.draw(
        make_locked(60, survival=False, name=LONG), simulated=s
    ),
    "nomogram, few": lambda s: nomogram.draw(make_locked(0, survival=False), simulated=s),
    "nomogram, one input": lambda s: nomogram.draw(
        {**make_locked(1, survival=True), "inputs": make_locked(1, survival=True)["inputs"][:1]},
        simulated=s,
    ),
    "waterfall": lambda s: waterfall.draw(some(46, "two"), simulated=s),
    "waterfall, large": lambda s: waterfall.draw(some(600, "odd"), simulated=s),
    "waterfall, one arm": lambda s: waterfall.draw(some(46, "one"), simulated=s),
    "swimmer": lambda s: swimmer.draw(some(46, "two"), simulated=s),
    "swimmer, large": lambda s: swimmer.draw(some(600, "odd"), simulated=s),
    "swimmer, one arm": lambda s: swimmer.draw(some(46, "one"), simulated=s),
    "oncoprint": lambda s: oncoprint.draw(with_genes(some(46, "two"), GENES), simulated=s),
    "oncoprint, large": lambda s: oncoprint.draw(
        with_genes(some(600, "odd"), [f"G{i}" for i in range(40)]), simulated=s
    ),
    "oncoprint, one arm": lambda s: oncoprint.draw(with_genes(some(46, "one"), GENES), simulated=s),
    "flow": lambda s: flow.draw(make_flow(), arms=ARMS, simulated=s),
    "flow, odd names": lambda s: flow.draw(make_flow(ODD, 14), arms=ODD, simulated=s),
    "flow, one arm": lambda s: flow.draw(make_flow(ALONE), arms=ALONE, simulated=s),
    "inventory": lambda s: inventory.draw(make_inventory(), arms=ARMS, simulated=s),
    "inventory, many": lambda s: inventory.draw(make_inventory(ODD, 40), arms=ODD, simulated=s),
    "inventory, one arm": lambda s: inventory.draw(make_inventory(ALONE), arms=ALONE, simulated=s),
}


@pytest.mark.parametrize("name", CASES)
def test_a_reviewer_would_find_nothing(name):
    """No text is cut off, over other text or too small; the figure fits a journal's page."""
    drawn = CASES[name](True)
    assert defects(drawn.figure) == []
    width, height = drawn.figure.get_size_inches()
    assert min(abs(width - SINGLE), abs(width - DOUBLE)) < 1e-9
    assert height <= TALLEST + 0.2
    shown = " ".join(text.get_text() for text, _ in texts_drawn(drawn.figure))
    assert STAMP in shown
    assert drawn.caption.startswith("**Simulated data.**\n\n**")
    assert "does not" in drawn.caption
    assert len(drawn.source)
    assert "SUBJ-" not in drawn.source.to_csv() + drawn.caption
    assert "SUBJ-" not in shown
    assert not re.search(r"\bnan\b|\bNone\b|<NA>", drawn.caption + shown)
    assert not re.search(r"\{\w+\}", drawn.caption + shown)  # a name in a text that was no f-string


@pytest.mark.parametrize("name", [name for name in CASES if "," not in name])
def test_real_data_are_not_called_simulated(name):
    drawn = CASES[name](False)
    shown = " ".join(text.get_text() for text, _ in texts_drawn(drawn.figure))
    assert "imulated" not in drawn.caption + shown


@pytest.mark.parametrize("name", ["prognostic", "km, one arm", "oncoprint, one arm"])
def test_a_single_arm_study_never_hears_of_prediction(name, tmp_path):
    drawn = CASES[name](True)
    shown = " ".join(text.get_text() for text, _ in texts_drawn(drawn.figure))
    assert "predict" not in (drawn.caption + shown).lower()


EMPTY_COHORT = make_cohort(4)
EMPTY_COHORT.subjects[
    ["PFS_months", "PFS_event", "OS_months", "best_change_pct", "progression_months"]
] = np.nan
EMPTIES = {
    "km": lambda: km.draw(EMPTY_COHORT, "PFS"),
    "subgroups": lambda: forest_subgroups.draw(make_subgroups().iloc[:0], "PFS", arms=ARMS),
    "predictive": lambda: forest_predictive.draw(make_screen(0), "PFS", arms=ARMS),
    "prognostic": lambda: forest_prognostic.draw(make_screen(0), "PFS"),
    "volcano": lambda: volcano.draw(make_screen(0), "PFS"),
    "continuous": lambda: continuous.draw(make_curves(0), "PFS", arms=ARMS),
    "plane": lambda: prognostic_predictive.draw(make_screen(0), "PFS"),
    "correlation": lambda: marker_correlation.draw(*make_values(1)),
    "km by marker": lambda: marker_km.draw(EMPTY_COHORT, "PFS", make_splits(EMPTY_COHORT, 1)),
    "acquired": lambda: acquired.draw(make_acquired()[0].iloc[:0], None, arms=ARMS),
    "alluvial": lambda: alluvial.draw(make_acquired()[0].iloc[:0], arms=ARMS),
    "slopes": lambda: slopes.draw(EMPTY_COHORT, followed(46, "two", 4)[1].iloc[:0]),
    "spaghetti": lambda: spaghetti.draw(EMPTY_COHORT, None, drug="palbociclib"),
    "landmark": lambda: km_landmark.draw(EMPTY_COHORT, "PFS", changed(120, "two", 2)[1].iloc[:0]),
    "concordance": lambda: concordance.draw(compared(46, tuple(GENES))[0].iloc[:0]),
    "agreement": lambda: agreement.draw(EMPTY_COHORT, measured(46, 1)[1].iloc[:0]),
    "pairs": lambda: pairs_flow.draw(make_pairs(ARMS).iloc[:0], arms=ARMS),
    "evidence": lambda: evidence.draw(known(46, "two", tuple(GENES))[2].lines.iloc[:0], arms=ARMS),
    "dossier": lambda: dossier.draw(
        dossier.Tables(
            **{
                name: table.iloc[:0]
                for name, table in vars(known(46, "two", tuple(GENES))[2]).items()
            }
        ),
        arms=ARMS,
    ),
    "rates": lambda: response_rates.draw(make_rates().iloc[:0], arms=ARMS),
    "roc": lambda: roc.draw(make_predictions().iloc[:0], "ORR"),
    "calibration": lambda: calibration.draw(make_predictions().iloc[:0], "ORR"),
    "roc, risks": lambda: roc.draw(make_risks(months=0.0), "PFS"),
    "calibration, risks": lambda: calibration.draw(make_risks().iloc[:0], "PFS"),
    "external calibration": lambda: external_calibration.draw(
        *make_scored(0, survival=True), notes=["PFS: no outcomes are known."]
    ),
    "decision curve": lambda: decision_curve.draw(
        make_curves_of_decisions(JUDGED, survival=True).iloc[:0], "PFS"
    ),
    "performance": lambda: performance_models.draw(
        make_performance(JUDGED, survival=True).iloc[:0], "PFS"
    ),
    "benefit": lambda: benefit.draw(
        *(table.iloc[:0] for table in make_benefit(1, survival=True)), "PFS"
    ),
    "stability": lambda: stability.draw(make_stability(3), "PFS", "clinical", survival=True),
    "nomogram": lambda: nomogram.draw({"endpoint": "PFS", "refused": "PFS: 3 events are few."}),
    "nomogram, no input": lambda: nomogram.draw({**make_locked(0, survival=True), "inputs": []}),
    "waterfall": lambda: waterfall.draw(EMPTY_COHORT),
    "swimmer": lambda: swimmer.draw(EMPTY_COHORT),
    "oncoprint": lambda: oncoprint.draw(EMPTY_COHORT),
    "flow": lambda: flow.draw(make_flow().iloc[:0], arms=ARMS),
    "inventory": lambda: inventory.draw(make_inventory().iloc[:0], arms=ARMS),
}


@pytest.mark.parametrize("name", EMPTIES)
def test_nothing_to_draw_is_a_panel_that_says_why(name):
    drawn = EMPTIES[name]()
    assert len(drawn.source) == 0
    assert len(drawn.source.columns) > 1
    assert "No data: " in drawn.caption
    texts = [text.get_text() for text, _ in texts_drawn(drawn.figure)]
    assert any(text.startswith("No data: ") for text in texts)
    assert defects(drawn.figure) == []


@pytest.mark.parametrize("name", ["dossier", "dossier, many", "dossier, one arm"])
def test_a_reviewer_finds_nothing_on_any_page_of_the_dossier(name):
    drawn = CASES[name](True)
    assert len(drawn.pages) > 3
    # A page of every kind is enough: the text of all of them takes minutes to measure.
    for page in drawn.pages[:: max(1, len(drawn.pages) // 6)]:
        assert defects(page) == []
        shown = " ".join(text.get_text() for text, _ in texts_drawn(page))
        assert STAMP in shown
        assert "SUBJ-" not in shown
        assert not re.search(r"\bnan\b|\bNone\b|<NA>", shown)


@pytest.mark.parametrize("name", ["km, odd names", "oncoprint", "dossier"])
def test_files_are_the_same_every_time(name, tmp_path):
    first = CASES[name](True).write(tmp_path / "a")
    again = CASES[name](True).write(tmp_path / "b")
    for a, b in zip(first, again, strict=True):
        assert a.read_bytes() == b.read_bytes(), a.suffix
