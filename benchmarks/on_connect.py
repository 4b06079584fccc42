"""What the look at the certificate costs a connection: `ssh rig true` with and without it, in pairs, in one run.

Run it as root, who may start a server: `python benchmarks/on_connect.py [SHELL…]`. The certificate is good, so nothing
is renewed. Bound: 15 ms more, by the median of the pairs, with /bin/sh; other shells take what they take to start. A
connection of its own takes long, and on a busy machine its time says little; one that is shared shows the look best.
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
WAYS = {"shared": (), "its own": ("-o", "ControlPath=none")}
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "rigs"))

from sshd import TEST_USER, Rig, site  # noqa: E402 - it lies there


def configs(rig: Rig) -> tuple[Path, Path]:
    """Start a server, get a certificate that is good for an hour, and return the configs without and with the look."""
    authority = f"TrustedUserCAKeys {rig.key('ed25519-ca')}.pub"
    server = rig.serve("login", ["ed25519"], authority, "AuthorizedKeysFile none")
    key = rig.certify("ed25519-ada", "ed25519-ca", "-n", TEST_USER.pw_name, "-V", "+1h")
    due = rig.home / ".local/state/gen/rig.due"
    due.parent.mkdir(parents=True)
    due.write_text(f"{time.time() + 1800:.0f}\n")
    step = {
        "method": "step",
        "ca_url": "https://localhost",
        "ca_fingerprint": "0" * 64,
        "context": "rig",
    }
    pins = {"fingerprints": {"ed25519": rig.fingerprint("ed25519")}}

    def compiled(name: str, **auth: Any) -> Path:
        made = rig.compile(
            site(server, pins, auth=step | auth, multiplexing="allowed"), "--force", key=key
        )
        return Path(shutil.copy(made, rig.directory / name))

    return compiled("without", renew_on_connect=False), compiled("with")


def milliseconds(rig: Rig, config: Path, shell: str, options: tuple[str, ...]) -> float:
    """Return how long one login takes."""
    start = time.perf_counter()
    done = rig.ssh(config, *options, "rig", "true", SHELL=shell)
    took = (time.perf_counter() - start) * 1000
    if done.returncode or done.stderr:
        raise SystemExit(f"ssh ended with {done.returncode}: {done.stderr}")
    return took


def main() -> int:
    """Print a line for each shell and way to connect; 1 when a shared connection with /bin/sh is above the bound."""
    above = 0
    with tempfile.TemporaryDirectory() as folder, Rig(Path(folder, "rig")) as rig:
        without, look = configs(rig)
        for shell in ("/bin/sh", *filter(None, map(shutil.which, sys.argv[1:]))):
            for way, options in WAYS.items():
                for config in (without, look):
                    milliseconds(rig, config, shell, options)
                both = [
                    [milliseconds(rig, one, shell, options) for one in (without, look)]
                    for _ in range(PAIRS)
                ]
                more = statistics.median(after - before for before, after in both)
                above += (shell, way) == ("/bin/sh", "shared") and more > BOUND
                usual = statistics.median(before for before, _ in both)
                print(f"{shell:14} {way:8}{more:6.1f} ms more than {usual:.0f} ms")
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
