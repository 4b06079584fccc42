"""What the look at the certificate costs a connection: `ssh rig true` with and without it, in pairs, in one run.

Run it as root, who may start a server: `python benchmarks/on_connect.py [SHELL…]`. The certificate is good, so nothing
is renewed. Bound: 15 ms more, by the median of the pairs, with /bin/sh; other shells take what they take to start.
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
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "system"))

from sshd import PERSON, Rig, site  # noqa: E402 - it lies there


def configs(rig: Rig) -> tuple[Path, Path]:
    """Start a server, get a certificate that is good for an hour, and return the configs without and with the look."""
    authority = f"TrustedUserCAKeys {rig.key('ed25519-ca')}.pub"
    server = rig.serve("login", ["ed25519"], authority, "AuthorizedKeysFile none")
    key = rig.certified("ed25519-ada", "ed25519-ca", "-n", PERSON.pw_name, "-V", "+1h")
    due = rig.home / ".local/state/gen/rig.due"
    due.parent.mkdir(parents=True)
    due.write_text(f"{time.time() + 1800:.0f}\n")
    step = {"method": "step", "ca_url": "https://localhost", "ca_fingerprint": "0" * 64, "context": "rig"}
    pins = {"fingerprints": {"ed25519": rig.fingerprint("ed25519")}}

    def compiled(**auth: Any) -> Path:
        made = rig.compile(site(server, pins, auth=step | auth), "--force", key=key)
        return Path(shutil.copy(made, rig.folder / f"{len(auth)}.conf"))

    return compiled(renew_on_connect=False), compiled()


def milliseconds(rig: Rig, config: Path, shell: str) -> float:
    """Return how long one login takes."""
    start = time.perf_counter()
    done = rig.ssh(config, "rig", "true", SHELL=shell)
    if done.returncode or done.stderr:
        raise SystemExit(f"ssh ended with {done.returncode}: {done.stderr}")
    return (time.perf_counter() - start) * 1000


def main() -> int:
    """Print a line for each shell; 1 when /bin/sh is above the bound."""
    above = 0
    with tempfile.TemporaryDirectory() as folder, Rig(Path(folder, "rig")) as rig:
        without, look = configs(rig)
        for shell in ("/bin/sh", *filter(None, map(shutil.which, sys.argv[1:]))):
            milliseconds(rig, look, shell)
            pairs = [(milliseconds(rig, without, shell), milliseconds(rig, look, shell)) for _ in range(PAIRS)]
            median = statistics.median(after - before for before, after in pairs)
            above += shell == "/bin/sh" and median > BOUND
            login = statistics.median(before for before, _ in pairs)
            print(f"{shell:16}{median:6.1f} ms more than {login:.0f} ms")
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
