"""The sources of secrets, and the file that dagster-slurm and gen share."""

import os
import stat
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dagster_slurm.auth.authentik import AuthentikCredentials, AuthentikCredentialStore

from generator.errors import GenError
from generator.renewal.credentials import (
    APP_PASSWORD,
    Credential,
    Credentials,
    Sources,
    read,
    rotation_due,
    save,
    write_secret_file,
)
from generator.renewal.secret import Secret

EXPIRES = 1798000000
SCRATCH = ".gen-x.tmp"
DAY = 86_400


def secret(value: str) -> Secret:
    return Secret(value, "a test")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "directory" / "auth.env"


COMPLETE = Credentials(
    Credential(secret("an-app-password"), "x-app-1", EXPIRES),
    Credential(secret("an-api-token"), "x-api-1", EXPIRES),
)
ONE_SECRET = Credentials(Credential(secret('quote"_back\\slash'), None, None))


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param(COMPLETE, id="complete"),
        pytest.param(ONE_SECRET, id="one secret, null for the rest"),
    ],
)
def test_dagster_slurm_reads_the_saved_file(file: Path, credentials: Credentials) -> None:
    save(file, credentials, SCRATCH)
    # dagster-slurm reads the same file on its own; its parser and not ours decides whether it can.
    loaded = AuthentikCredentialStore(file).load()
    check_same(
        credentials.app_password,
        loaded.app_password,
        loaded.app_password_id,
        loaded.app_password_expires_at,
    )
    check_same(
        credentials.api_token, loaded.api_token, loaded.api_token_id, loaded.api_token_expires_at
    )
    assert file.stat().st_mode & 0o777 == 0o600
    assert read(file) == credentials


def check_same(
    saved: Credential, value: str | None, identifier: str | None, expires: datetime | None
) -> None:
    assert value == (saved.secret.reveal() if saved.secret else None)
    assert identifier == saved.identifier
    assert (expires and int(expires.timestamp())) == saved.expires


def test_a_file_that_dagster_slurm_saved_is_read(file: Path) -> None:
    expires = datetime.fromtimestamp(EXPIRES, UTC)
    file.parent.mkdir()
    complete = AuthentikCredentials(
        "an-api-token", "x-api-1", expires, "an-app-password", "x-app-1", expires
    )
    AuthentikCredentialStore(file).save(complete)
    assert read(file) == COMPLETE
    AuthentikCredentialStore(file).save(AuthentikCredentials(None, None, None, "an-app-password"))
    assert read(file) == Credentials(Credential(secret("an-app-password")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("# ASC_OIDC_APP_PASSWORD=x\n\nnonsense\n", None, id="a comment"),
        pytest.param("ASC_OIDC_APP_PASSWORD=plain\n", "plain", id="a value without quotes"),
        pytest.param("  ASC_OIDC_APP_PASSWORD = 'x\n", "'x", id="a value that is not JSON"),
        pytest.param("ASC_OIDC_APP_PASSWORD=null\n", None, id="null"),
        pytest.param('ASC_OIDC_APP_PASSWORD="a=b"\n', "a=b", id="an equals sign"),
        pytest.param("ASC_OIDC_APP_PASSWORD=12345\n", "12345", id="digits"),
        pytest.param("OIDC_APP_PASSWORD=x\n", None, id="another name"),
    ],
)
def test_a_file_that_a_user_wrote_is_read(tmp_path: Path, text: str, expected: str | None) -> None:
    path = tmp_path / "auth.env"
    path.touch(0o600)
    path.write_text(text)
    app_password = read(path).app_password.secret
    assert (app_password and app_password.reveal()) == expected


@pytest.mark.parametrize(
    "value",
    [
        # json.loads raises RecursionError, and a traceback would print the line with the secret.
        pytest.param("[" * 100_000, id="deep nesting"),
        pytest.param('["x"]', id="a list"),
        pytest.param('{"a": "x"}', id="an object"),
    ],
)
def test_an_expiry_that_is_not_a_time_counts_as_unknown(tmp_path: Path, value: str) -> None:
    path = tmp_path / "auth.env"
    path.touch(0o600)
    path.write_text(f"ASC_OIDC_APP_PASSWORD=x\nASC_OIDC_APP_PASSWORD_EXPIRES_AT={value}\n")
    assert read(path) == Credentials(Credential(secret("x")))


def test_a_missing_file_has_no_credentials(tmp_path: Path) -> None:
    assert read(tmp_path / "directory" / "none") == Credentials()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_other_users_may_read_is_refused(file: Path, mode: int) -> None:
    save(file, COMPLETE, SCRATCH)
    file.chmod(mode)
    with pytest.raises(GenError) as caught:
        read(file)
    assert str(caught.value) == (
        f"{file}: other users may read it (mode {mode:o}); "
        f"run chmod 600 {file}, and renew its secrets"
    )


def test_a_fifo_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "auth.env"
    os.mkfifo(path, 0o600)
    with pytest.raises(GenError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: is a FIFO; move it away, then try again"


def test_a_file_beyond_one_mebibyte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "auth.env"
    path.touch(0o600)
    path.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(GenError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: is larger than 1 MiB; store the credentials alone"


def test_saving_replaces_the_whole_file_and_the_scratch_file_of_a_killed_run(file: Path) -> None:
    save(file, COMPLETE, SCRATCH)
    file.with_name(SCRATCH).write_text("half of a secret")
    save(file, ONE_SECRET, SCRATCH)
    assert list(file.parent.iterdir()) == [file]
    assert read(file) == ONE_SECRET


def test_a_secret_file_is_private_from_its_first_byte(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    real = os.fsync

    def fsync(number: int) -> None:
        mode = os.fstat(number).st_mode
        if stat.S_ISREG(mode):  # its directory is synced as well
            modes.append(stat.S_IMODE(mode))
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    # Without a umask the mode is the one that the code asks for. A chmod after the write would
    # leave a moment in which others can read.
    before = os.umask(0)
    try:
        write_secret_file(file, "secret\n", SCRATCH)
    finally:
        os.umask(before)
    assert modes == [0o600]
    assert file.parent.stat().st_mode & 0o777 == 0o700


def expiring(expires: int | None, identifier: str | None = "x") -> Credentials:
    return Credentials(Credential(secret("an-app-password"), identifier, expires))


@pytest.mark.parametrize(
    ("credentials", "rotated", "due"),
    [
        pytest.param(Credentials(), 0, False, id="no credentials"),
        pytest.param(expiring(10 * DAY), 0, False, id="ten days left"),
        pytest.param(expiring(6 * DAY), 0, True, id="six days left"),
        pytest.param(expiring(0), 0, True, id="expired"),
        pytest.param(expiring(None), 0, False, id="no expiry at the provider"),
        # Neither its identifier nor its end is known, so gen replaces it by one of its own.
        pytest.param(expiring(None, identifier=None), 0, True, id="pasted by the user"),
        # A week ahead would mean to rotate at once, and again at every run.
        pytest.param(expiring(6 * DAY), -DAY, False, id="a lifetime of seven days, one passed"),
        pytest.param(expiring(3 * DAY), -4 * DAY, True, id="a lifetime of seven days, four passed"),
    ],
)
def test_credentials_are_rotated_a_week_ahead_or_at_half_of_their_lifetime(
    credentials: Credentials, rotated: int, due: bool
) -> None:
    start = 1_800_000_000
    app_password = credentials.app_password
    if app_password.expires is not None:
        expires = start + app_password.expires
        app_password = Credential(app_password.secret, app_password.identifier, expires)
    shifted = Credentials(app_password)
    assert rotation_due(shifted, 7 * DAY, rotated and start + rotated, start) is due


NAME = "ASC_OIDC_APP_PASSWORD"


def allow(secret: str) -> None:
    """Let the site use every secret."""


@pytest.fixture
def systemd(tmp_path: Path) -> Mapping[str, str]:
    """The variable that systemd sets for a unit with credentials."""
    (tmp_path / NAME).write_text("from-systemd\n")
    return {"CREDENTIALS_DIRECTORY": str(tmp_path)}


def test_a_systemd_credential_comes_before_the_environment(systemd: Mapping[str, str]) -> None:
    sources = Sources(
        "musica", "ASC", {**systemd, NAME: "from-environment"}, use_keyring=False, check=allow
    )
    assert sources.find(APP_PASSWORD) == secret("from-systemd")
    assert sources.named("OTHER") is None


def test_a_variable_of_the_environment_is_found() -> None:
    sources = Sources("musica", "ASC", {NAME: "from-environment"}, use_keyring=False, check=allow)
    assert sources.find(APP_PASSWORD) == secret("from-environment")


@pytest.mark.parametrize("value", ["", " ", "null"])
def test_an_empty_variable_is_not_a_secret(value: str) -> None:
    sources = Sources("musica", "ASC", {NAME: value}, use_keyring=False, check=allow)
    assert sources.find(APP_PASSWORD) is None


def test_the_keyring_comes_last_and_only_if_it_may_ask() -> None:
    # The keyring is one in memory, since a test machine has no desktop.
    keyring = pytest.importorskip("keyring")
    backend = pytest.importorskip("keyring.backend")
    # Before the class below exists: keyring would choose it as the best one.
    before = keyring.get_keyring()

    class Memory(backend.KeyringBackend):  # type: ignore[misc, name-defined]
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            if (service, username) == ("gen-musica", NAME):
                return "from-keyring"
            return None

        def set_password(self, *_: str) -> None: ...

        def delete_password(self, *_: str) -> None: ...

    keyring.set_keyring(Memory())
    try:
        with_variable = Sources("musica", "ASC", {NAME: "sooner"}, use_keyring=True, check=allow)
        assert with_variable.find(APP_PASSWORD) == secret("sooner")
        alone = Sources("musica", "ASC", {}, use_keyring=True, check=allow)
        assert alone.find(APP_PASSWORD) == secret("from-keyring")
        other_site = Sources("mila", "ASC", {}, use_keyring=True, check=allow)
        assert other_site.find(APP_PASSWORD) is None
        without = Sources("musica", "ASC", {}, use_keyring=False, check=allow)
        assert without.find(APP_PASSWORD) is None
    finally:
        keyring.set_keyring(before)


def test_without_the_keyring_package_the_keyring_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert Sources("musica", "ASC", {}, use_keyring=True, check=allow).find(APP_PASSWORD) is None
