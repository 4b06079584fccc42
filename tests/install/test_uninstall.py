"""`gen uninstall`: the home folder as it was before the install, and nothing that somebody else did since is lost."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from homes import CERTIFICATE, Tree, spec, tree
from running import Gen

from generator.install import apply, record
from generator.install.record import EditorSetting, OptionalChanges

STATE = ".local/state/gen"


def nothing(home: Path) -> None:
    """A home folder in which nobody has used ssh."""


def config(content: bytes, mode: int = 0o600) -> Callable[[Path], None]:
    def make(home: Path) -> None:
        (home / ".ssh").mkdir(mode=0o700)
        (home / ".ssh/config").write_bytes(content)
        (home / ".ssh/config").chmod(mode)

    return make


def linked(home: Path) -> None:
    (home / "dotfiles").mkdir()
    (home / "dotfiles/config").write_bytes(b"Host a\n")
    (home / ".ssh").mkdir(mode=0o755)
    (home / ".ssh/config").symlink_to("../dotfiles/config")


def lived_in(home: Path) -> None:
    for folder in (
        ".config/systemd/user/timers.target.wants",
        ".config/gen",
        ".local/state",
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
        pytest.param(nothing, id="an empty home"),
        pytest.param(config(b""), id="an empty config"),
        pytest.param(config(b"Host a\n  User b", 0o644), id="no final newline, readable by all"),
        pytest.param(config(b"IgnoreUnknown Fancy"), id="one line without an ending"),
        pytest.param(config(b"# b\xfcro\r\nHost a\r\n"), id="Latin-1 and CRLF"),
        pytest.param(linked, id="a link"),
        pytest.param(lived_in, id="folders that are there"),
    ],
)
@pytest.mark.parametrize("mode", ["include", "inline"])
def test_the_home_folder_is_as_it_was_before(
    gen: Gen, home: Path, make: Callable[[Path], None], mode: str
) -> None:
    make(home)
    spec(Path(), auth=CERTIFICATE)
    before = tree(home)
    assert gen("install", "ours.yaml", "--yes").status == 0
    assert gen("install", "ours.yaml", "--yes", "--user", "ada", "--mode", mode).status == 0
    refreshed(home)
    assert gen("uninstall", "ours", "--yes").status == 0
    assert tree(home) == before


def refreshed(home: Path) -> None:
    """Leave what `gen refresh` and a timer of systemd's leave."""
    for ending in ("json", "due", "lock"):
        (home / STATE / f"ours.{ending}").write_text("")
    stamps = home / ".local/share/systemd/timers"
    stamps.mkdir(parents=True, exist_ok=True)
    (stamps / "stamp-gen-cert-ours.timer").write_text("")


@pytest.fixture
def two(gen: Gen, home: Path) -> Tree:
    """Two sites installed; returns the home folder as it was."""
    config(b"Host a\n")(home)
    before = tree(home)
    specs = [str(spec(Path(), name)) for name in ("ours", "other")]
    assert gen("install", *specs, "--yes").status == 0
    return before


def test_one_site_goes_and_the_other_stays(gen: Gen, home: Path, two: Tree) -> None:
    assert gen("uninstall", "ours", "--yes").status == 0
    assert [path.name for path in (home / ".ssh/gen.d").iterdir()] == ["other.conf"]
    assert b"Include ~/.ssh/gen.d/*.conf\n" in (home / ".ssh/config").read_bytes()
    assert gen("uninstall", "other", "--yes").status == 0
    assert tree(home) == two


def test_both_go_at_once(gen: Gen, home: Path, two: Tree) -> None:
    assert gen("uninstall", "other", "ours", "--yes").status == 0
    assert tree(home) == two


def test_what_was_edited_around_the_block_stays(gen: Gen, home: Path, two: Tree) -> None:
    place = home / ".ssh/config"
    place.write_bytes(b"# first\n" + place.read_bytes() + b"Host b\n")
    gen("uninstall", "ours", "other", "--yes")
    assert place.read_bytes() == b"# first\nHost a\nHost b\n"


def test_a_backup_of_lines_that_are_no_more_is_kept_and_told(
    gen: Gen, home: Path, two: Tree
) -> None:
    place = home / ".ssh/config"
    place.write_bytes(place.read_bytes().replace(b"Host a\n", b"Host b\n"))
    result = gen("uninstall", "ours", "other", "--yes")
    backups = sorted((home / STATE / "backup").iterdir())
    assert b"Host a\n" in [backup.read_bytes() for backup in backups]
    assert f"  backup    ~/{backups[0].relative_to(home)}\n" in result.err


def test_files_put_beside_ours_stay(gen: Gen, home: Path, two: Tree) -> None:
    (home / ".ssh/gen.d/mine.conf").write_text("# mine\n")
    assert gen("uninstall", "ours", "other", "--yes").status == 0
    assert [path.name for path in (home / ".ssh/gen.d").iterdir()] == ["mine.conf"]


@pytest.mark.parametrize("place", [".ssh/gen.d/ours.conf", ".ssh/config"])
def test_a_file_that_was_edited_is_refused_and_forced_away(
    gen: Gen, home: Path, two: Tree, place: str
) -> None:
    edited = (home / place).read_bytes().replace(b"\n", b"\n# mine\n", 1)
    (home / place).write_bytes(edited)
    before = tree(home)
    result = gen("uninstall", "ours", "other", "--yes")
    assert (result.status, "edited since gen wrote it" in result.err) == (2, True)
    assert tree(home) == before
    assert gen("uninstall", "ours", "other", "--yes", "--force").status == 0
    assert edited in [backup.read_bytes() for backup in (home / STATE / "backup").iterdir()]


def test_a_config_that_became_read_only_is_left_to_the_person(
    gen: Gen, home: Path, two: Tree
) -> None:
    (home / ".ssh/config").chmod(0o400)
    before = (home / ".ssh/config").read_bytes()
    result = gen("uninstall", "ours", "other", "--yes")
    assert (result.status, "delete gen's block from it yourself" in result.err) == (
        0,
        True,
    )
    assert (home / ".ssh/config").read_bytes() == before
    assert not (home / ".ssh/gen.d").exists()


def test_what_is_not_installed_is_told(gen: Gen, home: Path, two: Tree) -> None:
    before = tree(home)
    result = gen("uninstall", "mila", "--yes")
    assert (result.status, result.err) == (2, "mila: is not installed; installed: other, ours\n")
    assert tree(home) == before


def test_a_home_folder_without_any_site_stays_untouched(gen: Gen, home: Path) -> None:
    before = tree(home)
    result = gen("uninstall", "mila", "--yes")
    assert (result.status, result.err) == (2, "mila: is not installed; no site is\n")
    assert tree(home) == before


def test_without_a_terminal_nothing_is_asked_and_nothing_removed(
    gen: Gen, home: Path, two: Tree
) -> None:
    before = tree(home)
    assert gen("uninstall", "ours").status == 2
    assert gen("uninstall", "ours", "--dry-run").out.count("deleted file mode") == 2
    assert tree(home) == before


def test_programs_read_what_was_done(gen: Gen, home: Path, two: Tree) -> None:
    report = json.loads(gen("uninstall", "ours", "--yes", "--json").out)
    removed = [file["path"] for file in report["files"] if file["action"] == "delete"]
    assert sorted(removed) == [".config/gen/site_specs/ours.yaml", ".ssh/gen.d/ours.conf"]


@pytest.mark.parametrize("purge", [False, True], ids=["kept", "purged"])
def test_keys_are_kept_unless_they_are_purged(gen: Gen, home: Path, two: Tree, purge: bool) -> None:
    keys = [home / ".ssh" / name for name in ("id_ours", "id_ours.pub")]
    for key in (*keys, home / ".ssh/id_mine"):
        key.write_text("")
    gen("uninstall", "ours", "--yes", *(["--purge"] if purge else []))
    assert [key.exists() for key in keys] == [not purge] * 2
    assert (home / ".ssh/id_mine").exists()


def test_a_key_that_another_site_uses_or_the_person_named_is_never_purged(
    gen: Gen, home: Path
) -> None:
    shared = {"method": "publickey", "key": "~/.ssh/id_shared"}
    specs = [str(spec(Path(), name, auth=shared)) for name in ("ours", "other")]
    gen("install", *specs, "--yes")
    gen("install", str(spec(Path(), "third")), "--identity-file", "~/.ssh/id_mine", "--yes")
    for name in ("id_shared", "id_mine"):
        (home / ".ssh" / name).write_text("")
    assert gen("uninstall", "ours", "third", "--purge", "--yes").status == 0
    assert sorted(path.name for path in (home / ".ssh").glob("id_*")) == ["id_mine", "id_shared"]


@pytest.mark.parametrize("written", ["~/.ssh/id_ours", "{home}/.ssh/id_ours", '"%d/.ssh/id_ours"'])
def test_a_key_that_an_entry_of_the_persons_names_is_never_purged(
    gen: Gen, home: Path, written: str
) -> None:
    config(f"Host git\n  IdentityFile {written.format(home=home)}\n".encode())(home)
    gen("install", str(spec(Path())), "--yes")
    for name in ("id_ours", "id_ours.pub"):
        (home / ".ssh" / name).write_text("")
    result = gen("uninstall", "ours", "--purge", "--yes")
    assert (result.status, "purged" in result.err) == (0, False)
    assert sorted(path.name for path in (home / ".ssh").glob("id_*")) == ["id_ours", "id_ours.pub"]


def test_a_key_that_the_person_named_by_its_whole_path_is_never_purged(
    gen: Gen, home: Path
) -> None:
    shared = {"method": "publickey", "key": "~/.ssh/id_shared"}
    gen("install", str(spec(Path(), auth=shared)), "--yes")
    gen(
        "install",
        str(spec(Path(), "other")),
        "--identity-file",
        str(home / ".ssh/id_shared"),
        "--yes",
    )
    for name in ("id_shared", "id_shared.pub"):
        (home / ".ssh" / name).write_text("")
    assert gen("uninstall", "ours", "other", "--purge", "--yes").status == 0
    assert sorted(path.name for path in (home / ".ssh").glob("id_*")) == [
        "id_shared",
        "id_shared.pub",
    ]


def test_what_was_purged_is_told(gen: Gen, home: Path, two: Tree) -> None:
    for name in ("ours", "other"):
        (home / ".ssh" / f"id_{name}").write_text("")
    assert "  purged    ~/.ssh/id_ours\n" in gen("uninstall", "ours", "--purge", "--yes").err
    report = json.loads(gen("uninstall", "other", "--purge", "--yes", "--json").out)
    assert report["purged"] == [str(home / ".ssh/id_other")]


def test_a_spec_that_the_person_put_there_stays(gen: Gen, home: Path) -> None:
    own = home / ".config/gen/site_specs"
    own.mkdir(parents=True)
    spec(own)
    before = tree(home)
    assert gen("install", "ours", "--yes").status == 0
    assert gen("install", "ours", "--yes", "--user", "ada").status == 0
    assert gen("uninstall", "ours", "--yes").status == 0
    assert tree(home) == before


def test_a_copy_that_came_along_goes_though_it_was_installed_from_again(
    gen: Gen, home: Path
) -> None:
    before = tree(home)
    gen("install", str(spec(Path())), "--yes")
    assert gen("install", "ours", "--yes", "--user", "ada").status == 0
    assert gen("uninstall", "ours", "--yes").status == 0
    assert tree(home) == before


def test_a_question_says_what_would_be_done_and_not_that_it_was(
    gen: Gen, home: Path, two: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".ssh/id_ours").write_text("")
    monkeypatch.setattr("generator.cli.uninstall.agreed", lambda _: False)
    out = gen("uninstall", "ours", "--purge", "--json")
    assert (out.status, out.out) == (0, "")
    assert "  purge     ~/.ssh/id_ours\n" in out.err
    assert "  delete    ~/.ssh/gen.d/ours.conf\n" in out.err
    assert "removed" not in out.err
    assert (home / ".ssh/gen.d/ours.conf").exists()


RECORD = '{"format_version": "2.0", "directories": [%s], "optional_changes": {%s}}'
WINDOWS = '"ours": {"windows": {"path": "%s", "digest": ""}}'
SETTINGS = '"ours": {"settings": {"path": "%s", "created": true}}'


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
            RECORD % ("", WINDOWS % "/x/../.ssh/gen.d/ours.conf"),
            "optional_changes.ours: gen never writes '/x/../.ssh/gen.d/ours.conf'",
            id="a Windows copy above",
        ),
        pytest.param(
            RECORD % ("", SETTINGS % "/home/ada/settings.json"),
            "optional_changes.ours: gen never writes '/home/ada/settings.json'",
            id="settings elsewhere",
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
    gen: Gen, home: Path, two: Tree, command: str, content: str, problem: str
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
    gen: Gen, home: Path, two: Tree, command: str, content: str, problem: str
) -> None:
    path = home / STATE / "install/ours.lock"
    path.write_text(content)
    before = tree(home)
    options = [] if command == "status" else ["--yes"]
    result = gen(command, "ours", *options)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"{path}: {problem}")
    assert result.err.endswith(" delete this file, then run gen install ours --force\n")
    assert tree(home) == before


def test_the_record_of_another_site_is_refused(gen: Gen, home: Path, two: Tree) -> None:
    records = home / STATE / "install"
    (records / "ours.lock").write_bytes((records / "other.lock").read_bytes())
    result = gen("uninstall", "ours", "--yes", "--force")
    assert result.status == 2
    assert result.err == (
        f"{records / 'ours.lock'}: is the record of another site, other;"
        " delete this file, then run gen install ours --force\n"
    )


def test_a_record_cannot_have_another_file_deleted(gen: Gen, home: Path, two: Tree) -> None:
    lock = home / STATE / "install/ours.lock"
    lock.write_text(lock.read_text().replace(".ssh/gen.d/ours.conf", ".ssh/config"))
    result = gen("uninstall", "ours", "--yes", "--force")
    assert result.status == 2
    assert result.err == (
        f"{lock}: files..ssh/config: gen never writes this file for ours;"
        " delete this file, then run gen install ours --force\n"
    )


def test_what_takes_back_a_site_goes_with_it(gen: Gen, home: Path, two: Tree) -> None:
    for site in ("ours", "other"):
        path = home / ".config/Code/User/settings.json"
        changes = OptionalChanges(settings=EditorSetting(str(path), created=True))
        apply.add_optional_changes(home, site, changes)
    assert gen("uninstall", "ours", "--yes").status == 0
    assert list(record.home_record(home).optional_changes) == ["other"]
