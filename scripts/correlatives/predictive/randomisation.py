"""Randomisation test of a treatment × marker interaction: efficient score, studentised in every draw.

The arm is drawn anew within strata, as the trial drew it, and the efficient score of the interaction is
computed for the observed arm and for every draw. All sums over subjects are matrix products of the draws
with residuals and information weights of the null model (arm + marker + covariates; the arms of a Cox model with
baseline hazards of their own), which is fitted once.

Memory does not grow with the number of markers, and with the number of draws only by a byte a subject and draw: draws
are kept as bytes, markers are worked on in blocks that see all draws. A marker's answer depends on its own
numbers and the draws, not on the markers beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from correlatives.cohort import strata_by_arm
from correlatives.predictive.carriers import subjects_differing

#: Name of the analysis from which the draws come: one for all endpoints and domains, so that any set of
#: them can make a family.
ANALYSIS = "predictive"

#: Cox: information of a draw below the median over draws counts as moved this share of the way up to it, which keeps draws that
#: put nearly all carriers in one arm from dominating sparse binary markers. One above counts as it is: the observed information is
#: larger than the draws' where arms of unequal size carry different information (docs/calibration.md, 6).
MEDIAN_SHARE = 0.2

#: The observed Z is multiplied by √(1 − ½ / c), c = subjects who differ from the marker's most common value. Where arms
#: carry different information the few carriers' own split between the arms is not one of the drawn ones, and a binary
#: marker's test was too liberal: size 0.055 to 0.063 with 5 to 9 carriers, 0.036 to 0.047 with this.
CARRIER_SHARE = 0.5

#: Logistic: the share of V in a drawn variance is this over c, at most a half; the rest is V_R. Drawn scores are
#: sums of the residuals at hand, which spread by V_R; the observed score spreads by V, or by V_R where it is larger. With
#: max(V, V_R) on both sides, p-values below 0.01 came up to 2.5 times too often for binary markers under a treatment effect.
MODEL_SHARE = 2.5

#: Statistics that differ by less, relatively, are equal.
EQUAL = 1e-9

#: Draws that share one seed; the next as many come from the next.
DRAWS_A_SEED = 4096

#: A marker's draws stop when this many have reached its statistic (Besag & Clifford 1991).
ENOUGH = 20

#: Draws after which a marker stops anyway.
MOST_DRAWS = 2_000_000

#: A family is wide if m / (draws + 1), the smallest q-value that a single marker among m can get, is larger.
WIDE = 0.01

#: Draws that a claim needs. Who asks for fewer is trying things, and gets no more than he asked for.
FOR_CLAIMS = 9_999

#: Draws × products of a block of markers stay in the cache.
_DRAWS_A_BLOCK = 256
_MARKERS_A_BLOCK = 64

#: Bytes of score and variance of a block of markers over all draws, beyond which the block gets fewer markers.
_BLOCK_BYTES = 32_000_000


@dataclass(frozen=True)
class ArmDraws:
    """Permutations of the arm within strata: a sequence without end, of which any piece can be drawn.

    They depend on the seed, the name of the analysis and the subjects (in the order of their identifiers)
    only: they are the same for every marker, endpoint and job.

    Attributes
    ----------
    arm : np.ndarray, shape (n,)
        0 control, 1 experimental, of all analysed subjects.
    strata : np.ndarray of int, shape (n,)
        Stratum codes.
    subjects : np.ndarray of str, shape (n,)
        Identifiers.
    seed : int
        Seed of the study.
    analysis : str
        Name of the analysis.
    """

    arm: np.ndarray
    strata: np.ndarray
    subjects: np.ndarray
    seed: int
    analysis: str = ANALYSIS

    def block(self, index: int) -> np.ndarray:
        """Return draws index × 4096 and on: np.ndarray of uint8, shape (4096, n)."""
        words = int.from_bytes(hashlib.sha256(self.analysis.encode()).digest()[:8], "big")
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, words, index]))
        order = np.argsort(np.asarray(self.subjects, dtype=str), kind="stable")
        drawn = np.empty((DRAWS_A_SEED, len(self.arm)), dtype=np.uint8)
        for stratum in np.unique(self.strata):
            members = order[self.strata[order] == stratum]
            allocated = self.arm[members].astype(np.uint8)
            drawn[:, members] = rng.permuted(np.tile(allocated, (DRAWS_A_SEED, 1)), axis=1)
        return drawn

    def pieces(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Yield draws `start` to `stop`, at most 4096 at a time."""
        while start < stop:
            index, offset = divmod(start, DRAWS_A_SEED)
            piece = self.block(index)[offset : offset + stop - start]
            start += len(piece)
            yield piece


def draw_arms(
    arm: np.ndarray,
    strata: np.ndarray,
    subjects: np.ndarray,
    draws: int,
    seed: int,
    analysis: str = ANALYSIS,
) -> np.ndarray:
    """Permute the arm within strata.

    Parameters
    ----------
    arm, strata, subjects, seed, analysis
        See `ArmDraws`.
    draws : int
        Number of draws: fewer are the first of more.

    Returns
    -------
    np.ndarray of uint8, shape (draws, n)
        0 or 1.
    """
    drawn = np.empty((draws, len(arm)), dtype=np.uint8)
    start = 0
    for piece in ArmDraws(arm, strata, subjects, seed, analysis).pieces(0, draws):
        drawn[start : start + len(piece)] = piece
        start += len(piece)
    return drawn


def null_strata(strata: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """Strata of the null Cox model whose residuals the test takes: each arm of each stratum is one.

    With an own baseline hazard an arm's residuals agree with their information whatever the treatment does
    over time. With one baseline and a constant ratio they do not: under a delayed effect (none for five months, then
    a hazard ratio of 0.16; 132 subjects, 50 null markers) the family-wise error was 0.08 instead of 0.05. It
    costs power, 0.57 instead of 0.64 for one normal marker under proportional hazards (docs/calibration.md).
    The arm is then no column of that model: its own term is constant in every stratum.

    Parameters
    ----------
    strata : np.ndarray of int, shape (n,)
        Codes of the randomisation strata, from 0.
    arm : np.ndarray, shape (n,)
        0 or 1.

    Returns
    -------
    np.ndarray of int, shape (n,)
        For the null model only: draws stay within the randomisation strata, and `randomisation_test` gets those.
    """
    return strata_by_arm(strata, arm)


def observed_scale(
    differing: np.ndarray, evaluable: np.ndarray, strata: np.ndarray, *, logistic: bool
) -> np.ndarray:
    """Return what the observed Z is multiplied by, so that it is one of the drawn ones.

    Parameters
    ----------
    differing : np.ndarray of int, shape (p,)
        c = `subjects_differing` of the subjects in the null model.
    evaluable : np.ndarray of int, shape (p,)
        Subjects in the null model.
    strata : np.ndarray of int, shape (p,)
        Strata with information.
    logistic : bool
        Which of the two statistics of `randomisation_test`.

    Returns
    -------
    np.ndarray, shape (p,)
        √(1 − ½ / c); logistic: √(1 − 1/ν) times that, ν = subjects − strata − 1.
    """
    square = 1.0 - CARRIER_SHARE / np.maximum(differing, 1)
    if logistic:
        square *= 1.0 - 1.0 / np.maximum(evaluable - strata - 1, 1)
    return np.sqrt(square)


def model_share(differing: np.ndarray) -> np.ndarray:
    """Return s = min(½, 2.5 / c), the share of V in the variance of a logistic draw, for c `subjects_differing`."""
    return np.minimum(0.5, MODEL_SHARE / np.maximum(differing, 1))


def observed_variance(information: np.ndarray, robust: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the variance of an observed logistic score.

    Parameters
    ----------
    information, robust : np.ndarray, shape (p,)
        V and V_R.
    share : np.ndarray, shape (p,)
        From `model_share`.

    Returns
    -------
    np.ndarray, shape (p,)
        (V + V_R + s |V − V_R|) / 2: their mean for a continuous marker, more of the larger for a few carriers.
    """
    return 0.5 * (information + robust + share * np.abs(information - robust))


def is_wide(size: int, draws: int) -> bool:
    """Whether a family of `size` markers needs smaller p-values than 1 / (draws + 1).

    With that p the best of `size` markers gets a q-value of size / (draws + 1) by Benjamini–Hochberg; the
    family is wide if that is above 0.01. (100 markers with 9,999 draws.)
    """
    return draws > 0 and size / (draws + 1) > WIDE


@dataclass(frozen=True)
class FarTail:
    """Draws that go on, for markers that few of the first ones have reached.

    Attributes
    ----------
    draws : ArmDraws
        What the first draws came from.
    kept : np.ndarray of bool, shape (all subjects,)
        Subjects of `draws` that are in the test.
    markers : np.ndarray of bool, shape (p,)
        Markers that may go on: those of wide exploratory families (`is_wide`). A confirmatory marker's
        p-value stays on the draws of its family-wise one.
    most : int
        Draws after which a marker stops anyway.
    """

    draws: ArmDraws
    kept: np.ndarray
    markers: np.ndarray
    most: int = MOST_DRAWS


@dataclass(frozen=True)
class RandomisationTest:
    """Answers of `randomisation_test`, for p markers.

    Attributes
    ----------
    z : np.ndarray, shape (p,)
        Observed statistic; positive: the ratio (hazard or odds) is larger in the experimental arm. 0 where
        there is nothing to compare.
    p : np.ndarray, shape (p,)
        Marginal p; 1 where there is nothing to compare.
    information : np.ndarray, shape (p,)
        Efficient information on the log ratio at the observed arm, per squared unit of the marker;
        0 where there is none.
    maxima : np.ndarray, shape (families, draws)
        Largest absolute Z of the family's markers in each draw.
    draws : np.ndarray of int, shape (p,)
        Draws that p rests on.
    """

    z: np.ndarray
    p: np.ndarray
    information: np.ndarray
    maxima: np.ndarray
    draws: np.ndarray


class _Block:
    """Some markers, ready for products with draws: subjects in the order of their strata.

    Parameters
    ----------
    residual, weight, marker : np.ndarray, shape (markers, n)
    bounds : list of slice
        Subjects of each stratum.
    size : int
        Markers are filled up to this number with empty ones, so that every product has the same shape.
    """

    def __init__(
        self,
        residual: np.ndarray,
        weight: np.ndarray,
        marker: np.ndarray,
        bounds: list[slice],
        size: int,
        *,
        logistic: bool,
    ) -> None:
        from correlatives.predictive.compiled_scores import PRODUCTS, ROBUST_PRODUCTS, SUMS

        count, n = marker.shape
        usable = np.isfinite(residual).all(axis=1) & np.isfinite(weight).all(axis=1)
        evaluable = weight > 0
        m = np.where(evaluable & np.isfinite(marker), marker, 0.0)
        # the statistic does not depend on the marker's origin and scale, its rounding does
        number = np.maximum(evaluable.sum(axis=1, keepdims=True), 1)
        m = np.where(evaluable, m - m.sum(axis=1, keepdims=True) / number, 0.0)
        scale = np.sqrt((m**2).sum(axis=1, keepdims=True) / number)
        self.scale = np.where(scale > 0, scale, 1.0)
        m = m / self.scale
        r = np.where(usable[:, None], residual, 0.0)
        e = np.where(usable[:, None], weight, 0.0)
        kinds = ROBUST_PRODUCTS if logistic else PRODUCTS
        factors = np.zeros((kinds, size, n))
        factors[0, :count], factors[1, :count] = r, r * m
        factors[2, :count], factors[3, :count], factors[4, :count] = e, e * m, e * m * m
        if logistic:
            square = r * r
            factors[5, :count], factors[6, :count] = square, square * m
            factors[7, :count] = square * m * m
        self.factors = factors.reshape(kinds * size, n)
        self.sums = np.zeros((len(bounds), size, SUMS))
        for g, rows in enumerate(bounds):
            sums = factors[:, :, rows].sum(axis=2)
            # a stratum without expected events has no residuals either
            self.sums[g, :, 0] = np.where(sums[2] > 0, 1 / np.where(sums[2] > 0, sums[2], 1.0), 0.0)
            self.sums[g, :, 1:5] = sums[[3, 4, 0, 1]].T
            if logistic:
                self.sums[g, :, 5:] = sums[5:].T
        differing = subjects_differing(np.where(evaluable, marker, np.nan))
        self.share = np.zeros(size)
        self.share[:count] = model_share(differing)
        self.observed_scale = np.zeros(size)
        self.observed_scale[:count] = observed_scale(
            differing,
            evaluable.sum(axis=1),
            (self.sums[:, :count, 0] > 0).sum(axis=0),
            logistic=logistic,
        )
        self.count, self.size, self.kinds, self.bounds = count, size, kinds, bounds

    def observed(self, arm: np.ndarray, room: _Room) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return score, its variance and information V (each of shape (size,)) of the observed arm (1, n)."""
        from correlatives.predictive.compiled_scores import PRODUCTS

        _, variance = self.scores(arm, room, self.share, kinds=PRODUCTS)
        information = variance[:, 0].copy()
        if self.kinds == PRODUCTS:
            return room.score[:, 0].copy(), information, information
        score, robust = self.scores(arm, room, np.zeros(self.size))
        there = information > 0
        variance = observed_variance(information, robust[:, 0], self.share)
        return score[:, 0].copy(), np.where(there, variance, 0.0), information

    def scores(
        self, drawn: np.ndarray, room: _Room, share: np.ndarray, *, kinds: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return efficient scores and variances (size, draws) of draws (draws, n), in `room`'s memory.

        Variances are V (Cox), or `share` (size,) of V and the rest of V_R (logistic).
        """
        from correlatives.predictive.compiled_scores import efficient_scores

        kinds = self.kinds if kinds is None else kinds
        draws = len(drawn)
        score, variance = room.score[:, :draws], room.variance[:, :draws]
        products = room.products[:, :kinds]
        flat = room.products.reshape(len(self.bounds), -1, room.arms.shape[0])
        for start in range(0, draws, _DRAWS_A_BLOCK):
            part = drawn[start : start + _DRAWS_A_BLOCK]
            room.arms[: len(part)] = part
            for g, rows in enumerate(self.bounds):
                np.matmul(
                    self.factors[: kinds * self.size, rows],
                    room.arms[:, rows].T,
                    out=flat[g, : kinds * self.size],
                )
            efficient_scores(products, self.sums, share, score, variance, start, len(part))
        return score, variance


class _Room:
    """Memory that the blocks of markers use in turn."""

    def __init__(self, strata: int, kinds: int, markers: int, draws: int, n: int) -> None:
        self.arms = np.zeros((_DRAWS_A_BLOCK, n))
        self.products = np.empty((strata, kinds, markers, _DRAWS_A_BLOCK))
        self.score = np.empty((markers, draws))
        self.variance = np.empty((markers, draws))
        self.sorting = np.empty((markers, draws + 1))


def randomisation_test(
    residual: np.ndarray,
    weight: np.ndarray,
    marker: np.ndarray,
    arm: np.ndarray,
    strata: np.ndarray,
    drawn: np.ndarray,
    *,
    logistic: bool,
    family: np.ndarray | None = None,
    far_tail: FarTail | None = None,
    markers_a_block: int | None = None,
    threads: int = 1,
) -> RandomisationTest:
    """Test every marker's interaction with the arm.

    For x in {a, m, z = a·m}, x̃ is x less its E-weighted mean within the stratum, U_x = Σ r x̃ and
    I_xy = Σ E x̃ ỹ. The efficient score U is U_z less its projection on U_a and U_m, V its information.
    Cox: Z = U / √(V + ⅕ (M − V)₊), M the median over draws of V. Logistic, with V_R of squared residuals in place of E: a drawn
    Z = U / √(s V + (1 − s) V_R), the observed one U over the root of `observed_variance`, s from `model_share`; and the
    observed Z is √(1 − 1/ν) times that, ν = subjects − strata − 1: the residuals have
    been fitted to the observed arm, so that a drawn arm's score lacks its share of that direction, and the
    observed one does not (size at 46 subjects: 0.053 without, 0.050 with). The observed Z of either model
    is √(1 − ½ / c) times that for c `subjects_differing` (`CARRIER_SHARE`; docs/calibration.md).

    Parameters
    ----------
    residual, weight : np.ndarray, shape (p, n)
        Martingale residual and expected events (Cox), or y − p and p(1 − p) (logistic), of the null model with
        marker, covariates and arm (Cox: as strata, `null_strata`). 0 for subjects without the marker. NaN in a
        row: that null model has no finite maximum, and the marker gets Z = 0.
    marker : np.ndarray, shape (p, n)
        Marker values; anything where the subject is not evaluable.
    arm : np.ndarray, shape (n,)
        Observed arm, 0 or 1.
    strata : np.ndarray of int, shape (n,)
        Stratum codes.
    drawn : np.ndarray, shape (draws, n)
        From `draw_arms`; may have no rows, which gives Z of no studentising beyond V, and p NaN.
    logistic : bool
        Which of the two statistics.
    family : np.ndarray of int, shape (p,), optional
        0-based family of each marker, -1 for none.
    far_tail : FarTail, optional
        Draws that go on for markers whose statistic fewer than 20 of `drawn` have reached: until 20 have,
        p = 20 / draws, or else p = (reached + 1) / (most + 1). The median of V stays that of `drawn`. Left
        out, all p-values rest on `drawn`: (reached + 1) / (draws + 1).
    markers_a_block : int, optional
        Markers that are worked on together; no answer depends on it.
    threads : int
        Blocks that are worked on at once, each in memory of its own; no answer depends on it.

    Returns
    -------
    RandomisationTest

    References
    ----------
    Besag J, Clifford P. Biometrika 1991;78:301-304.
    """
    from correlatives.predictive.compiled_scores import (
        PRODUCTS,
        ROBUST_PRODUCTS,
        count_reached,
        row_medians,
    )

    p, n = marker.shape
    draws = len(drawn)
    family = np.full(p, -1) if family is None else np.asarray(family, dtype=np.int64)
    families = int(family.max(initial=-1)) + 1
    order = np.argsort(strata, kind="stable")
    _, starts = np.unique(strata[order], return_index=True)
    ends = [*starts[1:], n]
    bounds = [slice(int(one), int(other)) for one, other in zip(starts, ends, strict=True)]
    drawn = np.ascontiguousarray(drawn[:, order], dtype=np.uint8)
    observed = np.asarray(arm, dtype=np.uint8)[order][None, :]
    if markers_a_block is None:
        markers_a_block = int(np.clip(_BLOCK_BYTES // (24 * max(draws, 1)), 4, _MARKERS_A_BLOCK))
    kinds = ROBUST_PRODUCTS if logistic else PRODUCTS
    z_observed, p_value, information = np.zeros(p), np.full(p, np.nan), np.zeros(p)
    floors, reached = np.zeros(p), np.zeros(p, dtype=np.int64)
    share = 0.0 if logistic or not draws else MEDIAN_SHARE

    def block_of(rows: np.ndarray, size: int) -> _Block:
        return _Block(
            residual[rows][:, order],
            weight[rows][:, order],
            marker[rows][:, order],
            bounds,
            size,
            logistic=logistic,
        )

    def work(starts: range) -> np.ndarray:
        """Test the blocks that begin at these markers; return the maxima of their families."""
        largest = np.zeros((families + 1, draws))  # the last row is for markers without a family
        room = _Room(len(bounds), kinds, markers_a_block, max(draws, 1), n)
        for first in starts:
            rows = np.arange(first, min(first + markers_a_block, p))
            count = len(rows)
            block = block_of(rows, markers_a_block)
            u, v, own = block.observed(observed, room)
            information[rows] = own[:count] * block.scale[:, 0] ** 2
            floor = np.zeros(markers_a_block)
            if draws:
                score, variance = block.scores(drawn, room, block.share)
                if not logistic:
                    floor = row_medians(variance, room.sorting)
            spread = np.sqrt(np.where(v > 0, v + share * np.maximum(floor - v, 0.0), 1.0))
            z = np.where(v > 0, u / spread, 0.0)
            z *= block.observed_scale
            z_observed[rows], floors[rows] = z[:count], floor[:count]
            if not draws:
                continue
            of_family = np.full(markers_a_block, families)
            of_family[:count] = np.where(family[rows] < 0, families, family[rows])
            found = np.zeros(markers_a_block, dtype=np.int64)
            count_reached(score, variance, floor, share, _least(z), of_family, largest, found)
            reached[rows] = found[:count]
            p_value[rows] = (1 + found[:count]) / (draws + 1)
        return largest

    blocks = -(-p // markers_a_block)
    shares = [
        range(first * markers_a_block, p, threads * markers_a_block)
        for first in range(min(threads, blocks))
    ]
    if len(shares) > 1:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(len(shares)) as pool:
            maxima = np.max(list(pool.map(work, shares)), axis=0)
    else:
        maxima = work(range(0, p, markers_a_block))
    rested = np.full(p, draws)
    if far_tail is not None and draws:
        alive = np.flatnonzero(far_tail.markers & (reached < ENOUGH))
        if len(alive):
            p_value[alive], rested[alive] = _go_on(
                far_tail, order, block_of, alive, z_observed, floors, share, reached, draws
            )
    return RandomisationTest(z_observed, p_value, information, maxima[:families], rested)


def _least(z: np.ndarray) -> np.ndarray:
    """Return what a draw's |Z| must come to, to count as reaching the observed one."""
    return np.abs(z) - EQUAL * (1.0 + np.abs(z))


def _go_on(
    far_tail: FarTail,
    order: np.ndarray,
    block_of: Callable[[np.ndarray, int], _Block],
    alive: np.ndarray,
    z: np.ndarray,
    floors: np.ndarray,
    share: float,
    reached: np.ndarray,
    draws: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw on for markers `alive`; return their p-values and the draws that these rest on."""
    from correlatives.predictive.compiled_scores import nth_reached

    subjects = np.flatnonzero(far_tail.kept)[order]
    rested = np.full(len(alive), far_tail.most)
    had = reached[alive].copy()
    going = np.arange(len(alive))
    blocks: dict[tuple[int, ...], tuple[_Block, _Room]] = {}
    done = draws
    for piece in far_tail.draws.pieces(draws, far_tail.most):
        drawn = np.ascontiguousarray(piece[:, subjects])
        stopped = np.zeros(len(going), dtype=bool)
        fresh: dict[tuple[int, ...], tuple[_Block, _Room]] = {}
        for first in range(0, len(going), _MARKERS_A_BLOCK):
            here = going[first : first + _MARKERS_A_BLOCK]
            key = tuple(here)
            if key not in blocks:
                size = min(_MARKERS_A_BLOCK, -(-len(here) // 4) * 4)
                block = block_of(alive[here], size)
                room = _Room(len(block.bounds), block.kinds, size, DRAWS_A_SEED, len(order))
                blocks[key] = block, room
            block, room = fresh[key] = blocks[key]
            score, variance = block.scores(drawn, room, block.share)
            count = len(here)
            counted, last = had[here], np.empty(count, dtype=np.int64)
            nth_reached(
                score[:count],
                variance[:count],
                floors[alive[here]],
                share,
                _least(z[alive[here]]),
                counted,
                ENOUGH,
                last,
            )
            had[here] = counted
            ended = last >= 0
            rested[here[ended]] = done + last[ended] + 1
            stopped[first : first + count] = ended
        blocks = fresh
        done += len(piece)
        going = going[~stopped]
        if not len(going):
            break
    p_value = np.where(had >= ENOUGH, ENOUGH / rested, (had + 1) / (far_tail.most + 1))
    return p_value, rested


def family_wise_p(z: np.ndarray, maxima: np.ndarray) -> np.ndarray:
    """Share of draws in which the family's largest absolute Z reaches each marker's (maxT).

    Parameters
    ----------
    z : np.ndarray, shape (p,)
        Observed statistics of the family's markers.
    maxima : np.ndarray, shape (draws,)
        Largest absolute Z of the whole family in each draw.

    Returns
    -------
    np.ndarray, shape (p,)
        Family-wise p.

    References
    ----------
    Westfall PH, Young SS. Resampling-based multiple testing. Wiley, 1993 (single step).
    """
    size = np.abs(z)
    falling = np.sort(maxima)
    below = np.searchsorted(falling, size - EQUAL * (1.0 + size), side="left")
    return (1 + len(maxima) - below) / (len(maxima) + 1)
