"""The cost of the renewal hook for a connection: `ssh rig true` with and without it, in one run.

Run it as root, who may start a server: `python benchmarks/on_connect.py [SHELL…]`. The certificate
is not due, so nothing is renewed. Bound: 15 ms more with /bin/sh, by the median of pairs; other
shells may take longer to start. The hook shows best on a shared connection: a connection of its
own takes long, and varies on a busy machine.
"""

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PAIRS = 41
BOUND = 15.0  # milliseconds
CONNECTIONS = {"shared": (), "its own": ("-o", "ControlPath=none")}
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "rigs"))

from sshd import TEST_USER, Rig, site  # noqa: E402 - it is below tests/rigs


def configs(rig: Rig) -> tuple[Path, Path]:
    """Return the ssh configurations without and with the hook, for a server that runs."""
    authority = f"TrustedUserCAKeys {rig.key('ed25519-ca')}.pub"
    server = rig.serve("login", ["ed25519"], authority, "AuthorizedKeysFile none")
    key = rig.certify("ed25519-ada", "ed25519-ca", "-n", TEST_USER.pw_name, "-V", "+1h")
    due = rig.home / ".local/state/gen/rig.due"
    due.parent.mkdir(parents=True)
    due.write_text(f"{time.time() + 1800:.0f}\n1\n")
    step = {
        "method": "step",
        "ca_url": "https://localhost",
        "ca_fingerprint": "0" * 64,
        "context": "rig",
    }
    pins = {"fingerprints": {"ed25519": rig.fingerprint("ed25519")}}

    def compiled(name: str, **auth: Any) -> Path:
        spec = site(server, pins, auth=step | auth, multiplexing="allowed")
        config = rig.compile(spec, "--force", key=key)
        return Path(shutil.copy(config, rig.directory / name))

    return compiled("without", renew_on_connect=False), compiled("with")


def milliseconds(rig: Rig, config: Path, shell: str, options: tuple[str, ...]) -> float:
    """Return the duration of one login."""
    start = time.perf_counter()
    result = rig.ssh(config, *options, "rig", "true", SHELL=shell)
    duration = (time.perf_counter() - start) * 1000
    if result.returncode or result.stderr:
        raise SystemExit(f"ssh ended with {result.returncode}: {result.stderr}")
    return duration


def measure(
    rig: Rig, without: Path, with_hook: Path, shell: str, options: tuple[str, ...]
) -> tuple[float, float]:
    """Return the median duration of a login, and the median of the time that the hook adds."""
    # The first login opens the shared connection.
    for config in (without, with_hook):
        milliseconds(rig, config, shell, options)
    durations = []
    differences = []
    for _ in range(PAIRS):
        before = milliseconds(rig, without, shell, options)
        after = milliseconds(rig, with_hook, shell, options)
        durations.append(before)
        differences.append(after - before)
    return statistics.median(durations), statistics.median(differences)


def main() -> int:
    """Print a line for each shell and connection, and return 1 if the bound is exceeded."""
    shells = ["/bin/sh"]
    for name in sys.argv[1:]:
        shell = shutil.which(name)
        if shell:
            shells.append(shell)
    status = 0
    with tempfile.TemporaryDirectory() as directory, Rig(Path(directory, "rig")) as rig:
        without, with_hook = configs(rig)
        for shell in shells:
            for connection, options in CONNECTIONS.items():
                usual, added = measure(rig, without, with_hook, shell, options)
                print(f"{shell:14} {connection:8}{added:6.1f} ms more than {usual:.0f} ms")
                if shell == "/bin/sh" and connection == "shared" and added > BOUND:
                    status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
