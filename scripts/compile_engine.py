"""Compile the engines of the screen and of the response models once, so that the first run does not have to.

About a minute.

python scripts/compile_engine.py
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from correlatives.assembly import build_cohort
from correlatives.predictive.model import fit_domain
from correlatives.response.evaluation import evaluate
from correlatives.simulate import simulate_trial
from correlatives.tables import config
from correlatives.tables.load import load_study


def main() -> None:
    """Fit a small simulated trial, Cox and logistic: a few markers with randomisations, and response models."""
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
        evaluate(cohort, endpoint, ["age"], repeats=1, folds=3, forest=False)
    print(f"The engines are compiled ({time.perf_counter() - start:.0f} s)")


if __name__ == "__main__":
    main()
