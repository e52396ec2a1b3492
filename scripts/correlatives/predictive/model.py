"""The model of every marker: treatment × marker interaction, and what is read from it.

Cox for a time to event, logistic for a response: arm + marker + arm × marker and covariates, stratified by
the randomisation strata (Cox: own baseline hazards; logistic: own intercepts). All markers of a
domain are fitted together. A number that cannot be estimated is NaN, and ``note`` says why.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from correlatives.binary import engine as responses
from correlatives.binary.logistic import fit_logistic_many, without_alike_strata
from correlatives.cohort import Cohort, Markers
from correlatives.firth import fit_firth_cox, fit_firth_logistic
from correlatives.intervals import Interval
from correlatives.likelihood import NO_EVENTS, ManyFits
from correlatives.predictive.carriers import subjects_differing
from correlatives.predictive.covariates import numeric_columns
from correlatives.predictive.proportionality import column_proportionality
from correlatives.predictive.randomisation import (
    ENOUGH,
    FOR_CLAIMS,
    ArmDraws,
    FarTail,
    RandomisationTest,
    draw_arms,
    is_wide,
    null_strata,
    randomisation_test,
)
from correlatives.predictive.rows import FACTOR, LONG_TAIL, Rows, marker_rows
from correlatives.predictive.screened import FEW_WORDS, shared_words
from correlatives.predictive.small_samples import (
    LEVEL,
    RATIOS,
    deviance_at_limits,
    limits_that_exist,
    needs_penalty,
)
from correlatives.survival import engine as survival_times
from correlatives.survival.cox import fit_cox_many

#: Columns of predictive/{endpoint}.tsv.
COLUMNS = [
    "biomarker",
    "specimen",
    "timepoint",
    "kind",
    "family",
    "prespecified",
    "contrast",
    "n",
    "events",
    "n_control",
    "n_experimental",
    "events_control",
    "events_experimental",
    "prevalence",
    "fraction_censored",
    "effect_measure",
    *(
        f"{name}{limit}"
        for name in (
            "marker_effect_control",
            "marker_effect_experimental",
            "treatment_effect_at_low",
            "treatment_effect_at_high",
            "interaction_ratio",
        )
        for limit in ("", "_low", "_high")
    ),
    "p_interaction_lrt",
    "p_randomisation",
    "p_fwer",
    "q_value",
    "p_prognostic",
    "p_ph",
    "minimum_detectable_ratio",
    "method",
    "note",
]

#: Columns of prognostic/{endpoint}.tsv: those above that one arm can fill, and the marker's effect.
PROGNOSTIC_COLUMNS = [
    "biomarker",
    "specimen",
    "timepoint",
    "kind",
    "family",
    "prespecified",
    "contrast",
    "n",
    "events",
    "prevalence",
    "fraction_censored",
    "effect_measure",
    "marker_effect",
    "marker_effect_low",
    "marker_effect_high",
    "q_value",
    "p_prognostic",
    "p_ph",
    "minimum_detectable_ratio",
    "method",
    "note",
]

#: What the gathering step needs besides (never published): score statistic, and family membership.
GATHERING = ["score_z", "in_family"]

#: Said of rows whose test of proportional hazards has no model to start from.
NO_PH = "p_ph: no finite maximum without the penalty"

#: Power at which the minimum detectable ratio is stated.
POWER = 0.8

_ROWS_A_BLOCK = 1024

#: Markers are dealt to threads here. A library that does so too has them wait for one another, ten times as long.
_one_thread_of_blas = threadpool_limits.wrap(limits=1, user_api="blas")


@dataclass(frozen=True)
class Outcome:
    """One endpoint of the subjects that can be analysed.

    Attributes
    ----------
    kept : np.ndarray of bool, shape (all subjects,)
        Subjects with the endpoint and all covariates; the other attributes have these only.
    survival : bool
        Time to event (Cox), else response (logistic).
    time : np.ndarray, shape (n,)
        Months; NaN for a response.
    event : np.ndarray, shape (n,)
        1 for an event or a response, else 0.
    arm : np.ndarray, shape (n,)
        0 control, 1 experimental; 0 in a single-arm study.
    strata : np.ndarray of int, shape (n,)
        Codes of the randomisation strata.
    covariates : np.ndarray, shape (n, number of covariates)
    """

    kept: np.ndarray
    survival: bool
    time: np.ndarray
    event: np.ndarray
    arm: np.ndarray
    strata: np.ndarray
    covariates: np.ndarray

    @property
    def stratified(self) -> bool:
        """Whether there is more than one stratum."""
        return len(self.strata) > 0 and bool((self.strata != self.strata[0]).any())


def outcome_of(cohort: Cohort, endpoint: str, covariates: Sequence[str] = ()) -> Outcome:
    """Take one endpoint of a cohort, for complete cases.

    Raises
    ------
    KeyError
        If the endpoint or a covariate does not exist.
    """
    subjects = cohort.subjects
    survival = cohort.study["endpoints"][endpoint]["type"] != "response"
    if survival:
        time = subjects[f"{endpoint}_months"].to_numpy(dtype=float)
        event = subjects[f"{endpoint}_event"].to_numpy(dtype=float)
    else:
        time = np.zeros(len(subjects))
        event = subjects[endpoint].to_numpy(dtype=float)
    _, values = numeric_columns(subjects, covariates, "predictive.covariates")
    kept = np.isfinite(time) & np.isfinite(event) & np.isfinite(values).all(axis=1)
    arm = subjects["arm_code"].to_numpy(dtype=float) if cohort.randomised else np.zeros(len(kept))
    return Outcome(
        kept=kept,
        survival=survival,
        time=time[kept],
        event=event[kept],
        arm=arm[kept],
        strata=subjects["stratum"].to_numpy(dtype=int)[kept],
        covariates=values[kept],
    )


def fit_designs(outcome: Outcome, designs: np.ndarray, include: np.ndarray) -> ManyFits:
    """Fit designs (p, n, k), stratified; a logistic model has its intercept first and its strata last."""
    if outcome.survival:
        strata = outcome.strata if outcome.stratified else None
        return fit_cox_many(outcome.time, outcome.event, designs, include, strata)
    if outcome.stratified:
        designs, include = _with_strata(outcome, designs, include)
    return fit_logistic_many(outcome.event, designs, include)


def fit_penalised(
    outcome: Outcome,
    designs: np.ndarray,
    include: np.ndarray,
    column: int,
    *,
    limits: bool,
    test: bool,
    deviance: np.ndarray | None = None,
    threads: int = 1,
) -> Column:
    """Fit designs (p, n, k) with Firth's penalty, stratified; one column's limits and test if wanted.

    `column` counts as in the fits: the intercept of a logistic model is 0.
    """
    options = {
        "columns": (column,),
        "limits": LEVEL if limits else None,
        "deviance": deviance,
        "test": test,
        "threads": threads,
    }
    if outcome.survival:
        strata = outcome.strata if outcome.stratified else None
        fits = fit_firth_cox(outcome.time, outcome.event, designs, include, strata, **options)
    else:
        if outcome.stratified:
            designs, include = _with_strata(outcome, designs, include)
        fits = fit_firth_logistic(outcome.event, designs, include, **options)
    # where all outcomes are alike an estimate would come from the penalty alone
    answered = include.sum(axis=1)
    happened = (include & (outcome.event == 1)).sum(axis=1)
    silent = (happened == 0) | ((not outcome.survival) & (happened == answered))
    known = np.where(silent, np.nan, 0.0)
    return Column(
        *(part + known for part in fits.intervals[0]),
        fits.tests[0].p + known,
        np.zeros(len(designs), dtype=bool),
        fits.aliased[:, column] & fits.converged,
        np.where(silent, NO_EVENTS, fits.note).astype(object),
        fits.coefficients,
        fits.covariance,
    )


def _with_strata(
    outcome: Outcome, designs: np.ndarray, include: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Add a column a stratum but the first, and leave out strata whose outcomes are all alike."""
    codes = np.unique(outcome.strata)
    member = (outcome.strata[:, None] == codes[1:]).astype(float)
    p, n, _ = designs.shape
    columns = np.broadcast_to(member, (p, n, len(codes) - 1))
    include = without_alike_strata(outcome.event, outcome.strata, include)
    return np.concatenate([designs, columns], axis=2), include


@dataclass
class Effects:
    """A coefficient of many models with profile limits, on the log scale, shape (p,) each."""

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    firth: np.ndarray
    p: np.ndarray
    reason: np.ndarray
    p_ph: np.ndarray = field(default_factory=lambda: np.zeros(0))


@dataclass
class Column:
    """One column of unpenalised (or penalised) fits: estimate, limits, test, and what stands against them.

    Arrays have shape (p,), but coefficients (p, k) and covariance (p, k, k), which are those of the fits.
    """

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    separated: np.ndarray
    lost: np.ndarray
    note: np.ndarray
    coefficients: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(
        cls, fits: ManyFits, column: int, interval: Interval | None, p: np.ndarray | None
    ) -> Column:
        """Take a column of fits, with the limits and p that are wanted."""
        nothing = np.full(len(fits), np.nan)
        estimate = fits.coefficients[:, column]
        return cls(
            *(interval or (estimate, nothing, nothing)),
            nothing if p is None else p,
            fits.separated,
            fits.aliased[:, column] & fits.converged,
            fits.note,
            fits.coefficients,
            fits.covariance,
        )

    @property
    def statistic(self) -> np.ndarray:
        """Likelihood-ratio statistic whose p the column holds, shape (p,)."""
        from scipy.special import chdtri

        known = np.isfinite(self.p)
        return np.where(known, chdtri(1.0, np.where(known, self.p, 1.0)), np.nan)

    def spread(self, rows: np.ndarray, p: int) -> Column:
        """Put the fits of some rows among p; the other rows hold nothing."""
        spread = []
        for part in vars(self).values():
            empty = {"O": "", "b": False}.get(part.dtype.kind, np.nan)
            whole = np.full((p, *part.shape[1:]), empty, dtype=part.dtype)
            whole[rows] = part
            spread.append(whole)
        return Column(*spread)

    def filled(self, other: Column, rows: np.ndarray) -> Column:
        """Return these fits with those of some rows taken from others."""
        parts = []
        for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True):
            part = mine.copy()
            part[rows] = theirs[rows]
            parts.append(part)
        return Column(*parts)

    def take(self, rows: np.ndarray) -> Column:
        """Return some rows."""
        return Column(*(part[rows] for part in vars(self).values()))


def effects_of(
    outcome: Outcome,
    designs: np.ndarray,
    include: np.ndarray,
    column: int,
    penalised: np.ndarray,
    *,
    fitted: Column | None = None,
    limits: bool = True,
    deviance: np.ndarray | None = None,
    test: bool = False,
    proportional: bool = False,
    threads: int = 1,
) -> Effects:
    """Estimate one column of each row's model; Firth where asked for, or where there is no finite maximum.

    `fitted` has the fits without penalty, if they were made already; `deviance` (p,) says how far limits reach, if not
    by the chi-square quantile. The test (likelihood ratio) is that of the model without penalty where it has a finite
    maximum, as papers print it, and so is that of proportional hazards.
    """
    p, _, k = designs.shape
    shift = 0 if outcome.survival else 1
    column = range(k)[column] + shift
    out = Effects(
        *(np.full(p, np.nan) for _ in range(3)),
        penalised.copy(),
        np.full(p, np.nan),
        np.full(p, "", dtype=object),
        np.full(p, np.nan),
    )
    # without penalty: estimates of those that need none; tests of all, as papers print them
    plain = fitted
    if plain is None:
        plain = _plain_column(outcome, designs, include, column, ~penalised, deviance, limits, test)
        if test or (proportional and outcome.survival):
            others = _plain_column(outcome, designs, include, column, penalised, None, False, test)
            plain = plain.filled(others, penalised)
    out.firth |= plain.separated
    _take(out, plain, ~out.firth, limits=limits)
    finite = ~plain.separated & np.isfinite(plain.estimate)
    if test:
        out.p[finite] = plain.p[finite]
    rows = np.flatnonzero(out.firth)
    if len(rows):
        part = fit_penalised(
            outcome,
            designs[rows],
            include[rows],
            column,
            limits=limits,
            deviance=None if deviance is None else deviance[rows],
            test=test,
            threads=threads,
        ).spread(rows, p)
        _take(out, part, out.firth, limits=limits)
        if test:
            out.p[out.firth & ~finite] = part.p[out.firth & ~finite]
    if proportional and outcome.survival:
        out.p_ph = column_proportionality(
            outcome.time,
            outcome.event,
            designs,
            include,
            outcome.strata if outcome.stratified else None,
            np.where(finite[:, None], plain.coefficients, np.nan),
            plain.covariance,
            column,
            threads=threads,
        )
    return out


def _plain_column(
    outcome: Outcome,
    designs: np.ndarray,
    include: np.ndarray,
    column: int,
    rows: np.ndarray,
    deviance: np.ndarray | None,
    limits: bool,
    test: bool,
) -> Column:
    """Fit some rows without penalty; the other rows hold nothing."""
    fits = fit_designs(outcome, designs[rows], include[rows])
    interval = None
    if limits:
        interval = fits.interval(column, deviance=None if deviance is None else deviance[rows])
    p = fits.test(column, "lrt").p if test else None
    return Column.of(fits, column, interval, p).spread(rows, len(designs))


def _take(out: Effects, part: Column, rows: np.ndarray, *, limits: bool) -> None:
    """Put estimates, limits and reasons of some rows into `out`."""
    out.estimate[rows] = part.estimate[rows]
    if limits:
        out.low[rows], out.high[rows] = part.low[rows], part.high[rows]
    reason = np.where(part.lost, "the data do not separate this effect from others", part.note)
    out.reason[rows] = np.where(np.isfinite(part.estimate), "", reason)[rows]


def _marker_column(
    outcome: Outcome,
    value: np.ndarray,
    include: np.ndarray,
    rows: np.ndarray,
    threads: int,
    deviance: np.ndarray | None = None,
    *,
    test: bool = False,
) -> Column | None:
    """Fit one column and the covariates to some rows, without penalty.

    Of a response only the test is of use, since its estimates carry the penalty; None where that is not wanted.
    `value` has shape (p, n), or (n,) for the same column in every row.
    """
    if not rows.any() or not (outcome.survival or test):
        return None
    fitted = _engine(outcome)[1](
        np.broadcast_to(value, include.shape)[rows],
        include[rows],
        outcome.strata if outcome.stratified else None,
        outcome.covariates,
        covariances=outcome.survival,
        limits=LEVEL if outcome.survival else None,
        deviance=None if deviance is None else deviance[rows],
        threads=threads,
    )
    column = 0 if outcome.survival else 1
    return Column.of(fitted.fits, column, fitted.effect, fitted.lrt.p).spread(rows, len(include))


def _engine(outcome: Outcome) -> tuple[Callable, Callable]:
    """`fit_interactions` and `fit_markers` of the endpoint's engine, its outcomes being given."""
    engine, given = responses, (outcome.event,)
    if outcome.survival:
        engine, given = survival_times, (outcome.time, outcome.event)
    return partial(engine.fit_interactions, *given), partial(engine.fit_markers, *given)


def _joint_columns(
    outcome: Outcome,
    value: np.ndarray,
    include: np.ndarray,
    rows: np.ndarray,
    levels: Sequence[np.ndarray],
    deviance: np.ndarray,
    threads: int,
) -> dict[str, Column]:
    """Fit the interaction model to some rows, without penalty; of a response only the tests are of use.

    Returns
    -------
    dict of str to Column
        "interaction", "prognostic" (of the model without interaction) and, of times to an event, the treatment
        effect at each of the two `levels`, "low" and "high".
    """
    if not rows.any():
        return {}
    fitted = _engine(outcome)[0](
        outcome.arm,
        value[rows],
        include[rows],
        outcome.strata if outcome.stratified else None,
        outcome.covariates,
        covariances=outcome.survival,
        limits=LEVEL if outcome.survival else None,
        deviance=deviance[rows],
        levels=[level[rows] for level in levels] if outcome.survival else [],
        threads=threads,
    )
    marker = 0 if outcome.survival else 1
    ratio = marker + 2 + outcome.covariates.shape[1]
    columns = {
        "interaction": Column.of(fitted.full, ratio, fitted.interaction, fitted.lrt.p),
        "prognostic": Column.of(fitted.null, marker, None, fitted.prognostic.p),
    }
    for name, effect in zip(("low", "high"), fitted.treatment, strict=False):
        columns[name] = Column.of(fitted.full, 1, effect, None)
    return {name: column.spread(rows, len(include)) for name, column in columns.items()}


def stacked_designs(columns: Sequence[np.ndarray], covariates: np.ndarray, p: int) -> np.ndarray:
    """Stack columns, (p, n) or (n,), to designs (p, n, k): two at most, then covariates, then the interaction.

    A column that repeats an earlier one drops out: the marker goes before covariates, so that a covariate
    which is the marker itself gives way to it, and the interaction goes last.
    """
    n = covariates.shape[0]
    ordered = [*columns[:2], *covariates.T, *columns[2:]]
    return np.stack([np.broadcast_to(column, (p, n)) for column in ordered], axis=2)


def fit_column(
    outcome: Outcome,
    designs: np.ndarray,
    include: np.ndarray,
    column: int,
    *,
    penalised: bool,
    threads: int = 1,
) -> Column:
    """Fit designs (p, n, k), with Firth's penalty or without; the test of one column, no limits.

    `column` counts as in the fits: the intercept of a logistic model is 0. NaN where there is no finite maximum.
    """
    column = range(designs.shape[2] + (not outcome.survival))[column]
    if penalised:
        return fit_penalised(
            outcome, designs, include, column, limits=False, test=True, threads=threads
        )
    fits = fit_designs(outcome, designs, include)
    return Column.of(fits, column, None, fits.test(column, "lrt").p)


@dataclass(frozen=True)
class DomainFits:
    """Fits of the markers of one domain on one endpoint.

    Attributes
    ----------
    table : pd.DataFrame
        Columns ``COLUMNS`` and ``GATHERING``, a row a marker (and a row a prespecified cut); p_fwer and
        q_value are empty until `multiplicity.adjust`.
    maxima : pd.DataFrame
        A column a family, a row a draw: the largest absolute Z of the family's markers in this domain.
    """

    table: pd.DataFrame
    maxima: pd.DataFrame

    def write(self, path: str | Path) -> None:
        """Write as one Parquet file; the maxima travel in its metadata."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(self.table, preserve_index=False)
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pandas(self.maxima, preserve_index=False), buffer)
        metadata = {**(table.schema.metadata or {}), b"maxima": base64.b64encode(buffer.getvalue())}
        pq.write_table(table.replace_schema_metadata(metadata), path)

    @staticmethod
    def read(path: str | Path) -> DomainFits:
        """Read what `write` wrote."""
        import pyarrow.parquet as pq

        table = pq.read_table(path, read_dictionary=list(FEW_WORDS))
        stored = base64.b64decode((table.schema.metadata or {})[b"maxima"])
        fits = table.to_pandas()
        for name in FEW_WORDS:
            fits[name] = shared_words(fits[name])
        return DomainFits(fits, pq.read_table(io.BytesIO(stored)).to_pandas())


@_one_thread_of_blas
def fit_domain(
    cohort: Cohort,
    endpoint: str,
    markers: Markers | Iterable[Markers],
    covariates: Sequence[str] = (),
    *,
    randomisations: int = 0,
    seed: int = 1,
    alpha: float = 0.05,
    threads: int = 1,
    exploratory: int | None = None,
) -> DomainFits:
    """Fit the interaction model of every marker, with its randomisation test.

    Parameters
    ----------
    cohort : Cohort
        A randomised study; the primary population is analysed.
    endpoint : str
        Endpoint of the configuration.
    markers : Markers or iterable of Markers
        Markers of the cohort's subjects (all of them, or those of the primary population); of a wide assay a piece at a
        time, so that no more need be in memory.
    covariates : sequence of str
        Prognostic columns of the subjects table, in every model.
    randomisations : int
        Draws of the randomisation test; 0 leaves p_randomisation empty. In a wide exploratory family
        (`randomisation.is_wide`) markers that few of 9,999 or more draws have reached get more (`randomisation.FarTail`).
    seed : int
        Seed of the study.
    alpha : float
        Two-sided level at which the minimum detectable ratio is stated.
    threads : int
        Threads of the fits and tests; the answers are the same for any number.
    exploratory : int, optional
        Size of the exploratory family, over domains (and endpoints, if these make one family), if these markers are a
        part of it: whether it is wide.

    Returns
    -------
    DomainFits

    Raises
    ------
    ValueError
        If the study has one arm.
    KeyError
        If the endpoint or a covariate does not exist.
    """
    from correlatives.predictive.censored import pool_beyond_limits  # which is made of this module

    if not cohort.randomised:
        raise ValueError("an interaction with the arm needs two arms: use fit_prognostic_models")
    pieces = [markers] if isinstance(markers, Markers) else markers
    whole = cohort
    cohort = cohort.analysed()
    outcome = outcome_of(cohort, endpoint, covariates)
    everyone = cohort.subjects
    draws = ArmDraws(
        everyone["arm_code"].to_numpy(dtype=float),
        everyone["stratum"].to_numpy(dtype=int),
        everyone["subject_id"].to_numpy(dtype=object),
        seed,
    )
    drawn = draw_arms(draws.arm, draws.strata, draws.subjects, randomisations, seed)
    drawn = drawn[:, outcome.kept]
    names = ["confirmatory", "exploratory"]
    maxima = np.zeros((len(names), randomisations))
    tables: list[pd.DataFrame] = []
    tail = _Tail()
    present: set[str] = set()
    members = done = 0
    for piece in pieces:
        rows = marker_rows(_of_analysed(whole, piece))
        family = rows.info["family"].to_numpy(dtype=object)
        present |= set(family)
        members += int((rows.in_family & (family == "exploratory")).sum())
        for first in range(0, len(rows), _ROWS_A_BLOCK):
            part = rows.take(np.arange(first, min(first + _ROWS_A_BLOCK, len(rows))))
            table, tested = _interactions(outcome, part, names, drawn, alpha, threads, tail, done)
            tables.append(pool_beyond_limits(table, outcome, part, endpoint, seed, threads=threads))
            done += len(part)
            found = tested.maxima
            np.maximum(maxima[: len(found)], found, out=maxima[: len(found)])
    columns = [*COLUMNS, *GATHERING]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
    size = members if exploratory is None else exploratory
    if randomisations >= FOR_CLAIMS and is_wide(size, randomisations):
        tail.draw_on(table, outcome, draws, drawn, threads)
    kept = [name in present for name in names]
    return DomainFits(
        table[columns], pd.DataFrame(maxima[kept].T, columns=np.array(names)[kept].tolist())
    )


class _Tail:
    """Exploratory markers that few of the first draws have reached, with what their test needs."""

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []
        self.parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def take(
        self,
        first: int,
        tested: RandomisationTest,
        exploratory: np.ndarray,
        residual: np.ndarray,
        weight: np.ndarray,
        marker: np.ndarray,
    ) -> None:
        """Keep those of a block of rows, which are rows `first` and on of the table."""
        reached = np.rint(tested.p * (tested.draws + 1)) - 1
        few = np.flatnonzero(exploratory & (tested.information > 0) & (reached < ENOUGH))
        if len(few):
            self.rows.append(first + few)
            self.parts.append((residual[few], weight[few], marker[few]))

    def draw_on(
        self,
        table: pd.DataFrame,
        outcome: Outcome,
        draws: ArmDraws,
        drawn: np.ndarray,
        threads: int,
    ) -> None:
        """Fill in the p-values that go on by sequential Monte Carlo, and say so in `method`."""
        if not self.rows:
            return
        rows = np.concatenate(self.rows)
        tested = randomisation_test(
            *(np.concatenate(part) for part in zip(*self.parts, strict=True)),
            outcome.arm,
            outcome.strata,
            drawn,
            logistic=not outcome.survival,
            far_tail=FarTail(draws, outcome.kept, np.ones(len(rows), dtype=bool)),
            threads=threads,
        )
        p = table["p_randomisation"].to_numpy(dtype=float).copy()
        method = table["method"].to_numpy(dtype=object).copy()
        p[rows] = tested.p
        for row, rested in zip(rows, tested.draws, strict=True):
            method[row] += f"; p_randomisation by sequential Monte Carlo, {rested} draws"
        table["p_randomisation"], table["method"] = p, method


def fit_models(
    cohort: Cohort,
    endpoint: str,
    markers: Markers,
    covariates: Sequence[str] = (),
    **options: float,
) -> pd.DataFrame:
    """Return the table of `fit_domain`."""
    return fit_domain(cohort, endpoint, markers, covariates, **options).table


def of_analysed(cohort: Cohort, markers: Markers) -> tuple[Cohort, Markers]:
    """Keep the primary population, of the markers too."""
    return cohort.analysed(), _of_analysed(cohort, markers)


def _of_analysed(cohort: Cohort, markers: Markers) -> Markers:
    """Keep the primary population's columns, if the others are still there."""
    keep = cohort.subjects["in_population"].to_numpy(dtype=bool)
    return markers if len(markers.subjects) == keep.sum() else markers.of_subjects(keep)


def _describe(outcome: Outcome, rows: Rows, value: np.ndarray, include: np.ndarray) -> dict:
    """Columns that say what a row is and whom it is about."""
    binary = rows.binary
    n = include.sum(axis=1)
    positive = np.where(include & (value == 1), 1, 0).sum(axis=1)
    outside = (rows.outside[:, outcome.kept] & include).sum(axis=1)
    share = np.where(n > 0, outside / np.maximum(n, 1), np.nan)
    return {
        **{
            column: rows.info[column].to_numpy()
            for column in ("biomarker", "specimen", "timepoint", "kind", "family", "prespecified")
        },
        "contrast": rows.contrast,
        "n": n,
        "events": (include & (outcome.event == 1)).sum(axis=1),
        "prevalence": np.where(binary & (n > 0), positive / np.maximum(n, 1), np.nan),
        "fraction_censored": share,
        "effect_measure": "hazard_ratio" if outcome.survival else "odds_ratio",
    }


def _scaled(rows: Rows, value: np.ndarray, include: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divide markers whose contrast is a standard deviation by it; also which have none."""
    n = np.maximum(include.sum(axis=1), 1)
    mean = np.where(include, value, 0.0).sum(axis=1) / n
    spread = (np.where(include, value - mean[:, None], 0.0) ** 2).sum(axis=1)
    deviation = np.sqrt(spread / np.maximum(n - 1, 1))
    constant = ~(deviation > 1e-12 * (1.0 + np.abs(mean)))
    unit = np.where(rows.per_deviation & ~constant, deviation, 1.0)
    origin = np.where(rows.binary, 0.0, mean)
    scaled = np.where(include, (value - origin[:, None]) / unit[:, None], 0.0)
    return scaled, constant


def _quartiles(value: np.ndarray, include: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """25th and 75th percentile (linear interpolation, R's type 7) of the included values."""
    ordered = np.sort(np.where(include, value, np.inf), axis=1)
    n = include.sum(axis=1)
    found = []
    for share in (0.25, 0.75):
        position = share * np.maximum(n - 1, 0)
        lower = np.floor(position).astype(int)
        upper = np.minimum(lower + 1, np.maximum(n - 1, 0))
        rows = np.arange(len(value))
        low, high = ordered[rows, lower], ordered[rows, upper]
        with np.errstate(invalid="ignore"):
            found.append(np.where(n > 0, low + (position - lower) * (high - low), 0.0))
    return found[0], found[1]


def null_residuals(
    outcome: Outcome, value: np.ndarray, include: np.ndarray, threads: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Residual, information weight and finite maximum of the test's null model, shape (p, n).

    Logistic: arm + marker + covariates. Cox: marker + covariates with a baseline hazard an arm and stratum.
    """
    if outcome.survival:
        fits = survival_times.fit_markers(
            outcome.time,
            outcome.event,
            value,
            include,
            null_strata(outcome.strata, outcome.arm),
            outcome.covariates,
            covariances=False,
            threads=threads,
        ).fits
        expected, converged, kept = fits.expected(), fits.converged, include
    else:
        expected, converged, kept = responses.fitted_probabilities(
            outcome.event,
            value,
            include,
            outcome.strata if outcome.stratified else None,
            np.column_stack([outcome.arm, outcome.covariates]),
            threads=threads,
        )
    expected = np.where(kept, expected, np.where(converged[:, None], 0.0, np.nan))
    residual = np.where(kept, outcome.event - expected, expected)
    weight = expected if outcome.survival else expected * (1.0 - expected)
    return residual, weight, converged


def small_sample_rules(
    outcome: Outcome,
    value: np.ndarray,
    include: np.ndarray,
    binary: np.ndarray | bool = False,
    *,
    interaction: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Say which rows' models carry Firth's penalty, and how far their limits reach (`small_samples`).

    Parameters
    ----------
    outcome : Outcome
        n subjects.
    value, include : np.ndarray, shape (p, n)
        Markers, and whom their models are about.
    binary : np.ndarray of bool, shape (p,), optional
        Which markers are 0 or 1.
    interaction : bool
        Whether the models are of arm, marker and their product, and the limits of the product's; else of the marker alone.

    Returns
    -------
    penalised : np.ndarray of bool, shape (p,)
    deviance : np.ndarray, shape (p,)
        By how much twice the log-likelihood falls at the limits.
    """
    happened = include & (outcome.event == 1)
    coefficients = (3 if interaction else 1) + outcome.covariates.shape[1]
    differing = subjects_differing(np.where(include, value, np.nan))
    sides = [outcome.arm == 0, outcome.arm == 1] if interaction else [np.True_]
    cells = [side & (value == level) for side in sides for level in (0, 1)]
    events_in_cells = np.min([(happened & cell).sum(axis=1) for cell in cells], axis=0)
    in_cells = np.min([(include & cell).sum(axis=1) for cell in cells], axis=0)
    rule = (outcome.survival, happened.sum(axis=1), coefficients)
    return (
        needs_penalty(*rule, np.where(binary, events_in_cells, np.inf)),
        deviance_at_limits(*rule, differing, np.where(binary & interaction, in_cells, np.inf)),
    )


def _interactions(
    outcome: Outcome,
    rows: Rows,
    families: list[str],
    drawn: np.ndarray,
    alpha: float,
    threads: int,
    tail: _Tail,
    first: int,
) -> tuple[pd.DataFrame, RandomisationTest]:
    """Rows of the table, `first` and on, for one block of markers; those of a far tail go to `tail`."""
    value = rows.value[:, outcome.kept]
    include = np.isfinite(value)
    p = len(rows)
    arm = outcome.arm
    table = _describe(outcome, rows, value, include)
    happened = outcome.event == 1
    in_arm = {"control": include & (arm == 0), "experimental": include & (arm == 1)}
    for name, mask in in_arm.items():
        table[f"n_{name}"] = mask.sum(axis=1)
        table[f"events_{name}"] = (mask & happened).sum(axis=1)
    scaled, constant = _scaled(rows, value, include)
    covariates = outcome.covariates
    penalised, deviance = small_sample_rules(outcome, value, include, rows.binary, interaction=True)
    notes = [[text] if text else [] for text in rows.note]

    def record(name: str, effect: Effects, reason: np.ndarray) -> None:
        # a percentile or a level so far out that its ratio overflows is not a number to print
        with np.errstate(over="ignore"):
            table[name] = np.exp(effect.estimate)
            table[f"{name}_low"] = np.exp(effect.low)
            table[f"{name}_high"] = np.exp(effect.high)
        why = np.where(reason != "", reason, effect.reason)
        for row in np.flatnonzero(~np.isfinite(effect.estimate)):
            notes[row].append(f"{RATIOS[name]}: {why[row] or 'not estimable'}")

    used_firth = penalised.copy()

    def joint(at: np.ndarray) -> np.ndarray:
        moved = np.where(include, scaled - at[:, None], 0.0)
        return stacked_designs([moved, arm, moved * arm], covariates, p)

    low, high = _quartiles(scaled, include)
    low, high = np.where(rows.binary, 0.0, low), np.where(rows.binary, 1.0, high)
    # the limits of treatment effects within a binary marker's levels come from those levels alone
    joined = {}
    for kind, levels in ((rows.binary, ()), (~rows.binary, (low, high))):
        part = _joint_columns(outcome, scaled, include, kind, levels, deviance, threads)
        for name, found in part.items():
            joined[name] = found if name not in joined else joined[name].filled(found, kind)
    # the marker at its mean: what the test of proportional hazards of the interaction depends on
    interaction = effects_of(
        outcome,
        joint(np.zeros(p)),
        include,
        -1,
        penalised,
        fitted=joined.get("interaction"),
        deviance=deviance,
        test=True,
        proportional=True,
        threads=threads,
    )
    used_firth |= interaction.firth
    empty_cell = _missing_cells(rows, value, in_arm, happened, constant)
    # one choice of likelihood a row: what the interaction needed holds for all its effects
    for name, mask in in_arm.items():
        _, own = small_sample_rules(outcome, value, mask, interaction=False)
        alone = _marker_column(outcome, scaled, mask, ~used_firth, threads, own)
        effect = effects_of(
            outcome,
            stacked_designs([scaled], covariates, p),
            mask,
            0,
            used_firth,
            fitted=alone,
            deviance=own,
            threads=threads,
        )
        name = f"marker_effect_{name}"
        record(name, effect, _why_no_effect(mask, value, happened))
        for row in np.flatnonzero(effect.firth & ~used_firth):
            notes[row].append(f"{RATIOS[name]}: Firth's penalty, no finite maximum")
    # within the levels of a binary marker it is the effect that a forest plot of subgroups prints
    subgroup_firth = np.full(p, not outcome.survival)
    as_in_forest = np.where(rows.binary, subgroup_firth, used_firth)
    for name, at, level in (("low", low, 0), ("high", high, 1)):
        at_level = include & (value == level)
        of_binary = _effects_where(
            rows.binary,
            outcome,
            stacked_designs([arm], covariates, p),
            at_level,
            0,
            subgroup_firth,
            _marker_column(outcome, arm, at_level, rows.binary, threads),
            threads=threads,
        )
        of_continuous = _effects_where(
            ~rows.binary,
            outcome,
            joint(at),
            include,
            1,
            used_firth,
            joined.get(name),
            deviance,
            threads,
        )
        effect = _merge(rows.binary, of_binary, of_continuous)
        reason = np.where(rows.binary, _why_no_treatment_effect(at_level, arm, happened), "")
        name = f"treatment_effect_at_{name}"
        record(name, effect, reason)
        for row in np.flatnonzero(effect.firth & ~as_in_forest):
            notes[row].append(f"{RATIOS[name]}: Firth's penalty, no finite maximum")
    record("interaction_ratio", interaction, empty_cell)
    limits, without = limits_that_exist(table)
    table |= limits
    notes = [said + more for said, more in zip(notes, without, strict=True)]
    table["p_interaction_lrt"] = interaction.p
    table["p_ph"] = interaction.p_ph
    prognostic = effects_of(
        outcome,
        stacked_designs([scaled, arm], covariates, p),
        include,
        0,
        used_firth,
        fitted=joined.get("prognostic"),
        limits=False,
        test=True,
        threads=threads,
    )
    table["p_prognostic"] = prognostic.p

    residual, weight, finite = null_residuals(outcome, scaled, include, threads)
    members = (
        np.array(
            [
                families.index(family) if inside else -1
                for family, inside in zip(rows.info["family"], rows.in_family, strict=True)
            ],
            dtype=int,
        )
        if p
        else np.zeros(0, dtype=int)
    )
    factors = stratification_factors(outcome, value, include)
    tested = randomisation_test(
        residual,
        weight,
        scaled,
        arm,
        outcome.strata,
        drawn,
        logistic=not outcome.survival,
        family=np.where(factors, -1, members),
        threads=threads,
    )
    if factors.any():
        tested = _with_factors(tested, factors, outcome, scaled, include, drawn, members, threads)
        for row in np.flatnonzero(factors):
            notes[row].append(FACTOR)
    if len(drawn):
        exploratory = (members == families.index("exploratory")) & ~factors
        tail.take(first, tested, exploratory, residual, weight, scaled)
    table["p_randomisation"] = tested.p
    table["score_z"] = tested.z
    table["in_family"] = rows.in_family
    nothing = tested.information <= 0
    table["minimum_detectable_ratio"] = minimum_detectable_ratio(tested.information, alpha)
    for row in np.flatnonzero(nothing):
        why = empty_cell[row] or (
            "no finite maximum without interaction" if not finite[row] else "no information"
        )
        notes[row].append(f"randomisation test: nothing to compare ({why})")
    for row in np.flatnonzero(used_firth):
        if outcome.survival and np.isfinite(interaction.estimate[row]) > np.isfinite(
            interaction.p_ph[row]
        ):
            notes[row].append(NO_PH)
    table["p_fwer"] = np.nan
    table["q_value"] = np.nan
    if outcome.survival:
        for row in np.flatnonzero(rows.long_tailed):
            notes[row].append(LONG_TAIL)
    table["method"] = _method(outcome, used_firth)
    table["note"] = ["; ".join(dict.fromkeys(reasons)) for reasons in notes]
    return pd.DataFrame(table), tested


def stratification_factors(outcome: Outcome, value: np.ndarray, include: np.ndarray) -> np.ndarray:
    """Say which markers the strata decide: several values, but one within each stratum; shape (p,).

    Residuals of a model stratified by such a marker, with or without the arm, sum to zero at each of its values:
    the score of its interaction is 0 whatever the data say.
    """
    if not outcome.stratified:
        return np.zeros(len(value), dtype=bool)
    lowest = np.where(include, value, np.inf)
    highest = np.where(include, value, -np.inf)
    varies = lowest.min(axis=1) < highest.max(axis=1)
    alike = np.ones(len(value), dtype=bool)
    for stratum in np.unique(outcome.strata):
        members = outcome.strata == stratum
        alike &= ~(lowest[:, members].min(axis=1) < highest[:, members].max(axis=1))
    return varies & alike


def _with_factors(
    tested: RandomisationTest,
    factors: np.ndarray,
    outcome: Outcome,
    marker: np.ndarray,
    include: np.ndarray,
    drawn: np.ndarray,
    family: np.ndarray,
    threads: int,
) -> RandomisationTest:
    """Put the tests of markers that are stratification factors into those of all markers.

    Their null model has no strata (of a Cox model the arms keep baseline hazards of their own); the arms are
    drawn within the strata all the same, as the trial drew them.
    """
    whole = replace(outcome, strata=np.zeros_like(outcome.strata))
    residual, weight, _ = null_residuals(whole, marker[factors], include[factors], threads)
    own = randomisation_test(
        residual,
        weight,
        marker[factors],
        outcome.arm,
        whole.strata,
        drawn,
        logistic=not outcome.survival,
        family=family[factors],
        threads=threads,
    )
    z, p, information = tested.z.copy(), tested.p.copy(), tested.information.copy()
    z[factors], p[factors], information[factors] = own.z, own.p, own.information
    maxima = np.zeros((max(len(tested.maxima), len(own.maxima)), len(drawn)))
    for one in (tested.maxima, own.maxima):
        maxima[: len(one)] = np.maximum(maxima[: len(one)], one)
    return replace(tested, z=z, p=p, information=information, maxima=maxima)


def _effects_where(
    wanted: np.ndarray,
    outcome: Outcome,
    designs: np.ndarray,
    include: np.ndarray,
    column: int,
    penalised: np.ndarray,
    fitted: Column | None,
    deviance: np.ndarray | None = None,
    threads: int = 1,
) -> Effects | None:
    """`effects_of` of some rows."""
    if not wanted.any():
        return None
    return effects_of(
        outcome,
        designs[wanted],
        include[wanted],
        column,
        penalised[wanted],
        fitted=None if fitted is None else fitted.take(wanted),
        deviance=None if deviance is None else deviance[wanted],
        threads=threads,
    )


def _merge(first: np.ndarray, one: Effects | None, other: Effects | None) -> Effects:
    """Put the effects of the rows in `first` and those of the others back in order."""
    p = len(first)
    merged = Effects(
        *(np.full(p, np.nan) for _ in range(3)),
        np.zeros(p, dtype=bool),
        np.full(p, np.nan),
        np.full(p, "", dtype=object),
    )
    for where, part in ((first, one), (~first, other)):
        if part is not None:
            for name in ("estimate", "low", "high", "firth", "reason"):
                getattr(merged, name)[where] = getattr(part, name)
    return merged


def _constant(value: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Whether the masked values of each row are all the same (or none)."""
    highest = np.where(mask, value, -np.inf).max(axis=1, initial=-np.inf)
    lowest = np.where(mask, value, np.inf).min(axis=1, initial=np.inf)
    return ~(highest > lowest)


def _why_no_effect(mask: np.ndarray, value: np.ndarray, happened: np.ndarray) -> np.ndarray:
    """Say why a marker has no effect in an arm, empty where nothing obvious stands against it."""
    return np.select(
        [
            mask.sum(axis=1) == 0,
            (mask & happened).sum(axis=1) == 0,
            _constant(value, mask),
        ],
        ["no evaluable subject", "no event", "all evaluable subjects have the same value"],
        default="",
    ).astype(object)


def _why_no_treatment_effect(mask: np.ndarray, arm: np.ndarray, happened: np.ndarray) -> np.ndarray:
    """Say why there is no treatment effect in a marker level."""
    return np.select(
        [
            mask.sum(axis=1) == 0,
            ((mask & (arm == 0)).sum(axis=1) == 0) | ((mask & (arm == 1)).sum(axis=1) == 0),
            (mask & happened).sum(axis=1) == 0,
        ],
        ["no subject at this level", "subjects at this level are all in one arm", "no event"],
        default="",
    ).astype(object)


def _missing_cells(
    rows: Rows,
    value: np.ndarray,
    in_arm: dict[str, np.ndarray],
    happened: np.ndarray,
    constant: np.ndarray,
) -> np.ndarray:
    """Say why a marker has no interaction, empty where nothing obvious stands against it."""
    everyone = in_arm["control"] | in_arm["experimental"]
    conditions = [everyone.sum(axis=1) == 0, (everyone & happened).sum(axis=1) == 0, constant]
    reasons = ["no evaluable subject", "no event", "all evaluable subjects have the same value"]
    for name, mask in in_arm.items():
        conditions += [mask.sum(axis=1) == 0, _constant(value, mask)]
        reasons += [
            f"no evaluable subject in the {name} arm",
            f"all evaluable subjects of the {name} arm have the same value",
        ]
    return np.select(conditions, reasons, default="").astype(object)


def _method(outcome: Outcome, firth: np.ndarray) -> np.ndarray:
    model = "Cox, Efron" if outcome.survival else "logistic"
    strata = ", stratified" if outcome.stratified else ""
    return np.where(
        firth,
        f"Firth {model}{strata}, profile penalised limits",
        f"{model}{strata}, profile limits",
    ).astype(object)


def minimum_detectable_ratio(information: np.ndarray, alpha: float) -> np.ndarray:
    """Ratio that a two-sided test at `alpha` would find with 80 % power: exp((z₁₋α/₂ + z₀.₈) / √V).

    Parameters
    ----------
    information : np.ndarray
        Efficient information V on the log ratio per unit of contrast.
    alpha : float
        Two-sided level.

    Returns
    -------
    np.ndarray
        At least 1; a ratio of its inverse is as detectable. NaN without information, and where it would be too
        large to write.
    """
    from scipy.special import ndtri

    quantiles = ndtri(1.0 - alpha / 2.0) + ndtri(POWER)
    informative = information > 0
    log_ratio = quantiles / np.sqrt(np.where(informative, information, 1.0))
    return np.where(informative & (log_ratio < 700), np.exp(np.minimum(log_ratio, 700)), np.nan)


@_one_thread_of_blas
def fit_prognostic_models(
    cohort: Cohort,
    endpoint: str,
    markers: Markers | Iterable[Markers],
    covariates: Sequence[str] = (),
    *,
    seed: int = 1,
    alpha: float = 0.05,
    threads: int = 1,
) -> pd.DataFrame:
    """Fit the main effect of every marker, for a study with one arm.

    Parameters
    ----------
    cohort : Cohort
        The study; the primary population is analysed. Arms play no part.
    endpoint : str
        Endpoint of the configuration.
    markers : Markers or iterable of Markers
        Markers of the cohort's subjects (all of them, or those of the primary population), or pieces of them.
    covariates : sequence of str
        Columns of the subjects table, in every model.
    seed : int
        Seed of the study, for imputations beyond limits.
    alpha : float
        Two-sided level at which the minimum detectable ratio is stated.
    threads : int
        Threads of the fits; the answers are the same for any number.

    Returns
    -------
    pd.DataFrame
        Columns ``PROGNOSTIC_COLUMNS`` and ``in_family``; q_value is empty until `multiplicity.adjust`.

    Raises
    ------
    KeyError
        If the endpoint or a covariate does not exist.
    """
    from correlatives.predictive.censored import pool_beyond_limits  # which is made of this module

    outcome = outcome_of(cohort.analysed(), endpoint, covariates)
    columns = [*PROGNOSTIC_COLUMNS, "in_family"]
    tables = []
    for piece in [markers] if isinstance(markers, Markers) else markers:
        every = marker_rows(_of_analysed(cohort, piece))
        for first in range(0, len(every), _ROWS_A_BLOCK):
            part = every.take(np.arange(first, min(first + _ROWS_A_BLOCK, len(every))))
            table = _main_effects(outcome, part, alpha, threads)
            tables.append(
                pool_beyond_limits(
                    table, outcome, part, endpoint, seed, arms=False, threads=threads
                )
            )
    return (
        pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)
    )


def _main_effects(outcome: Outcome, rows: Rows, alpha: float, threads: int = 1) -> pd.DataFrame:
    """Rows of the prognostic table for one block of markers."""
    value = rows.value[:, outcome.kept]
    include = np.isfinite(value)
    p = len(rows)
    happened = outcome.event == 1
    table = _describe(outcome, rows, value, include)
    scaled, _ = _scaled(rows, value, include)
    penalised, deviance = small_sample_rules(
        outcome, value, include, rows.binary, interaction=False
    )
    designs = stacked_designs([scaled], outcome.covariates, p)
    effect = effects_of(
        outcome,
        designs,
        include,
        0,
        penalised,
        fitted=_marker_column(
            outcome, scaled, include, np.ones(p, bool), threads, deviance, test=True
        ),
        deviance=deviance,
        test=True,
        proportional=True,
        threads=threads,
    )
    with np.errstate(over="ignore"):
        table["marker_effect"] = np.exp(effect.estimate)
        table["marker_effect_low"] = np.exp(effect.low)
        table["marker_effect_high"] = np.exp(effect.high)
    limits, without = limits_that_exist(table)
    table |= limits
    table["p_prognostic"] = effect.p
    table["p_ph"] = effect.p_ph
    information = _marker_information(outcome, designs, include)
    table["minimum_detectable_ratio"] = minimum_detectable_ratio(information, alpha)
    table["q_value"] = np.nan
    table["method"] = _method(outcome, effect.firth)
    table["in_family"] = rows.in_family
    obvious = _why_no_effect(include, value, happened)
    tailed = rows.long_tailed & outcome.survival
    notes = []
    for row in range(p):
        reasons = [rows.note[row]] if rows.note[row] else []
        if not np.isfinite(effect.estimate[row]):
            reasons.append(
                f"marker effect: {obvious[row] or effect.reason[row] or 'not estimable'}"
            )
        elif effect.firth[row] and outcome.survival and not np.isfinite(effect.p_ph[row]):
            reasons.append(NO_PH)
        reasons += without[row]
        if tailed[row]:
            reasons.append(LONG_TAIL)
        notes.append("; ".join(reasons))
    table["note"] = notes
    return pd.DataFrame(table)


def _marker_information(outcome: Outcome, designs: np.ndarray, include: np.ndarray) -> np.ndarray:
    """Information on the marker's log ratio where it has no effect, within strata.

    Weighted as in the randomisation test; covariates set the weights and are not projected out.
    """
    p, _, k = designs.shape
    without = designs[:, :, 1:] if k > 1 else np.zeros((p, designs.shape[1], 1))
    fits = fit_designs(outcome, without, include)
    expected = fits.expected()
    weight = expected if outcome.survival else expected * (1.0 - expected)
    weight = np.where(include, np.nan_to_num(weight), 0.0)
    marker = designs[:, :, 0]
    information = np.zeros(p)
    for stratum in np.unique(outcome.strata):
        rows = outcome.strata == stratum
        e, m = weight[:, rows], marker[:, rows]
        total = e.sum(axis=1)
        mean = (e * m).sum(axis=1) / np.where(total > 0, total, 1.0)
        information += (e * (m - mean[:, None]) ** 2).sum(axis=1)
    return information
