"""The pairs that the flow counts are those that the tables of resistance analyse."""

from __future__ import annotations

from pathlib import Path

from studies import adds_up

from correlatives.assembly import build_cohort
from correlatives.resistance.acquired import acquired
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
            (step.removeprefix("resistance: pairs, "), arm): n
            for step, arm, n in zip(flow["step"], flow["arm"], flow["n"], strict=True)
            if step.startswith("resistance: pairs, ")
        }
        table = acquired(built.cohort.analysed(), "baseline", "progression")
        pairs = table.drop_duplicates(["specimen", "arm"]).set_index(["specimen", "arm"])["pairs"]
        assert set(pairs.index.get_level_values("specimen")) == {"plasma", "tissue"}
        assert {key: counted[key] for key in pairs.index} == pairs.to_dict()
        assert any("toxicity" in reason for reason in built.flow["reason"])
        assert adds_up(built.flow)
