"""What samples say of a class of alteration: a panel that is blind to deletions can still find mutations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from correlatives.markers import MEASURED, Markers
from correlatives.tables.alterations import CLASSES
from correlatives.tables.words import words

#: Kind of alteration -> its class. A substitution and an indel of one name are one protein change.
CLASS_OF = {kind: name for name, kinds in CLASSES.items() for kind in kinds}


def classes_of(calls: pd.DataFrame) -> np.ndarray:
    """Return the class of each call: mutation, amplification, deletion, fusion; shape (number of calls,)."""
    return np.array([CLASS_OF.get(kind, kind) for kind in words(calls["kind"])], dtype=object)


def were_looked_for(calls: pd.DataFrame) -> np.ndarray:
    """Whether the study looks for alterations of each call's class in its gene and specimen; shape (number of calls,)."""
    return ~calls["looked_for"].eq(False).to_numpy(dtype=bool)


@dataclass(frozen=True)
class ClassStates:
    """What the samples of one specimen and timepoint say of each gene and class of alteration.

    Attributes
    ----------
    results : dict of str to np.ndarray of float, shape (n,)
        Marker (``gene:RB1``, ``gene:RB1:deletion``) -> 1 altered, 0 not altered, NaN not readable.
    n : int
        Number of subjects.
    """

    results: dict[str, np.ndarray]
    n: int

    @staticmethod
    def at(markers: Markers, specimen: str, timepoint: str) -> ClassStates:
        """Read the markers of a specimen (not the merged ``tissue``) at a timepoint."""
        part = markers.select(timepoint=timepoint, specimen=specimen)
        value = np.where(part.state == MEASURED, part.value, np.nan)
        names = part.info["biomarker"].astype(str)
        return ClassStates(dict(zip(names, value, strict=True)), len(markers.subjects))

    def of(self, gene: str, of_class: str, *, looked_for: bool = True) -> np.ndarray:
        """Return 1 where the class was found in the gene, 0 where it was looked for in vain, NaN elsewhere; shape (n,).

        A gene in which one class alone is looked for has no markers a class: the gene's is that of the class, unless
        another was found in it (`looked_for` False), which is then absent nowhere.
        """
        name = f"gene:{gene}:{of_class}"
        if name not in self.results:
            name = f"gene:{gene}" if looked_for else ""
        return self.results.get(name, np.full(self.n, np.nan))
