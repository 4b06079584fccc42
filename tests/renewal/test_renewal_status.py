"""`gen status`: how the certificates of a machine stand, for a person and for a program."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Gen, running

from generator.renewal.state import State, store

Stand = Callable[[str, str], None]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with a profile, and no systemd or launchd to ask."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GEN_", "XDG_", "ASC_"))]:
        monkeypatch.delenv(name)
    profile = tmp_path / ".config/gen/profile.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text("user: ada\nemail: ada@example.org\nclient_id: abc123\n")
    return tmp_path


@pytest.fixture
def gen(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Gen:
    return running(monkeypatch, capfd.readouterr)


@pytest.fixture
def stand(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Stand:
    """Give a site a certificate by ssh-keygen."""
    ca = tmp_path_factory.mktemp("ca") / "ca"

    def run(site: str, validity: str) -> None:
        key = home / f".ssh/id_{site}"
        key.parent.mkdir(exist_ok=True)
        words = [
            ["-t", "ed25519", "-N", "", "-f", str(name)] for name in (ca, key) if not name.exists()
        ]
        for options in [
            *words,
            ["-s", str(ca), "-I", "id", "-n", "ada", "-V", validity, f"{key}.pub"],
        ]:
            subprocess.run(
                ["ssh-keygen", "-q", *options], check=True, capture_output=True, timeout=30
            )

    return run


def test_a_site_that_stands_well(gen: Gen, home: Path, stand: Stand) -> None:
    stand("musica", "20260101000000Z:20991231235959Z")
    store("musica").write(State(at=1795000000, result="renewed"))
    credentials = home / ".config/dagster-slurm/musica-auth.env"
    credentials.parent.mkdir()
    credentials.touch(0o600)
    credentials.write_text(
        'ASC_OIDC_APP_PASSWORD="hidden"\nASC_OIDC_APP_PASSWORD_EXPIRES_AT="2026-12-24T18:00:00+01:00"\n'
    )
    result = gen("status", "musica")
    first, *lines = result.out.splitlines()
    assert (result.status, result.err) == (0, "")
    assert first.startswith("musica: the certificate is valid until 2099-12-31 23:59:59 UTC (")
    assert lines == [
        "  certificate   ~/.ssh/id_musica-cert.pub",
        "  renewed from  2099-12-31 23:29:59 UTC",
        "  last renewal  renewed at 2026-11-18 11:06:40 UTC",
        "  app password  ends at 2026-12-24 17:00:00 UTC",
    ]
    assert "hidden" not in result.out


@pytest.mark.parametrize(
    ("validity", "state", "says"),
    [
        pytest.param(
            "20260101000000Z:20991231235959Z",
            "valid",
            "the certificate is valid until 2099",
            id="valid",
        ),
        pytest.param("always:forever", "valid", "the certificate is valid forever", id="forever"),
        pytest.param("-1h:+5m", "due", "min), and is due", id="due"),
        pytest.param("-2h:-1h", "ended", "the certificate ended at", id="ended"),
        pytest.param(None, "missing", "there is no certificate", id="missing"),
    ],
)
def test_every_state_has_its_words(
    gen: Gen, stand: Stand, validity: str | None, state: str, says: str
) -> None:
    if validity:
        stand("musica", validity)
    assert says in gen("status", "musica").out.splitlines()[0]
    [site] = json.loads(gen("status", "musica", "--json").out)["sites"]
    assert (site["site"], site["state"], site["timer"]) == ("musica", state, None)


def test_what_is_no_certificate_is_told(gen: Gen, home: Path, stand: Stand) -> None:
    stand("musica", "-1m:+1h")
    (home / ".ssh/id_musica-cert.pub").write_text("nonsense")
    assert gen("status", "musica").out.startswith("musica: what is there is no certificate\n")
    assert json.loads(gen("status", "musica", "--json").out)["sites"][0]["state"] == "unreadable"


def test_a_failure_is_there_to_be_read(gen: Gen) -> None:
    gen("refresh", "musica")
    lines = gen("status", "musica").out.splitlines()
    assert lines[2].startswith("  last renewal  failed at 2")
    assert (
        lines[3]
        .strip()
        .startswith(
            "musica: there is no certificate; to get a new one, type in a terminal: gen refr"
        )
    )


def test_without_a_name_each_site_with_a_renewal_or_a_timer_is_told(
    gen: Gen, home: Path, stand: Stand
) -> None:
    assert (
        gen("status").err
        == "Nothing is installed or renewed on this machine yet; gen install SITE is the start\n"
    )
    stand("musica", "20260101000000Z:20991231235959Z")
    gen("refresh", "musica")
    timer = home / ".config/systemd/user/gen-cert-leonardo.timer"
    timer.parent.mkdir(parents=True)
    timer.touch()
    starts = [
        line.partition(":")[0] for line in gen("status").out.splitlines() if line and line[0] != " "
    ]
    assert starts == ["leonardo", "musica"]


def test_a_site_that_is_not_known_any_more_is_a_line_and_no_fault(
    gen: Gen, home: Path, stand: Stand
) -> None:
    stand("musica", "20260101000000Z:20991231235959Z")
    gen("refresh", "musica")
    (home / ".local/state/gen/gone.due").touch()
    result = gen("status")
    assert (result.status, result.err) == (
        0,
        "gone: note: was renewed here once, and has no spec any more\n",
    )
    assert result.out.startswith("musica: the certificate is valid")
    assert gen("status", "gone").status == 2


def test_a_site_without_certificates_that_is_not_installed_says_so(gen: Gen) -> None:
    assert gen("status", "mila") == (0, "", "mila: is not installed here; gen install mila\n")


def test_credentials_that_cannot_be_read_are_told_beside_the_rest(
    gen: Gen, home: Path, stand: Stand
) -> None:
    stand("musica", "20260101000000Z:20991231235959Z")
    credentials = home / ".config/dagster-slurm/musica-auth.env"
    credentials.parent.mkdir()
    credentials.touch(0o644)
    result = gen("status", "musica")
    assert result.status == 2
    assert result.out.startswith("musica: the certificate is valid")
    assert result.err.startswith(f"musica: {credentials}: others may read it")


@pytest.mark.parametrize(
    ("prints", "says"),
    [
        pytest.param(
            "LoadState=not-found", "not installed; gen install musica", id="not installed"
        ),
        pytest.param(
            "LoadState=loaded",
            "not running; systemctl --user enable --now gen-cert-musica.timer",
            id="not enabled",
        ),
        pytest.param("", "not known: systemctl --user does not answer", id="no answer"),
    ],
)
def test_a_timer_that_does_not_run_is_told_with_what_mends_it(
    gen: Gen, home: Path, monkeypatch: pytest.MonkeyPatch, prints: str, says: str
) -> None:
    """Its systemctl is a stand-in that prints what systemd 252 does; tests/scenarios asks the real one."""
    program = home / "bin/systemctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho {prints}\n" if prints else "#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    assert f"  timer         {says}" in gen("status", "musica").out.splitlines()
