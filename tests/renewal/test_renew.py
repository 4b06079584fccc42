"""`gen refresh` as far as it goes without a network: what it says of a certificate, and whom it sends where."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from running import Gen, running

from generator.renewal.deadline import Deadline
from generator.renewal.state import DAY, State, store

PROFILE = "user: ada\nemail: ada@example.org\nclient_id: abc123\n"


def refused(*_: object) -> NoReturn:
    raise AssertionError("asks the network")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with a profile, and no network."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    for name in [
        name
        for name in os.environ
        if name.startswith(("GEN_", "XDG_", "ASC_", "DISPLAY", "WAYLAND_"))
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    profile = tmp_path / ".config/gen/profile.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text(PROFILE)
    return tmp_path


@pytest.fixture
def gen(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Gen:
    return running(monkeypatch, capfd.readouterr)


Certify = Callable[..., Path]


@pytest.fixture
def certify(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Certify:
    """Have ssh-keygen make a certificate for a site."""
    ca = tmp_path_factory.mktemp("ca") / "ca"

    def run(validity: str, site: str = "musica", key: str | None = None) -> Path:
        path = home / (key or f".ssh/id_{site}")
        path.parent.mkdir(exist_ok=True)
        words = [
            ["-t", "ed25519", "-N", "", "-f", str(name)] for name in (ca, path) if not name.exists()
        ]
        for options in [
            *words,
            ["-s", str(ca), "-I", "id", "-n", "ada", "-V", validity, f"{path}.pub"],
        ]:
            subprocess.run(
                ["ssh-keygen", "-q", *options], check=True, capture_output=True, timeout=30
            )
        return Path(f"{path}-cert.pub")

    return run


def state(home: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((home / ".local/state/gen/musica.json").read_text())
    return found


def due(home: Path) -> int:
    return int((home / ".local/state/gen/musica.due").read_text())


def test_a_valid_certificate_is_told_and_nothing_else_is_done(
    gen: Gen, home: Path, certify: Certify
) -> None:
    certificate = certify("20260101000000Z:20991231235959Z")
    before = certificate.read_bytes()
    result = gen("refresh", "musica")
    assert (result.status, result.out) == (0, "")
    assert result.err.startswith("musica: the certificate is valid until 2099-12-31 23:59:59 UTC (")
    assert certificate.read_bytes() == before
    assert sorted(path.name for path in (home / ".local/state/gen").iterdir()) == ["musica.due"]


def test_a_valid_certificate_costs_no_import_that_a_request_needs(
    home: Path, certify: Certify
) -> None:
    certify("20260101000000Z:20991231235959Z")
    held = {
        "ASC_OIDC_APP_PASSWORD": "held",
        "ASC_AUTHENTIK_API_TOKEN": "held",
    }  # or a keyring is asked
    code = "import sys; from generator.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code, "refresh", "musica"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **held, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert "valid until" in done.stderr, done.stderr[-500:]
    imported = {
        line.rpartition("|")[2].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert "generator.renewal.renew" in imported
    assert not imported & {"urllib3", "rich.console", "keyring"}


def test_the_hook_is_told_when_a_person_is_needed_only_once_it_has_ended(
    gen: Gen, home: Path, certify: Certify, monkeypatch: pytest.MonkeyPatch
) -> None:
    certify("20260101000000Z:20991231235959Z")
    gen("refresh", "musica")
    end = due(home)
    monkeypatch.setenv("ASC_OIDC_APP_PASSWORD", "so-it-is-unattended")
    gen("refresh", "musica")
    assert end - due(home) == 1800


@pytest.mark.parametrize(
    ("validity", "status", "says"),
    [
        pytest.param(
            "20260101000000Z:20991231235959Z", 0, "the certificate is valid until 2099", id="valid"
        ),
        pytest.param("always:forever", 0, "the certificate is valid forever", id="forever"),
        pytest.param("-1h:+5m", 1, "the certificate is valid until", id="due"),
        pytest.param("-2h:-1h", 1, "the certificate ended at", id="ended"),
        pytest.param("+1h:+2h", 1, "the certificate is not valid before", id="not yet valid"),
        pytest.param(None, 1, "there is no certificate at ~/.ssh/id_musica-cert.pub", id="missing"),
    ],
)
def test_check_only_tells(
    gen: Gen, home: Path, certify: Certify, validity: str | None, status: int, says: str
) -> None:
    if validity:
        certify(validity)
    result = gen("refresh", "musica", "--check")
    assert (result.status, result.out) == (status, "")
    assert says in result.err
    assert not (home / ".local").exists()
    record = json.loads(gen("refresh", "musica", "--check", "--json").out)
    assert (record["due"], record["renewed"], record["site"]) == (bool(status), False, "musica")
    assert (record["seconds_left"] is None) == (validity is None)


def test_without_a_terminal_a_person_is_told_what_to_type(gen: Gen, home: Path) -> None:
    result = gen("refresh", "musica")
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "musica: there is no certificate; to get a new one, type in a terminal: gen refresh musica; "
        "alone it needs ASC_OIDC_APP_PASSWORD in ~/.config/dagster-slurm/musica-auth.env\n"
    )
    assert state(home)["result"] == "failed"
    assert f"{state(home)['message']}\n" == result.err


def test_a_connection_is_never_in_danger(gen: Gen, home: Path, certify: Certify) -> None:
    """Whatever is wrong, it is one line at most, and status 0."""
    for _ in range(2):
        result = gen("refresh", "musica", "--on-connect")
        assert (result.status, result.out, result.err.count("\n")) == (0, "", 1)
    certify("-1h:+5m")  # due, but there is no need yet
    assert gen("refresh", "musica", "--on-connect") == (0, "", "")
    certify("-2h:-1h")
    assert "type in a terminal: gen refresh musica" in gen("refresh", "musica", "--on-connect").err
    (home / ".config/gen/profile.yaml").write_text("user: [\nnonsense")
    result = gen("refresh", "musica", "--on-connect")
    assert (result.status, result.out, result.err.count("\n")) == (0, "", 1)
    assert gen("refresh", "nowhere", "--on-connect").status == 0


def test_a_failure_is_told_again_to_connections_and_tried_again_after_a_minute(
    gen: Gen, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = home / ".config/dagster-slurm/musica-auth.env"
    held.parent.mkdir()
    held.touch(0o600)
    held.write_text("ASC_OIDC_APP_PASSWORD=so-it-is-unattended\n")
    monkeypatch.setenv("PATH", str(home))  # without step, and ssh-keygen
    first = gen("refresh", "musica", "--on-connect")
    assert "ssh-keygen is not on PATH" in first.err
    at = state(home)["at"]
    (home / "ssh-keygen").symlink_to("/usr/bin/ssh-keygen")
    assert gen("refresh", "musica", "--on-connect").err == first.err
    assert state(home)["at"] == at, "nothing was tried"
    assert "step is not on PATH; install it: https://" in gen("refresh", "musica").err, (
        "a person need not wait"
    )


def test_a_failure_is_not_written_into_what_another_run_is_at_work_on(gen: Gen, home: Path) -> None:
    with store("musica").lock(Deadline(5)):
        (home / ".config/dagster-slurm").mkdir()
        (home / ".config/dagster-slurm/musica-auth.env").touch(0o644)
        assert "others may read it" in gen("refresh", "musica").err
    assert not (home / ".local/state/gen/musica.json").exists()
    gen("refresh", "musica")
    assert "others may read it" in str(state(home)["message"])


@pytest.mark.parametrize(
    "stuck", [False, True], ids=["what is stuck is elsewhere", "the disk is stuck"]
)
def test_a_run_that_is_cut_off_keeps_the_next_connection_from_waiting_again(
    home: Path, stuck: bool
) -> None:
    folder = home / ".local/state/gen"
    folder.mkdir(parents=True)
    if stuck:
        os.mkfifo(folder / "musica.json")
    code = "from generator.cli import refresh; refresh._give_up('musica')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert due(home) > time.time() + 30
    if not stuck:
        assert (state(home)["result"], state(home)["message"]) == (
            "failed",
            "musica: the certificate was not renewed within 20 s",
        )


def test_what_a_secret_is_in_that_others_may_read_is_told(gen: Gen, home: Path) -> None:
    secrets = home / ".config/dagster-slurm/musica-auth.env"
    secrets.parent.mkdir()
    secrets.write_text("ASC_OIDC_APP_PASSWORD=hidden-from-others\n")
    secrets.chmod(0o644)
    result = gen("refresh", "musica")
    assert result.status == 2
    assert result.err == (
        f"musica: {secrets}: others may read it (mode 644); chmod 600 {secrets}, and renew its secrets\n"
    )


def test_a_site_gives_no_more_than_it_says(gen: Gen, home: Path) -> None:
    """cscs-daint gives five a day; its command here is a stand-in that leaves nothing."""
    spec = home / "site_specs/ours.yaml"
    spec.parent.mkdir()
    spec.write_text(
        "site: ours\ntitle: Ours\nhosts: { ours: { host: ours.example.org } }\n"
        f"auth: {{ method: certificate, command: [{home}/none.sh], max_per_day: 2 }}\n"
    )
    (home / "none.sh").write_text("#!/bin/sh\necho tried >>tries\n")
    (home / "none.sh").chmod(0o755)
    first, second, third = (gen("refresh", "ours") for _ in range(3))
    assert "left no valid certificate" in first.err + second.err
    assert third.err.startswith(
        "ours: issued 2 certificates in the last day, and gives no more; the next one at "
    )
    assert (third.status, (home / "tries").read_text()) == (2, "tried\ntried\n")


@pytest.mark.parametrize(
    ("script", "says"),
    [
        pytest.param(
            None,
            "is not on PATH; https://ours.example.org/ssh says where it is from",
            id="that is missing",
        ),
        pytest.param("exit 3", "status 3", id="that fails"),
    ],
)
def test_a_command_uses_up_no_certificate_of_the_day(
    gen: Gen, home: Path, centre: Callable[..., None], script: str | None, says: str
) -> None:
    centre(script or "", max_per_day=1)
    if script is None:
        (home / "get.sh").unlink()
    for _ in range(2):
        assert says in gen("refresh", "ours").err


COMMAND = """\
#!/bin/sh
{what}
"""


@pytest.fixture
def centre(home: Path) -> Callable[..., None]:
    """A site `ours` whose own command is a stand-in: a shell script that a test writes."""

    def write(what: str, max_per_day: int = 9) -> None:
        spec = home / "site_specs/ours.yaml"
        spec.parent.mkdir(exist_ok=True)
        spec.write_text(
            "site: ours\ntitle: Ours\ndocs: https://ours.example.org/ssh\nhosts: { ours: { host: ours.example.org } }\n"
            f"auth: {{ method: certificate, command: [{home}/get.sh, --for, '{{user}}'], secret: OURS_KEY, "
            f"max_per_day: {max_per_day} }}\n"
        )
        (home / "get.sh").write_text(COMMAND.format(what=what))
        (home / "get.sh").chmod(0o755)

    return write


def test_the_command_of_a_centre_is_run_with_its_secret_and_without_ours(
    gen: Gen,
    home: Path,
    certify: Certify,
    centre: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    new = certify("-1m:+16h", "ours").rename(home / "new")
    centre(
        f'echo "$@ $OURS_KEY ${{OURS_OIDC_APP_PASSWORD-none}}" >said; cp {new} .ssh/id_ours-cert.pub'
    )
    monkeypatch.setenv("OURS_KEY", "the-key-of-ours")
    monkeypatch.setenv("OURS_OIDC_APP_PASSWORD", "not-for-this-command")
    result = gen("refresh", "ours")
    assert (result.status, result.err[:30]) == (
        0,
        "ours: renewed, valid until 20" + result.err[29:30],
    )
    assert (home / "said").read_text() == "--for ada the-key-of-ours none\n"


@pytest.mark.parametrize(
    ("what", "says"),
    [
        pytest.param(
            "echo garbage >.ssh/id_ours-cert.pub", "left no valid certificate", id="garbage"
        ),
        pytest.param("rm .ssh/id_ours-cert.pub", "left no valid certificate", id="nothing"),
        pytest.param(
            "cp .ssh/other-cert.pub .ssh/id_ours-cert.pub",
            "left no valid certificate",
            id="of another key",
        ),
        pytest.param("true", "left the certificate as it was", id="no change"),
        pytest.param(
            "echo no luck today; echo x >.ssh/id_ours-cert.pub; exit 3",
            "no luck today",
            id="a failure",
        ),
        pytest.param(
            'echo "the key is $OURS_KEY"; exit 1',
            "get.sh failed: the key is …",
            id="a secret in its words",
        ),
    ],
)
def test_what_a_command_makes_worse_is_put_back(
    gen: Gen,
    home: Path,
    certify: Certify,
    centre: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    says: str,
) -> None:
    monkeypatch.setenv("OURS_KEY", "the-key-of-ours")
    certificate = certify("-1h:+5m", "ours")
    certify("-1h:+20h", key=".ssh/other")
    before = certificate.read_bytes()
    centre(what)
    result = gen("refresh", "ours")
    assert (result.status, certificate.read_bytes()) == (2, before)
    assert says in result.err
    assert "the-key-of-ours" not in result.err + (home / ".local/state/gen/ours.json").read_text()


@pytest.mark.parametrize(
    "validity", ["-1m:+16h", "-2h:-1h"], ids=["with a certificate", "with one that has ended"]
)
def test_a_site_without_anything_to_rotate_says_so_and_does_nothing_else(
    gen: Gen, home: Path, certify: Certify, centre: Callable[..., None], validity: str
) -> None:
    certify(validity, "ours")
    centre("touch tried")
    result = gen("refresh", "ours", "--rotate-app-password")
    assert (result.status, result.err) == (2, "ours: has no credentials that can be rotated\n")
    assert not (home / "tried").exists()


def test_a_failure_that_somebody_mended_is_forgotten(
    gen: Gen, home: Path, certify: Certify
) -> None:
    gen("refresh", "musica")
    assert state(home)["result"] == "failed"
    certify("20260101000000Z:20991231235959Z")
    assert gen("refresh", "musica").status == 0
    assert (state(home)["result"], state(home)["message"]) == ("", "")


@pytest.mark.parametrize(
    ("ahead", "says"),
    [
        pytest.param(3600, "asked to be left alone", id="an hour"),
        pytest.param(10 * DAY, "no luck", id="more than anybody asks: a clock was ahead"),
    ],
)
def test_a_pause_is_kept_that_lasts(
    gen: Gen, centre: Callable[..., None], ahead: int, says: str
) -> None:
    centre("echo no luck; exit 1")
    store("ours").write(State(pause_until=int(time.time()) + ahead))
    assert says in gen("refresh", "ours").err


def test_without_an_api_token_nothing_is_rotated(gen: Gen, home: Path, certify: Certify) -> None:
    certify("-1m:+16h")
    result = gen("refresh", "musica", "--rotate-app-password")
    assert result.status == 2
    assert (
        "holds no API token, and ASC_AUTHENTIK_API_TOKEN is not set: without one nothing can be rotated"
        in result.err
    )
