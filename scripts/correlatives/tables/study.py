"""The checked tables of one study: typed, identifiers as text, named in the contract's words."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from correlatives.tables.flow import Flow
    from correlatives.tables.problems import Problems


def set_apart(values: np.ndarray) -> np.ndarray:
    """Return a copy whose memory goes back to the system when it is let go of.

    What the allocator gives for a few megabytes stays with the process, in holes: a table that moves piece by piece
    from one form to the next would be there twice.
    """
    if not values.size:
        return values.copy()
    room = mmap.mmap(-1, values.nbytes)
    apart = np.ndarray(values.shape, dtype=values.dtype, buffer=room)
    apart[...] = values
    return apart


@dataclass
class Piece:
    """Some features of a wide measurement table.

    Attributes
    ----------
    value : np.ndarray of float, shape (p, s)
        Native scale; the limit itself where `qualifier` is not 0; NaN where there is no result.
    qualifier : np.ndarray of int8, shape (p, s)
        -1 below the stated limit (``<20``), 1 above it (``>1000``), else 0.
    stated : np.ndarray of int8, shape (p, s), optional
        Index into ``STATUSES``, where it does not follow from the values.
    """

    value: np.ndarray
    qualifier: np.ndarray
    stated: np.ndarray | None = None

    @property
    def status(self) -> np.ndarray:
        """Index into ``STATUSES``, shape (p, s): if none is stated a value was measured, and none is not done."""
        if self.stated is not None:
            return self.stated
        return np.where(np.isnan(self.value), NOT_DONE, 0).astype(np.int8)

    def of_samples(self, keep: np.ndarray) -> Piece:
        """Return the piece of the samples that a boolean mask of length s keeps."""
        qualifier = self.qualifier[:, keep]
        if not qualifier.any():  # as in every table of plain numbers: one zero stands for all
            qualifier = np.broadcast_to(np.int8(0), qualifier.shape)
        else:
            qualifier = set_apart(qualifier)
        part = Piece(set_apart(self.value[:, keep]), qualifier)
        status = self.status[:, keep]
        if (status != part.status).any():
            part.stated = set_apart(status)
        return part


@dataclass
class Matrix:
    """One wide measurement table: features × samples, as it came from the laboratory.

    A table of 850,000 features fills a gigabyte: it is in memory once, in pieces of some features each, which who
    needs them last takes away.

    Attributes
    ----------
    source : str
        The file, for messages.
    features : np.ndarray of str, shape (p,)
        Biomarkers.
    samples : np.ndarray of str, shape (s,)
        ``run_id`` of the run table (a sample without runs has one run with its own ``sample_id``).
    pieces : list of Piece
        Values of the features, in their order.
    defaults : dict
        The table's ``defaults`` (kind, family, transform, ...), for features without a dictionary row.
    assay : str
        Assay of every value, empty if its runs differ.
    text : pd.DataFrame
        Long (run_id, biomarker, value) of values that are words (levels of ordinal or binary biomarkers).
    """

    source: str
    features: np.ndarray
    samples: np.ndarray
    pieces: list[Piece]
    defaults: dict[str, Any] = field(default_factory=dict)
    assay: str = ""
    text: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["run_id", "biomarker", "value"])
    )

    def whole(self) -> Piece:
        """Return all of it as one piece."""
        return Piece(
            *(
                np.vstack([getattr(piece, name) for piece in self.pieces])
                for name in ("value", "qualifier", "status")
            )
        )

    def placed(self) -> Iterator[tuple[slice, Piece]]:
        """Yield each piece with the place of its features."""
        start = 0
        for piece in self.pieces:
            yield slice(start, start + len(piece.value)), piece
            start += len(piece.value)

    def taken(self) -> Iterator[tuple[slice, Piece]]:
        """Yield each piece with the place of its features, and let go of it: the table is empty afterwards.

        Raises
        ------
        ValueError
            If the values have been taken before.
        """
        if sum(len(piece.value) for piece in self.pieces) < len(self.features):
            raise ValueError(f"The values of {self.source} were taken before: load the study again")
        start = 0
        while self.pieces:
            piece = self.pieces.pop(0)
            yield slice(start, start + len(piece.value)), piece
            start += len(piece.value)


#: Words of measurements.status, in the order of their codes in a Matrix.
STATUSES = (
    "measured",
    "not_detected",
    "not_done",
    "qns",
    "failed",
    "indeterminate",
    "not_applicable",
)
NOT_DONE = STATUSES.index("not_done")


@dataclass
class Study:
    """Everything the input tables say, after mapping, recoding, filters, merges and corrections.

    Every frame has the contract's columns (missing optional ones are there and empty), a fresh
    RangeIndex, text as ``str`` with missing values as NA, numbers as float64, and two columns more:
    ``_file`` (name as configured) and ``_row`` (line in that file, header = 1).

    Attributes
    ----------
    config : dict
        The study configuration, defaults filled.
    subjects : pd.DataFrame
        One row a subject of every arm that passed the table's filter. ``arm`` as in the data (after
        recoding). Covariates: float where every value is a number, else str.
        ``first_dose_day`` is filled (0). ``randomisation_date`` is datetime64.
    outcomes : pd.DataFrame
        subject_id, endpoint, time_months, event (0/1, 1 = event), reason.
    responses : pd.DataFrame
        subject_id, best_overall_response, best_change_pct, confirmed, and the two-valued columns.
    samples : pd.DataFrame
        sample_id, subject_id, specimen, timepoint (the visit as labelled), day (study day; dates are
        converted), days_since_last_dose, ...
    runs : pd.DataFrame
        run_id, sample_id, assay, version, batch, qc, qc_reason, tumour_fraction, tumour_fraction_method:
        always there; a sample without an assay table has one run, run_id = sample_id.
    measurements : pd.DataFrame
        Long tables: run_id, sample_id, biomarker, value (float, the limit where qualified), qualifier
        ("", "<", ">"), text (the word, for ordinal and binary biomarkers), status (one of STATUSES), unit,
        assay, replicate, result_version, source (index into ``defaults``).
    defaults : list[dict]
        The ``defaults`` of each long measurement table, by ``measurements.source``.
    matrices : list[Matrix]
        Wide tables; building the cohort takes their values away.
    alterations : pd.DataFrame
        run_id, sample_id, gene, alteration, kind, result, significance, vaf (fraction), copy_number,
        copy_number_scale, partner, origin.
    coverage, biomarkers, pathways, signatures, doses, assessments : pd.DataFrame
        As in the contract; ``biomarkers.levels`` is still text (``0<1+<2+``).
    given : frozenset[str]
        Names of the tables that the configuration names (coverage absent and coverage empty differ).
    problems : Problems
    flow : Flow
        What was set aside so far, subjects and samples.
    folder : str
        The data folder.
    guesses : list[str]
        What was guessed of the files (delimiter, decimal sign, encoding, header row, sheet), in words.
    notes : list[str]
        Rows that filters, presets and versions set aside in tables that the flow does not count by rows.
    corrections : pd.DataFrame
        number, table, key, field, old, new, reason, by, date, rows (how many were changed or excluded).
    """

    config: dict[str, Any]
    subjects: pd.DataFrame
    outcomes: pd.DataFrame
    responses: pd.DataFrame
    samples: pd.DataFrame
    runs: pd.DataFrame
    measurements: pd.DataFrame
    defaults: list[dict[str, Any]]
    matrices: list[Matrix]
    alterations: pd.DataFrame
    coverage: pd.DataFrame
    biomarkers: pd.DataFrame
    pathways: pd.DataFrame
    signatures: pd.DataFrame
    doses: pd.DataFrame
    assessments: pd.DataFrame
    given: frozenset[str]
    problems: Problems
    flow: Flow
    folder: str = "."
    guesses: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    corrections: pd.DataFrame = field(default_factory=pd.DataFrame)
