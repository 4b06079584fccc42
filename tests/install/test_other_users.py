"""Other users of the machine cannot change a file that gen trusts, and gen lets them write none."""

import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from homes import CERTIFICATE, installed_units, spec, tree
from running import Gen
from sshd import mount_over

STATE = ".local/state/gen/install"
FOREIGN_USER = 54321
UNKNOWN_USER = 54323
"""Number of a user whom the passwd database does not know, as in a container that runs any uid."""
BOB = 54322
"""Number of a user and of the user's private group."""
PRIVATE_FILES = [f"{STATE}/ours.lock", f"{STATE}/home.json", f"{STATE}/busy"]


def gen_process(home: Path, umask: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run gen in a process of its own, with a umask and a home directory."""
    command = [sys.executable, "-m", "generator", *arguments]
    return subprocess.run(
        command,
        env={**os.environ, "HOME": str(home)},
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o007, 0o077], ids="{:03o}".format)
@pytest.mark.parametrize("options", [[], ["--mode", "inline"]], ids=" ".join)
def test_the_umask_changes_no_mode(home: Path, umask: int, options: list[str]) -> None:
    config = home / ".ssh/config"
    config.parent.mkdir(mode=0o700)
    config.write_text("Host other\n  User x\nInclude more\n")
    (config.parent / "more").write_text("Host z\n  User y\n")
    for path in config.parent.iterdir():
        path.chmod(0o600)
    before = tree(home)
    path = spec(Path(), auth=CERTIFICATE)
    result = gen_process(home, umask, "install", str(path), "--yes", *options)
    assert (result.returncode, "does not accept" in result.stderr) == (0, False)
    modes: dict[str, int] = {}
    for entry in home.rglob("*"):
        name = str(entry.relative_to(home))
        # systemctl makes this directory and the link in it.
        if name not in before and "timers.target.wants" not in name:
            modes[name] = stat.S_IMODE(entry.stat().st_mode)
        if not entry.is_symlink():
            assert not entry.stat().st_mode & 0o022, name
    public = {*installed_units("ours"), ".config/gen/site_specs/ours.yaml"}
    for name, mode in modes.items():
        usual = 0o700 if (home / name).is_dir() else 0o600
        assert mode == (0o644 if name in public else usual), name
    assert public < set(modes)
    assert gen_process(home, umask, "uninstall", "ours", "--yes").returncode == 0
    remaining = {name for name in tree(home) if "timers.target.wants" not in name}
    assert {name for name in remaining if not name.startswith((".config", ".local"))} == set(before)


@pytest.mark.parametrize("command", [["status"], ["uninstall", "ours", "--yes"]], ids=" ".join)
@pytest.mark.parametrize("name", [*PRIVATE_FILES[:2], STATE, ".local/state", ".local", ""])
def test_a_record_that_other_users_can_write_is_refused(
    gen: Gen, home: Path, name: str, command: list[str]
) -> None:
    assert gen("install", str(spec(Path())), "--yes").status == 0
    private = home / name
    private.chmod(0o777 if private.is_dir() else 0o606)
    before = tree(home)
    result = gen(*command)
    if command == ["status"] and name.endswith("home.json"):
        return  # status does not read it
    assert result.status == 2
    assert result.err == (
        f"{private}: other users can write to it (mode {private.stat().st_mode & 0o777:o}); "
        f"run chmod go-w {private}, and check its contents\n"
    )
    assert tree(home) == before


@pytest.mark.parametrize("name", PRIVATE_FILES)
def test_a_record_of_another_user_is_refused(
    gen: Gen, home: Path, need: Callable[..., None], name: str
) -> None:
    need(root=True)
    assert gen("install", str(spec(Path())), "--yes").status == 0
    os.chown(home / name, FOREIGN_USER, -1)
    before = tree(home)
    for command in (["uninstall", "ours"], ["install", "mila", "--user", "ada"]):
        result = gen(*command, "--yes")
        assert result.status == 2
        # Before it, gen install lists what the site will be trusted with.
        *lines, refusal = result.err.splitlines(keepends=True)
        if lines:
            title, *facts = lines
            assert title == "mila, from catalogue:mila, will be trusted with:\n"
            assert all(fact.startswith("  ") for fact in facts)
        assert refusal == (
            f"{home / name}: belongs to user {FOREIGN_USER}, another user; "
            "move it away, then try again\n"
        )
    assert tree(home) == before


def test_refresh_refuses_a_copy_of_the_spec_that_other_users_can_write(
    gen: Gen, home: Path
) -> None:
    assert gen("install", str(spec(Path(), auth=CERTIFICATE)), "--yes").status == 0
    copy = home / STATE / "ours.yaml"
    copy.chmod(0o666)
    result = gen("refresh", "ours", "--force")
    assert result.status == 2
    assert f"{copy}: other users can write to it (mode 666)" in result.err


@pytest.mark.parametrize(
    "command",
    [["show", "mila"], ["site", "mila", "--user", "ada", "--out", "."], ["list", "--gpu", "A100"]],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize("name", ["mila.yaml", "", ".."])
def test_an_installed_spec_that_other_users_can_write_is_refused_by_name(
    gen: Gen, home: Path, name: str, command: list[str]
) -> None:
    installed = home / ".config/gen/site_specs"
    installed.mkdir(parents=True)
    # It would hide the site that ships with gen.
    spec(installed, "mila")
    assert gen(*command).status == 0
    entry = (installed / name).resolve()
    entry.chmod(0o777)
    result = gen(*command)
    assert (result.status, f"{entry}: other users can write to it (mode 777)" in result.err) == (
        2,
        True,
    )
    # Another site is not concerned.
    assert gen("show", "musica").status == 0
    # The user names the file.
    assert gen("show", str(installed / "mila.yaml")).status == 0


@pytest.mark.parametrize("options", [[], ["--profile", "profile.yaml"]], ids=["usual", "named"])
def test_a_profile_that_other_users_can_write_is_refused_below_the_home_directory(
    gen: Gen, home: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = home / ".config/gen"
    directory.mkdir(parents=True)
    monkeypatch.chdir(directory)
    profile = directory / "profile.yaml"
    profile.write_text("user: ada\n")
    profile.chmod(0o666)
    before = tree(home)
    result = gen("install", str(spec(home.parent)), "--yes", *options)
    assert (result.status, "profile.yaml: other users can write to it" in result.err) == (2, True)
    assert tree(home) == before
    profile.chmod(0o644)
    assert gen("install", str(spec(home.parent)), "--yes", *options).status == 0


def test_the_usual_profile_is_refused_wherever_xdg_config_home_leads(
    gen: Gen, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared/gen"
    shared.mkdir(parents=True)
    profile = shared / "profile.yaml"
    # Whoever writes it chooses programs that run.
    profile.write_text("user: ada\nstep_binary: /tmp/evil\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(shared.parent))
    path = str(spec(Path()))
    for entry in (profile, shared):
        mode = entry.stat().st_mode
        entry.chmod(0o777)
        result = gen("install", path, "--yes")
        assert (result.status, f"{entry}: other users can write to it" in result.err) == (2, True)
        entry.chmod(mode)
    assert gen("install", path, "--yes").status == 0


def test_a_profile_of_a_team_elsewhere_is_read(gen: Gen, home: Path, tmp_path: Path) -> None:
    profile = tmp_path / "team.yaml"
    profile.write_text("user: ada\n")
    profile.chmod(0o666)
    result = gen("install", str(spec(Path())), "--yes", "--profile", str(profile))
    assert (result.status, b"User ada" in (home / ".ssh/gen.d/ours.conf").read_bytes()) == (0, True)


@pytest.fixture
def as_bob(need: Callable[..., None], tmp_path: Path) -> list[str]:
    """Return the words before a command that run it as a user with a private group.

    The user is in the files of the command alone. To add one to the machine replaces /etc/passwd,
    and takes away the files that tests beside this one have mounted over it.
    """
    need("setpriv", "unshare", root=True)
    entries = {"passwd": f"bob:x:{BOB}:{BOB}::/tmp:/bin/sh\n", "group": f"bob:x:{BOB}:\n"}
    words: list[str] = []
    for name, entry in entries.items():
        file = tmp_path / name
        file.write_text(Path("/etc", name).read_text() + entry)
        words += mount_over(f"/etc/{name}", file)
    ids = ["--reuid=bob", "--regid=bob", "--init-groups", "--reset-env"]
    # He may read everything, so that he finds Python wherever it is; owners and modes count.
    ids += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return [*words, "setpriv", *ids]


@pytest.mark.parametrize("umask", [0o002, 0o007], ids="{:03o}".format)
def test_a_user_with_a_private_group_and_its_umask_installs_and_uninstalls(
    as_bob: list[str], umask: int
) -> None:
    home = Path("/tmp") / f"gen-test-{os.getpid()}"
    home.mkdir(mode=0o700)
    try:
        path = spec(home)
        (home / ".ssh").mkdir(mode=0o700)
        (home / ".ssh/config").write_text("Host other\n  User x\n")
        profile = home / ".config/gen/profile.yaml"
        profile.parent.mkdir(parents=True)
        profile.write_text("user: bob\n")
        for entry in [home, *home.rglob("*")]:
            os.chown(entry, BOB, BOB)
        for entry in (profile, profile.parent, profile.parent.parent, home / ".ssh", home):
            entry.chmod(entry.stat().st_mode & 0o777 | 0o020)  # as his umask leaves them
        gen = [*as_bob, "env", f"HOME={home}", f"PATH={os.environ['PATH']}"]
        gen += [sys.executable, "-P", "-m", "generator"]
        for command in (["install", str(path)], ["uninstall", "ours"]):
            result = subprocess.run(
                [*gen, *command, "--yes"],
                cwd=home,
                umask=umask,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            assert result.returncode == 0, result.stderr
        assert (home / ".ssh/config").read_text() == "Host other\n  User x\n"
    finally:
        subprocess.run(["rm", "-r", str(home)], check=True)


class UnknownUser:
    """A user without a passwd entry, as in a container that runs any uid."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def gen(self, *arguments: str) -> tuple[int, str]:
        """Run gen as the owner of the home directory; return its status and output."""
        for entry in [self.home, *self.home.rglob("*")]:
            os.chown(entry, UNKNOWN_USER, UNKNOWN_USER, follow_symlinks=False)
        words = ["setpriv", f"--reuid={UNKNOWN_USER}", f"--regid={UNKNOWN_USER}", "--clear-groups"]
        # Python and gen may be below a directory that only root may enter.
        words += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        result = subprocess.run(
            [*words, sys.executable, "-P", "-m", "generator", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={"HOME": str(self.home), "PATH": os.environ["PATH"]},
            cwd=self.home,
            check=False,
            timeout=120,
        )
        assert "Traceback" not in result.stderr, result.stderr
        return result.returncode, result.stdout + result.stderr


@pytest.fixture
def unknown_user(need: Callable[..., None]) -> Iterator[UnknownUser]:
    """Return a user without a passwd entry, and with an empty home directory."""
    need("setpriv", "ssh", root=True)
    with pytest.raises(KeyError):
        pwd.getpwuid(UNKNOWN_USER)
    # Not below the directories of pytest, which only their owner may enter.
    with TemporaryDirectory(prefix="gen-test-") as home:
        yield UnknownUser(Path(home))


NO_ENTRY = f"No user exists for uid {UNKNOWN_USER}"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("status",), 1, "ours: there is no certificate"),
        (("status", "ours", "--json"), 1, '"linger": null'),
        (("refresh", "ours"), 2, "ours: get-certificate is not on PATH"),
        (("refresh", "ours", "--check"), 1, "ours: there is no certificate"),
        (("site", "mila", "--user", "ada"), 0, "Mila cluster, in ."),
        (("init", "--user", "ada"), 0, "  new       ~/.config/gen/profile.yaml\n"),
        (("disconnect",), 0, "gen: no shared connection is open"),
        (("import", "ours"), 2, f"ssh -G -- ours: {NO_ENTRY}\n"),
        (("uninstall", "ours", "--yes"), 0, "  removed   ~/.ssh/gen.d/ours.conf\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_user_without_a_passwd_entry_gets_an_answer(
    unknown_user: UnknownUser, arguments: tuple[str, ...], status: int, message: str
) -> None:
    path = spec(unknown_user.home, auth=CERTIFICATE)
    assert gen_process(unknown_user.home, 0o022, "install", str(path), "--yes").returncode == 0
    returned, output = unknown_user.gen(*arguments)
    assert returned == status, output
    assert message in output


@pytest.mark.parametrize("config", [None, "Host other\n  User x\n"], ids=["no config", "a config"])
def test_an_installation_that_ssh_cannot_use_gives_the_reason_of_ssh(
    unknown_user: UnknownUser, config: str | None
) -> None:
    directory = unknown_user.home / ".ssh"
    if config:
        directory.mkdir(mode=0o700)
        (directory / "config").write_text(config)
    status, output = unknown_user.gen("install", str(spec(unknown_user.home)), "--yes")
    assert status == 2
    assert output.endswith(
        f"ssh fails: {NO_ENTRY}\n"
        "ssh needs a passwd entry for it; run gen and ssh as a user who has one\n"
    )
    assert not (directory / "gen.d").exists()
