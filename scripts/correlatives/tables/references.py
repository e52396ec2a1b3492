"""Which run, sample and subject a row of a laboratory's table belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from correlatives.tables.contracts import CONTRACTS
from correlatives.tables.keys import Known, empty_columns
from correlatives.tables.mapping import Part
from correlatives.tables.problems import Problems

#: Columns of runs that a samples table may have itself, where there is one assay a sample.
RUN_COLUMNS = tuple(c for c in CONTRACTS["runs"].columns if c not in ("run_id", "sample_id"))


class Runs:
    """The assays of the samples: those that a runs table lists, and one of its own for any other sample.

    Parameters
    ----------
    listed : pd.DataFrame
        Rows of the runs table, none if there is no such table.
    samples : pd.DataFrame
    known : Known
        Identifiers of the runs table.
    given : bool
        Whether there is a runs table.
    """

    def __init__(
        self, listed: pd.DataFrame, samples: pd.DataFrame, known: Known, *, given: bool
    ) -> None:
        self.listed = listed
        self.samples = samples
        self.known = known
        self.given = given
        self._taken = set(listed["run_id"])
        self.sample_of: dict[str, str] = dict(
            zip(listed["run_id"], listed["sample_id"], strict=True)
        )
        self._listed_of: dict[str, list[tuple[str, str]]] = {}
        for run, sample, assay in zip(
            listed["run_id"], listed["sample_id"], listed["assay"].fillna(""), strict=True
        ):
            self._listed_of.setdefault(sample, []).append((run, assay))
        self._own: dict[tuple[str, str], str] = {}
        self._implied: list[dict[str, str]] = []
        for sample in samples["sample_id"]:
            if sample not in self._listed_of:
                self._new(sample, "")

    def _new(self, sample: str, assay: str) -> str:
        """Return the sample's own run, by the sample's identifier unless that names another run."""
        plain = sample not in self._taken
        key = (sample, "" if plain else assay)
        if key not in self._own:
            run = sample if plain else f"{sample}/{assay or 'other'}"
            self._own[key] = run
            self.sample_of[run] = sample
        return self._own[key]

    def imply(self, sample: str, assay: str) -> str:
        """Add the run of a sample that only a table with one row a subject knows."""
        if sample not in self.sample_of:
            self._implied.append({"run_id": sample, "sample_id": sample, "assay": assay})
            self.sample_of[sample] = sample
        return sample

    def identifiers(self, samples: Known) -> Known:
        """Return what a ``run_id`` may be: a run of the table, or a sample that has none there."""
        if self.given:
            return Known(
                "run",
                [*self.known.ids, *self._own.values()],
                gone=[*sorted(self.known.gone), *sorted(samples.gone)],
                lost=sorted(self.known.lost),
                complete=self.known.complete and samples.complete,
            )
        return Known(
            "run",
            samples.ids,
            gone=sorted(samples.gone),
            lost=sorted(samples.lost),
            complete=samples.complete,
        )

    def of(self, sample: str, assay: str, *, must_name_assay: bool) -> str | None:
        """Return the run of a sample that an assay's results belong to; None where that is not clear."""
        listed = self._listed_of.get(sample, [])
        if not listed:
            return self._new(sample, "")
        if assay:
            matching = [run for run, name in listed if name == assay]
            if matching:
                return matching[0] if len(matching) == 1 else None
            return self._new(sample, assay)
        if len(listed) == 1:
            return listed[0][0]
        return None if must_name_assay else self._new(sample, "")

    def assays(self, run_ids: np.ndarray) -> np.ndarray:
        """Return the assay that each run was, "" where nothing says it."""
        assay = dict(zip(self.listed["run_id"], self.listed["assay"].fillna(""), strict=True))
        if "assay" in self.samples:
            of = dict(zip(self.samples["sample_id"], self.samples["assay"].fillna(""), strict=True))
            for (sample, _), run in self._own.items():
                # A sample's own assay is that of its run only where no table lists its runs.
                if sample not in self._listed_of:
                    assay.setdefault(run, str(of.get(sample, "")))
        found = [assay.get(run, "") if isinstance(run, str) else "" for run in run_ids]
        return np.array(found, dtype=object)

    def options(self, sample: str) -> list[str]:
        """Return the runs that the table lists for a sample."""
        return [run for run, _ in self._listed_of.get(sample, [])]

    def frame(self) -> pd.DataFrame:
        """Return ``Study.runs``: the table's rows, then the samples' own, then the implied."""
        columns = [*CONTRACTS["runs"].columns]
        extra = [c for c in self.listed.columns if c not in columns and not c.startswith("_")]
        place = {sample: index for index, sample in enumerate(self.samples["sample_id"])}
        own = [(run, sample) for (sample, _), run in self._own.items()]
        at = [place[sample] for _, sample in own]
        rows = self.samples.iloc[at].reset_index(drop=True)
        frame = pd.DataFrame(
            {
                "run_id": pd.array([run for run, _ in own], dtype="str"),
                "sample_id": pd.array([sample for _, sample in own], dtype="str"),
            }
        )
        listed = np.array([sample in self._listed_of for _, sample in own], dtype=bool)
        for column in RUN_COLUMNS:
            if column in rows:
                frame[column] = rows[column].mask(listed) if listed.any() else rows[column]
        for column in ("_file", "_row"):
            frame[column] = rows[column]
        parts = [self.listed, empty_columns(frame, "runs")]
        if self._implied:
            implied = pd.DataFrame(self._implied).astype("str")
            implied["_file"] = pd.array([""] * len(implied), dtype="str")
            implied["_row"] = 0
            parts.append(empty_columns(implied, "runs"))
        parts = [part for part in parts if len(part)] or parts[:1]
        stacked = pd.concat(parts, ignore_index=True)
        return stacked[[*columns, *[c for c in extra if c in stacked], "_file", "_row"]]


class Place(NamedTuple):
    """Whose each row of a part is (arrays of object, None where unknown), and which rows were set aside."""

    run: np.ndarray
    sample: np.ndarray
    subject: np.ndarray
    aside: np.ndarray

    def without_aside(self, part: Part) -> Place:
        """Return the places of the rows that were not set aside, and drop the others from the part."""
        keep = ~self.aside
        if keep.all():
            return self
        part.frame = part.frame[keep].reset_index(drop=True)
        return Place(*(array[keep] for array in self))


class References:
    """Finds subject, sample and run of rows."""

    def __init__(self, subjects: Known, samples: Known, subject_of: Mapping[str, str]) -> None:
        self.known_subjects = subjects
        self.known_samples = samples
        self.subject_of = subject_of

    def subjects(self, samples: np.ndarray) -> np.ndarray:
        """Return the subjects of samples."""
        return np.array(
            [self.subject_of.get(s) if isinstance(s, str) else None for s in samples], dtype=object
        )

    def place(
        self, part: Part, runs: Runs, problems: Problems, *, must_name_assay: bool = False
    ) -> Place | None:
        """Resolve ``run_id`` and ``sample_id`` of a part; None if it has neither column.

        Parameters
        ----------
        must_name_assay : bool
            Whether a row that names a sample with several runs, and no assay, is an error; else it is given to
            the sample's own run.
        """
        frame = part.frame
        n = len(frame)
        if "sample_id" not in frame and "run_id" not in frame:
            return None
        nothing = np.full(n, None, dtype=object)
        rows = frame["_row"].to_numpy()
        run, sample, aside = nothing.copy(), nothing.copy(), np.zeros(n, dtype=bool)
        named = np.zeros(n, dtype=bool)
        if "run_id" in frame:
            known = runs.identifiers(self.known_samples)
            cells = frame["run_id"].to_numpy(dtype=object)
            run = known.resolve(part, "run_id", problems)
            aside |= known.set_aside(cells)
            named |= ~pd.isna(cells)
            sample = np.array(
                [runs.sample_of.get(r) if isinstance(r, str) else None for r in run], dtype=object
            )
        if "sample_id" in frame:
            cells = frame["sample_id"].to_numpy(dtype=object)
            said = self.known_samples.resolve(part, "sample_id", problems)
            aside |= self.known_samples.set_aside(cells)
            for index in np.flatnonzero(~pd.isna(sample) & ~pd.isna(said)):
                if sample[index] != said[index]:
                    part.tell(
                        problems,
                        "run_of_other_sample",
                        f"Run {run[index]!r} is of sample {sample[index]!r}, the row says "
                        f"{said[index]!r}. Correct one of the two.",
                        column="sample_id",
                        row=rows[index],
                        subject_id=self.subject_of.get(said[index], ""),
                        value=cells[index],
                    )
            by_sample = ~named & ~pd.isna(said)
            assays = (
                frame["assay"].fillna("").to_numpy(dtype=object)
                if "assay" in frame
                else np.full(n, "", dtype=object)
            )
            rows_by_sample = np.flatnonzero(by_sample)
            pairs = pd.DataFrame({"s": said[rows_by_sample], "a": assays[rows_by_sample]})
            for (one, assay), members in pairs.groupby(["s", "a"], sort=False).indices.items():
                places = rows_by_sample[members]
                found = runs.of(one, str(assay), must_name_assay=must_name_assay)
                if found is None:
                    options = ", ".join(runs.options(one))
                    part.tell(
                        problems,
                        "run_ambiguous",
                        f"Sample {one!r} has several runs ({options}). Name the run_id"
                        + (", or its assay." if not assay else "."),
                        column="sample_id",
                        row=rows[places[0]],
                        subject_id=self.subject_of.get(one, ""),
                        value=cells[places[0]],
                    )
                run[places] = found
                sample[places] = one
            named |= ~pd.isna(cells)
        for index in np.flatnonzero(~named):
            column = "sample_id" if "sample_id" in frame else "run_id"
            part.tell(
                problems,
                "value_missing",
                f"There is no {part.shown(column)}. Say which sample or run the row is of.",
                column=column,
                row=rows[index],
            )
        return Place(run, sample, self.subjects(sample), aside)
