"""The commands of CSCS, Isambard, NERSC and Roihu, in a terminal: keys, prompts and quotas.

The specs are those of the catalogue. Each stand-in asks, refuses and writes files as the program of
the centre does, by its source (eth-cscs/cscs-key, isambard-sc/clifton, sshproxy.sh,
CSCfi/certificate-helper-tool).
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from step_ca import clock
from terminal import Terminal

pytestmark = pytest.mark.system

GEN = (sys.executable, "-m", "generator")
PASSWORD = "secret123456"  # noqa: S105 - of the test
SIGN = "ssh-keygen -q -s ~/ca -I test -n ada -V +0s:+1d"

# `cscs-key sign` wants both halves of ~/.ssh/cscs-key, and a login in a browser.
CSCS = f"""
[ "$1" = sign ] || exit 64
[ -f ~/.ssh/cscs-key ] && [ -f ~/.ssh/cscs-key.pub ] || {{ echo "no key pair" >&2; exit 1; }}
echo "Opening https://auth.cscs.ch in your browser" >&2
{SIGN} ~/.ssh/cscs-key.pub
"""
# `clifton auth --identity KEY` ends if the key is missing, and prints a link and a code.
CLIFTON = f"""
[ "$1 $2" = "auth --identity" ] || exit 64
[ -f "$3" ] || {{ echo "Identity file $3 not found" >&2; exit 1; }}
echo "To log in, visit https://keycloak.isambard.ac.uk/device?user_code=ABCD-EFGH"
{SIGN} "$3.pub"
"""
# sshproxy.sh reads password and code as one, without echo, and replaces the key.
SSHPROXY = f"""
[ "$1" = -u ] || exit 64
stty -echo
printf 'Enter the password+OTP for %s: ' "$2" >&2
read -r answer; stty echo; echo >&2
[ "$answer" = {PASSWORD} ] || {{ echo "Authentication failed. Failed login" >&2; exit 2; }}
rm -f ~/.ssh/nersc ~/.ssh/nersc.pub
ssh-keygen -q -t rsa -N '' -f ~/.ssh/nersc
{SIGN} ~/.ssh/nersc.pub
"""
# csc_cert.py stops at a certificate that is valid, unless -r is there; it wants a code of 6 digits.
CSC = f"""
import os, sys
key = sys.argv[-1]
if os.path.exists(key.replace(".pub", "-cert.pub")) and "-r" not in sys.argv:
    sys.exit(0)
if not os.path.exists(key):
    sys.exit(f"Error: {{key}} not found")
print("Please log in to sign the public key:", file=sys.stderr)
print("https://my.csc.fi/login?certSign=e30&sshCli=true", file=sys.stderr)
print("Please enter the 6-digit code displayed in your browser to continue: ", end="",
      file=sys.stderr, flush=True)
if input() != "123456":
    sys.exit("Error: Certificate signing was not successful.")
sys.exit(os.system("{SIGN} " + key))
"""
KEYGEN = "Generating public/private ed25519 key pair."


@dataclass(frozen=True)
class CentreUser:
    """A user with an own home directory, and the commands of the centres below `~/bin`."""

    home: Path

    def write(self, path: str, script: str) -> None:
        program = self.home / path
        program.parent.mkdir(exist_ok=True)
        program.write_text(script)
        program.chmod(0o755)

    def environment(self, **more: str) -> Mapping[str, str]:
        return {
            "HOME": str(self.home),
            "PATH": f"{self.home}/bin:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm",
            **more,
        }

    def terminal(self, site: str, *options: str) -> Terminal:
        # Somewhere else: a checkout may hold a script of the same name.
        elsewhere = self.home / "checkout"
        elsewhere.mkdir(exist_ok=True)
        return Terminal(
            *GEN, "refresh", site, *options, environment=self.environment(), directory=elsewhere
        )

    def refused(self, site: str, *options: str) -> str:
        """Run `gen refresh` in a terminal in which it must fail; return its last line."""
        with closing(self.terminal(site, *options)) as terminal:
            assert terminal.end() == 2, terminal.shown
        return terminal.shown.splitlines()[-1]

    def connected(self, site: str, alias: str, **environment: str) -> str:
        """Return the lines that ssh prints before a connection, which fails at once."""
        self.write("bin/gen", f'#!/bin/sh\nexec {sys.executable} -m generator "$@"\n')
        for command in (
            ("gen", "site", site, "--no-project", "--out", "."),
            ("ssh", "-F", f"ssh/{site}.conf", "-o", "ProxyCommand=false", alias),
        ):
            done = subprocess.run(
                command,
                env=self.environment(**environment),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        assert done.stdout == ""
        lines = done.stderr.splitlines(keepends=True)
        return "".join(line for line in lines if line.startswith(f"{site}: "))


@pytest.fixture
def user(tmp_path: Path, need: Callable[..., None]) -> Iterator[CentreUser]:
    need("setsid", "ssh-keygen")
    keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "ca")]
    subprocess.run(keygen, check=True, timeout=120)
    profile = tmp_path / ".config/gen/profile.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text("user: ada\nallocation: p1\n")
    user = CentreUser(tmp_path)
    for name, script in (("cscs-key", CSCS), ("clifton", CLIFTON), ("sshproxy.sh", SSHPROXY)):
        user.write(f"bin/{name}", f"#!/bin/sh\n{script}")
    user.write("csc_cert.py", CSC)
    yield user


def type_passphrase(terminal: Terminal) -> None:
    """Let ssh-keygen make a key pair without a passphrase."""
    terminal.expect(KEYGEN)
    for prompt in ("passphrase", "again"):
        terminal.expect(prompt)
        terminal.type("")


@pytest.mark.parametrize(
    ("site", "key", "prompt"),
    [
        pytest.param(
            "cscs-daint", "cscs-key", "Opening https://auth.cscs.ch in your browser", id="CSCS"
        ),
        pytest.param(
            "isambard-ai",
            "id_isambard-ai",
            "To log in, visit https://keycloak.isambard.ac.uk/device?user_code=ABCD-EFGH",
            id="Isambard",
        ),
    ],
)
def test_the_key_that_a_command_needs_is_made_and_the_login_is_shown(
    site: str, key: str, prompt: str, user: CentreUser
) -> None:
    with closing(user.terminal(site)) as terminal:
        type_passphrase(terminal)
        terminal.expect(prompt)
        assert terminal.end() == 0, terminal.shown
    assert f"{site}: renewed, valid until" in terminal.shown
    private_key = user.home / ".ssh" / key
    assert private_key.stat().st_mode & 0o777 == 0o600
    made = private_key.read_bytes()
    # The next certificate is for the same key, and ssh-keygen asks nothing.
    with closing(user.terminal(site, "--force")) as terminal:
        assert terminal.end() == 0, terminal.shown
    assert KEYGEN not in terminal.shown
    assert private_key.read_bytes() == made


def test_sshproxy_makes_its_own_key_and_hides_the_typed_password(user: CentreUser) -> None:
    with closing(user.terminal("nersc-perlmutter")) as terminal:
        terminal.expect("Enter the password+OTP for ada: ")
        terminal.type(PASSWORD)
        assert terminal.end() == 0, terminal.shown
    assert KEYGEN not in terminal.shown
    assert PASSWORD not in terminal.shown
    assert (user.home / ".ssh/nersc-cert.pub").exists()
    for path in (user.home / ".local/state/gen").iterdir():
        assert PASSWORD not in path.read_text()


def test_a_wrong_password_keeps_the_certificate_and_the_key(user: CentreUser) -> None:
    for password, status in ((PASSWORD, 0), ("wrong", 2)):
        with closing(user.terminal("nersc-perlmutter", "--force")) as terminal:
            terminal.expect("Enter the password+OTP for ada: ")
            terminal.type(password)
            assert terminal.end() == status, terminal.shown
    assert terminal.shown.endswith(
        "nersc-perlmutter: sshproxy.sh ended with status 2; the old certificate stays\r\n"
    )
    assert (user.home / ".ssh/nersc-cert.pub").exists()


def renew_at_roihu(user: CentreUser, *options: str) -> str:
    with closing(user.terminal("csc-roihu", *options)) as terminal:
        if not (user.home / ".ssh/id_csc-roihu").exists():
            type_passphrase(terminal)
        terminal.expect("https://my.csc.fi/login?certSign=")
        terminal.expect("6-digit code displayed in your browser to continue: ")
        terminal.type("123456")
        assert terminal.end() == 0, terminal.shown
    return terminal.shown


def test_the_script_of_roihu_runs_in_the_home_directory_before_the_end_too(
    user: CentreUser,
) -> None:
    # Another file of that name, where gen was started, never runs.
    (user.home / "checkout").mkdir()
    user.write("checkout/csc_cert.py", "open('owned', 'w')\n")
    assert "csc-roihu: renewed, valid until" in renew_at_roihu(user)
    assert "csc-roihu: renewed, valid until" in renew_at_roihu(user, "--force")
    assert not (user.home / "checkout/owned").exists()


def test_the_profile_names_the_directory_of_a_script(user: CentreUser) -> None:
    (user.home / "tools").mkdir()
    (user.home / "csc_cert.py").rename(user.home / "tools/csc_cert.py")
    line = user.refused("csc-roihu")
    assert line == (
        f"csc-roihu: {user.home}: has no csc_cert.py; to get it: download csc_cert.py from "
        "https://github.com/CSCfi/certificate-helper-tool. If it is elsewhere, set "
        "sites.csc-roihu.command_directory in ~/.config/gen/profile.yaml"
    )
    assert not (user.home / ".ssh/id_csc-roihu").exists()
    profile = user.home / ".config/gen/profile.yaml"
    own = "sites: { csc-roihu: { command_directory: ~/tools } }\n"
    profile.write_text(profile.read_text() + own)
    assert "csc-roihu: renewed, valid until" in renew_at_roihu(user)
    (user.home / "tools").rename(user.home / "moved")
    assert user.refused("csc-roihu", "--force") == (
        f"csc-roihu: {user.home}/tools: is not a directory; "
        "fix command_directory in ~/.config/gen/profile.yaml"
    )


def test_a_command_in_that_directory_need_not_be_on_the_path(user: CentreUser) -> None:
    (user.home / "bin/sshproxy.sh").rename(user.home / "sshproxy.sh")
    assert user.refused("nersc-perlmutter") == (
        "nersc-perlmutter: sshproxy.sh is not on PATH; "
        "to get it: https://docs.nersc.gov/connect/mfa/#sshproxy"
    )
    profile = user.home / ".config/gen/profile.yaml"
    profile.write_text(f"{profile.read_text()}command_directory: ~/tools\n")
    (user.home / "tools").mkdir()
    (user.home / "sshproxy.sh").rename(user.home / "tools/sshproxy.sh")
    with closing(user.terminal("nersc-perlmutter")) as terminal:
        terminal.expect("Enter the password+OTP for ada: ")
        terminal.type(PASSWORD)
        assert terminal.end() == 0, terminal.shown


def test_no_key_is_made_for_a_command_that_is_missing(user: CentreUser) -> None:
    (user.home / "bin/cscs-key").unlink()
    assert user.refused("cscs-daint") == (
        "cscs-daint: cscs-key is not on PATH; to get it: download a release from "
        "https://github.com/eth-cscs/cscs-key/releases, and move cscs-key to ~/.local/bin"
    )
    assert not (user.home / ".ssh").exists()


def test_the_sites_of_a_centre_share_its_quota(user: CentreUser) -> None:
    # CSCS issues five certificates a day to a user, for all of its clusters.
    with closing(user.terminal("cscs-daint")) as terminal:
        type_passphrase(terminal)
        assert terminal.end() == 0, terminal.shown
    for site in ("cscs-daint", "cscs-eiger", "cscs-eiger", "cscs-santis"):
        with closing(user.terminal(site, "--force")) as terminal:
            assert terminal.end() == 0, terminal.shown
    line = user.refused("cscs-clariden", "--force")
    assert line.startswith(
        "cscs-clariden: CSCS - Swiss National Supercomputing Centre (cscs-daint, cscs-eiger, "
        "cscs-santis): issued 5 certificates in the last day, its limit; the next one is possible "
    )
    # One key and one certificate serve all of them, so the others need none.
    with closing(user.terminal("cscs-clariden")) as terminal:
        assert terminal.end() == 0, terminal.shown
    assert "the certificate is valid until" in terminal.shown
    # Another centre counts by itself.
    with closing(user.terminal("isambard-ai")) as terminal:
        type_passphrase(terminal)
        assert terminal.end() == 0, terminal.shown


def test_ssh_reminds_once_before_the_end_where_only_the_user_can_renew(
    user: CentreUser, need: Callable[..., None]
) -> None:
    need("faketime")
    with closing(user.terminal("cscs-daint")) as terminal:
        type_passphrase(terminal)
        assert terminal.end() == 0, terminal.shown
    assert user.connected("cscs-daint", "daint") == ""
    # Certificates of CSCS last a day.
    later = clock("+19h")
    line = user.connected("cscs-daint", "daint", **later)
    assert line.startswith("cscs-daint: the certificate expires at ")
    assert line.endswith("), and only you can renew it: gen refresh cscs-daint\n")
    assert "(4 h 59 min)" in line or "(5 h 0 min)" in line
    assert user.connected("cscs-daint", "daint", **later) == ""
    end = (user.home / ".local/state/gen/cscs-daint.due").read_text().split()[0]
    state = json.loads((user.home / ".local/state/gen/cscs-daint.json").read_text())
    assert state["reminded_of"] == int(end)
    # After the end each connection says what to do, since each of them fails.
    for _ in range(2):
        line = user.connected("cscs-daint", "daint", **clock("+25h"))
        assert "to get a new one, run in a terminal: gen refresh cscs-daint" in line
