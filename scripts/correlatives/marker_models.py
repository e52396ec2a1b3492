"""Cox or logistic models of thousands of markers: the fast lane of `survival.cox` and `binary.logistic`.

Two models a marker, treatment + marker and treatment × marker, with their likelihood-ratio test and
profile limits; or one marker alone. Markers are fitted sixteen at a time by compiled code (`lanes`). One that
needs care (constant, aliased, separated, outlying, or slow to converge) leaves for the careful code of
`likelihood`, so every answer has the same meaning there and here: NaN where there is no number, and why.
What is of Cox models only is in `survival.engine`, of logistic ones in `binary.engine`.

A marker's answer does not depend, to the last bit, on the markers beside it, the number of threads, or how
markers are cut into blocks.
"""

from __future__ import annotations

import os
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from correlatives.intervals import Interval, Test
from correlatives.likelihood import ALIASED_NOTE, SUSPICIOUS_SPAN, ManyFits, Model, drop_at_limits

__all__ = ["InteractionFits", "MarkerFits"]

#: Markers that share their missing subjects are worth a set of risk sets of their own from this many on.
_PATTERN_FROM = 16
#: Markers that one thread takes at a time.
_PORTION = 256

#: What a profile limit is of (`lanes.fit_tiles`).
_RATIO, _TREATMENT_AT, _SLOPE = 0, 1, 2


@dataclass(frozen=True)
class InteractionFits:
    """Null and interaction model of p markers.

    Attributes
    ----------
    null : ManyFits
        Columns: marker, arm, covariates. A logistic model has its intercept before them, and after them
        indicators of all strata but the first.
    full : ManyFits
        Columns: marker, arm, covariates, arm × marker; likewise.
    lrt : Test
        Likelihood-ratio test of the interaction, 1 degree of freedom, shape (p,) each.
    prognostic : Test
        Likelihood-ratio test of the marker in the null model.
    interaction : Interval
        Log ratio of hazard or odds ratios with profile limits; limits NaN where not asked for.
    treatment : list of Interval
        Log hazard or odds ratio of treatment at each of the levels asked for.
    fast : np.ndarray of bool, shape (p,)
        Which markers stayed in the fast lane.
    """

    null: ManyFits
    full: ManyFits
    lrt: Test
    prognostic: Test
    interaction: Interval
    treatment: list[Interval]
    fast: np.ndarray


@dataclass(frozen=True)
class MarkerFits:
    """One model, marker + covariates, of p markers.

    Attributes
    ----------
    fits : ManyFits
        Columns: marker, covariates; a logistic model's as in `InteractionFits`.
    lrt : Test
        Likelihood-ratio test of the marker.
    effect : Interval
        Log hazard or odds ratio of the marker with profile limits; limits NaN where not asked for.
    fast : np.ndarray of bool, shape (p,)
        Which markers stayed in the fast lane.
    """

    fits: ManyFits
    lrt: Test
    effect: Interval
    fast: np.ndarray


class Designs:
    """Designs (p, n, k) that are put together only for the markers asked for.

    Columns: intercept (if any), marker, arm (if any), covariates, arm × marker (if `interaction`), and those that come last.
    """

    def __init__(
        self,
        markers: np.ndarray,
        include: np.ndarray | None,
        arm: np.ndarray | None,
        covariates: np.ndarray,
        *,
        interaction: bool,
        intercept: int = 0,
        last: np.ndarray | None = None,
    ) -> None:
        self.markers, self.include = markers, include
        self.arm, self.covariates = arm, covariates
        self.interaction, self.intercept = interaction, intercept
        self.last = np.zeros((len(covariates), 0)) if last is None else last
        k = intercept + 1 + (arm is not None) + covariates.shape[1] + interaction
        self.shape = (*markers.shape, k + self.last.shape[1])

    def __len__(self) -> int:
        return len(self.markers)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Return the designs of some markers, shape (rows, n, k)."""
        return self.at(rows, None)

    def at(self, rows: np.ndarray, origin: np.ndarray | None) -> np.ndarray:
        """Return designs with an origin subtracted from each marker, shape (rows, n, k)."""
        marker = self.markers[rows]
        if self.include is not None:
            marker = np.where(self.include[rows], marker, 0.0)
        if origin is not None:
            marker = marker - origin[:, None]
        parts = [marker]
        if self.arm is not None:
            parts.append(self.arm)
        parts += list(self.covariates.T)
        if self.interaction:
            parts.append(marker * self.arm)
        design = np.ones((len(marker), *self.shape[1:]))
        for j, part in enumerate([*parts, *self.last.T], self.intercept):
            design[:, :, j] = part
        return design


@cache
def settle_cache() -> None:
    """Settle where compiled code is kept, beside the source or, where that is read-only, elsewhere.

    To be called before a module of compiled arithmetic is imported. That has to be by a statement: what a job is made
    of is read from those.
    """
    place_cache(Path(__file__).parent)


def place_cache(source: Path) -> Path | None:
    """Tell Numba to keep compiled code in a folder of this user if it cannot keep it beside the source.

    Returns
    -------
    Path or None
        The folder; None where Numba's own choice stands.
    """
    if os.environ.get("NUMBA_CACHE_DIR"):
        return None
    try:
        beside = source / "__pycache__"
        beside.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=beside):
            return None
    except OSError:
        pass
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"correlatives-compiled-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.stat()
        # compiled code is run: never that of a folder someone else can write to
        if hasattr(os, "getuid") and (state.st_uid != user or state.st_mode & 0o022):
            raise PermissionError(folder)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="correlatives-compiled-"))
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if "numba" in sys.modules:
        from numba.core import config

        config.CACHE_DIR = str(folder)
    return folder


def over_threads(
    work: Callable[[np.ndarray], None], parts: Sequence[np.ndarray], threads: int
) -> None:
    """Do some work for every part, on threads of this process; the first alone, since it may compile."""
    if threads > 1 and len(parts) > 1:
        from concurrent.futures import ThreadPoolExecutor

        work(parts[0])
        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(work, part) for part in parts[1:]]:
                done.result()
    else:
        for part in parts:
            work(part)


@dataclass
class Order:
    """Subjects that count, in the order of the fast lane, and their tied times (Cox) or cells of stratum × arm (logistic).

    `dead` and `fresh` are of tied times, `stratum` of cells: see `lanes.fit_tiles`. The other kind's are empty.
    """

    rows: np.ndarray
    first: np.ndarray
    size: np.ndarray
    dead: np.ndarray
    fresh: np.ndarray
    stratum: np.ndarray


class Screen(ABC):
    """Checked outcomes, and the markers whose models are wanted.

    Attributes
    ----------
    survival : bool
        Cox, else logistic.
    intercept : int
        Columns in front of the marker in designs.
    event : np.ndarray of bool, shape (n,)
        Event, or response.
    codes : np.ndarray of int, shape (n,)
        Strata.
    intercepts : np.ndarray, shape (n, number of intercepts)
        Their indicators; a Cox model has none.
    markers : np.ndarray, shape (p, n)
    include : np.ndarray of bool, shape (p, n), or None
        Subjects of each marker's models, None for all.
    arm : np.ndarray, shape (n,), or None
    covariates : np.ndarray, shape (n, c)
    words : str
        What is fitted.
    """

    survival: bool
    intercept: int
    words: str

    def __init__(
        self,
        event: np.ndarray,
        arm: ArrayLike | None,
        markers: ArrayLike,
        include: ArrayLike | None,
        strata: ArrayLike | None,
        covariates: ArrayLike | None,
    ) -> None:
        n = len(event)
        markers = np.ascontiguousarray(markers, dtype=float)
        if markers.ndim != 2 or markers.shape[1] != n:
            raise ValueError(f"markers have shape {markers.shape}: expected (markers, {n})")
        if include is not None:
            include = np.ascontiguousarray(include, dtype=bool)
            if include.shape != markers.shape:
                raise ValueError(f"include has shape {include.shape}: expected {markers.shape}")
            if include.all():
                include = None
        codes = np.zeros(n, np.int64)
        if strata is not None:
            strata = np.asarray(strata)
            if strata.shape != (n,):
                raise ValueError(f"strata {strata.shape} must have one label a subject {(n,)}")
            codes = np.unique(strata, return_inverse=True)[1].reshape(n).astype(np.int64)
        if arm is not None:
            arm = np.asarray(arm, dtype=float)
            if arm.shape != (n,) or not np.isin(arm, (0.0, 1.0)).all():
                raise ValueError("arm must be 0 (control) or 1 (experimental), one a subject")
        columns = np.zeros((n, 0)) if covariates is None else np.asarray(covariates, dtype=float)
        if columns.ndim == 1:
            columns = columns[:, None]
        if columns.shape[0] != n or columns.ndim != 2 or not np.isfinite(columns).all():
            raise ValueError(
                f"covariates {columns.shape} must be finite, with a row a subject ({n})"
            )
        self.event, self.codes, self.strata = event, codes, strata
        self.markers, self.include = markers, include
        self.arm, self.covariates = arm, columns
        self.intercepts = np.zeros((n, 0))

    @abstractmethod
    def informative(self) -> np.ndarray:
        """Return the subjects that can say something about some marker."""

    @abstractmethod
    def ordered(self, kept: np.ndarray) -> Order:
        """Sort some subjects."""

    @abstractmethod
    def loglik_at_zero(self, everyone: Order) -> np.ndarray:
        """Return the log-likelihood of the model without any column, shape (p,)."""

    @abstractmethod
    def start(self) -> np.ndarray:
        """Return coefficients of arm, marker (0, twice), intercepts and covariates to start from, covariates being centred."""

    @abstractmethod
    def model(self, designs: Designs | np.ndarray, include: np.ndarray | None) -> Model:
        """Return the careful model of some designs."""

    def designs(self, *, interaction: bool) -> Designs:
        """Return the designs of all markers."""
        return Designs(
            self.markers,
            self.include,
            self.arm,
            self.covariates,
            interaction=interaction,
            intercept=self.intercept,
            last=self.intercepts[:, 1:],
        )

    def careful(
        self, designs: Designs, rows: np.ndarray, origin: np.ndarray | None = None
    ) -> ManyFits:
        """Fit some markers, each less its origin, in the careful code."""
        include = None if self.include is None else self.include[rows]
        return self.model(designs.at(rows, origin), include).fit(self.words)


@dataclass
class _Result:
    """What the fast lane found, in centred and scaled columns; rows with `found` False hold nothing."""

    maps: np.ndarray  # (models, k)
    estimates: np.ndarray  # (p, models, k)
    covariance: np.ndarray  # (p, models, packed); no rows where not asked for
    loglik: np.ndarray  # (p, models)
    limits: np.ndarray  # (p, limits, 2)
    centre: np.ndarray
    scale: np.ndarray
    covariate_centre: np.ndarray
    covariate_scale: np.ndarray
    found: np.ndarray
    at_zero: np.ndarray  # log-likelihood without any column


def _run(
    screen: Screen,
    maps: Sequence[Sequence[int]],
    kinds: Sequence[int],
    levels: np.ndarray,
    drop: np.ndarray,
    exact: bool,
    threads: int,
) -> _Result:
    """Fit every marker in the fast lane."""
    p, n = screen.markers.shape
    intercepts, covariates = screen.intercepts.shape[1], screen.covariates.shape[1]
    added = intercepts + covariates
    k = 3 + added
    triangle = k * (k + 1) // 2
    arm = np.zeros(n, bool) if screen.arm is None else screen.arm == 1
    informative = screen.informative()
    everyone = screen.ordered(informative)
    centred = screen.covariates[informative]
    centre = centred.mean(axis=0) if len(informative) else np.zeros(covariates)
    deviation = centred.std(axis=0) if len(informative) else np.zeros(covariates)
    deviation = np.where(deviation > 0, deviation, 1.0)
    columns = np.hstack([screen.intercepts, (screen.covariates - centre) / deviation])
    table = np.array(maps, np.int64).reshape(len(maps), k)
    out = _Result(
        table,
        np.full((p, len(maps), k), np.nan),
        np.full((p if exact else 0, len(maps), triangle), np.nan),
        np.full((p, len(maps)), np.nan),
        np.full((p, len(kinds), 2), np.nan),
        np.zeros(p),
        np.ones(p),
        centre,
        deviation,
        np.zeros(p, bool),
        screen.loglik_at_zero(everyone),
    )
    outside = np.ones(n, bool)
    outside[informative] = False
    _refuse_unknown(screen, np.arange(p), np.flatnonzero(outside))
    if not len(informative) or p == 0:
        return out
    settle_cache()
    from correlatives import lanes

    start = screen.start()
    start[3 + intercepts :] *= deviation
    counts = table.max(axis=1) + 1
    span, state = np.zeros(p), np.zeros(p, np.int64)
    include = screen.include if screen.include is not None else np.zeros((1, 1), bool)
    kinds_array = np.array(kinds, np.int64)

    def fit(members: np.ndarray, order: Order, masked: bool) -> None:
        width, m = lanes.WIDTH, len(order.rows)
        sums = 6 + 4 * added + added * (added + 1) // 2
        cells = 2 * m if not screen.survival and covariates else 1
        lanes.fit_tiles(
            screen.survival,
            screen.markers,
            include,
            masked,
            members,
            order.rows,
            arm[order.rows],
            screen.event[order.rows],
            order.first,
            order.size,
            order.dead,
            order.fresh,
            order.stratum,
            np.ascontiguousarray(columns[order.rows]),
            np.abs(columns[order.rows]).max(axis=0, initial=0.0),
            start,
            table,
            counts,
            kinds_array,
            levels,
            drop,
            exact,
            _aligned((2 * k + triangle + 2 + 3 * sums + k) * width),
            _aligned((5 * k + 2 * triangle) * width),
            np.zeros(width, np.int64),
            _aligned(m * width),
            _aligned(m * width if masked else width),
            _aligned(k * width),
            _aligned(cells * width),
            out.estimates,
            out.covariance,
            out.loglik,
            out.limits,
            out.centre,
            out.scale,
            span,
            state,
        )

    work = []
    for members, order, masked in _patterns(screen, informative, everyone):
        for first in range(0, len(members), _PORTION):
            work.append((members[first : first + _PORTION], order, masked))
    if threads > 1 and len(work) > 1:
        from concurrent.futures import ThreadPoolExecutor

        members, order, masked = work[0]
        fit(members[: lanes.WIDTH], order, masked)  # compiles once, before the threads
        work[0] = (members[lanes.WIDTH :], order, masked)
        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(fit, *part) for part in work]:
                done.result()
    else:
        for part in work:
            fit(*part)
    out.found = (state == lanes.FOUND) & (span <= SUSPICIOUS_SPAN)
    _refuse_unknown(screen, np.flatnonzero(~out.found))
    return out


def _refuse_unknown(
    screen: Screen, markers: np.ndarray, subjects: np.ndarray | None = None
) -> None:
    """Raise for values that count and are not finite, of some markers and subjects.

    The fast lane finds no marker with such a value in the fit, so only the others need to be looked at.
    """
    subjects = np.arange(screen.markers.shape[1]) if subjects is None else subjects
    for first in range(0, len(markers) if len(subjects) else 0, 1024):
        block = markers[first : first + 1024]
        wrong = ~np.isfinite(screen.markers[np.ix_(block, subjects)])
        if screen.include is not None:
            wrong &= screen.include[np.ix_(block, subjects)]
        if wrong.any():
            marker = block[np.flatnonzero(wrong.any(axis=1))[0]]
            raise ValueError(
                f"marker {marker} has a missing or infinite value in an included subject: "
                "leave such subjects out by `include`"
            )


def _aligned(length: int) -> np.ndarray:
    """Return zeros that begin on a cache line."""
    room = np.zeros(length + 8)
    skip = (-room.ctypes.data % 64) // 8
    return room[skip : skip + length]


def _patterns(
    screen: Screen, informative: np.ndarray, everyone: Order
) -> list[tuple[np.ndarray, Order, bool]]:
    """Sort markers by their missing subjects: (markers, order of subjects, whether lanes need a mask)."""
    p = len(screen.markers)
    if screen.include is None:
        return [(np.arange(p), everyone, False)]
    bits = np.ascontiguousarray(np.packbits(screen.include[:, everyone.rows], axis=1))
    keys = bits.view(np.dtype((np.void, bits.shape[1]))).ravel()
    _, where, counts = np.unique(keys, return_inverse=True, return_counts=True)
    where = where.reshape(p)
    parts = []
    for pattern in np.flatnonzero(counts >= _PATTERN_FROM):
        members = np.flatnonzero(where == pattern)
        kept = informative[screen.include[members[0]][informative]]
        if len(kept):
            parts.append((members, screen.ordered(kept), False))
    rest = np.flatnonzero(counts[where] < _PATTERN_FROM)
    if len(rest):
        parts.append((rest, everyone, True))
    return parts


def _triangle(packed: np.ndarray, k: int) -> np.ndarray:
    """Return symmetric matrices (p, k, k) from packed lower triangles."""
    full = np.empty((len(packed), k, k))
    at = 0
    for r in range(k):
        for s in range(r + 1):
            full[:, r, s] = full[:, s, r] = packed[:, at]
            at += 1
    return full


class _Columns:
    """Turns parameters of the fast lane into coefficients of the columns of designs, in the units of the data.

    Parameters are treatment at the centre, slopes in either arm, intercepts of the strata, covariates.
    """

    def __init__(self, screen: Screen, result: _Result, *, arm: bool, interaction: bool) -> None:
        self.result = result
        p, c = len(result.scale), screen.covariates.shape[1]
        self.strata = screen.intercepts.shape[1]
        self.arm, self.interaction = arm, interaction
        self.present = np.ones((p, self.strata), bool)
        if screen.include is not None and self.strata:
            self.present = screen.include @ screen.intercepts > 0
        # the first stratum is the reference or, where it has no subject, the last: its column is aliased
        last = self.strata - 1 - np.argmax(self.present[:, ::-1], axis=1) if self.strata else 0
        self.reference = np.where(self.present[:, :1].all(axis=1), 0, last)
        self.units = np.ones((p, 3 + self.strata + c))
        self.units[:, 1:3] = 1.0 / result.scale[:, None]
        self.units[:, 3 + self.strata :] = 1.0 / result.covariate_scale

    @property
    def aliased(self) -> np.ndarray:
        """Columns of strata without subjects, or without one that is the reference, shape (p, k)."""
        columns = np.arange(1, self.strata) if self.strata else np.zeros(0, int)
        own = ~self.present[:, 1:] | (columns == self.reference[:, None])
        c = len(self.result.covariate_scale)
        before = (self.strata > 0) + 1 + self.arm + c + self.interaction
        return np.hstack([np.zeros((len(own), before), bool), own])

    def _of_rows(self, rows: np.ndarray) -> np.ndarray:
        centre = self.result.centre[:, None]
        control, experimental = rows[:, 1], rows[:, 2]
        ratio = experimental - control
        covariates = rows[:, 3 + self.strata :]
        parts = [control]
        if self.arm:
            parts.append(rows[:, 0] - centre * ratio)
        parts += list(covariates.transpose(1, 0, 2))
        if self.interaction:
            parts.append(ratio)
        if self.strata:
            shift = centre * control
            for j, mean in enumerate(self.result.covariate_centre):
                shift = shift + mean * covariates[:, j]
            levels = rows[:, 3 : 3 + self.strata]
            reference = levels[np.arange(len(levels)), self.reference]
            parts.insert(0, reference - shift)
            parts += [levels[:, g] - reference for g in range(1, self.strata)]
        return np.stack(parts, axis=1)

    def coefficients(self, model: int) -> np.ndarray:
        """Coefficients of one of the models, shape (p, k)."""
        rows = self.result.estimates[:, model] * self.units
        found = self._of_rows(rows[:, :, None])[:, :, 0]
        return np.where(self.aliased, np.nan, found)

    def covariance(self, model: int) -> np.ndarray:
        """Their covariance, shape (p, k, k); NaN where not asked for."""
        gone = self.aliased
        if not len(self.result.covariance):
            return np.full((*gone.shape, gone.shape[1]), np.nan)
        which = self.result.maps[model]
        free = int(which.max()) + 1
        matrices = _triangle(self.result.covariance[:, model, : free * (free + 1) // 2], free)
        matrices = matrices[:, which][:, :, which]
        matrices[:, which < 0] = 0.0
        matrices[:, :, which < 0] = 0.0
        matrices *= self.units[:, :, None] * self.units[:, None, :]
        matrices = self._of_rows(self._of_rows(matrices).transpose(0, 2, 1))
        return np.where(gone[:, :, None] | gone[:, None, :], np.nan, matrices)


def _many(
    screen: Screen, designs: Designs, result: _Result, model: int, *, interaction: bool
) -> tuple[ManyFits, ManyFits | None]:
    """Put fast answers of one of the models and careful ones together; also the careful ones alone."""
    p, _, k = designs.shape
    columns = _Columns(screen, result, arm=screen.arm is not None, interaction=interaction)
    whole = screen.model(designs, screen.include)
    n, events, _ = whole.counts()
    found = result.found
    coefficients, covariance = columns.coefficients(model), columns.covariance(model)
    coefficients[~found], covariance[~found] = np.nan, np.nan
    whole.aliased = columns.aliased & found[:, None]
    many = ManyFits(
        coefficients,
        covariance,
        np.where(found, result.loglik[:, model], np.nan),
        result.at_zero.copy(),
        found.copy(),
        np.zeros(p, bool),
        whole.aliased,
        n,
        events,
        np.where(whole.aliased.any(axis=1), ALIASED_NOTE, "").astype(object),
        screen.words,
        whole,
        np.nan_to_num(coefficients),
        np.zeros((p, k)),
    )
    rest = np.flatnonzero(~found)
    if not len(rest):
        return many, None
    careful = screen.careful(designs, rest)
    for name in (
        "coefficients",
        "covariance",
        "loglik",
        "loglik_null",
        "converged",
        "separated",
        "aliased",
        "note",
        "_stopped",
        "_direction",
    ):
        getattr(many, name)[rest] = getattr(careful, name)
    return many, careful


def _likelihood_ratio(
    result: _Result, above: int, below: int, careful: ManyFits | None, column: int
) -> Test:
    """Test between two models of the fast lane; for careful markers, of a column."""
    statistic = np.maximum(2 * (result.loglik[:, above] - result.loglik[:, below]), 0.0)
    statistic[~result.found] = np.nan
    if careful is not None:
        statistic[~result.found] = careful.test(column).statistic
    from scipy.special import erfc

    df = np.where(np.isfinite(statistic), 1.0, np.nan)
    # the chi-square tail at one degree of freedom, thirty times as fast as the general one
    return Test(statistic, df, erfc(np.sqrt(0.5 * statistic)))


def interaction_fits(
    screen: Screen,
    *,
    covariances: bool,
    limits: float | None,
    deviance: ArrayLike | None,
    levels: Sequence[ArrayLike],
    threads: int,
) -> InteractionFits:
    """Fit treatment + marker and treatment × marker to every marker; options as in `survival.engine.fit_interactions`."""
    p = len(screen.markers)
    c = screen.intercepts.shape[1] + screen.covariates.shape[1]
    places = np.zeros((len(levels), p))
    for place, at in zip(places, levels, strict=True):
        place[:] = at
    drop = drop_at_limits(p, 0.95 if limits is None else limits, deviance)
    result = _run(
        screen,
        [
            [0, -1, -1, *range(1, 1 + c)],
            [0, 1, 1, *range(2, 2 + c)],
            [0, 1, 2, *range(3, 3 + c)],
        ],
        [] if limits is None else [_RATIO] + [_TREATMENT_AT] * len(places),
        np.vstack([np.zeros(p), places]),
        drop,
        covariances,
        threads,
    )
    marker, treatment = screen.intercept, screen.intercept + 1
    ratio = treatment + 1 + screen.covariates.shape[1]
    null, careful_null = _many(
        screen, screen.designs(interaction=False), result, 1, interaction=False
    )
    designs = screen.designs(interaction=True)
    full, careful = _many(screen, designs, result, 2, interaction=True)
    nothing = np.full(p, np.nan)
    interaction = Interval(full.coefficients[:, ratio].copy(), nothing, nothing)
    effects = []
    if limits is not None:
        interaction = _with_limits(
            screen, result, 0, full.coefficients[:, ratio].copy(), designs, None, ratio, drop
        )
        for f, at in enumerate(places):
            value = full.coefficients[:, treatment] + at * full.coefficients[:, ratio]
            effects.append(_with_limits(screen, result, 1 + f, value, designs, at, treatment, drop))
    return InteractionFits(
        null,
        full,
        _likelihood_ratio(result, 2, 1, careful, ratio),
        _likelihood_ratio(result, 1, 0, careful_null, marker),
        interaction,
        effects,
        result.found,
    )


def marker_fits(
    screen: Screen,
    *,
    covariances: bool,
    limits: float | None,
    deviance: ArrayLike | None,
    threads: int,
) -> MarkerFits:
    """Fit marker + covariates to every marker; options as in `survival.engine.fit_interactions`."""
    p = len(screen.markers)
    c = screen.intercepts.shape[1] + screen.covariates.shape[1]
    drop = drop_at_limits(p, 0.95 if limits is None else limits, deviance)
    result = _run(
        screen,
        [[-1, -1, -1, *range(c)], [-1, 0, 0, *range(1, 1 + c)]],
        [] if limits is None else [_SLOPE],
        np.zeros((1, p)),
        drop,
        covariances,
        threads,
    )
    designs = screen.designs(interaction=False)
    marker = screen.intercept
    fits, careful = _many(screen, designs, result, 1, interaction=False)
    nothing = np.full(p, np.nan)
    effect = Interval(fits.coefficients[:, marker].copy(), nothing, nothing)
    if limits is not None:
        effect = _with_limits(
            screen, result, 0, fits.coefficients[:, marker].copy(), designs, None, marker, drop
        )
    return MarkerFits(fits, _likelihood_ratio(result, 1, 0, careful, marker), effect, result.found)


def _with_limits(
    screen: Screen,
    result: _Result,
    f: int,
    estimate: np.ndarray,
    designs: Designs,
    origin: np.ndarray | None,
    column: int,
    drop: np.ndarray,
) -> Interval:
    """Limits of the fast lane; the careful search for those it did not find.

    `origin` moves the marker so that the quantity is a coefficient.
    """
    low, high = result.limits[:, f, 0].copy(), result.limits[:, f, 1].copy()
    low[~result.found] = high[~result.found] = np.nan
    rest = np.flatnonzero(~(np.isfinite(low) & np.isfinite(high)))
    if len(rest):
        careful = screen.careful(designs, rest, None if origin is None else origin[rest])
        found = careful.interval(column, deviance=drop[rest])
        estimate[rest], low[rest], high[rest] = found.estimate, found.low, found.high
    return Interval(estimate, low, high)
