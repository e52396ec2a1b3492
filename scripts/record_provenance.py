"""Write where the results come from: digests, settings, seeds, versions, decisions."""

import csv
from pathlib import Path

from correlatives.publish import provenance
from correlatives.workflow import job, libraries


def rows(path: str) -> list[dict[str, str]]:
    """Return the rows of a table, as text."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


with job(snakemake) as step:  # noqa: F821
    house = Path(step.params.house)
    recorded = provenance.record(
        config=step.params.study,
        written={Path(path).name: provenance.sha256(path) for path in step.params.written},
        inputs=step.params.inputs,
        code={name: provenance.sha256(house / name) for name in step.params.code},
        lock=house / "requirements.lock",
        version=step.params.version,
        # Of this job's interpreter, which is another than Snakemake's where software comes from conda.
        libraries={k: v for name in step.params.scripts for k, v in libraries(name).items()},
        drawing=step.params.drawing,
        **{name: rows(step.input[name]) for name in ("corrections", "flow", "problems")},
    )
    provenance.write(recorded, step.output[0])
