"""`gen uninstall` restores the home directory and keeps every later change of the user."""

import itertools
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from homes import CERTIFICATE, Tree, contents_of, names_in, spec, tree
from running import Gen

from generator.install import apply, record
from generator.install.record import EditorSetting, OptionalChanges

STATE = ".local/state/gen"


def empty_home(home: Path) -> None:
    """Leave the home directory empty."""


def config(content: bytes, mode: int = 0o600) -> Callable[[Path], None]:
    def make(home: Path) -> None:
        (home / ".ssh").mkdir(mode=0o700)
        (home / ".ssh/config").write_bytes(content)
        (home / ".ssh/config").chmod(mode)

    return make


def config_link(home: Path) -> None:
    (home / "dotfiles").mkdir()
    (home / "dotfiles/config").write_bytes(b"Host a\n")
    # A mode that many have; gen must not change it.
    (home / ".ssh").mkdir(mode=0o755)
    (home / ".ssh/config").symlink_to("../dotfiles/config")


def used_home(home: Path) -> None:
    for folder in (
        ".config/systemd/user/timers.target.wants",
        ".config/gen",
        ".local/state",
        # Directories that others use too: gen must not delete them, even if they are empty then.
        ".local/share/systemd",
    ):
        (home / folder).mkdir(parents=True)
    (home / ".config/gen/profile.yaml").write_text("user: ada\n")
    (home / ".config/systemd/user/mine.timer").write_text("[Timer]\n")
    (home / ".config/systemd/user/timers.target.wants/mine.timer").symlink_to("../mine.timer")
    config(b"Host a\n")(home)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(empty_home, id="an empty home"),
        pytest.param(config(b""), id="an empty config"),
        pytest.param(config(b"Host a\n  User b", 0o644), id="no final newline, readable by all"),
        # The block of gen has an IgnoreUnknown too, and ssh takes the first.
        pytest.param(config(b"IgnoreUnknown Fancy"), id="one line without an ending"),
        pytest.param(config(b"# b\xfcro\r\nHost a\r\n"), id="Latin-1 and CRLF"),
        pytest.param(config_link, id="a link"),
        pytest.param(used_home, id="existing directories"),
    ],
)
@pytest.mark.parametrize("mode", ["include", "inline"])
def test_uninstall_restores_the_home_directory(
    gen: Gen, home: Path, make: Callable[[Path], None], mode: str
) -> None:
    make(home)
    spec(Path(), auth=CERTIFICATE)
    before = tree(home)
    assert gen("install", "ours.yaml", "--yes").status == 0
    # A second installation must not take the state after the first for that of the user.
    assert gen("install", "ours.yaml", "--yes", "--user", "ada", "--mode", mode).status == 0
    leave_renewal_state(home)
    assert gen("uninstall", "ours", "--yes").status == 0
    assert tree(home) == before


def leave_renewal_state(home: Path) -> None:
    """Write the files that `gen refresh` and a systemd timer leave."""
    # No installation records these: they come later, from other programs.
    for ending in ("json", "due", "lock"):
        (home / STATE / f"ours.{ending}").write_text("")
    stamps = home / ".local/share/systemd/timers"
    stamps.mkdir(parents=True, exist_ok=True)
    (stamps / "stamp-gen-cert-ours.timer").write_text("")


@pytest.fixture
def two_sites(gen: Gen, home: Path) -> Tree:
    """Install two sites, and return the state of the home directory before."""
    config(b"Host a\n")(home)
    before = tree(home)
    specs = [str(spec(Path(), name)) for name in ("ours", "other")]
    assert gen("install", *specs, "--yes").status == 0
    return before


def test_one_of_two_sites_can_be_uninstalled(gen: Gen, home: Path, two_sites: Tree) -> None:
    assert gen("uninstall", "ours", "--yes").status == 0
    assert names_in(home / ".ssh/gen.d") == ["other.conf"]
    assert b"Include ~/.ssh/gen.d/*.conf\n" in (home / ".ssh/config").read_bytes()
    assert gen("uninstall", "other", "--yes").status == 0
    assert tree(home) == two_sites


def test_two_sites_can_be_uninstalled_at_once(gen: Gen, home: Path, two_sites: Tree) -> None:
    assert gen("uninstall", "other", "ours", "--yes").status == 0
    assert tree(home) == two_sites


def test_edits_around_the_block_stay(gen: Gen, home: Path, two_sites: Tree) -> None:
    config_path = home / ".ssh/config"
    config_path.write_bytes(b"# first\n" + config_path.read_bytes() + b"Host b\n")
    gen("uninstall", "ours", "other", "--yes")
    assert config_path.read_bytes() == b"# first\nHost a\nHost b\n"


def test_a_backup_of_lines_that_the_config_lacks_is_kept_and_listed(
    gen: Gen, home: Path, two_sites: Tree
) -> None:
    config_path = home / ".ssh/config"
    # The user lost a line since; the backup is the only copy of it.
    config_path.write_bytes(config_path.read_bytes().replace(b"Host a\n", b"Host b\n"))
    result = gen("uninstall", "ours", "other", "--yes")
    backups = sorted((home / STATE / "backup").iterdir())
    assert b"Host a\n" in contents_of(home / STATE / "backup")
    assert f"  backup    ~/{backups[0].relative_to(home)}\n" in result.err


def test_other_files_in_our_directory_stay(gen: Gen, home: Path, two_sites: Tree) -> None:
    # The Include of gen reads it as well, so users put files of their own there.
    (home / ".ssh/gen.d/mine.conf").write_text("# mine\n")
    assert gen("uninstall", "ours", "other", "--yes").status == 0
    assert names_in(home / ".ssh/gen.d") == ["mine.conf"]


@pytest.mark.parametrize("path", [".ssh/gen.d/ours.conf", ".ssh/config"])
def test_an_edited_file_is_refused_and_deleted_with_force(
    gen: Gen, home: Path, two_sites: Tree, path: str
) -> None:
    # The edit may be the work of hours: only --force deletes it, with a backup.
    edited = (home / path).read_bytes().replace(b"\n", b"\n# mine\n", 1)
    (home / path).write_bytes(edited)
    before = tree(home)
    result = gen("uninstall", "ours", "other", "--yes")
    assert (result.status, "edited since gen wrote it" in result.err) == (2, True)
    assert tree(home) == before
    assert gen("uninstall", "ours", "other", "--yes", "--force").status == 0
    assert edited in contents_of(home / STATE / "backup")


def test_a_read_only_config_is_left_to_the_user(gen: Gen, home: Path, two_sites: Tree) -> None:
    # Dotfile managers do so; gen would have to change the mode to write.
    (home / ".ssh/config").chmod(0o400)
    before = (home / ".ssh/config").read_bytes()
    result = gen("uninstall", "ours", "other", "--yes")
    assert result.status == 0
    assert "delete gen's block from it yourself" in result.err
    assert (home / ".ssh/config").read_bytes() == before
    assert not (home / ".ssh/gen.d").exists()


def test_a_site_that_is_not_installed_is_refused(gen: Gen, home: Path, two_sites: Tree) -> None:
    before = tree(home)
    result = gen("uninstall", "mila", "--yes")
    assert (result.status, result.err) == (2, "mila: is not installed; installed: other, ours\n")
    assert tree(home) == before


def test_a_home_directory_without_a_site_does_not_change(gen: Gen, home: Path) -> None:
    before = tree(home)
    result = gen("uninstall", "mila", "--yes")
    assert (result.status, result.err) == (2, "mila: is not installed; no site is\n")
    assert tree(home) == before


def test_without_a_terminal_and_without_yes_nothing_is_deleted(
    gen: Gen, home: Path, two_sites: Tree
) -> None:
    before = tree(home)
    assert gen("uninstall", "ours").status == 2
    assert gen("uninstall", "ours", "--dry-run").out.count("deleted file mode") == 2
    assert tree(home) == before


def test_json_reports_the_changes(gen: Gen, home: Path, two_sites: Tree) -> None:
    report = json.loads(gen("uninstall", "ours", "--yes", "--json").out)
    removed = [file["path"] for file in report["files"] if file["action"] == "delete"]
    assert sorted(removed) == [".config/gen/site_specs/ours.yaml", ".ssh/gen.d/ours.conf"]


@pytest.mark.parametrize("purge", [False, True], ids=["kept", "purged"])
def test_keys_stay_without_purge(gen: Gen, home: Path, two_sites: Tree, purge: bool) -> None:
    keys = [home / ".ssh" / name for name in ("id_ours", "id_ours.pub")]
    for key in (*keys, home / ".ssh/id_mine"):
        key.write_text("")
    gen("uninstall", "ours", "--yes", *(["--purge"] if purge else []))
    assert [key.exists() for key in keys] == [not purge] * 2
    assert (home / ".ssh/id_mine").exists()


def test_a_key_of_another_site_or_of_the_user_is_never_purged(gen: Gen, home: Path) -> None:
    shared = {"method": "publickey", "key": "~/.ssh/id_shared"}
    specs = [str(spec(Path(), name, auth=shared)) for name in ("ours", "other")]
    gen("install", *specs, "--yes")
    gen("install", str(spec(Path(), "third")), "--identity-file", "~/.ssh/id_mine", "--yes")
    for name in ("id_shared", "id_mine"):
        (home / ".ssh" / name).write_text("")
    assert gen("uninstall", "ours", "third", "--purge", "--yes").status == 0
    assert names_in(home / ".ssh", "id_*") == ["id_mine", "id_shared"]


# ssh_config(5): a path may start with ~ or %d; the file is the same.
@pytest.mark.parametrize("written", ["~/.ssh/id_ours", "{home}/.ssh/id_ours", '"%d/.ssh/id_ours"'])
def test_a_key_in_an_entry_of_the_user_is_never_purged(gen: Gen, home: Path, written: str) -> None:
    config(f"Host git\n  IdentityFile {written.format(home=home)}\n".encode())(home)
    gen("install", str(spec(Path())), "--yes")
    for name in ("id_ours", "id_ours.pub"):
        (home / ".ssh" / name).write_text("")
    result = gen("uninstall", "ours", "--purge", "--yes")
    assert (result.status, "purged" in result.err) == (0, False)
    assert names_in(home / ".ssh", "id_*") == ["id_ours", "id_ours.pub"]


def test_a_key_that_the_user_named_by_its_absolute_path_is_never_purged(
    gen: Gen, home: Path
) -> None:
    shared = {"method": "publickey", "key": "~/.ssh/id_shared"}
    gen("install", str(spec(Path(), auth=shared)), "--yes")
    path = str(spec(Path(), "other"))
    gen("install", path, "--identity-file", str(home / ".ssh/id_shared"), "--yes")
    for name in ("id_shared", "id_shared.pub"):
        (home / ".ssh" / name).write_text("")
    assert gen("uninstall", "ours", "other", "--purge", "--yes").status == 0
    assert names_in(home / ".ssh", "id_*") == ["id_shared", "id_shared.pub"]


def test_purged_files_are_listed(gen: Gen, home: Path, two_sites: Tree) -> None:
    for name in ("ours", "other"):
        (home / ".ssh" / f"id_{name}").write_text("")
    assert "  purged    ~/.ssh/id_ours\n" in gen("uninstall", "ours", "--purge", "--yes").err
    report = json.loads(gen("uninstall", "other", "--purge", "--yes", "--json").out)
    assert report["purged"] == [str(home / ".ssh/id_other")]


def test_a_preview_names_the_secrets_that_purge_would_delete(
    gen: Gen, home: Path, two_sites: Tree
) -> None:
    key = home / ".ssh/id_ours"
    key.write_text("")
    assert "purge     ~/.ssh/id_ours\n" in gen("uninstall", "ours", "--purge", "--dry-run").err
    assert "purge" not in gen("uninstall", "ours", "--dry-run").err
    assert key.exists()


def test_a_spec_that_the_user_put_there_stays(gen: Gen, home: Path) -> None:
    # The directory where gen keeps the specs of installed sites, and where users may put theirs.
    specs = home / ".config/gen/site_specs"
    specs.mkdir(parents=True)
    spec(specs)
    before = tree(home)
    assert gen("install", "ours", "--yes").status == 0
    assert gen("install", "ours", "--yes", "--user", "ada").status == 0
    assert gen("uninstall", "ours", "--yes").status == 0
    assert tree(home) == before


def test_the_copy_of_a_spec_is_deleted_even_after_an_installation_from_the_copy(
    gen: Gen, home: Path
) -> None:
    before = tree(home)
    gen("install", str(spec(Path())), "--yes")
    assert gen("install", "ours", "--yes", "--user", "ada").status == 0
    assert gen("uninstall", "ours", "--yes").status == 0
    assert tree(home) == before


def test_the_question_lists_the_files_to_delete_before_it_deletes_any(
    gen: Gen, home: Path, two_sites: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".ssh/id_ours").write_text("")
    monkeypatch.setattr("generator.cli.uninstall.agreed", lambda _: False)
    result = gen("uninstall", "ours", "--purge", "--json")
    assert (result.status, result.out) == (0, "")
    assert "  purge     ~/.ssh/id_ours\n" in result.err
    assert "  delete    ~/.ssh/gen.d/ours.conf\n" in result.err
    assert "removed" not in result.err
    assert (home / ".ssh/gen.d/ours.conf").exists()


# gen deletes files that this record names. A program that can write in ~/.local/state must not be
# able to choose them.
RECORD = '{"format_version": "2.0", "directories": [%s], "optional_changes": {%s}}'
WINDOWS = '"ours": {"windows": {"path": "%s", "digest": ""}}'
SETTINGS = '"ours": {"settings": {"path": "%s", "created": true}}'
AUTHORIZED_KEY = (
    '"ours": {"authorized_keys": [{"line": "%s", "directory_mode": "none", "file_mode": "none",'
    ' "size": 0, "appended": 0}]}'
)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(
            RECORD % ('"/etc"', ""),
            "directories: gen never creates '/etc'",
            id="absolute directory",
        ),
        pytest.param(
            RECORD % ('"../x"', ""), "directories: gen never creates '../x'", id="directory above"
        ),
        pytest.param(
            RECORD % ('"precious.txt"', ""),
            "directories: gen never creates 'precious.txt'",
            id="a file of the user",
        ),
        pytest.param(
            RECORD % ("", WINDOWS % "/home/ada/thesis.tex"),
            "optional_changes.ours: gen never writes '/home/ada/thesis.tex'",
            id="a Windows copy elsewhere",
        ),
        pytest.param(
            # The end of the path is right, so a check of the end alone would accept it.
            RECORD % ("", WINDOWS % "/x/../.ssh/gen.d/ours.conf"),
            "optional_changes.ours: gen never writes '/x/../.ssh/gen.d/ours.conf'",
            id="a Windows copy above",
        ),
        pytest.param(
            RECORD % ("", SETTINGS % "/home/ada/settings.json"),
            "optional_changes.ours: gen never writes '/home/ada/settings.json'",
            id="settings elsewhere",
        ),
        pytest.param(
            # A script at the site has this line in quotes.
            RECORD % ("", AUTHORIZED_KEY % "ssh-rsa AAAA gen-ours-00'; id; '"),
            "optional_changes.ours: gen never writes \"ssh-rsa AAAA gen-ours-00'; id; '\"",
            id="a command for the site",
        ),
        pytest.param("[", "Expecting value", id="not JSON"),
        pytest.param("[" * 100_000, "is nested too deeply", id="deep nesting"),
        pytest.param("[]", "expected an object, found a list", id="a list"),
        pytest.param(
            '{"format_version": "2.0", "directories": 1}',
            "directories: expected a list, found a whole number",
            id="wrong type",
        ),
    ],
)
@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_a_tampered_home_record_is_refused_and_nothing_is_deleted(
    gen: Gen, home: Path, two_sites: Tree, command: str, content: str, problem: str
) -> None:
    path = home / STATE / "install/home.json"
    path.write_text(content)
    before = tree(home)
    result = gen(command, "ours", "--yes")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(str(path))
    assert problem in result.err
    assert result.err.endswith(f"; delete it with rm {path}\n")
    assert tree(home) == before


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param("{}", "format_version: is missing or not a version", id="an empty object"),
        pytest.param(
            '{"format_version": "9.0"}',
            "format_version: is 9.0, and this gen reads 2.0; use the gen that wrote it, or",
            id="another format",
        ),
        pytest.param("[" * 100_000, "is nested too deeply", id="deep nesting"),
        pytest.param(
            '{"format_version": "2.0", "site": ["x"]}',
            "site: expected text, found a list",
            id="wrong type",
        ),
    ],
)
@pytest.mark.parametrize("command", ["install", "uninstall", "status"])
def test_a_damaged_lock_is_refused_and_nothing_is_deleted(
    gen: Gen, home: Path, two_sites: Tree, command: str, content: str, problem: str
) -> None:
    path = home / STATE / "install/ours.lock"
    path.write_text(content)
    before = tree(home)
    # gen status asks nothing.
    options = [] if command == "status" else ["--yes"]
    result = gen(command, "ours", *options)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"{path}: {problem}")
    assert result.err.endswith(" delete this file, then run gen install ours --force\n")
    assert tree(home) == before


def test_the_record_of_another_site_is_refused(gen: Gen, home: Path, two_sites: Tree) -> None:
    records = home / STATE / "install"
    (records / "ours.lock").write_bytes((records / "other.lock").read_bytes())
    result = gen("uninstall", "ours", "--yes", "--force")
    assert result.status == 2
    assert result.err == (
        f"{records / 'ours.lock'}: is the record of another site, other;"
        " delete this file, then run gen install ours --force\n"
    )


def test_a_record_cannot_have_another_file_deleted(gen: Gen, home: Path, two_sites: Tree) -> None:
    lock_file = home / STATE / "install/ours.lock"
    lock_file.write_text(lock_file.read_text().replace(".ssh/gen.d/ours.conf", ".ssh/config"))
    result = gen("uninstall", "ours", "--yes", "--force")
    assert result.status == 2
    assert result.err == (
        f"{lock_file}: files..ssh/config: gen never writes this file for ours;"
        " delete this file, then run gen install ours --force\n"
    )


def test_the_record_of_optional_changes_is_deleted_with_the_site(
    gen: Gen, home: Path, two_sites: Tree
) -> None:
    for site in ("ours", "other"):
        path = home / ".config/Code/User/settings.json"
        changes = OptionalChanges(settings=EditorSetting(str(path), created=True))
        apply.add_optional_changes(home, site, changes)
    assert gen("uninstall", "ours", "--yes").status == 0
    assert list(record.home_record(home).optional_changes) == ["other"]


@pytest.mark.parametrize("number", [*range(1, 13), *range(13, 40, 4)])
def test_a_killed_installation_leaves_no_directory_behind_the_next_run(
    gen: Gen, home: Path, number: int
) -> None:
    # The run is killed before a system call that makes or renames something.
    before = tree(home)
    path = str(spec(Path()))
    process = os.fork()
    if process == 0:
        _kill_at_call(number)
        gen("install", path, "--yes")
        os._exit(0)
    _, status = os.waitpid(process, 0)
    if status == 0:
        pytest.skip("the run has fewer calls")
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert gen("install", path, "--yes").status == 0
    assert gen("uninstall", "ours", "--yes").status == 0
    assert tree(home) == before


def _kill_at_call(number: int) -> None:
    """Kill this process before the call of this number that changes a directory."""
    calls = itertools.count(1)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in ("os.mkdir", "os.rename", "os.chmod", "os.remove") and next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
