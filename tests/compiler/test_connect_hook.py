"""The names, sites and users for which ssh checks the certificate.

The scenarios test the check with ssh itself.
"""

import re
from typing import Any

import pytest

from generator import resources
from generator.compiler.account import Account
from generator.compiler.emitters import ssh_config
from generator.loading import validate
from generator.revisions.facts import meaning
from generator.schema.meta import Weight
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec

ADA = SiteProfile(user="ada", email="ada@example.org", allocation="p1")
STEP: dict[str, Any] = {
    "method": "step",
    "ca_url": "https://ca.example.org",
    "ca_fingerprint": "0" * 64,
    "context": "hpc",
}
COMMAND: dict[str, Any] = {"method": "certificate", "command": ["get-certificate", "--fast"]}


def site(auth: dict[str, Any] = STEP, **fields: Any) -> SiteSpec:
    spec = {
        "site": "hpc",
        "title": "A cluster",
        "hosts": {"hpc": {"host": "login.example.org"}},
        "auth": auth,
    }
    return SiteSpec.model_validate(spec | fields)


def match_lines(spec: SiteSpec, profile: SiteProfile = ADA) -> list[str]:
    """Return the Match lines of the configuration that run a command."""
    (artifact,) = ssh_config.emit(Account(spec, profile))
    lines = artifact.content.decode().splitlines()
    return [line for line in lines if line.startswith("Match host * !canonical !canonical ")]


def match_names(spec: SiteSpec, profile: SiteProfile = ADA) -> list[list[str]]:
    """Return the names of each Match line."""
    return [line.split()[6].split(",") for line in match_lines(spec, profile)]


@pytest.mark.parametrize(
    "auth",
    [
        pytest.param(STEP, id="step"),
        pytest.param(COMMAND, id="a command of the site"),
        pytest.param(COMMAND | {"asks": "otp"}, id="a command that asks the user for input"),
        pytest.param(COMMAND | {"each_connection": True}, id="a certificate for each connection"),
    ],
)
def test_ssh_checks_the_certificate_before_a_connection(auth: dict[str, Any]) -> None:
    assert match_names(site(auth)) == [["hpc", "login.example.org"]]


@pytest.mark.parametrize(
    ("auth", "profile"),
    [
        pytest.param({"method": "publickey"}, ADA, id="a plain key"),
        pytest.param({"method": "keyboard", "asks": "password"}, ADA, id="a password"),
        pytest.param({"method": "kerberos", "principal": "{user}@EXAMPLE.ORG"}, ADA, id="a ticket"),
        pytest.param({"method": "agent", "fill": "fill-agent"}, ADA, id="a credential in an agent"),
        pytest.param(
            {"method": "certificate", "portal": "https://example.org/"},
            ADA,
            id="certificates from a web page",
        ),
        pytest.param(STEP | {"renew_on_connect": False}, ADA, id="switched off in the spec"),
        pytest.param(
            STEP,
            ADA.model_copy(update={"renew_on_connect": False}),
            id="switched off in the profile",
        ),
        pytest.param(STEP | {"key": "~/.ssh/{account}"}, ADA, id="an unknown path"),
    ],
)
def test_ssh_checks_nothing_for(auth: dict[str, Any], profile: SiteProfile) -> None:
    assert match_lines(site(auth), profile) == []


def test_ssh_checks_only_for_names_that_use_the_certificate() -> None:
    spec = site(
        hosts={
            "hpc": {
                "host": "login.example.org",
                "nodes": {"alias": "hpc{n}", "host": "login{n}.example.org", "n": "1-2"},
            },
            "data": {"host": "dtn.example.org", "auth": {"method": "keyboard", "asks": "password"}},
        },
        compute={"nodes": {"match": "cn???", "through": "hpc"}},
        jobs={"hpc-job": {"through": "hpc", "proxy": "start", "command": "enter"}},
    )
    logins = [
        "hpc",
        "login.example.org",
        "hpc1",
        "login1.example.org",
        "hpc2",
        "login2.example.org",
    ]
    assert match_names(spec) == [[*logins, "hpc-job", "cn???"]]


def test_a_negated_pattern_applies_only_to_its_own_group() -> None:
    spec = site(
        compute={
            # In one list, !cloud of the first group would also take `cloud` from the second.
            "cpu": {"match": ["c*", "!cloud"], "through": "hpc"},
            "gpu": {"match": "cl???", "through": "hpc"},
        }
    )
    assert match_names(spec) == [["hpc", "login.example.org", "cl???"], ["c*", "!cloud"]]


@pytest.mark.parametrize(
    ("auth", "profile", "argument"),
    [
        pytest.param(STEP, ADA, ".ssh/id_hpc-cert.pub", id="below the home directory"),
        pytest.param(
            COMMAND | {"certificate": "~/.c/{project}-c.pub"},
            ADA,
            ".c/p1-c.pub",
            id="in another directory",
        ),
        pytest.param(
            STEP,
            ADA.model_copy(update={"identity_file": "/keys/ada lovelace/id"}),
            "/keys/ada lovelace/id-cert.pub",
            id="with a space",
        ),
    ],
)
def test_the_command_differs_only_in_the_site_and_the_certificate(
    auth: dict[str, Any], profile: SiteProfile, argument: str
) -> None:
    (line,) = match_lines(site(auth), profile)
    (usual_line,) = match_lines(site())
    assert line.endswith(f"' hpc '{argument}'\"")
    assert line.removesuffix(f" '{argument}'\"") == usual_line.removesuffix(
        " '.ssh/id_hpc-cert.pub'\""
    )


@pytest.mark.parametrize(
    ("auth", "in_agent"),
    [
        pytest.param(STEP, True, id="step"),
        # gen gives the agent a key only where it makes the key itself.
        pytest.param(COMMAND, False, id="a command of the site"),
    ],
)
def test_with_its_key_in_the_agent_ssh_tests_that_too(auth: dict[str, Any], in_agent: bool) -> None:
    spec = site(auth)
    (without,) = match_lines(spec)
    (line,) = match_lines(spec, ADA.model_copy(update={"key_in_agent": True}))
    assert "ssh-add" not in without
    assert ("&& ssh-add -T $2 && exit;" in line) is in_agent
    assert line.endswith("'.ssh/id_hpc-cert.pub' '.ssh/id_hpc.pub'\"") is in_agent
    assert (line == without) is not in_agent


def test_the_command_has_no_character_that_ssh_or_a_shell_would_change() -> None:
    # Versions of ssh read a backslash differently; csh expands a ! even in single quotes. asyncssh
    # refuses the file for an equals sign.
    (line,) = match_lines(validate.site(resources.CATALOGUE / "musica.yaml"))
    _, command, end_of_line = line.split('"')
    _, script, site_name, certificate, end = command.split("'")
    assert (end_of_line, site_name, certificate, end) == (
        "",
        " musica ",
        ".ssh/id_musica-cert.pub",
        "",
    )
    assert not re.search(r"[\\!`=]|\$\{", script)
    assert not re.search("%[^%]", script.replace("%%", ""))


@pytest.mark.parametrize("auth", [STEP, COMMAND], ids=["step", "a command of the site"])
def test_a_review_reports_the_switch_as_a_change_of_trust(auth: dict[str, Any]) -> None:
    # Whoever switches it on lets ssh run a command at each connection.
    off = meaning(site(auth | {"renew_on_connect": False}))[""]["auth.renew_on_connect"]
    on = meaning(site(auth | {"renew_on_connect": True}))[""]["auth.renew_on_connect"]
    assert (off.value, on.value) == (("false",), ("true",))
    assert on.weight is Weight.TRUST
