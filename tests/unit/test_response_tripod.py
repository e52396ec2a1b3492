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


def filled(study=STUDY, response=RESPONSE, **changes):
    given = {"eligibility": 3, "performance": PERFORMED, "sample_size": SIZE} | changes
    return checklist(study, ENDPOINTS, response, **given).set_index("item")


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
    assert (
        "ORR: 132 subjects, 58 with the outcome; PFS: 130 subjects, 90 with the event."
        in reported["21"]
    )
    assert "at least 5 of the subjects analysed" in reported["11"]
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


def test_only_what_a_study_has_is_spoken_of():
    both = filled()["reported"]
    assert "(AUC; Uno's C-index and AUC at a month)" in both["12e"]
    assert "a response's Brier score" in both["12e"]
    assert "the response, or of the event by a stated month; no" in both["15"]
    assert "Elastic net (logistic; Cox for times) of these: clinical; the penalty" in both["12c"]
    assert not any(word in both["12c"] for word in ("biomarkers", "forest"))
    more = PERFORMED.replace({"model": {"clinical": "clinical + tissue"}}).iloc[:1]
    forest = more.replace({"model": {"clinical + tissue": "clinical + biomarkers (random forest)"}})
    tissue = filled(performance=pd.concat([PERFORMED, more, forest]))["reported"]["12c"]
    assert "of these: clinical; clinical + tissue; the penalty" in tissue
    assert "beside biomarkers. In each training set" in tissue and "random forest" in tissue
    assert both["12c"].endswith("At least 10 responders and as many non-responders, or 10 events.")
    assert "folds balanced over arm and outcome" in both["12a"]
    times = filled(
        {**STUDY, "design": "single_arm"},
        RESPONSE | {"endpoints": ["PFS"]},
        performance=PERFORMED.iloc[1:],
        sample_size=SIZE.iloc[:0],
    )["reported"]
    assert not times.str.contains(
        "of the response|a response's|logistic|(?<!C-index and )AUC"
    ).any()
    assert "(Uno's C-index and AUC at a month)" in times["12e"]
    assert "A probability of the event by a stated month; no" in times["15"]
    assert "Elastic net (Cox) of these:" in times["12c"]
    assert times["12c"].endswith("At least 10 events.")
    assert "folds balanced over outcome" in times["12a"]
    assert not times[["9a", "12a"]].str.contains(r"\barm\b").any()
    response = filled(response=RESPONSE | {"endpoints": ["ORR"]}, performance=PERFORMED.iloc[:1])[
        "reported"
    ]
    assert not response.str.contains("C-index|stated month|Cox|event").any()
