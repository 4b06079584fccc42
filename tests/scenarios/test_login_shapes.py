"""Rare ways to log in.

A smart card, several prompts in any order, a menu or a command at a bastion, another form of the
user name, a name with two addresses.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sshd import PROGRAMS, TEST_USER, Rig, SshServer, host_key_refused, mount_over, site
from terminal import Terminal

pytestmark = pytest.mark.system

LIBRARY = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "271828"


@pytest.fixture
def rig(need: Callable[..., None], tmp_path: Path) -> Iterator[Rig]:
    need(*PROGRAMS, root=True)
    with Rig(tmp_path) as rig:
        yield rig


def pin(rig: Rig, alias: str, key: str) -> dict[str, Any]:
    return {"hosts": alias, "source": "test", "fingerprints": {"ed25519": rig.fingerprint(key)}}


class Card:
    """A smart card with one key, as SoftHSM has it in a directory."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        configuration = directory / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {directory}\n")
        self.environment = {"SOFTHSM2_CONF": str(configuration)}
        self._run("softhsm2-util", "--init-token", "--free", "--label", "ada", *self._pins())
        tool = ("pkcs11-tool", "--module", str(LIBRARY), "--login", "--pin", PIN)
        self._run(*tool, "--keypairgen", "--key-type", "rsa:2048", "--id", "01", "--label", "ssh")

    @staticmethod
    def _pins() -> tuple[str, ...]:
        return ("--pin", PIN, "--so-pin", PIN)

    @property
    def public_key(self) -> str:
        """The public key, as ssh reads it from the card."""
        return self._run("ssh-keygen", "-D", str(LIBRARY))

    def _run(self, *command: str) -> str:
        environment = os.environ | self.environment
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def card(need: Callable[..., None], tmp_path: Path) -> Card:
    need("softhsm2-util", "pkcs11-tool", "ssh-keygen")
    return Card(tmp_path / "card")


def login_with(rig: Rig, config: Path, card: Card) -> Terminal:
    """Start a login with a card, in a terminal."""
    ssh = [
        *mount_over(TEST_USER.pw_dir, rig.home),
        "ssh",
        "-F",
        str(config),
        "rig",
        "echo in $SERVER",
    ]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", **card.environment}
    return Terminal(*ssh, environment=environment)


def site_of_cards(rig: Rig, card: Card, pinned: str) -> Path:
    """Serve a machine that lets the card in, and compile its site with the pin of a host key."""
    keys = rig.directory / "authorized_keys"
    keys.write_text(card.public_key)
    # The first value of a keyword counts.
    login = rig.serve("login", ["ed25519"], f"AuthorizedKeysFile {keys}")
    spec = site(login, {}, auth={"method": "smartcard"})
    spec["host_keys"] = {"login": pin(rig, "rig", pinned)}
    return rig.compile(spec, "--pkcs11-provider", str(LIBRARY))


def test_a_smart_card_logs_in_with_its_pin(rig: Rig, card: Card) -> None:
    config = site_of_cards(rig, card, "ed25519")
    terminal = login_with(rig, config, card)
    terminal.expect("Enter PIN for")
    terminal.type(PIN)
    assert (terminal.end(), terminal.shown.split()[-2:]) == (0, ["in", "login"])


def test_another_card_is_refused(rig: Rig, card: Card, tmp_path: Path) -> None:
    config = site_of_cards(rig, card, "ed25519")
    terminal = login_with(rig, config, Card(tmp_path / "other"))
    # Refused by its public key: ssh does not even ask for the PIN.
    assert terminal.end() == 255
    assert "Permission denied (publickey)" in terminal.shown
    assert "PIN" not in terminal.shown


def test_a_card_does_not_make_an_impostor_trusted(rig: Rig, card: Card) -> None:
    config = site_of_cards(rig, card, "ed25519-other")
    result = rig.ssh(config, "rig", "true", **card.environment)
    assert host_key_refused(result)


def test_without_the_library_in_the_profile_the_site_compiles_and_says_so(
    rig: Rig, need: Callable[..., None]
) -> None:
    need("sshd")
    login = rig.serve("login", ["ed25519"])
    spec = site(login, {"fingerprints": {"ed25519": rig.fingerprint("ed25519")}})
    config = rig.compile(spec | {"auth": {"method": "smartcard"}})
    assert "PKCS11Provider" not in config.read_text()
    gen = [sys.executable, "-m", "generator", "site", str(rig.directory / "rig.yaml"), "--dry-run"]
    done = subprocess.run([*gen, "--json"], capture_output=True, text=True, check=True)
    assert '"pkcs11_provider"' in done.stdout


def bastion(rig: Rig, login: SshServer, pinned: str) -> Path:
    spec = site(login, {})
    spec["hosts"]["rig"]["command"] = "printenv SERVER"
    spec["host_keys"] = {"login": pin(rig, "rig", pinned)}
    return rig.compile(spec)


def test_a_login_at_a_bastion_runs_the_command_that_leads_on(rig: Rig) -> None:
    login = rig.serve("login", ["ed25519"])
    result = rig.ssh(bastion(rig, login, "ed25519"), "rig")
    assert (result.returncode, result.stdout.strip()) == (0, "login")


def test_the_command_runs_at_no_impostor(rig: Rig) -> None:
    login = rig.serve("login", ["ed25519"])
    result = rig.ssh(bastion(rig, login, "ed25519-other"), "rig")
    assert host_key_refused(result)
    assert login.logins() == []


def test_of_two_addresses_of_a_name_ssh_takes_the_family_in_the_spec(rig: Rig) -> None:
    rig.hosts = rig.directory / "hosts"
    rig.hosts.write_text("::1 both.rig.test\n127.0.0.1 both.rig.test\n")
    login = rig.serve("login", ["ed25519"])
    spec = site(login, {})
    entry = {"host": "both.rig.test", "port": login.port}
    spec["hosts"] = {
        "rig": entry | {"address_family": "inet"},
        "rig6": entry | {"address_family": "inet6"},
    }
    spec["host_keys"] = {"login": pin(rig, "rig", "ed25519"), "six": pin(rig, "rig6", "ed25519")}
    config = rig.compile(spec)
    assert rig.login(config, "rig").stdout == "login\n"
    # The server listens at 127.0.0.1 alone.
    refused = rig.login(config, "rig6")
    assert refused.returncode == 255
    assert "Connection refused" in refused.stderr


# A PAM module that asks questions and compares the answers; its arguments are both, in turn. The
# headers of PAM are not needed for two functions.
PAM_MODULE = r"""
#include <stdlib.h>
#include <string.h>
int pam_prompt(void *, int, char **, const char *, ...);
int pam_sm_setcred(void *pam, int flags, int count, const char **texts) { return 0; }
int pam_sm_authenticate(void *pam, int flags, int count, const char **texts) {
    int wrong = 0;
    for (int i = 0; i + 1 < count; i += 2) {
        char *answer = NULL;
        pam_prompt(pam, 1, &answer, "%s", texts[i]); /* 1: PAM_PROMPT_ECHO_OFF */
        wrong |= answer == NULL || strcmp(answer, texts[i + 1]) != 0;
        free(answer);
    }
    return wrong ? 7 : 0; /* PAM_AUTH_ERR */
}
"""
OTP = ("Your OTP: ", "314159")
PASSWORD = ("Password: ", "word-of-ada")
PROJECT = ("Project (1: red, 2: blue): ", "2")


def serve_prompts(rig: Rig, *prompts: tuple[str, str]) -> SshServer:
    """Start an sshd whose PAM asks some questions at each login, in this order."""
    source, module = rig.directory / "prompts.c", rig.directory / "prompts.so"
    source.write_text(PAM_MODULE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(module), str(source)], check=True)
    # Brackets quote an argument (pam.conf(5)).
    texts = " ".join(f"[{text}]" for prompt in prompts for text in prompt)
    service = rig.directory / "pam_sshd"
    service.write_text(
        f"auth required {module} {texts}\n"
        "account required pam_permit.so\nsession required pam_permit.so\n"
    )
    lines = ("UsePAM yes", "KbdInteractiveAuthentication yes", "PubkeyAuthentication no")
    return rig.serve("login", ["ed25519"], *lines, files={"/etc/pam.d/sshd": service})


def terminal_login(rig: Rig, config: Path) -> Terminal:
    """Start a login in a terminal, with one attempt."""
    ssh = ["ssh", "-F", str(config), "-o", "NumberOfPasswordPrompts=1", "rig", "echo in $SERVER"]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    return Terminal(*mount_over(TEST_USER.pw_dir, rig.home), *ssh, environment=environment)


@pytest.mark.parametrize(
    ("prompts", "asks"),
    [
        pytest.param((OTP, PASSWORD), ["otp", "password"], id="code first, as at HAICORE"),
        pytest.param((PASSWORD, OTP), ["password", "otp"], id="password first, as at COSMOS"),
        pytest.param(
            (PASSWORD, OTP, PROJECT),
            ["password", "otp", "project"],
            id="a menu of projects, as at Bianca",
        ),
    ],
)
def test_a_login_with_several_prompts_in_any_order(
    rig: Rig, need: Callable[..., None], prompts: tuple[tuple[str, str], ...], asks: list[str]
) -> None:
    need("gcc")
    login = serve_prompts(rig, *prompts)
    spec = site(login, {}, auth={"method": "keyboard", "asks": asks})
    spec["host_keys"] = {"login": pin(rig, "rig", "ed25519")}
    config = rig.compile(spec)
    terminal = terminal_login(rig, config)
    terminal.answer(*prompts)
    assert (terminal.end(), terminal.shown.split()[-2:]) == (0, ["in", "login"])
    # The right answers in another order are wrong ones.
    refused = terminal_login(rig, config)
    for (question, _), (_, answer) in zip(prompts, reversed(prompts), strict=True):
        refused.expect(question)
        refused.type(answer)
    assert refused.end() == 255
    assert "Permission denied" in refused.shown


def test_prompts_are_not_shown_for_an_impostor(rig: Rig, need: Callable[..., None]) -> None:
    need("gcc")
    login = serve_prompts(rig, OTP, PASSWORD)
    spec = site(login, {}, auth={"method": "keyboard", "asks": ["otp", "password"]})
    spec["host_keys"] = {"login": pin(rig, "rig", "ed25519-other")}
    terminal = terminal_login(rig, rig.compile(spec))
    assert terminal.end() == 255
    assert "Host key verification failed" in terminal.shown
    assert "OTP" not in terminal.shown


def test_a_host_has_another_form_of_the_user_name(rig: Rig) -> None:
    # At Anvil, the user ada is x-ada.
    users = rig.directory / "passwd"
    account = f"x-{TEST_USER.pw_name}:x:{TEST_USER.pw_uid}:{TEST_USER.pw_gid}::/:/bin/sh\n"
    users.write_text(Path("/etc/passwd").read_text() + account)
    login = rig.serve("login", ["ed25519"], files={"/etc/passwd": users})
    spec = site(login, {})
    entry = spec["hosts"]["rig"]
    spec["hosts"] = {"rig": entry | {"user": "x-{user}"}, "plain": entry}
    spec["host_keys"] = {"a": pin(rig, "rig", "ed25519"), "b": pin(rig, "plain", "ed25519")}
    config = rig.compile(spec)
    assert rig.login(config, "rig").stdout == "login\n"
    assert f"Accepted publickey for x-{TEST_USER.pw_name} " in login.logins()[0]
    assert rig.login(config, "plain").stdout == "login\n"
    assert f"Accepted publickey for {TEST_USER.pw_name} " in login.logins()[1]
