"""`gen refresh` without a network.

Its messages about a certificate, and the commands that it names.
"""

import json
import os
import random
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from running import Gen, running

from generator.cli import refresh, refresh_on_connect
from generator.clock import Deadline
from generator.renewal import certificate_file, issue
from generator.renewal.failures import UnreachableError
from generator.renewal.settings import DAY
from generator.renewal.state import State, store

PROFILE = "user: ada\nemail: ada@example.org\nclient_id: abc123\n"
LONG_LASTING = "20260101000000Z:20991231235959Z"
CREDENTIALS = ".config/dagster-slurm/musica-auth.env"


def no_network(*_: object) -> NoReturn:
    raise AssertionError("uses the network")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with a profile, and no network."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("GEN_", "XDG_", "ASC_", "DISPLAY", "WAYLAND_")):
            monkeypatch.delenv(name)
    # These tests name real sites, whose servers no test may reach.
    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
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
    """Return a function that makes a certificate for a site with ssh-keygen."""
    ca = tmp_path_factory.mktemp("ca") / "ca"

    def run(validity: str, site: str = "musica", key: str | None = None) -> Path:
        path = home / (key or f".ssh/id_{site}")
        path.parent.mkdir(exist_ok=True)
        for private_key in (ca, path):
            if not private_key.exists():
                keygen("-t", "ed25519", "-N", "", "-f", str(private_key))
        keygen("-s", str(ca), "-I", "id", "-n", "ada", "-V", validity, f"{path}.pub")
        return Path(f"{path}-cert.pub")

    return run


def keygen(*options: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *options], check=True, capture_output=True, timeout=120)


def write_credentials(home: Path, text: str = "", mode: int = 0o600) -> Path:
    path = home / CREDENTIALS
    path.parent.mkdir(exist_ok=True)
    path.touch(mode)
    path.write_text(text)
    return path


def state(home: Path, site: str = "musica") -> State:
    assert (home / f".local/state/gen/{site}.json").exists()
    return store(site).read()


def due(home: Path) -> int:
    return int((home / ".local/state/gen/musica.due").read_text().split()[0])


def run_python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments[:2], "-c", code, *arguments[2:]],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )


def test_a_valid_certificate_is_reported_and_left_alone(
    gen: Gen, home: Path, certify: Certify
) -> None:
    certificate = certify(LONG_LASTING)
    before = certificate.read_bytes()
    result = gen("refresh", "musica")
    assert (result.status, result.out) == (0, "")
    assert result.err.startswith("musica: the certificate is valid until 2099-12-31 23:59:59 UTC (")
    assert certificate.read_bytes() == before
    assert sorted(path.name for path in (home / ".local/state/gen").iterdir()) == ["musica.due"]


def test_a_valid_certificate_costs_no_import_of_an_http_client(
    home: Path, certify: Certify
) -> None:
    certify(LONG_LASTING)
    # Both secrets, or gen would ask the keyring.
    secrets = {"ASC_OIDC_APP_PASSWORD": "held", "ASC_AUTHENTIK_API_TOKEN": "held"}
    code = "from generator.__main__ import main; main()"
    done = run_python(code, "-X", "importtime", "refresh", "musica", **secrets)
    assert "valid until" in done.stderr, done.stderr[-500:]
    modules = set()
    for line in done.stderr.splitlines():
        if line.startswith("import time:"):
            modules.add(line.rpartition("|")[2].strip())
    assert "generator.renewal.renew" in modules
    # ssh waits for this run at every connection, and these imports are slow.
    assert not modules & {"urllib3", "ssl", "rich.console", "keyring"}


@pytest.mark.parametrize(
    ("validity", "ahead"),
    [
        pytest.param(LONG_LASTING, 6 * 3600, id="of years"),
        pytest.param("+0s:+16h", 4 * 3600, id="of a day's work"),
        # There is no time to be early.
        pytest.param("+0s:+1h", 0, id="of an hour"),
    ],
)
def test_ssh_runs_gen_some_hours_before_the_end_if_only_the_user_can_renew(
    gen: Gen,
    home: Path,
    certify: Certify,
    monkeypatch: pytest.MonkeyPatch,
    validity: str,
    ahead: int,
) -> None:
    certificate = certificate_file.read(certify(validity))
    assert certificate
    gen("refresh", "musica")
    assert certificate.end - due(home) == ahead
    monkeypatch.setenv("ASC_OIDC_APP_PASSWORD", "so-it-is-unattended")
    gen("refresh", "musica")
    assert certificate.end - due(home) == 1800


def test_a_connection_reminds_once_of_a_certificate_that_only_the_user_can_renew(
    gen: Gen, home: Path, certify: Certify
) -> None:
    certificate = certificate_file.read(certify("-13h:+3h"))
    assert certificate
    result = gen("refresh", "musica", "--on-connect")
    assert (result.status, result.out) == (0, "")
    assert re.fullmatch(
        r"musica: the certificate expires at \S+ \S+ UTC \((?:2 h 59|3 h 0) min\), "
        "and only you can renew it: gen refresh musica\n",
        result.err,
    )
    assert due(home) == certificate.end
    # The record counts also if another program has written the certificate again.
    (home / ".local/state/gen/musica.due").unlink()
    assert gen("refresh", "musica", "--on-connect").err == ""
    assert gen("refresh", "musica", "--check").status == 0


@pytest.mark.parametrize(
    ("validity", "status", "message"),
    [
        pytest.param(LONG_LASTING, 0, "the certificate is valid until 2099", id="valid"),
        pytest.param("always:forever", 0, "the certificate is valid forever", id="forever"),
        pytest.param("-1h:+5m", 1, "the certificate is valid until", id="due"),
        pytest.param("-2h:-1h", 1, "the certificate expired at", id="expired"),
        pytest.param("+1h:+2h", 1, "the certificate is not valid before", id="not yet valid"),
        pytest.param(None, 1, "there is no certificate at ~/.ssh/id_musica-cert.pub", id="missing"),
    ],
)
def test_check_reports_the_certificate_and_changes_nothing(
    gen: Gen, home: Path, certify: Certify, validity: str | None, status: int, message: str
) -> None:
    if validity:
        certify(validity)
    result = gen("refresh", "musica", "--check")
    assert (result.status, result.out) == (status, "")
    assert message in result.err
    assert not (home / ".local").exists()


@pytest.mark.parametrize("validity", [LONG_LASTING, "-1h:+5m", None])
def test_check_prints_json(gen: Gen, certify: Certify, validity: str | None) -> None:
    if validity:
        certify(validity)
    result = gen("refresh", "musica", "--check", "--json")
    record = json.loads(result.out)
    assert (record["format_version"], record["site"]) == ("2.0", "musica")
    assert (record["due"], record["renewed"]) == (bool(result.status), False)
    assert (record["seconds_left"] is None) == (validity is None)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["./my specs/ours.yaml"], "gen refresh './my specs/ours.yaml'"),
        (["ours", "--specs", "my specs"], "gen refresh ours --specs 'my specs'"),
    ],
    ids=["a path", "a directory of specs"],
)
def test_the_command_in_a_message_works_when_it_is_pasted(
    gen: Gen, home: Path, words: list[str], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    spec = home / "my specs/ours.yaml"
    spec.parent.mkdir()
    spec.write_text(
        "site: ours\ntitle: Ours\nhosts: { ours: { host: ours.example.org } }\n"
        "auth: { method: certificate, command: [get-certificate], lifetime: 1d }\n"
    )
    result = gen("refresh", *words, "--check")
    assert result.err.endswith(
        f"there is no certificate at ~/.ssh/id_ours-cert.pub; get one with: {command}\n"
    )
    assert gen(*shlex.split(command)[1:], "--check").err == result.err
    next_command = command.replace("refresh", "site")
    assert gen("show", *words).out.endswith(f"Next: {next_command} --out .\n")


def test_without_a_terminal_the_message_names_the_command_for_one(gen: Gen, home: Path) -> None:
    result = gen("refresh", "musica")
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "musica: there is no certificate; to get a new one, run in a terminal: gen refresh musica; "
        f"unattended renewal needs ASC_OIDC_APP_PASSWORD in ~/{CREDENTIALS}\n"
    )
    assert state(home).result == "failed"
    assert f"{state(home).message}\n" == result.err


class TestOnConnect:
    """Whatever is wrong, a connection costs one line at most, and the status is 0."""

    def test_a_missing_certificate_is_one_line_each_time(self, gen: Gen) -> None:
        for _ in range(2):
            result = gen("refresh", "musica", "--on-connect")
            assert (result.status, result.out, result.err.count("\n")) == (0, "", 1)

    def test_a_certificate_that_is_due_is_silent_while_it_is_valid(
        self, gen: Gen, certify: Certify
    ) -> None:
        certify("-1h:+5m")
        assert gen("refresh", "musica", "--on-connect") == (0, "", "")

    def test_an_expired_certificate_names_the_command(self, gen: Gen, certify: Certify) -> None:
        certify("-2h:-1h")
        result = gen("refresh", "musica", "--on-connect")
        assert "run in a terminal: gen refresh musica" in result.err

    def test_a_broken_profile_is_one_line(self, gen: Gen, home: Path) -> None:
        (home / ".config/gen/profile.yaml").write_text("user: [\nnonsense")
        result = gen("refresh", "musica", "--on-connect")
        assert (result.status, result.out, result.err.count("\n")) == (0, "", 1)

    @pytest.mark.parametrize("option", ["--on-connect", "--retry", "--force"])
    def test_an_error_of_the_profile_names_the_site_too(
        self, gen: Gen, home: Path, option: str
    ) -> None:
        """A log of the timers, or of a shell that connects to many hosts, has several sites."""
        (home / ".config/gen/profile.yaml").write_text("user: [\nnonsense")
        result = gen("refresh", "musica", option)
        assert result.err.startswith(f"musica: {home}/.config/gen/profile.yaml:")

    def test_a_question_to_ssh_renews_nothing(
        self, gen: Gen, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # gen asks ssh for settings before the user agrees to anything.
        monkeypatch.setenv("GEN_ASKS_SSH", "1")
        assert gen("refresh", "musica", "--on-connect") == (0, "", "")
        assert not (home / ".local/state/gen").exists()

    def test_an_unknown_site_has_status_0(self, gen: Gen) -> None:
        assert gen("refresh", "nowhere", "--on-connect").status == 0

    def test_a_failure_is_repeated_for_a_minute_and_a_user_need_not_wait(
        self, gen: Gen, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_credentials(home, "ASC_OIDC_APP_PASSWORD=so-it-is-unattended\n")
        monkeypatch.setenv("PATH", str(home))  # without step, and without ssh-keygen
        first = gen("refresh", "musica", "--on-connect")
        assert first.err == "musica: ssh-keygen is not on PATH; install the OpenSSH client\n"
        finished = state(home).finished
        (home / "ssh-keygen").symlink_to("/usr/bin/ssh-keygen")
        assert gen("refresh", "musica", "--on-connect").err == first.err
        assert state(home).finished == finished, "gen tried again"
        assert "step is not on PATH; install it: https://" in gen("refresh", "musica").err

    def test_a_failure_of_the_timer_does_not_keep_ssh_from_trying(
        self, gen: Gen, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_credentials(home, "ASC_OIDC_APP_PASSWORD=so-it-is-unattended\n")
        monkeypatch.setenv("PATH", str(home))
        assert "ssh-keygen is not on PATH" in gen("refresh", "musica").err
        (home / "ssh-keygen").symlink_to("/usr/bin/ssh-keygen")
        assert "step is not on PATH" in gen("refresh", "musica", "--on-connect").err
        again = gen("refresh", "musica", "--on-connect")
        assert "step is not on PATH" in again.err, "its own failure is repeated"


class TestKeyPair:
    """A renewal makes a key pair where there is none, and touches no file of another pair."""

    @pytest.fixture
    def key(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Return the path of the key; the CA is down, which the user does not know yet."""
        write_credentials(home, "ASC_OIDC_APP_PASSWORD=so-it-is-unattended\n")
        step = home / "bin/step"
        step.parent.mkdir()
        step.write_text("#!/bin/sh\necho 'connect: connection refused' >&2\nexit 1\n")
        step.chmod(0o755)
        monkeypatch.setenv("PATH", f"{step.parent}:{os.environ['PATH']}")
        key = home / ".ssh/id_musica"
        key.parent.mkdir()
        return key

    def test_a_public_key_alone_stays_alone(self, gen: Gen, key: Path) -> None:
        # Its private key is in an agent, on a token or on another machine.
        keygen("-t", "ed25519", "-N", "", "-C", "on a token", "-f", str(key))
        key.unlink()
        before = Path(f"{key}.pub").read_bytes()
        assert "connection refused" in gen("refresh", "musica").err
        assert Path(f"{key}.pub").read_bytes() == before
        assert [path.name for path in key.parent.iterdir()] == ["id_musica.pub"]

    def test_a_link_to_a_key_that_is_away_is_not_replaced(self, gen: Gen, key: Path) -> None:
        key.symlink_to("/media/stick/id_musica")
        assert f"{key}: no such file or directory" in gen("refresh", "musica").err
        assert key.is_symlink()

    def test_a_missing_pair_is_made_and_stays(self, gen: Gen, key: Path) -> None:
        gen("refresh", "musica")
        before = key.read_bytes()
        gen("refresh", "musica")
        assert key.read_bytes() == before
        assert key.stat().st_mode & 0o777 == 0o600
        assert Path(f"{key}.pub").read_text().endswith(" musica\n")


class TestRetry:
    """The timer tries again after failures that may pass, and leaves the others to the user."""

    @pytest.fixture
    def pauses(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """Return the pauses of gen, which take no time here."""
        write_credentials(home, "ASC_OIDC_APP_PASSWORD=so-it-is-unattended\n")
        monkeypatch.setattr(random, "uniform", lambda _, most: most)
        pauses: list[float] = []
        monkeypatch.setattr(refresh, "sleep", pauses.append)
        return pauses

    def write_step(self, home: Path, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Write a step that fails with a message, as the real one does without a network."""
        step = home / "bin/step"
        step.parent.mkdir(exist_ok=True)
        step.write_text(f"#!/bin/sh\necho '{message}' >&2\nexit 1\n")
        step.chmod(0o755)
        monkeypatch.setenv("PATH", f"{step.parent}:{os.environ['PATH']}")

    def test_a_network_that_is_down_is_waited_for_with_growing_pauses(
        self,
        gen: Gen,
        home: Path,
        certify: Certify,
        pauses: list[float],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.write_step(home, "dial tcp: lookup ca.example.org: no such host", monkeypatch)

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            # Another run gets a certificate: that of ssh, or of the user.
            if len(pauses) == 5:
                certify(LONG_LASTING)

        monkeypatch.setattr(refresh, "sleep", sleep)
        result = gen("refresh", "musica", "--retry")
        assert pauses == [30, 60, 120, 120, 120]
        failure, success = result.err.splitlines()
        assert "the name of the CA is not known" in failure
        assert success.startswith("musica: the certificate is valid until 2099")
        assert result.status == 0
        assert state(home).result == "", "the failure is over"

    def test_secrets_of_the_environment_serve_each_try(
        self,
        gen: Gen,
        home: Path,
        certify: Certify,
        pauses: list[float],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        # The first try takes them out of the environment, which other programs inherit.
        write_credentials(home)
        monkeypatch.setenv("ASC_OIDC_APP_PASSWORD", "so-it-is-unattended")
        self.write_step(home, "connect: connection refused", monkeypatch)

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 2:
                certify(LONG_LASTING)

        monkeypatch.setattr(refresh, "sleep", sleep)
        assert gen("refresh", "musica", "--retry").status == 0
        assert len(pauses) == 2

    @pytest.mark.parametrize(
        ("message", "text"),
        [
            pytest.param(
                'root certificate with fingerprint "00" was not found',
                "the CA has no root certificate with the fingerprint in the spec",
                id="wrong fingerprint",
            ),
            pytest.param("no idea", "step failed: no idea", id="an unknown error"),
        ],
    )
    def test_a_failure_that_does_not_pass_ends_the_run(
        self,
        gen: Gen,
        home: Path,
        pauses: list[float],
        monkeypatch: pytest.MonkeyPatch,
        message: str,
        text: str,
    ) -> None:
        self.write_step(home, message, monkeypatch)
        result = gen("refresh", "musica", "--retry")
        assert (result.status, pauses) == (2, [])
        assert text in result.err

    def test_a_renewal_that_only_the_user_can_do_ends_the_run(
        self, gen: Gen, home: Path, pauses: list[float]
    ) -> None:
        write_credentials(home)
        result = gen("refresh", "musica", "--retry")
        assert (result.status, pauses) == (2, [])
        assert "run in a terminal: gen refresh musica" in result.err

    @pytest.mark.parametrize(
        ("requested", "expected"),
        [
            pytest.param(0, [30], id="none"),
            pytest.param(60, [61], id="a minute"),
            pytest.param(3600, [], id="an hour: the timer looks again before"),
        ],
    )
    def test_a_wait_that_the_provider_asks_for_is_kept(
        self,
        gen: Gen,
        certify: Certify,
        pauses: list[float],
        monkeypatch: pytest.MonkeyPatch,
        requested: int,
        expected: list[float],
    ) -> None:
        def fail(*_: object) -> NoReturn:
            raise UnreachableError("https://auth.example.org/: answers 429", requested)

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            certify(LONG_LASTING)

        monkeypatch.setattr(issue, "certificate", fail)
        monkeypatch.setattr(refresh, "sleep", sleep)
        result = gen("refresh", "musica", "--retry")
        assert pauses == expected
        assert ("to try now, run: gen refresh musica --force" in result.err) is bool(requested)

    def test_without_the_option_a_failure_ends_the_run(
        self, gen: Gen, home: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.write_step(home, "connect: connection refused", monkeypatch)
        assert gen("refresh", "musica").status == 2
        assert pauses == []


def test_a_failure_is_not_recorded_while_another_run_holds_the_lock(gen: Gen, home: Path) -> None:
    with store("musica").lock(Deadline(5)):
        write_credentials(home, mode=0o644)
        assert "other users may read it" in gen("refresh", "musica").err
    assert not (home / ".local/state/gen/musica.json").exists()
    gen("refresh", "musica")
    assert "other users may read it" in state(home).message


@pytest.mark.parametrize(
    ("work", "message"),
    [
        pytest.param(
            "lambda _: time.sleep(9)",
            "musica: the certificate is not renewed yet; gen goes on in the background; "
            "see gen status musica\n",
            id="without a certificate",
        ),
        pytest.param("lambda valid: (valid(), time.sleep(9))", "", id="with a valid certificate"),
    ],
)
def test_a_renewal_that_hangs_is_left_to_the_background(
    home: Path, work: str, message: str
) -> None:
    # As on a home of NFS whose server is gone.
    code = (
        "import time; from generator.cli import refresh_on_connect as module; "
        f"module._LIMIT = 1; module._LIMIT_WITH_CERTIFICATE = 0.5; module.run('musica', {work})"
    )
    begun = time.monotonic()
    done = run_python(code)
    assert (done.returncode, done.stderr) == (0, message)
    # The child has closed its error output: run_python reads that to its end.
    assert time.monotonic() - begun < 8


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="gen reads /proc")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param("ssh -O check rig", True, id="first"),
        pytest.param("ssh rig -O exit", True, id="behind the host"),
        pytest.param("ssh -p 22 -Ocheck -F file rig", True, id="in one word"),
        pytest.param("/usr/bin/ssh -4TO stop rig", True, id="with other letters"),
        pytest.param("ssh rig", False, id="a connection"),
        pytest.param("ssh -o ControlMaster=no rig", False, id="another option"),
        pytest.param("ssh -l -O rig", False, id="a user of that name"),
        pytest.param("ssh rig echo -O", False, id="a command of the server"),
        pytest.param("ssh -Z -O check rig", False, id="an unknown option"),
    ],
)
def test_a_command_to_a_shared_connection_is_known_by_the_options_of_ssh(
    words: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_bytes(_: Path) -> bytes:
        return words.replace(" ", "\0").encode() + b"\0"

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert refresh_on_connect._is_control_command() is expected


def test_a_credentials_file_that_other_users_may_read_is_refused(gen: Gen, home: Path) -> None:
    path = write_credentials(home, "ASC_OIDC_APP_PASSWORD=hidden-from-others\n")
    path.chmod(0o644)
    result = gen("refresh", "musica")
    assert result.status == 2
    assert result.err == (
        f"musica: {path}: other users may read it (mode 644); "
        f"run chmod 600 {path}, and renew its secrets\n"
    )


@pytest.mark.parametrize("path", [".local/state/gen", ".config/dagster-slurm"])
def test_files_that_other_users_can_write_are_refused_and_nothing_is_sent(
    gen: Gen, home: Path, path: str
) -> None:
    write_credentials(home, "ASC_OIDC_APP_PASSWORD=so-it-is-unattended\n")
    directory = home / path
    directory.mkdir(parents=True, exist_ok=True)
    # Another user could replace the file by a link, or put secrets of an own account there.
    directory.chmod(0o777)
    result = gen("refresh", "musica")
    assert result.status == 2
    assert result.err == (
        f"musica: {directory}: other users can write to it (mode 777); "
        f"run chmod go-w {directory}, and check its contents\n"
    )


Centre = Callable[..., None]
SPEC = """\
site: ours
title: Ours
docs: https://ours.example.org/ssh
hosts: {{ ours: {{ host: ours.example.org }} }}
auth:
  method: certificate
  command: [{command}, --for, '{{user}}']
  secret: OURS_KEY
  max_per_day: {max_per_day}
"""


@pytest.fixture
def centre(home: Path) -> Centre:
    """Return a function that makes a site `ours`, whose command is a shell script of the test."""

    def write(script: str, max_per_day: int = 9) -> None:
        spec = home / "site_specs/ours.yaml"
        spec.parent.mkdir(exist_ok=True)
        command = home / "get.sh"
        spec.write_text(SPEC.format(command=command, max_per_day=max_per_day))
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)

    return write


@pytest.mark.parametrize(
    ("has_key", "first"),
    [
        pytest.param(
            False,
            "make its key with ssh-keygen -t ed25519 -f ~/.ssh/id_ours, then ",
            id="without a key",
        ),
        pytest.param(True, "", id="with a key"),
    ],
)
def test_a_site_with_a_portal_alone_names_the_page_and_the_steps(
    gen: Gen, home: Path, centre: Centre, has_key: bool, first: str
) -> None:
    centre("")
    spec = home / "site_specs/ours.yaml"
    lines = [line for line in spec.read_text().splitlines() if "command:" not in line]
    spec.write_text("\n".join([*lines, "  portal: https://ours.example.org/keys", ""]))
    if has_key:
        (home / ".ssh").mkdir()
        keygen("-t", "ed25519", "-N", "", "-f", str(home / ".ssh/id_ours"))
    assert gen("refresh", "ours").err == (
        f"ours: there is no certificate; {first}get one at https://ours.example.org/keys and save "
        f"it as {home}/.ssh/id_ours-cert.pub\n"
    )


def test_gen_does_not_ask_for_more_certificates_than_the_site_issues(
    gen: Gen, home: Path, centre: Centre
) -> None:
    centre("echo tried >>tries", max_per_day=2)
    for _ in range(2):
        assert "left no valid certificate" in gen("refresh", "ours").err
    third = gen("refresh", "ours")
    assert third.status == 2
    assert third.err.startswith(
        "ours: issued 2 certificates in the last day, its limit; the next one is possible at "
    )
    assert (home / "tries").read_text() == "tried\ntried\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param(
            None,
            "get.sh is not on PATH; https://ours.example.org/ssh says where it comes from",
            id="missing",
        ),
        pytest.param("exit 3", "get.sh failed: status 3", id="failing"),
        pytest.param(
            # A command of a site prints into the terminal of the user and into the log of CI.
            "printf '\\033]0;owned\\007::error ::x\\n'; exit 3",
            "get.sh failed: \\u001b]0;owned\\u0007::error ::x",
            id="control characters",
        ),
    ],
)
def test_a_command_that_fails_does_not_count_against_the_quota(
    gen: Gen, home: Path, centre: Centre, script: str | None, message: str
) -> None:
    centre(script or "", max_per_day=1)
    if script is None:
        (home / "get.sh").unlink()
    for _ in range(2):
        assert gen("refresh", "ours").err == f"ours: {message}\n"


def test_a_command_that_gen_stops_counts_since_the_centre_may_have_issued_a_certificate(
    gen: Gen, home: Path, centre: Centre
) -> None:
    # gen cannot know whether the centre issued a certificate before gen stopped the command, and a
    # centre may lock out users who ask too often.
    centre("head -c 2000000 /dev/zero", max_per_day=1)
    assert gen("refresh", "ours").err == "ours: get.sh printed more than 1024 KiB\n"
    assert "issued 1 certificate in the last day, its limit" in gen("refresh", "ours").err


def test_a_command_that_fails_after_it_got_a_certificate_counts(
    gen: Gen, home: Path, centre: Centre, certify: Certify
) -> None:
    certificate = certify("-1m:+10m", "ours").rename(home / "new")
    centre(f"cp {certificate} .ssh/id_ours-cert.pub; echo no agent >&2; exit 1", max_per_day=1)
    assert gen("refresh", "ours").err == "ours: get.sh failed: no agent\n"
    assert state(home, "ours").issued


class TestClockThatGoesBack:
    """The certificates of the last day count, whatever happened to the clock since."""

    def test_certificates_of_the_future_count(self, gen: Gen, home: Path, centre: Centre) -> None:
        centre("touch tried", max_per_day=2)
        second = int(time.time())
        store("ours").write(State(issued=(second + 3600, second + 90 * DAY)))
        result = gen("refresh", "ours")
        assert result.status == 2
        assert re.fullmatch(
            "ours: issued 2 certificates, its limit for a day, by a clock that was ahead of this "
            r"machine's clock now \([0-9: -]+ UTC\); if the clock is right now, run: "
            rf"rm {home}/.local/state/gen/ours.json\n",
            result.err,
        )
        assert not (home / "tried").exists()

    def test_fewer_than_the_quota_leave_room(self, gen: Gen, home: Path, centre: Centre) -> None:
        centre("touch tried", max_per_day=2)
        store("ours").write(State(issued=(int(time.time()) + 3600,)))
        gen("refresh", "ours")
        assert (home / "tried").exists()

    def test_a_clock_that_was_ahead_for_a_while_deletes_none(
        self, gen: Gen, home: Path, centre: Centre, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        centre("echo tried >>tries", max_per_day=2)
        for _ in range(2):
            gen("refresh", "ours")
        real = time.time
        # A laptop whose battery was empty, until the network sets its clock.
        monkeypatch.setattr(time, "time", lambda: real() + 3 * DAY)
        gen("refresh", "ours")
        monkeypatch.setattr(time, "time", real)
        assert "its limit" in gen("refresh", "ours").err
        assert (home / "tries").read_text() == "tried\n" * 3


SIGN = "ssh-keygen -q -s {ca} -I new -n ada -V {validity} .ssh/id_ours.pub"


@pytest.fixture
def sign(home: Path) -> Callable[[str], str]:
    """Return a function that returns the shell command of a CA; the user has a key for it."""
    ca = home / "ca"
    keygen("-t", "ed25519", "-N", "", "-f", str(ca))
    (home / ".ssh").mkdir()
    keygen("-t", "ed25519", "-N", "", "-f", str(home / ".ssh/id_ours"))

    def command(validity: str) -> str:
        return SIGN.format(ca=ca, validity=validity)

    return command


class TestNewCertificate:
    """A certificate that the command got is kept, whenever it starts and whatever comes after."""

    def test_it_may_start_while_the_command_runs(
        self, gen: Gen, centre: Centre, sign: Callable[[str], str]
    ) -> None:
        # The user types a password for some seconds, and the CA dates the certificate after that. A
        # clock that gen read before the command would call it not yet valid. Over a second,
        # because certificates have whole seconds.
        centre(f"sleep 1.1; {sign('+0s:+1d')}", max_per_day=1)
        result = gen("refresh", "ours")
        assert (result.status, result.err.count("\n")) == (0, 1)
        assert result.err.startswith("ours: renewed, valid until ")

    def test_it_may_start_within_five_minutes(
        self, gen: Gen, centre: Centre, sign: Callable[[str], str]
    ) -> None:
        # Kerberos lets clocks differ by five minutes too.
        centre(sign("+200s:+1d"), max_per_day=1)
        result = gen("refresh", "ours")
        note, renewed = result.err.splitlines()
        assert result.status == 0
        assert re.fullmatch(
            r"ours: note: this machine's clock is at least (19\d|200) s behind that of the CA; "
            "set it",
            note,
        )
        assert renewed.startswith("ours: renewed, valid until ")
        assert gen("refresh", "ours", "--check").status == 0
        assert gen("refresh", "ours").status == 0, "it is not due, so the quota does not matter"

    def test_a_later_start_is_refused_with_the_time(
        self, gen: Gen, centre: Centre, sign: Callable[[str], str]
    ) -> None:
        centre(sign("+400s:+1d"))
        result = gen("refresh", "ours")
        assert result.status == 2
        assert "left a certificate that is not valid before 20" in result.err
        assert result.err.endswith("; set the clock of this machine\n")

    @pytest.mark.parametrize("validity", ["+0s:+1d", "-1h:+2h"], ids=["later end", "earlier end"])
    def test_it_replaces_one_that_is_still_valid(
        self,
        gen: Gen,
        home: Path,
        centre: Centre,
        sign: Callable[[str], str],
        validity: str,
    ) -> None:
        subprocess.run(sign("-1h:+3h").split(), check=True, timeout=120)
        certificate = home / ".ssh/id_ours-cert.pub"
        before = certificate.read_bytes()
        centre(sign(validity))
        result = gen("refresh", "ours", "--force")
        assert (result.status, result.err[:14]) == (0, "ours: renewed,")
        assert certificate.read_bytes() != before

    def test_it_is_kept_if_the_command_fails_afterwards(
        self, gen: Gen, home: Path, centre: Centre, sign: Callable[[str], str]
    ) -> None:
        subprocess.run(sign("-1h:+5m").split(), check=True, timeout=120)
        certificate = home / ".ssh/id_ours-cert.pub"
        before = certificate.read_bytes()
        centre(f"{sign('+0s:+1d')}; echo no agent >&2; exit 1")
        assert gen("refresh", "ours").err == "ours: get.sh failed: no agent\n"
        assert certificate.read_bytes() != before
        assert gen("refresh", "ours", "--check").status == 0


def test_a_command_gets_its_own_secret_and_none_of_gens(
    gen: Gen, home: Path, certify: Certify, centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certify("-1m:+16h", "ours").rename(home / "new")
    output = 'echo "$@ $OURS_KEY ${OURS_OIDC_APP_PASSWORD-none}" >output'
    centre(f"{output}; cp {certificate} .ssh/id_ours-cert.pub")
    monkeypatch.setenv("OURS_KEY", "the-key-of-ours")
    monkeypatch.setenv("OURS_OIDC_APP_PASSWORD", "not-for-this-command")
    result = gen("refresh", "ours")
    assert result.status == 0
    assert result.err.startswith("ours: renewed, valid until 20")
    assert (home / "output").read_text() == "--for ada the-key-of-ours none\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param(
            "echo garbage >.ssh/id_ours-cert.pub", "left no valid certificate", id="garbage"
        ),
        pytest.param("rm .ssh/id_ours-cert.pub", "left no valid certificate", id="deleted"),
        pytest.param(
            "cp .ssh/other-cert.pub .ssh/id_ours-cert.pub",
            "left no valid certificate",
            id="a certificate of another key",
        ),
        pytest.param("true", "did not renew the certificate", id="unchanged"),
        pytest.param(
            "echo no luck today; echo x >.ssh/id_ours-cert.pub; exit 3",
            "get.sh failed: no luck today",
            id="a failure",
        ),
        pytest.param(
            'echo "the key is $OURS_KEY"; exit 1',
            "get.sh failed: the key is …",
            id="a secret in the output",
        ),
    ],
)
def test_a_certificate_that_a_command_makes_worse_is_restored(
    gen: Gen,
    home: Path,
    certify: Certify,
    centre: Centre,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    message: str,
) -> None:
    monkeypatch.setenv("OURS_KEY", "the-key-of-ours")
    certificate = certify("-1h:+5m", "ours")
    certify("-1h:+20h", key=".ssh/other")
    before = certificate.read_bytes()
    centre(script)
    result = gen("refresh", "ours")
    assert (result.status, certificate.read_bytes()) == (2, before)
    assert message in result.err
    assert "the-key-of-ours" not in result.err + state(home, "ours").message


@pytest.mark.parametrize("validity", ["-1m:+16h", "-2h:-1h"], ids=["valid", "expired"])
def test_a_site_without_credentials_refuses_to_rotate_and_does_nothing_else(
    gen: Gen, home: Path, certify: Certify, centre: Centre, validity: str
) -> None:
    certify(validity, "ours")
    centre("touch tried")
    result = gen("refresh", "ours", "--rotate-app-password")
    assert (result.status, result.err) == (2, "ours: has no credentials that can be rotated\n")
    assert not (home / "tried").exists()


def test_device_is_refused_by_a_site_with_a_command_of_its_own(
    gen: Gen, home: Path, centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre("touch tried")
    # Without a terminal no user could open the link.
    result = gen("refresh", "ours", "--device")
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "ours: --device needs a terminal; run in one: gen refresh ours --device\n"
    )
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert gen("refresh", "ours", "--device").err == (
        "ours: --device is for sites that log in with step; run: gen refresh ours\n"
    )
    assert not (home / "tried").exists()


def test_a_variable_for_device_has_no_effect_on_a_connection(
    gen: Gen,
    home: Path,
    centre: Centre,
    sign: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    centre(sign("+0s:+1d"))
    monkeypatch.setenv("GEN_DEVICE", "1")
    result = gen("refresh", "ours", "--on-connect")
    assert (result.status, result.err) == (0, "")
    assert (home / ".ssh/id_ours-cert.pub").exists()


def test_a_failure_that_the_user_fixed_is_forgotten(gen: Gen, home: Path, certify: Certify) -> None:
    gen("refresh", "musica")
    assert state(home).result == "failed"
    certify(LONG_LASTING)
    assert gen("refresh", "musica").status == 0
    assert (state(home).result, state(home).message) == ("", "")


@pytest.mark.parametrize(
    ("ahead", "message"),
    [
        pytest.param(3600, "the provider asked gen not to come back before", id="an hour"),
        # No provider asks for ten days: the clock was wrong when gen wrote it, and must not lock
        # the user out.
        pytest.param(10 * DAY, "get.sh failed: no luck", id="ten days, by a wrong clock"),
    ],
)
def test_a_pause_that_the_provider_asked_for_is_kept(
    gen: Gen, centre: Centre, ahead: int, message: str
) -> None:
    centre("echo no luck; exit 1")
    store("ours").write(State(pause_until=int(time.time()) + ahead))
    assert message in gen("refresh", "ours").err


def test_a_forced_renewal_that_succeeds_ends_the_pause(
    gen: Gen, home: Path, centre: Centre, sign: Callable[[str], str]
) -> None:
    centre(sign("+0s:+1d"))
    store("ours").write(State(pause_until=int(time.time()) + 3600))
    refused = gen("refresh", "ours")
    assert refused.status == 2
    assert refused.err.endswith(" UTC; to try now, run: gen refresh ours --force\n")
    assert gen("refresh", "ours", "--force").status == 0
    assert state(home, "ours").pause_until == 0


def test_without_an_api_token_nothing_is_rotated(gen: Gen, home: Path, certify: Certify) -> None:
    certify("-1m:+16h")
    result = gen("refresh", "musica", "--rotate-app-password")
    assert result.status == 2
    assert result.err == (
        f"musica: {home / CREDENTIALS}: has no API token, and ASC_AUTHENTIK_API_TOKEN is not set; "
        "rotation needs one\n"
    )


def test_a_run_that_waits_for_another_gen_says_so_first(
    gen: Gen, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generator.renewal.context._UNATTENDED_LIMIT", 0.5)
    with store("musica").lock(Deadline(5)):
        result = gen("refresh", "musica")
    waiting, end = result.err.splitlines()
    assert (result.status, waiting) == (2, "waiting for another gen …")
    assert "another gen is still running" in end
    assert "waiting" not in gen("refresh", "musica").err
