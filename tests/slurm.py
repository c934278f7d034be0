"""A real Slurm of one node on this machine: its daemons start, and are gone with the test."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol")
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=3600
KillWait=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=node Default=YES MaxTime=INFINITE State=UP
"""
# Slurm keeps accounts in a database, which submitit asks; this one has none, so the controller answers in its place.
ACCOUNTS = """#!{python}
import re, subprocess, sys
print("JobID|State|NodeList")
for job in (sys.argv[i + 1] for i, word in enumerate(sys.argv) if word == "-j"):
    for line in subprocess.check_output(["scontrol", "-o", "show", "job", job], text=True).splitlines():
        told = dict(re.findall(r"(\\w+)=(\\S+)", line))
        task = told.get("ArrayTaskId")
        array = f"{{told.get('ArrayJobId')}}_" + (task if task and task.isdigit() else f"[{{task}}]")
        name = array if task else told["JobId"]
        print(f"{{name}}|{{told['JobState']}}|node")
"""


def missing() -> str:
    """Why no Slurm can start here; empty where one can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "Slurm's daemons need root"
    absent = [program for program in NEEDED if not shutil.which(program)]
    return f"no {', '.join(absent)}: apt-get install slurmctld slurmd slurm-client munge" if absent else ""


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Start munged, slurmctld and slurmd in `folder`; yields the environment in which sbatch finds them."""
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir(parents=True)
    key, configuration, accounts = folder / "munge.key", folder / "slurm.conf", folder / "bin" / "sacct"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    host, ports = socket.gethostname().split(".")[0], _free_ports()
    configuration.write_text(CONFIGURATION.format(host=host, folder=folder, controller=ports[0], daemon=ports[1]))
    accounts.write_text(ACCOUNTS.format(python=sys.executable))
    accounts.chmod(0o755)
    environment = {**os.environ, "SLURM_CONF": str(configuration), "PATH": f"{accounts.parent}:{os.environ['PATH']}"}
    munge = {f"--{what}-file": folder / f"munge.{what}" for what in ("key", "log", "pid", "seed")}
    options = [f"{option}={path}" for option, path in munge.items()]
    with ExitStack() as daemons:
        socket_file = f"--socket={folder / 'munge.socket'}"
        daemons.enter_context(_daemon(environment, folder, "munged", "--foreground", "--force", socket_file, *options))
        until(lambda: (folder / "munge.socket").exists(), 30)
        daemons.enter_context(_daemon(environment, folder, "slurmctld", "-D", "-i"))
        daemons.enter_context(_daemon(environment, folder, "slurmd", "-D", "-N", "node"))
        until(lambda: "idle" in _output(environment, "sinfo", "--noheader", "--format=%T"), 60)
        yield environment
        _output(environment, "scancel", "--user=root", "--signal=KILL")
        _output(environment, "scancel", "--user=root")
        until(lambda: not _output(environment, "squeue", "--noheader"), 60)


@contextmanager
def _daemon(environment: dict[str, str], folder: Path, *command: str) -> Iterator[None]:
    with open(folder / f"{command[0]}.log", "w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(true: Callable[[], object], seconds: float) -> None:
    """Wait for what becomes true. Raises TimeoutError if it does not."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.2)


def _output(environment: dict[str, str], *command: str) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
