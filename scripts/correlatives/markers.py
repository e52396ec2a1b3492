"""Marker values of subjects, with masks for missing, not evaluable and outside the limits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

#: States of a value in ``Markers.state``.
MISSING, MEASURED, BELOW, ABOVE, NOT_EVALUABLE = range(5)

#: Columns of ``Markers.info``; all text but the numbers lloq, uloq, cutpoint.
INFO = (
    "biomarker",
    "specimen",
    "timepoint",
    "assay",
    "label",
    "kind",
    "levels",
    "positive",
    "transform",
    "unit",
    "lloq",
    "uloq",
    "cutpoint",
    "cut_rule",
    "hypothesis",
    "family",
    "prespecified",
    "pathway",
    "direction",
    "conversion",
    "domain",
)

#: Markers of a row group of a file: what a job reads at a time.
ROWS_A_GROUP = 4096

#: Columns that tell a marker of a table from every other.
KEY = ["biomarker", "specimen", "timepoint"]

#: Columns of ``INFO`` that hold numbers.
NUMBERS = ("lloq", "uloq", "cutpoint")


@dataclass(frozen=True)
class Markers:
    """Marker values of the cohort's subjects.

    Attributes
    ----------
    subjects : np.ndarray of str, shape (n,)
        In the order of ``Cohort.subjects``.
    info : pd.DataFrame, p rows
        What each marker is (columns ``INFO``): one row a biomarker × specimen × analysis timepoint.
        ``kind``: continuous, count, ordinal (value = index of its level, 0-based) or binary (0/1, 1 = positive).
        Specimens are the contract's; subjects' columns used as markers have specimen ``clinical``.
    value : np.ndarray of float64, shape (p, n)
        On the biomarker's own scale, not transformed; the limit where the state is BELOW or ABOVE;
        NaN where MISSING or NOT_EVALUABLE.
    state : np.ndarray of uint8, shape (p, n)
        MISSING, MEASURED, BELOW (limit of quantification), ABOVE, NOT_EVALUABLE (looked for in vain, or
        not looked at, in a sample that was there: no coverage, tumour fraction too low, failed quality
        control, indeterminate).
    room : tuple of np.ndarray, optional
        What `value` and `state` are the first rows of, if there is room for more: a wide assay is not copied.
    """

    subjects: np.ndarray
    info: pd.DataFrame
    value: np.ndarray
    state: np.ndarray
    room: tuple[np.ndarray, np.ndarray] | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.info)

    def where(self, keep: np.ndarray | pd.Series) -> Markers:
        """Return the markers that a boolean mask of length p keeps."""
        mask = np.asarray(keep, dtype=bool)
        return Markers(
            self.subjects,
            self.info.loc[mask].reset_index(drop=True),
            self.value[mask],
            self.state[mask],
        )

    def select(self, **wanted: str | Sequence[str]) -> Markers:
        """Return the markers whose ``info`` columns have the values wanted, e.g. ``timepoint="baseline"``."""
        mask = np.ones(len(self.info), dtype=bool)
        for column, value in wanted.items():
            values = [value] if isinstance(value, str) else list(value)
            mask &= self.info[column].isin(values).to_numpy()
        return self.where(mask)

    def of_subjects(self, keep: np.ndarray) -> Markers:
        """Return the same markers of the subjects that a boolean mask of length n keeps."""
        keep = np.asarray(keep, dtype=bool)
        return Markers(self.subjects[keep], self.info, self.value[:, keep], self.state[:, keep])

    def labels(self) -> dict[tuple[str, str], str]:
        """Return (biomarker, specimen) -> what it is called."""
        return _labels(self.info)

    @staticmethod
    def read_labels(path: str | Path, timepoint: str) -> dict[tuple[str, str], str]:
        """Return the `labels` of a file's markers of one timepoint, without reading their values."""
        columns = ["biomarker", "specimen", "label"]
        return _labels(
            pd.read_parquet(path, columns=columns, filters=[("timepoint", "==", timepoint)])
        )

    @staticmethod
    def empty(subjects: np.ndarray) -> Markers:
        """Return no markers of these subjects."""
        shape = (0, len(subjects))
        info = pd.DataFrame({column: [] for column in INFO}, dtype=object)
        return Markers(subjects, info, np.zeros(shape), np.zeros(shape, dtype=np.uint8))

    @staticmethod
    def concatenate(parts: Iterable[Markers]) -> Markers:
        """Stack markers of the same subjects."""
        parts = list(parts)
        return Markers(
            parts[0].subjects,
            pd.concat([part.info for part in parts], ignore_index=True),
            np.vstack([part.value for part in parts]),
            np.vstack([part.state for part in parts]),
        )

    def followed_by(self, few: Markers) -> Markers:
        """Return these markers and a few more of the same subjects, in `room` if there is enough."""
        rows, every = len(self), len(self) + len(few)
        info = pd.concat([self.info, few.info], ignore_index=True)
        if self.room is None or len(self.room[0]) < every:
            value, state = np.vstack([self.value, few.value]), np.vstack([self.state, few.state])
            return Markers(self.subjects, info, value, state)
        value, state = self.room
        value[rows:every], state[rows:every] = few.value, few.state
        return Markers(self.subjects, info, value[:every], state[:every])

    def write(
        self, path: str | Path, *, domain: str | None = None, rows_a_group: int = ROWS_A_GROUP
    ) -> None:
        """Write the markers (of one domain) as Parquet, a row a marker, so that a job can read a block of them."""
        every = np.arange(len(self))
        if domain is not None:
            every = every[self.info["domain"].eq(domain).to_numpy()]
        width = max(len(self.subjects), 1)  # a fixed list of Arrow's has one element or more
        schema = pa.schema(
            [
                *((name, pa.float64() if name in NUMBERS else pa.string()) for name in INFO),
                ("value", pa.list_(pa.float64(), width)),
                ("state", pa.list_(pa.uint8(), width)),
            ],
            metadata={"subjects": json.dumps([str(subject) for subject in self.subjects])},
        )
        with pq.ParquetWriter(path, schema, compression="zstd") as file:
            for start in range(0, len(every), rows_a_group):
                file.write_table(self._table(every[start : start + rows_a_group], schema))

    def _table(self, rows: np.ndarray, schema: pa.Schema) -> pa.Table:
        """Return some rows as a table of Arrow's."""
        info = self.info.iloc[rows]
        columns = [
            pa.array(
                info[column].to_numpy(dtype=float)
                if column in NUMBERS
                else [None if pd.isna(v) else str(v) for v in info[column]],
                type=schema.field(column).type,
            )
            for column in INFO
        ]
        width = max(len(self.subjects), 1)
        for matrix in (self.value, self.state):
            flat = matrix[rows].ravel()
            if not len(self.subjects):
                flat = np.zeros(len(rows), dtype=matrix.dtype)
            columns.append(pa.FixedSizeListArray.from_arrays(pa.array(flat), width))
        return pa.table(columns, schema=schema)

    @staticmethod
    def read(path: str | Path, *, groups: Sequence[int] | None = None) -> Markers:
        """Read all markers of a file, or those of some of its row groups."""
        file = pq.ParquetFile(path)
        table = file.read() if groups is None else file.read_row_groups(list(groups))
        subjects = np.array(json.loads(file.schema_arrow.metadata[b"subjects"]), dtype=object)
        shape = (table.num_rows, max(len(subjects), 1))
        info = table.select(list(INFO)).to_pandas()
        flat = {
            name: table.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False)
            for name in ("value", "state")
        }
        value, state = (
            flat[name].reshape(shape)[:, : len(subjects)] for name in ("value", "state")
        )
        return Markers(subjects, info, value, state)

    @staticmethod
    def groups(path: str | Path) -> Iterator[Markers]:
        """Yield the markers of a file, a row group at a time."""
        for group in range(pq.ParquetFile(path).num_row_groups):
            yield Markers.read(path, groups=[group])

    @staticmethod
    def pieces(
        path: str | Path, *, timepoint: str, block: int = 1, blocks: int = 1
    ) -> Iterator[Markers]:
        """Yield the markers of one timepoint, a row group of the file at a time.

        Of its row groups, block `block` of `blocks` (from 1) gets an unbroken run; together they are the file. What a
        piece holds does not depend on how many blocks there are.
        """
        groups = pq.ParquetFile(path).num_row_groups
        for group in range(groups * (block - 1) // blocks, groups * block // blocks):
            yield Markers.read(path, groups=[group]).select(timepoint=timepoint)

    def family_sizes(self) -> pd.DataFrame:
        """Count the markers of each timepoint and family, over all assays.

        Returns
        -------
        pd.DataFrame
            Columns timepoint, family, markers: the number rounded up to a power of two. A job that needs to know how
            large its family is, over assays that it does not read, runs again only when that number changes.
        """
        family = self.info["family"].fillna("").replace("", "exploratory")
        counts = self.info.assign(family=family).groupby(["timepoint", "family"]).size()
        table = counts.rename("markers").reset_index()
        table["markers"] = [1 << (int(count) - 1).bit_length() for count in table["markers"]]
        return table


def _labels(info: pd.DataFrame) -> dict[tuple[str, str], str]:
    """(Biomarker, specimen) -> label, of those that have one of their own."""
    label = info["label"]
    named = info[label.notna() & label.ne("") & label.ne(info["biomarker"])]
    places = zip(named["biomarker"], named["specimen"], strict=True)
    return dict(zip(places, named["label"], strict=True))
