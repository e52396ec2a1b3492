"""Subjects of the simulated trial: who they are, how their tumour behaves, what happens to them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from correlatives.simulation.genes import LESIONS
from correlatives.simulation.rates import is_ratio, rate
from correlatives.time_units import DAYS_A_MONTH

CONTROL, EXPERIMENTAL = "T-DM1", "T-DM1 + palbociclib"
CYCLE_DAYS = 21
#: Palbociclib is given on these days of a cycle.
PALBOCICLIB_DAYS = (5, 18)
TDM1_MG_PER_KG = 3.6
PALBOCICLIB_MG = 125
FIRST_SUBJECT_IN = np.datetime64("2018-09-03")
SITES = 8
#: RECIST 1.1.
PARTIAL_RESPONSE_PCT, PROGRESSION_PCT, PROGRESSION_MM = -30.0, 20.0, 5.0


def stream(seed: int, part: str) -> np.random.Generator:
    """Return the random numbers of a part, by its name: a part more leaves the others' unchanged."""
    return np.random.default_rng(
        np.random.SeedSequence(seed, spawn_key=(zlib.crc32(part.encode()),))
    )


@dataclass(frozen=True)
class People:
    """Who was randomised, and the tumours' latent traits (standard normal unless said otherwise).

    All arrays have shape (n,); `genome` has shape (n, lesions).
    """

    table: pd.DataFrame
    ids: np.ndarray
    arm: np.ndarray
    randomised_day: np.ndarray
    first_dose: np.ndarray
    dosed: np.ndarray
    weight_kg: np.ndarray
    tumour_fraction: np.ndarray
    tk1: np.ndarray
    ecd: np.ndarray
    ctc: np.ndarray
    ldh: np.ndarray
    proliferation: np.ndarray
    luminal: np.ndarray
    ccne1: np.ndarray
    erbb2: np.ndarray
    immune: np.ndarray
    clearance: np.ndarray
    genome: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Course:
    """What happened, in days from randomisation (inf = never), shape (n,) each.

    `off_treatment` is the end of treatment and `off_reason` why; `progression` the day progression was
    seen, `death` and `contact` (last day under observation) as they were.
    """

    outcomes: pd.DataFrame
    responses: pd.DataFrame
    assessments: pd.DataFrame
    progression: np.ndarray
    death: np.ndarray
    contact: np.ndarray
    off_treatment: np.ndarray
    off_reason: np.ndarray


def study_day(days: np.ndarray, first_dose: np.ndarray) -> np.ndarray:
    """Return study days (first dose = 1, no day 0) of days from randomisation."""
    since = np.asarray(days) - first_dose
    return np.where(since >= 0, since + 1, since).astype(int)


def make_people(seed: int, per_arm: tuple[int, int]) -> People:
    """Randomise `per_arm` subjects (control, experimental) in permuted blocks within the strata."""
    n = sum(per_arm)
    rng = stream(seed, "subjects")
    accrual = rate("accrual_months") * DAYS_A_MONTH
    # Sites open one after the other: accrual rises with the square root of time.
    randomised_day = np.sort(np.floor(accrual * np.sqrt(rng.random(n)))).astype(int)
    site = rng.choice(SITES, size=n, p=_shares(SITES)) + 1
    within = pd.Series(site).groupby(site).cumcount().to_numpy() + 1
    ids = np.array([f"{s:02d}{k:03d}" for s, k in zip(site, within, strict=True)], dtype=object)

    hr_positive = rng.random(n) < rate("hr_positive")
    visceral = rng.random(n) < rate("visceral") + 0.08 * np.where(hr_positive, -0.37, 0.63)
    arm = _randomise(stream(seed, "randomisation"), hr_positive * 2 + visceral, per_arm)
    dosed = rng.random(n) >= rate("never_dosed")
    first_dose = np.where(dosed, rng.integers(0, 8, n), 0)

    burden = rng.standard_normal(n)
    shared = rate("burden_correlation")
    tumour_fraction, tk1, ecd, ctc, ldh = (
        shared * burden + np.sqrt(1 - shared**2) * rng.standard_normal(n) for _ in range(5)
    )
    proliferation, immune, clearance = rng.standard_normal((3, n))
    luminal = rng.random(n) < np.where(
        hr_positive, rate("luminal_if_hr_positive"), rate("luminal_if_hr_negative")
    )
    genome = _genome(stream(seed, "genome"), hr_positive)
    rise = rate("amplification_raises_expression")
    ccne1 = 0.3 * proliferation + np.sqrt(1 - 0.3**2) * rng.standard_normal(n)
    ccne1 = _raised(ccne1, genome[:, lesion("CCNE1", "amplification")], 0.08, rise)
    amplified = genome[:, lesion("ERBB2", "amplification")]
    erbb2 = _raised(rng.standard_normal(n), amplified, rate("her2_amplified"), rise)

    table = _covariates(stream(seed, "eligibility"), hr_positive, visceral, amplified, erbb2)
    dates = FIRST_SUBJECT_IN + randomised_day.astype("timedelta64[D]")
    table.insert(0, "subject_id", ids)
    table.insert(1, "arm", np.where(arm == 1, EXPERIMENTAL, CONTROL))
    table.insert(2, "site", [f"site {s:02d}" for s in site])
    table.insert(3, "randomisation_date", dates.astype(str))
    table.insert(4, "first_dose_day", pd.array(np.where(dosed, first_dose, -1), dtype="Int64"))
    table.loc[~dosed, "first_dose_day"] = pd.NA
    return People(
        table=table,
        ids=ids,
        arm=arm,
        randomised_day=randomised_day,
        first_dose=first_dose,
        dosed=dosed,
        weight_kg=np.clip(rng.normal(68, 13, n), 42, 120),
        tumour_fraction=tumour_fraction,
        tk1=tk1,
        ecd=ecd,
        ctc=ctc,
        ldh=ldh,
        proliferation=proliferation,
        luminal=luminal,
        ccne1=ccne1,
        erbb2=erbb2,
        immune=immune,
        clearance=clearance,
        genome=genome,
    )


def lesion(gene: str, kind: str) -> int:
    """Return the place of a lesion in ``LESIONS``."""
    return next(i for i, item in enumerate(LESIONS) if (item.gene, item.kind) == (gene, kind))


def _shares(count: int) -> np.ndarray:
    """Return unequal shares of the sites, largest first."""
    weight = 1 / np.sqrt(np.arange(1, count + 1))
    return weight / weight.sum()


def _randomise(
    rng: np.random.Generator, strata: np.ndarray, per_arm: tuple[int, int]
) -> np.ndarray:
    """Return arms (0, 1), balanced over time within each stratum, with exactly `per_arm` in all."""
    codes, counts = np.unique(strata, return_counts=True)
    exact = counts * per_arm[1] / sum(per_arm)
    experimental = np.floor(exact).astype(int)
    short = per_arm[1] - experimental.sum()
    experimental[np.argsort(-(exact - experimental), kind="stable")[:short]] += 1
    arm = np.zeros(len(strata), dtype=int)
    for code, size, treated in zip(codes, counts, experimental, strict=True):
        # Evenly spaced, then shuffled over about the length of a block of four.
        places = np.concatenate(
            [(np.arange(size - treated) + 0.5) / max(size - treated, 1), _spread(treated)]
        )
        labels = np.repeat([0, 1], [size - treated, treated])
        order = np.argsort(places + rng.uniform(-2, 2, size) / size, kind="stable")
        arm[np.flatnonzero(strata == code)] = labels[order]
    return arm


def _spread(count: int) -> np.ndarray:
    """Return `count` places evenly spaced over (0, 1)."""
    return (np.arange(count) + 0.5) / max(count, 1)


def _raised(trait: np.ndarray, amplified: np.ndarray, prevalence: float, rise: float) -> np.ndarray:
    """Return expression raised by amplification, standardised over the population."""
    spread = np.sqrt(1 + rise**2 * prevalence * (1 - prevalence))
    return (trait + rise * (amplified - prevalence)) / spread


def _genome(rng: np.random.Generator, hr_positive: np.ndarray) -> np.ndarray:
    """Return which lesions the tumours carry at baseline, shape (n, lesions)."""
    chance = np.array([item.prevalence for item in LESIONS])
    genome = rng.random((len(hr_positive), len(LESIONS))) < chance
    genome[:, lesion("CDK12", "amplification")] &= genome[:, lesion("ERBB2", "amplification")]
    for index, item in enumerate(LESIONS):
        if item.only_hr_positive:
            genome[:, index] &= hr_positive
    return genome


def _covariates(
    rng: np.random.Generator,
    hr_positive: np.ndarray,
    visceral: np.ndarray,
    amplified: np.ndarray,
    erbb2: np.ndarray,
) -> pd.DataFrame:
    """Return baseline covariates and every eligibility field, with gaps and a few who do not meet one."""
    n = len(hr_positive)
    yes_no = np.array(["no", "yes"], dtype=object)

    def rare(share: float) -> np.ndarray:
        return yes_no[(rng.random(n) < share).astype(int)]

    def gaps(values: np.ndarray) -> np.ndarray:
        column = np.array(values, dtype=object)
        column[rng.random(n) < rate("laboratory_missing")] = None
        return column

    def laboratory(typical: float, spread: float, digits: int, worst: float) -> np.ndarray:
        # Within the limit of the protocol, but for the rare subject at `worst`.
        values = np.round(
            typical * np.exp(spread * np.clip(rng.standard_normal(n), -2.2, 2.2)), digits
        )
        values = np.where(rng.random(n) < rate("ineligible"), worst, values)
        return gaps(values)

    failing = rate("ineligible")
    ecog = np.digitize(rng.random(n), np.cumsum([1 - 0.38 - 0.06 - failing, 0.38, 0.06]))
    lines_2, lines_1 = rate("lines_2"), rate("lines_1")
    lines = np.digitize(
        rng.random(n), np.cumsum([1 - lines_1 - lines_2 - failing, lines_1, lines_2])
    )
    cns = np.digitize(rng.random(n), [1 - rate("cns_treated") - failing, 1 - failing])
    naive = rng.random(n) < rate("pertuzumab_waived")
    waived = naive & (rng.random(n) < 0.8)
    ihc = np.where(amplified & (rng.random(n) < 0.85) | ~amplified, "3+", "2+")
    ratio = np.where(
        amplified, np.maximum(2.0, 3.2 * np.exp(0.35 * erbb2)), rng.uniform(1.1, 1.9, n)
    )
    ratio = np.where((ihc == "3+") & (rng.random(n) < 0.3), np.nan, np.round(ratio, 2))
    fertile = rng.random(n) < 0.35
    return pd.DataFrame(
        {
            "age": np.clip(np.round(rng.normal(54, 11, n)), 27, 84).astype(int),
            "ecog": gaps(ecog),
            "hr_status": np.where(hr_positive, "positive", "negative"),
            "visceral": yes_no[visceral.astype(int)],
            "prior_lines": gaps(lines),
            "her2_ihc": ihc,
            "her2_fish_ratio": ratio,
            "disease": rng.choice(["metastatic", "recurrent"], n, p=[0.93, 0.07]),
            "consent": "yes",
            "able_to_comply": "yes",
            "prior_pertuzumab": yes_no[(~naive).astype(int)],
            "pertuzumab_waiver": yes_no[waived.astype(int)],
            "prior_tdm1": rare(failing),
            "prior_cdk46_inhibitor": rare(failing),
            "cns_metastases": np.array(["none", "treated", "active"], dtype=object)[cns],
            "leptomeningeal_disease": "no",
            "cns_corticosteroids": rare(failing),
            "hypersensitivity": "no",
            "uncontrolled_illness": gaps(rare(failing)),
            "cardiac_event_3_months": rare(failing),
            "pregnant_or_breast_feeding": np.where(fertile, "no", "not applicable"),
            "pregnancy_test": np.where(
                fertile, np.where(rng.random(n) < 0.03, None, "negative"), "not applicable"
            ),
            "contraception": np.where(fertile, "yes", "not applicable"),
            "concurrent_antineoplastic": rare(failing),
            "bone_directed_therapy": rare(0.3),
            "lvef_pct": laboratory(61, 0.07, 0, 46),
            "creatinine_xuln": laboratory(0.8, 0.2, 2, 1.7),
            "bilirubin": laboratory(0.5, 0.4, 1, 2.6),
            "ast_xuln": laboratory(0.7, 0.4, 2, 2.9),
            "alt_xuln": laboratory(0.7, 0.4, 2, 2.6),
            "alp_xuln": laboratory(0.8, 0.35, 2, 3.1),
            "anc_per_ul": laboratory(3800, 0.35, -1, 870),
            "platelets_per_ul": laboratory(240000, 0.28, -3, 88000),
            "hemoglobin_g_dl": laboratory(12.6, 0.09, 1, 9.4),
        }
    )


def hazard(people: People, size: dict[str, float]) -> np.ndarray:
    """Return the log hazard of progression, centred over the population, shape (n,)."""
    log = {name: np.log(value) for name, value in size.items() if is_ratio(name)}
    table = people.table
    # A missing ECOG or number of lines counts as one: the simulation knows no more than the table.
    ecog = table["ecog"].astype(float).fillna(1).to_numpy()
    lines = table["prior_lines"].astype(float).fillna(1).to_numpy()
    visceral = (table["visceral"] == "yes").to_numpy()
    hr_positive = (table["hr_status"] == "positive").to_numpy()
    p_hr = rate("hr_positive")
    p_luminal = p_hr * rate("luminal_if_hr_positive") + (1 - p_hr) * rate("luminal_if_hr_negative")
    in_either_arm = (
        log["tumour_fraction_hr"] * people.tumour_fraction
        + log["tk1_hr"] * people.tk1
        + log["her2_ecd_hr"] * people.ecd
        + log["erbb2_expression_hr"] * people.erbb2
        + log["early_clearance_hr"] * people.clearance
        + log["visceral_hr"] * (visceral - rate("visceral"))
        + log["ecog_hr"] * (ecog - rate("ecog_1") - 2 * rate("ecog_2"))
        + log["prior_lines_hr"] * (lines - rate("lines_1") - 2 * rate("lines_2"))
    )
    with_palbociclib = (
        log["treatment_hr"]
        + log["ccne1_by_palbociclib"] * people.ccne1
        + log["luminal_by_palbociclib"] * (people.luminal - p_luminal)
        + log["hr_positive_by_palbociclib"] * (hr_positive - p_hr)
    )
    return in_either_arm + people.arm * with_palbociclib


def make_course(seed: int, people: People, size: dict[str, float]) -> Course:
    """Follow the subjects: assessments every six weeks for a year, then nine, progression, death, end of study."""
    n = len(people)
    rng = stream(seed, "course")
    log_hazard = hazard(people, size)
    shape = rate("pfs_shape")
    # Assessments see progression three weeks late on average, which deaths before it make up for.
    median = rate("pfs_median_control_months") * DAYS_A_MONTH
    grown = median * (-np.log(rng.random(n)) / np.log(2) * np.exp(-log_hazard)) ** (1 / shape)

    def waiting(per_month: np.ndarray | float, factor: np.ndarray | float = 1.0) -> np.ndarray:
        return np.ceil(rng.exponential(size=n) * DAYS_A_MONTH / (per_month * factor))

    after = rate("survival_after_progression_months") * DAYS_A_MONTH / np.log(2)
    dies_after = rng.exponential(size=n) * after * np.exp(-0.3 * log_hazard)
    dies_before = waiting(rate("early_death_per_month"), np.exp(0.3 * people.tumour_fraction))
    death = np.minimum(dies_before, np.ceil(grown + dies_after)) + 1
    withdrawal = np.where(
        people.dosed, waiting(rate("withdrawal_per_month")), rng.integers(1, 40, n)
    )
    lost = waiting(rate("lost_per_month"))
    cut = np.floor(
        (rate("accrual_months") + rate("follow_up_months")) * DAYS_A_MONTH - people.randomised_day
    )
    contact = np.minimum.reduce([withdrawal, lost, cut])
    contact_reason = np.select(
        [withdrawal <= np.minimum(lost, cut), lost <= cut], ["withdrawal", "lost"], "end_of_study"
    )

    sixth_week = 42 * np.arange(1, 9)
    ninth_week = np.arange(sixth_week[-1] + 63, cut.max() + 2 * 63, 63)
    nominal = np.concatenate([sixth_week, ninth_week])
    jitter = rng.integers(-4, 5, (n, len(nominal)))
    visit = people.first_dose[:, None] + nominal + jitter
    seen_at = np.argmax(visit >= grown[:, None], axis=1)
    ever = (visit >= grown[:, None]).any(axis=1)
    progression = np.where(ever, visit[np.arange(n), seen_at], np.inf)
    observed = (progression <= contact) & (progression <= death)
    progression = np.where(observed, progression, np.inf)
    done = (visit <= np.minimum(contact, death - 1)[:, None]) & (visit <= progression[:, None])

    last_visit = np.where(done, visit, 0).max(axis=1)
    died = death <= contact
    pfs_event = observed | died
    pfs = np.where(observed, progression, np.where(died, death, last_visit))
    pfs_reason = np.where(observed, "progression", np.where(died, "death", contact_reason))
    os_days = np.where(died, death, contact)
    outcomes = pd.DataFrame(
        {
            "subject_id": np.tile(people.ids, 2),
            "endpoint": np.repeat(["PFS", "OS"], n),
            "time": np.round(np.concatenate([pfs, os_days]) / DAYS_A_MONTH, 3),
            "event": np.concatenate([pfs_event, died]).astype(int),
            "reason": np.concatenate([pfs_reason, np.where(died, "death", contact_reason)]),
        }
    )

    toxicity = waiting(
        np.where(
            people.arm == 1,
            rate("toxicity_experimental_per_month"),
            rate("toxicity_control_per_month"),
        )
    )
    stopped = np.minimum.reduce([np.where(pfs_event, pfs, np.inf), toxicity, contact])
    off_reason = np.select(
        [
            ~people.dosed,
            observed & (stopped == progression),
            died & (stopped == death),
            stopped == toxicity,
        ],
        ["", "progression", "death", "toxicity"],
        contact_reason,
    )
    assessments, responses = _tumours(
        stream(seed, "tumours"), people, log_hazard, visit, done, observed
    )
    return Course(
        outcomes=outcomes,
        responses=responses,
        assessments=assessments,
        progression=progression,
        death=np.where(died, death, np.inf),
        contact=contact,
        off_treatment=np.where(people.dosed, stopped, 0),
        off_reason=off_reason,
    )


def _tumours(
    rng: np.random.Generator,
    people: People,
    log_hazard: np.ndarray,
    visit: np.ndarray,
    done: np.ndarray,
    progressed: np.ndarray,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return tumour assessments and the responses read off them by RECIST 1.1.

    Parameters
    ----------
    log_hazard, progressed : np.ndarray, shape (n,)
        Log hazard of progression; whether progression was seen (at the last assessment done).
    visit, done : np.ndarray, shape (n, visits)
        Day from randomisation of each planned assessment, and whether it took place.
    """
    n, visits = visit.shape
    # An intercept above the rate wanted: who progresses at the first assessment cannot respond.
    orr = rate("orr_control")
    chance = 1 / (1 + np.exp(-(np.log(orr / (1 - orr)) + 0.35 - 1.0 * log_hazard)))
    responder = rng.random(n) < chance
    depth = np.where(responder, -(0.38 + 0.55 * rng.beta(1.5, 2.0, n)), rng.uniform(-0.26, 0.10, n))
    complete = responder & (rng.random(n) < rate("complete_response"))
    depth = np.where(complete, -1.0, depth)
    start = np.clip(np.round(np.exp(rng.normal(np.log(52), 0.55, n))), 12, 220)
    time = visit - people.first_dose[:, None]
    change = depth[:, None] * (1 - np.exp(-time / 40.0))
    size = start[:, None] * (1 + change) * (1 + 0.02 * rng.standard_normal((n, visits)))
    size = np.where(complete[:, None] & (change < -0.8), 0.0, size)

    last = np.where(done, np.arange(visits), -1).max(axis=1)
    growing = np.zeros((n, visits), dtype=bool)
    growing[np.flatnonzero(progressed), last[progressed]] = True
    before = np.where(done & ~growing, size, np.inf).min(axis=1)
    nadir = np.minimum(before, start)
    new = rng.random(n) < rate("new_lesion")
    enlarged = np.ceil(nadir * rng.uniform(1.22, 1.6, n)) + PROGRESSION_MM + 1
    stable = np.minimum(nadir * rng.uniform(1.0, 1.1, n), nadir + PROGRESSION_MM - 1)
    size = np.where(growing, np.where(new, stable, enlarged)[:, None], size)
    size = np.round(np.where(done, size, np.nan))

    percent = 100 * (size - start[:, None]) / start[:, None]
    response = np.select(
        [growing, size == 0, percent <= PARTIAL_RESPONSE_PCT], ["PD", "CR", "PR"], "SD"
    )
    responding = done & ((response == "CR") | (response == "PR"))
    best = np.select(
        [
            (done & (response == "CR")).any(axis=1),
            responding.any(axis=1),
            (done & (response == "SD")).any(axis=1),
            done.any(axis=1),
        ],
        ["CR", "PR", "SD", "PD"],
        "NE",
    )
    twice = (responding[:, :-1] & responding[:, 1:]).any(axis=1)
    lowest = np.where(done, percent, np.inf).min(axis=1)
    responses = pd.DataFrame(
        {
            "subject_id": people.ids,
            "best_overall_response": best,
            "best_change_pct": np.where(np.isfinite(lowest), np.round(lowest, 1), np.nan),
            "confirmed": np.where(responding.any(axis=1), np.where(twice, "yes", "no"), None),
        }
    )
    who, which = np.nonzero(done)
    baseline_day = study_day(-rng.integers(1, 15, n), people.first_dose)
    assessments = pd.DataFrame(
        {
            "subject_id": np.concatenate([people.ids, people.ids[who]]),
            "day": np.concatenate(
                [baseline_day, study_day(visit[who, which], people.first_dose[who])]
            ),
            "sum_mm": np.concatenate([start, size[who, which]]),
            "new_lesion": np.concatenate(
                [np.full(n, "no"), np.where(growing & new[:, None], "yes", "no")[who, which]]
            ),
            "response": np.concatenate([np.full(n, "", dtype=object), response[who, which]]),
        }
    ).replace({"response": {"": None}})
    return _by_subject(assessments, "day"), responses


def make_doses(seed: int, people: People, course: Course) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return dose intervals, and (subject, cycle) days with the first day of each cycle.

    Returns
    -------
    doses : pd.DataFrame
        The table of the contract: an interval a drug and cycle.
    cycles : pd.DataFrame
        ``index`` (place of the subject), ``cycle`` (1, 2, …), ``start`` (study day).
    """
    rng = stream(seed, "doses")
    n = len(people)
    days = np.maximum(course.off_treatment - people.first_dose, 0)
    count = np.where(people.dosed, np.maximum(np.ceil(days / CYCLE_DAYS), 1), 0).astype(int)
    index = np.repeat(np.arange(n), count)
    cycle = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    end = study_day(course.off_treatment, people.first_dose)[index]
    delay = np.where(cycle >= 2, 7 * (rng.random(len(index)) < 0.05), 0)
    late = pd.Series(delay).groupby(index).cumsum().to_numpy()
    start = 1 + cycle * CYCLE_DAYS + late
    given = (start <= end) | (cycle == 0)
    index, cycle, start, end = (part[given] for part in (index, cycle, start, end))

    def level(share: float) -> np.ndarray:
        """Return the dose level (0, 1, 2) of each cycle: reductions come one at a time."""
        first = np.where(rng.random(n) < share, rng.integers(1, 8, n), 10_000)
        second = np.where(rng.random(n) < share, first + rng.integers(2, 8, n), 10_000)
        return (cycle >= first[index]).astype(int) + (cycle >= second[index])

    tdm1 = pd.DataFrame(
        {
            "subject_id": people.ids[index],
            "drug": "T-DM1",
            "start_day": start,
            "stop_day": start,
            "dose_mg": np.round(
                (TDM1_MG_PER_KG - 0.6 * level(rate("dose_reduced") / 2)) * people.weight_kg[index]
            ),
        }
    )
    first, last = PALBOCICLIB_DAYS
    palbociclib = pd.DataFrame(
        {
            "subject_id": people.ids[index],
            "drug": "palbociclib",
            "start_day": start + first - 1,
            "stop_day": np.minimum(start + last - 1, end),
            "dose_mg": PALBOCICLIB_MG - 25.0 * level(rate("dose_reduced")),
        }
    )[(people.arm[index] == 1) & (start + first - 1 <= end)]
    doses = _by_subject(pd.concat([tdm1, palbociclib], ignore_index=True), "start_day")
    ended = ~doses.duplicated(["subject_id", "drug"], keep="last")
    reason = pd.Series(course.off_reason, index=people.ids)
    # Who is on treatment at the data cut has no reason to be off it.
    why = doses["subject_id"].map(reason)
    doses["reason_off"] = np.where(ended & ~why.isin(["", "end_of_study"]), why, None)
    return doses, pd.DataFrame({"index": index, "cycle": cycle + 1, "start": start})


def _by_subject(table: pd.DataFrame, day: str) -> pd.DataFrame:
    """Return the rows by subject and day."""
    return table.sort_values(["subject_id", day], kind="stable", ignore_index=True)
