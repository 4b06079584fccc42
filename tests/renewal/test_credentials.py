"""Where secrets come from, and the file that dagster-slurm and gen share."""

import os
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dagster_slurm.auth.authentik import AuthentikCredentials, AuthentikCredentialStore

from generator.errors import GenError
from generator.renewal.credentials import APP_PASSWORD, Credential, Kept, Sources, kept, save, write
from generator.renewal.secret import Secret

END = 1798000000
SCRATCH = ".gen-x.tmp"


def secret(value: str) -> Secret:
    return Secret(value, "a test")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "auth.env"


WHOLE = Kept(
    Credential(secret("an-app-password"), "x-app-1", END),
    Credential(secret("an-api-token"), "x-api-1", END),
)
PARTS = Kept(Credential(secret('quote" back\\slash'.replace(" ", "_")), None, None))


@pytest.mark.parametrize(
    "held", [pytest.param(WHOLE, id="whole"), pytest.param(PARTS, id="null for the rest")]
)
def test_dagster_slurm_reads_what_is_written(file: Path, held: Kept) -> None:
    save(file, held, SCRATCH)
    read = AuthentikCredentialStore(file).load()
    theirs = [
        (read.app_password, read.app_password_id, read.app_password_expires_at),
        (read.api_token, read.api_token_id, read.api_token_expires_at),
    ]
    for item, (value, identifier, expires) in zip(
        (held.app_password, held.api_token), theirs, strict=True
    ):
        assert value == (item.secret.reveal() if item.secret else None)
        assert (identifier, expires and int(expires.timestamp())) == (item.identifier, item.expires)
    assert file.stat().st_mode & 0o777 == 0o600
    assert kept(file) == held


def test_what_dagster_slurm_writes_is_read(file: Path) -> None:
    end = datetime.fromtimestamp(END, UTC)
    file.parent.mkdir()
    theirs = AuthentikCredentials("an-api-token", "x-api-1", end, "an-app-password", "x-app-1", end)
    AuthentikCredentialStore(file).save(theirs)
    assert kept(file) == WHOLE
    AuthentikCredentialStore(file).save(AuthentikCredentials(None, None, None, "an-app-password"))
    assert kept(file) == Kept(Credential(secret("an-app-password")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("# ASC_OIDC_APP_PASSWORD=x\n\nnonsense\n", None, id="a comment"),
        pytest.param("ASC_OIDC_APP_PASSWORD=plain\n", "plain", id="a value without quotes"),
        pytest.param("  ASC_OIDC_APP_PASSWORD = 'x\n", "'x", id="what is no JSON, as it stands"),
        pytest.param("ASC_OIDC_APP_PASSWORD=null\n", None, id="null is none"),
        pytest.param('ASC_OIDC_APP_PASSWORD="a=b"\n', "a=b", id="an equals sign"),
        pytest.param("ASC_OIDC_APP_PASSWORD=12345\n", "12345", id="digits"),
        pytest.param("OIDC_APP_PASSWORD=x\n", None, id="another name"),
    ],
)
def test_a_file_that_a_person_wrote(tmp_path: Path, text: str, expected: str | None) -> None:
    path = tmp_path / "auth.env"
    path.touch(0o600)
    path.write_text(text)
    found = kept(path).app_password.secret
    assert (found and found.reveal()) == expected


def test_no_file_holds_nothing(tmp_path: Path) -> None:
    assert kept(tmp_path / "folder" / "none") == Kept()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    save(file, WHOLE, SCRATCH)
    file.chmod(mode)
    with pytest.raises(GenError) as caught:
        kept(file)
    assert str(caught.value) == (
        f"{file}: others may read it (mode {mode:o}); chmod 600 {file}, and renew its secrets"
    )


def test_a_file_is_replaced_as_a_whole_and_what_a_kill_left_goes(file: Path) -> None:
    save(file, WHOLE, SCRATCH)
    file.with_name(SCRATCH).write_text("half of a secret")
    save(file, PARTS, SCRATCH)
    assert list(file.parent.iterdir()) == [file]
    assert kept(file) == PARTS


def test_a_secret_has_its_mode_from_the_first_byte(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    real = os.fsync

    def fsync(number: int) -> None:
        found = os.fstat(number).st_mode
        modes.extend(
            [stat.S_IMODE(found)] if stat.S_ISREG(found) else []
        )  # its folder is synced as well
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    before = os.umask(0)
    try:
        write(file, "secret\n", SCRATCH)
    finally:
        os.umask(before)
    assert modes == [0o600]
    assert file.parent.stat().st_mode & 0o777 == 0o700


NAME = "ASC_OIDC_APP_PASSWORD"


@pytest.fixture
def systemd(tmp_path: Path) -> Mapping[str, str]:
    """The variable that systemd sets for a unit with credentials."""
    (tmp_path / NAME).write_text("from-systemd\n")
    return {"CREDENTIALS_DIRECTORY": str(tmp_path)}


def test_a_systemd_credential_comes_before_the_environment(systemd: Mapping[str, str]) -> None:
    sources = Sources("musica", "ASC", {**systemd, NAME: "from-environment"}, keyring=False)
    assert sources.find(APP_PASSWORD) == secret("from-systemd")
    assert sources.named("OTHER") is None


def test_the_environment_is_read_and_null_is_none() -> None:
    assert Sources("musica", "ASC", {NAME: "from-environment"}, keyring=False).find(
        APP_PASSWORD
    ) == secret("from-environment")
    for value in ("", " ", "null"):
        assert Sources("musica", "ASC", {NAME: value}, keyring=False).find(APP_PASSWORD) is None


def test_the_keyring_comes_last_and_only_where_it_may_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyring of the library's own kind, in memory: a test machine has no desktop."""
    keyring = pytest.importorskip("keyring")
    backend = pytest.importorskip("keyring.backend")
    before = keyring.get_keyring()  # first, or a class of this test could be the best there is

    class Memory(backend.KeyringBackend):  # type: ignore[misc, name-defined]
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return "from-keyring" if (service, username) == ("gen-musica", NAME) else None

        def set_password(self, *_: str) -> None: ...

        def delete_password(self, *_: str) -> None: ...

    keyring.set_keyring(Memory())
    try:
        assert Sources("musica", "ASC", {}, keyring=True).find(APP_PASSWORD) == secret(
            "from-keyring"
        )
        assert Sources("musica", "ASC", {NAME: "sooner"}, keyring=True).find(
            APP_PASSWORD
        ) == secret("sooner")
        assert Sources("mila", "ASC", {}, keyring=True).find(APP_PASSWORD) is None
        assert Sources("musica", "ASC", {}, keyring=False).find(APP_PASSWORD) is None
    finally:
        keyring.set_keyring(before)


def test_without_a_keyring_there_is_nothing_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    assert Sources("musica", "ASC", {}, keyring=True).find(APP_PASSWORD) is None
