"""Maximum likelihood for many small regression models at once, with the safeguards of one.

The Cox and the logistic model differ only in their likelihood; everything else is here: columns made
orthogonal (so that scale, offset and near-collinearity of a marker do not matter), Newton steps with
halving, columns that carry no information of their own (aliased, as R calls them), maxima that do not
exist (separation), Firth's penalty, profile-likelihood limits, and likelihood-ratio, score and Wald tests.

Arrays have the marker last inside a likelihood (columns k, rows n, markers p), so that every operation
runs along markers, and first outside it (p, k).

References
----------
Albert A, Anderson JA. Biometrika 1984;71:1-10 (existence of the maximum, logistic).
Bryson MC, Johnson ME. Technometrics 1981;23:381-383 (monotone likelihood, Cox).
Firth D. Biometrika 1993;80:27-38.
Heinze G, Schemper M. Biometrics 2001;57:114-119 and Statistics in Medicine 2002;21:2409-2419.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from correlatives.intervals import Interval, Test

#: A column whose own part, after the columns before it, is smaller than this share of it is aliased.
ALIASED_BELOW = 1e-8
#: A column that varies by less than this share of its largest value is constant.
CONSTANT_BELOW = 1e-12
#: Newton stops when no subject's linear predictor moves by more than this (the error left is its square).
MOVE_BELOW = 1e-6
#: Fisher scoring of the penalised likelihood converges linearly, so it has to go further.
MOVE_BELOW_FIRTH = 1e-10
NEWTON_STEPS = 30
FIRTH_STEPS = 80
#: Steps of Fisher scoring before the penalty's own curvature is worked out.
SCORING_STEPS = 6
#: A linear predictor that spans more than this is looked at for separation even when Newton stopped.
SUSPICIOUS_SPAN = 25.0
PROFILE_STEPS = 80
#: Coefficients (of columns of mean square 1) beyond which a limit is called infinite.
FARTHEST = 1e5
#: Elements of one (rows × markers) array that are worked on together: they fit the cache.
BLOCK = 1 << 16

NO_MAXIMUM = "no finite maximum: the data are separated"
NO_CONVERGENCE = "the maximum was not found"
NO_EVENTS = "no information: no event at risk, or all outcomes alike"
ALIASED_NOTE = "columns without information of their own are left out"


def chi_square_p(statistic: np.ndarray | float, df: np.ndarray | float) -> np.ndarray:
    """Return the upper tail of the chi-square distribution; NaN where there are no degrees of freedom."""
    from scipy.special import chdtrc

    statistic, df = np.broadcast_arrays(np.asarray(statistic, float), np.asarray(df, float))
    known = (df > 0) & np.isfinite(statistic)
    p = np.full(statistic.shape, np.nan)
    p[known] = chdtrc(df[known], np.maximum(statistic[known], 0.0))
    return p


def normal_quantile(level: float) -> float:
    """Return the two-sided standard normal quantile of a confidence level."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))


def drop_at_limits(p: int, level: float, deviance: ArrayLike | None = None) -> np.ndarray:
    """Return by how much twice the log-likelihood falls at the limits of p markers: `deviance`, or the chi-square quantile."""
    return np.array(
        np.broadcast_to(normal_quantile(level) ** 2 if deviance is None else deviance, p),
        dtype=float,
    )


def checked_designs(
    designs: np.ndarray, include: np.ndarray | None, n: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return designs (p, n, k) as float and include (p, n) as bool, None where it leaves nobody out.

    Raises
    ------
    ValueError
        If shapes do not agree, or an included value is missing or infinite.
    """
    designs = np.asarray(designs, dtype=float)
    if designs.ndim != 3 or designs.shape[1] != n:
        raise ValueError(f"designs have shape {designs.shape}: expected (markers, {n}, columns)")
    if designs.shape[2] == 0:
        raise ValueError("designs have no columns")
    if include is not None:
        include = np.asarray(include, dtype=bool)
        if include.shape != designs.shape[:2]:
            raise ValueError(f"include has shape {include.shape}: expected {designs.shape[:2]}")
        if include.all():
            include = None
    for first in range(0, len(designs), 1024):
        part = designs[first : first + 1024]
        wrong = ~np.isfinite(part).all(axis=2)
        if include is not None:
            wrong &= include[first : first + 1024]
        if wrong.any():
            marker = first + int(np.flatnonzero(wrong.any(axis=1))[0])
            raise ValueError(
                f"design {marker} has a missing or infinite value in an included row: "
                "leave such subjects out by `include`"
            )
    return designs, include


@dataclass
class Value:
    """A log-likelihood, its gradient and its information at one point of every marker."""

    loglik: np.ndarray  # (p,)
    score: np.ndarray  # (p, k)
    information: (
        np.ndarray
    )  # (p, k, k), expected of the unpenalised likelihood; 1 for aliased columns

    def update(self, where: np.ndarray, other: Value) -> None:
        """Take over the values of another evaluation for some markers."""
        self.loglik[where] = other.loglik
        self.score[where] = other.score
        self.information[where] = other.information


class Likelihood(ABC):
    """A log-likelihood of p markers that is concave in the coefficients of k orthogonal columns.

    Attributes
    ----------
    x : np.ndarray, shape (k, n, p)
        Columns of mean square 1 over the subjects that count, 0 for others and for aliased columns.
    firth : bool
        Whether half the log-determinant of the information is added.
    """

    x: np.ndarray
    firth: bool

    @abstractmethod
    def evaluate(self, gamma: np.ndarray) -> Value:
        """Return log-likelihood, score and information at the coefficients gamma, shape (p, k)."""

    @abstractmethod
    def expected(self, gamma: np.ndarray) -> np.ndarray:
        """Return the expected outcome of every row, shape (n, p)."""

    @abstractmethod
    def take(self, markers: np.ndarray) -> Likelihood:
        """Return the likelihood of some of the markers."""

    @abstractmethod
    def recedes(self, direction: np.ndarray) -> np.ndarray:
        """Return for every marker whether the likelihood never falls along a direction, shape (p, k)."""

    @abstractmethod
    def separates(self, marker: int) -> np.ndarray | None:
        """Return a direction along which one marker's likelihood never falls, None if there is none."""

    def predictor(self, gamma: np.ndarray) -> np.ndarray:
        """Return the linear predictor, shape (n, p)."""
        eta = self.x[0] * gamma[:, 0]
        for column in range(1, len(self.x)):
            eta += self.x[column] * gamma[:, column]
        return eta


@dataclass
class Maximum:
    """Where Newton stopped.

    Attributes
    ----------
    gamma : np.ndarray, shape (p, k)
    value : Value
    converged : np.ndarray of bool, shape (p,)
    separated : np.ndarray of bool, shape (p,)
        The likelihood rises for ever along `direction`; `value.loglik` is its supremum.
    direction : np.ndarray, shape (p, k)
    """

    gamma: np.ndarray
    value: Value
    converged: np.ndarray
    separated: np.ndarray
    direction: np.ndarray


def _solve(information: np.ndarray, score: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Return Newton steps; a whisper of a ridge keeps a vanishing information invertible."""
    k = score.shape[1]
    held = ~free
    matrix = information
    if held.any():
        matrix = information.copy()
        matrix[:, held, :] = 0.0
        matrix[:, :, held] = 0.0
        matrix[:, held, held] = 1.0
        score = np.where(free, score, 0.0)
    if k == 1:
        diagonal = np.maximum(matrix[:, :, 0], 1e-300)
        return score / diagonal
    diagonal = np.abs(np.einsum("pjj->pj", matrix)).max(axis=1)
    ridge = np.maximum(1e-14 * diagonal, 1e-300)
    matrix = matrix + ridge[:, None, None] * np.eye(k)
    try:
        return np.linalg.solve(matrix, score[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        return np.einsum("pjl,pl->pj", np.linalg.pinv(matrix, hermitian=True), score)


def _penalised_curvature(
    likelihood: Likelihood, gamma: np.ndarray, information: np.ndarray
) -> np.ndarray:
    """Return minus the second derivative of the penalised likelihood, by differences of its score.

    Where that is not positive definite, the information. Fisher scoring leaves the penalty's own curvature
    out, and can crawl or swing where that dominates (a single carrier with the first event).
    """
    k = gamma.shape[1]
    h = 1e-4
    curvature = np.empty_like(information)
    for j in range(k):
        shift = np.zeros(k)
        shift[j] = h
        ahead, behind = likelihood.evaluate(gamma + shift), likelihood.evaluate(gamma - shift)
        curvature[:, :, j] = (behind.score - ahead.score) / (2 * h)
    curvature = 0.5 * (curvature + curvature.transpose(0, 2, 1))
    for j in range(k):
        curvature[~likelihood.x[j].any(axis=0), j, j] = 1.0
    wrong = ~np.isfinite(curvature).all(axis=(1, 2))
    curvature[wrong] = information[wrong]
    lowest = np.linalg.eigvalsh(curvature)[:, 0]
    wrong = lowest <= 1e-6 * np.abs(np.einsum("pjj->pj", curvature)).max(axis=1)
    curvature[wrong] = information[wrong]
    return curvature


def maximise(
    likelihood: Likelihood,
    start: np.ndarray,
    *,
    free: np.ndarray | None = None,
    certify: bool = True,
) -> Maximum:
    """Maximise over the free coefficients from a start, all markers at once.

    Parameters
    ----------
    likelihood : Likelihood
    start : np.ndarray, shape (p, k)
    free : np.ndarray of bool, shape (k,), optional
        Coefficients that may move; all by default.
    certify : bool
        Whether markers without convergence are examined for separation.
    """
    p, k = start.shape
    free = np.ones(k, bool) if free is None else free
    tolerance = MOVE_BELOW_FIRTH if likelihood.firth else MOVE_BELOW
    limit = FIRTH_STEPS if likelihood.firth else NEWTON_STEPS
    gamma = start.copy()
    with np.errstate(all="ignore"):
        value = likelihood.evaluate(gamma)
        converged = np.zeros(p, bool)
        step = np.zeros((p, k))
        if not free.any():
            converged[:] = True
            return Maximum(gamma, value, converged, np.zeros(p, bool), step)

        step = _solve(value.information, value.score, free)
        active = np.arange(p)
        part = likelihood
        scale = np.ones(p)
        for iteration in range(limit):
            trial = gamma[active] + scale[active, None] * step[active]
            new = part.evaluate(trial)
            old = value.loglik[active]
            worse = ~(new.loglik >= old - 1e-10 * (1.0 + np.abs(old)))
            better = ~worse
            accepted = active[better]
            span = np.abs(part.x).max(axis=1)  # (k, active)
            moved = np.abs(scale[active, None] * step[active] * span.T).sum(axis=1)
            gamma[accepted] = trial[better]
            value.update(
                accepted,
                Value(new.loglik[better], new.score[better], new.information[better]),
            )
            curvature = new.information[better]
            if likelihood.firth and iteration >= SCORING_STEPS and len(accepted):
                curvature = _penalised_curvature(part, gamma[active], new.information)[better]
            step[accepted] = _solve(curvature, value.score[accepted], free)
            done = better & (moved < tolerance)
            # A step too short to matter that still does not rise is rounding at the maximum.
            done |= worse & (moved < 1e-9)
            scale[accepted] = 1.0
            scale[active[worse]] /= 2.0
            converged[active[done]] = True
            if done.any():
                keep = ~done
                if not keep.any():
                    break
                active = active[keep]
                part = part.take(np.flatnonzero(keep))

        separated = np.zeros(p, bool)
        direction = np.zeros((p, k))
        if certify and not likelihood.firth:
            span = np.ptp(likelihood.predictor(gamma), axis=0)
            suspects = np.flatnonzero(~converged | (span > SUSPICIOUS_SPAN))
            if len(suspects):
                part = likelihood.take(suspects)
                found = np.zeros((len(suspects), k))
                sure = np.zeros(len(suspects), bool)
                for candidate in (step[suspects], gamma[suspects]):
                    certain = part.recedes(candidate) & ~sure
                    found[certain] = candidate[certain]
                    sure |= certain
                for unsure in np.flatnonzero(~sure):
                    exact = part.separates(int(unsure))
                    if exact is not None:
                        found[unsure] = exact
                        sure[unsure] = True
                separated[suspects] = sure
                direction[suspects] = found
                converged[suspects[sure]] = False
    return Maximum(gamma, value, converged, separated, direction)


def orthogonalise(
    columns: np.ndarray,
    centre: Callable[[np.ndarray], None],
    count: np.ndarray,
    intercept: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make columns orthogonal, in place of their own correlations, scales and offsets.

    Parameters
    ----------
    columns : np.ndarray, shape (k, n, p)
        Overwritten. Rows that do not count are 0.
    centre : callable
        Subtracts from an (n, p) array, in place, what the model cannot see (means within strata).
    count : np.ndarray, shape (p,)
        Rows that count.
    intercept : int
        Columns at the front that only shift the others: what these leave is the whole of a column.

    Returns
    -------
    q : np.ndarray, shape (k, n, p)
        Orthogonal columns of mean square 1; 0 where aliased.
    r : np.ndarray, shape (p, k, k)
        Upper triangular with columns = q r, so that coefficients of q are r times those of the columns.
    aliased : np.ndarray of bool, shape (p, k)
        Columns that are constant or a combination of those before them.
    """
    k, _, p = columns.shape
    r = np.zeros((p, k, k))
    aliased = np.zeros((p, k), bool)
    size = np.maximum(count, 1)
    for j in range(k):
        v = columns[j]
        largest = np.abs(v).max(axis=0, initial=0.0)
        # Scaled first, so that squares neither overflow nor vanish.
        unit = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
        v /= unit
        centre(v)
        whole = np.sqrt(np.einsum("np,np->p", v, v) / size)
        for again in range(2):  # once more removes what rounding left of the first pass
            for i in range(j):
                share = np.einsum("np,np->p", columns[i], v) / size
                v -= columns[i] * share
                r[:, i, j] += share * unit
                if i < intercept and not again:
                    whole = np.sqrt(np.einsum("np,np->p", v, v) / size)
            centre(v)
        own = np.sqrt(np.einsum("np,np->p", v, v) / size)
        bad = (whole <= CONSTANT_BELOW) | (own <= ALIASED_BELOW * whole) | (count == 0)
        aliased[:, j] = bad
        own[bad] = 1.0
        v /= own
        if bad.any():
            v[:, bad] = 0.0
            r[bad, :j, j] = 0.0
        r[:, j, j] = np.where(bad, 1.0, own * unit)
    return columns, r, aliased


@dataclass
class ManyFits:
    """Fits of one model to p markers.

    Attributes
    ----------
    coefficients : np.ndarray, shape (p, k)
        Log hazard or log odds ratios (logistic: intercept first). NaN where aliased, and in all columns
        where there is no finite maximum or no convergence.
    covariance : np.ndarray, shape (p, k, k)
        Inverse information at the estimate; NaN where the coefficient is.
    loglik, loglik_null : np.ndarray, shape (p,)
        At the estimate and with all coefficients (but the logistic intercept) 0. With separation `loglik` is
        the supremum, so that likelihood-ratio tests stay valid. Penalised where `firth`.
    converged : np.ndarray of bool, shape (p,)
        True if a finite maximum was found (of the columns that are not aliased).
    separated : np.ndarray of bool, shape (p,)
        True if it was proved that there is no finite maximum.
    aliased : np.ndarray of bool, shape (p, k)
        Columns that are constant or a combination of those before them.
    n, events : np.ndarray of int, shape (p,)
        Subjects included, and those with the event.
    note : np.ndarray of str, shape (p,)
        Why there is no number; empty where there is.
    method : str
        What was fitted, in words.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    loglik: np.ndarray
    loglik_null: np.ndarray
    converged: np.ndarray
    separated: np.ndarray
    aliased: np.ndarray
    n: np.ndarray
    events: np.ndarray
    note: np.ndarray
    method: str
    _model: Model = field(repr=False)
    _stopped: np.ndarray = field(repr=False)
    _direction: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.coefficients)

    @property
    def standard_errors(self) -> np.ndarray:
        """Square roots of the diagonal of `covariance`, shape (p, k)."""
        return np.sqrt(np.einsum("pjj->pj", self.covariance))

    def interval(
        self,
        j: int,
        level: float = 0.95,
        kind: Literal["profile", "wald"] = "profile",
        deviance: ArrayLike | None = None,
    ) -> Interval:
        """Return coefficient `j` of every marker with its limits, on the log scale.

        Profile limits are where twice the (penalised) log-likelihood, maximised over the other
        coefficients, has fallen by the chi-square quantile, or by `deviance` (p,). Where the likelihood rises for
        ever on one side that side is NaN, and so is the estimate; the other side is still given.
        """
        j = range(self.coefficients.shape[1])[j]
        estimate = self.coefficients[:, j].copy()
        if kind == "wald":
            half = normal_quantile(level) * self.standard_errors[:, j]
            return Interval(estimate, estimate - half, estimate + half)
        if kind != "profile":
            raise ValueError(f"kind is {kind!r}: expected 'profile' or 'wald'")
        low, high = np.full((2, len(self)), np.nan)
        wanted = np.flatnonzero((self.converged | self.separated) & ~self.aliased[:, j])
        drop = drop_at_limits(len(self), level, deviance)
        for block in self._model.blocks(wanted):
            low[block], high[block] = self._profile(block, j, np.sqrt(drop[block]))
        return Interval(estimate, low, high)

    def test(self, j: int, kind: Literal["lrt", "score", "wald"] = "lrt") -> Test:
        """Return the test that coefficient `j` is 0, for every marker.

        The likelihood ratio compares with the maximum at which it is 0; with Firth's penalty the
        determinant is that of all columns there too (Heinze & Schemper 2001). Wald is NaN with
        separation; the other two are valid.
        """
        k = self.coefficients.shape[1]
        j = range(k)[j]
        statistic = np.full(len(self), np.nan)
        usable = (self.converged | self.separated) & ~self.aliased[:, j]
        if kind == "wald":
            usable &= self.converged
            statistic[usable] = self.coefficients[usable, j] ** 2 / self.covariance[usable, j, j]
        elif kind in ("lrt", "score"):
            free = np.ones(k, bool)
            free[k - 1] = False
            for block in self._model.blocks(np.flatnonzero(usable)):
                likelihood, r, _ = self._model.build(block, last=j)
                null = maximise(likelihood, np.zeros((len(block), k)), free=free, certify=False)
                if kind == "lrt":
                    top = self.loglik[block] - self._model.log_scale(r)
                    statistic[block] = 2 * (top - null.value.loglik)
                else:
                    statistic[block] = _quadratic(null.value.information, null.value.score)
            statistic[usable] = np.maximum(statistic[usable], 0.0)
        else:
            raise ValueError(f"kind is {kind!r}: expected 'lrt', 'score' or 'wald'")
        df = np.where(np.isfinite(statistic), 1.0, np.nan)
        return Test(statistic, df, chi_square_p(statistic, df))

    def model_test(self, kind: Literal["lrt", "score", "wald"] = "lrt") -> Test:
        """Return the test that all coefficients (but the logistic intercept) are 0, for every marker."""
        first = self._model.intercept
        k = self.coefficients.shape[1]
        usable = self.converged | self.separated
        statistic = np.full(len(self), np.nan)
        if kind == "lrt":
            statistic[usable] = np.maximum(2 * (self.loglik - self.loglik_null)[usable], 0.0)
        elif kind == "wald":
            for m in np.flatnonzero(self.converged):
                keep = np.flatnonzero(~self.aliased[m])
                keep = keep[keep >= first]
                beta = self.coefficients[m, keep]
                statistic[m] = beta @ np.linalg.solve(self.covariance[m][np.ix_(keep, keep)], beta)
        elif kind == "score":
            free = np.arange(k) < first
            for block in self._model.blocks(np.flatnonzero(usable)):
                likelihood, *_ = self._model.build(block)
                null = maximise(likelihood, np.zeros((len(block), k)), free=free, certify=False)
                statistic[block] = _quadratic(null.value.information, null.value.score)
        else:
            raise ValueError(f"kind is {kind!r}: expected 'lrt', 'score' or 'wald'")
        df = (~self.aliased[:, first:]).sum(axis=1).astype(float)
        df[~np.isfinite(statistic) | (df == 0)] = np.nan
        return Test(statistic, df, chi_square_p(statistic, df))

    def expected(self) -> np.ndarray:
        """Return every subject's expected events (Cox) or probability (logistic) at the estimate, shape (p, n).

        Observed minus expected is the martingale (or response) residual. 0 for subjects not included; NaN for
        markers without an estimate.
        """
        out = np.full((len(self), self._model.n_rows), np.nan)
        for block in self._model.blocks(np.flatnonzero(self.converged)):
            likelihood, r, aliased = self._model.build(block)
            beta = np.where(aliased, 0.0, self.coefficients[block])
            with np.errstate(all="ignore"):
                rows = likelihood.expected(np.einsum("pjl,pl->pj", r, beta))
            out[block] = self._model.restore(rows).T
        return out

    def _profile(
        self, block: np.ndarray, j: int, root: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find both limits of coefficient `j` for one block of markers, where the signed root of the deviance is `root`."""
        k = self.coefficients.shape[1]
        likelihood, r, aliased = self._model.build(block, last=j)
        order = [i for i in range(k) if i != j] + [j]
        converged = self.converged[block]
        # Where the coefficient itself is infinite the search starts at no effect.
        start = np.where(self._direction[block, j] != 0, 0.0, 1.0)
        beta = np.where(aliased, 0.0, self._stopped[block][:, order]) * start[:, None]
        centre = np.einsum("pjl,pl->pj", r, beta)
        top = self.loglik[block] - self._model.log_scale(r)
        sides = []
        for sign in (-1.0, 1.0):
            rising = sign * self._direction[block, j] > 0
            ask = converged | ~rising
            limit = np.full(len(block), np.nan)
            which = np.flatnonzero(ask)
            if len(which):
                part = likelihood.take(which)
                found = _profile_side(part, centre[which], top[which], sign, root[which])
                limit[which] = found / r[which, -1, -1]
            sides.append(limit)
        return sides[0], sides[1]


def _quadratic(information: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return score' information⁻¹ score of every marker."""
    free = np.ones(score.shape[1], bool)
    return np.einsum("pj,pj->p", score, _solve(information, score, free))


def _profile_side(
    likelihood: Likelihood, centre: np.ndarray, top: np.ndarray, sign: float, wanted: np.ndarray
) -> np.ndarray:
    """Find where the signed root of the profile deviance of the last column reaches `wanted`.

    The signed root is nearly linear in the coefficient, so Newton on it needs few steps; a bracket keeps it
    safe. Starts from `centre`: the maximum, or anywhere where that is infinite.
    """
    p, k = centre.shape
    free = np.ones(k, bool)
    free[-1] = False
    active = np.arange(p)
    part = likelihood
    gamma = centre.copy()
    inner = np.full(p, np.nan)  # a coefficient at which the deviance is below the target
    outer = np.full(p, np.nan)  # one at which it is above
    answer = np.full(p, np.nan)
    b = centre[:, -1].copy()
    with np.errstate(all="ignore"):
        for _ in range(PROFILE_STEPS):
            drop = wanted[active]
            point = gamma[active].copy()
            point[:, -1] = b[active]
            best = maximise(part, point, free=free, certify=False)
            bad = ~np.isfinite(best.value.loglik)
            if bad.any():  # a poor start, not a poor likelihood
                point[bad, :-1] = 0.0
                best = maximise(part, point, free=free, certify=False)
            information = best.value.information
            cross = _solve(information, information[:, :, -1].copy(), free)[:, :-1]
            own = information[:, -1, -1] - (information[:, :-1, -1] * cross).sum(axis=1)
            width = np.clip(np.nan_to_num(drop / np.sqrt(own), nan=1.0), 1e-6, 30.0)
            root = np.sqrt(np.maximum(2 * (top[active] - best.value.loglik), 0.0))
            now = b[active]
            below = root < drop
            inner[active[below]] = now[below]
            outer[active[~below]] = now[~below]
            lo, hi = inner[active], outer[active]
            closed = np.isfinite(lo) & np.isfinite(hi)

            # d root / d b = -score / root; near the maximum root is about |b - centre| / width.
            slope = -sign * best.value.score[:, -1] / root
            newton = now + sign * (drop - root) / slope
            onward = now + np.where(below, sign, -sign) * np.maximum(
                width, 2 * np.abs(now - centre[active, -1])
            )
            longest = np.abs(onward - now)
            # Next to the maximum root and score are rounding.
            sensible = np.isfinite(newton) & (slope > 0) & (root > 0.05 * drop)
            sensible &= np.where(
                closed, (newton - lo) * (newton - hi) < 0, np.abs(newton - now) <= longest
            )
            new = np.where(sensible, newton, np.where(closed, 0.5 * (lo + hi), onward))

            # One more Newton step squares what is left.
            near = (np.abs(root - drop) < 1e-6 * drop) & np.isfinite(newton) & (slope > 0)
            shut = closed & (np.abs(hi - lo) <= 1e-12 * (1.0 + np.abs(now)))
            answer[active[shut]] = now[shut]
            answer[active[near]] = newton[near]
            finished = near | shut | (~closed & (np.abs(now) > FARTHEST))
            gamma[active] = best.gamma
            gamma[active, :-1] -= np.nan_to_num(cross) * (new - now)[:, None]
            b[active] = new
            if finished.all():
                break
            if finished.any():
                keep = np.flatnonzero(~finished)
                active = active[keep]
                part = part.take(keep)
    return answer


class Model(ABC):
    """The data of p markers, from which likelihoods of blocks of them are built.

    Attributes
    ----------
    designs : np.ndarray, shape (p, n, k)
        Includes the intercept, if the model has one, as first column.
    include : np.ndarray of bool, shape (p, n), or None
        None: every row of every marker.
    aliased : np.ndarray of bool, shape (p, k)
        Filled by `fit`.
    """

    designs: np.ndarray
    include: np.ndarray | None
    aliased: np.ndarray
    firth: bool
    #: Columns at the front that every comparison keeps.
    intercept: int = 0

    @property
    def n_rows(self) -> int:
        """Subjects, included or not."""
        return self.designs.shape[1]

    def blocks(self, markers: np.ndarray) -> list[np.ndarray]:
        """Cut markers into blocks that bound the memory."""
        size = max(1, BLOCK // max(self.n_rows, 1))
        return [markers[i : i + size] for i in range(0, len(markers), size)]

    @abstractmethod
    def build(
        self, markers: np.ndarray, last: int | None = None
    ) -> tuple[Likelihood, np.ndarray, np.ndarray]:
        """Return the likelihood of some markers with r and aliased of `orthogonalise`, column `last` moved last."""

    @abstractmethod
    def restore(self, rows: np.ndarray) -> np.ndarray:
        """Put rows of a likelihood, shape (n, p), into the order of the data."""

    @abstractmethod
    def counts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return subjects, events, and whether there is anything to fit, each of shape (p,)."""

    def log_scale(self, r: np.ndarray) -> np.ndarray | float:
        """Return what Firth's penalty gains from the scale of the columns: their information is r' I r."""
        if not self.firth:
            return 0.0
        return np.log(np.abs(np.einsum("pjj->pj", r))).sum(axis=1)

    def columns(self, markers: np.ndarray, rows: np.ndarray | None, last: int | None) -> np.ndarray:
        """Return a copy of the designs, shape (k, n, p), aliased columns 0 and rows not included 0."""
        k = self.designs.shape[2]
        order = [*(i for i in range(k) if i != last), *([] if last is None else [last])]
        block = self.designs[markers]
        if rows is not None:
            block = block[:, rows]
        columns = np.ascontiguousarray(block.transpose(2, 1, 0)[order], dtype=float)
        if self.include is not None:
            kept = self.include[markers]
            kept = (kept if rows is None else kept[:, rows]).T
            columns = np.where(kept, columns, 0.0)
        gone = self.aliased[markers][:, order]
        if gone.any():
            columns = np.where(gone.T[:, None, :], 0.0, columns)
        return columns

    def fit(self, method: str) -> ManyFits:
        """Fit every marker."""
        p, _, k = self.designs.shape
        n, events, enough = self.counts()
        coefficients = np.full((p, k), np.nan)
        covariance = np.full((p, k, k), np.nan)
        loglik, loglik_null = np.full((2, p), np.nan)
        converged, separated = np.zeros((2, p), bool)
        stopped = np.zeros((p, k))
        direction = np.zeros((p, k))
        self.aliased = np.zeros((p, k), bool)
        null_columns = np.arange(k) < self.intercept
        for block in self.blocks(np.flatnonzero(enough)):
            likelihood, r, aliased = self.build(block)
            self.aliased[block] = aliased
            start = np.zeros((len(block), k))
            null = maximise(likelihood, start, free=null_columns, certify=False)
            shift = self.log_scale(r)
            loglik_null[block] = null.value.loglik + shift
            best = maximise(likelihood, null.gamma)
            loglik[block] = best.value.loglik + shift
            converged[block] = best.converged
            separated[block] = best.separated
            beta = np.linalg.solve(r, best.gamma[:, :, None])[:, :, 0]
            stopped[block] = beta
            coefficients[block] = np.where(aliased | ~best.converged[:, None], np.nan, beta)
            away = np.linalg.solve(r, best.direction[:, :, None])[:, :, 0]
            size = np.abs(away) * np.einsum("pjj->pj", r)
            away[size <= 1e-6 * size.max(axis=1, keepdims=True)] = 0.0
            direction[block] = away
            sound = np.flatnonzero(best.converged)
            back = np.linalg.inv(r[sound])
            inverse = np.linalg.inv(best.value.information[sound])
            matrix = back @ inverse @ back.transpose(0, 2, 1)
            bad = aliased[sound]
            covariance[block[sound]] = np.where(bad[:, :, None] | bad[:, None, :], np.nan, matrix)
        self.aliased[~enough] = False
        note = np.full(p, "", dtype=object)
        note[~converged] = NO_CONVERGENCE
        note[separated] = NO_MAXIMUM
        note[~enough] = NO_EVENTS
        lost = self.aliased.any(axis=1) & converged
        note[lost] = ALIASED_NOTE
        return ManyFits(
            coefficients,
            covariance,
            loglik,
            loglik_null,
            converged,
            separated,
            self.aliased,
            n,
            events,
            note,
            method,
            self,
            stopped,
            direction,
        )


class Fit:
    """A fit of one model: what `ManyFits` holds, of one marker.

    Attributes
    ----------
    coefficients : np.ndarray, shape (k,)
    covariance : np.ndarray, shape (k, k)
    loglik, loglik_null : float
    converged, separated : bool
    aliased : np.ndarray of bool, shape (k,)
    n, events : int
    method, note : str
    """

    def __init__(self, many: ManyFits) -> None:
        self.many = many
        self.coefficients = many.coefficients[0]
        self.covariance = many.covariance[0]
        self.loglik = float(many.loglik[0])
        self.loglik_null = float(many.loglik_null[0])
        self.converged = bool(many.converged[0])
        self.separated = bool(many.separated[0])
        self.aliased = many.aliased[0]
        self.n = int(many.n[0])
        self.events = int(many.events[0])
        self.method = many.method
        self.note = str(many.note[0])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.method}, n={self.n}, events={self.events}, {self.coefficients})"

    @property
    def standard_errors(self) -> np.ndarray:
        """Standard errors, shape (k,)."""
        return self.many.standard_errors[0]

    def interval(
        self,
        j: int,
        level: float = 0.95,
        kind: Literal["profile", "wald"] = "profile",
        deviance: float | None = None,
    ) -> Interval:
        """Return coefficient `j` with its limits, on the log scale; see `ManyFits.interval`."""
        return Interval(*(float(part[0]) for part in self.many.interval(j, level, kind, deviance)))

    def test(self, j: int, kind: Literal["lrt", "score", "wald"] = "lrt") -> Test:
        """Return the test that coefficient `j` is 0; see `ManyFits.test`."""
        return Test(*(float(part[0]) for part in self.many.test(j, kind)))

    def model_test(self, kind: Literal["lrt", "score", "wald"] = "lrt") -> Test:
        """Return the test that all coefficients are 0; see `ManyFits.model_test`."""
        return Test(*(float(part[0]) for part in self.many.model_test(kind)))

    def expected(self) -> np.ndarray:
        """Return every subject's expected events or probability, shape (n,)."""
        return self.many.expected()[0]
