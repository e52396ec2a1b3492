"""Which markers predict benefit from the experimental arm, and which carry prognosis.

`fit_domain` fits the markers of one domain, `adjust` gathers the domains of an endpoint; `screen` does both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from correlatives.cohort import Cohort
    from correlatives.markers import Markers


def screen(
    cohort: Cohort,
    endpoint: str,
    markers: Markers | None = None,
    *,
    covariates: Sequence[str] = (),
    randomisations: int = 10_000,
    seed: int = 1,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return the table of one endpoint: interactions with two arms, main effects with one.

    Parameters
    ----------
    cohort : Cohort
        The study; the primary population is analysed.
    endpoint : str
        Endpoint of the configuration.
    markers : Markers, optional
        Markers of the cohort's subjects; by default those of the baseline timepoint.
    covariates : sequence of str
        Prognostic columns of the subjects table, in every model.
    randomisations : int
        Draws of the randomisation test.
    seed : int
        Seed of the study.
    alpha : float
        Two-sided level at which the minimum detectable ratio is stated.
    """
    from correlatives.predictive.model import fit_domain, fit_prognostic_models
    from correlatives.predictive.multiplicity import adjust

    if markers is None:
        markers = cohort.markers.select(timepoint=cohort.study["baseline"])
    if not cohort.randomised:
        return adjust(
            [fit_prognostic_models(cohort, endpoint, markers, covariates, seed=seed, alpha=alpha)]
        )
    fits = fit_domain(
        cohort,
        endpoint,
        markers,
        covariates,
        randomisations=randomisations,
        seed=seed,
        alpha=alpha,
    )
    return adjust([fits], alpha=alpha)
