"""What a cell's trials say: error rates, coverage and power, each with its Monte Carlo error."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace

import batched_fits
import numpy as np
from scipy.special import chdtrc, ndtri
from trials import MARKERS, Batch, Cell, simulate

from correlatives.firth import fit_firth_cox, fit_firth_logistic
from correlatives.multiplicity import benjamini_hochberg
from correlatives.predictive.carriers import subjects_differing
from correlatives.predictive.randomisation import (
    draw_arms,
    family_wise_p,
    null_strata,
    randomisation_test,
)
from correlatives.predictive.rows import LEAST_CARRIERS
from correlatives.predictive.small_samples import deviance_at_limits, needs_penalty

LEVEL = 0.05

#: Draws a trial: 20 of 400 is 0.05 exactly. The false discovery rate needs smaller p-values.
DRAWS = 399
DRAWS_FOR_DISCOVERY = 1999

#: Trials that share arms and draws.
TRIALS_A_BATCH = 50

#: What is measured, in the order of the table.
MEASURES = (
    "fwer",
    "size",
    "coverage",
    "fwer_lrt_bonferroni",
    "size_lrt",
    "fdr",
    "power",
    "power_lrt_bonferroni",
)


@dataclass
class Tally:
    """Values of each measure, one a trial that has it: its share of markers, or 0 or 1."""

    values: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in MEASURES})

    def add(self, name: str, values: np.ndarray) -> None:
        """Add one value a trial; NaN does not count."""
        self.values[name].extend(np.asarray(values, dtype=float)[np.isfinite(values)].tolist())

    def row(self, cell: Cell, trials: int) -> dict[str, object]:
        """Estimates and 95 % Monte Carlo limits."""
        row = asdict(cell) | {"trials": trials}
        for name in MEASURES:
            values = np.array(self.values[name])
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), limits(values), strict=True))
        return row


def limits(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of values in [0, 1], one a trial, with Wilson limits for as many trials as their spread says."""
    n = len(values)
    if n < 2:
        return (float("nan"),) * 3
    mean, z = float(values.mean()), float(ndtri(0.975))
    spread = values.var(ddof=1)
    # a share of correlated markers varies less than a single one: count it as more trials
    size = mean * (1 - mean) / (spread / n) if spread > 0 else n
    centre = (mean + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * np.sqrt(mean * (1 - mean) / size + z * z / (4 * size**2))
    return mean, max(centre - half, 0.0), min(centre + half, 1.0)


def mean_within(values: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Mean of each row's members, NaN without any."""
    size = members.sum(axis=1)
    return np.where(size > 0, (values & members).sum(axis=1) / np.maximum(size, 1), np.nan)


def fitted(
    cell: Cell, batch: Batch, *, interaction: bool = False, arm_strata: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Expected outcome (trials, markers, n) and log-likelihood (trials, markers) of a model.

    `arm_strata`: a Cox model's arms have baseline hazards of their own, as the randomisation test wants it.
    """
    trials, markers, n = batch.marker.shape
    strata = null_strata(batch.strata, batch.arm) if arm_strata else batch.strata
    # a column of zeros drops out
    arm = np.broadcast_to(batch.arm * (not arm_strata), (trials, n))[:, :, None]
    columns = [arm, batch.covariates]
    include = batch.include
    if cell.model == "logistic":
        codes = np.unique(batch.strata)
        member = (batch.strata[:, None] == codes).astype(float)
        # a stratum whose outcomes are all alike has an infinite intercept and says nothing
        size, positive = include @ member, (include * batch.event) @ member
        include = include & ~(((positive == 0) | (positive == size)).astype(float) @ member.T > 0)
        columns.append(np.broadcast_to(member, (trials, n, len(codes))))
    common = np.ascontiguousarray(np.concatenate(columns, axis=2))
    # one scale for all columns, so that one bound says what is infinite
    held = np.where(include[:, None], batch.marker, 0.0)
    centre = held.sum(axis=2) / np.maximum(include.sum(axis=1), 1)[:, None]
    held = np.where(include[:, None], batch.marker - centre[:, :, None], 0.0)
    spread = np.sqrt((held**2).mean(axis=2, keepdims=True))
    held = held / np.where(spread > 0, spread, 1.0)
    expected = np.empty((trials, markers, n))
    loglik = np.empty((trials, markers))
    batched_fits.fit_all(
        cell.model == "cox",
        batch.time,
        batch.event,
        strata,
        include,
        common,
        held,
        interaction,
        expected,
        loglik,
    )
    return expected, loglik


def randomise(
    cell: Cell, batch: Batch, expected: np.ndarray, strata: np.ndarray, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run the randomisation test of every trial of a batch; each trial is a family.

    `strata`: those of the null model; arms are drawn within those of the trial. Markers with fewer than 5 subjects off their most common value are in no family, as in the workflow.
    """
    trials, markers, n = batch.marker.shape
    rows = trials * markers
    survival = cell.model == "cox"
    known = expected != 0.0
    residual = np.where(known, batch.event[:, None] - expected, 0.0)
    weight = np.where(known, expected if survival else expected * (1.0 - expected), 0.0)
    value = batch.marker
    here = batch.include[:, None]
    if cell.binary:
        carriers = (here & (value == 1)).sum(axis=2)
        differing = np.minimum(carriers, batch.include.sum(axis=1)[:, None] - carriers)
        member = differing >= LEAST_CARRIERS
    else:
        member = np.ones((trials, markers), dtype=bool)
    family = np.where(member, np.arange(trials)[:, None], -1)
    identifiers = np.array([f"S{number:04d}" for number in range(n)])
    drawn = draw_arms(batch.arm, batch.strata, identifiers, draws, seed)
    tested = randomisation_test(
        residual.reshape(rows, n),
        weight.reshape(rows, n),
        value.reshape(rows, n),
        batch.arm,
        strata,
        drawn,
        logistic=not survival,
        family=family.reshape(rows),
    )
    z, p = tested.z.reshape(trials, markers), tested.p.reshape(trials, markers)
    p_fwer = np.full((trials, markers), np.nan)
    for t in range(min(trials, len(tested.maxima))):
        p_fwer[t, member[t]] = family_wise_p(z[t, member[t]], tested.maxima[t])
    return p, p_fwer, member


def penalised_statistic(cell: Cell, batch: Batch, trial: int, markers: np.ndarray) -> np.ndarray:
    """Likelihood-ratio statistics of the interaction in the workflow's penalised models."""
    value = batch.marker[trial, markers]
    p, n = value.shape
    columns = [value, batch.arm, *batch.covariates[trial].T]
    include = np.broadcast_to(batch.include[trial], (p, n))
    if cell.model == "logistic":
        member = batch.strata == np.unique(batch.strata)[:, None]
        columns += list(member[1:].astype(float))
        # a stratum whose outcomes are all alike has an infinite intercept and says nothing
        size, positive = member @ include[0], member @ (include[0] * batch.event[trial])
        include = include & ~((positive == 0) | (positive == size))[batch.strata]
    columns.append(value * batch.arm)
    designs = np.stack([np.broadcast_to(column, (p, n)) for column in columns], axis=2)
    if cell.model == "cox":
        fits = fit_firth_cox(
            batch.time[trial], batch.event[trial], designs, include, batch.strata, limits=None
        )
    else:
        fits = fit_firth_logistic(batch.event[trial], designs, include, limits=None)
    return fits.tests[0].statistic


def measure(cell: Cell, trials: int) -> dict[str, object]:
    """Simulate a cell and return its row of the table."""
    tally = Tally()
    draws = DRAWS_FOR_DISCOVERY if cell.true > 1 else DRAWS
    for number, first in enumerate(range(0, trials, TRIALS_A_BATCH)):
        batch = simulate(cell, number, min(TRIALS_A_BATCH, trials - first))
        # the model of a marker that the strata decide has none
        decided = cell.kind == "factor"
        null = replace(batch, strata=np.zeros_like(batch.strata)) if decided else batch
        expected, without = fitted(cell, null)
        if cell.model == "cox":
            expected, _ = fitted(cell, null, arm_strata=True)
        p, p_fwer, member = randomise(cell, batch, expected, null.strata, draws, seed=number)
        if decided:
            rejected = np.where(member, p_fwer, 1.0).min(axis=1) <= LEVEL
            tally.add("fwer", np.where(member.any(axis=1), rejected, np.nan))
            tally.add("size", mean_within(p <= LEVEL, member))
            continue
        full, loglik = fitted(cell, batch, interaction=True)
        statistic = np.maximum(2.0 * (loglik - without), 0.0)
        p_lrt = chdtrc(1.0, statistic)
        some = member.any(axis=1)
        size = np.maximum(member.sum(axis=1, keepdims=True), 1)
        true = np.arange(MARKERS) < cell.true
        if not cell.true:
            rejected = np.where(member, p_fwer, 1.0).min(axis=1) <= LEVEL
            tally.add("fwer", np.where(some, rejected, np.nan))
            tally.add("size", mean_within(p <= LEVEL, member))
            rejected = np.where(member, p_lrt * size, 1.0).min(axis=1) <= LEVEL
            tally.add("fwer_lrt_bonferroni", np.where(some, rejected, np.nan))
            tally.add("size_lrt", mean_within(p_lrt <= LEVEL, member))
            _coverage(cell, batch, tally, statistic, np.isfinite(full).all(axis=2), member)
        elif cell.true == 1:
            tally.add("power", member[:, 0] & (p_fwer[:, 0] <= LEVEL))
            tally.add("power_lrt_bonferroni", member[:, 0] & (p_lrt[:, 0] * size[:, 0] <= LEVEL))
        else:
            q = np.array(
                [
                    benjamini_hochberg(np.where(inside, row, np.nan))
                    for row, inside in zip(p, member, strict=True)
                ]
            )
            found = np.nan_to_num(q, nan=1.0) <= LEVEL
            tally.add("fdr", (found & ~true).sum(axis=1) / np.maximum(found.sum(axis=1), 1))
            tally.add("power", (found & true).sum(axis=1) / cell.true)
    return tally.row(cell, trials)


def _coverage(
    cell: Cell,
    batch: Batch,
    tally: Tally,
    statistic: np.ndarray,
    finite: np.ndarray,
    member: np.ndarray,
) -> None:
    """Share of markers whose 95 % limits hold the true interaction, 0.

    Limits lie where twice the (penalised) log-likelihood has fallen by `deviance_at_limits`, so that no limit need be
    found: they hold 0 where the likelihood-ratio statistic is less.
    """
    survival = cell.model == "cox"
    trials, markers = statistic.shape
    coefficients = 3 + batch.covariates.shape[2]
    happened = batch.include & (batch.event == 1)
    events = np.broadcast_to(happened.sum(axis=1)[:, None], (trials, markers))
    here, value = batch.include[:, None], batch.marker
    events_in_cells = in_cells = np.full((trials, markers), np.inf)
    if cell.binary:
        levels = [(batch.arm == side) & (value == level) for side in (0, 1) for level in (0, 1)]
        events_in_cells = np.min([(happened[:, None] & at).sum(axis=2) for at in levels], axis=0)
        in_cells = np.min([(here & at).sum(axis=2) for at in levels], axis=0)
    known = np.where(here, value, np.nan).reshape(trials * markers, -1)
    differing = subjects_differing(known).reshape(trials, markers)
    rule = (survival, events.ravel(), coefficients)
    penalised = needs_penalty(*rule, events_in_cells.ravel()).reshape(trials, markers)
    fallen = deviance_at_limits(*rule, differing.ravel(), in_cells.ravel())
    fallen = fallen.reshape(trials, markers)
    penalised |= ~finite
    statistic = statistic.copy()
    for t in range(trials):
        chosen = np.flatnonzero(penalised[t] & member[t])
        if len(chosen):
            statistic[t, chosen] = penalised_statistic(cell, batch, t, chosen)
    estimated = np.isfinite(statistic) & member
    tally.add("coverage", mean_within(statistic <= fallen, estimated))
