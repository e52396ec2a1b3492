"""Compile the engine of the screen once, so that the first run does not have to (about half a minute).

python scripts/compile_engine.py
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from correlatives.assembly import build_cohort
from correlatives.predictive.model import fit_domain
from correlatives.simulate import simulate_trial
from correlatives.tables import config
from correlatives.tables.load import load_study


def main() -> None:
    """Fit a few markers of a small simulated trial, Cox and logistic, with randomisations."""
    import tempfile

    start = time.perf_counter()
    house = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as folder:
        simulate_trial(per_arm=(40, 40), genes=40).write(folder)
        study = load_study(config.load(house / "config" / "config.yaml"), Path(folder))
        cohort = build_cohort(study).cohort
    markers = cohort.markers.select(timepoint=cohort.study["baseline"], domain="blood")
    for endpoint in ("PFS", "ORR"):
        fit_domain(cohort, endpoint, markers, randomisations=100)
    print(f"The engine is compiled ({time.perf_counter() - start:.0f} s)")


if __name__ == "__main__":
    main()
