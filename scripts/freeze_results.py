"""Keep a study's results: tables, figures, configuration and provenance, read-only.

    python scripts/freeze_results.py NAME [--study FILE] [--config KEY=VALUE ...] [--folder freezes]

Run it where Snakemake is run. Results that are absent or out of date are refused.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from correlatives.publish import freeze
from correlatives.reruns import made_elsewhere
from correlatives.tables import config as configuration

#: Tables that say how the data are to be understood: they are kept as part of the configuration.
DICTIONARIES = ("biomarkers", "coverage", "pathways", "corrections")


def outstanding(study: Path, on_top: list[str]) -> list[str]:
    """Return what a run would still do, in the workflow's words; empty if results are as the study's files say.

    Raises
    ------
    Refused
        If Snakemake cannot even plan the run.
    """
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--nolock", "--cores", "1"]
    command += ["--quiet", "host"]
    if not any(Path(place).is_file() for place in ("Snakefile", "workflow/Snakefile")):
        command += ["--snakefile", str(Path(__file__).resolve().parents[1] / "Snakefile")]
    command += ["--configfile", str(study), *(["--config", *on_top] if on_top else [])]
    planned = subprocess.run(command, capture_output=True, text=True, check=False)
    text = planned.stdout + planned.stderr
    if planned.returncode:
        tail = [line for line in text.splitlines() if line.strip()][-5:]
        raise freeze.Refused("\n".join(["The study cannot be run as it is:", *tail]))
    if "Nothing to be done" in text:
        return []
    said = dict.fromkeys(re.findall(r"^Job \d+: (.+)$", text, re.M))
    if not said:
        raise freeze.Refused(f"It is not clear whether the results are up to date:\n{text[-500:]}")
    return [job for job in said if not job.startswith("Everything that was asked for")]


def frozen_files(config: dict[str, Any], study: Path) -> dict[str, Path]:
    """Return name within the freeze -> file: the results, the study's file, its dictionaries."""
    results = Path(config["results_dir"])
    files = {path.as_posix(): results / path for path in freeze.kept(results)}
    files[f"config/{study.name}"] = study
    tables = configuration.raw_files(config, configuration.data_folder(config, study))
    for table in DICTIONARIES:
        for path in tables.get(table, []):
            files[f"config/{table}/{path.name}"] = path
    return files


def main() -> int:
    """Freeze, or say why not."""
    parser = argparse.ArgumentParser(description="Keep a study's results, read-only.")
    parser.add_argument("name", help="of the freeze, such as 2026-11")
    parser.add_argument("--study", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folder", type=Path, default=Path("freezes"))
    asked = parser.parse_args()
    try:
        freeze.vacant(asked.folder, asked.name)
        overrides = {
            key: yaml.safe_load(value)
            for key, _, value in (pair.partition("=") for pair in asked.config)
        }
        config = configuration.load(asked.study, overrides)
        results = Path(config["results_dir"])
        again = f"snakemake --configfile {asked.study}" + "".join(
            [" --config", *(f" {pair}" for pair in asked.config)] if asked.config else []
        )
        if not (results / "provenance.json").is_file():
            raise freeze.Refused(
                f"There are no finished results of {config['study']['id']} in {results}. Run first: {again}"
            )
        if foreign := configuration.refuse_foreign_results(results, config["study"]["id"]):
            raise freeze.Refused(foreign)
        if elsewhere := made_elsewhere(results):
            raise freeze.Refused(elsewhere)
        print(
            f"Comparing the results in {results} with what the files say now, then copying them to "
            f"{asked.folder / asked.name}: a minute or two.",
            flush=True,
        )
        if todo := outstanding(asked.study, asked.config):
            listed = "\n".join(f"  - {job}" for job in todo[:12])
            more = f"\n  - and {len(todo) - 12} more" if len(todo) > 12 else ""
            raise freeze.Refused(
                f"The results in {results} are not what the files say now. A run would still do this:\n"
                f"{listed}{more}\nRun first: {again}"
            )
        files = frozen_files(config, asked.study)
        folder = freeze.make(asked.folder, asked.name, files)
    except configuration.ConfigError as error:
        print("\n".join(error.lines), file=sys.stderr)
        return 1
    except freeze.Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    print(f"{len(files)} files of {config['study']['id']} are kept in {folder}, read-only.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
