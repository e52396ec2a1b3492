"""The pairs that the flow counts are those that the tables of resistance analyse."""

from __future__ import annotations

from pathlib import Path

from studies import adds_up

from correlatives.assembly import build_cohort
from correlatives.resistance.acquired import acquired
from correlatives.resistance.change import paired_change
from correlatives.simulate import simulate_trial
from correlatives.tables.config import load
from correlatives.tables.load import load_study

CONFIG = Path(__file__).parents[2] / "config" / "config.yaml"


def test_pairs_of_the_flow_are_those_of_the_tables(tmp_path):
    """Toxicity stops, failed runs, block and biopsy, a population: one rule for flow and analysis."""
    simulate_trial(seed=31, per_arm=(60, 60), genes=60).write(tmp_path)
    config = load(CONFIG)
    for population in ("randomised", "eligible"):
        config["population"] = population
        built = build_cohort(load_study(config, tmp_path))
        flow = built.flow[built.flow["reason"].eq("")]
        counted = {
            (*step.removeprefix("resistance: pairs, ").split(", "), arm): n
            for step, arm, n in zip(flow["step"], flow["arm"], flow["n"], strict=True)
            if step.startswith("resistance: pairs, ")
        }
        table = acquired(built.cohort.analysed(), "baseline", "progression")
        pairs = table.drop_duplicates(["specimen", "arm"]).set_index(["specimen", "arm"])["pairs"]
        assert set(pairs.index.get_level_values("specimen")) == {"plasma", "tissue"}
        assert {
            (specimen, arm): n
            for (specimen, what, arm), n in counted.items()
            if what == "alterations"
        } == pairs.to_dict()
        # Of what is measured, a pair has both results of one assay: the chemistry of baseline is no partner.
        change = paired_change(built.cohort.analysed(), "baseline", "progression")
        largest = change[change["arm"] != "all"].groupby(["specimen", "arm"])["pairs"].agg(max)
        measured = {
            (specimen, arm): n
            for (specimen, what, arm), n in counted.items()
            if what == "quantities" and n
        }
        assert set(measured) == set(largest.index)
        assert all(n >= largest[key] for key, n in measured.items())
        one_assay = change[change["specimen"] == "blood"]
        assert one_assay["biomarker"].nunique() == 1
        for arm in ("T-DM1", "T-DM1 + palbociclib"):
            assert measured["blood", arm] == largest["blood", arm]
        assert any("toxicity" in reason for reason in built.flow["reason"])
        assert adds_up(built.flow)
