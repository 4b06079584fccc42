"""`gen install`: the files that it writes, its refusals, and the changes it leaves to the user."""

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from homes import (
    CERTIFICATE,
    contents_of,
    installed_units,
    names_in,
    spec,
    tree,
    without_backups,
)
from running import Gen
from syrupy.assertion import SnapshotAssertion

from generator.compiler.compile import compile_site
from generator.install import commands
from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema.profile import SiteProfile
from generator.ssh.config_files import Files, read_configuration, write_copies

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="has the output with systemd")

BLOCK = (
    "# >>> gen: managed, do not edit between these lines >>>\n"
    "Include ~/.ssh/gen.d/*.conf\n"
    "# <<< gen <<<\n"
)


@pytest.fixture
def spec_path(home: Path) -> str:
    """Write an ssh config and a spec, and return the path of the spec."""
    (home / ".ssh").mkdir(mode=0o700)
    # Latin-1 and no final newline: gen must neither decode nor complete the file.
    (home / ".ssh/config").write_bytes(b"# b\xfcro\nHost mine\n  User grace")
    return str(spec(Path()))


# With 002 ssh refuses a configuration that the group can write; that once failed every installation
# of such a user.
@pytest.fixture(params=[0o002, 0o077], ids=["umask 002", "umask 077"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@on_linux
@pytest.mark.parametrize("site", ["mila", "musica"])
def test_install_prints_the_files_and_the_next_steps(
    gen: Gen, home: Path, site: str, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the timer would find depends on this machine; test_commands.py is about that.
    monkeypatch.setattr(commands, "missing_commands", lambda *_: [])
    result = gen("install", site, "--user", "ada", "--email", "ada@example.org", "--yes")
    assert (result.status, result.out) == (0, "")
    assert (
        {name: f"{mode:04o}" for name, (_, mode, _) in tree(home).items()},
        result.err,
    ) == snapshot


def test_modes_do_not_depend_on_the_umask(gen: Gen, home: Path, umask: None) -> None:
    spec(Path(), auth=CERTIFICATE)
    assert gen("install", "ours.yaml", "--yes").status == 0
    modes = {}
    for name, (_, mode, _) in tree(home).items():
        # A link has no mode of its own, and the test made the home directory.
        if name != "." and "timers.target" not in name:
            modes[name] = mode
    public = {".config/gen/site_specs/ours.yaml", *installed_units("ours")}
    assert {modes.pop(name) for name in public} == {0o644}
    assert set(modes.values()) == {0o700, 0o600}


def test_the_config_keeps_its_mode_its_bytes_and_its_backup(
    gen: Gen, home: Path, spec_path: str
) -> None:
    config = home / ".ssh/config"
    config.chmod(0o640)
    before = config.read_bytes()
    assert gen("install", spec_path, "--yes").status == 0
    assert config.read_bytes() == BLOCK.encode() + before
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    [backup] = (home / ".local/state/gen/backup").iterdir()
    assert (backup.read_bytes(), stat.S_IMODE(backup.stat().st_mode)) == (before, 0o600)


def test_a_second_installation_changes_no_file(gen: Gen, home: Path, spec_path: str) -> None:
    gen("install", spec_path, "--yes")
    before = times_of_files(home)
    assert gen("install", spec_path, "--yes").status == 0
    assert times_of_files(home) == before


def times_of_files(home: Path) -> dict[Path, int]:
    files = filter(Path.is_file, home.rglob("*"))
    return {path: path.stat().st_mtime_ns for path in files}


# Dotfiles in a repository (stow, yadm): to replace the link by a file would cut the config off from
# it.
@pytest.mark.parametrize("outside", [False, True], ids=["in the home directory", "outside of it"])
def test_a_link_is_followed_to_the_real_config_and_stays(
    gen: Gen, home: Path, spec_path: str, outside: bool
) -> None:
    real = (home.parent if outside else home) / "dotfiles" / "ssh config"
    real.parent.mkdir()
    (home / ".ssh/config").rename(real)
    (home / ".ssh/config").symlink_to(os.path.relpath(real, home / ".ssh"))
    assert gen("install", spec_path, "--yes").status == 0
    assert (home / ".ssh/config").is_symlink()
    assert real.read_bytes().startswith(BLOCK.encode())


def test_the_mode_can_be_changed_and_changed_back(gen: Gen, home: Path, spec_path: str) -> None:
    config = home / ".ssh/config"
    before = config.read_bytes()
    gen("install", spec_path, "--yes")
    included = config.read_bytes()
    assert gen("install", spec_path, "--yes", "--mode", "inline").status == 0
    inlined = config.read_bytes()
    assert b"# >>> gen ours: managed" in inlined
    assert b"Include" not in inlined
    assert inlined.endswith(before)
    assert gen("install", spec_path, "--yes").status == 0
    assert config.read_bytes() == inlined, "without --mode, the mode stays"
    gen("install", spec_path, "--yes", "--mode", "include")
    assert config.read_bytes() == included


def test_inline_mode_includes_the_sites_that_are_installed_already(
    gen: Gen, home: Path, spec_path: str
) -> None:
    other_spec = str(spec(Path(), "other"))
    gen("install", spec_path, "--yes")
    gen("install", other_spec, "--yes", "--mode", "inline")
    text = (home / ".ssh/config").read_text("latin-1")
    assert "# >>> gen ours: managed" in text and "# >>> gen other: managed" in text


def test_an_inline_block_is_updated_when_the_site_changes(
    gen: Gen, home: Path, spec_path: str
) -> None:
    gen("install", spec_path, "--yes", "--mode", "inline")
    assert gen("install", spec_path, "--yes", "--user", "ada").status == 0
    assert "    User ada\n" in (home / ".ssh/config").read_text("latin-1")


def unpaired_marker(home: Path) -> None:
    (home / ".ssh/config").write_text(
        "Host a\n# >>> gen: managed, do not edit between these lines >>>\n"
    )


def foreign_file(home: Path) -> None:
    (home / ".ssh/gen.d").mkdir()
    (home / ".ssh/gen.d/ours.conf").write_text("# mine\n")


def entry_of_the_same_name(home: Path) -> None:
    (home / ".ssh/config").write_text("Host x\n\nHost ours\n  User grace\n  Port 2222\n")


def unknown_option(home: Path) -> None:
    (home / ".ssh/config").write_text("Host x\n\n  Prot 22\n")


def utf16(home: Path) -> None:
    # Notepad and PowerShell 5 write UTF-16; ssh then fails for every host.
    (home / ".ssh/config").write_bytes("Host x\n".encode("utf-16"))


def directory(home: Path) -> None:
    (home / ".ssh/config").unlink()
    (home / ".ssh/config").mkdir()


def dangling_link(home: Path) -> None:
    (home / ".ssh/config").unlink()
    # A repository of dotfiles that is not mounted: gen must not create a file in its place.
    (home / ".ssh/config").symlink_to("not-there")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            unpaired_marker,
            "/.ssh/config:2: begins a block of gen that has no end; add the line # <<< gen <<<",
            id="markers",
        ),
        pytest.param(
            foreign_file,
            "/gen.d/ours.conf: was here before, and gen did not write it",
            id="a file that gen did not write",
        ),
        pytest.param(
            entry_of_the_same_name,
            "~/.ssh/config:3: your entry ours would change: hostname ours → ours.example.org, ",
            id="an entry of the same name",
        ),
        pytest.param(
            unknown_option, "~/.ssh/config:3: bad configuration option: prot", id="ssh refuses it"
        ),
        pytest.param(utf16, "/.ssh/config:1: contains a NUL byte", id="UTF-16"),
        pytest.param(directory, "/.ssh/config: is a directory", id="a directory"),
        pytest.param(
            dangling_link,
            "/.ssh/config: is a link to a file that does not exist; fix or remove the link\n",
            id="a dangling link",
        ),
    ],
)
def test_install_refuses_before_it_writes_anything(
    gen: Gen, home: Path, spec_path: str, make: object, message: str
) -> None:
    assert callable(make)
    make(home)
    before = tree(home)
    result = gen("install", spec_path, "--yes")
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert tree(home) == before


@pytest.mark.parametrize("make", [foreign_file, entry_of_the_same_name])
def test_force_replaces_the_file_and_keeps_a_backup(
    gen: Gen, home: Path, spec_path: str, make: object
) -> None:
    assert callable(make)
    make(home)
    originals = {(home / ".ssh/config").read_bytes(), *contents_of(home / ".ssh/gen.d")}
    assert gen("install", spec_path, "--yes", "--force").status == 0
    assert contents_of(home / ".local/state/gen/backup") == originals


def test_after_force_the_site_is_installed_as_before_the_edit(
    gen: Gen, home: Path, spec_path: str
) -> None:
    gen("install", spec_path, "--yes")
    before = tree(home)
    (home / ".ssh/gen.d/ours.conf").write_text("# mine\n")
    assert gen("install", spec_path, "--yes").status == 2
    assert gen("install", spec_path, "--yes", "--force").status == 0
    assert without_backups(tree(home)) == without_backups(before)
    assert gen("install", spec_path, "--yes").status == 0


@pytest.mark.parametrize("mode", ["include", "inline"])
def test_an_edited_block_is_refused_and_replaced_with_force(
    gen: Gen, home: Path, spec_path: str, mode: str
) -> None:
    gen("install", spec_path, "--yes", "--mode", mode)
    config = home / ".ssh/config"
    good = config.read_bytes()
    config.write_bytes(good.replace(b"\n# <<< gen", b"\n# mine\n# <<< gen"))
    refused = gen("install", spec_path, "--yes")
    assert refused.status == 2
    assert f"{config}: the block of gen at line 1 was edited since gen wrote it" in refused.err
    assert gen("install", spec_path, "--yes", "--force").status == 0
    assert config.read_bytes() == good


def test_print_changes_nothing_and_a_later_install_manages_the_printed_block(
    gen: Gen, home: Path, spec_path: str
) -> None:
    before = tree(home)
    printed = gen("install", spec_path, "--mode", "print")
    assert printed.status == 0
    assert tree(home) == before
    config = home / ".ssh/config"
    user_content = config.read_bytes()
    config.write_bytes(printed.out.encode() + user_content)
    assert gen("install", spec_path, "--yes").status == 0
    assert config.read_bytes() == printed.out.encode() + user_content
    assert gen("install", spec_path, "--yes", "--mode", "include").status == 0
    assert config.read_bytes() == BLOCK.encode() + user_content


# A user who locks the config against tools such as this one.
def read_only(home: Path) -> None:
    (home / ".ssh/config").chmod(0o444)


# An atomic write makes a new file, so the other name would keep the old text.
def hard_linked(home: Path) -> None:
    (home / "dotfiles-config").hardlink_to(home / ".ssh/config")


# home-manager builds the config; the store is read-only, and the next switch replaces the link.
def in_nix(home: Path) -> None:
    store = home.parent / "nix/store/abc-hm_config"
    store.parent.mkdir(parents=True)
    (home / ".ssh/config").rename(store)
    (home / ".ssh/config").symlink_to(store)


# The next `chezmoi apply` would undo a change that gen makes in the target.
def in_chezmoi(home: Path) -> None:
    source = home / ".local/share/chezmoi/private_dot_ssh"
    source.mkdir(parents=True)
    (source / "private_config.tmpl").write_text("Host mine\n")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(read_only, "/.ssh/config is read-only", id="read-only"),
        pytest.param(hard_linked, "/.ssh/config has 2 hard links, and", id="hard links"),
        pytest.param(in_nix, "/.ssh/config is a link into the Nix store", id="Nix"),
        pytest.param(in_chezmoi, "/.ssh/config is managed by chezmoi; add this to ", id="chezmoi"),
    ],
)
def test_a_config_that_another_tool_makes_is_left_to_the_user(
    gen: Gen, home: Path, spec_path: str, make: object, reason: str
) -> None:
    assert callable(make)
    make(home)
    config = home / ".ssh/config"
    before = config.read_bytes()
    result = gen("install", spec_path, "--yes")
    assert (result.status, result.out) == (0, BLOCK)
    assert reason in result.err
    assert config.read_bytes() == before
    assert (home / ".ssh/gen.d/ours.conf").is_file()
    report = json.loads(gen("install", spec_path, "--yes", "--json").out)
    assert report["manual_change"]["add"] == BLOCK


def test_the_config_keeps_its_extended_attributes_and_its_group(
    gen: Gen, home: Path, spec_path: str
) -> None:
    config = home / ".ssh/config"
    try:
        # A new file in the place of the old one loses both; on SELinux an attribute is the label.
        os.setxattr(config, "user.note", b"mine")
    except OSError as error:
        pytest.skip(f"this file system has no extended attributes: {error}")
    if os.geteuid() == 0:
        os.chown(config, -1, 12345)
    group = config.stat().st_gid
    assert gen("install", spec_path, "--yes").status == 0
    assert gen("uninstall", "ours", "--yes").status == 0
    assert os.getxattr(config, "user.note") == b"mine"
    assert config.stat().st_gid == group


def test_a_user_who_added_the_line_gets_no_more_instructions(
    gen: Gen, home: Path, spec_path: str
) -> None:
    config = home / ".ssh/config"
    config.write_text(BLOCK + "Host mine\n")
    config.chmod(0o444)
    result = gen("install", spec_path, "--yes")
    assert (result.status, result.out) == (0, "")
    assert "read-only" not in result.err


def test_without_a_terminal_and_without_yes_nothing_is_written(
    gen: Gen, home: Path, spec_path: str
) -> None:
    before = tree(home)
    result = gen("install", spec_path)
    assert result.status == 2
    hint = "There is no terminal to ask on. Add --yes, or see the changes with --dry-run."
    assert hint in result.err
    assert "+Include ~/.ssh/gen.d/*.conf" in result.out
    assert tree(home) == before


def test_a_dry_run_prints_a_patch_and_writes_nothing(gen: Gen, home: Path, spec_path: str) -> None:
    before = tree(home)
    result = gen("install", spec_path, "--dry-run")
    assert result.status == 0
    assert "+++ b/.ssh/gen.d/ours.conf\n" in result.out and "+++ b/.ssh/config\n" in result.out
    assert tree(home) == before


def test_json_reports_the_changes(gen: Gen, home: Path, spec_path: str) -> None:
    report = json.loads(gen("install", spec_path, "--yes", "--json").out)
    assert report["sites"] == ["ours"]
    assert [(file["path"], file["action"]) for file in report["files"]] == [
        (".ssh/gen.d/ours.conf", "create"),
        (".config/gen/site_specs/ours.yaml", "create"),
        (".ssh/config", "update"),
    ]
    assert (report["manual_change"], report["findings"], report["timers"]) == (None, [], {})
    assert [Path(path).is_file() for path in report["backups"]] == [True]


def test_the_users_spec_is_found_from_every_directory_after_the_installation(
    gen: Gen, home: Path, spec_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gen("install", spec_path, "--yes")
    monkeypatch.chdir("/")
    assert gen("show", "ours").status == 0
    later = gen("install", "ours", "--yes")
    assert later.status == 0
    assert "same      ~/.config/gen/site_specs/ours.yaml" in later.err


@on_linux
def test_without_a_service_manager_the_units_are_installed_and_the_user_gets_the_command(
    gen: Gen, home: Path
) -> None:
    spec(Path(), auth=CERTIFICATE)
    result = gen("install", "ours.yaml", "--yes")
    assert result.status == 0
    # A container or a login node without a user manager: the installation is still of use.
    assert "The timer of ours does not run: " in result.err
    assert "systemctl --user enable --now gen-cert-ours.timer" in result.err
    assert (home / ".config/systemd/user/gen-cert-ours.timer").is_file()
    assert not (home / "Library").exists()


def test_the_home_directory_of_another_user_is_refused(
    gen: Gen, home: Path, spec_path: str
) -> None:
    if os.geteuid():
        pytest.skip("needs root, to change the owner")
    # `sudo gen install` keeps HOME on some systems; the files would belong to root, and ssh of the
    # user would fail.
    os.chown(home, 1, 1)
    result = gen("install", spec_path, "--yes")
    assert result.status == 2
    assert "belongs to another user; run gen as its owner" in result.err


def test_several_sites_are_installed_at_once(gen: Gen, home: Path, spec_path: str) -> None:
    other_spec = str(spec(Path(), "other"))
    result = gen("install", spec_path, other_spec, "--yes")
    assert result.status == 0
    assert names_in(home / ".ssh/gen.d") == ["other.conf", "ours.conf"]
    # One Include reads the files of all sites.
    assert (home / ".ssh/config").read_text("latin-1").count(">>> gen") == 1


def test_with_json_the_patch_goes_to_stderr(
    gen: Gen, home: Path, spec_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generator.cli.install.agreed", lambda _: True)
    result = gen("install", spec_path, "--json")
    assert json.loads(result.out)["sites"]
    assert "+++ b/.ssh/config" in result.err


def test_a_question_to_ssh_renews_no_certificate(tmp_path: Path) -> None:
    # A site with `max_per_day`: a renewal for a mere question would use up one of few certificates.
    artifacts = compile_site(validate.site(CATALOGUE / "cscs-daint.yaml"), SiteProfile(user="ada"))
    content = next(artifact.content for artifact in artifacts if artifact.path.suffix == ".conf")
    assert b"gen refresh" in content
    files = Files(
        tmp_path,
        {tmp_path / ".ssh/config": b'Match exec "true"\n  Port 1\n' + content},
        tmp_path / "none",
    )
    copied = write_copies(read_configuration(files), tmp_path)[0].read_bytes()
    assert b"gen refresh" not in copied
    assert b'Match exec "true"\n  Port 1\n' in copied
    assert copied.count(b"Match !all\n") == content.count(b"gen refresh")


def test_a_site_that_is_named_twice_is_installed_once(gen: Gen, home: Path, spec_path: str) -> None:
    report = json.loads(gen("install", spec_path, spec_path, "--yes", "--json").out)
    assert report["sites"] == ["ours"]
    assert gen("uninstall", "ours", "ours", "--yes").status == 0


def test_without_questions_loose_permissions_are_printed_with_the_command_that_fixes_them(
    gen: Gen, home: Path, spec_path: str
) -> None:
    (home / ".ssh/config").chmod(0o666)
    result = gen("install", spec_path, "--yes")
    assert result.status == 0
    assert "; chmod 644 ~/.ssh/config\n" in result.err
