"""The TRIPOD+AI checklist: complete, and filled with what the workflow knows."""

import pandas as pd

from correlatives.response.evaluation import PERFORMANCE, SAMPLE_SIZE
from correlatives.response.tripod import AUTHORS, COMPLETE, ITEMS, TRIPOD, checklist

STUDY = {
    "id": "NCT1",
    "title": "A against B",
    "design": "randomised",
    "simulated": False,
    "arms": {"control": ["A"], "experimental": ["B"]},
}
ENDPOINTS = {
    "ORR": {"type": "response", "responders": ["CR", "PR"]},
    "PFS": {"type": "time_to_event", "label": "Progression-free survival"},
}
RESPONSE = {"endpoints": ["ORR", "PFS"], "clinical": ["age"], "repeats": 20, "folds": 5}
PERFORMED = pd.DataFrame(
    [
        ("ORR", "clinical", "auc", 0.61, 0.4, 0.8, 132, 58),
        ("PFS", "clinical", "c_index_ipcw", 0.55, 0.4, 0.7, 130, 90),
    ],
    columns=PERFORMANCE,
)
SIZE = pd.DataFrame(
    [("ORR", "clinical", 5, 58, 11.6, 513, 0.7, "too small to trust: …")], columns=SAMPLE_SIZE
)


def filled(**changes):
    given = {"eligibility": 3, "performance": PERFORMED, "sample_size": SIZE} | changes
    return checklist(STUDY, ENDPOINTS, RESPONSE, **given).set_index("item")


def test_every_item_is_there_once_and_says_who_answers():
    table = filled()
    assert ["item", *table.columns] == TRIPOD
    # 27 items, 52 with their parts (Collins et al. 2024); parts of one question are one row here
    assert table.index.is_unique
    assert {item.rstrip("abcdefg") for item in table.index} == {str(i) for i in range(1, 28)}
    assert len(ITEMS) == 52
    alone = table["by"] == "workflow"
    assert set(table.index[alone]) == COMPLETE
    assert not table.loc[alone, "reported"].str.contains(AUTHORS).any()
    assert table.loc[~alone, "reported"].str.contains(AUTHORS).all()
    assert table.loc["17", "reported"] == AUTHORS


def test_what_the_workflow_knows_is_filled_in():
    reported = filled()["reported"]
    assert "Randomised to A v B" in reported["6c"]
    assert "best overall response CR or PR" in reported["8a"]
    assert "20 repeats of 5 folds" in reported["12a"]
    assert "ORR: 132 subjects, 58 with the outcome; PFS: 130" in reported["21"]
    assert "ORR, clinical: auc 0.61 (0.40 to 0.80)" in reported["23a"]
    assert "513 subjects needed" in reported["10"]
    assert "candidate parameters include the indicators of missing values" in reported["10"]
    assert "ORR (clinical)" in reported["26"]


def test_without_results_nothing_is_claimed():
    reported = filled(performance=PERFORMED.iloc[:0], sample_size=SIZE.iloc[:0], eligibility=0)[
        "reported"
    ]
    assert "too few outcomes" in reported["21"]
    assert reported["23a"] == "No model was fitted."
    assert reported["26"] == AUTHORS
    assert reported["6b"] == AUTHORS
