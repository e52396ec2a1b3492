"""Cox models of thousands of markers: the fast lane of `cox`.

Two models a marker, treatment + marker and treatment × marker, with their likelihood-ratio test and
profile limits; or one marker alone. Markers are fitted sixteen at a time by compiled code (`lanes`). One that
needs care (constant, aliased, separated, outlying, or slow to converge) leaves for the careful code of
`cox`, so every answer has the same meaning there and here: NaN where there is no number, and why.

A marker's answer does not depend, to the last bit, on the markers beside it, the number of threads, or how
markers are cut into blocks.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike

from correlatives.intervals import Interval, Test
from correlatives.likelihood import SUSPICIOUS_SPAN, ManyFits, drop_at_limits
from correlatives.survival.cox import CoxModel, checked_outcomes, fit_cox
from correlatives.survival.ties import tie_times

__all__ = ["InteractionFits", "MarkerFits", "fit_interactions", "fit_markers"]

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
        Columns: marker, arm, covariates.
    full : ManyFits
        Columns: marker, arm, covariates, arm × marker (last).
    lrt : Test
        Likelihood-ratio test of the interaction, 1 degree of freedom, shape (p,) each.
    prognostic : Test
        Likelihood-ratio test of the marker in the null model.
    interaction : Interval
        Log ratio of hazard ratios with profile limits; limits NaN where not asked for.
    treatment : list of Interval
        Log hazard ratio of treatment at each of the levels asked for.
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
        Columns: marker, covariates.
    lrt : Test
        Likelihood-ratio test of the marker.
    effect : Interval
        Log hazard ratio of the marker with profile limits; limits NaN where not asked for.
    fast : np.ndarray of bool, shape (p,)
        Which markers stayed in the fast lane.
    """

    fits: ManyFits
    lrt: Test
    effect: Interval
    fast: np.ndarray


class Designs:
    """Designs (p, n, k) that are put together only for the markers asked for.

    Columns: marker, arm (if any), covariates, arm × marker (if `interaction`).
    """

    def __init__(
        self,
        markers: np.ndarray,
        include: np.ndarray | None,
        arm: np.ndarray | None,
        covariates: np.ndarray,
        *,
        interaction: bool,
    ) -> None:
        self.markers, self.include = markers, include
        self.arm, self.covariates = arm, covariates
        self.interaction = interaction
        k = 1 + (arm is not None) + covariates.shape[1] + interaction
        self.shape = (*markers.shape, k)

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
        design = np.empty((len(marker), *self.shape[1:]))
        design[:, :, 0] = marker
        first = 1
        if self.arm is not None:
            design[:, :, 1] = self.arm
            first = 2
        design[:, :, first : first + self.covariates.shape[1]] = self.covariates
        if self.interaction:
            design[:, :, -1] = marker * self.arm
        return design


def compiled(name: str) -> ModuleType:
    """Import a module of compiled arithmetic, whose cache is beside it or, where that is read-only, elsewhere."""
    if name not in sys.modules:
        place_cache(Path(__file__).parent)
    return import_module(name)


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


@dataclass
class _Order:
    """Subjects at risk at some event of their stratum, sorted by stratum and falling time, and their ties."""

    rows: np.ndarray
    first: np.ndarray
    size: np.ndarray
    dead: np.ndarray
    fresh: np.ndarray


def _ordered(time: np.ndarray, event: np.ndarray, codes: np.ndarray, kept: np.ndarray) -> _Order:
    """Sort the subjects in `kept`."""
    rows = kept[np.lexsort((kept, -time[kept], codes[kept]))]
    t, s = time[rows], codes[rows]
    new = np.ones(len(rows), bool)
    new[1:] = (t[1:] != t[:-1]) | (s[1:] != s[:-1])
    first = np.flatnonzero(new)
    size = np.diff(np.append(first, len(rows)))
    dead = np.add.reduceat(event[rows].astype(np.int64), first) if len(first) else first
    fresh = np.ones(len(first), bool)
    fresh[1:] = s[first][1:] != s[first][:-1]
    return _Order(rows, first, size, dead.astype(np.int64), fresh)


def _informative(time: np.ndarray, event: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the subjects that are at risk at an event of their stratum."""
    earliest = np.full(codes.max(initial=-1) + 1, np.inf)
    np.minimum.at(earliest, codes[event], time[event])
    return np.flatnonzero(time >= earliest[codes])


def _loglik_at_zero_of(
    order: _Order, event: np.ndarray, include: np.ndarray | None, p: int
) -> np.ndarray:
    """Log-likelihood with every coefficient 0: the logarithms of the numbers at risk, shape (p,)."""
    factorials = np.append(0.0, np.cumsum(np.log(np.arange(1, len(order.rows) + 1))))
    if not len(order.rows):
        return np.zeros(p)
    present = np.ones((1, len(order.rows)), np.int64)
    if include is not None:
        present = include[:, order.rows].astype(np.int64)
    out = np.zeros(len(present))
    died = np.add.reduceat(present * event[order.rows], order.first, axis=1)
    entered = np.add.reduceat(present, order.first, axis=1)
    edges = np.append(np.flatnonzero(order.fresh), len(order.first))
    for a, b in pairwise(edges):
        at_risk = np.cumsum(entered[:, a:b], axis=1)
        out -= (factorials[at_risk] - factorials[at_risk - died[:, a:b]]).sum(axis=1)
    return np.broadcast_to(out, (p,)).copy()


def _loglik_at_zero(
    order: _Order, event: np.ndarray, include: np.ndarray | None, p: int
) -> np.ndarray:
    """`_loglik_at_zero_of`, in blocks that fit the cache."""
    if include is None:
        return _loglik_at_zero_of(order, event, None, p)
    return np.concatenate(
        [
            _loglik_at_zero_of(order, event, include[i : i + 256], len(include[i : i + 256]))
            for i in range(0, p, 256)
        ]
        or [np.zeros(0)]
    )


@dataclass
class _Data:
    """Checked input."""

    time: np.ndarray
    event: np.ndarray
    codes: np.ndarray
    strata: np.ndarray | None
    markers: np.ndarray
    include: np.ndarray | None
    covariates: np.ndarray
    arm: np.ndarray | None

    @property
    def words(self) -> str:
        """What is fitted."""
        return "Cox, Efron ties" + (", stratified" if self.strata is not None else "")


def _checked(
    time: ArrayLike,
    event: ArrayLike,
    arm: ArrayLike | None,
    markers: ArrayLike,
    include: ArrayLike | None,
    strata: ArrayLike | None,
    covariates: ArrayLike | None,
) -> _Data:
    time, event = checked_outcomes(time, event)
    n = len(time)
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
        if strata.shape != time.shape:
            raise ValueError(f"strata {strata.shape} must have one label a subject {time.shape}")
        codes = np.unique(strata, return_inverse=True)[1].reshape(n).astype(np.int64)
    if arm is not None:
        arm = np.asarray(arm, dtype=float)
        if arm.shape != time.shape or not np.isin(arm, (0.0, 1.0)).all():
            raise ValueError("arm must be 0 (control) or 1 (experimental), one a subject")
    columns = np.zeros((n, 0)) if covariates is None else np.asarray(covariates, dtype=float)
    if columns.ndim == 1:
        columns = columns[:, None]
    if columns.shape[0] != n or columns.ndim != 2 or not np.isfinite(columns).all():
        raise ValueError(f"covariates {columns.shape} must be finite, with a row a subject ({n})")
    return _Data(tie_times(time), event, codes, strata, markers, include, columns, arm)


@dataclass
class _Result:
    """What the fast lane found, in centred and scaled columns; rows with `found` False hold nothing."""

    estimates: np.ndarray  # (p, models, k)
    covariance: np.ndarray  # (p, models, packed); NaN where not asked for
    loglik: np.ndarray  # (p, models)
    limits: np.ndarray  # (p, limits, 2)
    centre: np.ndarray
    scale: np.ndarray
    covariate_scale: np.ndarray
    found: np.ndarray
    at_zero: np.ndarray  # log-likelihood with every coefficient 0


def _start(data: _Data) -> np.ndarray:
    """Coefficients of arm and covariates without a marker; 0 where there are none. Only a start."""
    columns = [] if data.arm is None else [data.arm]
    columns = [*columns, *data.covariates.T]
    start = np.zeros(3 + data.covariates.shape[1])
    if columns:
        fit = fit_cox(data.time, data.event, np.column_stack(columns), data.strata)
        if fit.converged:
            found = np.nan_to_num(fit.coefficients)
            if data.arm is not None:
                start[0], found = found[0], found[1:]
            start[3:] = found
    return start


def _run(
    data: _Data,
    maps: Sequence[Sequence[int]],
    kinds: Sequence[int],
    levels: np.ndarray,
    drop: np.ndarray,
    exact: bool,
    threads: int,
) -> _Result:
    """Fit every marker in the fast lane."""
    p, n = data.markers.shape
    covariates = data.covariates.shape[1]
    k = 3 + covariates
    triangle = k * (k + 1) // 2
    arm = np.zeros(n, bool) if data.arm is None else data.arm == 1
    informative = _informative(data.time, data.event, data.codes)
    everyone = _ordered(data.time, data.event, data.codes, informative)
    centred = data.covariates[informative]
    centre = centred.mean(axis=0) if len(informative) else np.zeros(covariates)
    deviation = centred.std(axis=0) if len(informative) else np.zeros(covariates)
    deviation = np.where(deviation > 0, deviation, 1.0)
    columns = (data.covariates - centre) / deviation
    out = _Result(
        np.full((p, len(maps), k), np.nan),
        np.full((p, len(maps), triangle), np.nan),
        np.full((p, len(maps)), np.nan),
        np.full((p, len(kinds), 2), np.nan),
        np.zeros(p),
        np.ones(p),
        deviation,
        np.zeros(p, bool),
        _loglik_at_zero(everyone, data.event, data.include, p),
    )
    outside = np.ones(n, bool)
    outside[informative] = False
    _refuse_unknown(data, np.arange(p), np.flatnonzero(outside))
    if not len(informative) or p == 0:
        return out
    lanes = compiled("correlatives.survival.lanes")
    start = _start(data)
    start[3:] *= deviation
    table = np.array(maps, np.int64).reshape(len(maps), k)
    counts = table.max(axis=1) + 1
    span, state = np.zeros(p), np.zeros(p, np.int64)
    include = data.include if data.include is not None else np.zeros((1, 1), bool)
    kinds_array = np.array(kinds, np.int64)

    def fit(members: np.ndarray, order: _Order, masked: bool) -> None:
        width, m = lanes.WIDTH, len(order.rows)
        sums = 6 + 4 * covariates + covariates * (covariates + 1) // 2
        lanes.fit_tiles(
            data.markers,
            include,
            masked,
            members,
            order.rows,
            arm[order.rows],
            data.event[order.rows],
            order.first,
            order.size,
            order.dead,
            order.fresh,
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
    for members, order, masked in _patterns(data, informative, everyone):
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
    _refuse_unknown(data, np.flatnonzero(~out.found))
    return out


def _refuse_unknown(data: _Data, markers: np.ndarray, subjects: np.ndarray | None = None) -> None:
    """Raise for values that count and are not finite, of some markers and subjects.

    The fast lane finds no marker with such a value at risk, so only the others need to be looked at.
    """
    subjects = np.arange(data.markers.shape[1]) if subjects is None else subjects
    for first in range(0, len(markers) if len(subjects) else 0, 1024):
        block = markers[first : first + 1024]
        wrong = ~np.isfinite(data.markers[np.ix_(block, subjects)])
        if data.include is not None:
            wrong &= data.include[np.ix_(block, subjects)]
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
    data: _Data, informative: np.ndarray, everyone: _Order
) -> list[tuple[np.ndarray, _Order, bool]]:
    """Sort markers by their missing subjects: (markers, risk sets, whether lanes need a mask)."""
    p = len(data.markers)
    if data.include is None:
        return [(np.arange(p), everyone, False)]
    bits = np.ascontiguousarray(np.packbits(data.include[:, everyone.rows], axis=1))
    keys = bits.view(np.dtype((np.void, bits.shape[1]))).ravel()
    _, where, counts = np.unique(keys, return_inverse=True, return_counts=True)
    where = where.reshape(p)
    parts = []
    for pattern in np.flatnonzero(counts >= _PATTERN_FROM):
        members = np.flatnonzero(where == pattern)
        kept = informative[data.include[members[0]][informative]]
        if len(kept):
            order = _ordered(data.time, data.event, data.codes, kept)
            parts.append((members, order, False))
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


def _many(
    data: _Data,
    designs: Designs,
    result: _Result,
    coefficients: np.ndarray,
    covariance: np.ndarray,
    loglik: np.ndarray,
) -> tuple[ManyFits, ManyFits | None]:
    """Put fast answers and careful ones together; also the careful ones alone."""
    p, _, k = designs.shape
    model = CoxModel(
        data.time, data.event, designs, data.include, data.strata, efron=True, firth=False
    )
    n, events, _ = model.counts()
    found = result.found
    many = ManyFits(
        np.where(found[:, None], coefficients, np.nan),
        np.where(found[:, None, None], covariance, np.nan),
        np.where(found, loglik, np.nan),
        result.at_zero.copy(),
        found.copy(),
        np.zeros(p, bool),
        model.aliased,
        n,
        events,
        np.full(p, "", dtype=object),
        data.words,
        model,
        np.where(found[:, None], coefficients, 0.0),
        np.zeros((p, k)),
    )
    rest = np.flatnonzero(~found)
    if not len(rest):
        return many, None
    careful = CoxModel(
        data.time,
        data.event,
        designs[rest],
        None if data.include is None else data.include[rest],
        data.strata,
        efron=True,
        firth=False,
    ).fit(data.words)
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


def fit_interactions(
    time: ArrayLike,
    event: ArrayLike,
    arm: ArrayLike,
    markers: ArrayLike,
    include: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    covariates: ArrayLike | None = None,
    *,
    covariances: bool = True,
    limits: float | None = None,
    deviance: ArrayLike | None = None,
    levels: Sequence[ArrayLike] = (),
    threads: int = 1,
) -> InteractionFits:
    """Fit treatment + marker and treatment × marker to every marker, Efron ties.

    Parameters
    ----------
    time, event : array-like, shape (n,)
        Time in any unit, and 1 for an event, 0 for censored. Times equal but for rounding are tied.
    arm : array-like, shape (n,)
        0 control, 1 experimental.
    markers : array-like, shape (p, n)
        Any scale and offset; values of subjects not included are ignored.
    include : array-like of bool, shape (p, n), optional
        Subjects in each marker's models; all by default.
    strata : array-like, shape (n,), optional
        Labels of strata, each with its own baseline hazard.
    covariates : array-like, shape (n,) or (n, c), optional
        In every model.
    covariances : bool
        Whether covariances are wanted, which costs a third more; else they are NaN, and the other numbers
        the same but for rounding.
    limits : float, optional
        Level of profile limits of the interaction and of the treatment effects at `levels`.
    deviance : array-like, shape (p,), optional
        By how much twice the log-likelihood falls at those limits, instead of the level's chi-square quantile.
    levels : sequence of array-like, shape (p,) each
        Values of each marker at which the treatment effect is wanted.
    threads : int
        Threads of this process; the answers are the same for any number.

    Returns
    -------
    InteractionFits

    Raises
    ------
    ValueError
        If shapes do not agree, a value that counts is missing or infinite, or arm is not 0 and 1.
    """
    data = _checked(time, event, arm, markers, include, strata, covariates)
    p = len(data.markers)
    c = data.covariates.shape[1]
    places = np.zeros((len(levels), p))
    for place, at in zip(places, levels, strict=True):
        place[:] = at
    drop = drop_at_limits(p, 0.95 if limits is None else limits, deviance)
    kinds = [] if limits is None else [_RATIO] + [_TREATMENT_AT] * len(places)
    result = _run(
        data,
        [
            [0, -1, -1, *range(1, 1 + c)],
            [0, 1, 1, *range(2, 2 + c)],
            [0, 1, 2, *range(3, 3 + c)],
        ],
        kinds,
        np.vstack([np.zeros(p), places]),
        drop,
        covariances,
        threads,
    )
    unit = 1.0 / result.scale
    others = result.estimates[:, :, 3:] / result.covariate_scale

    # The null model's treatment and marker change places.
    order = [1, 0, *range(2, 2 + c)]
    estimate = result.estimates[:, 1]
    null, careful_null = _many(
        data,
        Designs(data.markers, data.include, data.arm, data.covariates, interaction=False),
        result,
        np.column_stack([estimate[:, 1] * unit, estimate[:, 0], others[:, 1]]),
        _covariance(result, 1, [False, True])[:, order][:, :, order],
        result.loglik[:, 1],
    )
    estimate = result.estimates[:, 2]
    slopes = [estimate[:, :1], estimate[:, 1:3] * unit[:, None], others[:, 2]]
    covariance = _full_rows(_covariance(result, 2, [False, True, True]), result.centre)
    covariance = _full_rows(covariance.transpose(0, 2, 1), result.centre)
    designs = Designs(data.markers, data.include, data.arm, data.covariates, interaction=True)
    full, careful = _many(
        data,
        designs,
        result,
        _full_rows(np.hstack(slopes)[:, :, None], result.centre)[:, :, 0],
        covariance,
        result.loglik[:, 2],
    )
    nothing = np.full(p, np.nan)
    interaction = Interval(full.coefficients[:, -1].copy(), nothing, nothing)
    treatment = []
    if limits is not None:
        interaction = _with_limits(
            result, 0, full.coefficients[:, -1].copy(), data, designs, None, -1, drop
        )
        for f, at in enumerate(places):
            value = full.coefficients[:, 1] + at * full.coefficients[:, -1]
            treatment.append(_with_limits(result, 1 + f, value, data, designs, at, 1, drop))
    return InteractionFits(
        null,
        full,
        _likelihood_ratio(result, 2, 1, careful, -1),
        _likelihood_ratio(result, 1, 0, careful_null, 0),
        interaction,
        treatment,
        result.found,
    )


def _covariance(result: _Result, model: int, markers: Sequence[bool]) -> np.ndarray:
    """Covariance (p, k, k) of the parameters of a model, in the units of the data.

    `markers` says which of the first parameters are slopes of the marker; covariates follow.
    """
    c = len(result.covariate_scale)
    k = len(markers) + c
    units = np.ones((len(result.scale), k))
    units[:, : len(markers)][:, list(markers)] = 1.0 / result.scale[:, None]
    units[:, len(markers) :] = 1.0 / result.covariate_scale
    matrices = _triangle(result.covariance[:, model, : k * (k + 1) // 2], k)
    return matrices * units[:, :, None] * units[:, None, :]


def _full_rows(rows: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Turn treatment at the centre, slopes in either arm, covariates (axis 1) into the columns of the full model.

    Those are slope in the control arm, treatment at a marker of 0, covariates, ratio of the slopes.
    """
    centre = centre[:, None]
    control, experimental = rows[:, 1], rows[:, 2]
    ratio = experimental - control
    return np.stack(
        [
            control,
            rows[:, 0] - centre * ratio,
            *(rows[:, j] for j in range(3, rows.shape[1])),
            ratio,
        ],
        axis=1,
    )


def _with_limits(
    result: _Result,
    f: int,
    estimate: np.ndarray,
    data: _Data,
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
        careful = CoxModel(
            data.time,
            data.event,
            designs.at(rest, None if origin is None else origin[rest]),
            None if data.include is None else data.include[rest],
            data.strata,
            efron=True,
            firth=False,
        ).fit(data.words)
        found = careful.interval(column, deviance=drop[rest])
        estimate[rest], low[rest], high[rest] = found.estimate, found.low, found.high
    return Interval(estimate, low, high)


def fit_markers(
    time: ArrayLike,
    event: ArrayLike,
    markers: ArrayLike,
    include: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    covariates: ArrayLike | None = None,
    *,
    covariances: bool = True,
    limits: float | None = None,
    deviance: ArrayLike | None = None,
    threads: int = 1,
) -> MarkerFits:
    """Fit marker + covariates to every marker, Efron ties; arguments as in `fit_interactions`.

    For the effect of a marker within an arm, of treatment within a level of a marker (the arm being the
    marker and the level `include`), and for studies with one arm.
    """
    data = _checked(time, event, None, markers, include, strata, covariates)
    p = len(data.markers)
    c = data.covariates.shape[1]
    drop = drop_at_limits(p, 0.95 if limits is None else limits, deviance)
    result = _run(
        data,
        [[-1, -1, -1, *range(c)], [-1, 0, 0, *range(1, 1 + c)]],
        [] if limits is None else [_SLOPE],
        np.zeros((1, p)),
        drop,
        covariances,
        threads,
    )
    unit = 1.0 / result.scale
    estimate = result.estimates[:, 1]
    designs = Designs(data.markers, data.include, None, data.covariates, interaction=False)
    fits, careful = _many(
        data,
        designs,
        result,
        np.column_stack([estimate[:, 1] * unit, estimate[:, 3:] / result.covariate_scale]),
        _covariance(result, 1, [True]),
        result.loglik[:, 1],
    )
    nothing = np.full(p, np.nan)
    effect = Interval(fits.coefficients[:, 0].copy(), nothing, nothing)
    if limits is not None:
        effect = _with_limits(
            result, 0, fits.coefficients[:, 0].copy(), data, designs, None, 0, drop
        )
    return MarkerFits(fits, _likelihood_ratio(result, 1, 0, careful, 0), effect, result.found)
