"""`gen install` in a home folder: what it writes, what it refuses beforehand, and what it leaves to the person."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from homes import CERTIFICATE, spec, tree
from running import Gen
from syrupy.assertion import SnapshotAssertion

from generator.compiler.compile import compile_site
from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema.profile import SiteProfile
from generator.ssh.config_files import Files, sources, write_copies

BLOCK = "# >>> gen: managed, do not edit between these lines >>>\nInclude ~/.ssh/gen.d/*.conf\n# <<< gen <<<\n"


@pytest.fixture
def ours(home: Path) -> str:
    """The path of a spec, with a home folder in which ssh has a config."""
    (home / ".ssh").mkdir(mode=0o700)
    (home / ".ssh/config").write_bytes(b"# b\xfcro\nHost mine\n  User grace")
    return str(spec(Path()))


@pytest.fixture(params=[0o002, 0o077], ids=["umask 002", "umask 077"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.parametrize("site", ["mila", "musica"])
def test_install_says_what_it_wrote_and_what_comes_next(
    gen: Gen, home: Path, site: str, snapshot: SnapshotAssertion
) -> None:
    result = gen("install", site, "--user", "ada", "--email", "ada@example.org", "--yes")
    assert (result.status, result.out) == (0, "")
    assert (
        {name: f"{mode:04o}" for name, (_, mode, _) in tree(home).items()},
        result.err,
    ) == snapshot


def test_modes_do_not_depend_on_the_umask(gen: Gen, home: Path, umask: None) -> None:
    spec(Path(), auth=CERTIFICATE)
    assert gen("install", "ours.yaml", "--yes").status == 0
    modes = {
        name: mode
        for name, (_, mode, _) in tree(home).items()
        if name != "." and "timers.target" not in name
    }
    units = {f".config/systemd/user/gen-cert-ours.{ending}" for ending in ("service", "timer")}
    public = {".config/gen/site_specs/ours.yaml", *units}
    assert {mode for name, mode in modes.items() if name not in public} == {0o700, 0o600}
    assert {modes[name] for name in public} == {0o644}


def test_the_config_keeps_its_mode_its_bytes_and_its_backup(
    gen: Gen, home: Path, ours: str
) -> None:
    config = home / ".ssh/config"
    config.chmod(0o640)
    before = config.read_bytes()
    assert gen("install", ours, "--yes").status == 0
    assert config.read_bytes() == BLOCK.encode() + before
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    [backup] = (home / ".local/state/gen/backup").iterdir()
    assert (backup.read_bytes(), stat.S_IMODE(backup.stat().st_mode)) == (before, 0o600)


def test_a_second_time_touches_nothing(gen: Gen, home: Path, ours: str) -> None:
    gen("install", ours, "--yes")
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    assert gen("install", ours, "--yes").status == 0
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("outside", [False, True], ids=["in the home folder", "outside of it"])
def test_a_link_is_followed_to_the_real_config_and_stays(
    gen: Gen, home: Path, ours: str, outside: bool
) -> None:
    real = (home.parent if outside else home) / "dotfiles" / "ssh config"
    real.parent.mkdir()
    (home / ".ssh/config").rename(real)
    (home / ".ssh/config").symlink_to(os.path.relpath(real, home / ".ssh"))
    assert gen("install", ours, "--yes").status == 0
    assert (home / ".ssh/config").is_symlink()
    assert real.read_bytes().startswith(BLOCK.encode())


def test_a_mode_turns_into_the_other_and_back(gen: Gen, home: Path, ours: str) -> None:
    config = home / ".ssh/config"
    before = config.read_bytes()
    gen("install", ours, "--yes")
    included = config.read_bytes()
    assert gen("install", ours, "--yes", "--mode", "inline").status == 0
    inlined = config.read_bytes()
    assert (
        b"# >>> gen ours: managed" in inlined
        and b"Include" not in inlined
        and inlined.endswith(before)
    )
    assert gen("install", ours, "--yes").status == 0
    assert config.read_bytes() == inlined, "without a word the mode stays"
    gen("install", ours, "--yes", "--mode", "include")
    assert config.read_bytes() == included


def test_inline_takes_the_sites_that_are_there_along(gen: Gen, home: Path, ours: str) -> None:
    other = str(spec(Path(), "other"))
    gen("install", ours, "--yes")
    gen("install", other, "--yes", "--mode", "inline")
    text = (home / ".ssh/config").read_text("latin-1")
    assert "# >>> gen ours: managed" in text and "# >>> gen other: managed" in text


def test_an_inline_site_that_moved_on_is_written_anew(gen: Gen, home: Path, ours: str) -> None:
    gen("install", ours, "--yes", "--mode", "inline")
    assert gen("install", ours, "--yes", "--user", "ada").status == 0
    assert "    User ada\n" in (home / ".ssh/config").read_text("latin-1")


def broken(home: Path) -> None:
    (home / ".ssh/config").write_text(
        "Host a\n# >>> gen: managed, do not edit between these lines >>>\n"
    )


def theirs(home: Path) -> None:
    (home / ".ssh/gen.d").mkdir()
    (home / ".ssh/gen.d/ours.conf").write_text("# mine\n")


def same_name(home: Path) -> None:
    (home / ".ssh/config").write_text("Host x\n\nHost ours\n  User grace\n  Port 2222\n")


def refused_by_ssh(home: Path) -> None:
    (home / ".ssh/config").write_text("Host x\n\n  Prot 22\n")


def utf16(home: Path) -> None:
    (home / ".ssh/config").write_bytes("Host x\n".encode("utf-16"))


def folder(home: Path) -> None:
    (home / ".ssh/config").unlink()
    (home / ".ssh/config").mkdir()


def nowhere(home: Path) -> None:
    (home / ".ssh/config").unlink()
    (home / ".ssh/config").symlink_to("not-there")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(
            broken,
            "/.ssh/config:2: begins a block of gen that has no end; add the line # <<< gen <<<",
            id="markers",
        ),
        pytest.param(
            theirs,
            "/gen.d/ours.conf: was here before, and gen did not write it",
            id="a file of theirs",
        ),
        pytest.param(
            same_name,
            "~/.ssh/config:3: your entry ours would change: hostname ours → ours.example.org, ",
            id="a host of theirs",
        ),
        pytest.param(
            refused_by_ssh, "~/.ssh/config:3: bad configuration option: prot", id="ssh refuses it"
        ),
        pytest.param(utf16, "/.ssh/config:1: contains a NUL byte", id="UTF-16"),
        pytest.param(folder, "/.ssh/config: is a directory", id="a folder"),
        pytest.param(
            nowhere,
            "/.ssh/config: is a link to a file that does not exist; fix or remove the link\n",
            id="a link that leads nowhere",
        ),
    ],
)
def test_all_is_refused_before_anything_is_written(
    gen: Gen, home: Path, ours: str, make: object, words: str
) -> None:
    assert callable(make)
    make(home)
    before = tree(home)
    result = gen("install", ours, "--yes")
    assert (result.status, result.out) == (2, "")
    assert words in result.err
    assert tree(home) == before


@pytest.mark.parametrize("make", [theirs, same_name])
def test_force_goes_on_and_keeps_a_backup(gen: Gen, home: Path, ours: str, make: object) -> None:
    assert callable(make)
    make(home)
    kept = {
        (home / ".ssh/config").read_bytes(),
        *(file.read_bytes() for file in home.glob(".ssh/gen.d/*")),
    }
    assert gen("install", ours, "--yes", "--force").status == 0
    assert {file.read_bytes() for file in (home / ".local/state/gen/backup").iterdir()} == kept


def test_what_was_forced_away_is_forgotten(gen: Gen, home: Path, ours: str) -> None:
    gen("install", ours, "--yes")
    before = tree(home)
    (home / ".ssh/gen.d/ours.conf").write_text("# mine\n")
    assert gen("install", ours, "--yes").status == 2
    assert gen("install", ours, "--yes", "--force").status == 0
    again = {name: what for name, what in tree(home).items() if "backup/" not in name}
    assert again == {name: what for name, what in before.items() if "backup/" not in name}
    assert gen("install", ours, "--yes").status == 0


@pytest.mark.parametrize("mode", ["include", "inline"])
def test_an_edit_within_our_block_is_refused_and_forced_away(
    gen: Gen, home: Path, ours: str, mode: str
) -> None:
    gen("install", ours, "--yes", "--mode", mode)
    config = home / ".ssh/config"
    good = config.read_bytes()
    config.write_bytes(good.replace(b"\n# <<< gen", b"\n# mine\n# <<< gen"))
    refused = gen("install", ours, "--yes")
    assert refused.status == 2
    assert f"{config}: the block of gen at line 1 was edited since gen wrote it" in refused.err
    assert gen("install", ours, "--yes", "--force").status == 0
    assert config.read_bytes() == good


def test_print_changes_nothing_and_what_it_prints_is_taken_over_later(
    gen: Gen, home: Path, ours: str
) -> None:
    before = tree(home)
    printed = gen("install", ours, "--mode", "print")
    assert printed.status == 0
    assert tree(home) == before
    config = home / ".ssh/config"
    own = config.read_bytes()
    config.write_bytes(printed.out.encode() + own)
    assert gen("install", ours, "--yes").status == 0
    assert config.read_bytes() == printed.out.encode() + own
    assert gen("install", ours, "--yes", "--mode", "include").status == 0
    assert config.read_bytes() == BLOCK.encode() + own


def read_only(home: Path) -> None:
    (home / ".ssh/config").chmod(0o444)


def in_nix(home: Path) -> None:
    store = home.parent / "nix/store/abc-hm_config"
    store.parent.mkdir(parents=True)
    (home / ".ssh/config").rename(store)
    (home / ".ssh/config").symlink_to(store)


def in_chezmoi(home: Path) -> None:
    source = home / ".local/share/chezmoi/private_dot_ssh"
    source.mkdir(parents=True)
    (source / "private_config.tmpl").write_text("Host mine\n")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(read_only, "/.ssh/config is read-only", id="read-only"),
        pytest.param(in_nix, "/.ssh/config is a link into the Nix store", id="Nix"),
        pytest.param(in_chezmoi, "/.ssh/config is managed by chezmoi; add this to ", id="chezmoi"),
    ],
)
def test_a_config_that_somebody_else_keeps_is_left_to_the_person(
    gen: Gen, home: Path, ours: str, make: object, reason: str
) -> None:
    assert callable(make)
    make(home)
    config = home / ".ssh/config"
    before = config.read_bytes()
    result = gen("install", ours, "--yes")
    assert (result.status, result.out) == (0, BLOCK)
    assert reason in result.err
    assert config.read_bytes() == before
    assert (home / ".ssh/gen.d/ours.conf").is_file()
    assert json.loads(gen("install", ours, "--yes", "--json").out)["manual_change"]["add"] == BLOCK


def test_who_added_the_line_themselves_is_asked_no_more(gen: Gen, home: Path, ours: str) -> None:
    config = home / ".ssh/config"
    config.write_text(BLOCK + "Host mine\n")
    config.chmod(0o444)
    result = gen("install", ours, "--yes")
    assert (result.status, result.out) == (0, "")
    assert "read-only" not in result.err


def test_without_a_terminal_nothing_is_asked_and_nothing_written(
    gen: Gen, home: Path, ours: str
) -> None:
    before = tree(home)
    result = gen("install", ours)
    assert result.status == 2
    assert (
        "There is no terminal to ask on. Add --yes, or see the changes with --dry-run."
        in result.err
    )
    assert "+Include ~/.ssh/gen.d/*.conf" in result.out
    assert tree(home) == before


def test_a_dry_run_prints_a_patch_and_writes_nothing(gen: Gen, home: Path, ours: str) -> None:
    before = tree(home)
    result = gen("install", ours, "--dry-run")
    assert result.status == 0
    assert "+++ b/.ssh/gen.d/ours.conf\n" in result.out and "+++ b/.ssh/config\n" in result.out
    assert tree(home) == before


def test_programs_read_what_was_done(gen: Gen, home: Path, ours: str) -> None:
    report = json.loads(gen("install", ours, "--yes", "--json").out)
    assert report["sites"] == ["ours"]
    assert [(file["path"], file["action"]) for file in report["files"]] == [
        (".ssh/gen.d/ours.conf", "create"),
        (".config/gen/site_specs/ours.yaml", "create"),
        (".ssh/config", "update"),
    ]
    assert (report["manual_change"], report["findings"], report["timers"]) == (None, [], {})
    assert [Path(path).is_file() for path in report["backups"]] == [True]


def test_a_spec_of_ones_own_is_found_from_anywhere_afterwards(
    gen: Gen, home: Path, ours: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gen("install", ours, "--yes")
    monkeypatch.chdir("/")
    assert gen("show", "ours").status == 0
    again = gen("install", "ours", "--yes")
    assert again.status == 0
    assert "same      ~/.config/gen/site_specs/ours.yaml" in again.err


def test_a_timer_that_no_manager_runs_is_told_and_its_units_are_there(gen: Gen, home: Path) -> None:
    spec(Path(), auth=CERTIFICATE)
    result = gen("install", "ours.yaml", "--yes")
    assert result.status == 0
    assert "The timer of ours does not run: " in result.err
    assert "systemctl --user enable --now gen-cert-ours.timer" in result.err
    assert (home / ".config/systemd/user/gen-cert-ours.timer").is_file()
    assert not (home / "Library").exists()


def test_what_only_the_command_line_says_a_timer_will_not_know(gen: Gen, home: Path) -> None:
    spec(Path(), auth=CERTIFICATE)
    told = (
        "The timer and ssh run gen refresh ours, which reads only your profile."
        ' Add to the profile: user, --set title="Ours"'
    )
    changes = ("--set", "title=Ours")
    assert told in gen("install", "ours.yaml", "--user", "ada", *changes, "--yes").err
    profile = home / ".config/gen/profile.yaml"
    profile.write_text("user: ada\nsites: {ours: {set: {title: Ours}}}\n")
    assert (
        "your profile: put"
        not in gen("install", "ours.yaml", "--user", "ada", *changes, "--yes").err
    )


def test_the_home_folder_of_somebody_else_is_refused(gen: Gen, home: Path, ours: str) -> None:
    if os.geteuid():
        pytest.skip("needs root, to give a folder away")
    os.chown(home, 1, 1)
    result = gen("install", ours, "--yes")
    assert (result.status, "belongs to another user; run gen as its owner" in result.err) == (
        2,
        True,
    )


def test_several_sites_are_installed_at_once(gen: Gen, home: Path, ours: str) -> None:
    other = str(spec(Path(), "other"))
    result = gen("install", ours, other, "--yes")
    assert result.status == 0
    assert sorted(path.name for path in (home / ".ssh/gen.d").iterdir()) == [
        "other.conf",
        "ours.conf",
    ]
    assert (home / ".ssh/config").read_text("latin-1").count(">>> gen") == 1


def test_with_json_the_patch_is_no_part_of_what_programs_read(
    gen: Gen, home: Path, ours: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generator.cli.install.agreed", lambda _: True)
    result = gen("install", ours, "--json")
    assert json.loads(result.out)["sites"]
    assert "+++ b/.ssh/config" in result.err


def test_to_ask_what_a_name_comes_to_renews_no_certificate(tmp_path: Path) -> None:
    renewing = compile_site(validate.site(CATALOGUE / "cscs-daint.yaml"), SiteProfile(user="ada"))
    content = next(one.content for one in renewing if one.path.suffix == ".conf")
    assert b"gen refresh" in content
    files = Files(
        tmp_path,
        {tmp_path / ".ssh/config": b'Match exec "true"\n  Port 1\n' + content},
        tmp_path / "none",
    )
    copied = write_copies(sources(files), tmp_path)[0].read_bytes()
    assert b"gen refresh" not in copied
    assert b'Match exec "true"\n  Port 1\n' in copied
    assert copied.count(b"Match !all\n") == content.count(b"gen refresh")


def test_a_site_that_is_named_twice_is_installed_once(gen: Gen, home: Path, ours: str) -> None:
    report = json.loads(gen("install", ours, ours, "--yes", "--json").out)
    assert report["sites"] == ["ours"]
    assert gen("uninstall", "ours", "ours", "--yes").status == 0


def test_permissions_that_ssh_refuses_are_told_where_nobody_is_asked(
    gen: Gen, home: Path, ours: str
) -> None:
    (home / ".ssh/config").chmod(0o666)
    result = gen("install", ours, "--yes")
    assert (result.status, "; chmod 644 ~/.ssh/config\n" in result.err) == (0, True)
