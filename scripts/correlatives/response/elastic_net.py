"""Elastic net for logistic and Cox models, many training sets and penalties at once.

Nested resampling fits thousands of small models. Each alone is too small to keep a processor busy, so
all training sets of a repeat and the whole path of penalties are fitted together, as matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Share of the penalty that is L1; the rest is ridge, which keeps correlated markers together.
L1_RATIO = 0.5


@dataclass(frozen=True)
class LogisticLoss:
    """Mean negative log-likelihood of a binary outcome.

    Attributes
    ----------
    outcome : np.ndarray, shape (n,)
        0 or 1.
    """

    outcome: np.ndarray
    intercept: bool = True

    def value(self, predictor: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Mean negative log-likelihood of the rows with weight."""
        y = self.outcome[None, :, None]
        losses = np.logaddexp(0.0, predictor) - y * predictor
        return np.einsum("sn,snl->sl", weight, losses) / weight.sum(axis=1)[:, None]

    def slope(self, predictor: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Fitted probability less outcome, over the number of training rows."""
        # tanh neither overflows nor warns where exp(-predictor) would
        fitted = 0.5 * (1.0 + np.tanh(0.5 * predictor))
        share = weight / weight.sum(axis=1)[:, None]
        return share[:, :, None] * (fitted - self.outcome[None, :, None])

    def start(self, weight: np.ndarray) -> np.ndarray:
        """Intercept of the model without markers, shape (sets,)."""
        total = weight.sum(axis=1)
        # half a subject keeps the logit finite where a training set holds one class only
        positive = np.clip(weight @ self.outcome, 0.5, total - 0.5)
        return np.log(positive / (total - positive))


@dataclass(frozen=True)
class CoxLoss:
    """Mean negative partial log-likelihood (Breslow ties) of right-censored times.

    Ties are Breslow's, as in the other implementations of a penalised Cox model (glmnet, scikit-survival).

    Attributes
    ----------
    time, event : np.ndarray, shape (n,)
        Time and 1 for an event, 0 for a censored time.
    """

    time: np.ndarray
    event: np.ndarray
    intercept: bool = False

    def __post_init__(self) -> None:
        order = np.argsort(-self.time, kind="stable")
        falling = -self.time[order]
        object.__setattr__(self, "_order", order)
        object.__setattr__(self, "_rank", np.argsort(order))
        object.__setattr__(self, "_last_tied", np.searchsorted(falling, falling, side="right") - 1)
        object.__setattr__(self, "_first_tied", np.searchsorted(falling, falling, side="left"))
        object.__setattr__(self, "_tied", len(np.unique(falling)) < len(falling))

    def _sorted(
        self, predictor: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Shifted predictor, its risk, the sum over those at risk, and events, latest time first."""
        shifted = predictor[:, self._order]
        shifted = shifted - shifted.max(axis=1, keepdims=True)
        risk = weight[:, self._order, None] * np.exp(shifted)
        at_risk = np.cumsum(risk, axis=1)
        if self._tied:
            at_risk = at_risk[:, self._last_tied]
        events = (weight * self.event)[:, self._order, None]
        return shifted, risk, np.maximum(at_risk, 1e-300), events

    def value(self, predictor: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Mean negative partial log-likelihood of the rows with weight."""
        shifted, _, at_risk, events = self._sorted(predictor, weight)
        terms = events * (np.log(at_risk) - shifted)
        return terms.sum(axis=1) / weight.sum(axis=1)[:, None]

    def slope(self, predictor: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Negative martingale residual over the number of training rows."""
        return self.value_and_slope(predictor, weight)[1]

    def value_and_slope(
        self, predictor: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """`value` and `slope` for the price of one."""
        shifted, risk, at_risk, events = self._sorted(predictor, weight)
        rows = weight.sum(axis=1)[:, None]
        value = (events * (np.log(at_risk) - shifted)).sum(axis=1) / rows
        jumps = events / at_risk
        # the hazard up to a subject's time is the sum over everyone whose time is no later
        hazard = np.cumsum(jumps[:, ::-1], axis=1)[:, ::-1]
        if self._tied:
            hazard = hazard[:, self._first_tied]
        slope = (risk * hazard - events) / rows[:, :, None]
        return value, slope[:, self._rank]

    def start(self, weight: np.ndarray) -> np.ndarray:
        """Zeros: a Cox model has no intercept."""
        return np.zeros(len(weight))


def strongest_penalty(gradient: np.ndarray, l1_ratio: float = L1_RATIO) -> np.ndarray:
    """Return the smallest penalty at which no coefficient is left, from null gradients (sets, columns)."""
    return np.abs(gradient).max(axis=-1) / l1_ratio


def fit_paths(
    columns: np.ndarray,
    weight: np.ndarray,
    loss: LogisticLoss | CoxLoss,
    penalties: np.ndarray,
    *,
    l1_ratio: float = L1_RATIO,
    tolerance: float = 1e-4,
    most_steps: int = 2000,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit every training set at every penalty by accelerated proximal gradient with restarts.

    Minimises, for each set and penalty λ, the mean loss over the training rows
    plus λ (l1_ratio |β|₁ + (1 − l1_ratio) / 2 |β|²).

    Parameters
    ----------
    columns : np.ndarray, shape (sets, n, k)
        Standardised columns; rows outside a training set may hold anything finite.
    weight : np.ndarray, shape (sets, n)
        1 for training rows, 0 for the others.
    loss : LogisticLoss or CoxLoss
        What is minimised.
    penalties : np.ndarray, shape (sets, penalties)
        λ of each set.
    tolerance : float
        Largest change of a coefficient in a step at which a fit counts as done.

    Returns
    -------
    intercept : np.ndarray, shape (sets, penalties)
    coefficient : np.ndarray, shape (sets, k, penalties)

    References
    ----------
    Beck A, Teboulle M. SIAM Journal on Imaging Sciences 2009;2:183-202.
    O'Donoghue B, Candès E. Foundations of Computational Mathematics 2015;15:715-732 (restart).
    """
    sets, _, k = columns.shape
    lasso = (penalties * l1_ratio)[:, None, :]
    ridge = (penalties * (1.0 - l1_ratio))[:, None, :]
    transposed = np.ascontiguousarray(np.swapaxes(columns, 1, 2))
    share = weight / weight.sum(axis=1)[:, None]
    gram = (transposed * share[:, None, :]) @ columns
    curvature = np.linalg.eigvalsh(gram)[:, -1] if k else np.zeros(sets)
    # logistic: p(1 - p) is at most a quarter. Cox: the expected events of a row have no such
    # bound, so the step is checked and shortened where it was too long.
    checked = isinstance(loss, CoxLoss)
    scale = (np.maximum(curvature, 1.0) * (0.5 if checked else 0.25))[:, None, None] + ridge + 1e-12

    beta = np.zeros((sets, k, penalties.shape[1]))
    intercept = np.repeat(loss.start(weight)[:, None], penalties.shape[1], axis=1)
    look, look_intercept = beta.copy(), intercept.copy()
    momentum = np.ones((sets, 1, penalties.shape[1]))
    predictor_beta = columns @ beta + intercept[:, None, :]
    predictor = predictor_beta
    for _ in range(most_steps):
        if checked:
            value, slope = loss.value_and_slope(predictor, weight)
        else:
            slope = loss.slope(predictor, weight)
        gradient = transposed @ slope + ridge * look
        moved = look - gradient / scale
        new = np.sign(moved) * np.maximum(np.abs(moved) - lasso / scale, 0.0)
        new_intercept = look_intercept
        if loss.intercept:
            new_intercept = look_intercept - slope.sum(axis=1) / scale[:, 0, :]
        predictor_new = columns @ new + new_intercept[:, None, :]
        if checked:
            gap = new - look
            bound = (
                value
                + 0.5 * (ridge * look**2).sum(axis=1)
                + (gradient * gap).sum(axis=1)
                + 0.5 * (scale * gap**2).sum(axis=1)
            )
            reached = loss.value(predictor_new, weight) + 0.5 * (ridge * new**2).sum(axis=1)
            too_long = (reached > bound + 1e-10)[:, None, :]
            if too_long.any():
                scale = np.where(too_long, 2.0 * scale, scale)
                new = np.where(too_long, look, new)
                predictor_new = np.where(too_long, predictor, predictor_new)
        step = new - beta
        restart = ((look - new) * step).sum(axis=1, keepdims=True) > 0
        larger = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        ahead = np.where(restart, 0.0, (momentum - 1.0) / larger)
        momentum = np.where(restart, 1.0, larger)
        step_intercept = new_intercept - intercept
        change = max(
            float(np.abs(new - look).max(initial=0.0)),
            float(np.abs(new_intercept - look_intercept).max(initial=0.0)),
        )
        beta, intercept = new, new_intercept
        look = new + ahead * step
        look_intercept = new_intercept + ahead[:, 0, :] * step_intercept
        # linear in the coefficients, so the point looked at next needs no product of its own
        predictor = predictor_new + ahead * (predictor_new - predictor_beta)
        predictor_beta = predictor_new
        if change < tolerance and not (checked and too_long.any()):
            break
    return intercept, beta
