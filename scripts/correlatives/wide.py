"""What an analysis reads of a wide assay, which as a whole is more than it can use.

An assay is wide if more than `WIDE` of its biomarkers were measured in a specimen at a timepoint. What nobody said
anything of beforehand (`unnamed`) is what an analysis may leave out. The functions take the files of a cohort and return
what `Cohort.read` takes as ``keep``: of some markers, a row group of a file at a time, which are read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from correlatives.cohort import DOMAINS
from correlatives.markers import ABOVE, BELOW, MEASURED, Markers
from correlatives.tables.limits import analysis_values

#: Biomarkers of a specimen, timepoint and assay, beyond which it is wide.
WIDE = 20_000

#: (specimen, assay, timepoint)
Place = tuple[str, str, str]
PLACE = ["specimen", "assay", "timepoint"]

Keep = Callable[[Markers], np.ndarray]


def _files(paths: Iterable[str | Path]) -> dict[str, Path]:
    return {Path(path).stem: Path(path) for path in paths}


def _of_markers(paths: Iterable[str | Path]) -> list[Path]:
    """Return the files that `Markers.write` wrote."""
    files = _files(paths)
    return [files[domain] for domain in DOMAINS if domain in files]


def _baseline(paths: Iterable[str | Path]) -> str:
    """Return the name of the baseline timepoint."""
    schema = pq.read_schema(_files(paths)["outcomes"])
    return str(json.loads(schema.metadata[b"study"])["baseline"])


def places(paths: Iterable[str | Path]) -> Counter[Place]:
    """Count the markers of every specimen, assay and timepoint."""
    found: Counter[Place] = Counter()
    for path in _of_markers(paths):
        counts = pq.read_table(path, columns=PLACE).group_by(PLACE).aggregate([([], "count_all")])
        for row in counts.to_pylist():
            found[tuple(row[name] or "" for name in PLACE)] += row["count_all"]
    return found


def unnamed(info: pd.DataFrame) -> np.ndarray:
    """Say which markers nobody said anything of beforehand: exploratory, without hypothesis or pathway."""
    blank = np.ones(len(info), dtype=bool)
    for column in ("hypothesis", "pathway"):
        blank &= info[column].fillna("").eq("").to_numpy(dtype=bool)
    return (
        blank
        & info["family"].eq("exploratory").to_numpy(dtype=bool)
        & ~info["prespecified"].eq("yes").to_numpy(dtype=bool)
    )


def _inside(info: pd.DataFrame, wide: Collection[Place]) -> np.ndarray:
    """Say which markers are of one of some places."""
    of = np.zeros(len(info), dtype=bool)
    for place in wide:
        here = np.ones(len(info), dtype=bool)
        for column, name in zip(PLACE, place, strict=True):
            here &= info[column].fillna("").eq(name).to_numpy(dtype=bool)
        of |= here
    return of


def joinable(paths: Iterable[str | Path]) -> Keep:
    """Keep what the joined table can hold: of a wide assay only what is named beforehand."""
    wide = [place for place, count in places(paths).items() if count > WIDE]
    return lambda markers: ~(_inside(markers.info, wide) & unnamed(markers.info))


def paired_or_named(paths: Iterable[str | Path]) -> Keep:
    """Keep what the analysis of resistance can use: all but unnamed markers of wide assays done at one timepoint only.

    Genes that the pathways or the alterations name are quoted, and stay.
    """
    counts = places(paths)
    times = Counter(place[:2] for place in counts)
    wide = [place for place, n in counts.items() if n > WIDE and times[place[:2]] == 1]
    files = _files(paths)
    named: set[str] = set()
    if "pathways" in files:
        named |= set(pd.read_parquet(files["pathways"], columns=["gene"])["gene"])
    if "alterations" in files:
        altered = pd.read_parquet(files["alterations"], columns=["biomarker"])["biomarker"]
        named |= set(altered.str.removeprefix("gene:"))

    def keep(markers: Markers) -> np.ndarray:
        info = markers.info
        return ~(_inside(info, wide) & unnamed(info) & ~info["biomarker"].isin(named).to_numpy())

    return keep


class Evaluable:
    """Keep the few markers that show who is evaluable at baseline: the first of each domain, and each that adds a subject.

    Whether a subject has a result of any marker of a domain is the same among them as among all.
    """

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self.timepoint = _baseline(paths)
        self.seen: dict[str, np.ndarray] = {}

    def __call__(self, markers: Markers) -> np.ndarray:
        """Say which of these are read."""
        keep = np.zeros(len(markers), dtype=bool)
        at = markers.info["timepoint"].eq(self.timepoint).to_numpy(dtype=bool)
        for domain in markers.info["domain"].unique():
            of = markers.info["domain"].eq(domain).to_numpy(dtype=bool)
            if domain not in self.seen:
                self.seen[domain] = np.zeros(len(markers.subjects), dtype=bool)
                keep[np.flatnonzero(of)[0]] = True
            seen = self.seen[domain]
            rows = np.flatnonzero(of & at)
            adds = np.isin(markers.state[rows], (MEASURED, BELOW, ABOVE))
            while len(rows) and not seen.all():
                new = (adds & ~seen).any(axis=1)
                if not new.any():
                    break
                first = int(np.argmax(new))
                keep[rows[first]] = True
                seen |= adds[first]
        return keep


def candidates(paths: Iterable[str | Path], most: int = WIDE) -> Keep:
    """Keep the baseline markers that may become predictors: of a wide assay's unnamed ones the most variable.

    By the variance on the scale of analysis over all subjects, blind to outcome and arm; `most` of them, and more if
    they are tied.
    """
    files, timepoint = _of_markers(paths), _baseline(paths)
    wide = [place for place, n in places(paths).items() if n > most and place[2] == timepoint]
    least = {}
    for place in wide:
        spread = [
            _variance(piece)[_inside(piece.info, [place]) & unnamed(piece.info)]
            for path in files
            for piece in Markers.pieces(path, timepoint=timepoint)
        ]
        ordered = np.sort(np.concatenate(spread))[::-1]
        least[place] = float(ordered[most - 1]) if len(ordered) > most else -np.inf

    def keep(markers: Markers) -> np.ndarray:
        kept = markers.info["timepoint"].eq(timepoint).to_numpy(dtype=bool, copy=True)
        for place, threshold in least.items():
            of = _inside(markers.info, [place]) & unnamed(markers.info)
            if of.any():
                kept &= ~of | (_variance(markers) >= threshold)
        return kept

    return keep


def _variance(markers: Markers) -> np.ndarray:
    """Return each marker's variance on the scale of analysis, 0 with fewer than two values."""
    value = analysis_values(markers).value
    known = np.isfinite(value)
    n = np.maximum(known.sum(axis=1), 1)
    centred = np.where(known, value - (np.nansum(value, axis=1) / n)[:, None], 0.0)
    return (centred**2).sum(axis=1) / n
