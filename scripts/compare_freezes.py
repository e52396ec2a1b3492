"""Write what moved between two freezes, and why.

python scripts/compare_freezes.py FROM TO [--folder freezes] [--out comparisons]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from correlatives.publish.comparison import Frozen, compare
from correlatives.publish.freeze import Refused
from correlatives.workflow import job


def main() -> int:
    """Compare, or say why not."""
    parser = argparse.ArgumentParser(description="Write what moved between two freezes, and why.")
    parser.add_argument("before", metavar="FROM")
    parser.add_argument("after", metavar="TO")
    parser.add_argument("--folder", type=Path, default=Path("freezes"))
    parser.add_argument("--out", type=Path, default=Path("comparisons"))
    asked = parser.parse_args()
    print(f"Comparing every table of {asked.before} and {asked.after}.", flush=True)
    try:
        moved = compare(
            Frozen.open(asked.folder / asked.before), Frozen.open(asked.folder / asked.after)
        )
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    from correlatives.figures import what_moved

    out = asked.out / f"{moved.before}_to_{moved.after}"
    for name in ("causes", "people", "effects", "claims", "tables"):
        job.write(getattr(moved, name), out / f"{name}.tsv")
    what_moved.draw(moved).write(out / "what_moved")
    summary = moved.summary()
    (out / "summary.txt").write_text(summary + "\n", encoding="utf-8")
    print(summary)
    print(f"The tables and the figure are in {out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
