"""What stands between the workflow and the library: content digests, and a script's job.

Imports nothing slow: the Snakefile reads this module at every start.
"""

from __future__ import annotations

import ast
import contextlib
import errno
import hashlib
import os
import re
import shutil
import socket
import sys
import time
import traceback
import warnings
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

SCRIPTS = Path(__file__).resolve().parents[1]
ROOT = SCRIPTS.parent


@cache
def digest(path: Path) -> str:
    """Return the first 12 hexadecimal digits of a file's SHA-256, ``absent`` if there is no such file."""
    sha = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                sha.update(block)
    except OSError:
        return "absent"
    return sha.hexdigest()[:12]


#: A statement that imports, which begins a line.
_IMPORT = re.compile(
    r"^[ \t]*(from[ \t]+\S+[ \t]+import\b[ \t]*(?:\([^)]*\)|.+)|import[ \t].+)", re.MULTILINE
)


@cache
def _import_statements(path: Path) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """Return every import of a file, inside functions too.

    Every start of the workflow waits for it, so only the lines that import are parsed; a text that looks like them is
    taken for one.
    """
    text = path.read_text(encoding="utf-8")
    try:
        found = ast.parse("\n".join(_IMPORT.findall(text))).body
    except SyntaxError:
        # prose, or a statement that goes on in another way
        found = ast.walk(ast.parse(text))
    return tuple(node for node in found if isinstance(node, (ast.Import, ast.ImportFrom)))


@cache
def _modules(name: str) -> frozenset[Path]:
    """Return the library's files that importing a dotted name runs."""
    parts = name.split(".")
    return frozenset(
        path
        for length in range(1, len(parts) + 1)
        for base in (SCRIPTS.joinpath(*parts[:length]),)
        for path in (base.with_suffix(".py"), base / "__init__.py")
        if path.is_file()
    )


@cache
def _imported(path: Path) -> frozenset[Path]:
    """Return the library's files that a file imports directly."""
    found: set[Path] = set()

    for node in _import_statements(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "correlatives":
                    found |= _modules(alias.name)
        else:
            if node.level:
                package = path.parent.relative_to(SCRIPTS).parts
                package = package[: len(package) - node.level + 1]
                module = ".".join([*package, *([node.module] if node.module else [])])
            else:
                module = node.module or ""
            if module.split(".")[0] == "correlatives":
                found |= _modules(module)
                for alias in node.names:
                    found |= _modules(f"{module}.{alias.name}")
    return frozenset(found)


@cache
def sources(script: str) -> tuple[Path, ...]:
    """Return a script's own file and every library file it imports, however deep, sorted.

    Parameters
    ----------
    script : str
        Name of the file in ``scripts/`` without ``.py``.

    Returns
    -------
    tuple of Path
    """
    start = SCRIPTS / f"{script}.py"
    seen: set[Path] = set()
    queue = [start]
    while queue:
        path = queue.pop()
        if path not in seen:
            seen.add(path)
            queue.extend(_imported(path))
    # This module runs in every job and changes no result.
    seen.discard(Path(__file__).resolve())
    return tuple(sorted(seen))


#: Distributions whose modules have another name.
_DISTRIBUTIONS = {
    "PIL": "pillow",
    "docx": "python-docx",
    "dateutil": "python-dateutil",
    "mpl_toolkits": "matplotlib",
    "sklearn": "scikit-learn",
    "sksurv": "scikit-survival",
    "yaml": "pyyaml",
}


@cache
def _imported_libraries(path: Path) -> frozenset[str]:
    """Return the distributions, outside the standard library, that a file imports directly."""
    names = set()
    for node in _import_statements(path):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif not node.level and node.module:
            names.add(node.module.split(".")[0])
    names -= set(sys.stdlib_module_names) | {"correlatives"}
    return frozenset(_DISTRIBUTIONS.get(name, name) for name in names)


@cache
def _installed(name: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the version of a distribution and what it requires here, None where it is not installed."""
    from importlib import metadata

    from packaging.requirements import Requirement

    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    # what only an extra needs is not needed, and taking requirements apart is slow
    texts = (text for text in found.requires or () if "extra ==" not in text or " or " in text)
    needs = map(Requirement, texts)
    return found.version, tuple(
        need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})
    )


def libraries(script: str) -> dict[str, str]:
    """Return the version of Python and of every library that a script uses, at first or second hand.

    Parameters
    ----------
    script : str
        Name of the file in ``scripts/`` without ``.py``.

    Returns
    -------
    dict of str to str
        By the name of the distribution, sorted: ``{"numpy": "2.4.6", ...}``. What is not installed, such as an
        optional library, is not there.
    """
    queue = [name for path in sources(script) for name in _imported_libraries(path)]
    found: dict[str, str] = {}
    seen: set[str] = set()
    while queue:
        name = re.sub(r"[-_.]+", "-", queue.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        if installed := _installed(name):
            found[name], needs = installed
            queue.extend(needs)
    found["python"] = ".".join(map(str, sys.version_info[:3]))
    return dict(sorted(found.items()))


def digests(script: str, *, installed: bool = True) -> dict[str, str]:
    """Return what a script is made of: ``module.py@digest`` of its code, ``name==version`` of its libraries.

    As ``params`` of a rule they make content decide what reruns, and ``snakemake -n`` names what changed.

    Parameters
    ----------
    script : str
        Name of the file in ``scripts/`` without ``.py``.
    installed : bool
        Whether the libraries are those installed here. They are not where jobs run in environments of their own:
        there the definition of the environment decides.
    """
    named = {}
    if installed:
        for name, version in libraries(script).items():
            named[f"library_{name.replace('-', '_')}"] = f"{name}=={version}"
    for path in sources(script):
        short = path.relative_to(SCRIPTS).as_posix()
        key = "code_" + short.removesuffix(".py").replace("/", "_").replace("-", "_")
        named[key] = f"{short}@{digest(path)}"
    return named


def seed_for(seed: int, *names: str) -> int:
    """Return the seed of one analysis: from the study's seed and the analysis' name, on any machine."""
    text = "\x1f".join([str(seed), *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def _in_plain_words(error: BaseException) -> str:
    """Return what went wrong; where the machine is to blame, what would help."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"there is no room left on the disk ({error.strerror}). "
            "Make room and run it again: what is finished is kept."
        )
    if isinstance(error, MemoryError):
        return "there is not enough memory. Give the job more (resources: mem_mb) and run it again."
    return f"{type(error).__name__}: {error}"


def _taken() -> str:
    """Say what this process has taken: benchmarks look at it now and then, and miss how much memory it held for a moment."""
    said = f"Took {time.process_time():.1f} core seconds"
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                said += f" and at most {int(line.split()[1]) // 1024} MiB of memory"
    return f"{said}.\n"


class job:
    """Run a script's body: log file, plain words instead of a traceback, whole results or none.

    The results are written into a folder beside their place and moved there, each in one step, once all of them
    are whole: what is interrupted, killed or without room leaves no half-written result, and a job that
    lives on after its workflow was killed does not disturb the next run.

    Parameters
    ----------
    snakemake : object
        What Snakemake puts into a script's namespace.

    Attributes
    ----------
    input, params, wildcards, threads
        The rule's.
    output
        The rule's, in the folder where they are written first. ``place`` says where one of them will be.
    seed : int
        Of this job: from ``params.seed`` (the study's), the rule's name and its wildcards.
    """

    def __init__(self, snakemake: Any) -> None:  # noqa: ANN401
        self.input = snakemake.input
        self.params = snakemake.params
        self.wildcards = snakemake.wildcards
        self.threads = int(snakemake.threads)
        self.rule = str(snakemake.rule)
        self.log = str(snakemake.log[0]) if snakemake.log else None
        self.seed = seed_for(
            int(getattr(snakemake.params, "seed", 1)),
            self.rule,
            *(f"{key}={value}" for key, value in sorted(dict(self.wildcards).items())),
        )
        self._stderr = sys.stderr
        self._file = None
        # Named after the job, so that the next run of the same job finds what was left behind, and after the
        # process, so that one that still runs somewhere writes elsewhere.
        named = hashlib.sha256("\x1f".join(map(str, snakemake.output)).encode()).hexdigest()[:12]
        self._unfinished = f".unfinished-{named}-"
        self._folder = f"{self._unfinished}{socket.gethostname()}-{os.getpid()}"
        self._places: dict[Path, Path] = {}
        self.output = type(snakemake.output)(toclone=snakemake.output, custom_map=self._staged)

    def _staged(self, path: str) -> str:
        """Return where a result is written first."""
        place = Path(path)
        first = place.parent / self._folder / place.name
        self._places[first] = place
        return first.as_posix()

    def place(self, path: str | Path) -> Path:
        """Return where one of ``output`` will be when the job is done."""
        return self._places[Path(path)]

    def _remove_unfinished(self) -> None:
        for parent in {place.parent for place in self._places.values()}:
            for folder in parent.glob(f"{self._unfinished}*"):
                shutil.rmtree(folder, ignore_errors=True)

    def __enter__(self) -> job:
        if self.log:
            Path(self.log).parent.mkdir(parents=True, exist_ok=True)
            self._file = Path(self.log).open("w", encoding="utf-8")
            sys.stdout = sys.stderr = self._file
        self._remove_unfinished()
        for first in self._places:
            first.parent.mkdir(parents=True, exist_ok=True)
        # Warnings belong into the log, each once.
        warnings.simplefilter("once")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is None:
            try:
                for first, place in self._places.items():
                    first.replace(place)
            except OSError as failed:
                error, kind, trace = failed, type(failed), failed.__traceback__
        # First of all: on a full disk it makes room for the log.
        self._remove_unfinished()
        with contextlib.suppress(OSError):
            if error is not None and not isinstance(error, SystemExit):
                traceback.print_exception(kind, error, trace, file=self._file or self._stderr)
        if self._file:
            sys.stdout, sys.stderr = sys.__stdout__, self._stderr
            with contextlib.suppress(OSError):
                self._file.write(_taken())
                self._file.close()
        if error is None or isinstance(error, (SystemExit, KeyboardInterrupt)):
            return False
        name = "".join(f" {key}={value}" for key, value in dict(self.wildcards).items())
        print(f"{self.rule}{name} failed: {_in_plain_words(error)}", file=sys.stderr)
        if self.log:
            print(f"The details are in {self.log}", file=sys.stderr)
        sys.exit(1)

    @staticmethod
    def stem(paths: Any) -> Path:  # noqa: ANN401  (one path, or Snakemake's list of a figure's files)
        """Return the path of a figure without its extension."""
        first = paths if isinstance(paths, (str, Path)) else next(iter(paths))
        return Path(first).with_suffix("")

    @staticmethod
    def write(table: pd.DataFrame, path: str | Path) -> None:
        """Write a table the contract's way: tabs, a header line, UTF-8, unrounded, missing = empty."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, sep="\t", index=False, na_rep="", lineterminator="\n", encoding="utf-8")
