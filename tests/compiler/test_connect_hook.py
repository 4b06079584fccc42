"""For which names, sites and people ssh looks at the certificate; what it then does is tested with ssh itself."""

import re
from typing import Any

import pytest

from generator import resources
from generator.compiler.account import Account
from generator.compiler.emitters import ssh_config
from generator.loading import validate
from generator.revisions.facts import Weight, meaning
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec

ADA = SiteProfile(user="ada", email="ada@example.org", project="p1")
STEP: dict[str, Any] = {
    "method": "step",
    "ca_url": "https://ca.example.org",
    "ca_fingerprint": "0" * 64,
    "context": "hpc",
}
COMMAND: dict[str, Any] = {"method": "certificate", "command": ["get-certificate", "--fast"]}


def site(auth: dict[str, Any] = STEP, **more: Any) -> SiteSpec:
    usual = {
        "site": "hpc",
        "title": "A cluster",
        "hosts": {"hpc": {"host": "login.example.org"}},
        "auth": auth,
    }
    return SiteSpec.model_validate(usual | more)


def lines(spec: SiteSpec, profile: SiteProfile = ADA) -> list[str]:
    """Return the Match lines of the config."""
    (artifact,) = ssh_config.emit(Account(spec, profile))
    return [line for line in artifact.content.decode().splitlines() if line.startswith("Match")]


def names(spec: SiteSpec, profile: SiteProfile = ADA) -> list[list[str]]:
    """Return the names of each Match line."""
    return [line.split()[3].split(",") for line in lines(spec, profile)]


@pytest.mark.parametrize(
    "auth",
    [
        pytest.param(STEP, id="step"),
        pytest.param(COMMAND, id="a command of the centre"),
        pytest.param(
            COMMAND | {"asks": "otp"}, id="a command that asks, which is told what to type"
        ),
        pytest.param(COMMAND | {"each_connection": True}, id="certificates that no timer renews"),
    ],
)
def test_a_certificate_is_looked_at_before_a_connection(auth: dict[str, Any]) -> None:
    assert names(site(auth)) == [["hpc", "login.example.org"]]


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
        pytest.param(STEP | {"renew_on_connect": False}, ADA, id="the spec does not want it"),
        pytest.param(
            STEP,
            ADA.model_copy(update={"renew_on_connect": False}),
            id="the person does not want it",
        ),
        pytest.param(STEP | {"key": "~/.ssh/{account}"}, ADA, id="a path that is not known yet"),
    ],
)
def test_nothing_is_run_before_a_connection_for(auth: dict[str, Any], profile: SiteProfile) -> None:
    assert lines(site(auth), profile) == []


def test_only_names_that_log_in_with_the_certificate_are_looked_at() -> None:
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
    assert names(spec) == [[*logins, "hpc-job", "cn???"]]


def test_a_pattern_that_is_left_out_is_so_for_its_own_group_alone() -> None:
    spec = site(
        compute={
            "cpu": {"match": ["c*", "!cloud"], "through": "hpc"},
            "gpu": {"match": "cl???", "through": "hpc"},
        }
    )
    assert names(spec) == [["hpc", "login.example.org", "cl???"], ["c*", "!cloud"]]


@pytest.mark.parametrize(
    ("auth", "profile", "argument"),
    [
        pytest.param(STEP, ADA, ".ssh/id_hpc-cert.pub", id="below the home folder"),
        pytest.param(
            COMMAND | {"certificate": "~/.c/{project}-c.pub"},
            ADA,
            ".c/p1-c.pub",
            id="somewhere else",
        ),
        pytest.param(
            STEP,
            ADA.model_copy(update={"identity_file": "/keys/ada lovelace/id"}),
            "/keys/ada lovelace/id-cert.pub",
            id="two words",
        ),
    ],
)
def test_the_command_is_the_same_for_all_but_for_the_site_and_the_certificate(
    auth: dict[str, Any], profile: SiteProfile, argument: str
) -> None:
    (line,) = lines(site(auth), profile)
    (usual,) = lines(site())
    assert line.endswith(f"' hpc '{argument}'\"")
    assert line.removesuffix(f" '{argument}'\"") == usual.removesuffix(" '.ssh/id_hpc-cert.pub'\"")


def test_the_command_holds_nothing_that_ssh_or_some_shell_reads_otherwise() -> None:
    """Within double quotes ssh takes a backslash or not, by its version; csh takes a ! even in single quotes."""
    (line,) = lines(validate.site(resources.CATALOGUE / "musica.yaml"))
    _, command, rest = line.split('"')
    _, script, words, certificate, end = command.split("'")
    assert (rest, words, certificate, end) == ("", " musica ", ".ssh/id_musica-cert.pub", "")
    assert not re.search(r"[\\!`]|\$\{", script)
    assert not re.search("%[^%]", script.replace("%%", ""))


def test_a_review_counts_the_switch_as_a_command_that_is_run() -> None:
    for auth in (STEP, COMMAND):
        off, on = (
            meaning(site(auth | {"renew_on_connect": switch}))[""] for switch in (False, True)
        )
        assert (off["auth.renew_on_connect"].value, on["auth.renew_on_connect"].value) == (
            ("false",),
            ("true",),
        )
        assert on["auth.renew_on_connect"].weight is Weight.TRUST
