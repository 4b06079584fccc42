"""Logins with programs that do not run KnownHostsCommand: asyncssh, and OpenSSH before 8.5.

asyncssh is the real one. The old OpenSSH is a script: it has that version, and ignores the command,
as ssh does with a keyword in IgnoreUnknown (ssh_config(5)).
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from homes import spec, tree
from shell_user import Result, ShellUser
from sshd import PROGRAMS, TEST_USER, Rig, SshServer, host_key_refused, site

pytestmark = pytest.mark.system

ASYNCSSH = """import asyncio, sys
import asyncssh
async def main():
    async with asyncssh.connect(sys.argv[1]) as connection:
        print((await connection.run("echo $SERVER")).stdout, end="")
try:
    asyncio.run(main())
except (asyncssh.Error, OSError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""
OLD_SSH = """#!/bin/sh
case "$1" in -V) echo "OpenSSH_8.0p1, OpenSSL 1.1.1k" >&2; exit;; esac
exec {} -o KnownHostsCommand=none "$@"
"""
IN = (0, "login\n")


class VisitingUser:
    """A user who has installed a site with one server, and knew it before."""

    def __init__(self, rig: Rig, server: SshServer) -> None:
        self.rig = rig
        self.server = server
        self.shell = ShellUser(rig.home)
        self.path = os.environ["PATH"]
        entry = f"Host *\n  User {TEST_USER.pw_name}\n  IdentityFile {rig.key('ed25519-ada')}\n"
        (rig.home / ".ssh/config").write_text(
            f"{entry}Host before\n  HostName localhost\n  Port {server.port}\n"
        )

    def install(self, pins: dict[str, Any], **keys: Any) -> Result:
        """Install the site with some pins."""
        keys = {"auth": {"method": "publickey", "key": str(self.rig.key("ed25519-ada"))}} | keys
        path = spec(self.rig.directory, **site(self.server, pins, **keys))
        # The user agrees that the name gets other keys than those in known_hosts.
        options = ("--user", TEST_USER.pw_name, "--allow-name", "localhost", "--yes")
        result = self.gen("install", str(path), *options)
        assert result.returncode == 0, result.stderr
        return result

    def knows(self, *keys: str) -> None:
        """Put keys of the server into the known_hosts of the user, as earlier logins do."""
        lines = [f"[localhost]:{self.server.port} {self.rig.public(key)}\n" for key in keys]
        (self.rig.home / ".ssh/known_hosts").write_text("".join(lines))

    def asyncssh(self, name: str = "rig") -> Result:
        """Log in with asyncssh."""
        return self.shell.run(sys.executable, "-c", ASYNCSSH, name)

    def ssh(self, *arguments: str) -> Result:
        """Log in with the ssh on the PATH."""
        batch = ("-o", "BatchMode=yes")
        arguments = arguments or ("rig",)
        return self.shell.run("ssh", *batch, *arguments, "echo $SERVER", PATH=self.path)

    def gen(self, *arguments: str) -> Result:
        """Run gen, which asks the ssh on the PATH."""
        return self.shell.gen(*arguments, PATH=self.path)

    def use_old_ssh(self) -> None:
        """Put an OpenSSH that cannot check fingerprints on the PATH."""
        directory = self.rig.directory / "old"
        directory.mkdir()
        (directory / "ssh").write_text(OLD_SSH.format(shutil.which("ssh")))
        (directory / "ssh").chmod(0o755)
        self.path = f"{directory}:{self.path}"

    def gen_directory(self) -> dict[str, str]:
        """Return the files that gen has installed for ssh."""
        directory = self.rig.home / ".ssh/gen.d"
        return {path.name: path.read_text() for path in directory.iterdir()}


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    need(*PROGRAMS, root=True)
    with Rig(tmp_path / "rig") as rig:
        yield rig


def served(rig: Rig, key: str, *lines: str) -> VisitingUser:
    return VisitingUser(rig, rig.serve("login", [key], *lines))


def answer(result: Result) -> tuple[int, str]:
    return result.returncode, result.stdout


def whole_key(rig: Rig) -> dict[str, Any]:
    return {"keys": rig.public("ed25519")}


def authority(rig: Rig) -> dict[str, Any]:
    return {"authorities": {"hosts": "localhost", "key": rig.public("ecdsa-ca")}}


def fingerprint(rig: Rig) -> dict[str, Any]:
    return {"fingerprints": {"ed25519": rig.fingerprint("ed25519")}}


def test_asyncssh_goes_on_with_the_host_that_it_knew_where_the_spec_has_the_whole_key(
    rig: Rig,
) -> None:
    user = served(rig, "ed25519")
    user.knows("ed25519")
    before = tree(rig.home)
    assert answer(user.asyncssh("before")) == IN
    user.install(whole_key(rig))
    (rig.home / ".ssh/known_hosts").unlink()
    assert answer(user.asyncssh()) == IN
    user.knows("ed25519")
    assert user.gen("uninstall", "rig", "--yes").returncode == 0
    assert tree(rig.home) == before
    assert answer(user.asyncssh("before")) == IN


def test_asyncssh_takes_a_host_certificate_of_a_pinned_authority(rig: Rig) -> None:
    certified = rig.certify("ed25519", "ecdsa-ca", "-h", "-n", "localhost")
    user = served(rig, "ed25519", f"HostCertificate {certified}-cert.pub")
    user.install(authority(rig))
    assert answer(user.asyncssh()) == IN


@pytest.mark.parametrize("pins", [whole_key, authority, fingerprint])
def test_asyncssh_refuses_an_impostor_that_known_hosts_has(
    rig: Rig, pins: Callable[[Rig], dict[str, Any]]
) -> None:
    user = served(rig, "ed25519-other")
    user.knows("ed25519-other")
    assert answer(user.asyncssh("before")) == IN
    user.install(pins(rig))
    result = user.asyncssh()
    assert (result.returncode, result.stdout) == (1, "")
    # It asks for a certificate if only an authority is pinned; the server has none, and hangs up.
    if pins is not authority:
        assert result.stderr.startswith("HostKeyNotVerifiable: ")
    assert len(user.server.logins()) == 1


def test_asyncssh_refuses_a_revoked_key(rig: Rig) -> None:
    user = served(rig, "ed25519")
    keys = {"source": "test", "reason": "the private key was published"}
    revoked = {"leaked": {**keys, "keys": rig.public("ed25519")}}
    user.install({"keys": rig.public("ed25519-new")}, revoked_keys=revoked)
    assert user.asyncssh().stderr.startswith("HostKeyNotVerifiable: ")


@pytest.mark.parametrize("pins", [whole_key, authority])
def test_an_old_ssh_checks_whole_keys(rig: Rig, pins: Callable[[Rig], dict[str, Any]]) -> None:
    certified = rig.certify("ed25519", "ecdsa-ca", "-h", "-n", "localhost")
    user = served(rig, "ed25519", f"HostCertificate {certified}-cert.pub")
    user.use_old_ssh()
    installed = user.install(pins(rig))
    assert "OpenSSH" not in installed.stdout + installed.stderr
    assert answer(user.ssh()) == IN
    assert answer(user.ssh("RIG")) == IN
    assert (rig.home / ".ssh/known_hosts").exists() is False


@pytest.mark.parametrize("pins", [whole_key, authority])
def test_an_old_ssh_refuses_an_impostor_that_known_hosts_has(
    rig: Rig, pins: Callable[[Rig], dict[str, Any]]
) -> None:
    user = served(rig, "ed25519-other")
    user.knows("ed25519-other")
    user.use_old_ssh()
    assert answer(user.ssh("before")) == IN
    user.install(pins(rig))
    assert host_key_refused(user.ssh())
    assert host_key_refused(user.ssh("RIG"))


def test_an_old_ssh_uses_the_known_hosts_of_the_user_where_it_cannot_check_fingerprints(
    rig: Rig,
) -> None:
    user = served(rig, "ed25519")
    user.knows("ed25519")
    user.use_old_ssh()
    before = tree(rig.home)
    assert answer(user.ssh("before")) == IN
    installed = user.install(fingerprint(rig))
    message = (
        "host keys: OpenSSH 8.0 cannot check the pinned fingerprints of rig, localhost, so it uses "
        "your own known_hosts, as before; for the pins, install OpenSSH 8.5 or newer, then run: "
        "gen install rig\n"
    )
    assert installed.stderr.count("OpenSSH") == 2
    assert message in installed.stderr
    assert answer(user.ssh()) == IN
    assert answer(user.ssh("RIG")) == IN
    status = user.gen("status", "rig")
    assert f"  {message}" in status.stdout
    # A key that the user has not accepted stays out.
    (rig.home / ".ssh/known_hosts").unlink()
    assert host_key_refused(user.ssh())
    user.knows("ed25519")
    assert user.gen("uninstall", "rig", "--yes").returncode == 0
    assert tree(rig.home) == before


@pytest.mark.parametrize("options", [(), ("-oStrictHostKeyChecking=no",)], ids=["usual", "off"])
def test_a_new_ssh_checks_the_pins_in_a_home_directory_where_an_old_one_installed_them(
    rig: Rig, options: tuple[str, ...]
) -> None:
    # Several machines may share a home directory, and an ssh may be updated.
    user = served(rig, "ed25519-other")
    user.knows("ed25519-other")
    new = user.path
    user.use_old_ssh()
    user.install(fingerprint(rig))
    assert answer(user.ssh()) == IN
    user.path = new
    result = user.ssh(*options, "rig")
    assert host_key_refused(result), result
    assert "is not one of the pinned keys; compare them: gen status rig --live" in result.stderr
    assert host_key_refused(user.ssh(*options, "RIG"))


def test_an_update_of_ssh_and_a_second_installation_leave_the_pins_alone(rig: Rig) -> None:
    user = served(rig, "ed25519")
    new = user.path
    user.use_old_ssh()
    user.install(fingerprint(rig))
    assert set(user.gen_directory()) == {"+rig.conf", "rig.conf"}
    user.path = new
    assert answer(user.ssh()) == IN
    user.install(fingerprint(rig))
    assert set(user.gen_directory()) == {"rig.conf"}
    assert answer(user.ssh()) == IN


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-oStrictHostKeyChecking=no",),
        ("-oStrictHostKeyChecking=accept-new",),
        ("-oUserKnownHostsFile=~/.ssh/known_hosts",),
    ],
    ids=lambda options: " ".join(options) or "usual",
)
@pytest.mark.parametrize("pins", [whole_key, authority])
def test_a_present_ssh_adds_no_key_to_the_file_of_the_pins(
    rig: Rig, pins: Callable[[Rig], dict[str, Any]], options: tuple[str, ...]
) -> None:
    user = served(rig, "ed25519-other")
    user.knows("ed25519-other")
    user.install(pins(rig))
    files = user.gen_directory()
    assert host_key_refused(user.ssh(*options, "rig"))
    assert user.gen_directory() == files
    # Even where the user has put the checks off above gen's block: then it must not last.
    config = rig.home / ".ssh/config"
    config.write_text(f"StrictHostKeyChecking no\n{config.read_text()}")
    user.ssh(*options, "rig")
    assert user.gen_directory() == files


def test_an_entry_does_not_get_the_keys_of_another_entry_at_the_same_machine(rig: Rig) -> None:
    # The file has the keys by host name and port, so it has those of both entries.
    user = served(rig, "ed25519-other")
    machine = {"host": "localhost", "port": user.server.port}
    pinned = {
        "first": {"hosts": "rig", "source": "test", **whole_key(rig)},
        "second": {"hosts": "data", "source": "test", "keys": rig.public("ed25519-other")},
    }
    user.install({}, hosts={"rig": machine, "data": machine}, host_keys=pinned)
    assert host_key_refused(user.ssh())
    assert answer(user.ssh("data")) == IN
