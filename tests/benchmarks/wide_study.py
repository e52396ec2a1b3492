"""Write a study with a very wide table: a simulated trial, and a methylation array of its subjects as Parquet.

    python tests/benchmarks/wide_study.py FOLDER --markers 850000

The array has a row a probe and a column a subject, as such arrays are handed over, on the M scale; one probe in a thousand values is
missing. The probe `PLANTED` follows progression-free survival in the experimental arm and runs against it in the control arm.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from correlatives.simulate import simulate_trial  # noqa: E402 (found by the line above)

PLANTED = "cg00000042"

#: Probes of a row group: the file is written piece by piece, as it will be read.
PIECE = 16_384

#: Share of values that are missing.
MISSING = 0.001


def write_wide_study(
    folder: Path,
    *,
    markers: int,
    subjects: int = 140,
    randomisations: int = 10_000,
    blocks: int = 1,
    seed: int = 7,
) -> Path:
    """Write the tables and the configuration of a study with a table of `markers` rows.

    Parameters
    ----------
    folder : Path
    markers : int
        Probes of the array.
    subjects : int
        Even: half of them in each arm.
    randomisations, blocks : int
        ``predictive.randomisations`` and ``predictive.marker_blocks``.
    seed : int

    Returns
    -------
    Path
        Of the configuration.
    """
    data = folder / "data"
    simulate_trial(seed=seed, per_arm=(subjects // 2, subjects // 2), genes=100).write(data)
    _write_array(data, markers, seed)
    study = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    study["study"] |= {"id": "wide", "title": "A simulated trial with a methylation array"}
    study["data_dir"] = "data"
    study["tables"]["measurements"].append(
        {
            "path": "methylation.parquet",
            "layout": "wide",
            "orientation": "features_in_rows",
            "key": "subject_id",
            "specimen": "pbmc",
            "timepoint": "baseline",
            "assay": "methylation",
            "defaults": {"kind": "continuous", "family": "exploratory", "transform": "none"},
        }
    )
    study["predictive"] |= {"randomisations": randomisations, "marker_blocks": blocks}
    study["response"] |= {"repeats": 2, "permutations": 3}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    return path


def _write_array(data: Path, markers: int, seed: int) -> None:
    people = pd.read_csv(data / "subjects.csv", dtype=str)
    outcomes = pd.read_csv(data / "outcomes.csv", dtype={"subject_id": str})
    months = outcomes[outcomes["endpoint"] == "PFS"].set_index("subject_id")["time"]
    months = months.reindex(people["subject_id"])
    experimental = people["arm"].eq("T-DM1 + palbociclib").to_numpy()
    rank = months.groupby(experimental).rank(pct=True).to_numpy() - 0.5
    schema = pa.schema(
        [("probe", pa.string()), *((one, pa.float64()) for one in people["subject_id"])]
    )
    with pq.ParquetWriter(data / "methylation.parquet", schema, compression="zstd") as file:
        for start in range(0, markers, PIECE):
            draw = np.random.default_rng([seed, start])
            rows = np.arange(start, min(start + PIECE, markers))
            value = draw.normal(draw.normal(0, 2, (len(rows), 1)), 1, (len(rows), len(people)))
            value = value.round(4)
            value[draw.random(value.shape) < MISSING] = np.nan
            names = [f"cg{row + 1:08d}" for row in rows]
            if PLANTED in names:
                noise = draw.normal(0, 0.3, len(people))
                value[names.index(PLANTED)] = np.where(experimental, 4, -4) * rank + noise
            columns = [pa.array(names), *(pa.array(one, from_pandas=True) for one in value.T)]
            file.write_table(pa.table(columns, schema=schema))


def main() -> None:
    """Write one."""
    parser = argparse.ArgumentParser(description="Write a study with a very wide table.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--markers", type=int, default=850_000)
    parser.add_argument("--subjects", type=int, default=140)
    parser.add_argument("--randomisations", type=int, default=10_000)
    parser.add_argument("--blocks", type=int, default=1)
    asked = parser.parse_args()
    print(
        write_wide_study(
            asked.folder,
            markers=asked.markers,
            subjects=asked.subjects,
            randomisations=asked.randomisations,
            blocks=asked.blocks,
        )
    )


if __name__ == "__main__":
    main()
