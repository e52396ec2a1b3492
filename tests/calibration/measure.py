"""What a cell's trials say: error rates, coverage and power, each with its Monte Carlo error."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import batched_fits
import numpy as np
from scipy.special import chdtrc, ndtri
from trials import MARKERS, Batch, Cell, simulate

from correlatives.multiplicity import benjamini_hochberg
from correlatives.predictive.randomisation import (
    draw_arms,
    family_wise_p,
    null_strata,
    randomisation_test,
)
from correlatives.predictive.rows import LEAST_CARRIERS

LEVEL = 0.05

#: Draws a trial: 20 of 400 is 0.05 exactly. The false discovery rate needs smaller p-values.
DRAWS = 399
DRAWS_FOR_DISCOVERY = 1999

#: Trials that share arms and draws.
TRIALS_A_BATCH = 50

#: Firth's penalty where a cell of arm × marker level has fewer events.
LEAST_EVENTS = 10

#: Markers of a trial, and trials of a batch, whose penalised limits are looked at.
PENALISED_MARKERS, PENALISED_TRIALS = 3, 8

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
    cell: Cell, batch: Batch, expected: np.ndarray, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run the randomisation test of every trial of a batch; each trial is a family.

    Markers with fewer than 5 subjects off their most common value are in no family, as in the workflow.
    """
    trials, markers, n = batch.marker.shape
    rows = trials * markers
    survival = cell.model == "cox"
    known = expected != 0.0
    residual = np.where(known, batch.event[:, None] - expected, 0.0)
    weight = np.where(known, expected if survival else expected * (1.0 - expected), 0.0)
    value = batch.marker
    here = batch.include[:, None]
    if cell.kind.startswith("binary"):
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
        batch.strata,
        drawn,
        logistic=not survival,
        family=family.reshape(rows),
    )
    z, p = tested.z.reshape(trials, markers), tested.p.reshape(trials, markers)
    p_fwer = np.full((trials, markers), np.nan)
    for t in range(min(trials, len(tested.maxima))):
        p_fwer[t, member[t]] = family_wise_p(z[t, member[t]], tested.maxima[t])
    return p, p_fwer, member


def penalised_p(cell: Cell, batch: Batch, trial: int, markers: np.ndarray) -> np.ndarray:
    """p-value of the interaction that the limits of the workflow's penalised models are made of."""
    from correlatives.binary.logistic import fit_logistic_many
    from correlatives.survival.cox import fit_cox_many

    value = batch.marker[trial, markers]
    p, n = value.shape
    columns = [value, batch.arm, *batch.covariates[trial].T]
    if cell.model == "logistic":
        columns += [(batch.strata == g).astype(float) for g in np.unique(batch.strata)[1:]]
    columns.append(value * batch.arm)
    designs = np.stack([np.broadcast_to(column, (p, n)) for column in columns], axis=2)
    include = np.broadcast_to(batch.include[trial], (p, n))
    if cell.model == "cox":
        fits = fit_cox_many(
            batch.time[trial], batch.event[trial], designs, include, batch.strata, firth=True
        )
        column = designs.shape[2] - 1
    else:
        fits = fit_logistic_many(batch.event[trial], designs, include, firth=True)
        column = designs.shape[2]
    return np.where(fits.converged, fits.test(column, "lrt").p, np.nan)


def measure(cell: Cell, trials: int) -> dict[str, object]:
    """Simulate a cell and return its row of the table."""
    tally = Tally()
    draws = DRAWS_FOR_DISCOVERY if cell.true > 1 else DRAWS
    for number, first in enumerate(range(0, trials, TRIALS_A_BATCH)):
        batch = simulate(cell, number, min(TRIALS_A_BATCH, trials - first))
        expected, without = fitted(cell, batch)
        if cell.model == "cox":
            expected, _ = fitted(cell, batch, arm_strata=True)
        p, p_fwer, member = randomise(cell, batch, expected, draws, seed=number)
        full, loglik = fitted(cell, batch, interaction=True)
        p_lrt = chdtrc(1.0, np.maximum(2.0 * (loglik - without), 0.0))
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
            _coverage(cell, batch, tally, p_lrt, np.isfinite(full).all(axis=2), member)
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
    p_lrt: np.ndarray,
    finite: np.ndarray,
    member: np.ndarray,
) -> None:
    """Share of markers whose 95 % profile limits hold the true interaction, 0: those with p ≥ 0.05.

    Limits by profile likelihood are where the likelihood-ratio test's p is 0.05, so that no limit need be found.
    Binary markers with few events in a cell, and those without a finite maximum, have penalised limits.
    """
    binary = cell.kind.startswith("binary")
    covered, estimated = p_lrt >= LEVEL, finite & member
    if binary:
        cells = np.stack(
            [
                (
                    batch.include[:, None]
                    & (batch.event == 1)[:, None]
                    & (batch.arm == side)
                    & (batch.marker == level)
                ).sum(axis=2)
                for side in (0, 1)
                for level in (0, 1)
            ]
        )
        plain = estimated & (cells.min(axis=0) >= LEAST_EVENTS)
        needs = member & ~plain
        for t in range(min(PENALISED_TRIALS, len(needs))):
            chosen = np.flatnonzero(needs[t])[:PENALISED_MARKERS]
            if len(chosen):
                p = penalised_p(cell, batch, t, chosen)
                known = np.isfinite(p)
                if known.any():
                    tally.add("coverage", np.array([(p[known] >= LEVEL).mean()]))
        if not needs.any():
            tally.add("coverage", mean_within(covered, plain))
        return
    tally.add("coverage", mean_within(covered, estimated))
