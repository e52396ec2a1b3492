"""What stands between the workflow and the library: content digests, and a script's job.

Imports nothing slow: the Snakefile reads this module at every start.
"""

from __future__ import annotations

import ast
import hashlib
import sys
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


@cache
def _imported(path: Path) -> frozenset[Path]:
    """Return the library's files that a file imports directly, inside functions too."""
    found: set[Path] = set()

    def note(name: str) -> None:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            base = SCRIPTS.joinpath(*parts[:length])
            found.update(p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file())

    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "correlatives":
                    note(alias.name)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                package = path.parent.relative_to(SCRIPTS).parts
                package = package[: len(package) - node.level + 1]
                module = ".".join([*package, *([node.module] if node.module else [])])
            else:
                module = node.module or ""
            if module.split(".")[0] == "correlatives":
                note(module)
                for alias in node.names:
                    note(f"{module}.{alias.name}")
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


def digests(script: str) -> dict[str, str]:
    """Return ``{"code_<module>": "<module>.py@<digest>"}`` of a script and what it imports.

    As ``params`` of a rule they make content decide what reruns, and ``snakemake -n`` names what changed.
    """
    named = {}
    for path in sources(script):
        short = path.relative_to(SCRIPTS).as_posix()
        key = "code_" + short.removesuffix(".py").replace("/", "_").replace("-", "_")
        named[key] = f"{short}@{digest(path)}"
    return named


def seed_for(seed: int, *names: str) -> int:
    """Return the seed of one analysis: from the study's seed and the analysis' name, on any machine."""
    text = "\x1f".join([str(seed), *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class job:
    """Run a script's body: log file, plain words instead of a traceback, tables written one way.

    Parameters
    ----------
    snakemake : object
        What Snakemake puts into a script's namespace.

    Attributes
    ----------
    input, output, params, wildcards, threads
        The rule's.
    seed : int
        Of this job: from ``params.seed`` (the study's), the rule's name and its wildcards.
    """

    def __init__(self, snakemake: Any) -> None:  # noqa: ANN401
        self.input = snakemake.input
        self.output = snakemake.output
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

    def __enter__(self) -> job:
        if self.log:
            Path(self.log).parent.mkdir(parents=True, exist_ok=True)
            self._file = Path(self.log).open("w", encoding="utf-8")
            sys.stdout = sys.stderr = self._file
        # Warnings belong into the log, each once.
        warnings.simplefilter("once")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is not None and not isinstance(error, SystemExit):
            traceback.print_exception(kind, error, trace, file=self._file or self._stderr)
        if self._file:
            sys.stdout, sys.stderr = sys.__stdout__, self._stderr
            self._file.close()
        if error is None or isinstance(error, (SystemExit, KeyboardInterrupt)):
            return False
        name = "".join(f" {key}={value}" for key, value in dict(self.wildcards).items())
        print(f"{self.rule}{name} failed: {type(error).__name__}: {error}", file=sys.stderr)
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
