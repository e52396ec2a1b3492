"""The table of all markers of one endpoint, as it is read again: of a wide assay it has a row for each of 850,000."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from correlatives.markers import KEY

#: Columns of words of which there are few, however many markers.
FEW_WORDS = (
    "specimen",
    "timepoint",
    "kind",
    "family",
    "prespecified",
    "contrast",
    "effect_measure",
    "method",
    "note",
)

#: Tests that are read at a time.
TESTS_A_PIECE = 50_000


def read_screened(path: str | Path) -> pd.DataFrame:
    """Read ``predictive/{endpoint}.tsv`` or ``prognostic/{endpoint}.tsv``.

    Returns
    -------
    pd.DataFrame
        As it was written; equal words are in memory once.
    """
    there = pd.read_csv(path, sep="\t", nrows=0).columns
    few = [name for name in FEW_WORDS if name in there]
    pieces = []
    # in pieces: what the parser leaves in memory is as large as the table
    for piece in pd.read_csv(
        path, sep="\t", dtype=dict.fromkeys([*KEY, *few], "str"), chunksize=TESTS_A_PIECE
    ):
        for name in few:
            piece[name] = shared_words(piece[name])
        pieces.append(piece)
    return pd.concat(pieces, ignore_index=True)


def shared_words(column: pd.Series) -> pd.Series:
    """Return a column of words in which equal ones are one object."""
    coded = column.astype("category").cat
    words = coded.categories.to_numpy(dtype=object)
    missing = coded.codes.to_numpy() < 0
    shared = np.full(len(column), None, dtype=object)
    shared[~missing] = words[coded.codes.to_numpy()[~missing]]
    return pd.Series(shared, index=column.index, dtype=object, name=column.name)
