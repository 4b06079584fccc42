"""A real Slurm of one node with accounting, in a folder and on ports of its own: several run side by side.

    with slurm(tmp_path, {"long": "MaxTime=7-00:00:00"}, {"normal": "", "devel": "MaxWall=00:10:00"}) as cluster:
        rig.serve("login", ["ed25519"], cluster.set_env)
        cluster.run("srun", "--qos", "devel", "hostname")
        assert cluster.jobs("Partition", "QOS", "State") == [("long", "devel", "COMPLETED")]

munged, mariadbd, slurmdbd, slurmctld, slurmd and all jobs live in one process namespace, whose first process reads from
the test: when the block ends, or the test however it ends, the kernel ends them all. It needs root, and some four
seconds to start.
"""

import fcntl
import os
import pwd
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from stat import S_IFCHR

PROGRAMS = (
    "unshare",
    "munged",
    "mariadbd",
    "mariadb",
    "slurmdbd",
    "slurmctld",
    "slurmd",
    "sacctmgr",
    "sacct",
)

_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
_PERSON = pwd.getpwuid(os.geteuid()).pw_name
_GPUS = 4

Result = subprocess.CompletedProcess[str]

# Nobody else can reach its socket, so MariaDB needs no grant tables; but slurmdbd's stored procedures need the other
# system tables. A data folder in memory takes a second off.
_START = r"""
cd "$1"
until_it() { until "$@"; do sleep 0.05; done; }
mount -t tmpfs none db
munged --foreground --force --key-file munge.key --socket munge --pid-file munge.pid --seed-file munge.seed &
mariadbd --no-defaults --user=root --datadir="$1/db" --socket="$1/mariadb" --skip-networking --skip-grant-tables &
{
    set -e
    until_it test -S munge
    until_it test -S mariadb
    mariadb --no-defaults -e 'CREATE DATABASE mysql; CREATE DATABASE slurm_acct_db'
    mariadb --no-defaults mysql </usr/share/mysql/mysql_system_tables.sql
    slurmdbd -D &
    until_it sacctmgr --immediate list cluster
    sacctmgr --immediate <accounts
    slurmctld -D -c &
    ulimit -S -n 1024
    exec slurmd -D -N node1
} &
cat
"""

_SLURMDBD = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge
DbdHost=localhost
DbdPort={dbd_port}
PidFile={folder}/slurmdbd.pid
SlurmUser=root
StorageType=accounting_storage/mysql
StorageUser=root
"""

_SLURM = """\
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={dbd_port}
AccountingStoragePass={folder}/munge
AccountingStorageEnforce=associations,limits,qos
AccountingStoreFlags=job_script
EnforcePartLimits=ALL
JobAcctGatherType=jobacct_gather/none
MailProg=/bin/true
MpiDefault=none
PropagateResourceLimits=NONE
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={d_port} {node}
"""


@dataclass(frozen=True)
class Slurm:
    """A Slurm that runs."""

    conf: Path

    @property
    def set_env(self) -> str:
        """The line of sshd's config by which a session finds this Slurm; sshd heeds the first SetEnv alone."""
        return f"SetEnv SLURM_CONF={self.conf}"

    def ask(self, *command: str) -> Result:
        """Run a command of Slurm's."""
        environment = {"PATH": _PATH, "LC_ALL": "C", "SLURM_CONF": str(self.conf)}
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=60, check=False
        )

    def run(self, *command: str) -> str:
        """Run a command of Slurm's, which must succeed, and return what it prints."""
        result = self.ask(*command)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def jobs(self, *fields: str) -> list[tuple[str, ...]]:
        """Return some fields, by sacct's names, of each job that there was, in the order of their ids.

        The accounting is some seconds behind; this waits until it knows what the controller knows.
        """
        deadline = time.monotonic() + 60
        while not self._states("squeue", "--states=all", "--format=%i|%T") <= self._states(
            *_SACCT, "--format=JobID,State"
        ):
            assert time.monotonic() < deadline, self.run("squeue", "--states=all")
            time.sleep(0.2)
        return [
            tuple(line.split("|"))
            for line in self.run(*_SACCT, f"--format={','.join(fields)}").splitlines()
        ]

    def _states(self, *command: str) -> set[str]:
        lines = self.run(*command, "--noheader").splitlines()
        return {line.split()[0] for line in lines}  # "CANCELLED by 0" is CANCELLED


_SACCT = ("sacct", "--allocations", "--allusers", "--parsable2", "--noheader")


_TURN = "GEN_TEST_SLURM_TURN"


@contextmanager
def _turn() -> Iterator[None]:
    """Let one test process at a time run Slurms, since those of two starve each other; its children share its turn."""
    if _TURN in os.environ:
        yield
        return
    with Path("/tmp/gen-test-slurm.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.environ[_TURN] = str(os.getpid())
        try:
            yield
        finally:
            del os.environ[_TURN]


@contextmanager
def slurm(
    folder: Path,
    partitions: Mapping[str, str],
    qos: Mapping[str, str],
    accounts: Sequence[str] = ("test",),
    *,
    name: str = "test",
    node: str = f"CPUs=192 RealMemory=786432 Gres=gpu:{_GPUS}",
) -> Iterator[Slurm]:
    """Run a Slurm from when its node is idle to the end of the block.

    Partitions carry words of slurm.conf, QoS words of sacctmgr, both maybe none; the first partition, QoS and account
    is the default. Whoever runs the test may use each account and QoS. `node` may claim what this machine has not (its
    GPUs are `/dev/null`); no job is held to the memory it asked for, and each starts with the usual 1024 open files.
    `name` is the cluster's.
    """
    with _turn(), _running(folder, partitions, qos, accounts, name, node) as cluster:
        yield cluster


@contextmanager
def _running(
    folder: Path,
    partitions: Mapping[str, str],
    qos: Mapping[str, str],
    accounts: Sequence[str],
    name: str,
    node: str,
) -> Iterator[Slurm]:
    """Start the daemons, wait for the node, and end them with the block."""
    place = folder / f"slurm-{name}"
    assert len(f"{place}/spool/node1_99.4294967291") < 108, (
        f"{folder}: too long for the socket of a job"
    )  # unix(7)
    ports = _free_ports()
    _lay_out(
        place,
        _config(place, ports, name, node, partitions)
        | {"accounts": _accounts(name, qos, accounts)},
    )
    cluster = Slurm(place / "slurm.conf")
    command = (
        "unshare",
        "--fork",
        "--pid",
        "--mount-proc",
        "--kill-child",
        "sh",
        "-c",
        _START,
        "sh",
        str(place),
    )
    environment = {
        "PATH": _PATH,
        "LC_ALL": "C",
        "SLURM_CONF": str(cluster.conf),
        "MYSQL_UNIX_PORT": f"{place}/mariadb",
    }
    with (place / "log").open("w") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment
        )
    try:
        _wait_until_idle(cluster, ports["ctld_port"])
        yield cluster
    finally:
        child.communicate(timeout=30)


def _config(
    place: Path, ports: Mapping[str, int], name: str, node: str, partitions: Mapping[str, str]
) -> dict[str, str]:
    """Return the files that the daemons read."""
    values = {"folder": place, "host": socket.gethostname(), "name": name, "node": node, **ports}
    lines = [
        f"PartitionName={partition} Nodes=node1 {words}" for partition, words in partitions.items()
    ]
    return {
        "munge.key": token_hex(64),
        "slurmdbd.conf": _SLURMDBD.format_map(values),
        "slurm.conf": "\n".join(
            [_SLURM.format_map(values) + lines[0] + " Default=YES", *lines[1:], ""]
        ),
        "gres.conf": f"Name=gpu File={place}/gpu[0-{_GPUS - 1}]\n",
    }


def _accounts(name: str, qos: Mapping[str, str], accounts: Sequence[str]) -> str:
    """Return the commands that tell sacctmgr who may do what."""
    granted = f"qos={','.join(qos)} defaultqos={next(iter(qos))}"
    lines = [
        f"add cluster {name}",
        *(f"add qos {key}" for key in qos if key != "normal"),  # that one is there from the start
        *(f"modify qos {key} set {words}" for key, words in qos.items() if words),
        *(f"add account {account} {granted}" for account in accounts),
        f"add user {_PERSON} account={','.join(accounts)} {granted}",
        f"modify user {_PERSON} set defaultaccount={accounts[0]}",
    ]
    return "\n".join([*lines, "quit", ""])


def _lay_out(place: Path, files: Mapping[str, str]) -> None:
    """Make the folder: slurmdbd and munged refuse files that others may read; a GPU has to be a device."""
    for folder in (place, *(place / name for name in ("db", "state", "spool"))):
        folder.mkdir(mode=0o700)
    for name, text in files.items():
        (place / name).touch(mode=0o600)
        (place / name).write_text(text)
    for number in range(_GPUS):
        os.mknod(place / f"gpu{number}", S_IFCHR | 0o600, os.makedev(1, 3))


def _free_ports() -> dict[str, int]:
    """Return ports that differ, since all are held until the last is found."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(3)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return dict(
            zip(
                ("dbd_port", "ctld_port", "d_port"),
                (probe.getsockname()[1] for probe in sockets),
                strict=True,
            )
        )


def _wait_until_idle(cluster: Slurm, port: int) -> None:
    """Wait for the node; sinfo is not asked before the controller listens, since it tries again for seconds."""
    deadline = time.monotonic() + 60
    while not (
        _listens(port) and cluster.ask("sinfo", "--noheader", "--format=%T").stdout == "idle\n"
    ):
        assert time.monotonic() < deadline, (cluster.conf.parent / "log").read_text()
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False
