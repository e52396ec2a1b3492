"""A simulated trial of T-DM1 with or without palbociclib, whose truth is known.

Rates are those published for HER2-positive metastatic breast cancer where there are any
(``simulation.rates`` names the source of each), effects are planted, and both are written beside the
tables, so that an analysis can be held against what it should have found. No value comes from a patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from correlatives.simulation.assays import (
    make_blood,
    make_cytokines,
    make_expression,
    make_laboratory,
    make_tissue,
)
from correlatives.simulation.files import DICTIONARIES, FILES, FORMATS
from correlatives.simulation.genes import CYTOKINES
from correlatives.simulation.panels import make_alterations, make_progressed
from correlatives.simulation.patients import make_course, make_doses, make_people
from correlatives.simulation.rates import (
    EFFECTS,
    NO_ACQUISITION,
    NO_EFFECT,
    NO_INTERACTION,
    RATES,
    effects,
)
from correlatives.simulation.specimens import make_runs, make_samples, true_fraction

__all__ = ["NO_ACQUISITION", "NO_EFFECT", "NO_INTERACTION", "Trial", "simulate_trial"]

#: Home of the dictionaries.
CONFIG = Path(__file__).parents[2] / "config"


@dataclass(frozen=True)
class Trial:
    """A simulated trial.

    Attributes
    ----------
    tables : dict of str to pd.DataFrame
        File name without its extension -> table, in the columns of the contract (``TABLES``).
    truth : dict
        ``seed``, ``per_arm``, ``effects`` (name -> size), ``planted`` (a list; see `planted`), ``rates``
        (name -> value and source).
    """

    tables: dict[str, pd.DataFrame]
    truth: dict[str, Any]

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that `write` writes, sorted."""
        return FILES

    def planted(self, role: str | None = None) -> list[dict[str, Any]]:
        """Return what was planted, of one role: predictive, prognostic, acquired, lost, pharmacodynamic or null.

        Each is a dict with ``biomarker``, ``specimen``, ``role``, ``endpoint`` (empty where none),
        ``arm`` (empty = both), ``measure``, ``size`` and ``null`` (the size that is no effect).
        """
        return planted(self.truth, role)

    def write(self, folder: str | Path) -> None:
        """Write ``files`` into a folder, byte for byte the same for the same trial."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in self.tables.items():
            kind = FORMATS.get(name, "csv")
            path = folder / f"{name}.{kind}"
            if kind == "parquet":
                table.to_parquet(path, index=False, compression="zstd")
            elif kind == "xlsx":
                _write_workbook(table, path)
            else:
                separator = "\t" if kind == "tsv" else ","
                table.to_csv(path, index=False, sep=separator, lineterminator="\n")
        (folder / "truth.yaml").write_text(_yaml(self.truth), encoding="utf-8")


def planted(truth: dict[str, Any], role: str | None = None) -> list[dict[str, Any]]:
    """Return what was planted, of one role, from a truth as read from ``truth.yaml``."""
    return [item for item in truth["planted"] if role in (None, item["role"])]


def simulate_trial(
    seed: int = 20210104,
    per_arm: tuple[int, int] = (66, 66),
    genes: int = 2000,
    dictionaries: str | Path = CONFIG,
    **overrides: float,
) -> Trial:
    """Simulate a trial.

    Parameters
    ----------
    seed : int
        Every part draws from its own stream, named for it: the same seed gives the same tables.
    per_arm : tuple of int
        Subjects of the control and of the experimental arm.
    genes : int
        Genes of the expression table.
    dictionaries : path
        Folder with ``biomarkers.tsv``, ``coverage.tsv``, ``pathways.tsv`` and ``signatures.tsv``, which become tables of the trial.
    **overrides : float
        Sizes of planted effects by their names in ``EFFECTS``, e.g. ``ccne1_by_palbociclib=1.0``;
        ``**NO_INTERACTION``, ``**NO_ACQUISITION`` or ``**NO_EFFECT`` switches them off.

    Returns
    -------
    Trial

    Raises
    ------
    TypeError
        If an override names no effect.
    ValueError
        If an arm is empty, or `genes` is too small for the signatures.
    """
    if min(per_arm) < 1:
        raise ValueError(f"per_arm={per_arm}: each arm needs a subject")
    size = effects(overrides)
    people = make_people(seed, per_arm)
    course = make_course(seed, people, size)
    doses, cycles = make_doses(seed, people, course)
    progressed = make_progressed(seed, people, course, size)
    samples = make_samples(seed, people, course, cycles)
    fraction = true_fraction(seed, people, samples)
    runs = make_runs(seed, people, samples, fraction)
    plasma, tissue = make_alterations(seed, people, progressed, samples, runs, fraction)
    expression, signatures = make_expression(seed, people, samples, runs, genes)
    tables = {
        "subjects": people.table,
        "outcomes": course.outcomes,
        "responses": course.responses,
        "samples": samples.drop(columns=["index", "visit", "calendar"]),
        "runs": runs.drop(columns=["row", "batch_number", "who"]),
        "blood_markers": make_blood(seed, people, samples, runs, size),
        "blood_cytokines": make_cytokines(seed, people, samples, runs),
        "baseline_labs": make_laboratory(seed, people),
        "tissue_scores": make_tissue(seed, people, progressed, samples, runs),
        "tissue_signatures": signatures,
        "tissue_expression": expression,
        "plasma_alterations": plasma,
        "tissue_alterations": tissue,
        "doses": doses,
        "assessments": course.assessments,
        **{name: _dictionary(Path(dictionaries) / f"{name}.tsv") for name in DICTIONARIES},
    }
    return Trial(tables, _truth(seed, per_arm, genes, size))


def _dictionary(path: Path) -> pd.DataFrame:
    """Return a dictionary as text, empty cells kept empty."""
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def _truth(
    seed: int, per_arm: tuple[int, int], genes: int, size: dict[str, float]
) -> dict[str, Any]:
    """Return what was planted, in a form that a test can read."""

    def item(
        biomarker: str, specimen: str, role: str, effect: str, measure: str, **more: str
    ) -> dict[str, Any]:
        return {
            "biomarker": biomarker,
            "specimen": specimen,
            "timepoint": more.get("timepoint", "baseline"),
            # An effect that is switched off is a null, and tests must not look for it.
            "role": role if size[effect] != EFFECTS[effect][1] else "null",
            "endpoint": more.get("endpoint", "PFS"),
            "arm": more.get("arm", ""),
            "measure": measure,
            "size": size[effect],
            "null": EFFECTS[effect][1],
            "effect": effect,
        }

    per_sd, ratio = "hazard ratio per SD", "ratio of hazard ratios"
    tissue = "archival_tissue"
    later = {"timepoint": "progression", "endpoint": ""}
    found = [
        item("CCNE1", tissue, "predictive", "ccne1_by_palbociclib", f"{ratio} per SD"),
        item("PAM50_luminal", tissue, "predictive", "luminal_by_palbociclib", ratio),
        item("hr_status", "clinical", "predictive", "hr_positive_by_palbociclib", ratio),
        item("tumour_fraction", "plasma", "prognostic", "tumour_fraction_hr", per_sd),
        item("TK1", "serum", "prognostic", "tk1_hr", per_sd),
        item("HER2_ECD", "serum", "prognostic", "her2_ecd_hr", per_sd),
        item("ERBB2", tissue, "prognostic", "erbb2_expression_hr", per_sd),
        item("visceral", "clinical", "prognostic", "visceral_hr", "hazard ratio"),
        item("ecog", "clinical", "prognostic", "ecog_hr", "hazard ratio per point"),
        item("prior_lines", "clinical", "prognostic", "prior_lines_hr", "hazard ratio per line"),
        item(
            "ratio:tumour_fraction:C1D15",
            "plasma",
            "prognostic",
            "early_clearance_hr",
            "hazard ratio per SD of the fall",
            timepoint="C1D15",
        ),
        item(
            "gene:RB1",
            "plasma",
            "acquired",
            "rb1_acquired_per_month",
            "hazard per month on treatment",
            arm="T-DM1 + palbociclib",
            **later,
        ),
        item(
            "gene:PIK3CA",
            "plasma",
            "acquired",
            "pik3ca_acquired_per_month",
            "hazard per month on treatment",
            **later,
        ),
        item("gene:ERBB2", "plasma", "lost", "erbb2_amplification_lost", "probability", **later),
        item(
            "ratio:TK1:C1D15",
            "serum",
            "pharmacodynamic",
            "tk1_on_palbociclib",
            "difference of natural logarithms",
            arm="T-DM1 + palbociclib",
            timepoint="C1D15",
            endpoint="",
        ),
    ]
    nothing = {"role": "null", "arm": "", "measure": "", "size": 0.0, "null": 0.0, "effect": ""}
    nulls = [
        *((cytokine.name, "serum", "baseline", "PFS") for cytokine in CYTOKINES),
        ("gene:PIK3CA", "plasma", "baseline", "PFS"),
        ("gene:TP53", "plasma", "baseline", "PFS"),
        ("sTILs", tissue, "baseline", "PFS"),
        ("PTEN_IHC", tissue, "baseline", "PFS"),
        ("gene:TP53", "plasma", "progression", ""),
        ("gene:KRAS", "plasma", "progression", ""),
    ]
    found += [
        {
            **dict(zip(("biomarker", "specimen", "timepoint", "endpoint"), row, strict=True)),
            **nothing,
        }
        for row in nulls
    ]
    return {
        "seed": seed,
        "per_arm": list(per_arm),
        "genes": genes,
        "treatment_hazard_ratio": size["treatment_hr"],
        "effects": size,
        "planted": found,
        "rates": {name: {"value": r.value, "source": r.source} for name, r in RATES.items()},
        "effect_sources": {name: source for name, (_, _, source) in EFFECTS.items()},
    }


def _yaml(truth: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(truth, sort_keys=False, allow_unicode=True, width=110)


def _write_workbook(table: pd.DataFrame, path: Path) -> None:
    """Write an Excel workbook that carries no time stamp; identifiers stay text."""
    from datetime import datetime

    import xlsxwriter

    with xlsxwriter.Workbook(path) as book:
        book.set_properties({"created": datetime(2021, 1, 4)})
        sheet = book.add_worksheet("labs")
        sheet.write_row(0, 0, list(table.columns))
        for row, values in enumerate(table.itertuples(index=False), start=1):
            for column, value in enumerate(values):
                if isinstance(value, str):
                    sheet.write_string(row, column, value)
                elif pd.notna(value):
                    sheet.write_number(row, column, float(value))
