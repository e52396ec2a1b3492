# What the rules share: the checked configuration, paths, content digests.
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from io import BytesIO
from pathlib import Path

from snakemake import io


def unpacked(folder):
    """The workflow's files: where they lie, or unpacked here if a module names them by a git address."""
    if not hasattr(folder, "ref"):
        return Path(folder.get_path_or_uri(secret_free=False)).parents[1]
    hosted = hasattr(folder, "hosted_repo")
    git = ["git", "-C", folder.hosted_repo.repo_clone if hosted else folder.repo_path]
    commit = subprocess.check_output(
        [*git, "rev-parse", f"{folder.ref}^{{commit}}"], text=True
    ).strip()
    house = Path(".snakemake", "correlatives", commit).absolute()
    if not house.exists():
        files = subprocess.check_output([*git, "archive", "--format=zip", commit])
        house.parent.mkdir(parents=True, exist_ok=True)
        # Several jobs may start at once: a folder appears whole.
        part = Path(tempfile.mkdtemp(dir=house.parent))
        with zipfile.ZipFile(BytesIO(files)) as archive:
            archive.extractall(part)
        try:
            part.rename(house)
        except OSError:
            shutil.rmtree(part)
    # Snakemake fetches a script alone; what it imports is here.
    others = [path for path in [os.environ.get("PYTHONPATH")] if path]
    os.environ.update(PYTHONPATH=os.pathsep.join([str(house / "scripts"), *others]))
    return house


HOUSE = unpacked(workflow.current_basedir)
VERSION = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]["version"]
sys.path.insert(0, str(HOUSE / "scripts"))

from correlatives.reruns import made_elsewhere  # noqa: E402
from correlatives.tables import config as configuration  # noqa: E402
from correlatives.workflow import digest, sources  # noqa: E402
from correlatives.workflow import digests as code_digests  # noqa: E402

# --- the study -------------------------------------------------------------------------------------

STUDY_FILES = [Path(file) for file in workflow.configfiles]
filled, complaints = configuration.check_files(STUDY_FILES, config)
if not complaints and (
    foreign := configuration.refuse_foreign_results(
        Path(filled["results_dir"]), filled["study"]["id"]
    )
):
    complaints = [foreign]
if complaints:
    where = ", ".join(str(file) for file in STUDY_FILES[-1:]) or "the configuration"
    print(
        f"{where}: {len(complaints)} to put right before anything can run",
        file=sys.stderr,
    )
    for line in complaints:
        print(f"  - {line}", file=sys.stderr)
    sys.exit(1)
# Without Snakemake's records of these results nobody could see that they are old.
if workflow.is_main_process and (elsewhere := made_elsewhere(filled["results_dir"])):
    print(f"\n{elsewhere}\n", file=sys.stderr)
WRITTEN = {**config}
config.clear()
config.update(filled)

RESULTS = Path(config["results_dir"])
DATA = configuration.data_folder(
    config, STUDY_FILES[-1] if STUDY_FILES else Path("study.yaml")
)
# New samples, to be scored by models that an earlier study locked: as configured -> file.
SCORED = {
    name: Path(DATA, name) for name in (config["score"] or {"locked": []})["locked"]
}
RANDOMISED = config["study"]["design"] == "randomised"


def of_type(*types):
    """Names of the endpoints of these types, in the order of the configuration."""
    return [
        name
        for name, endpoint in config["endpoints"].items()
        if endpoint["type"] in types
    ]


# Endpoint -> what captions call it once.
LONG_NAMES = {
    name: endpoint["label"]
    for name, endpoint in config["endpoints"].items()
    if endpoint.get("label")
}
TIMES = of_type("time_to_event", "duration_of_response")
RESPONSES = of_type("response")
SCREENED = config["predictive"]["endpoints"]
MODELLED = config["response"]["endpoints"]
PARTS = [
    "outcomes",
    "blood",
    "tissue",
    "alterations",
    "samples",
    "calls",
    "course",
    "pathways",
    "families",
]
DOMAINS = ["clinical", "blood", "tissue", "alterations"]


# --- content decides what reruns -------------------------------------------------------------------


def shown(path):
    """A path as a user would write it: from here if it lies here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def code(script):
    """The files a script is made of, as inputs whose dates do not matter."""
    return [ancient(shown(source)) for source in sources(script)]


# With `--sdm conda` the definition of the environment decides, not what is installed here.
INSTALLED = not workflow.deployment_settings.deployment_method


def digests(script):
    """What a script is made of, its code and its libraries, as parameters.

    The report prints parameters: those of a single-arm study name no module after what two arms would be needed for.
    """
    named = code_digests(script, installed=INSTALLED)
    if RANDOMISED:
        return named
    plain = {key: value for key, value in named.items() if "predict" not in key}
    others = {key: value for key, value in named.items() if key not in plain}
    if others:
        text = "\n".join(f"{key} {value}" for key, value in sorted(others.items()))
        plain["code_markers"] = hashlib.sha256(text.encode()).hexdigest()[:12]
    return plain


def settings(*names):
    """The sections (or keys of sections, with a dot) that a job depends on, as one parameter."""
    chosen = {}
    for name in names:
        section, _, key = name.partition(".")
        if key:
            chosen.setdefault(section, {})[key] = config[section][key]
        else:
            chosen[section] = config[section]
    return chosen


def cohort(*parts):
    """Files of the admitted cohort. Only those whose content changed make a consumer run again."""

    def files(wildcards):
        admitted = checkpoints.admit_cohort.get().output
        return [getattr(admitted, part) for part in parts]

    return files


def gate(wildcards):
    """No file, but the wait for the gate, for a job that reads nothing of the cohort itself.

    Snakemake makes the jobs behind a checkpoint anew when it is passed. A group of which one member is made anew and
    another is not loses one of them (KeyError in `update_ready`, in some orders of the jobs): so all of them are.
    """
    checkpoints.admit_cohort.get()
    return []


# --- tables in --------------------------------------------------------------------------------------

# The shipped study analyses a simulated trial, made on the fly.
MADE = Path("resources/simulated_trial")
RAW = configuration.raw_files(config, DATA)


def made(path):
    """Whether a table is made on the fly."""
    return MADE.absolute() in Path(path).absolute().parents


RAW_FILES = sorted({Path(path) for paths in RAW.values() for path in paths})
RAW_MADE = [shown(path) for path in RAW_FILES if made(path)]
RAW_GIVEN = [path for path in RAW_FILES if not made(path)]


def named_inputs():
    """Table -> name of a file in a freeze -> where it is."""
    return {
        table: {f"{name_in_freeze(path)}": shown(path) for path in paths}
        for table, paths in RAW.items()
    }


def name_in_freeze(path):
    """What a table is called in the data freeze: its path from the data folder, on any machine."""
    absolute = Path(path).absolute()
    folder = DATA.absolute()
    return absolute.relative_to(folder) if folder in absolute.parents else absolute.name


# --- results ----------------------------------------------------------------------------------------


# A table of more bytes is no page of a report: opening it would take a gigabyte.
MOST_SHOWN = 10_000_000


def table(path, category, caption, title):
    """An output table that the report shows, unless it turned out too large for a page."""
    there = Path(path.replace("<results>", RESULTS.as_posix()))
    if there.is_file() and there.stat().st_size > MOST_SHOWN:
        return path
    return io.report(
        path,
        caption=f"../report/{caption}.rst",
        category=category,
        labels={"result": title, "form": "table"},
    )


def figure(name, category, title):
    """The files of one figure. The report shows the picture, with the caption written beside it."""
    stem = f"<results>/figures/{name}"
    caption = (RESULTS / "figures" / f"{name}.rst").absolute()
    picture = io.report(
        f"{stem}.png",
        caption=str(caption),
        category=category,
        labels={"result": title, "form": "figure"},
    )
    return [picture, *(f"{stem}.{kind}" for kind in ("pdf", "svg", "csv", "rst"))]


COHORT = config["score"]["cohort"] if SCORED else ""


def scored_figure(name):
    """The calibration figure of one locked model, named for the cohort and the model's file."""
    stems = [re.sub(r"[^A-Za-z0-9_-]+", "_", Path(each).stem) for each in SCORED]
    number = list(SCORED).index(name)
    stem = stems[number]
    again = f"_{stems[: number + 1].count(stem)}" if stems.count(stem) > 1 else ""
    return f"calibration_{COHORT}_{stem}{again}"


def ending(config, failed=False, told=""):
    """What a run ends with: the problems found, and the list of results; of a failed one where it is told in full."""
    lines = []
    summary = RESULTS / "check" / "summary.txt"
    if summary.exists():
        lines += ["", summary.read_text(encoding="utf-8").rstrip()]
    if failed:
        return "\n".join(
            [
                *lines,
                "",
                "The run stopped early. Correct what is named above and run it again.",
                f"If nothing is named, what happened is told in {told}",
            ]
        )
    lines += ["", f"Results of {config['study']['id']} are in {shown(RESULTS)}:"]
    for folder in (
        "check",
        "cohort",
        "efficacy",
        "predictive",
        "prognostic",
        "resistance",
        "response",
        "response/locked",
    ):
        files = sorted(p.name for p in (RESULTS / folder).glob("*.[jt]s*"))
        if files:
            lines.append(f"  {folder}/  {', '.join(files)}")
    figures = sorted(p.stem for p in (RESULTS / "figures").glob("*.pdf"))
    if figures:
        lines.append(f"  figures/  {', '.join(figures)} (pdf, svg, png, csv)")
    if (RESULTS / "report.html").exists():
        lines.append(f"  report.html, report.zip")
    return "\n".join(lines)
