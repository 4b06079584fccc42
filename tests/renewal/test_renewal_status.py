"""`gen status`: the certificates of a machine, for a user and for a program."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Gen, running

from generator.renewal.state import State, store

Certify = Callable[[str, str], None]
LONG_LASTING = "20260101000000Z:20991231235959Z"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with a profile, and no systemd or launchd to ask."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        # Those of whoever runs the tests would count as options and credentials.
        if name.startswith(("GEN_", "XDG_", "ASC_")):
            monkeypatch.delenv(name)
    profile = tmp_path / ".config/gen/profile.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text("user: ada\nemail: ada@example.org\nclient_id: abc123\n")
    return tmp_path


@pytest.fixture
def gen(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Gen:
    return running(monkeypatch, capfd.readouterr)


@pytest.fixture
def certify(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Certify:
    """Return a function that makes a certificate for a site with ssh-keygen."""
    ca = tmp_path_factory.mktemp("ca") / "ca"

    def run(site: str, validity: str) -> None:
        key = home / f".ssh/id_{site}"
        key.parent.mkdir(exist_ok=True)
        for private_key in (ca, key):
            if not private_key.exists():
                keygen("-t", "ed25519", "-N", "", "-f", str(private_key))
        keygen("-s", str(ca), "-I", "id", "-n", "ada", "-V", validity, f"{key}.pub")

    return run


def keygen(*options: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *options], check=True, capture_output=True, timeout=120)


def write_credentials(home: Path, text: str, mode: int = 0o600) -> Path:
    path = home / ".config/dagster-slurm/musica-auth.env"
    path.parent.mkdir()
    # The mode is what gen looks at first.
    path.touch(mode)
    path.write_text(text)
    return path


def test_a_site_that_is_renewed(gen: Gen, home: Path, certify: Certify) -> None:
    certify("musica", LONG_LASTING)
    store("musica").write(
        State(finished=1795000000, result="renewed", rotation_failure="https://x/: answers 503")
    )
    write_credentials(
        home,
        'ASC_OIDC_APP_PASSWORD="hidden"\n'
        'ASC_OIDC_APP_PASSWORD_EXPIRES_AT="2126-12-24T18:00:00+01:00"\n'
        'ASC_AUTHENTIK_API_TOKEN="hidden-too"\n'
        'ASC_AUTHENTIK_API_TOKEN_EXPIRES_AT="2026-01-24T18:00:00+01:00"\n',
    )
    result = gen("status", "musica")
    first, *lines = result.out.splitlines()
    assert (result.status, result.err) == (0, "")
    assert first.startswith("musica: the certificate is valid until 2099-12-31 23:59:59 UTC (")
    assert lines == [
        "  certificate   ~/.ssh/id_musica-cert.pub",
        "  renewed from  2099-12-31 23:29:59 UTC",
        "  last renewal  renewed at 2026-11-18 11:06:40 UTC",
        "  rotation      failed: https://x/: answers 503",
        "  app password  expires at 2126-12-24 17:00:00 UTC",
        "  api token     expired at 2026-01-24 17:00:00 UTC",
    ]
    # A status is pasted into tickets.
    assert "hidden" not in result.out


@pytest.mark.parametrize(
    ("validity", "state", "message"),
    [
        pytest.param(LONG_LASTING, "valid", "the certificate is valid until 2099", id="valid"),
        # Such a certificate is never due, and 2**64 seconds are no date.
        pytest.param("always:forever", "valid", "the certificate is valid forever", id="forever"),
        pytest.param("-1h:+5m", "due", "min), and due for renewal", id="due"),
        pytest.param("-2h:-1h", "expired", "the certificate expired at", id="expired"),
        pytest.param(None, "missing", "there is no certificate", id="missing"),
    ],
)
def test_every_state_has_its_message(
    gen: Gen, certify: Certify, validity: str | None, state: str, message: str
) -> None:
    if validity:
        certify("musica", validity)
    assert message in gen("status", "musica").out.splitlines()[0]
    [site] = json.loads(gen("status", "musica", "--json").out)["sites"]
    # No timer is installed, which is not an error by itself.
    assert (site["site"], site["state"], site["timer"]) == ("musica", state, None)


def test_json_has_every_key_even_without_a_value(gen: Gen) -> None:
    record = json.loads(gen("status", "musica", "--json").out)
    assert record["format_version"] == "2.0"
    assert sorted(record["sites"][0]) == [
        "api_token_expires",
        "app_password_expires",
        "certificate",
        "credentials_error",
        "due",
        "last_result",
        "last_run",
        "linger",
        "message",
        "rotation_failure",
        "site",
        "state",
        "timer",
        "valid_before",
    ]


def test_a_file_that_is_not_a_certificate_is_reported(gen: Gen, home: Path) -> None:
    path = home / ".ssh/id_musica-cert.pub"
    path.parent.mkdir()
    path.write_text("nonsense")
    assert gen("status", "musica").out.startswith("musica: the file is not a certificate\n")
    assert json.loads(gen("status", "musica", "--json").out)["sites"][0]["state"] == "unreadable"


def test_a_failure_is_shown(gen: Gen) -> None:
    gen("refresh", "musica")
    lines = gen("status", "musica").out.splitlines()
    assert lines[2].startswith("  last renewal  failed at 2")
    assert lines[3].strip().startswith("musica: there is no certificate; to get a new one, run in")


def test_a_message_in_the_state_file_cannot_drive_the_terminal(gen: Gen, home: Path) -> None:
    # The message is of a CA, and the file may be of a restored backup.
    store("musica").write(State(finished=1, result="failed", message="\033]0;owned\a\nnext"))
    assert r"\u001b]0;owned\u0007\u000anext" in gen("status", "musica").out


def test_without_a_name_each_site_with_a_renewal_or_a_timer_is_shown(
    gen: Gen, home: Path, certify: Certify
) -> None:
    certify("musica", LONG_LASTING)
    gen("refresh", "musica")
    # A timer without any run yet.
    timer = home / ".config/systemd/user/gen-cert-leonardo.timer"
    timer.parent.mkdir(parents=True)
    timer.touch()
    headings = []
    for line in gen("status").out.splitlines():
        if line and line[0] != " ":
            headings.append(line.partition(":")[0])
    assert headings == ["leonardo", "musica"]


def test_a_machine_without_sites_names_the_command_to_begin_with(gen: Gen) -> None:
    assert gen("status").err == ("Nothing is installed here yet. Begin with: gen install SITE\n")


def test_a_site_that_no_longer_has_a_spec_is_a_note(gen: Gen, home: Path, certify: Certify) -> None:
    certify("musica", LONG_LASTING)
    gen("refresh", "musica")
    # The spec was of a directory that has been deleted since.
    (home / ".local/state/gen/gone.due").touch()
    result = gen("status")
    assert result.status == 0
    note = "was renewed here once, and no longer has a spec; to forget that: gen uninstall gone"
    assert result.err == f"gone: note: {note}\n"
    assert result.out.startswith("musica: the certificate is valid")
    assert gen("status", "gone").status == 2


def test_a_site_without_certificates_that_is_not_installed_says_so(gen: Gen) -> None:
    message = "mila: is not installed; install it with: gen install mila\n"
    assert gen("status", "mila") == (0, "", message)


def test_unreadable_credentials_are_an_error_below_the_rest(
    gen: Gen, home: Path, certify: Certify
) -> None:
    certify("musica", LONG_LASTING)
    path = write_credentials(home, "", mode=0o644)
    result = gen("status", "musica")
    assert result.status == 2
    assert result.out.startswith("musica: the certificate is valid")
    assert result.err.startswith(f"musica: {path}: other users may read it (mode 644)")


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        pytest.param(
            "LoadState=not-found",
            "not installed; install it with: gen install musica",
            id="not installed",
        ),
        pytest.param(
            "LoadState=loaded",
            "not running; start it with: systemctl --user enable --now gen-cert-musica.timer",
            id="not enabled",
        ),
        pytest.param("", "unknown: systemctl --user does not answer", id="no answer"),
    ],
)
def test_a_timer_that_does_not_run_names_the_command_that_starts_it(
    gen: Gen, home: Path, monkeypatch: pytest.MonkeyPatch, properties: str, message: str
) -> None:
    # The systemctl here prints what systemd 252 does. tests/scenarios/test_units_run.py asks the
    # real one.
    program = home / "bin/systemctl"
    program.parent.mkdir()
    script = f"echo {properties}" if properties else "exit 1"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    assert f"  timer         {message}" in gen("status", "musica").out.splitlines()
