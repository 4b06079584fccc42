"""`key_in_agent: true` in the profile: the key behind a certificate is in the ssh agent alone."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from sshd import logged_in
from step_ca import KEY, STATE, Member

pytestmark = [pytest.mark.system, pytest.mark.long]


@pytest.fixture
def agent(member: Member) -> Iterator[str]:
    """The socket of an agent; the profile keeps the key there."""
    profile = member.home / ".config/gen/profile.yaml"
    values = YAML(typ="safe").load(profile) | {"key_in_agent": True}
    with profile.open("w") as file:
        YAML(typ="safe").dump(values, file)
    yield member.rig.agent()


def private_keys(member: Member) -> list[Path]:
    """Return the files with a private key of the user."""
    keys = []
    for path in member.home.rglob("*"):
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes()[:40]:
            keys.append(path)
    return keys


def agent_keys(member: Member, agent: str) -> str:
    listed = member.run("ssh-add", "-l", SSH_AUTH_SOCK=agent)
    return listed.stdout if listed.returncode == 0 else ""


def test_the_key_is_in_the_agent_alone_and_logs_in(member: Member, agent: str) -> None:
    assert "renewed, valid until" in member.renewed(SSH_AUTH_SOCK=agent).stderr
    assert private_keys(member) == []
    assert member.temporary() == []
    kinds = re.findall(r"\((ED25519\S*)\)", agent_keys(member, agent))
    assert sorted(kinds) == ["ED25519", "ED25519-CERT"]
    assert logged_in(member.login(SSH_AUTH_SOCK=agent))
    assert "ED25519-CERT" in member.server.logins()[0]
    # It is not due, so nothing is requested.
    assert "the certificate is valid" in member.renewed(SSH_AUTH_SOCK=agent).stderr
    assert member.provider.count() == 1


def test_ssh_gets_a_new_key_after_the_agent_has_lost_it(member: Member, agent: str) -> None:
    member.renewed(SSH_AUTH_SOCK=agent)
    assert logged_in(member.login(SSH_AUTH_SOCK=agent))
    before = member.certificate.read_bytes()
    # As after a restart of the agent; the certificate itself is good for hours.
    subprocess.run(["ssh-add", "-q", "-D"], env={"SSH_AUTH_SOCK": agent}, check=True, timeout=60)
    assert logged_in(member.login(SSH_AUTH_SOCK=agent))
    assert member.certificate.read_bytes() != before
    assert private_keys(member) == []
    assert member.provider.count() == 2


def test_each_connection_costs_one_test_of_the_agent_while_the_key_is_there(
    member: Member, agent: str, need: Callable[..., None]
) -> None:
    member.renewed(SSH_AUTH_SOCK=agent)
    assert logged_in(member.login(SSH_AUTH_SOCK=agent))
    (member.home / ".local/bin/gen").write_text("#!/bin/sh\ntouch ~/started\n")
    assert logged_in(member.login(SSH_AUTH_SOCK=agent))
    assert not (member.home / "started").exists()


def test_the_agent_forgets_the_key_with_the_certificate(
    member: Member, agent: str, need: Callable[..., None]
) -> None:
    member.settle(credentials=False)
    profile = member.home / ".config/gen/profile.yaml"
    values = YAML(typ="safe").load(profile)
    values |= {"key_in_agent": True, "extra_step_args": ["--not-after", "5s"]}
    with profile.open("w") as file:
        YAML(typ="safe").dump(values, file)
    member.renewed(SSH_AUTH_SOCK=agent)
    for _ in range(60):
        if not agent_keys(member, agent):
            break
        subprocess.run(["sleep", "0.5"], check=True)
    assert agent_keys(member, agent) == ""


def test_without_an_agent_the_message_says_how_to_start_one(member: Member, agent: str) -> None:
    assert member.refused() == (
        "rig: there is no ssh agent, where key_in_agent of your profile keeps the key; "
        "run: eval $(ssh-agent)\n"
    )
    assert member.provider.count() == 0
    assert private_keys(member) == []


def test_a_timer_without_the_agent_leaves_a_good_certificate_alone(
    member: Member, agent: str
) -> None:
    member.renewed(SSH_AUTH_SOCK=agent)
    assert "the certificate is valid" in member.renewed().stderr
    # Due, it can be renewed in the session of the user alone.
    assert "there is no ssh agent" in member.refused("--force")


def test_a_key_on_the_disk_is_never_replaced_by_one_in_the_agent(
    member: Member, agent: str
) -> None:
    member.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(member.home / KEY))
    before = (member.home / KEY).read_bytes()
    line = member.refused(SSH_AUTH_SOCK=agent)
    assert "exists, and with key_in_agent the key is in the agent alone; run: mv " in line
    assert (member.home / KEY).read_bytes() == before
    assert not (member.home / STATE / "rig.work").exists()
    assert member.provider.count() == 0
