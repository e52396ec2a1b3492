"""A real Slurm of several nodes on one machine, for the tests.

    python tests/cluster/local_slurm.py up
    python tests/cluster/local_slurm.py down

``up`` installs what is missing from Debian's packages, starts munged, slurmctld and one slurmd a node on
loopback, and waits until the nodes take jobs. ``down`` cancels the jobs and stops what ``up`` started; the logs
stay. Root is needed. There is no systemd, cgroup, accounting or database in it: memory limits are enforced by
polling each step, and ``squeue`` is the only source of a job's state.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
COMMANDS = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "munged")

#: Where Slurm looks unless told otherwise. Snakemake's job steps drop SLURM_CONF, so it has to be here.
DEFAULT_CONF = Path("/etc/slurm/slurm.conf")


class ClusterError(Exception):
    """The cluster cannot be brought up, in words for the person who wants it."""


@dataclass(frozen=True)
class Cluster:
    """Where the cluster lives, and how large it is.

    Parameters
    ----------
    folder : Path
        State, sockets and logs. Unix sockets lie in it: its path must be short.
    nodes, cpus, memory_mb : int
        Number of nodes, and what each of them offers. They share this machine's cores. The second half of
        them is a partition of its own (``spare``), whose nodes a test may break.
    port : int
        Of slurmctld; the nodes take those after it.
    """

    folder: Path = Path("/tmp/correlatives-slurm")
    nodes: int = 4
    cpus: int = 2
    memory_mb: int = 6000
    port: int = 17817

    @property
    def conf(self) -> Path:
        return self.folder / "slurm.conf"

    @property
    def names(self) -> list[str]:
        """Return the names of the nodes."""
        return [f"n{number}" for number in range(1, self.nodes + 1)]

    @property
    def spare(self) -> list[str]:
        """Return the names of the nodes that may be broken."""
        return self.names[self.nodes // 2 :]

    # --- up -----------------------------------------------------------------------------------------

    def up(self) -> None:
        """Install, configure and start what is not there yet, and wait for every node.

        Raises
        ------
        ClusterError
            Without root or Debian's packages, or when a daemon does not start.
        """
        self._refuse()
        if self.conf.exists() and self.conf.read_text() != self._settings():
            self.down()
        for name in ("log", "run", "state", "spool"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._install()
        self._configure()
        if self._pid("munged") is None:
            self._start(
                "munged",
                "--force",
                f"--key-file={self.folder}/run/munge.key",
                f"--socket={self.folder}/run/munge.sock",
                f"--pid-file={self._pid_file('munged')}",
                f"--seed-file={self.folder}/run/munge.seed",
                f"--log-file={self.folder}/log/munged.log",
            )
        if self._pid("slurmctld") is None:
            self._start("slurmctld")
        for node in self.names:
            self.start_node(node)
        self.wait_for(lambda: len(self.ready()) == self.nodes, 60, "the nodes to come up")

    def start_node(self, node: str) -> None:
        """Start a node's slurmd unless it runs."""
        if self._pid("slurmd", node) is None:
            self._start("slurmd", "-N", node)

    def ready(self) -> list[str]:
        """Return the nodes that take jobs."""
        shown = _said("sinfo", "-h", "-N", "-r", "-t", "idle,mix,alloc", "-o", "%N")
        return sorted(set(shown.split()))

    def _refuse(self) -> None:
        if os.geteuid() != 0:
            raise ClusterError("the test cluster needs root: its daemons start jobs for users")
        if len(str(self.folder)) > 70 or " " in str(self.folder):
            raise ClusterError(f"{self.folder}: sockets need a short path without a space")
        host = socket.gethostname()
        try:
            address = socket.gethostbyname(host)
        except OSError:
            address = "no address"
        if not address.startswith("127."):
            raise ClusterError(
                f"{host} is {address}: write '127.0.0.1 {host}' into /etc/hosts, "
                "so that nothing listens to the outside"
            )
        if DEFAULT_CONF.exists() and not self._ours():
            raise ClusterError(f"{DEFAULT_CONF} is of another cluster, which is left alone")

    def _ours(self) -> bool:
        return DEFAULT_CONF.is_symlink() and DEFAULT_CONF.readlink() == self.conf

    def _install(self) -> None:
        if all(shutil.which(command) for command in COMMANDS):
            return
        if not shutil.which("apt-get"):
            raise ClusterError("Slurm is not installed, and there is no apt-get to install it with")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        log = self.folder / "log" / "apt.log"
        with log.open("w") as out:
            for command in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
                done = subprocess.run(
                    ["apt-get", *command],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    check=False,
                )
                if done.returncode:
                    raise ClusterError(f"apt-get {command[0]} failed, see {log}")

    def _settings(self) -> str:
        """Return what stands in slurm.conf."""
        host = socket.gethostname()
        settings = {
            "ClusterName": "tests",
            "SlurmctldHost": host,
            "SlurmctldPort": self.port,
            "SlurmUser": "root",
            "AuthInfo": f"socket={self.folder}/run/munge.sock,cred_expire=10",
            # loopback only
            "CommunicationParameters": "NoInAddrAny,NoCtldInAddrAny",
            "StateSaveLocation": self.folder / "state",
            "SlurmctldPidFile": self._pid_file("slurmctld"),
            "SlurmctldLogFile": self.folder / "log" / "slurmctld.log",
            "SlurmdSpoolDir": self.folder / "spool" / "%n",
            "SlurmdPidFile": self._pid_file("slurmd", "%n"),
            "SlurmdLogFile": self.folder / "log" / "slurmd.%n.log",
            # no cgroups: processes are followed by their parents, memory is sampled every second
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "JobAcctGatherType": "jobacct_gather/linux",
            "JobAcctGatherFrequency": 1,
            "JobAcctGatherParams": "OverMemoryKill",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core_Memory",
            "DefMemPerCPU": 500,
            # several nodes on this machine's cores
            "SlurmdParameters": "config_overrides",
            "ReturnToService": 2,
            # a node that went away is noticed within the minute
            "SlurmdTimeout": 15,
            "KillWait": 5,
            # squeue has to remember a job until Snakemake asks, or the executor turns to sacct without a word
            "MinJobAge": 3600,
        }
        first, last = self.port + 1, self.port + self.nodes
        lines = [f"{key}={value}" for key, value in settings.items()]
        lines += [
            f"NodeName=n[1-{self.nodes}] NodeHostname={host} NodeAddr={host} Port=[{first}-{last}]"
            f" CPUs={self.cpus} RealMemory={self.memory_mb}",
            f"PartitionName=main Default=YES Nodes=n[1-{self.nodes // 2}]",
            f"PartitionName=spare Nodes=n[{self.nodes // 2 + 1}-{self.nodes}]",
        ]
        return "\n".join(lines) + "\n"

    def _configure(self) -> None:
        key = self.folder / "run" / "munge.key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_bytes(secrets.token_bytes(1024))
        self.conf.write_text(self._settings())
        DEFAULT_CONF.parent.mkdir(parents=True, exist_ok=True)
        if not self._ours():
            DEFAULT_CONF.symlink_to(self.conf)

    def _start(self, *command: str) -> None:
        log = self.folder / "log" / "start.log"
        environment = {key: value for key, value in os.environ.items() if key != "SLURM_CONF"}
        with log.open("a") as out:
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                check=False,
            )
        if done.returncode:
            raise ClusterError(f"{' '.join(command)} did not start, see {self.folder / 'log'}")

    # --- faults -------------------------------------------------------------------------------------

    def lose_node(self, node: str) -> None:
        """Kill a node's slurmd and everything that ran on it, as when its power fails."""
        daemon = self._pid("slurmd", node)
        if daemon is None:
            return
        lost = [daemon, *self._steps(node)]
        for pid in [daemon, *(below for step in lost[1:] for below in [step, *_descendants(step)])]:
            _kill(pid, signal.SIGKILL)
        self._pid_file("slurmd", node).unlink(missing_ok=True)

    def _steps(self, node: str) -> list[int]:
        """Return the process numbers of the job steps on a node: their sockets lie in its spool."""
        jobs = _said("squeue", "-h", "-t", "running,completing", "-w", node, "-o", "%A").split()
        found = []
        for pid, command in _processes():
            if command.startswith("slurmstepd: [") and command[13:].split(".")[0] in jobs:
                found.append(pid)
        return found

    # --- down ---------------------------------------------------------------------------------------

    def down(self) -> None:
        """Cancel the jobs, stop the daemons, and leave the logs."""
        if self._ours() and self._pid("slurmctld") is not None:
            # the jobs of a node that went away end only when it is back
            for node in self.names:
                with contextlib.suppress(ClusterError):
                    self.start_node(node)
            subprocess.run(["scancel", "--quiet", "--user=root"], check=False)
            self.wait_for(
                lambda: not _said("squeue", "-h").strip(), 30, "the jobs to end", must=False
            )
        for name, node in [
            *(("slurmd", path.suffixes[0][1:]) for path in self.folder.glob("run/slurmd.*.pid")),
            ("slurmctld", None),
            ("munged", None),
        ]:
            pid = self._pid(name, node)
            if pid is None:
                continue
            _kill(pid, signal.SIGTERM)
            if not self.wait_for(
                lambda n=name, d=node: self._pid(n, d) is None, 15, name, must=False
            ):
                _kill(pid, signal.SIGKILL)
        if self._ours():
            DEFAULT_CONF.unlink()
        for name in ("run", "state", "spool"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    # --- what both use ------------------------------------------------------------------------------

    def wait_for(
        self, done: Callable[[], bool], seconds: float, what: str, *, must: bool = True
    ) -> bool:
        """Wait until something is so; say what it was that did not come."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if done():
                return True
            time.sleep(0.25)
        if must:
            raise ClusterError(
                f"waited {seconds:g} s for {what}; the logs are in {self.folder}/log"
            )
        return False

    def _pid_file(self, daemon: str, node: str | None = None) -> Path:
        return self.folder / "run" / f"{daemon}{f'.{node}' if node else ''}.pid"

    def _pid(self, daemon: str, node: str | None = None) -> int | None:
        """Return the process that a pid file names, if it is still that daemon."""
        try:
            pid = int(self._pid_file(daemon, node).read_text())
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (OSError, ValueError):
            return None
        return pid if name == daemon and state != "Z" else None


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _kill(pid: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, which)


def _processes() -> list[tuple[int, str]]:
    """Return every process' number and command line."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (
                    (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
            except OSError:
                continue
            found.append((int(folder.name), command.strip()))
    return found


def _descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and theirs."""
    children: dict[int, list[int]] = {}
    for number, _ in _processes():
        try:
            parent = int(Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(number)
    found, queue = [], [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def main() -> None:
    """Bring the cluster up or down."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("up", "down"))
    arguments = parser.parse_args()
    cluster = Cluster()
    try:
        if arguments.what == "up":
            cluster.up()
            print(_said("sinfo", "-N", "-l").rstrip())
        else:
            cluster.down()
    except ClusterError as error:
        sys.exit(f"local_slurm: {error}")


if __name__ == "__main__":
    main()
