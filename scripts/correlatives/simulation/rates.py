"""Rates and planted effects of the simulated trial, each with its source.

``prior`` marks a number nobody has published for this population: a guess, named as one.
"""

from __future__ import annotations

from typing import NamedTuple


class Rate(NamedTuple):
    """A number and where it comes from."""

    value: float
    source: str


#: How subjects, follow-up and laboratories behave; the same in every simulated trial.
RATES: dict[str, Rate] = {
    # subjects
    "hr_positive": Rate(0.63, "77/122, MSK 2018 HER2-positive metastases (Razavi 2018)"),
    "visceral": Rate(0.62, "prior"),
    "ecog_1": Rate(0.38, "prior"),
    "ecog_2": Rate(0.06, "prior"),
    "lines_1": Rate(0.55, "prior"),
    "lines_2": Rate(0.20, "prior"),
    "cns_treated": Rate(0.12, "prior"),
    "pertuzumab_waived": Rate(0.04, "prior"),
    "never_dosed": Rate(0.02, "prior"),
    "laboratory_missing": Rate(0.02, "prior"),
    "ineligible": Rate(0.004, "prior, for each criterion that some subject may fail"),
    # course
    "pfs_median_control_months": Rate(
        6.5, "T-DM1 after pertuzumab 6-10 months: EMILIA 9.6, DB-03 6.8"
    ),
    "pfs_shape": Rate(1.25, "prior: Weibull shape"),
    "orr_control": Rate(0.36, "T-DM1 35-44 %, lower after pertuzumab"),
    "complete_response": Rate(0.08, "prior: share of responders"),
    "new_lesion": Rate(0.45, "prior: share of progressions"),
    "early_death_per_month": Rate(0.006, "prior: death before progression"),
    "survival_after_progression_months": Rate(18.0, "prior: median"),
    "withdrawal_per_month": Rate(0.006, "prior"),
    "lost_per_month": Rate(0.003, "prior"),
    "toxicity_control_per_month": Rate(0.010, "prior: T-DM1 stopped"),
    "toxicity_experimental_per_month": Rate(0.018, "prior: either drug stopped"),
    "dose_reduced": Rate(0.30, "prior: palbociclib; T-DM1 half as often"),
    "accrual_months": Rate(30.0, "prior"),
    "follow_up_months": Rate(14.0, "prior: last subject in to data cut"),
    # tumour
    "luminal_if_hr_positive": Rate(0.42, "PAM50 luminal in 30-50 % of HR+/HER2+"),
    "luminal_if_hr_negative": Rate(0.05, "prior"),
    "pten_ihc_loss": Rate(0.20, "published_checks: IHC loss 20 %"),
    "her2_amplified": Rate(0.92, "prior: the rest is IHC 3+ without amplification or lost"),
    "her2_ratio_metastasis": Rate(2.6, "median; quartiles 2.2-3.7"),
    "her2_ratio_primary": Rate(4.1, "median; quartiles 2.4-6.3"),
    "amplification_raises_expression": Rate(1.3, "prior: SD of expression, CCNE1 and ERBB2"),
    # blood
    "tumour_fraction_detectable": Rate(0.78, "ctDNA detectable in 75-80 %"),
    "tumour_fraction_over_10_pct": Rate(0.35, "PALOMA-3"),
    "tk1_over_200": Rate(0.40, "SWOG S0226: 200 Du/L or more in 40 %"),
    "tk1_sd_ln": Rate(1.2, "prior"),
    "ecd_over_15": Rate(0.50, "serum HER2 ECD over 15 ng/mL in 50 %"),
    "ecd_sd_ln": Rate(0.9, "prior"),
    "ctc_5_or_more": Rate(0.35, "30-40 % with 5 or more per 7.5 mL"),
    "ctc_sd_ln": Rate(1.9, "prior"),
    "burden_correlation": Rate(0.45, "prior: of each blood marker with tumour burden, latent"),
    "chip_DNMT3A": Rate(0.10, "prior"),
    "chip_TET2": Rate(0.05, "prior"),
    "chip_TP53": Rate(0.02, "prior"),
    "germline_BRCA2": Rate(0.02, "prior"),
    "germline_CHEK2": Rate(0.015, "prior"),
    "matched_blood_cells": Rate(0.85, "prior: origin of a call is known only then"),
    # specimens
    "sample_received": Rate(0.93, "prior: blood at a visit made"),
    "progression_received": Rate(0.78, "prior"),
    "archival_received": Rate(0.88, "prior"),
    "biopsy_at_progression": Rate(0.30, "prior"),
    "assayed": Rate(0.97, "prior: of samples received"),
    "qc_failed_blood": Rate(0.04, "prior"),
    "qc_failed_tissue": Rate(0.07, "prior"),
    "qc_failed_rna": Rate(0.10, "prior: archival RNA"),
    "result_missing": Rate(0.015, "prior: QNS, not done, test failure"),
    "outside_window": Rate(0.02, "prior: on-treatment draws"),
    "mislabelled_eot": Rate(0.25, "prior: progression draws labelled EOT"),
}

#: What is planted. Hazard ratios (below 1 = longer without progression), probabilities, or changes; the
#: value that switches an effect off is its ``null``.
EFFECTS: dict[str, tuple[float, float, str]] = {
    # name: (default, null, source)
    "treatment_hr": (0.56, 1.0, "prior: gives about 0.65 marginally"),
    "ccne1_by_palbociclib": (
        2.00,
        1.0,
        "ratio of hazard ratios per SD, about 1.6 as fitted; PALOMA-3 medians 7.6 v 14.1 and 4.0 v 4.8 give about 1.3: larger, to be found",
    ),
    "luminal_by_palbociclib": (0.45, 1.0, "PATRICIA, monarcHER: luminal PFS HR 0.4-0.54 on drug"),
    "hr_positive_by_palbociclib": (0.85, 1.0, "prior"),
    "tumour_fraction_hr": (1.30, 1.0, "per SD; PALOMA-3 HR about 1.7 high v low in either arm"),
    "tk1_hr": (1.25, 1.0, "per SD; SWOG S0226 HR 1.76 high v low"),
    "her2_ecd_hr": (1.15, 1.0, "per SD; prior"),
    "erbb2_expression_hr": (
        0.85,
        1.0,
        "per SD; TH3RESA HR 0.40 v 0.68 by HER2 mRNA, both arms get T-DM1",
    ),
    "visceral_hr": (1.35, 1.0, "prior"),
    "ecog_hr": (1.20, 1.0, "per point; prior"),
    "prior_lines_hr": (1.15, 1.0, "per line; prior"),
    "early_clearance_hr": (0.75, 1.0, "per SD of the early fall of tumour fraction; prior"),
    "rb1_acquired_per_month": (
        0.030,
        0.0,
        "palbociclib only; 4.7 % in PALOMA-3 would be about 0.006: larger, to be found",
    ),
    "pik3ca_acquired_per_month": (0.012, 0.0, "either arm; prior"),
    "erbb2_amplification_lost": (0.22, 0.0, "either arm; 30 % lost from primary to metastasis"),
    "tk1_on_palbociclib": (-1.5, 0.0, "ln change at C1D15, back by C2D1; suppressed on drug"),
}


def rate(name: str) -> float:
    """Return one of ``RATES``."""
    return RATES[name].value


def effects(overrides: dict[str, float]) -> dict[str, float]:
    """Return the planted effects, defaults replaced by `overrides`.

    Raises
    ------
    TypeError
        If an override names no effect.
    ValueError
        If a hazard ratio is not above 0, or a probability or rate is below it.
    """
    unknown = sorted(set(overrides) - set(EFFECTS))
    if unknown:
        raise TypeError(f"no such effect: {', '.join(unknown)}; there are {', '.join(EFFECTS)}")
    size = {name: float(overrides.get(name, default)) for name, (default, _, _) in EFFECTS.items()}
    for name, value in size.items():
        if is_ratio(name) and value <= 0:
            raise ValueError(f"{name}={value}: a ratio of hazards has to be above 0")
        if "acquired" in name and value < 0:
            raise ValueError(f"{name}={value}: a rate cannot be below 0")
        if name.endswith("_lost") and not 0 <= value <= 1:
            raise ValueError(f"{name}={value}: a probability lies between 0 and 1")
    return size


def is_ratio(name: str) -> bool:
    """Whether an effect is a ratio of hazards."""
    return name.endswith(("_hr", "_by_palbociclib"))


#: Overrides of a trial in which no marker predicts benefit, or nothing is acquired or lost.
NO_INTERACTION = {
    name: EFFECTS[name][1]
    for name in ("ccne1_by_palbociclib", "luminal_by_palbociclib", "hr_positive_by_palbociclib")
}
NO_ACQUISITION = {
    name: EFFECTS[name][1]
    for name in ("rb1_acquired_per_month", "pik3ca_acquired_per_month", "erbb2_amplification_lost")
}
#: Overrides of a trial in which nothing has any effect.
NO_EFFECT = {name: null for name, (_, null, _) in EFFECTS.items()}
