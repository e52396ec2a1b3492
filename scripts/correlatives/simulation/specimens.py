"""Samples and assays of the simulated trial: what is drawn, lost, assayed, and what it shows."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pandas as pd

from correlatives.simulation.patients import (
    DAYS_A_MONTH,
    PALBOCICLIB_DAYS,
    Course,
    People,
    stream,
    study_day,
)
from correlatives.simulation.rates import rate

#: (visit, study day planned, specimens drawn)
VISITS = (
    ("baseline", -3, ("plasma", "serum", "blood")),
    ("C1D5", 5, ("plasma", "serum")),
    ("C1D15", 15, ("plasma", "serum")),
    ("C2D1", 22, ("plasma", "serum", "blood")),
)
#: Specimen -> assays done of it.
ASSAYS = {
    "plasma": ("ctdna_panel",),
    "serum": ("tk1_activity", "her2_ecd", "cytokine_multiplex"),
    "blood": ("ctc",),
    "archival_tissue": ("tissue_panel", "pathology", "rnaseq"),
    "biopsy": ("tissue_panel", "pathology", "rnaseq"),
}
#: Lowest tumour fraction that the laboratory reports; below it, it writes 0.
FRACTION_LIMIT = 0.003
#: Cytokines are measured at these visits only.
CYTOKINE_VISITS = ("baseline", "C2D1", "progression")
FAILURES = {
    "ctdna_panel": ("haemolysed", "too little DNA"),
    "tissue_panel": ("tumour content too low", "too little DNA"),
    "pathology": ("no tumour in section", "section detached"),
    "rnaseq": ("RNA degraded", "too few reads"),
}
SITES_BIOPSIED = {
    "liver": 0.27,
    "chest wall": 0.17,
    "node": 0.16,
    "brain": 0.10,
    "lung": 0.08,
    "bone": 0.06,
    "other": 0.16,
}

#: Study day of the first draw that is not a baseline draw.
AFTER_FIRST_DOSE = 2


def make_samples(seed: int, people: People, course: Course, cycles: pd.DataFrame) -> pd.DataFrame:
    """Return the samples received, with hidden columns for the assays.

    Returns
    -------
    pd.DataFrame
        The contract's columns, and ``index`` (place of the subject), ``visit`` (the true one: baseline,
        C1D5, C1D15, C2D1, progression, toxicity) and ``calendar`` (days since the first subject was
        randomised), which are not written.
    """
    rng = stream(seed, "samples")
    n = len(people)
    index = np.arange(n)
    on_study = study_day(
        np.minimum.reduce([course.off_treatment, course.contact]), people.first_dose
    )
    drawn = []
    for visit, planned, specimens in VISITS:
        day = planned + (rng.integers(-9, 4, n) if planned < 1 else rng.integers(-1, 2, n))
        astray = rng.random(n) < rate("outside_window")
        day = day + np.where(astray & (planned > 1), rng.integers(4, 8, n), 0)
        day = np.where((planned < 1) & (day >= 0), 1, day)
        there = (on_study >= day) & people.dosed if planned > 1 else np.ones(n, dtype=bool)
        for specimen in specimens:
            received = there & (rng.random(n) < rate("sample_received"))
            drawn.append(_drawn(index[received], specimen, visit, visit, day[received]))
        if visit == "baseline":
            twice = rng.random(n) < 0.05
            early = np.minimum(day[twice] - rng.integers(5, 15, twice.sum()), -10)
            drawn.append(_drawn(index[twice], "plasma", "screening", visit, early))

    progressed = np.isfinite(course.progression) & people.dosed
    seen = study_day(np.where(progressed, course.progression, 0), people.first_dose)
    seen = np.maximum(seen + rng.integers(-2, 12, n), AFTER_FIRST_DOSE)
    called_eot = np.where(rng.random(n) < rate("mislabelled_eot"), "EOT", "progression")
    toxic = course.off_reason == "toxicity"
    stopped = study_day(np.where(toxic, course.off_treatment, 0), people.first_dose)
    stopped = np.maximum(stopped + 3, AFTER_FIRST_DOSE)
    for specimen in ("plasma", "serum", "blood"):
        received = progressed & (rng.random(n) < rate("progression_received"))
        drawn.append(
            _drawn(index[received], specimen, called_eot[received], "progression", seen[received])
        )
        received = toxic & (rng.random(n) < 0.5)
        drawn.append(_drawn(index[received], specimen, "EOT", "toxicity", stopped[received]))

    archival = rng.random(n) < rate("archival_received")
    metastasis = archival & (rng.random(n) < 0.6)
    primary = archival & (~metastasis | (rng.random(n) < 0.2))
    for site, chosen in (("metastasis", metastasis), ("primary", primary)):
        blocks = _drawn(index[chosen], "archival_tissue", "screening", "baseline", -1)
        blocks["day"] = -rng.integers(2, 25, len(blocks))
        blocks["site_of_tissue"] = site
        drawn.append(blocks)
    biopsied = progressed & (rng.random(n) < rate("biopsy_at_progression"))
    biopsies = _drawn(index[biopsied], "biopsy", "progression", "progression", seen[biopsied] + 2)
    biopsies["site_of_tissue"] = "metastasis"
    drawn.append(biopsies)

    samples = pd.concat(drawn, ignore_index=True)
    samples = samples.sort_values(["index", "day", "specimen", "site_of_tissue"], kind="stable")
    samples = samples.reset_index(drop=True)
    who = samples["index"].to_numpy()
    m = len(samples)
    samples.insert(0, "sample_id", [f"A{number:05d}" for number in range(1, m + 1)])
    samples.insert(1, "subject_id", people.ids[who])
    samples["days_since_last_dose"] = _since_last_dose(samples, people, course, cycles)
    tissue = samples["specimen"].isin(["archival_tissue", "biopsy"]).to_numpy()
    metastatic = (samples["site_of_tissue"] == "metastasis").to_numpy()
    place = rng.choice(list(SITES_BIOPSIED), m, p=list(SITES_BIOPSIED.values()))
    samples["anatomical_site"] = np.where(metastatic, place, np.where(tissue, "breast", None))
    cells = np.clip(np.round(rng.normal(55, 18, m) / 5) * 5, 10, 95)
    samples["tumour_cell_pct"] = np.where(tissue, cells, np.nan)
    age = np.round(rng.gamma(2.0, np.where(metastatic, 0.5, 1.6)), 1)
    archived = (samples["specimen"] == "archival_tissue").to_numpy()
    samples["block_age_years"] = np.where(archived, age, np.nan)
    samples["calendar"] = people.randomised_day[who] + people.first_dose[who] + samples["day"]
    return samples


def _drawn(
    index: np.ndarray, specimen: str, label: str | np.ndarray, visit: str, day: np.ndarray | int
) -> pd.DataFrame:
    """Return rows of the sample table for the subjects at `index`."""
    return pd.DataFrame(
        {
            "index": index,
            "specimen": specimen,
            "timepoint": label,
            "visit": visit,
            "day": day,
            "site_of_tissue": pd.Series([None] * len(index), dtype=object),
        }
    )


def _since_last_dose(
    samples: pd.DataFrame, people: People, course: Course, cycles: pd.DataFrame
) -> np.ndarray:
    """Return days since the last palbociclib dose (given after the draw of its day), NaN if there was none."""
    first, last = PALBOCICLIB_DAYS
    doses = cycles[people.arm[cycles["index"]] == 1]
    ends = study_day(course.off_treatment, people.first_dose)[doses["index"]]
    courses = pd.DataFrame(
        {
            "index": doses["index"].to_numpy(),
            "from": doses["start"].to_numpy() + first - 1,
            "to": np.minimum(doses["start"].to_numpy() + last - 1, ends),
        }
    )
    courses = courses[courses["from"] <= courses["to"]]
    asked = samples[["index", "day"]].assign(row=np.arange(len(samples)))
    # The last course begun before the day of the draw; its last dose before that day.
    found = pd.merge_asof(
        asked.sort_values("day", kind="stable"),
        courses.sort_values("from", kind="stable").rename(columns={"from": "day"}).assign(began=1),
        on="day",
        by="index",
        allow_exact_matches=False,
    ).sort_values("row")
    day = found["day"].to_numpy()
    return day - np.minimum(found["to"].to_numpy(dtype=float), day - 1)


def make_runs(
    seed: int, people: People, samples: pd.DataFrame, fraction: np.ndarray
) -> pd.DataFrame:
    """Return the assays of the samples; ``row`` (place in `samples`) is not written.

    Parameters
    ----------
    fraction : np.ndarray, shape (samples,)
        True tumour fraction in the blood of each sample.
    """
    rng = stream(seed, "runs")
    rows, assays = [], []
    for specimen, done in ASSAYS.items():
        of = np.flatnonzero(samples["specimen"] == specimen)
        for assay in done:
            kept = of[rng.random(len(of)) < rate("assayed")]
            if assay == "cytokine_multiplex":
                kept = kept[samples["visit"].iloc[kept].isin(CYTOKINE_VISITS)]
            rows.append(kept)
            assays += [assay] * len(kept)
    row = np.concatenate(rows)
    assay = np.array(assays, dtype=object)
    m = len(row)
    risk = np.select(
        [
            np.isin(assay, ["rnaseq"]),
            np.isin(assay, ["tissue_panel", "pathology"]),
            assay == "ctdna_panel",
        ],
        [rate("qc_failed_rna"), rate("qc_failed_tissue"), rate("qc_failed_blood")],
        0.0,
    )
    failed = rng.random(m) < risk
    reasons = np.array(
        [
            FAILURES.get(name, ("",))[pick % len(FAILURES.get(name, ("",)))]
            for name, pick in zip(assay, rng.integers(0, 2, m), strict=True)
        ],
        dtype=object,
    )
    calendar = samples["calendar"].to_numpy()[row]
    # Laboratories switched to the second version of the plasma panel midway through accrual.
    switch = 0.45 * rate("accrual_months") * DAYS_A_MONTH
    version = np.where(
        assay == "ctdna_panel",
        np.where(calendar < switch, "v1", "v2"),
        np.where(assay == "tissue_panel", "v1", None),
    )
    # Batches follow the calendar, never the arm.
    batch = 1 + np.clip(calendar // (rate("accrual_months") * DAYS_A_MONTH / 4), 0, 4).astype(int)
    ctdna = assay == "ctdna_panel"
    seen = fraction[row] * np.exp(0.12 * rng.standard_normal(m))
    seen = np.where(seen < FRACTION_LIMIT, 0.0, np.clip(np.round(seen, 4), 0, 0.95))
    sample = samples["sample_id"].to_numpy()[row]
    runs = pd.DataFrame(
        {
            "run_id": [f"{name}-{SUFFIX[kind]}" for name, kind in zip(sample, assay, strict=True)],
            "sample_id": sample,
            "assay": assay,
            "version": version,
            "batch": [f"{SUFFIX[kind]}{number}" for kind, number in zip(assay, batch, strict=True)],
            "qc": np.where(failed, "fail", "pass"),
            "qc_reason": np.where(failed, reasons, None),
            "tumour_fraction": np.where(ctdna & ~failed, seen, np.nan),
            "tumour_fraction_method": np.where(ctdna & ~failed, "low-pass genome", None),
            "row": row,
            "batch_number": batch,
            "who": samples["index"].to_numpy()[row],
        }
    )
    return runs.sort_values(["row", "run_id"], kind="stable", ignore_index=True)


#: Assay -> suffix of its run identifiers.
SUFFIX = {
    "ctdna_panel": "CT",
    "tk1_activity": "TK",
    "her2_ecd": "HE",
    "cytokine_multiplex": "CY",
    "ctc": "CC",
    "tissue_panel": "DN",
    "pathology": "HC",
    "rnaseq": "RN",
}


def true_fraction(seed: int, people: People, samples: pd.DataFrame) -> np.ndarray:
    """Return the tumour fraction of the blood at each sample's visit, shape (samples,)."""
    n = len(people)
    rng = stream(seed, "fraction")
    visit_noise = 0.35 * rng.standard_normal((5, n))
    order = ["C1D5", "C1D15", "C2D1", "progression", "toxicity"]
    # Quantiles: undetectable below the lowest 22 %, 10 % exceeded by 35 % (the sources of the rates).
    detectable = NormalDist().inv_cdf(1 - rate("tumour_fraction_detectable"))
    over_10_pct = NormalDist().inv_cdf(1 - rate("tumour_fraction_over_10_pct"))
    knots = np.array([-4.0, detectable, over_10_pct, 1.5, 3.0])
    level = np.log([5e-5, FRACTION_LIMIT, 0.10, 0.35, 0.80])
    baseline = np.interp(people.tumour_fraction, knots, level)
    later = np.interp(people.tumour_fraction + 0.35, knots, level)
    fall = {"C1D5": -0.3, "C1D15": -1.1, "C2D1": -1.4}
    by_visit = {"baseline": baseline, "progression": later + visit_noise[3]}
    for visit, mean in fall.items():
        noise = visit_noise[order.index(visit)]
        by_visit[visit] = baseline + mean * (1 + 0.6 * people.clearance) + noise
    by_visit["toxicity"] = baseline - 1.0 + visit_noise[4]
    stacked = np.vstack([by_visit[visit] for visit in ["baseline", *order]])
    place = samples["visit"].map({v: i for i, v in enumerate(["baseline", *order])}).to_numpy()
    return np.minimum(np.exp(stacked[place, samples["index"].to_numpy()]), 0.9)
