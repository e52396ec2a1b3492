"""How a biomarker runs over the visits, by arm: a mixed model constrained at baseline.

Randomisation makes the arms alike at baseline, so the model gives them one mean there, and each arm its own
mean at every later timepoint (constrained longitudinal data analysis). Who lacks a sample still counts with
those that are there. Palbociclib is given two weeks of three: the same visit may be on drug or off it, so the
difference between the arms is also read by the days since the last dose instead of by visit.

References
----------
Liang K-Y, Zeger SL. Sankhyā B 2000;62:134-148. Liu GF et al. Statistics in Medicine 2009;28:2509-2530.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort
from correlatives.markers import MISSING, Markers
from correlatives.multiplicity import benjamini_hochberg
from correlatives.pairing import (
    RESULTS,
    TISSUE,
    TISSUE_NAME,
    names_with_assay,
    not_at_progression,
    of_specimen,
    quantities,
    sample_months,
    specimens,
)
from correlatives.resistance.pairs import arm_masks
from correlatives.tables.limits import analysis_values

COLUMNS = [
    "biomarker",
    "specimen",
    "scale",
    "quantity",
    "timepoint",
    "arm",
    "n",
    "estimate",
    "estimate_low",
    "estimate_high",
    "p_t",
    "p_f",
    "q_value",
    "subjects",
    "observations",
    "fraction_censored",
    "converged",
    "note",
]

#: Rows of a biomarker: means and changes of an arm, differences of the arms' changes by visit, all of these
#: together, and differences by days since the last dose.
MEAN, CHANGE, DIFFERENCE, OVERALL = "mean", "change", "difference", "arm × time"
BY_DOSING = "difference by dosing"

#: Days since the last dose of the drug, up to which a sample is in each class.
DOSING = (
    (2.0, "on the drug (last dose up to 2 days before)"),
    (7.0, "off the drug for 3 to 7 days"),
    (np.inf, "off the drug for more than 7 days"),
)
BEFORE_FIRST_DOSE = "before the first dose"

#: Subjects with a value that a timepoint (of an arm) needs to be in the model, and degrees of freedom.
LEAST_SUBJECTS = 5
LEAST_FREEDOM = 5

#: A standard error below this share of the model's largest is none: a visit's values do not vary.
LEAST_ERROR = 1e-6

#: What the note says of these.
NO_VARIATION = "no limits or test: values that do not vary"
NO_JOINT_TEST = "no joint test: too few degrees of freedom, or values that do not vary"

#: Logarithms of the variance between over that within subjects among which the maximum is searched; the least is none.
RATIOS = (-15.0, 15.0)

#: A variance within subjects below this share of the values' own is none: the model fits every value.
LEAST_WITHIN = 1e-12

#: A share of the variance between subjects below which the model is least squares.
NO_VARIANCE = 1e-6


@dataclass(frozen=True)
class Series:
    """Values of one biomarker, one row an observation.

    Attributes
    ----------
    value : np.ndarray of float, shape (m,)
        On the scale of analysis.
    subject, visit : np.ndarray of int, shape (m,)
        Position of the subject; position of the timepoint, 0 being the baseline.
    experimental : np.ndarray of bool, shape (m,)
    dosing : np.ndarray of str, shape (m,)
        Class of days since the last dose, "" where not known or not given.
    """

    value: np.ndarray
    subject: np.ndarray
    visit: np.ndarray
    experimental: np.ndarray
    dosing: np.ndarray

    def where(self, keep: np.ndarray) -> Series:
        """Return some of the observations."""
        return Series(*(part[keep] for part in vars(self).values()))


@dataclass(frozen=True)
class Fit:
    """A mixed model with a random intercept a subject, by restricted maximum likelihood.

    Attributes
    ----------
    coefficients : np.ndarray, shape (k,)
    covariance : np.ndarray, shape (k, k)
        Robust: from the residuals of each subject, whatever their covariance is.
    influence : np.ndarray, shape (subjects, k, m)
        What each subject's observations and the others' put into its share of the covariance.
    subject : np.ndarray of int, shape (m,)
        Code of each observation's subject, from 0, in ascending order.
    within, between : float
        Variances of the model: of an observation, and of the subjects' own levels.
    converged : bool
    note : str
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    influence: np.ndarray
    subject: np.ndarray
    within: float
    between: float
    converged: bool
    note: str

    def freedom(self, weights: np.ndarray) -> float:
        """Return Satterthwaite's degrees of freedom of a contrast's variance under the model."""
        shares = np.tensordot(weights, self.influence, axes=(0, 1))
        starts = np.flatnonzero(np.diff(self.subject, prepend=-1))
        of_subject = np.add.reduceat(shares, starts, axis=1)
        # The model's covariance of the observations is within · I and between in every block of a subject.
        products = self.within * (shares @ shares.T) + self.between * (of_subject @ of_subject.T)
        return float(np.trace(products) ** 2 / (products**2).sum())

    def contrast(self, weights: np.ndarray) -> tuple[float, float, float, float]:
        """Return a contrast with its 95 % limits and two-sided p (t); NaN of these where its values do not vary."""
        from scipy import stats

        estimate = float(weights @ self.coefficients)
        error = float(np.sqrt(max(weights @ self.covariance @ weights, 0.0)))
        if not error > LEAST_ERROR * np.sqrt(self.covariance.diagonal().max()):
            return estimate, np.nan, np.nan, np.nan
        freedom = self.freedom(weights)
        half = float(stats.t.ppf(0.975, freedom)) * error
        p = float(2.0 * stats.t.sf(abs(estimate) / error, freedom))
        return estimate, estimate - half, estimate + half, p

    def joint_p(self, columns: Sequence[int]) -> float:
        """Test that several coefficients are all zero: Hotelling's T² at the least of their degrees of freedom.

        NaN with too few degrees of freedom, and where some of the coefficients vary together, or not at all.
        """
        from scipy import stats

        columns = list(columns)
        error = np.sqrt(self.covariance.diagonal())
        if not (error[columns] > LEAST_ERROR * error.max()).all():
            return np.nan
        shape = (self.covariance / np.outer(error, error))[np.ix_(columns, columns)]
        if np.linalg.matrix_rank(shape, tol=LEAST_ERROR, hermitian=True) < len(columns):
            return np.nan
        b = self.coefficients[columns]
        unit = np.eye(len(self.coefficients))
        freedom = min(self.freedom(unit[column]) for column in columns)
        squared = float(b @ np.linalg.solve(self.covariance[np.ix_(columns, columns)], b))
        second = freedom - len(b) + 1.0
        if second <= 0:
            return np.nan
        return float(stats.f.sf(squared * second / (freedom * len(b)), len(b), second))


def longitudinal(
    cohort: Cohort, from_: str, to: str, drug: str = "", *, at_progression: bool = True
) -> pd.DataFrame:
    """Fit the mixed model of every biomarker that was followed: ``resistance/longitudinal.tsv``.

    Parameters
    ----------
    cohort : Cohort
    from_, to : str
        Timepoints of the baseline and of resistance.
    drug : str
        The drug whose doses place a sample on or off it (configuration: ``resistance.drug``); its name
        in the doses table. Where that has none, `days_since_last_dose` of the samples speaks.
    at_progression : bool
        Whether samples at `to` of subjects who stopped without progression are set aside.

    Returns
    -------
    pd.DataFrame
        Of every continuous biomarker with results at baseline and at two or more later timepoints
        (one, if the dictionary states a hypothesis; the paired change says the rest), on the scale of
        the dictionary's transform, `quantity`:

        - ``mean`` and ``change`` of each arm (one mean for both arms at baseline, arm ``all``);
        - ``difference``: experimental minus control change at a timepoint, ``arm × time``: all of them
          tested together (`p_f`);
        - ``difference by dosing``: experimental minus control by days since the last dose, visits held
          equal; `timepoint` names the class.

        `n` are the subjects with a value there, `subjects` and `observations` those of the model. Limits
        and p-values are robust (`fit_mixed_model`). A model that did not converge has no numbers, `converged` false and a
        `note`. `q_value` is Benjamini–Hochberg's over the biomarkers within specimen, quantity,
        timepoint and arm.
    """
    blocks = []
    markers = quantities(cohort.markers)
    for specimen in specimens(markers):
        listed = _timepoints(cohort, markers, specimen, from_)
        if len(listed) < 2:
            continue
        for followed in _followed(cohort, markers, specimen, listed, to, drug, at_progression):
            blocks.append(_rows(*followed, listed, cohort))
    blocks = [block for block in blocks if len(block)]
    if not blocks:
        return pd.DataFrame(columns=COLUMNS)
    table = pd.concat(blocks, ignore_index=True)
    family = table.groupby(["specimen", "quantity", "timepoint", "arm"], sort=False).indices
    for rows in family.values():
        column = "p_f" if table["quantity"].iloc[rows[0]] == OVERALL else "p_t"
        table.loc[rows, "q_value"] = benjamini_hochberg(table[column].to_numpy(dtype=float)[rows])
    return table[COLUMNS]


def fit_mixed_model(value: np.ndarray, design: np.ndarray, subject: np.ndarray) -> Fit:
    """Fit a linear mixed model with a random intercept a subject, and robust standard errors.

    A random intercept takes all visits to vary alike and to be alike correlated, which they are not: progression
    samples vary more than early ones. Model-based standard errors then test at 0.18 to 0.31 instead of 0.05 (46
    subjects, by simulation; tests/calibration). So the covariance is the sandwich over subjects with the
    correction of Mancl and DeRouen, and the degrees of freedom are Satterthwaite's.

    Parameters
    ----------
    value : np.ndarray, shape (m,)
    design : np.ndarray, shape (m, k)
        Of full rank; the first column is the intercept.
    subject : np.ndarray of int, shape (m,)

    Returns
    -------
    Fit
        Where no variance between subjects is found the estimate is that of least squares, which the note
        says. Not converged: NaN.

    References
    ----------
    Mancl LA, DeRouen TA. Biometrics 2001;57:126-134. Bell RM, McCaffrey DF. Survey Methodology 2002;28:169-181.
    """
    m, k = design.shape
    order = np.argsort(subject, kind="stable")
    value, design, subject = value[order], design[order], subject[order]
    subject = np.unique(subject, return_inverse=True)[1]
    nothing = Fit(
        np.full(k, np.nan),
        np.full((k, k), np.nan),
        np.zeros((0, k, m)),
        subject,
        *(np.nan, np.nan, False, ""),
    )
    if m - len(np.unique(subject)) - (k - 1) < LEAST_FREEDOM:
        return replace(nothing, note="too few observations for the model")
    spread = float(value.std())
    if not spread > 0:
        return replace(nothing, note="all values are the same")
    value = value / spread
    found = _restricted_maximum(value, design, subject)
    if found is None:
        return replace(nothing, note="the model did not converge")
    coefficients, within, between = found
    same = subject[:, None] == subject[None, :]
    # The inverse of each subject's block: (I − shrink · 1 1ᵀ) / within.
    size = same.sum(axis=1)
    weight = (np.eye(m) - same * (between / (within + size * between))[:, None]) / within
    bread = np.linalg.inv(design.T @ weight @ design)
    hat = design @ bread @ design.T @ weight
    rest = np.eye(m) - hat
    influence = []
    for rows in np.split(np.arange(m), np.flatnonzero(np.diff(subject)) + 1):
        own = np.linalg.solve(rest[np.ix_(rows, rows)], rest[rows])
        influence.append(bread @ design[rows].T @ weight[np.ix_(rows, rows)] @ own)
    influence = np.array(influence)
    shares = influence @ value
    return Fit(
        coefficients * spread,
        shares.T @ shares * spread**2,
        influence,
        subject,
        within,
        between,
        True,
        ""
        if between > NO_VARIANCE * (between + within)
        else "no variance between subjects: least squares",
    )


def _restricted_maximum(
    value: np.ndarray, design: np.ndarray, subject: np.ndarray
) -> tuple[np.ndarray, float, float] | None:
    """Return coefficients, variance within and between subjects at the maximum of the restricted likelihood.

    Given the ratio of the two variances the rest has a closed form, so that one number is searched: over a grid first,
    which no start or order of subjects can mislead. None where the maximum is not inside the grid, or nothing is left
    within subjects.
    """
    from scipy.optimize import minimize_scalar

    m, k = design.shape
    # About their mean, which the intercept takes: sums of squares keep their digits.
    centre = value.mean()
    columns = np.column_stack([design, value - centre])
    squares = columns.T @ columns
    totals = np.zeros((subject.max() + 1, k + 1))
    np.add.at(totals, subject, columns)
    counts = np.bincount(subject)
    sizes, number = np.unique(counts, return_counts=True)
    of_size = np.array([totals[counts == size].T @ totals[counts == size] for size in sizes])

    def solved(ratio: float) -> tuple[np.ndarray, float, float]:
        shrink = ratio / (1.0 + sizes * ratio)
        weighted = squares - np.tensordot(shrink, of_size, axes=1)
        beta = np.linalg.solve(weighted[:k, :k], weighted[:k, k])
        rest = float(weighted[k, k] - weighted[:k, k] @ beta)
        size = float(np.linalg.slogdet(weighted[:k, :k])[1] + number @ np.log1p(sizes * ratio))
        return beta, rest, size

    def deviance(logarithm: float) -> float:
        _, rest, size = solved(np.exp(logarithm))
        return (m - k) * np.log(rest) + size if rest > 0 else np.inf

    grid = np.linspace(*RATIOS, 61)
    try:
        heights = np.array([deviance(at) for at in grid])
        best = int(np.argmin(heights))
        if best == len(grid) - 1 or not np.isfinite(heights[best]):
            return None
        ratio = 0.0
        if best:
            around = grid[best - 1], grid[best + 1]
            ratio = float(
                np.exp(minimize_scalar(deviance, around, bounds=around, options={"xatol": 1e-9}).x)
            )
        coefficients, rest, _ = solved(ratio)
    except np.linalg.LinAlgError:
        return None
    within = rest / (m - k)
    if not (within > LEAST_WITHIN and np.isfinite(coefficients).all()):
        return None
    coefficients[0] += centre
    return coefficients, within, ratio * within


def _timepoints(cohort: Cohort, markers: Markers, specimen: str, from_: str) -> list[str]:
    """Return the baseline and the later timepoints of a specimen, in order."""
    of = TISSUE if specimen == TISSUE_NAME else (specimen,)
    found = set(markers.info.loc[markers.info["specimen"].isin(of), "timepoint"])
    if from_ not in found:
        return []
    listed = list(cohort.study.get("timepoints", []))
    after = listed[listed.index(from_) + 1 :] if from_ in listed else listed
    after += sorted(found - set(listed))
    return [from_, *(name for name in after if name in found and name != from_)]


def _followed(
    cohort: Cohort,
    markers: Markers,
    specimen: str,
    listed: list[str],
    to: str,
    drug: str,
    at_progression: bool,
) -> list[tuple[pd.Series, Series, float, str]]:
    """Return each biomarker's description, observations, share censored and note."""
    n = len(cohort.subjects)
    parts = [of_specimen(markers, specimen, timepoint) for timepoint in listed]
    names = names_with_assay(parts[0])
    hypothesis = parts[0].info["hypothesis"].fillna("").astype(str).to_numpy()
    value = np.full((len(names), len(listed), n), np.nan)
    state = np.full(value.shape, MISSING, dtype=np.uint8)
    for visit, part in enumerate(parts):
        _, here, there = np.intersect1d(names, names_with_assay(part), return_indices=True)
        value[here, visit], state[here, visit] = part.value[there], part.state[there]
        if at_progression and listed[visit] == to:
            set_aside = not_at_progression(cohort, sample_months(cohort, specimen, to)) != ""
            state[:, visit, set_aside] = MISSING
    state[~np.isin(state, RESULTS)] = MISSING
    enough = (state != MISSING).sum(axis=2) >= LEAST_SUBJECTS
    later = enough[:, 1:].sum(axis=1)
    wanted = np.flatnonzero(enough[:, 0] & ((later >= 2) | ((later == 1) & (hypothesis != ""))))
    if not len(wanted):
        return []
    several = parts[0].info["biomarker"].duplicated(keep=False).to_numpy()
    # All timepoints go through the limits together, so that they are on one scale.
    stacked = analysis_values(
        Markers(
            np.tile(parts[0].subjects, len(listed)),
            parts[0].info.iloc[wanted].reset_index(drop=True),
            value[wanted].reshape(len(wanted), -1),
            state[wanted].reshape(len(wanted), -1),
        )
    )
    experimental = np.zeros(n, dtype=bool)
    if cohort.randomised:
        experimental = arm_masks(cohort)[1][1]
    dosing = np.array(
        [
            dosing_classes(cohort, specimen, timepoint, drug) if visit else np.full(n, "", object)
            for visit, timepoint in enumerate(listed)
        ],
        dtype=object,
    )
    found = []
    visits, subjects = (part.ravel() for part in np.indices((len(listed), n)))
    for row, place in enumerate(wanted):
        info = stacked.info.iloc[row].copy()
        if several[place]:
            info["biomarker"] = f"{info['biomarker']} ({info['assay']})"
        if stacked.kind[row] != parts[0].info["kind"].iloc[place]:
            found.append((info, None, stacked.fraction_censored[row], stacked.note[row]))
            continue
        keep = stacked.usable[row] & enough[place][visits]
        series = Series(
            np.where(keep, stacked.value[row], 0.0),
            subjects,
            visits,
            experimental[subjects],
            dosing.ravel(),
        ).where(keep)
        found.append((info, series, stacked.fraction_censored[row], stacked.note[row]))
    return found


def dosing_classes(cohort: Cohort, specimen: str, timepoint: str, drug: str) -> np.ndarray:
    """Return how long before each subject's sample the last dose of the drug was, in words of `DOSING`.

    Counted from the doses table (an interval's doses are daily) to the day of the sample; without such doses the
    samples' `days_since_last_dose` counts. "" where neither is known, and in the control arm.

    Returns
    -------
    np.ndarray of str, shape (n,)
    """
    n = len(cohort.subjects)
    words = np.full(n, "", dtype=object)
    of = TISSUE if specimen == TISSUE_NAME else (specimen,)
    samples = cohort.samples
    samples = samples[samples["timepoint"].eq(timepoint) & samples["specimen"].isin(of)]
    samples = samples.assign(unchosen=~samples["chosen"].fillna(False).astype(bool))
    samples = samples.sort_values(["unchosen", "sample_id"], kind="stable")
    samples = samples.drop_duplicates("subject_id").set_index("subject_id")
    ids = cohort.subjects["subject_id"]
    day = pd.to_numeric(samples["day"]).reindex(ids).to_numpy(dtype=float, copy=True)
    days = (
        pd.to_numeric(samples["days_since_last_dose"]).reindex(ids).to_numpy(dtype=float, copy=True)
    )
    doses = cohort.course
    doses = doses[
        doses["what"].eq("dose") & doses["name"].astype(str).str.casefold().eq(drug.casefold())
    ]
    if len(doses) and drug:
        by_subject = dict(list(doses.groupby("subject_id", sort=False)))
        for index, subject in enumerate(ids):
            given = by_subject.get(subject)
            if given is None or np.isnan(day[index]):
                continue
            start = given["start_day"].to_numpy(dtype=float)
            stop = np.fmax(given["stop_day"].to_numpy(dtype=float), start)
            begun = start < day[index]
            if not begun.any():
                words[index], days[index] = BEFORE_FIRST_DOSE, np.nan
                continue
            # The dose of the day itself is taken after the draw.
            days[index] = (day[index] - np.minimum(stop[begun], day[index] - 1)).min()
    for limit, label in reversed(DOSING):
        with np.errstate(invalid="ignore"):
            words[days <= limit] = label
    return np.where(_treated(cohort), words, "").astype(object)


def _treated(cohort: Cohort) -> np.ndarray:
    """Whether a subject is in the arm that gets the drug in question, shape (n,)."""
    return arm_masks(cohort)[-1][1]


def _rows(
    info: pd.Series,
    series: Series | None,
    censored: float,
    note: str,
    listed: list[str],
    cohort: Cohort,
) -> pd.DataFrame:
    """Return the rows of one biomarker."""
    common = {
        "biomarker": info["biomarker"],
        "specimen": info["specimen"],
        "scale": _scale(info),
        "fraction_censored": censored,
    }
    if series is None:
        row = {"quantity": OVERALL, "arm": "all", "converged": False, "note": note}
        return pd.DataFrame([common | row], columns=COLUMNS)
    arms = [label for label, _ in arm_masks(cohort)]
    visits = [v for v in range(1, len(listed)) if (series.visit == v).any()]
    labels = [(name, code) for code, name in enumerate(arms)]
    # A visit at which one arm has hardly anybody says nothing of a difference.
    compared = [
        v
        for v in visits
        if len(arms) == 2
        and min(
            ((series.visit == v) & (series.experimental == bool(code))).sum() for _, code in labels
        )
        >= LEAST_SUBJECTS
    ]
    if len(arms) == 2 and not compared:
        row = {"quantity": OVERALL, "arm": "all", "converged": False}
        row["note"] = "fewer than 5 subjects in an arm at every later timepoint"
        return pd.DataFrame([common | row], columns=COLUMNS)
    if len(arms) == 2:
        visits = compared
        series = series.where(np.isin(series.visit, [0, *visits]))
    k = len(visits)
    design = np.zeros((len(series.value), 1 + k * len(arms)))
    design[:, 0] = 1.0
    for place, visit in enumerate(visits):
        design[:, 1 + place] = series.visit == visit
        if len(arms) == 2:
            design[:, 1 + k + place] = (series.visit == visit) & series.experimental
    fit = fit_mixed_model(series.value, design, series.subject)
    common |= {
        "subjects": len(np.unique(series.subject)),
        "observations": len(series.value),
        "converged": fit.converged,
        "note": "; ".join(part for part in (note, fit.note) if part),
    }
    rows = []

    def add(quantity: str, timepoint: str, arm: str, n: int, weights: np.ndarray) -> None:
        estimate, low, high, p = fit.contrast(weights) if fit.converged else (np.nan,) * 4
        rows.append(
            common
            | {
                "quantity": quantity,
                "timepoint": timepoint,
                "arm": arm,
                "n": n,
                "estimate": estimate,
                "estimate_low": low,
                "estimate_high": high,
                "p_t": np.nan if quantity == MEAN else p,
                "note": _noted(common["note"], fit, low),
            }
        )

    unit = np.eye(design.shape[1])
    at = {visit: series.visit == visit for visit in (0, *visits)}
    add(MEAN, listed[0], "all", int(at[0].sum()), unit[0])
    for name, code in labels:
        of_arm = series.experimental == bool(code)
        for place, visit in enumerate(visits):
            weights = unit[1 + place] + (unit[1 + k + place] if code else 0.0)
            n = int((at[visit] & of_arm).sum())
            add(MEAN, listed[visit], name, n, unit[0] + weights)
            add(CHANGE, listed[visit], name, n, weights)
    if len(arms) == 2:
        for place, visit in enumerate(visits):
            add(DIFFERENCE, listed[visit], "all", int(at[visit].sum()), unit[1 + k + place])
        joint = range(1 + k, 1 + 2 * k)
        p_f = fit.joint_p(joint) if fit.converged else np.nan
        rows.append(
            common
            | {"quantity": OVERALL, "timepoint": "", "arm": "all", "p_f": p_f}
            | {"n": common["subjects"], "note": _noted(common["note"], fit, p_f, NO_JOINT_TEST)}
        )
        rows += _by_dosing(series, visits, design[:, : 1 + k], common, note)
    return pd.DataFrame(rows, columns=COLUMNS)


def _by_dosing(
    series: Series, visits: list[int], visits_design: np.ndarray, common: dict, note: str
) -> list[dict]:
    """Rows of the difference between the arms by days since the last dose.

    Later samples of the experimental arm without a known last dose are left out, and counted in the note.
    """
    later = (series.visit > 0) & series.experimental
    unknown = later & (series.dosing == "")
    keep = ~unknown
    classes = [
        label
        for label in (BEFORE_FIRST_DOSE, *(label for _, label in DOSING))
        if (later & (series.dosing == label)).sum() >= LEAST_SUBJECTS
    ]
    rare = later & ~unknown & ~np.isin(series.dosing, classes)
    keep &= ~rare
    if not classes:
        return []
    part = series.where(keep)
    inside = (part.visit > 0) & part.experimental
    columns = [inside & (part.dosing == label) for label in classes]
    design = np.column_stack([visits_design[keep], *columns]).astype(float)
    # A visit at which only the experimental arm is left cannot be told from its dosing.
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return []
    fit = fit_mixed_model(part.value, design, part.subject)
    left_out = int(unknown.sum() + rare.sum())
    notes = [note, fit.note]
    if left_out:
        notes.append(
            f"{left_out} samples left out: last dose not known, or fewer than 5 of a class"
        )
    rows = []
    for place, label in enumerate(classes):
        weights = np.zeros(design.shape[1])
        weights[1 + len(visits) + place] = 1.0
        estimate, low, high, p = fit.contrast(weights) if fit.converged else (np.nan,) * 4
        rows.append(
            common
            | {
                "quantity": BY_DOSING,
                "timepoint": label,
                "arm": "all",
                "n": int(columns[place].sum()),
                "estimate": estimate,
                "estimate_low": low,
                "estimate_high": high,
                "p_t": p,
                "subjects": len(np.unique(part.subject)),
                "observations": len(part.value),
                "converged": fit.converged,
                "note": _noted("; ".join(text for text in notes if text), fit, low),
            }
        )
    return rows


def _noted(note: str, fit: Fit, number: float, why: str = NO_VARIATION) -> str:
    """Add to a note why a model that converged has no such number."""
    missing = fit.converged and np.isnan(number)
    return "; ".join(filter(None, [note, why if missing else ""]))


def _scale(info: pd.Series) -> str:
    """Say what the estimates are in: the transform and the unit."""
    unit = str(info["unit"]) if pd.notna(info["unit"]) and info["unit"] else ""
    transform = str(info["transform"]) if pd.notna(info["transform"]) else ""
    if transform in ("", "none"):
        return unit
    return f"{transform} {unit}".strip()
