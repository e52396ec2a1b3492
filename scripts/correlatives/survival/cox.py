"""Cox proportional-hazards regression: one fit, thousands at once, and the test of proportionality.

Efron's treatment of ties, strata, rows left out marker by marker. The arithmetic runs on blocks of
markers in NumPy: sums over risk sets are running sums down the subjects, sorted by stratum and falling time,
and the information needs no second-order running sums, because the expected events of every subject carry it.

References
----------
Efron B. JASA 1977;72:557-565. Grambsch PM, Therneau TM. Biometrika 1994;81:515-526.
Heinze G, Schemper M. Biometrics 2001;57:114-119 (Firth's penalty).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from correlatives.intervals import Test
from correlatives.likelihood import (
    Fit,
    Likelihood,
    ManyFits,
    Model,
    Value,
    checked_designs,
    chi_square_p,
    orthogonalise,
)
from correlatives.survival.kaplan_meier import KaplanMeier
from correlatives.survival.ties import tie_times

__all__ = ["Fit", "ManyFits", "fit_cox", "fit_cox_many", "proportional_hazards"]


#: Exponentials of predictors that span more than this are kept relative to their own risk set.
WIDEST_SPAN = 400.0


class RiskSets:
    """Who is at risk when: the subjects sorted by stratum and falling time.

    Attributes
    ----------
    order : np.ndarray of int, shape (n,)
        Subjects in that order; every other attribute counts in it.
    strata : list of (start, stop)
        Rows of each stratum.
    spans : list of (start, stop)
        Event times of each stratum.
    end : np.ndarray of int, shape (t,)
        One after the last row at risk at each event time (a time × stratum with an event in it).
    time : np.ndarray, shape (t,)
        The event times.
    deaths, group : np.ndarray of int, shape (d,)
        Rows with an event, and the index of the event time of each.
    first : np.ndarray of int, shape (t,)
        Where the deaths of each event time begin in `deaths`.
    since : np.ndarray of int, shape (n,)
        The first event time (in this order) with the row at risk; t where there is none.
    tie_start : np.ndarray of int, shape (n,)
        The first row of the same time and stratum.
    """

    def __init__(self, time: np.ndarray, event: np.ndarray, strata: np.ndarray | None) -> None:
        n = len(time)
        codes = np.zeros(n, int)
        if strata is not None:
            codes = np.unique(np.asarray(strata), return_inverse=True)[1].reshape(n)
        self.order = np.lexsort((np.arange(n), -time, codes))
        self.event = event[self.order].astype(bool)
        sorted_time, sorted_code = time[self.order], codes[self.order]
        fresh = np.ones(n, bool)
        fresh[1:] = (np.diff(sorted_time) != 0) | (np.diff(sorted_code) != 0)
        tie = np.cumsum(fresh) - 1
        tie_start = np.flatnonzero(fresh)
        tie_end = np.append(tie_start[1:], n)
        with_event = np.zeros(len(tie_start), bool)
        with_event[tie[self.event]] = True
        self.end = tie_end[with_event]
        self.time = sorted_time[tie_start[with_event]]
        self.deaths = np.flatnonzero(self.event)
        self.group = (np.cumsum(with_event) - 1)[tie[self.deaths]]
        self.first = np.flatnonzero(np.diff(self.group, prepend=-1))
        self.count = np.bincount(self.group, minlength=len(self.end))
        starts = np.flatnonzero(np.diff(sorted_code, prepend=-1))
        self.strata = list(zip(starts.tolist(), [*starts[1:].tolist(), n], strict=True))
        self.since = np.searchsorted(self.end, np.arange(n), side="right")
        self.spans = []
        for a, b in self.strata:
            start, stop = np.searchsorted(self.end, [a, b], side="right").tolist()
            self.spans.append((start, stop))
            # A row joins at the first event time of its own stratum whose risk set reaches it.
            self.since[a:b] = np.where(self.since[a:b] < stop, self.since[a:b], len(self.end))
        self.tie_start = tie_start[tie]

    def group_of_death(self) -> np.ndarray:
        """Return for each row the event time at which it dies; t for rows that do not, shape (n,)."""
        out = np.full(len(self.order), len(self.end))
        out[self.deaths] = self.group
        return out

    def running(self, values: np.ndarray, decay: np.ndarray | None = None) -> np.ndarray:
        """Return sums over the risk sets, shape (t, p), of values of shape (n, p).

        With `decay`, shape (t, p), what was summed before each event time is multiplied by it first.
        """
        p = values.shape[1]
        if p < 8 and decay is None:
            sums = np.empty_like(values)
            for a, b in self.strata:
                np.cumsum(values[a:b], axis=0, out=sums[a:b])
            return sums[self.end - 1]
        out = np.empty((len(self.end), p))
        for (a, _), (start, stop) in zip(self.strata, self.spans, strict=True):
            total = np.zeros(p)
            row = a
            for g in range(start, stop):
                if decay is not None:
                    total *= decay[g]
                for i in range(row, self.end[g]):
                    total += values[i]
                row = self.end[g]
                out[g] = total
        return out

    def of_deaths(self, values: np.ndarray) -> np.ndarray:
        """Return sums over the deaths of each event time, shape (t, p)."""
        rows = values[self.deaths]
        if len(self.first) == len(self.deaths):
            return rows
        return np.add.reduceat(rows, self.first, axis=0)

    def backward(self, values: np.ndarray, decay: np.ndarray | None = None) -> np.ndarray:
        """Return for each event time the sum of its own and all earlier ones, a 0 appended, shape (t + 1, p)."""
        out = np.empty((len(values) + 1, values.shape[1]))
        out[-1] = 0.0
        for start, stop in self.spans:
            total = np.zeros(values.shape[1])
            for g in range(stop - 1, start - 1, -1):
                if decay is not None and g + 1 < stop:
                    total = total * decay[g + 1]
                total = total + values[g]
                out[g] = total
        return out


class CoxLikelihood(Likelihood):
    """Partial log-likelihood of a block of markers."""

    def __init__(
        self,
        risk: RiskSets,
        x: np.ndarray,
        mask: np.ndarray | None,
        *,
        efron: bool,
        firth: bool,
    ) -> None:
        self.risk = risk
        self.x = x
        self.mask = mask
        self.efron = efron
        self.firth = firth
        if mask is None:
            died = risk.event[:, None].astype(float)
            self.count = risk.count[:, None].astype(float)
        else:
            died = risk.event[:, None] * mask
            self.count = risk.of_deaths(died)
        self.died = died

    def take(self, markers: np.ndarray) -> CoxLikelihood:
        """Return the likelihood of some of the markers."""
        return CoxLikelihood(
            self.risk,
            np.ascontiguousarray(self.x[:, :, markers]),
            None if self.mask is None else np.ascontiguousarray(self.mask[:, markers]),
            efron=self.efron,
            firth=self.firth,
        )

    def _weights(self, gamma: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return shifted predictors, their exponentials, and the decay between event times (None: no need).

        Predictors are shifted by the largest, which cancels. Where they span so much that exponentials would
        vanish (an outlier, far from the maximum), each row is shifted by the largest of the first risk set
        that it is in, and sums are scaled as they run from one risk set to the next.
        """
        risk = self.risk
        eta = self.predictor(gamma)
        if self.mask is not None:
            eta = np.where(self.mask > 0, eta, -np.inf)
        highest = eta.max(axis=0, initial=-np.inf)
        lowest = np.where(np.isneginf(eta), np.inf, eta).min(axis=0, initial=np.inf)
        if not ((highest - lowest) > WIDEST_SPAN).any():
            eta -= np.where(np.isfinite(highest), highest, 0.0)
            return eta, np.exp(eta), None
        peak = np.empty_like(eta)
        for a, b in risk.strata:
            np.maximum.accumulate(eta[a:b], axis=0, out=peak[a:b])
        peak = np.maximum(peak[risk.end - 1], -1e300)
        decay = np.zeros_like(peak)
        for start, stop in risk.spans:
            # a first stratum without events would reach round to the last time
            if stop - start < 2:
                continue
            decay[start + 1 : stop] = np.exp(peak[start : stop - 1] - peak[start + 1 : stop])
        eta -= np.vstack([peak, np.zeros(peak.shape[1])])[risk.since]
        return eta, np.exp(eta), decay

    def _passes(self) -> list[tuple[np.ndarray | slice, np.ndarray, np.ndarray]]:
        """Return (event times, share of the tied deaths taken off, active) for each pass over ties."""
        most = self.count.max(axis=1, initial=0.0)
        if not self.efron:
            return [(slice(None), np.zeros_like(self.count), self.count)]
        passes = []
        for taken in range(int(most.max(initial=0.0))):
            groups: np.ndarray | slice = np.flatnonzero(most > taken)
            if len(groups) == len(most):
                groups = slice(None)
            count = self.count[groups]
            active = (count > taken).astype(float)
            passes.append((groups, taken / np.maximum(count, 1.0), active))
        return passes

    def evaluate(self, gamma: np.ndarray) -> Value:
        """Return log-likelihood, score and information at gamma, shape (p, k)."""
        return self._evaluate(gamma)[0]

    def expected(self, gamma: np.ndarray) -> np.ndarray:
        """Return expected events, consistent with Efron's ties, shape (n, p)."""
        return self._evaluate(gamma)[1]

    def _evaluate(self, gamma: np.ndarray) -> tuple[Value, np.ndarray]:
        risk, x, k = self.risk, self.x, len(self.x)
        p = gamma.shape[0]
        eta, w, decay = self._weights(gamma)
        tied = bool(self.count.max(initial=0.0) > 1) and self.efron
        s0 = risk.running(w, decay)
        s1 = [risk.running(w * x[j], decay) for j in range(k)]
        if tied:
            d0 = risk.of_deaths(w)
            d1 = [risk.of_deaths(w * x[j]) for j in range(k)]
        seen = eta if self.mask is None else np.where(self.mask > 0, eta, 0.0)
        loglik = np.einsum("np,np->p", np.broadcast_to(self.died, eta.shape), seen)
        information = np.zeros((p, k, k))
        hazard = np.zeros_like(s0)
        relief = np.zeros_like(s0) if tied else None
        means = []
        for groups, share, active in self._passes():
            denominator = s0[groups] - share * d0[groups] if tied else s0[groups]
            if self.mask is not None:
                denominator = np.where(active > 0, denominator, 1.0)
            loglik -= (active * np.log(denominator)).sum(axis=0)
            inverse = active / denominator
            hazard[groups] += inverse
            mean = []
            for j in range(k):
                top = s1[j][groups] - share * d1[j][groups] if tied else s1[j][groups]
                mean.append(top / denominator)
            if tied:
                relief[groups] += share * inverse
            for j in range(k):
                weighted = active * mean[j]
                for m in range(j + 1):
                    information[:, j, m] -= np.einsum("tp,tp->p", weighted, mean[m])
            if self.firth:
                means.append((groups, share, active, inverse, mean))
        cumulative = risk.backward(hazard, decay)[risk.since]
        if tied:
            cumulative[risk.deaths] -= relief[risk.group]
        expected = w * cumulative
        residual = self.died - expected
        score = np.empty((p, k))
        for j in range(k):
            score[:, j] = np.einsum("np,np->p", residual, x[j])
            carried = expected * x[j]
            for m in range(j + 1):
                information[:, j, m] += np.einsum("np,np->p", carried, x[m])
                information[:, m, j] = information[:, j, m]
        for j in range(k):
            empty = ~x[j].any(axis=0)
            information[empty, j, j] = 1.0
        if self.firth:
            self._penalise(w, decay, means, information, loglik, score)
        return Value(loglik, score, information), expected

    def _penalise(
        self,
        w: np.ndarray,
        decay: np.ndarray | None,
        means: list[tuple],
        information: np.ndarray,
        loglik: np.ndarray,
        score: np.ndarray,
    ) -> None:
        """Add half the log-determinant of the information and its gradient.

        d I_ab / d gamma_m sums third central moments over the risk sets; contracted with the inverse
        information they need only the moments of u = x' I⁻¹ x, which keeps third-order arrays away.
        """
        risk, x, k = self.risk, self.x, len(self.x)
        sign, logdet = np.linalg.slogdet(information)
        usable = sign > 0
        loglik += np.where(usable, 0.5 * logdet, -np.inf)
        safe = np.where(usable[:, None, None], information, np.eye(k))
        inverse_information = np.linalg.inv(safe)
        u = np.zeros_like(w)
        for a in range(k):
            for b in range(k):
                u += inverse_information[:, a, b] * x[a] * x[b]

        def sums(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return risk.running(values, decay), risk.of_deaths(values)

        wu = w * u
        first = sums(wu)
        second = [sums(wu * x[m]) for m in range(k)]
        cross = {(a, m): sums(w * x[a] * x[m]) for a in range(k) for m in range(a + 1)}
        for groups, share, active, inverse, mean in means:

            def average(
                pair: tuple, groups: np.ndarray = groups, share: np.ndarray = share
            ) -> np.ndarray:
                return pair[0][groups] - share * pair[1][groups] if self.efron else pair[0][groups]

            # active and inverse carry the deaths (Breslow) or whether the pass counts (Efron).
            v = [sum(inverse_information[:, a, b] * mean[b] for b in range(k)) for a in range(k)]
            spread = sum(v[a] * mean[a] for a in range(k))
            for m in range(k):
                term = average(second[m]) * inverse
                term -= average(first) * inverse * mean[m]
                for a in range(k):
                    pair = cross[(a, m)] if a >= m else cross[(m, a)]
                    term -= 2 * average(pair) * inverse * v[a]
                term += 2 * spread * mean[m] * active
                score[:, m] += 0.5 * term.sum(axis=0)

    def time_weighted(
        self, gamma: np.ndarray, clock: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the score of covariate × clock, and the information times clock to the power 0, 1, 2.

        One marker. `clock`, shape (t,), has a value an event time; score has shape (k,), information (k, k).
        """
        risk, x, k = self.risk, self.x[:, :, 0], len(self.x)
        _, w, decay = self._weights(gamma)
        columns = [np.ones(len(w)), *x, *(x[a] * x[b] for a in range(k) for b in range(k))]
        moments = np.column_stack([w[:, 0] * column for column in columns])
        if decay is not None:
            decay = np.broadcast_to(decay, (len(decay), moments.shape[1]))
        at_risk, dying = risk.running(moments, decay), risk.of_deaths(moments)
        score = (x * (self.died * np.append(clock, 0.0)[risk.group_of_death()][:, None])[:, 0]).sum(
            axis=1
        )
        information = np.zeros((3, k, k))
        for groups, share, active in self._passes():
            total = at_risk[groups] - share * dying[groups]
            total = total / np.where(active > 0, total[:, :1], 1.0)
            mean = total[:, 1 : k + 1]
            second = total[:, k + 1 :].reshape(-1, k, k)
            variance = second - mean[:, :, None] * mean[:, None, :]
            g = clock[groups]
            score -= (active[:, 0] * g) @ mean
            for power in range(3):
                information[power] += np.einsum("t,tab->ab", active[:, 0] * g**power, variance)
        return score, *information

    def recedes(self, direction: np.ndarray) -> np.ndarray:
        """Return whether every death has the largest predictor of its risk set along a direction."""
        risk = self.risk
        with np.errstate(all="ignore"):
            z = self.predictor(direction)
        good = np.isfinite(z).all(axis=0) & self.died.any(axis=0)
        z = np.where(good, z, 0.0)
        scale = np.abs(z).max(axis=0, initial=0.0)
        good &= scale > 0
        z /= np.where(scale > 0, scale, 1.0)
        present = z if self.mask is None else np.where(self.mask > 0, z, -np.inf)
        highest = np.empty_like(present)
        for a, b in risk.strata:
            np.maximum.accumulate(present[a:b], axis=0, out=highest[a:b])
        at_death = highest[risk.end - 1][risk.group]
        lag = np.where(self.died[risk.deaths] > 0, at_death - z[risk.deaths], 0.0)
        # Along the true direction lag is 0; what is left of the other directions is far smaller.
        below = lag.max(axis=0, initial=0.0) <= 1e-7
        lowest = np.empty_like(present)
        floor = z if self.mask is None else np.where(self.mask > 0, z, np.inf)
        for a, b in risk.strata:
            np.minimum.accumulate(floor[a:b], axis=0, out=lowest[a:b])
        gap = np.where(
            self.died[risk.deaths] > 0, z[risk.deaths] - lowest[risk.end - 1][risk.group], 0.0
        )
        return good & below & (gap.max(axis=0, initial=0.0) > 1e-4)

    def separates(self, marker: int) -> np.ndarray | None:
        """Solve Bryson & Johnson's condition as a linear programme for one marker."""
        from scipy.optimize import linprog
        from scipy.sparse import coo_array

        risk, k = self.risk, len(self.x)
        x = self.x[:, :, marker].T
        kept = np.ones(len(x), bool) if self.mask is None else self.mask[:, marker] > 0
        at_risk = np.flatnonzero(kept & (risk.since < len(risk.end)))
        deaths = np.flatnonzero(kept[risk.deaths])
        t = len(risk.end)
        if not len(deaths):
            return None
        sums = risk.running(np.column_stack([x * kept[:, None], kept.astype(float)]))
        rows, cols, values, height = [], [], [], 0

        def add(coefficients: np.ndarray, group: np.ndarray, sign: float) -> None:
            nonlocal height
            count = len(group)
            rows.append(np.repeat(np.arange(height, height + count), k + 1))
            cols.append(np.column_stack([np.tile(np.arange(k), (count, 1)), k + group]).ravel())
            values.append(np.column_stack([coefficients, np.full(count, sign)]).ravel())
            height += count

        add(x[at_risk], risk.since[at_risk], -1.0)  # nobody at risk exceeds the risk set's bound
        death_rows, death_groups = risk.deaths[deaths], risk.group[deaths]
        add(-x[death_rows], death_groups, 1.0)  # and the bound does not exceed the death
        for start, stop in risk.spans:
            later = np.arange(start, stop - 1)
            rows.append(np.repeat(np.arange(height, height + len(later)), 2))
            cols.append(np.column_stack([k + later, k + later + 1]).ravel())
            values.append(np.tile([1.0, -1.0], len(later)))
            height += len(later)
        gain = (sums[death_groups, -1:] * x[death_rows] - sums[death_groups, :-1]).sum(axis=0)
        scale = np.abs(gain).max()
        if scale == 0:
            return None
        result = linprog(
            np.append(-gain / scale, np.zeros(t)),
            A_ub=coo_array(
                (np.concatenate(values), (np.concatenate(rows), np.concatenate(cols))),
                shape=(height, k + t),
            ).tocsr(),
            b_ub=np.zeros(height),
            bounds=[(-1, 1)] * k + [(None, None)] * t,
            method="highs",
        )
        if result.status != 0 or -result.fun < 1e-7:
            return None
        return result.x[:k]


class CoxModel(Model):
    """Times, events and strata with the designs of p markers."""

    def __init__(
        self,
        time: np.ndarray,
        event: np.ndarray,
        designs: np.ndarray,
        include: np.ndarray | None,
        strata: np.ndarray | None,
        *,
        efron: bool,
        firth: bool,
    ) -> None:
        self.time = tie_times(time)
        self.risk = RiskSets(self.time, event, strata)
        self.event = event
        self.designs = designs
        self.include = include
        self.efron = efron
        self.firth = firth
        self.aliased = np.zeros((len(designs), designs.shape[2]), bool)

    def counts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return subjects, events, and whether an event has someone else at risk, each of shape (p,)."""
        p, n, _ = self.designs.shape
        if self.include is None:
            subjects, events = np.full(p, n), np.full(p, int(self.event.sum()))
        else:
            subjects, events = self.include.sum(axis=1), (self.include & self.event).sum(axis=1)
        return subjects, events, events > 0

    def build(
        self, markers: np.ndarray, last: int | None = None
    ) -> tuple[CoxLikelihood, np.ndarray, np.ndarray]:
        """Return the likelihood of some markers, on columns made orthogonal within strata."""
        risk = self.risk
        columns = self.columns(markers, risk.order, last)
        n, p = columns.shape[1:]
        mask = None
        if self.include is not None and not self.include[markers].all():
            mask = self.include[markers][:, risk.order].T.astype(float)
        # Rows gone before the first event of their stratum are in no risk set: they say nothing, and must
        # neither make a column look informative nor hide that it is constant among the others.
        informative = (risk.since < len(risk.end))[:, None]
        if mask is not None:
            died = risk.event[:, None] * mask
            ahead = np.zeros((n, p))
            for a, b in risk.strata:
                ahead[a:b] = np.cumsum(died[a:b][::-1], axis=0)[::-1]
            informative = (ahead[risk.tie_start] > 0) & (mask > 0)
            mask = informative.astype(float)
        elif not informative.all():
            mask = np.broadcast_to(informative, (n, p)).astype(float)
        if mask is not None:
            columns = np.where(mask > 0, columns, 0.0)
        weight = np.ones((n, 1)) if mask is None else mask
        sizes = [np.maximum(weight[a:b].sum(axis=0), 1.0) for a, b in risk.strata]

        def centre(v: np.ndarray) -> None:
            for (a, b), size in zip(risk.strata, sizes, strict=True):
                v[a:b] -= v[a:b].sum(axis=0) / size
            if mask is not None:
                v *= mask

        count = np.broadcast_to(weight, (n, p)).sum(axis=0)
        q, r, aliased = orthogonalise(columns, centre, count)
        likelihood = CoxLikelihood(risk, q, mask, efron=self.efron, firth=self.firth)
        return likelihood, r, aliased

    def kaplan_meier_clock(self) -> np.ndarray:
        """Return 1 - S(t-) of all subjects of the first marker, strata pooled, at each event time."""
        kept = np.ones(len(self.event), bool) if self.include is None else self.include[0]
        curve = KaplanMeier(self.time[kept], self.event[kept])
        before = np.searchsorted(curve.times, self.risk.time, side="left")
        return 1.0 - np.append(1.0, curve.survival)[before]

    def restore(self, rows: np.ndarray) -> np.ndarray:
        """Put rows, shape (n, p), into the order of the data."""
        out = np.empty_like(rows)
        out[self.risk.order] = rows
        return out


def checked_outcomes(time: ArrayLike, event: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    time = np.asarray(time, dtype=float)
    event = np.asarray(event, dtype=float)
    if time.ndim != 1 or time.shape != event.shape:
        raise ValueError(f"time {time.shape} and event {event.shape} must be vectors of one length")
    if not np.isfinite(time).all():
        raise ValueError("time has missing or infinite values: leave these subjects out first")
    if not np.isin(event, (0.0, 1.0)).all():
        raise ValueError("event has values other than 0 and 1")
    return time, event.astype(bool)


def fit_cox_many(
    time: ArrayLike,
    event: ArrayLike,
    designs: ArrayLike,
    include: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    *,
    firth: bool = False,
    ties: Literal["efron", "breslow"] = "efron",
) -> ManyFits:
    """Fit a Cox model to every marker.

    Parameters
    ----------
    time, event : array-like, shape (n,)
        Time in any unit, and 1 for an event, 0 for censored. Times equal but for rounding are tied.
    designs : array-like, shape (p, n, k)
        Covariates of each marker's model. Any scale and offset; values of rows not included are ignored.
    include : array-like of bool, shape (p, n), optional
        Subjects in each marker's model; all by default.
    strata : array-like, shape (n,), optional
        Labels of strata, each with its own baseline hazard.
    firth : bool
        Maximise the likelihood with Firth's penalty (half the log-determinant of the information, with the
        same treatment of ties): always finite.
    ties : {"efron", "breslow"}

    Returns
    -------
    ManyFits
        Log hazard ratios. Never a number where there is none: see `converged`, `separated`, `aliased`.

    Raises
    ------
    ValueError
        If shapes do not agree, or an included value is missing or infinite.
    """
    if ties not in ("efron", "breslow"):
        raise ValueError(f"ties is {ties!r}: expected 'efron' or 'breslow'")
    time, event = checked_outcomes(time, event)
    designs, include = checked_designs(designs, include, len(time))
    if strata is not None:
        strata = np.asarray(strata)
        if strata.shape != time.shape:
            raise ValueError(f"strata {strata.shape} must have one label a subject {time.shape}")
    model = CoxModel(time, event, designs, include, strata, efron=ties == "efron", firth=firth)
    words = f"Cox, {ties.capitalize()} ties"
    if strata is not None:
        words += ", stratified"
    if firth:
        words += ", Firth"
    return model.fit(words)


def fit_cox(
    time: ArrayLike,
    event: ArrayLike,
    covariates: ArrayLike,
    strata: ArrayLike | None = None,
    *,
    firth: bool = False,
    ties: Literal["efron", "breslow"] = "efron",
) -> Fit:
    """Fit one Cox model; `covariates` has shape (n,) or (n, k). See `fit_cox_many`."""
    columns = np.asarray(covariates, dtype=float)
    if columns.ndim == 1:
        columns = columns[:, None]
    many = fit_cox_many(time, event, columns[None], None, strata, firth=firth, ties=ties)
    return Fit(many)


class Proportionality(NamedTuple):
    """Test of proportional hazards of each covariate, and of all together."""

    terms: list[Test]
    overall: Test


def proportional_hazards(fit: Fit) -> Proportionality:
    """Test whether the hazard ratios of a fit change over time, as R's ``cox.zph`` (transform km).

    The score test of adding covariate × g(t), g the left-continuous Kaplan–Meier estimate of all subjects
    of the fit turned upside down, with the information of both.

    Returns
    -------
    Proportionality
        NaN for aliased covariates; all NaN without a converged, unpenalised fit.

    References
    ----------
    Grambsch PM, Therneau TM. Biometrika 1994;81:515-526; survival 3.5-3 for R.
    """
    model = fit.many._model
    k = len(fit.coefficients)
    nothing = Test(np.nan, np.nan, np.nan)
    if not fit.converged or fit.many._model.firth:
        return Proportionality([nothing] * k, nothing)
    likelihood, r, aliased = model.build(np.array([0]))
    gamma = np.einsum("pjl,pl->pj", r, np.where(aliased, 0.0, fit.coefficients))
    clock = model.kaplan_meier_clock()
    score, plain, once, twice = likelihood.time_weighted(gamma, clock)
    use = np.flatnonzero(~aliased[0])
    # Back to the covariates: the test of one covariate depends on which one it is.
    r = r[0][np.ix_(use, use)]
    score = r.T @ score[use]
    plain, once, twice = (r.T @ part[np.ix_(use, use)] @ r for part in (plain, once, twice))
    terms = [nothing] * k
    for position, j in enumerate(use):
        own = once[:, [position]]
        terms[j] = _added(score[[position]], plain, own, twice[np.ix_([position], [position])])
    overall = _added(score, plain, once, twice) if len(use) else nothing
    return Proportionality(terms, overall)


def _added(score: np.ndarray, plain: np.ndarray, cross: np.ndarray, own: np.ndarray) -> Test:
    """Score test of columns added to a fitted model."""
    information = own - cross.T @ np.linalg.solve(plain, cross)
    scale = np.sqrt(np.diag(own))
    if (scale == 0).any():
        return Test(np.nan, np.nan, np.nan)
    scaled = information / np.outer(scale, scale)
    # With one event time, g is constant and nothing is left to test.
    if np.linalg.eigvalsh(scaled)[0] < 1e-10:
        return Test(np.nan, np.nan, np.nan)
    statistic = float((score / scale) @ np.linalg.solve(scaled, score / scale))
    df = float(len(score))
    return Test(statistic, df, float(chi_square_p(statistic, df)))
