"""Say what is wrong with a study's configuration, before Snakemake reads it in its own words."""

from __future__ import annotations

import argparse
import sys

from correlatives.tables.config import ConfigError, load


def main(argv: list[str] | None = None) -> None:
    """Check one file; end with 1 and one line a problem if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", help="the study's configuration file")
    asked = parser.parse_args(argv)
    try:
        load(asked.study)
    except ConfigError as error:
        print(f"{asked.study}: {len(error.lines)} to put right", file=sys.stderr)
        for line in error.lines:
            print(f"  - {line}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
