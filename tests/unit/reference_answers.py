"""Reference data and answers, as the tests of survival, response and efficacy read them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = Path(__file__).parents[1] / "reference"


def answers(name):
    """Return a JSON file of answers."""
    return json.loads((FOLDER / name).read_text())


def table(name):
    """Return a CSV file of answers."""
    return pd.read_csv(FOLDER / name)


def trial(name):
    """Return a data set with columns time, event and arm as R's fits used them."""
    file = {
        "colon_os": "colon_os_arm",
        "veteran": "veteran_arm",
        "pbc": "pbc_rct",
    }.get(name, name)
    data = pd.read_csv(FOLDER / "data" / f"{file}.csv")
    if name == "gbsg":
        data["time"], data["event"], data["arm"] = data["rfstime"], data["status"], data["hormon"]
        data["lpgr"], data["ler"] = np.log1p(data["pgr"]), np.log1p(data["er"])
    elif name.startswith("ovarian"):
        data["time"], data["event"], data["arm"] = data["futime"], data["fustat"], data["rx"] - 1
    elif name == "pbc":
        data["event"] = data["death"]
        data["logbili"] = np.log(data["bili"])
    elif name == "lung":
        data["dead"] = data["event"] = data["status"] - 1
    else:
        data["event"] = data["status"]
    return data


def column(data, term):
    """Return a model term such as ``arm:age``."""
    return np.prod([data[part].to_numpy(float) for part in term.split(":")], axis=0)


def leukaemia():
    """Return time, event and maintenance (1) of the 23 patients of R's ``aml`` (Miller 1997): many ties."""
    maintained = ["9", "13", "13+", "18", "23", "28+", "31", "34", "45+", "48", "161+"]
    not_maintained = ["5", "5", "8", "8", "12", "16+", "23", "27", "30", "33", "43", "45"]
    times = maintained + not_maintained
    time = np.array([float(word.rstrip("+")) for word in times])
    event = np.array([float(not word.endswith("+")) for word in times])
    return time, event, np.repeat([1.0, 0.0], [len(maintained), len(not_maintained)])
