"""What moved between two freezes is found and nothing else, and the cause is named where it can be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sound_study import Sound

from correlatives.assembly import build_cohort
from correlatives.figures import what_moved
from correlatives.publish import freeze, provenance
from correlatives.publish.comparison import Comparison, Frozen, changed_effects, compare
from correlatives.tables import config as configuration

ROOT = Path(__file__).resolve().parents[2]
CODE = {"scripts/correlatives/survival/cox.py": "1" * 64, "scripts/correlatives/figures/km.py": "2"}


def screened(**changed: dict[str, float]) -> pd.DataFrame:
    """Return a small predictive table: two confirmatory markers and two exploratory ones."""
    rows = {
        "TK1": ("confirmatory", 0.60, 0.020, 0.030, 0.04),
        "HER2 ECD": ("confirmatory", 1.10, 0.600, 0.700, 0.60),
        "ESR1": ("exploratory", 1.80, 0.010, np.nan, 0.02),
        "ERBB2": ("exploratory", 1.05, 0.800, np.nan, 0.80),
    }
    table = pd.DataFrame(
        [
            {
                "biomarker": name,
                "specimen": "plasma" if family == "confirmatory" else "archival_tissue",
                "timepoint": "baseline",
                "kind": "continuous",
                "family": family,
                "n": 12,
                "interaction_ratio": ratio,
                "interaction_ratio_low": ratio / 2,
                "interaction_ratio_high": ratio * 2,
                "p_randomisation": p,
                "p_fwer": fwer,
                "q_value": q,
                "note": "",
            }
            for name, (family, ratio, p, fwer, q) in rows.items()
        ]
    ).set_index("biomarker", drop=False)
    for name, cells in changed.items():
        for column, value in cells.items():
            table.loc[name, column] = value
    return table.reset_index(drop=True)


@pytest.fixture
def frozen(tmp_path: Path) -> Callable[..., Frozen]:
    """Return a function that freezes the sound study, changed in a way that the test says."""

    def make(
        name: str,
        change: Callable[[Sound], None] = lambda sound: None,
        tables: dict[str, pd.DataFrame] | None = None,
        code: dict[str, str] = CODE,
    ) -> Frozen:
        folder = tmp_path / f"study_{name}"
        folder.mkdir()
        sound = Sound(folder)
        change(sound)
        config, complaints = configuration.check(sound.config)
        assert complaints == []
        study = sound.load()
        results = tmp_path / f"results_{name}"
        build_cohort(study).cohort.write(results / "cohort")
        for path, table in (tables or {"predictive/PFS.tsv": screened()}).items():
            (results / path).parent.mkdir(parents=True, exist_ok=True)
            table.to_csv(results / path, sep="\t", index=False)
        recorded = provenance.record(
            config=config,
            written={},
            inputs={
                table: {path.name: path for path in paths}
                for table, paths in configuration.raw_files(config, folder).items()
            },
            code=code,
            lock=ROOT / "requirements.lock",
            version="0.1.0",
            libraries={},
            drawing=[],
            corrections=[],
            flow=[],
            problems=[],
        )
        provenance.write(recorded, results / "provenance.json")
        files = {path.as_posix(): results / path for path in freeze.kept(results)}
        return Frozen.open(freeze.make(tmp_path / "freezes", name, files))

    return make


def changes(table: pd.DataFrame, *columns: str) -> list[tuple]:
    return list(table[list(columns)].itertuples(index=False, name=None))


def test_two_freezes_of_the_same_results_differ_in_nothing(frozen: Callable[..., Frozen]):
    moved = compare(frozen("a"), frozen("b"))
    assert len(moved.causes) == 0
    assert len(moved.people) == 0
    assert set(moved.effects["change"]) == {"same"}
    assert changes(moved.claims, "row", "change") == [
        ("TK1 · plasma · baseline · continuous", "kept"),
        ("ESR1 · archival_tissue · baseline · continuous", "kept"),
    ]
    assert "the same inputs, configuration, software and code" in moved.summary()


def test_subjects_added_removed_and_changed_are_found(frozen: Callable[..., Frozen]):
    def change(sound: Sound) -> None:
        sound.append("subjects.csv", "0013,T-DM1,61,1,pos,site 1,2500,2021-03-20,0")
        sound.append("outcomes.csv", "0013,PFS,5,1,progression")
        sound.append("outcomes.csv", "0013,OS,9,0,end_of_study")
        sound.replace("outcomes.csv", "0004,PFS,6,1", "0004,PFS,6.5,1")

    later = frozen("b", change)
    moved = compare(frozen("a"), later)
    subjects = moved.people[moved.people["unit"] == "subject"]
    assert changes(subjects, "id", "arm", "change") == [
        ("0013", "T-DM1", "added"),
        ("0004", subjects["arm"].iloc[1], "changed"),
    ]
    assert "PFS_months 6 -> 6.5" in subjects["what"].iloc[1]
    back = compare(later, frozen("c"))
    assert ("0013", "removed") in changes(back.people, "id", "change")
    inputs = moved.causes[moved.causes["kind"] == "input"]
    assert list(inputs["name"]) == ["outcomes: outcomes.csv", "subjects: subjects.csv"]


def test_a_corrected_value_changes_its_sample_and_no_other(frozen: Callable[..., Frozen]):
    def change(sound: Sound) -> None:
        sound.replace("blood.csv", "P0003-0,TK1,114,", "P0003-0,TK1,141,")

    moved = compare(frozen("a"), frozen("b", change))
    assert changes(moved.people, "unit", "id", "subject_id", "change") == [
        ("sample", "P0003-0", "0003", "changed")
    ]
    assert moved.people["what"].iloc[0] == "TK1 114 -> 141"


def test_an_alteration_called_anew_changes_its_sample(frozen: Callable[..., Frozen]):
    def change(sound: Sound) -> None:
        sound.append("alterations.csv", "R0002-1,PIK3CA,p.E545K,snv,detected,pathogenic,3.5")

    moved = compare(frozen("a"), frozen("b", change))
    samples = moved.people[moved.people["unit"] == "sample"]
    assert changes(samples, "id", "change") == [("P0002-1", "changed")]
    assert "PIK3CA p.E545K called" in samples["what"].iloc[0]


def test_claims_gained_and_lost_rest_on_the_corrected_p(frozen: Callable[..., Frozen]):
    after = screened(
        TK1={"p_fwer": 0.06, "interaction_ratio": 0.7},  # its q stays below 0.05
        ERBB2={"q_value": 0.01},
    )
    moved = compare(frozen("a"), frozen("b", tables={"predictive/PFS.tsv": after}))
    assert changes(moved.claims, "change", "row", "rests_on", "p_before", "p_after") == [
        ("gained", "ERBB2 · archival_tissue · baseline · continuous", "q_value", 0.80, 0.01),
        ("lost", "TK1 · plasma · baseline · continuous", "p_fwer", 0.03, 0.06),
        ("kept", "ESR1 · archival_tissue · baseline · continuous", "q_value", 0.02, 0.02),
    ]
    lost = moved.claims.iloc[1]
    assert (lost["effect"], lost["effect_before"], lost["effect_after"]) == (
        "interaction_ratio",
        0.6,
        0.7,
    )
    shifted = moved.effects[moved.effects["change"] == "moved"]
    assert set(changes(shifted, "row", "quantity")) == {
        ("TK1 · plasma · baseline · continuous", "p_fwer"),
        ("TK1 · plasma · baseline · continuous", "interaction_ratio"),
        ("ERBB2 · archival_tissue · baseline · continuous", "q_value"),
    }
    assert set(shifted["cause"]) == {"not told by the two records"}


def test_the_cause_is_named_where_one_thing_changed(frozen: Callable[..., Frozen]):
    tables = {"predictive/PFS.tsv": screened(TK1={"p_fwer": 0.06}, ERBB2={"q_value": 0.7})}
    first = frozen("a")

    def value(sound: Sound) -> None:
        sound.replace("blood.csv", "P0003-0,TK1,114,", "P0003-0,TK1,141,")

    cause = causes_of(compare(first, frozen("b", value, tables)))
    assert cause["TK1", "p_fwer"] == "its values in 1 changed"
    assert cause["ERBB2", "q_value"] == "other markers' values changed"

    def values(sound: Sound) -> None:
        value(sound)
        sound.replace("blood.csv", "P0005-0,HER2 ECD,14,", "P0005-0,HER2 ECD,41,")

    cause = causes_of(compare(first, frozen("b2", values, tables)))
    assert cause["TK1", "p_fwer"] == "its values in 1 changed, other markers' values changed"

    def setting(sound: Sound) -> None:
        sound.config.setdefault("predictive", {})["randomisations"] = 500
        sound.config["report"] = {"subject_level": True}

    cause = causes_of(compare(first, frozen("c", setting, tables)))
    assert cause["TK1", "p_fwer"] == "configuration: predictive.randomisations"

    code = {**CODE, "scripts/correlatives/survival/cox.py": "9", "workflow/report/x.rst": "3"}
    cause = causes_of(compare(first, frozen("d", tables=tables, code=code)))
    assert cause["TK1", "p_fwer"] == "code: cox.py"

    def outcome(sound: Sound) -> None:
        sound.replace("outcomes.csv", "0004,PFS,6,1", "0004,PFS,6.5,1")

    cause = causes_of(compare(first, frozen("e", outcome, tables)))
    assert cause["TK1", "p_fwer"] == "PFS of 1 changed"


def without_a_blood_sample(sound: Sound) -> None:
    """Take the only baseline blood sample of subject 0003 out of every table."""
    for name in ("samples.csv", "runs.csv", "blood.csv", "alterations.csv"):
        lines = (sound.folder / name).read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if "0003-0" not in line]
        assert len(kept) < len(lines)
        sound.write(name, "\n".join(kept) + "\n")


def evaluable(**changed: float) -> pd.DataFrame:
    """Return a small table of those evaluable, with other effects by name of their subjects."""
    groups = ["all", "blood", "tissue"]
    effects = [changed.get(group, 0.6) for group in groups]
    return pd.DataFrame(
        {
            "endpoint": "PFS",
            "subjects": groups,
            "arm": "all",
            "effect_measure": "hazard_ratio",
            "treatment_effect": effects,
            "treatment_effect_low": [effect / 2 for effect in effects],
            "treatment_effect_high": [effect * 2 for effect in effects],
        }
    )


def test_a_sample_is_why_the_effect_among_those_evaluable_by_it_moved(
    frozen: Callable[..., Frozen],
):
    table = "efficacy/evaluable.tsv"
    first = frozen("a", tables={table: evaluable()})
    later = frozen("b", without_a_blood_sample, {table: evaluable(blood=0.5)})
    moved = compare(first, later)
    assert changes(moved.effects, "row", "change", "cause") == [
        ("PFS · all · all", "same", ""),
        ("PFS · blood · all", "moved", "1 sample added, removed or changed"),
        ("PFS · tissue · all", "same", ""),
    ]

    def also_an_outcome(sound: Sound) -> None:
        without_a_blood_sample(sound)
        sound.replace("outcomes.csv", "0004,PFS,6,1", "0004,PFS,6.5,1")

    all_moved = {table: evaluable(all=0.5, blood=0.4, tissue=0.5)}
    causes = compare(first, frozen("c", also_an_outcome, all_moved)).effects["cause"]
    # Nobody became evaluable in tissue, or ceased to be: the sample is no cause there.
    assert list(causes) == [
        "PFS of 1 changed",
        "PFS of 1 changed, 1 sample added, removed or changed",
        "PFS of 1 changed",
    ]


def test_other_markers_are_why_an_imputed_marker_moved(frozen: Callable[..., Frozen]):
    def analyses(imputed: float) -> pd.DataFrame:
        table = screened().drop(columns=["p_fwer", "q_value"])
        both = [
            table.assign(analysis="complete_cases"),
            table.assign(analysis="multiple_imputation", interaction_ratio=imputed),
        ]
        return pd.concat(both).drop(columns=["p_randomisation", "note"])

    def value(sound: Sound) -> None:
        sound.replace("blood.csv", "P0003-0,TK1,114,", "P0003-0,TK1,141,")

    table = "predictive/sensitivity_PFS.tsv"
    moved = compare(
        frozen("a", tables={table: analyses(0.8)}), frozen("b", value, {table: analyses(0.7)})
    ).effects
    causes = moved[moved["change"] == "moved"].set_index("row")["cause"]
    assert len(causes) == 4
    assert causes.filter(like="HER2 ECD").tolist() == ["other markers' values changed"]
    assert causes.filter(like="TK1").tolist() == ["its values in 1 changed"]


@pytest.mark.parametrize(
    ("table", "file", "old", "new", "expected"),
    [
        (
            "predictive/PFS.tsv",
            "subjects.csv",
            "0003,combination,52,2,neg",
            "0003,combination,52,2,pos",
            "hr_status of 1 changed",
        ),
        (
            "predictive/PFS.tsv",
            "subjects.csv",
            "0003,combination,52,2,neg",
            "0003,combination,53,2,neg",
            "subjects' records changed",
        ),
        (
            "predictive/PFS.tsv",
            "biomarkers.csv",
            "ESR1,archival_tissue,,continuous,,,none",
            "ESR1,archival_tissue,,continuous,,,log2",
            "input: biomarkers: biomarkers.csv",
        ),
    ],
)
def test_what_differs_is_named_though_no_rule_knows_how_it_came_to_matter(
    frozen: Callable[..., Frozen], table: str, file: str, old: str, new: str, expected: str
):
    def change(sound: Sound) -> None:
        sound.replace(file, old, new)

    first = frozen("a", tables={table: screened()})
    later = frozen("b", change, {table: screened(ESR1={"p_randomisation": 0.02})})
    assert causes_of(compare(first, later)) == {("ESR1", "p_randomisation"): expected}


def test_a_table_that_changed_is_named_though_none_of_its_numbers_is_compared(
    frozen: Callable[..., Frozen], tmp_path: Path
):
    described = pd.DataFrame({"variable": ["age", "age"], "statistic": ["median", "q1"]})
    curve = pd.DataFrame({"model": "full", "threshold": [0.1, 0.2], "net_benefit": [0.3, 0.2]})
    contrast = pd.DataFrame({"endpoint": ["PFS"], "n": [12], "p_logrank": [0.2], "note": [""]})
    one = {
        "check/flow.tsv": described.assign(n=[12, 11]),
        "efficacy/survival_contrast.tsv": contrast,
        "efficacy/table_one.tsv": described.assign(all=[54.0, 50.0]),
        "predictive/PFS.tsv": screened(),
        "response/decision_curve.tsv": curve,
        "response/roc.tsv": curve,
    }
    other = {
        "check/flow.tsv": described.assign(n=[12, 10]),
        "efficacy/survival_contrast.tsv": contrast.assign(n=11, note="no strata"),
        "efficacy/table_one.tsv": described.assign(all=[54.0, 50.0]),
        "predictive/PFS.tsv": screened(TK1={"p_fwer": 0.04}),
        "response/decision_curve.tsv": curve.assign(net_benefit=[0.3, 0.1]),
        "response/points_PFS.tsv": curve,
    }
    moved = compare(frozen("a", tables=one), frozen("b", tables=other))
    known = ["table", "change", "compared", "moved", "columns"]
    assert changes(moved.tables, *known) == [
        ("check/flow.tsv", "changed", 0, 0, "n"),
        ("efficacy/survival_contrast.tsv", "changed", 1, 0, "n, note"),
        ("predictive/PFS.tsv", "changed", 14, 1, "p_fwer"),
        ("response/decision_curve.tsv", "changed", 0, 0, "net_benefit"),
        ("response/points_PFS.tsv", "added", 0, 0, ""),
        ("response/roc.tsv", "removed", 0, 0, ""),
    ]
    assert (
        "  tables that differ where no effect or p-value moved: check/flow.tsv, "
        "efficacy/survival_contrast.tsv, response/decision_curve.tsv, response/points_PFS.tsv "
        "(added), response/roc.tsv (removed)\n"
    ) in moved.summary() + "\n"
    same = compare(frozen("c", tables=one), frozen("d", tables=one))
    assert len(same.tables) == 0
    assert "tables that differ" not in same.summary()


def test_claims_about_courses_have_their_estimate(frozen: Callable[..., Frozen]):
    def course(estimate: float) -> dict[str, pd.DataFrame]:
        rows = {
            "biomarker": ["TK1", "TK1"],
            "quantity": ["change", "arm × time"],
            "estimate": [estimate, np.nan],
            "estimate_low": [estimate - 0.5, np.nan],
            "estimate_high": [estimate + 0.5, np.nan],
            "q_value": [0.02, 0.01],
        }
        return {"resistance/longitudinal.tsv": pd.DataFrame(rows)}

    claims = compare(frozen("a", tables=course(1.0)), frozen("b", tables=course(1.25))).claims
    columns = [
        f"effect_{side}{end}" for side in ("before", "after") for end in ("", "_low", "_high")
    ]
    assert claims.set_index("row").loc["TK1 · change", columns].tolist() == [
        1.0,
        0.5,
        1.5,
        1.25,
        0.75,
        1.75,
    ]
    # All visits together are tested and have no one effect.
    assert claims.set_index("row").loc["TK1 · arm × time", columns].isna().all()
    assert claims["effect"].tolist() == ["estimate", ""]


def causes_of(moved: Comparison) -> dict[tuple[str, str], str]:
    shifted = moved.effects[moved.effects["change"] == "moved"]
    return {(row.row.split(" · ")[0], row.quantity): row.cause for row in shifted.itertuples()}


def test_another_level_alone_loses_a_claim(frozen: Callable[..., Frozen]):
    def stricter(sound: Sound) -> None:
        sound.config.setdefault("predictive", {})["alpha"] = 0.025

    moved = compare(frozen("a"), frozen("b", stricter))
    assert set(moved.effects["change"]) == {"same"}
    lost = moved.claims[moved.claims["change"] == "lost"]
    assert changes(lost, "row", "p_before", "p_after", "alpha_before", "alpha_after") == [
        ("TK1 · plasma · baseline · continuous", 0.03, 0.03, 0.05, 0.025)
    ]
    assert lost["cause"].iloc[0].startswith("alpha 0.05 -> 0.025")


def test_studies_that_differ_are_refused(frozen: Callable[..., Frozen]):
    def rename(sound: Sound) -> None:
        sound.config["study"]["id"] = "another"

    with pytest.raises(freeze.Refused, match="another"):
        compare(frozen("a"), frozen("b", rename))


def test_between_arms_the_stratified_test_decides_and_the_plain_one_without_strata(
    frozen: Callable[..., Frozen],
):
    contrast = pd.DataFrame(
        {
            "endpoint": ["PFS", "OS"],
            "hr": [0.5, 0.9],
            "hr_low": [0.3, 0.5],
            "hr_high": [0.8, 1.6],
            "p_logrank": [0.2, 0.01],
            "p_logrank_stratified": [0.004, np.nan],
        }
    )
    tables = {"efficacy/survival_contrast.tsv": contrast}
    moved = compare(frozen("a", tables=tables), frozen("b", tables=tables))
    assert changes(moved.claims, "row", "rests_on", "effect_after") == [
        ("PFS", "p_logrank_stratified", 0.5),
        ("OS", "p_logrank", 0.9),
    ]


def test_rows_and_numbers_that_come_and_go_are_added_and_removed():
    one = pd.DataFrame({"endpoint": ["A", "B", "C"], "p_fisher": [0.1, 0.2, np.nan]})
    other = pd.DataFrame({"endpoint": ["B", "C", "D"], "p_fisher": [0.2, 0.3, np.nan]})
    effects = changed_effects({"x.tsv": one}, {"x.tsv": other})
    assert dict(zip(effects["row"], effects["change"], strict=True)) == {
        "A": "removed",
        "B": "same",
        "C": "added",
    }


def test_every_effect_and_p_is_compared_with_its_limits_whatever_the_table():
    table = pd.DataFrame(
        {
            "endpoint": ["PFS", "PFS"],
            "model": ["clinical", "full"],
            "metric": ["auc", "auc"],
            "months": [6.0, 6.0],
            "estimate": [0.6, 0.7],
            "low": [0.5, 0.6],
            "high": [0.7, 0.8],
            "n": [50, 50],
            "p_permutation": [0.2, 0.01],
            "note": ["", "few events"],
        }
    )
    changed = table.assign(low=[0.5, 0.61], n=[51, 51], note=["x", "y"])
    effects = changed_effects({"t.tsv": table}, {"t.tsv": changed})
    assert changes(effects, "row", "quantity", "change") == [
        ("PFS · clinical · auc · 6", "estimate", "same"),
        ("PFS · full · auc · 6", "estimate", "moved"),
        ("PFS · clinical · auc · 6", "p_permutation", "same"),
        ("PFS · full · auc · 6", "p_permutation", "same"),
    ]
    assert effects.loc[1, ["before_low", "after_low"]].tolist() == [0.6, 0.61]


def test_the_figure_names_no_subject_and_is_the_same_every_time(
    frozen: Callable[..., Frozen], tmp_path: Path
):
    def change(sound: Sound) -> None:
        sound.replace("blood.csv", "P0003-0,TK1,114,", "P0003-0,TK1,141,")

    tables = {"predictive/PFS.tsv": screened(TK1={"p_fwer": 0.06}, ERBB2={"q_value": 0.01})}
    moved = compare(frozen("a"), frozen("b", change, tables))
    drawn = what_moved.draw(moved)
    assert "0003" not in drawn.source.to_csv() + drawn.caption
    counted = drawn.source[drawn.source["panel"] == "a"].set_index(["row", "change"])["n"]
    assert counted["samples", "changed"] == 1
    assert counted.sum() == 1
    assert list(drawn.source.loc[drawn.source["panel"] == "c", "change"]) == ["gained", "lost"]
    assert "Claims gained: 1, lost: 1, kept: 1, of 4 tests" in drawn.caption
    for name in ("one", "other"):
        what_moved.draw(moved).write(tmp_path / name)
    for kind in ("pdf", "svg", "png", "csv", "rst"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"other.{kind}").read_bytes()


def test_the_figure_of_two_equal_freezes_says_that_nothing_moved(frozen: Callable[..., Frozen]):
    drawn = what_moved.draw(compare(frozen("a"), frozen("b")))
    words = [text.get_text() for axes in drawn.figure.axes for text in axes.texts]
    assert "no test moved" in words


def test_the_effects_in_the_figure_are_not_cut_off(frozen: Callable[..., Frozen]):
    def course(p: float) -> dict[str, pd.DataFrame]:
        row = {
            "biomarker": "thymidine kinase activity by another laboratory",
            "quantity": "difference by dosing",
            "estimate": -1234.56,
            "estimate_low": -2345.67,
            "estimate_high": -1023.45,
            "q_value": p,
        }
        return {"resistance/longitudinal.tsv": pd.DataFrame([row])}

    figure = what_moved.draw(
        compare(frozen("a", tables=course(0.02)), frozen("b", tables=course(0.2)))
    ).figure
    figure.canvas.draw()
    width = figure.bbox.width
    ends = [
        text.get_window_extent()
        for axes in figure.axes
        for text in axes.texts
        if "→" in text.get_text()
    ]
    assert len(ends) == 1
    assert ends[0].x1 < width
