"""Random forests, as a flexible reference for the penalised models.

References
----------
Breiman L. Machine Learning 2001;45:5-32.
Ishwaran H et al. Annals of Applied Statistics 2008;2:841-860 (survival).
"""

from __future__ import annotations

import numpy as np

from correlatives.response.elastic_net import Outcome

#: Trees of a forest, and subjects in a leaf at least.
TREES, LEAF = 50, 5

#: Probabilities nearer to 0 or 1 than half a tree in all of them are not told apart.
NEAREST = 0.5 / TREES


def grown(
    columns: np.ndarray, outcome: Outcome, others: np.ndarray, months: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Grow a forest on a training set and predict other subjects.

    Parameters
    ----------
    columns : np.ndarray, shape (n, k)
        Training set, without missing values.
    outcome : Outcome
        Its outcome, length n.
    others : np.ndarray, shape (m, k)
    months : float
        Until when the risk of an event is predicted; not read for a response.
    seed : int

    Returns
    -------
    predictor, probability : np.ndarray, shape (m,)
        Log odds and probability of a response; log of the mortality (expected events, were all as this subject)
        and risk of an event until `months`.
    """
    settings = {
        "n_estimators": TREES,
        "min_samples_leaf": LEAF,
        "max_features": "sqrt",
        "random_state": seed,
        "n_jobs": 1,
    }
    if not columns.shape[1]:
        columns, others = np.zeros((len(columns), 1)), np.zeros((len(others), 1))
    if not outcome.survival:
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(**settings).fit(columns, outcome.event > 0)
        probability = np.zeros(len(others))
        if True in forest.classes_:
            probability = forest.predict_proba(others)[:, list(forest.classes_).index(True)]
        clipped = np.clip(probability, NEAREST, 1.0 - NEAREST)
        return np.log(clipped / (1.0 - clipped)), probability
    from sksurv.ensemble import RandomSurvivalForest
    from sksurv.util import Surv

    forest = RandomSurvivalForest(**settings)
    forest.fit(columns, Surv.from_arrays(outcome.event > 0, outcome.time))
    hazard = forest.predict_cumulative_hazard_function(others, return_array=True)
    survival = forest.predict_survival_function(others, return_array=True)
    place = int(np.searchsorted(forest.unique_times_, months, side="right"))
    risk = 1.0 - survival[:, place - 1] if place else np.zeros(len(others))
    return np.log(np.maximum(hazard.sum(axis=1), NEAREST)), risk
