"""Which models are judged: their candidates and how they learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from correlatives.response.preparation import Design

CLINICAL = "clinical"
MARKERS = "biomarkers"
BOTH = "clinical + biomarkers"

ELASTIC_NET = "elastic net"
FOREST = "random forest"


@dataclass(frozen=True)
class Model:
    """A model of one endpoint.

    Attributes
    ----------
    name : str
        As in the tables.
    members : np.ndarray of bool, shape (p,)
        Its candidates among the columns of the design.
    learner : str
        ELASTIC_NET or FOREST.
    """

    name: str
    members: np.ndarray
    learner: str = ELASTIC_NET


def models_of(design: Design, *, forest: bool = True) -> list[Model]:
    """Return the models that a design allows.

    Clinical columns alone; with the markers of each domain, where there are several; with all markers; and a
    random forest of the same candidates as the fullest model.

    Parameters
    ----------
    design : Design
    forest : bool
        Whether the random forest is among them.
    """
    clinical = design.always
    markers = ~clinical
    has_clinical, has_markers = clinical.any(), markers.any()
    everything = np.ones(len(design.names), dtype=bool)
    models = [Model(CLINICAL, clinical)] if has_clinical else []
    domains = {name: members for name, members in design.domains.items() if members.any()}
    if len(domains) > 1:
        models += [
            Model(f"{CLINICAL} + {name}" if has_clinical else name, clinical | members)
            for name, members in domains.items()
        ]
    if has_markers:
        models.append(Model(BOTH if has_clinical else MARKERS, everything))
    if forest and models:
        models.append(Model(f"{models[-1].name} ({FOREST})", models[-1].members, FOREST))
    return models
