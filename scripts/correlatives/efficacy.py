"""Efficacy by arm: survival, milestones, response, subgroups, Table 1, and the historical comparison.

Every function takes a cohort and returns one table with the contract's columns, of the primary population.
Months throughout; ratios and differences are experimental over, or minus, control. What cannot be
estimated is NaN. Duration of response is described by arm and not compared: responders are not
randomised groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from correlatives.binary.contrasts import (
    fisher_p,
    mantel_haenszel,
    odds_ratio,
    rate_difference,
)
from correlatives.binary.logistic import fit_logistic
from correlatives.binary.rates import binomial_p, clopper_pearson
from correlatives.cohort import DOMAINS, GIVEN, Cohort
from correlatives.intervals import Interval
from correlatives.likelihood import Fit, chi_square_p
from correlatives.markers import ABOVE, BELOW, MEASURED
from correlatives.survival.cox import fit_cox, proportional_hazards
from correlatives.survival.kaplan_meier import KaplanMeier, reverse_median
from correlatives.survival.logrank import logrank, one_sample_logrank
from correlatives.survival.restricted_mean import restricted_mean, restricted_mean_difference

SURVIVAL_BY_ARM = [
    "endpoint",
    "arm",
    "n",
    "events",
    "median",
    "median_low",
    "median_high",
    "rmst",
    "followup_median",
]
SURVIVAL_CONTRAST = [
    "endpoint",
    "n",
    "events",
    "hr",
    "hr_low",
    "hr_high",
    "p_logrank",
    "p_logrank_stratified",
    "p_ph",
    "rmst_horizon",
    "rmst_difference",
    "rmst_difference_low",
    "rmst_difference_high",
]
MILESTONES = ["endpoint", "arm", "months", "survival", "survival_low", "survival_high", "at_risk"]
RESPONSE_BY_ARM = [
    "endpoint",
    "arm",
    "n",
    "responders",
    "rate",
    "rate_low",
    "rate_high",
    "duration_median",
    "duration_median_low",
    "duration_median_high",
]
RESPONSE_CONTRAST = [
    "endpoint",
    "difference",
    "difference_low",
    "difference_high",
    "odds_ratio",
    "odds_ratio_low",
    "odds_ratio_high",
    "p_fisher",
    "p_cmh",
]
SUBGROUP_COUNTS = [
    "factor",
    "level",
    "n_control",
    "n_experimental",
    "events_control",
    "events_experimental",
]
EVALUABLE = [
    "endpoint",
    "subjects",
    "arm",
    "n",
    "events",
    "estimate",
    "estimate_low",
    "estimate_high",
    "effect_measure",
    "treatment_effect",
    "treatment_effect_low",
    "treatment_effect_high",
    "p_evaluable_lrt",
]
HISTORICAL = [
    "endpoint",
    "measure",
    "n",
    "events",
    "estimate",
    "estimate_low",
    "estimate_high",
    "historical",
    "source",
    "events_expected",
    "p_binomial_exact",
    "p_logrank_one_sample",
]
TABLE_ONE = [
    "variable",
    "level",
    "statistic",
    "all",
    "control",
    "experimental",
    "smd_arms",
    *(f"{name}_{domain}" for domain in DOMAINS for name in ("evaluable", "smd_evaluable")),
]

#: Numbers with more distinct values than this are split at the median in subgroups, described by quartiles in Table 1.
MOST_LEVELS = 5
#: Milestones where the configuration names none: every so many months, at most so many.
MILESTONE_EVERY_MONTHS = 6.0
MOST_MILESTONES = 6
NAN = float("nan")
NOTHING = Interval(NAN, NAN, NAN)


def _endpoints(cohort: Cohort, *kinds: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the endpoints of some kinds that the cohort has data for."""
    found = []
    for name, endpoint in cohort.study["endpoints"].items():
        column = name if endpoint["type"] == "response" else f"{name}_months"
        if endpoint["type"] in kinds and column in cohort.subjects:
            found.append((name, endpoint))
    return found


def _timed(subjects: pd.DataFrame, endpoint: str) -> pd.DataFrame:
    """Return the subjects with a time and an event status, as columns time and event beside their own."""
    time = subjects[f"{endpoint}_months"].to_numpy(dtype=float)
    event = subjects[f"{endpoint}_event"].to_numpy(dtype=float)
    known = np.isfinite(time) & np.isfinite(event)
    return subjects.loc[known].assign(time=time[known], event=event[known])


def _answered(subjects: pd.DataFrame, endpoint: str) -> pd.DataFrame:
    """Return the subjects with a known response, as column event (0, 1) beside their own."""
    response = subjects[endpoint].to_numpy(dtype=float)
    known = np.isfinite(response)
    return subjects.loc[known].assign(event=response[known])


def _by_arm(cohort: Cohort, part: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return (label, subjects) of each arm, control first; everybody in a single-arm study."""
    if not cohort.randomised:
        return [(str(label), part) for label in list(cohort.arms.values())[:1]]
    code = part["arm_code"].to_numpy(dtype=float)
    return [
        (str(cohort.arms["control"]), part[code == 0]),
        (str(cohort.arms["experimental"]), part[code == 1]),
    ]


def _horizon(cohort: Cohort, endpoint: dict[str, Any], part: pd.DataFrame) -> float:
    """Return the horizon of restricted means: the configured one, else the smaller of the arms' largest times."""
    stated = endpoint.get("rmst_horizon_months")
    if stated:
        return float(stated)
    largest = [arm["time"].max() for _, arm in _by_arm(cohort, part) if len(arm)]
    if len(largest) < len(_by_arm(cohort, part)):
        return NAN
    return float(min(largest))


def _strata(cohort: Cohort, part: pd.DataFrame) -> np.ndarray | None:
    """Return the randomisation strata of subjects, None without any."""
    return part["stratum"].to_numpy() if cohort.study["strata"] else None


def _ratio(log: Interval) -> Interval:
    """Return a ratio from its logarithm."""
    return Interval(*(float(np.exp(value)) for value in log))


def _table(rows: list[list[Any]], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns)


def survival_by_arm(cohort: Cohort) -> pd.DataFrame:
    """Return n, events, median with log-log limits, restricted mean and median follow-up of each arm.

    The restricted mean is up to the endpoint's ``rmst_horizon_months``, else the smaller of the arms' largest
    observed times (``rmst_horizon`` of `survival_contrast`); follow-up is the reverse Kaplan–Meier median.

    Returns
    -------
    pd.DataFrame
        Columns `SURVIVAL_BY_ARM`.
    """
    cohort = cohort.analysed()
    rows = []
    for name, endpoint in _endpoints(cohort, "time_to_event", "duration_of_response"):
        part = _timed(cohort.subjects, name)
        horizon = _horizon(cohort, endpoint, part)
        for label, arm in _by_arm(cohort, part):
            time, event = arm["time"].to_numpy(), arm["event"].to_numpy()
            median = KaplanMeier(time, event).median()
            rmst = restricted_mean(time, event, horizon).estimate
            followup = reverse_median(time, event).estimate
            rows.append([name, label, len(arm), int(event.sum()), *median, rmst, followup])
    return _table(rows, SURVIVAL_BY_ARM)


def survival_contrast(cohort: Cohort) -> pd.DataFrame:
    """Return the hazard ratio, log-rank tests, test of proportionality and restricted mean difference.

    Cox with Efron ties, stratified by the randomisation strata if there are any, with profile-likelihood
    limits. ``p_logrank_stratified`` is empty without strata.

    Returns
    -------
    pd.DataFrame
        Columns `SURVIVAL_CONTRAST`; no rows in a single-arm study.
    """
    cohort = cohort.analysed()
    rows = []
    for name, endpoint in _endpoints(cohort, "time_to_event") if cohort.randomised else []:
        part = _timed(cohort.subjects, name)
        time, event = part["time"].to_numpy(), part["event"].to_numpy()
        arm = part["arm_code"].to_numpy(dtype=float)
        strata = _strata(cohort, part)
        horizon = _horizon(cohort, endpoint, part)
        hr, p_ph = NOTHING, NAN
        if len(np.unique(arm)) == 2:
            fit = fit_cox(time, event, arm, strata)
            hr = _ratio(fit.interval(0))
            p_ph = proportional_hazards(fit).overall.p
        stratified = NAN if strata is None else logrank(time, event, arm, strata).p
        rows.append(
            [
                name,
                len(part),
                int(event.sum()),
                *hr,
                logrank(time, event, arm).p,
                stratified,
                p_ph,
                horizon,
                *restricted_mean_difference(time, event, arm, horizon),
            ]
        )
    return _table(rows, SURVIVAL_CONTRAST)


def _milestones_of(endpoint: dict[str, Any], part: pd.DataFrame) -> list[float]:
    stated = endpoint.get("milestones_months")
    if stated:
        return sorted(float(month) for month in stated)
    last = part["time"].max() if len(part) else 0.0
    steps = MILESTONE_EVERY_MONTHS * np.arange(1, MOST_MILESTONES + 1)
    return [float(month) for month in steps[steps <= last]]


def milestones(cohort: Cohort) -> pd.DataFrame:
    """Return survival with log-log limits and the number at risk at milestones.

    At the endpoint's ``milestones_months``, else every 6 months while somebody is followed, at most 6.
    Survival, just after the time, is empty where an arm's follow-up ended before, unless its last subject had the
    event (then 0, without limits); limits are empty also where nobody has had an event yet. At risk is just before
    the time, as R's ``summary.survfit`` prints it.

    Returns
    -------
    pd.DataFrame
        Columns `MILESTONES`.
    """
    cohort = cohort.analysed()
    rows = []
    for name, endpoint in _endpoints(cohort, "time_to_event", "duration_of_response"):
        part = _timed(cohort.subjects, name)
        for label, arm in _by_arm(cohort, part):
            curve = KaplanMeier(arm["time"], arm["event"])
            for month in _milestones_of(endpoint, part):
                at = curve.at(month)
                if at.estimate == 1:
                    # R prints 1 to 1; a certainty that no sample gives is not repeated here.
                    at = Interval(1.0, NAN, NAN)
                rows.append([name, label, month, *at, int(curve.at_risk_at(month)[0])])
    return _table(rows, MILESTONES)


def _duration_of(cohort: Cohort, response: str) -> str | None:
    """Return the duration-of-response endpoint that follows a response endpoint's responders."""
    for name, endpoint in _endpoints(cohort, "duration_of_response"):
        if endpoint.get("of") == response:
            return name
    return None


def response_by_arm(cohort: Cohort) -> pd.DataFrame:
    """Return responders, rate with Clopper–Pearson limits, and median duration of response of each arm.

    Returns
    -------
    pd.DataFrame
        Columns `RESPONSE_BY_ARM`; duration is empty without a duration_of_response endpoint of this one.
    """
    cohort = cohort.analysed()
    rows = []
    for name, _ in _endpoints(cohort, "response"):
        duration = _duration_of(cohort, name)
        for label, arm in _by_arm(cohort, _answered(cohort.subjects, name)):
            responders = int(arm["event"].sum())
            median = NOTHING
            if duration is not None:
                followed = _timed(arm[arm["event"] == 1].drop(columns="event"), duration)
                median = KaplanMeier(followed["time"], followed["event"]).median()
            rate = clopper_pearson(responders, len(arm))
            rows.append([name, label, len(arm), responders, *rate, *median])
    return _table(rows, RESPONSE_BY_ARM)


def response_contrast(cohort: Cohort) -> pd.DataFrame:
    """Return the Miettinen–Nurminen difference, the odds ratio, and Fisher's and the CMH test.

    With randomisation strata the odds ratio is Mantel–Haenszel's over them and ``p_cmh`` the
    Cochran–Mantel–Haenszel test without continuity correction. Without strata it is the conditional
    maximum-likelihood odds ratio with exact limits (R's ``fisher.test``) and ``p_cmh`` is empty. An infinite odds
    ratio or limit is empty.

    Returns
    -------
    pd.DataFrame
        Columns `RESPONSE_CONTRAST`; no rows in a single-arm study.
    """
    cohort = cohort.analysed()
    rows = []
    for name, _ in _endpoints(cohort, "response") if cohort.randomised else []:
        part = _answered(cohort.subjects, name)
        event = part["event"].to_numpy()
        arm = part["arm_code"].to_numpy(dtype=float)
        totals = [int((arm == code).sum()) for code in (0, 1)]
        responders = [int(event[arm == code].sum()) for code in (0, 1)]
        strata = _strata(cohort, part)
        if strata is None:
            ratio, p_cmh = odds_ratio(responders, totals), NAN
        else:
            pooled = mantel_haenszel(event, arm, strata)
            ratio, p_cmh = pooled.odds_ratio, pooled.test.p
        ratio = [value if np.isfinite(value) else NAN for value in ratio]
        difference = rate_difference(responders, totals)
        rows.append([name, *difference, *ratio, fisher_p(responders, totals), p_cmh])
    return _table(rows, RESPONSE_CONTRAST)


def levels_of_factor(values: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Return a level index (-1 missing) of every subject and the levels' labels.

    Text and numbers of few values go by value, in order; numbers of many values are split at the median of
    those given.
    """
    numeric = pd.api.types.is_numeric_dtype(values)
    if not numeric:
        text = values.astype("object").where(values.notna(), "").astype(str).to_numpy(dtype=object)
        labels = sorted({word for word in text if word != ""})
        place = {label: i for i, label in enumerate(labels)}
        return np.array([place.get(word, -1) for word in text], dtype=int), labels
    number = values.to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(number)
    distinct = np.unique(number[known])
    if len(distinct) <= MOST_LEVELS:
        code = np.where(known, np.searchsorted(distinct, np.where(known, number, 0.0)), -1)
        return code, [f"{value:g}" for value in distinct]
    middle = float(np.median(number[known]))
    if middle >= distinct[-1]:
        middle = float(distinct[-2])  # more than half share the largest value
    code = np.where(known, (number > middle).astype(int), -1)
    return code, [f"≤ {middle:g}", f"> {middle:g}"]


def _effect(part: pd.DataFrame, strata: np.ndarray | None, survival: bool) -> tuple[Interval, str]:
    """Return the treatment effect with profile limits, and what was fitted or why there is none."""
    arm = part["arm_code"].to_numpy(dtype=float)
    if len(np.unique(arm)) < 2 or not part["event"].sum() > 0:
        return NOTHING, "not estimable: one arm, or no event"
    if not survival and not _mixed(part["event"].to_numpy(), strata).any():
        return NOTHING, "not estimable: all outcomes alike"
    # Firth's penalty in logistic models, and where there is no finite maximum: as in the models of biomarkers
    fit, position = _fit(part, arm[:, None], strata, survival, firth=not survival)
    if fit.separated:
        fit, position = _fit(part, arm[:, None], strata, survival, firth=True)
    if not fit.converged or np.isnan(fit.coefficients[position]):
        return NOTHING, fit.note or "not estimable"
    return _ratio(fit.interval(position)), fit.method


def _mixed(event: np.ndarray, strata: np.ndarray | None) -> np.ndarray:
    """Which subjects are in a stratum whose outcomes are not all alike: the others say nothing of an odds ratio."""
    if strata is None:
        return np.full(len(event), 0 < event.sum() < len(event))
    code, size = np.unique(strata, return_inverse=True, return_counts=True)[1:]
    positive = np.bincount(code, weights=event)
    return ((positive > 0) & (positive < size))[code]


def _fit(
    part: pd.DataFrame,
    columns: np.ndarray,
    strata: np.ndarray | None,
    survival: bool,
    *,
    firth: bool,
) -> tuple[Fit, int]:
    """Fit the endpoint's model; return it and where the first of `columns` is among its coefficients."""
    event = part["event"].to_numpy()
    if survival:
        return fit_cox(part["time"].to_numpy(), event, columns, strata, firth=firth), 0
    if strata is None:
        return fit_logistic(event, columns, firth=firth), 1
    kept = _mixed(event, strata)
    if not kept.any():
        kept[:] = True
    present = np.unique(strata[kept])[1:]
    indicators = (strata[kept, None] == present).astype(float)
    design = np.hstack([indicators, columns[kept]])
    return fit_logistic(event[kept], design, firth=firth), 1 + len(present)


def _interaction_p(
    part: pd.DataFrame, code: np.ndarray, strata: np.ndarray | None, survival: bool
) -> float:
    """Return the likelihood-ratio p of arm × factor, all levels at once; NaN if not testable."""
    arm = part["arm_code"].to_numpy(dtype=float)
    levels = np.unique(code)[1:]
    if not len(levels) or len(np.unique(arm)) < 2:
        return NAN
    main = np.column_stack([arm, *((code == level).astype(float) for level in levels)])
    full = np.column_stack([main, *(arm * (code == level) for level in levels)])
    small, _ = _fit(part, main, strata, survival, firth=False)
    large, _ = _fit(part, full, strata, survival, firth=False)
    known = [fit.converged or fit.separated for fit in (small, large)]
    df = float((~large.aliased).sum() - (~small.aliased).sum())
    if not all(known) or df < 1:
        return NAN
    return float(chi_square_p(max(2 * (large.loglik - small.loglik), 0.0), df))


def subgroups(cohort: Cohort, endpoint: str, factors: Sequence[str]) -> pd.DataFrame:
    """Return the treatment effect within each level of clinical factors, as a forest plot prints it.

    Parameters
    ----------
    cohort : Cohort
        Two arms.
    endpoint : str
        A time_to_event or response endpoint.
    factors : sequence of str
        Columns of the subjects; numbers of more than five values are split at the median.

    Returns
    -------
    pd.DataFrame
        First everybody (factor ``all``), then a row a level: `SUBGROUP_COUNTS`, ``hr`` (Cox) or ``odds_ratio``
        (logistic) with profile limits, both stratified by the randomisation strata, ``p_interaction_lrt`` of the
        factor (repeated; over the subjects with the factor known), ``method`` (Firth's penalty in logistic models, and
        where there is no finite maximum). No rows in a single-arm study.
    """
    cohort = cohort.analysed()
    survival = cohort.study["endpoints"][endpoint]["type"] != "response"
    name = "hr" if survival else "odds_ratio"
    columns = [
        *SUBGROUP_COUNTS,
        name,
        f"{name}_low",
        f"{name}_high",
        "p_interaction_lrt",
        "method",
    ]
    column = f"{endpoint}_months" if survival else endpoint
    if not cohort.randomised or column not in cohort.subjects:
        return _table([], columns)
    part = _timed(cohort.subjects, endpoint) if survival else _answered(cohort.subjects, endpoint)
    strata = _strata(cohort, part)

    def row(factor: str, label: str, inside: np.ndarray, p: float) -> list[Any]:
        level = part[inside]
        arm, event = level["arm_code"].to_numpy(dtype=float), level["event"].to_numpy()
        effect, method = _effect(level, None if strata is None else strata[inside], survival)
        counts = [int((arm == 0).sum()), int((arm == 1).sum())]
        events = [int(event[arm == 0].sum()), int(event[arm == 1].sum())]
        return [factor, label, *counts, *events, *effect, p, method]

    rows = [row("all", "all", np.ones(len(part), bool), NAN)]
    for factor in factors:
        code, labels = levels_of_factor(part[factor])
        known = code >= 0
        p = _interaction_p(
            part[known], code[known], None if strata is None else strata[known], survival
        )
        rows += [row(factor, label, code == i, p) for i, label in enumerate(labels)]
    return _table(rows, columns)


def all_subgroups(cohort: Cohort, factors: Sequence[str]) -> pd.DataFrame:
    """Return `subgroups` of every time_to_event and response endpoint, with a column endpoint in front.

    ``hr`` is empty for responses and ``odds_ratio`` for times.
    """
    effects = [f"{name}{side}" for name in ("hr", "odds_ratio") for side in ("", "_low", "_high")]
    columns = ["endpoint", *SUBGROUP_COUNTS, *effects, "p_interaction_lrt", "method"]
    rows = []
    for name, _ in _endpoints(cohort, "time_to_event", "response"):
        table = subgroups(cohort, name, factors)
        for record in table.to_dict("records"):
            rows.append([name, *(record.get(column, NAN) for column in columns[1:])])
    return _table(rows, columns)


def biomarker_evaluable(cohort: Cohort, domain: str) -> np.ndarray:
    """Return which subjects have an evaluable baseline result of any marker of a domain, shape (n,)."""
    markers = cohort.markers.select(timepoint=cohort.study["baseline"], domain=domain)
    return np.isin(markers.state, (MEASURED, BELOW, ABOVE)).any(axis=0)


def evaluable(cohort: Cohort) -> pd.DataFrame:
    """Return the outcomes of who is evaluable for each kind of biomarker beside those of everybody.

    Parameters
    ----------
    cohort : Cohort
        With the markers of every domain. Their baseline characteristics are in `table_one`.

    Returns
    -------
    pd.DataFrame
        Columns `EVALUABLE`, a row an endpoint × ``subjects`` (``all``; ``blood``, ``tissue``, ``alterations``: with an evaluable
        baseline result of any marker of it; domains without markers have no row) × arm (``all`` first, where there are
        two). ``estimate`` is the median in months (log-log limits) or the response rate (Clopper–Pearson);
        ``treatment_effect`` of the rows of both arms is the hazard or odds ratio of the endpoint's model;
        ``p_evaluable_lrt`` compares those evaluable with the others, within strata and beside the arm.
    """
    cohort = cohort.analysed()
    measured = [name for name in DOMAINS if cohort.markers.info["domain"].eq(name).any()]
    groups = {"all": np.ones(len(cohort.subjects), bool)}
    groups |= {name: biomarker_evaluable(cohort, name) for name in measured}
    rows: list[list[Any]] = []
    for name, endpoint in _endpoints(cohort, "time_to_event", "response"):
        survival = endpoint["type"] != "response"
        for group, inside in groups.items():
            subjects = cohort.subjects.assign(inside=inside)
            whole = _timed(subjects, name) if survival else _answered(subjects, name)
            part = whole[whole["inside"].to_numpy(dtype=bool)]
            effect = NOTHING
            if cohort.randomised and len(part):
                effect, _ = _effect(part, _strata(cohort, part), survival)
            p = _evaluable_p(cohort, whole, survival)
            arms = _by_arm(cohort, part)
            for label, arm in [("all", part), *arms] if cohort.randomised else arms:
                first = len(arms) == 1 or label == "all"
                n, events = len(arm), int(arm["event"].sum())
                if survival:
                    estimate = KaplanMeier(arm["time"].to_numpy(), arm["event"].to_numpy()).median()
                else:
                    estimate = clopper_pearson(events, n)
                ends = [*effect, p] if first else [*NOTHING, NAN]
                measure = "hazard_ratio" if survival else "odds_ratio"
                rows.append([name, group, label, n, events, *estimate, measure, *ends])
    return _table(rows, EVALUABLE)


def _evaluable_p(cohort: Cohort, whole: pd.DataFrame, survival: bool) -> float:
    """Return the likelihood-ratio p of being evaluable beside the arm; NaN where everybody is, or nobody."""
    inside = whole["inside"].to_numpy(dtype=float)
    if not len(inside) or len(np.unique(inside)) < 2:
        return NAN
    columns = [inside, whole["arm_code"].to_numpy(dtype=float)] if cohort.randomised else [inside]
    strata = _strata(cohort, whole)
    fit, position = _fit(whole, np.column_stack(columns), strata, survival, firth=False)
    return float(fit.test(position, "lrt").p)


def standardised_difference(first: np.ndarray, second: np.ndarray) -> float:
    """Return the absolute standardised difference of two groups, NaN where not estimable.

    Parameters
    ----------
    first, second : np.ndarray, shape (n, c)
        One column of numbers, or the indicators of all but one level. Difference of means over the root of
        the mean variance; for several levels the Mahalanobis distance (pseudo-inverse).

    References
    ----------
    Austin PC. Statistics in Medicine 2009;28:3083-3107. Yang D, Dalton JE. SAS Global Forum 2012, 335.
    """
    if len(first) < 2 or len(second) < 2 or first.shape[1] == 0:
        return NAN
    gap = first.mean(axis=0) - second.mean(axis=0)
    if first.shape[1] == 1 and len(np.unique(np.concatenate([first, second]))) > 2:
        spread = (first.var(axis=0, ddof=1) + second.var(axis=0, ddof=1)) / 2
        return float(abs(gap[0]) / np.sqrt(spread[0])) if spread[0] > 0 else NAN
    covariance = np.zeros((len(gap), len(gap)))
    for group in (first, second):
        p = group.mean(axis=0)
        covariance += (np.diag(p) - np.outer(p, p)) / 2
    if not np.trace(covariance) > 0:
        return 0.0 if not gap.any() else NAN
    return float(np.sqrt(gap @ np.linalg.pinv(covariance, hermitian=True) @ gap))


def table_one(cohort: Cohort, columns: Sequence[str]) -> pd.DataFrame:
    """Return baseline characteristics: everybody, by arm, and who is biomarker-evaluable.

    Parameters
    ----------
    cohort : Cohort
        With the markers of every domain (blood, tissue, alterations): evaluable in it is who has an
        evaluable baseline result of any of its markers.
    columns : sequence of str
        Columns of the subjects table. Numbers of more than five values by median and quartiles, all else by
        counts and fractions of those known.

    Returns
    -------
    pd.DataFrame
        Columns `TABLE_ONE`, a row a statistic (n, median, q1, q3, count, fraction, missing).
        ``smd_arms`` compares the arms, ``smd_evaluable_{domain}`` the evaluable with the others; on the first row of
        each variable. Control and experimental are empty in a single-arm study, as is a domain without markers.
    """
    cohort = cohort.analysed()
    subjects = cohort.subjects
    measured = [cohort.markers.info["domain"].eq(domain).any() for domain in DOMAINS]
    evaluable = [biomarker_evaluable(cohort, domain) for domain in DOMAINS]
    everybody = np.ones(len(subjects), bool)
    nobody = np.zeros(len(subjects), bool)
    arm = (
        subjects["arm_code"].to_numpy(dtype=float)
        if cohort.randomised
        else np.full(len(subjects), NAN)
    )
    control, experimental = (arm == 0, arm == 1) if cohort.randomised else (nobody, nobody)
    groups = [everybody, control, experimental, *evaluable]
    shown = [True, cohort.randomised, cohort.randomised, *measured]

    def line(statistic: Any, smd: Sequence[float] = (NAN,) * (1 + len(DOMAINS))) -> list[float]:  # noqa: ANN401
        first, *others = [
            float(statistic(group)) if show else NAN
            for group, show in zip(groups, shown, strict=True)
        ]
        pairs = [number for pair in zip(others[2:], smd[1:], strict=True) for number in pair]
        return [first, *others[:2], smd[0], *pairs]

    rows: list[list[Any]] = [["subjects", "", "n", *line(np.sum)]]
    for name in columns:
        values = subjects[f"{name}{GIVEN}" if f"{name}{GIVEN}" in subjects else name]
        many = pd.api.types.is_numeric_dtype(values) and values.dropna().nunique() > MOST_LEVELS
        block: list[tuple[str, str, Any]] = []
        if many:
            number = values.to_numpy(dtype=float, na_value=np.nan)
            known = np.isfinite(number)
            matrix = number[:, None]
            for label, q in (("median", 50), ("q1", 25), ("q3", 75)):

                def quartile(group: np.ndarray, q: int = q) -> float:
                    inside = number[group & known]  # noqa: B023
                    return np.percentile(inside, q) if len(inside) else NAN

                block.append(("", label, quartile))
        else:
            code, labels = levels_of_factor(values)
            known = code >= 0
            matrix = (code[:, None] == np.arange(1, max(len(labels), 1))).astype(float)
            for i, label in enumerate(labels):
                inside = code == i

                def count(group: np.ndarray, inside: np.ndarray = inside) -> float:
                    return (group & inside).sum()

                def fraction(
                    group: np.ndarray, inside: np.ndarray = inside, known: np.ndarray = known
                ) -> float:
                    total = (group & known).sum()
                    return (group & inside).sum() / total if total else NAN

                block.append((label, "count", count))
                block.append((label, "fraction", fraction))

        def missing(group: np.ndarray, known: np.ndarray = known) -> float:
            return (group & ~known).sum()

        block.append(("", "missing", missing))
        differences = [
            standardised_difference(matrix[one & known], matrix[other & known])
            for one, other in [
                (control, experimental),
                *((inside, ~inside) for inside in evaluable),
            ]
        ]
        for i, (level, statistic, value) in enumerate(block):
            smd = {"smd": differences} if i == 0 else {}
            rows.append([name, level, statistic, *line(value, **smd)])
    return _table(rows, TABLE_ONE)


def historical(cohort: Cohort) -> pd.DataFrame:
    """Return a single arm's results beside the historical values that the configuration states.

    A rate is compared by the exact binomial test. A median is compared by the one-sample log-rank test:
    observed events against those that exponential survival with the historical median would give over
    the same follow-up. Neither allows for the historical value's own error, nor for who was treated then.

    Returns
    -------
    pd.DataFrame
        Columns `HISTORICAL`; ``measure`` is ``rate`` (a fraction) or ``median_months``. No rows in a randomised study or
        where no value is stated.
    """
    cohort = cohort.analysed()
    rows = []
    if cohort.randomised:
        return _table(rows, HISTORICAL)
    for name, endpoint in _endpoints(cohort, "response", "time_to_event", "duration_of_response"):
        stated = endpoint.get("historical")
        if not stated:
            continue
        value, source = float(stated["value"]), str(stated.get("source", ""))
        if endpoint["type"] == "response":
            if stated.get("unit") == "percent":
                value /= 100
            part = _answered(cohort.subjects, name)
            events = int(part["event"].sum())
            rate = clopper_pearson(events, len(part))
            p = binomial_p(events, len(part), value)
            rows.append(
                [name, "rate", len(part), events, *rate, value, source, value * len(part), p, NAN]
            )
            continue
        part = _timed(cohort.subjects, name)
        time, event = part["time"].to_numpy(), part["event"].to_numpy()
        median = KaplanMeier(time, event).median()
        hazard = float(np.log(2) / value) if value > 0 else NAN
        p = one_sample_logrank(time, event, hazard).p
        rows.append(
            [
                name,
                "median_months",
                len(part),
                int(event.sum()),
                *median,
                value,
                source,
                hazard * float(time.sum()),
                NAN,
                p,
            ]
        )
    return _table(rows, HISTORICAL)
