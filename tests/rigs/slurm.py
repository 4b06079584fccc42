"""A real Slurm with accounting, in its own directory and on its own ports.

    with slurm(tmp_path, {"long": "MaxTime=7-00:00:00"}, {"normal": "", "devel": ""}) as cluster:
        rig.serve("login", ["ed25519"], cluster.set_env)
        cluster.run("srun", "--qos", "devel", "hostname")
        assert cluster.jobs("Partition", "QOS", "State") == [("long", "devel", "COMPLETED")]

Several can run side by side. munged, mariadbd, slurmdbd, slurmctld, slurmd and all jobs live in one
process namespace, whose first process reads from the test. When the block ends, or the test dies in
whatever way, the kernel ends them all. It needs root, and about four seconds to start.
"""

import fcntl
import os
import pwd
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from stat import S_IFCHR

from ports import free_port
from waiting import wait_until

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
_USER = pwd.getpwuid(os.geteuid()).pw_name
_GPUS = 4

Result = subprocess.CompletedProcess[str]

# Each node has a host name of its own, and an address that this machine has on its loopback.
# Only this process can reach the socket of MariaDB, so MariaDB needs no grant tables; but the
# stored procedures of slurmdbd need the other system tables. Its data lie in memory, which starts
# it a second sooner.
_START = r"""
cd "$1"
until_it() { until "$@"; do sleep 0.05; done; }
mount -t tmpfs none db
munged --foreground --force --key-file munge.key \
    --socket munge --pid-file munge.pid --seed-file munge.seed &
mariadbd --no-defaults --user=root --datadir="$1/db" --socket="$1/mariadb" \
    --skip-networking --skip-grant-tables &
{
    set -e
    until_it test -S munge
    until_it test -S mariadb
    until_it mariadb --no-defaults -e 'SELECT 1'
    mariadb --no-defaults -e 'CREATE DATABASE mysql; CREATE DATABASE slurm_acct_db'
    mariadb --no-defaults mysql </usr/share/mysql/mysql_system_tables.sql
    slurmdbd -D &
    until_it sacctmgr --immediate list cluster
    sacctmgr --immediate <accounts
    slurmctld -D -c &
    ulimit -S -n 1024
    mount --bind hosts /etc/hosts
    for node in $(awk '/node/ { print $2 }' hosts); do
        unshare --uts sh -c 'hostname "$0" && exec slurmd -D -N "$0"' "$node" &
    done
} &
cat
"""

_SLURMDBD = """\
AuthType=auth/munge
AuthInfo=socket={directory}/munge
DbdHost=localhost
DbdPort={dbd_port}
PidFile={directory}/slurmdbd.pid
SlurmUser=root
StorageType=accounting_storage/mysql
StorageUser=root
"""

_SLURM = """\
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/%n/slurmd.pid
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/%n
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={directory}/munge
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={dbd_port}
AccountingStoragePass={directory}/munge
AccountingStorageEnforce=associations,limits,qos
AccountingStorageTRES=gres/gpu
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
"""


@dataclass(frozen=True)
class Slurm:
    """A running Slurm."""

    conf: Path

    @property
    def set_env(self) -> str:
        """The line of an sshd configuration that lets a session use this Slurm.

        sshd takes the first SetEnv and ignores all others.
        """
        return f"SetEnv SLURM_CONF={self.conf}"

    def attempt(self, *command: str) -> Result:
        """Run a command of Slurm, which may fail."""
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={"PATH": _PATH, "LC_ALL": "C", "SLURM_CONF": str(self.conf)},
            timeout=120,
            check=False,
        )

    def run(self, *command: str) -> str:
        """Run a command of Slurm, which must succeed, and return its output."""
        result = self.attempt(*command)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def jobs(self, *fields: str) -> list[tuple[str, ...]]:
        """Return some fields of sacct for each job so far, in the order of the job ids.

        The accounting is some seconds behind. This waits until it has the states that the
        controller has.
        """
        wait_until(self._accounting_is_current, lambda: self.run("squeue", "--states=all"))
        output = self.run(*_SACCT, f"--format={','.join(fields)}")
        return [tuple(line.split("|")) for line in output.splitlines()]

    def _accounting_is_current(self) -> bool:
        controller = self._states("squeue", "--states=all", "--format=%i|%T")
        accounting = self._states(*_SACCT, "--format=JobID,State")
        return controller <= accounting

    def _states(self, *command: str) -> set[str]:
        """Return the lines up to the first blank: sacct prints CANCELLED as `CANCELLED by 0`."""
        lines = self.run(*command, "--noheader").splitlines()
        return {line.split()[0] for line in lines}


_SACCT = ("sacct", "--allocations", "--allusers", "--parsable2", "--noheader")

_TURN = "GEN_TEST_SLURM_TURN"


@contextmanager
def _turn() -> Iterator[None]:
    """Wait for a lock: one test process at a time runs Slurm.

    Those of two processes leave each other no time. The children of the process share its turn.
    """
    if _TURN in os.environ:
        yield
        return
    # A file lock, because it ends with its process, whatever ends that.
    with Path("/tmp/gen-test-slurm.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.environ[_TURN] = str(os.getpid())
        try:
            yield
        finally:
            del os.environ[_TURN]


@contextmanager
def slurm(
    parent: Path,
    partitions: Mapping[str, str],
    qos: Mapping[str, str],
    accounts: Sequence[str] = ("test",),
    *,
    name: str = "test",
    node: str = f"CPUs=192 RealMemory=786432 Gres=gpu:{_GPUS}",
    nodes: int = 1,
) -> Iterator[Slurm]:
    """Run a Slurm from when its nodes are idle to the end of the block.

    The values of `partitions` are settings in slurm.conf, those of `qos` settings for sacctmgr;
    both may be empty. The first partition, QoS and account is the default. The user who runs the
    tests may use each account and QoS. `node` may promise more than this machine has, and its GPUs
    are `/dev/null`: Slurm holds no job to the memory that it requested. Each job starts with the
    usual limit of 1024 open files. `name` is the name of the cluster. Its nodes are `node1`,
    `node2` and so on, with the addresses 127.0.0.1, 127.0.0.2, …
    """
    directory = parent / f"slurm-{name}"
    # The kernel cuts the path of a socket at 108 bytes (unix(7)). This is the longest one, of a
    # step of a job.
    assert len(f"{directory}/node1/node1_99.4294967291") < 108, f"{parent} is too long for a socket"
    with _turn():
        ports = {"dbd_port": free_port(), "ctld_port": free_port()}
        files = _config(directory, ports, name, [node] * nodes, partitions)
        files["accounts"] = _accounts(name, qos, accounts)
        _lay_out(directory, files)
        with _running(directory, ports["ctld_port"]) as cluster:
            yield cluster


@contextmanager
def _running(directory: Path, controller_port: int) -> Iterator[Slurm]:
    """Start the daemons, wait for the node, and end them with the block."""
    cluster = Slurm(directory / "slurm.conf")
    namespace = ("unshare", "--fork", "--pid", "--mount-proc", "--kill-child")
    log = directory / "log"
    with log.open("w") as output:
        child = subprocess.Popen(
            [*namespace, "sh", "-c", _START, "sh", str(directory)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env={
                "PATH": _PATH,
                "LC_ALL": "C",
                "SLURM_CONF": str(cluster.conf),
                "MYSQL_UNIX_PORT": f"{directory}/mariadb",
            },
        )

    def is_idle() -> bool:
        # sinfo is not run before the controller listens, because it would try again for seconds.
        if not _listens(controller_port):
            return False
        return cluster.attempt("sinfo", "--noheader", "--format=%T").stdout == "idle\n"

    try:
        wait_until(is_idle, log.read_text)
        yield cluster
    finally:
        # `cat`, the first process of the namespace, ends when its input is closed.
        child.communicate(timeout=120)


def _config(
    directory: Path,
    ports: Mapping[str, int],
    name: str,
    nodes: Sequence[str],
    partitions: Mapping[str, str],
) -> dict[str, str]:
    """Return the files that the daemons read."""
    values = {
        "directory": directory,
        "host": socket.gethostname(),
        "name": name,
        **ports,
    }
    lines = []
    hosts = [f"127.0.0.1 localhost {socket.gethostname()}"]
    for number, settings in enumerate(nodes, start=1):
        address = f"127.0.0.{number}"
        line = f"NodeName=node{number} NodeAddr={address} Port={free_port()} {settings}"
        lines.append(line)
        hosts.append(f"{address} node{number}")
    default = " Default=YES"
    for partition, settings in partitions.items():
        lines.append(f"PartitionName={partition} Nodes=ALL {settings}{default}")
        default = ""
    return {
        "munge.key": token_hex(64),
        "slurmdbd.conf": _SLURMDBD.format_map(values),
        "slurm.conf": _SLURM.format_map(values) + "\n".join([*lines, ""]),
        "hosts": "\n".join([*hosts, ""]),
        "gres.conf": f"Name=gpu File={directory}/gpu[0-{_GPUS - 1}]\n",
    }


def _accounts(name: str, qos: Mapping[str, str], accounts: Sequence[str]) -> str:
    """Return the sacctmgr commands that create QoS and accounts, and grant them to the user."""
    # AccountingStorageEnforce makes Slurm refuse each QoS that is not granted.
    granted = f"qos={','.join(qos)} defaultqos={next(iter(qos))}"
    lines = [f"add cluster {name}"]
    for level, settings in qos.items():
        if level != "normal":  # Slurm creates that one itself
            lines.append(f"add qos {level}")
        if settings:
            lines.append(f"modify qos {level} set {settings}")
    lines += [f"add account {account} {granted}" for account in accounts]
    lines.append(f"add user {_USER} account={','.join(accounts)} {granted}")
    lines.append(f"modify user {_USER} set defaultaccount={accounts[0]}")
    return "\n".join([*lines, "quit", ""])


def _lay_out(directory: Path, files: Mapping[str, str]) -> None:
    """Create the directory.

    slurmdbd and munged refuse files that others can read. A GPU has to be a device.
    """
    for path in (directory, directory / "db", directory / "state"):
        path.mkdir(mode=0o700)
    for name, text in files.items():
        (directory / name).touch(mode=0o600)
        (directory / name).write_text(text)
    for number in range(_GPUS):
        # 1:3 is /dev/null (null(4)): Slurm only checks that a GPU is a device.
        os.mknod(directory / f"gpu{number}", S_IFCHR | 0o600, os.makedev(1, 3))


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False
