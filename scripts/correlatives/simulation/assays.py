"""Measurements of the simulated trial: proteins and cells in blood, scores and expression in tissue."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pandas as pd

from correlatives.simulation.genes import CYTOKINES, SIGNATURES, expression_genes
from correlatives.simulation.panels import Progressed
from correlatives.simulation.patients import People, lesion, stream
from correlatives.simulation.rates import rate

TK1_LIMIT, TK1_CUT, ECD_CUT, CTC_CUT = 20.0, 200.0, 15.0, 5
#: Words that the laboratories write instead of a value.
NO_RESULT = ("QNS", "Not done", "Test failure")


def _of(runs: pd.DataFrame, samples: pd.DataFrame, assay: str) -> pd.DataFrame:
    """Return the runs of an assay that passed, with ``who`` and the true ``visit``."""
    of = runs[(runs["assay"] == assay) & (runs["qc"] == "pass")].reset_index(drop=True)
    visit = samples["visit"].to_numpy()[of["row"]]
    return of.assign(visit=visit, specimen=samples["specimen"].to_numpy()[of["row"]])


def _long(
    run_id: np.ndarray, biomarker: np.ndarray | str, value: np.ndarray, unit: str | None
) -> pd.DataFrame:
    return pd.DataFrame({"run_id": run_id, "biomarker": biomarker, "value": value, "unit": unit})


def _by_run(tables: list[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True).sort_values(keys, kind="stable", ignore_index=True)


def _upper(share: float) -> float:
    """Return the standard normal value that `share` exceed."""
    return NormalDist().inv_cdf(1 - share)


def make_blood(
    seed: int, people: People, samples: pd.DataFrame, runs: pd.DataFrame, size: dict[str, float]
) -> pd.DataFrame:
    """Return thymidine kinase activity (Du/L), HER2 ectodomain (ng/mL) and tumour cells (per 7.5 mL)."""
    rng = stream(seed, "blood")

    def spoiled(values: np.ndarray) -> np.ndarray:
        at = rng.random(len(values)) < rate("result_missing")
        return np.where(at, rng.choice(NO_RESULT, len(values)), values).astype(object)

    of = _of(runs, samples, "tk1_activity")
    who, visit = of["who"].to_numpy(), of["visit"].to_numpy()
    on_drug = (visit == "C1D15") & (people.arm[who] == 1)
    centre = np.log(TK1_CUT) - rate("tk1_sd_ln") * _upper(rate("tk1_over_200"))
    change = pd.Series(visit).map({"C1D5": -0.15, "C1D15": -0.25, "C2D1": -0.1, "progression": 0.3})
    tk1 = np.exp(
        centre
        + rate("tk1_sd_ln") * people.tk1[who]
        + change.fillna(0).to_numpy()
        + size["tk1_on_palbociclib"] * on_drug
        + np.where(visit == "baseline", 0.0, 0.35) * rng.standard_normal(len(of))
    )
    twice = rng.random(len(of)) < 0.15
    replicates = []
    for number, chosen in ((1, np.ones(len(of), dtype=bool)), (2, twice)):
        read = tk1 * np.exp(0.06 * rng.standard_normal(len(of)))
        text = np.where(
            read < TK1_LIMIT, f"<{TK1_LIMIT:.0f}", np.round(read).astype(int).astype(str)
        )
        table = _long(of["run_id"].to_numpy(), "TK1", spoiled(text), "Du/L")
        replicates.append(table.assign(replicate=number)[chosen])
    tables = [*replicates]

    of = _of(runs, samples, "her2_ecd")
    who, visit = of["who"].to_numpy(), of["visit"].to_numpy()
    change = pd.Series(visit).map(
        {"C1D5": -0.05, "C1D15": -0.25, "C2D1": -0.35, "progression": 0.1}
    )
    ecd = np.exp(
        np.log(ECD_CUT)
        + rate("ecd_sd_ln") * (people.ecd[who] - _upper(rate("ecd_over_15")))
        + change.fillna(0).to_numpy()
        + np.where(visit == "baseline", 0.05, 0.2) * rng.standard_normal(len(of))
    )
    text = np.where(ecd < 2.5, "<2.5", np.round(ecd, 1).astype(str))
    tables.append(_long(of["run_id"].to_numpy(), "HER2_ECD", spoiled(text), "ng/mL"))

    of = _of(runs, samples, "ctc")
    who, visit = of["who"].to_numpy(), of["visit"].to_numpy()
    change = pd.Series(visit).map({"C2D1": -1.0, "progression": 0.2}).fillna(0).to_numpy()
    mean = np.exp(
        np.log(CTC_CUT)
        + rate("ctc_sd_ln") * (people.ctc[who] - _upper(rate("ctc_5_or_more")))
        + change
    )
    count = rng.poisson(np.minimum(mean, 2000)).astype(str)
    tables.append(_long(of["run_id"].to_numpy(), "CTC", spoiled(count), "per 7.5 mL"))
    return _by_run(tables, ["run_id", "biomarker", "replicate"]).astype({"replicate": "Int64"})


def make_cytokines(
    seed: int, people: People, samples: pd.DataFrame, runs: pd.DataFrame
) -> pd.DataFrame:
    """Return twenty cytokines (pg/mL) with limits, a batch effect, and results that were repeated."""
    rng = stream(seed, "cytokines")
    of = _of(runs, samples, "cytokine_multiplex")
    who = of["who"].to_numpy()
    n, p = len(people), len(CYTOKINES)
    median, spread, limit = (
        np.array([getattr(item, name) for item in CYTOKINES])
        for name in ("median", "sd_ln", "lloq")
    )
    inflamed = rng.standard_normal(n)
    own = 0.45 * inflamed[:, None] + np.sqrt(1 - 0.45**2) * rng.standard_normal((n, p))
    # A batch shifts every subject's value of a cytokine by up to half of its own spread.
    shift = 0.3 * rng.standard_normal((8, p))[of["batch_number"].to_numpy()]
    noise = 0.35 * rng.standard_normal((len(of), p))
    value = median * np.exp(spread * (own[who] + noise + shift))
    digits = np.where(median >= 100, 0, 2)
    words = np.empty(value.shape, dtype=object)
    for column in range(p):
        read = np.round(value[:, column], digits[column])
        text = read.astype(int) if digits[column] == 0 else read
        words[:, column] = np.where(
            value[:, column] < limit[column], f"<{limit[column]:g}", text.astype(str)
        )
    empty = rng.random(len(of)) < rate("result_missing")
    words[empty] = "QNS"
    names = np.array([item.name for item in CYTOKINES], dtype=object)
    first = _long(
        np.repeat(of["run_id"].to_numpy(), p), np.tile(names, len(of)), words.ravel(), "pg/mL"
    )
    first["result_version"] = 1
    again = first[rng.random(len(first)) < 0.005].assign(result_version=2)
    return _by_run([first, again], ["run_id", "biomarker", "result_version"])


def make_tissue(
    seed: int,
    people: People,
    progressed: Progressed,
    samples: pd.DataFrame,
    runs: pd.DataFrame,
) -> pd.DataFrame:
    """Return the pathologist's scores of archival tissue and biopsies at progression."""
    rng = stream(seed, "tissue")
    of = _of(runs, samples, "pathology")
    who = of["who"].to_numpy()
    m = len(of)
    late = (of["visit"] == "progression").to_numpy()
    primary = (samples["site_of_tissue"].to_numpy() == "primary")[of["row"]]
    amplified = np.where(late[:, None], progressed.genome[who], people.genome[who])[
        :, lesion("ERBB2", "amplification")
    ]
    mutated = people.genome[who]
    rb_lost = mutated[:, lesion("RB1", "snv")] | mutated[:, lesion("RB1", "indel")]
    rb_lost |= mutated[:, lesion("RB1", "deletion")] | (progressed.rb1[who] & late)
    pten_hit = mutated[:, [lesion("PTEN", kind) for kind in ("snv", "indel", "deletion")]].any(
        axis=1
    )
    others = (rate("pten_ihc_loss") - 0.12) / (1 - 0.12)
    pten_lost = (pten_hit & (rng.random(m) < 0.9)) | (rng.random(len(people)) < others)[who]
    # Not amplified at baseline is positive by protein alone; without it at progression HER2 is lost.
    low = rng.choice(["0", "1+", "2+"], m, p=[0.15, 0.35, 0.5])
    gone = progressed.erbb2_lost[who] & late
    her2 = np.where(amplified & (rng.random(m) < 0.15), "2+", np.where(gone, low, "3+"))
    median = np.where(primary, rate("her2_ratio_primary"), rate("her2_ratio_metastasis"))
    spread = np.where(primary, 0.55, 0.32)
    ratio = np.where(
        amplified,
        median * np.exp(spread * (0.7 * people.erbb2[who] + 0.7 * rng.standard_normal(m))),
        rng.uniform(1.0, 1.8, m),
    )
    tils = 100 / (1 + np.exp(2.1 - 0.9 * people.immune[who] - 0.4 * rng.standard_normal(m)))
    ki67 = 100 / (1 + np.exp(0.75 - 0.6 * people.proliferation[who] - 0.4 * rng.standard_normal(m)))
    rb_score = np.where(rb_lost, rng.uniform(0, 25, m), 170 + 45 * rng.standard_normal(m))
    cyclin = 14 * np.exp(0.6 * people.ccne1[who] + 0.35 * rng.standard_normal(m))
    run = of["run_id"].to_numpy()

    def number(values: np.ndarray, digits: int, low: float, high: float) -> np.ndarray:
        kept = np.clip(np.round(values, digits), low, high)
        return (kept.astype(int) if digits == 0 else kept).astype(str).astype(object)

    tables = [
        _long(run, "HER2_IHC", her2.astype(object), None),
        _long(run, "HER2_FISH_ratio", number(ratio, 1, 0.8, 20), "ratio"),
        _long(run, "sTILs", number(np.round(tils / 5) * 5, 0, 0, 95), "%"),
        _long(run, "Ki67", number(ki67, 0, 1, 95), "%"),
        _long(run, "PTEN_IHC", np.where(pten_lost, "lost", "retained").astype(object), None),
        _long(run, "RB_IHC", number(np.round(rb_score / 5) * 5, 0, 0, 300), "H-score"),
        _long(run, "CCNE1_IHC", number(cyclin, 0, 0, 100), "%"),
    ]
    for table in tables:
        spoiled = rng.random(m) < rate("result_missing")
        table["value"] = table["value"].where(~spoiled, "Not done")
    return _by_run(tables, ["run_id", "biomarker"])


def make_expression(
    seed: int, people: People, samples: pd.DataFrame, runs: pd.DataFrame, genes: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return log2 expression, a row a run, and the signature scores and subtype read off it.

    A score is the mean, over the signature's genes, of expression standardised over the runs.

    Raises
    ------
    ValueError
        If `genes` leaves no room for the genes of the signatures.
    """
    names = expression_genes(genes)
    rng = stream(seed, "expression")
    of = _of(runs, samples, "rnaseq")
    who = of["who"].to_numpy()
    place = {gene: index for index, gene in enumerate(names)}
    luminal = (people.luminal - 0.28) / 0.45
    score = 0.85 * luminal + 0.5 * stream(seed, "luminal score").standard_normal(len(people))
    nuisance = stream(seed, "nuisance").standard_normal((3, len(people)))
    traits = np.vstack([people.proliferation, score, people.erbb2, people.immune, nuisance])

    weight = np.zeros((len(traits), genes))
    weight[:] = 0.15 * rng.standard_normal(weight.shape)
    for signature, (trait, sign) in {
        "E2F_targets": (0, 1),
        "RBsig": (0, 1),
        "G2M_checkpoint": (0, 1),
        "cyclin_E": (0, 0.4),
        "luminal": (1, 1),
        "basal": (1, -0.8),
        "HER2_amplicon": (2, 1),
        "T_effector": (3, 1),
    }.items():
        columns = [place[gene] for gene in SIGNATURES[signature] if gene in place]
        weight[:, columns] *= 0.5
        weight[trait, columns] = sign * rng.uniform(0.55, 0.8, len(columns))
    own = np.sqrt(np.maximum(1 - (weight**2).sum(axis=0), 0.1))
    z = traits.T @ weight + own * rng.standard_normal((len(people), genes))
    # These two carry planted effects: their expression is the trait itself.
    z[:, place["CCNE1"]] = people.ccne1
    z[:, place["ERBB2"]] = people.erbb2
    mean, spread = rng.uniform(1.5, 10.0, genes), rng.uniform(0.5, 1.3, genes)
    mean[place["ERBB2"]], spread[place["ERBB2"]] = 11.0, 1.2
    mean[place["CCNE1"]], spread[place["CCNE1"]] = 4.0, 1.0
    batch = 0.15 * rng.standard_normal((8, genes))[of["batch_number"].to_numpy()]
    technical = 0.25 * rng.standard_normal((len(of), genes))
    value = np.round(np.maximum(mean + spread * (z[who] + batch + technical), 0), 2)
    table = pd.DataFrame(value, columns=names)
    table.insert(0, "run_id", of["run_id"].to_numpy())

    deviation = value.std(axis=0, ddof=1)
    standard = (value - value.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    run = of["run_id"].to_numpy()
    scores = [
        _long(
            run,
            signature,
            np.round(
                standard[:, [place[gene] for gene in members if gene in place]].mean(axis=1), 3
            ).astype(str),
            "score",
        )
        for signature, members in SIGNATURES.items()
    ]
    wrong = rng.random(len(of)) < 0.04
    subtype = np.where(people.luminal[who] ^ wrong, "luminal", "non-luminal").astype(object)
    scores.append(_long(run, "PAM50_luminal", subtype, None))
    return table, _by_run(scores, ["run_id", "biomarker"])


def make_laboratory(seed: int, people: People) -> pd.DataFrame:
    """Return chemistry at baseline, one row a subject: ldh (U/L), albumin (g/L), crp (mg/L), nlr (ratio)."""
    rng = stream(seed, "laboratory")
    n = len(people)
    values = {
        "ldh": np.round(230 * np.exp(0.3 * people.ldh)),
        "albumin": np.round(np.clip(41 - 1.2 * people.ldh + 3 * rng.standard_normal(n), 24, 52)),
        "crp": np.round(4.5 * np.exp(1.0 * rng.standard_normal(n)), 1),
        "nlr": np.round(2.6 * np.exp(0.45 * rng.standard_normal(n)), 1),
    }
    table = pd.DataFrame({"subject_id": people.ids, **values})
    for name in values:
        table.loc[rng.random(n) < 2 * rate("laboratory_missing"), name] = np.nan
    return table
