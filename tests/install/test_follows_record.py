"""An installed site follows its record, whatever the current directory or a newer catalogue has."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from homes import names_in, spec, tree
from running import Gen

STATE = ".local/state/gen/install"
Marks = Callable[[str], dict[str, Any]]


@pytest.fixture
def command_that_marks(tmp_path: Path) -> Marks:
    """Return an authentication whose command creates a file of some name beside the home."""

    def authentication(name: str) -> dict[str, Any]:
        command = ["touch", str(tmp_path / name)]
        return {"method": "certificate", "command": command, "lifetime": "1d"}

    return authentication


def test_refresh_runs_the_command_of_the_installation_and_not_of_a_checkout(
    gen: Gen, home: Path, tmp_path: Path, command_that_marks: Marks
) -> None:
    original = spec(Path(), auth=command_that_marks("installed"))
    assert gen("install", str(original), "--yes").status == 0
    checkout = Path("site_specs")
    checkout.mkdir()
    # A repository that the user cloned: its spec for an installed site must not run.
    spec(checkout, auth=command_that_marks("checkout"))
    gen("refresh", "ours", "--force")
    assert (tmp_path / "installed").exists()
    assert not (tmp_path / "checkout").exists()


@pytest.mark.parametrize("options", [[], ["--force"], ["--on-connect"]], ids=str)
def test_refresh_runs_no_command_of_a_checkout_for_a_site_that_is_not_installed(
    gen: Gen,
    home: Path,
    tmp_path: Path,
    command_that_marks: Marks,
    options: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("site_specs").mkdir()
    # The catalogue has a site of this name too: the user means that one.
    spec(Path("site_specs"), "musica", auth=command_that_marks("checkout"))
    result = gen("refresh", "musica", *options)
    message = (
        "musica: is not installed, and site_specs/musica.yaml may come from anybody; to run what "
        "it names: gen refresh ./site_specs/musica.yaml, or install the site: gen install musica"
    )
    # Before a connection, ssh goes on with what there is.
    status = 0 if options == ["--on-connect"] else 2
    assert (result.status, message in result.err) == (status, True), result
    assert not (tmp_path / "checkout").exists()
    # The user names the spec, or is where only they write.
    gen("refresh", "./site_specs/musica.yaml")
    assert (tmp_path / "checkout").exists()
    (tmp_path / "checkout").unlink()
    Path("site_specs").rename(home / "site_specs")
    monkeypatch.chdir(home)
    gen("refresh", "musica", *options)
    assert (tmp_path / "checkout").exists()


def test_refresh_does_not_depend_on_the_original_file(
    gen: Gen, home: Path, tmp_path: Path, command_that_marks: Marks
) -> None:
    original = spec(Path(), auth=command_that_marks("installed"))
    assert gen("install", str(original), "--yes").status == 0
    spec(Path(), auth=command_that_marks("changed"))
    spec(home / ".config/gen/site_specs", auth=command_that_marks("edited"))
    gen("refresh", "ours", "--force")
    original.unlink()
    gen("refresh", "ours", "--force")
    assert (tmp_path / "installed").exists()
    assert not (tmp_path / "changed").exists()
    assert not (tmp_path / "edited").exists()


@pytest.mark.parametrize(
    "options", [["./ours.yaml"], ["ours", "--specs", "."]], ids=["a path", "--specs"]
)
def test_an_explicit_spec_goes_before_the_installed_one(
    gen: Gen, home: Path, tmp_path: Path, command_that_marks: Marks, options: list[str]
) -> None:
    original = spec(Path(), auth=command_that_marks("installed"))
    assert gen("install", str(original), "--yes").status == 0
    spec(Path(), auth=command_that_marks("explicit"))
    gen("refresh", *options, "--force")
    assert (tmp_path / "explicit").exists()
    assert not (tmp_path / "installed").exists()


def test_without_the_copy_refresh_runs_no_other_spec(
    gen: Gen, home: Path, tmp_path: Path, command_that_marks: Marks
) -> None:
    original = spec(Path(), auth=command_that_marks("installed"))
    assert gen("install", str(original), "--yes").status == 0
    copy = home / STATE / "ours.yaml"
    copy.unlink()
    result = gen("refresh", "ours", "--force")
    assert (result.status, result.err) == (
        2,
        f"{copy}: the copy of the installed spec is missing; run gen install ours\n",
    )
    assert not (tmp_path / "installed").exists()
    assert gen("install", str(original), "--yes").status == 0
    assert copy.exists()


def test_status_ignores_a_checkout(gen: Gen, home: Path) -> None:
    assert gen("install", "mila", "--user", "ada", "--yes").status == 0
    before = gen("status", "mila")
    checkout = Path("site_specs")
    checkout.mkdir()
    spec(checkout, "mila")
    assert gen("status", "mila") == before
    assert before.status == 0


KEYS = {
    # An attacker's checkout names the user's files as keys, for `uninstall --purge` to delete.
    "mila": {"host": "a.example.org", "auth": {"method": "publickey", "key": "~/.ssh/id_ed25519"}},
    "m2": {"host": "b.example.org", "auth": {"method": "publickey", "key": "~/thesis.tex"}},
    "m3": {"host": "c.example.org", "auth": {"method": "publickey", "key": "~/.ssh/id_work"}},
}


PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n"
PUBLIC_KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ada@laptop\n"
)


def write_keys(home: Path, *names: str) -> None:
    (home / ".ssh").mkdir(mode=0o700, exist_ok=True)
    for name in names:
        (home / name).write_text(PUBLIC_KEY if name.endswith(".pub") else PRIVATE_KEY)


def test_purge_deletes_the_keys_of_the_installation_and_not_of_a_checkout(
    gen: Gen, home: Path
) -> None:
    assert gen("install", "mila", "--user", "ada", "--yes").status == 0
    write_keys(home, ".ssh/id_mila", ".ssh/id_ed25519", ".ssh/id_work", "thesis.tex")
    checkout = Path("site_specs")
    checkout.mkdir()
    spec(checkout, "mila", hosts=KEYS)
    result = gen("uninstall", "mila", "--purge", "--yes")
    assert (result.status, "  purged    ~/.ssh/id_mila\n" in result.err) == (0, True)
    assert not (home / ".ssh/id_mila").exists()
    for name in (".ssh/id_ed25519", ".ssh/id_work", "thesis.tex"):
        assert (home / name).read_text() == PRIVATE_KEY


def test_purge_keeps_default_keys_files_elsewhere_and_earlier_keys_and_says_why(
    gen: Gen, home: Path
) -> None:
    write_keys(home, ".ssh/id_work")
    assert gen("install", str(spec(Path(), "mila", hosts=KEYS)), "--yes").status == 0
    write_keys(home, ".ssh/id_ed25519", ".ssh/id_work.pub", ".ssh/id_mila", "thesis.tex")
    result = gen("uninstall", "mila", "--purge", "--yes")
    assert result.status == 0
    assert [line for line in result.err.splitlines() if " stays: " in line] == [
        "  ~/thesis.tex stays: it is neither in ~/.ssh nor in ~/.config",
        "  ~/.ssh/id_work stays: it existed before the site was installed",
        "  ~/.ssh/id_ed25519 stays: it is a default key of ssh, so other hosts may need it",
    ]
    assert names_in(home / ".ssh") == ["id_ed25519", "id_work"]
    assert (home / "thesis.tex").exists()


def test_a_tampered_copy_of_the_spec_deletes_nothing(gen: Gen, home: Path) -> None:
    assert gen("install", "mila", "--user", "ada", "--yes").status == 0
    write_keys(home, ".ssh/id_work")
    copy = home / STATE / "mila.yaml"
    copy.write_text(
        copy.read_text().replace("method: publickey", "method: publickey\n  key: ~/.ssh/id_work")
    )
    assert "id_work" in copy.read_text()
    before = tree(home)
    result = gen("uninstall", "mila", "--purge", "--yes")
    assert result.status == 2
    assert result.err == (
        f"{copy}: is not the spec that was installed; run gen install mila, then try again\n"
    )
    assert tree(home) == before


FOREIGN_FILES = {
    "~/.ssh/authorized_keys": PUBLIC_KEY + PUBLIC_KEY,
    "~/.ssh/known_hosts": f"login.example.org {PUBLIC_KEY}",
    "~/.config/gh/hosts.yml": "oauth_token: x",
    # A link that leads to another directory: the path looks like one below ~/.ssh.
    "~/.ssh/link/id_work": PRIVATE_KEY,
}


@pytest.mark.parametrize("path", FOREIGN_FILES)
@pytest.mark.parametrize("kind", ["key", "certificate", "credentials"])
def test_purge_deletes_no_file_of_another_kind_that_the_spec_names(
    gen: Gen, home: Path, path: str, kind: str
) -> None:
    step = {"method": "step", "ca_url": "https://ca.example.org", "context": "ca"}
    step |= {"ca_fingerprint": "0" * 64}
    provider = {"api_base": "https://sso.example.org", "credentials_file": path}
    auth: dict[str, dict[str, Any]] = {
        "key": {"method": "publickey", "key": path},
        "certificate": {"method": "certificate", "certificate": path},
        "credentials": step
        | {"authentik": provider | {"app_password_file": path}}
        | {"oidc": {"token_url": "https://sso.example.org/token"}},
    }
    result = gen("install", str(spec(Path(), auth=auth[kind])), "--yes", "--user", "ada")
    assert result.status == 0, result.err
    file = home / path.removeprefix("~/")
    (home / "documents").mkdir()
    (home / ".ssh/link").symlink_to(home / "documents")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(FOREIGN_FILES[path])
    result = gen("uninstall", "ours", "--purge", "--yes")
    assert result.status == 0
    assert file.read_text() == FOREIGN_FILES[path]
    assert f"  {path} stays: it " in result.err


def test_purge_deletes_the_credentials_and_the_app_password_that_gen_wrote(
    gen: Gen, home: Path
) -> None:
    auth = {
        "method": "step",
        "ca_url": "https://ca.example.org",
        "context": "ca",
        "ca_fingerprint": "0" * 64,
        "oidc": {"token_url": "https://sso.example.org/token"},
        "authentik": {
            "api_base": "https://sso.example.org",
            "credentials_file": "~/.config/ours/auth.env",
            "app_password_file": "~/.config/ours/app_password",
        },
    }
    assert gen("install", str(spec(Path(), auth=auth)), "--yes", "--user", "ada").status == 0
    directory = home / ".config/ours"
    directory.mkdir(parents=True)
    credentials = directory / "auth.env"
    credentials.write_text('ASC_OIDC_APP_PASSWORD="abc"\n')
    credentials.chmod(0o600)
    (directory / "app_password").write_text("abc\n")
    assert gen("uninstall", "ours", "--purge", "--yes").status == 0
    assert names_in(directory) == []


def test_purge_keeps_a_key_that_existed_before_an_update_named_it(gen: Gen, home: Path) -> None:
    # The record of the first installation has another key; an update must not make the user's key
    # gen's.
    path = spec(Path(), auth={"method": "publickey", "key": "~/.ssh/id_first"})
    assert gen("install", str(path), "--yes").status == 0
    write_keys(home, ".ssh/id_first", ".ssh/id_work")
    spec(Path(), auth={"method": "publickey", "key": "~/.ssh/id_work"})
    assert gen("install", str(path), "--yes").status == 0
    result = gen("uninstall", "ours", "--purge", "--yes")
    assert "~/.ssh/id_work stays: it existed before the site was installed" in result.err
    assert names_in(home / ".ssh", "id_*") == ["id_first", "id_work"]


def test_purge_keeps_keys_of_which_the_record_does_not_say_who_made_them(
    gen: Gen, home: Path
) -> None:
    write_keys(home, ".ssh/id_ours")
    path = str(spec(Path(), auth={"method": "publickey", "key": "~/.ssh/id_ours"}))
    assert gen("install", path, "--yes").status == 0
    # The way that gen names to get rid of a damaged record.
    (home / ".local/state/gen/install/home.json").unlink()
    plan = gen("uninstall", "ours", "--purge", "--dry-run").err
    reason = "gen's record does not say whether it is older than the site"
    assert f"~/.ssh/id_ours stays: {reason}" in plan
    # An update makes it no more gen's.
    assert gen("install", path, "--yes").status == 0
    result = gen("uninstall", "ours", "--purge", "--yes")
    assert "~/.ssh/id_ours stays: it existed before the site was installed" in result.err
    assert names_in(home / ".ssh", "id_*") == ["id_ours"]


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param("~/.ssh/../.ssh/id_ours", id="two dots"),
        pytest.param("~/.ssh/./id_ours", id="a dot"),
        pytest.param("${HOME}/.ssh/id_ours", id="a variable"),
        pytest.param('"%d/.ssh/id_ours"', id="a token for the home directory"),
        pytest.param("%d/.ssh/id_%n", id="a token for the name that the user typed"),
        pytest.param("${KEYS}/id_ours", id="a variable of the user"),
        pytest.param("~/.ssh/link", id="a link to the key"),
        pytest.param("~/other/.ssh/id_ours", id="a link to the home directory"),
    ],
)
def test_purge_keeps_a_key_that_the_user_names_in_another_way(
    gen: Gen, home: Path, spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYS", str(home / ".ssh"))
    auth = {"method": "publickey", "key": "~/.ssh/id_ours"}
    gen("install", str(spec(Path(), auth=auth)), "--yes")
    (home / ".ssh/id_ours").write_text("")
    (home / ".ssh/link").symlink_to("id_ours")
    (home / "other").symlink_to(home)
    with (home / ".ssh/config").open("a") as config:
        config.write(f"Host mine\n  IdentityFile {spelling}\n")
    result = gen("uninstall", "ours", "--purge", "--yes")
    assert "  ~/.ssh/id_ours stays: your ssh configuration uses it\n" in result.err
    assert (result.status, (home / ".ssh/id_ours").exists()) == (0, True)


def test_purge_keeps_a_key_that_another_site_reaches_through_a_link(gen: Gen, home: Path) -> None:
    keys = home / ".ssh/keys"
    keys.mkdir(parents=True, mode=0o700)
    (home / ".ssh/same").symlink_to("keys")
    for site, directory in (("ours", "keys"), ("other", "same")):
        auth = {"method": "publickey", "key": f"~/.ssh/{directory}/id"}
        gen("install", str(spec(Path(), site, auth=auth)), "--yes")
    (keys / "id").write_text("")
    result = gen("uninstall", "ours", "--purge", "--yes")
    assert "  ~/.ssh/keys/id stays: other uses it\n" in result.err
    # Nobody needs it any more.
    result = gen("uninstall", "other", "--purge", "--yes")
    assert (result.status, (keys / "id").exists()) == (0, False), result


def test_no_lock_of_a_checkout_adds_a_value_to_an_installation(gen: Gen, home: Path) -> None:
    original = spec(Path())
    options = ("--user", "eve", "--identity-file", "~/.ssh/shared", "--accept-unverified")
    changes = ("--set", "hosts.ours.host=evil.example")
    # As a pull request could have it: `gen site` takes these from the lock, and prints them.
    assert gen("site", str(original), *options, *changes, "--no-project").status == 0
    again = gen("site", str(original), "--no-project")
    assert '  hosts.ours.host: "evil.example"\n' in again.err
    assert gen("install", str(original), "--yes", "--user", "ada").status == 0
    for name, (kind, _, content) in tree(home).items():
        if kind == "file":
            assert isinstance(content, bytes)
            for value in (b"evil.example", b"eve", b"shared", b"accept_unverified"):
                assert value not in content, name
    conf = (home / ".ssh/gen.d/ours.conf").read_text()
    assert "HostName ours.example.org\n" in conf
    assert "User ada\n" in conf
