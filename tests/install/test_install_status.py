"""`gen status` compares the home directory with the record of the installation."""

import json
import os
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from running import Gen, running

SPEC = (
    "site: ours\ntitle: Ours\n"
    "hosts: { ours: { host: ours.example.org } }\nauth: { method: agent }\n"
)


@pytest.fixture
def gen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Gen:
    for name in list(os.environ):
        if name.startswith(("GEN_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return running(monkeypatch, capfd.readouterr)


@pytest.fixture
def home(tmp_path: Path, gen: Gen) -> Path:
    """Return a home directory with one installed site, whose spec the test can change."""
    spec = tmp_path / "site_specs/ours.yaml"
    spec.parent.mkdir()
    spec.write_text(SPEC)
    assert gen("install", "ours", "--yes").status == 0
    return tmp_path


def test_an_unchanged_site_is_in_order(gen: Gen, home: Path) -> None:
    status, out, err = gen("status")
    assert (status, err) == (0, "")
    assert out.startswith("ours: ")
    assert out.endswith(" installed\n")


@pytest.mark.parametrize("mode", ["include", "inline"])
@pytest.mark.parametrize("line", ["ControlPath ~/mine-%C", "StrictHostKeyChecking no"])
def test_a_line_of_the_user_that_overrides_a_site_is_named_as_by_install(
    gen: Gen, home: Path, need: Callable[..., None], mode: str, line: str
) -> None:
    need("ssh")
    assert gen("install", "ours", "--yes", "--mode", mode).status == 0
    config = home / ".ssh/config"
    written = config.read_text()
    config.write_text(f"{line}\n{written}")
    status, out, err = gen("status")
    # gen installs the site in spite of it, so it is no fault.
    assert (status, err) == (0, "")
    [message] = [text.strip() for text in out.splitlines() if "overrides" in text]
    assert message.startswith(f"~/.ssh/config:1: {line} overrides {line.split()[0]} ")
    assert message in gen("install", "ours", "--yes", "--force", "--mode", mode).err
    # Below gen's lines, or for another host, it overrides nothing.
    for harmless in (f"{written}Host *\n  {line}\n", f"Host other\n  {line}\nHost *\n{written}"):
        config.write_text(harmless)
        assert "overrides" not in gen("status").out


def test_a_status_without_an_answer_of_ssh_says_so(
    gen: Gen, home: Path, need: Callable[..., None]
) -> None:
    need("ssh")
    config = home / ".ssh/config"
    config.write_text(f"{config.read_text()}Host *\n  Nonsense 1\n")
    status, out, err = gen("status")
    assert (status, err) == (0, "")
    assert "  unknown whether other lines override it: ~/.ssh/config:" in out


@pytest.mark.parametrize("mode", ["include", "inline"])
@pytest.mark.parametrize("user_lines", ["", "HashKnownHosts no\n"], ids=["gen alone", "own lines"])
def test_a_last_newline_that_another_program_stripped_is_no_edit(
    gen: Gen, home: Path, mode: str, user_lines: str
) -> None:
    config, site = home / ".ssh/config", home / ".ssh/gen.d/ours.conf"
    gen("install", "ours", "--yes", "--mode", mode)
    # The block is the last thing in the file.
    block = config.read_text()
    config.write_text(user_lines + block)
    written = site.read_bytes()
    for path in (config, site):
        path.write_bytes(path.read_bytes().rstrip(b"\n"))
    status, out, err = gen("status")
    assert (status, "edited" in out + err) == (0, False), out + err
    # Without --yes and without a terminal, a question would be an error.
    status, out, err = gen("install", "ours", "--mode", mode)
    assert status == 0, err
    assert site.read_bytes() == written
    assert config.read_text() == (user_lines + block).rstrip("\n")
    site.write_bytes(written.rstrip(b"\n"))
    assert gen("uninstall", "ours", "--yes").status == 0
    assert not site.exists()
    assert (config.read_text() if user_lines else "") == user_lines


def test_a_site_with_a_stripped_newline_and_an_edit_is_edited(gen: Gen, home: Path) -> None:
    site = home / ".ssh/gen.d/ours.conf"
    site.write_bytes(site.read_bytes().rstrip(b"\n") + b" # mine")
    status, out, _ = gen("status")
    assert (status, "  edited    ~/.ssh/gen.d/ours.conf\n" in out) == (1, True)
    assert "was edited since gen wrote it" in gen("install", "ours", "--yes").err


@pytest.mark.parametrize(
    ("change", "line", "fix"),
    [
        pytest.param(
            lambda home: (home / ".ssh/gen.d/ours.conf").write_text("Host ours\n"),
            "  edited    ~/.ssh/gen.d/ours.conf",
            "  not as installed: gen install ours --force",
            id="edited",
        ),
        pytest.param(
            lambda home: (home / ".ssh/gen.d/ours.conf").unlink(),
            "  missing   ~/.ssh/gen.d/ours.conf",
            "  not as installed: gen install ours",
            id="missing",
        ),
        pytest.param(
            lambda home: (home / ".ssh/gen.d/ours.conf").chmod(0o644),
            "  mode      ~/.ssh/gen.d/ours.conf",
            "  not as installed: gen install ours",
            id="mode",
        ),
        pytest.param(
            lambda home: (home / "site_specs/ours.yaml").write_text(SPEC + "note: new\n"),
            "  newer     note",
            "  the spec has changed: gen install ~/site_specs/ours.yaml",
            id="the spec changed",
        ),
        pytest.param(
            lambda home: (home / ".ssh/config").write_text("Host *\n"),
            "  ssh does not read it: ~/.ssh/config lacks our lines; gen install ours",
            "  ssh does not read it: ~/.ssh/config lacks our lines; gen install ours",
            id="ssh does not read it",
        ),
    ],
)
def test_each_difference_is_shown_with_the_command_that_fixes_it(
    gen: Gen, home: Path, change: Callable[[Path], object], line: str, fix: str
) -> None:
    change(home)
    status, out, _ = gen("status", "ours")
    assert (status, out.splitlines()[1], out.splitlines()[-1]) == (1, line, fix)
    assert all(len(text) <= 80 for text in out.splitlines())
    report = json.loads(gen("status", "--json").out)["installed"]
    assert [site["site"] for site in report] == ["ours"]


def test_a_deleted_spec_leaves_a_command_that_works(gen: Gen, home: Path) -> None:
    (home / ".config/gen/site_specs/ours.yaml").unlink()
    (home / "site_specs/ours.yaml").unlink()
    before = gen("status")
    assert (before.status, "  not as installed: gen install ours\n" in before.out) == (1, True)
    result = gen("install", "ours", "--yes")
    assert (result.status, "no such site" in result.err) == (0, False)
    assert "The spec is ~/.local/state/gen/install/ours.yaml.\n" in result.err
    assert "trusted with" not in result.err
    status, out, _ = gen("status")
    assert (status, "newer" in out) == (0, False)
    # A copy of which nobody knows who wrote it is not used.
    (home / ".config/gen/site_specs/ours.yaml").unlink()
    (home / ".local/state/gen/install/ours.yaml").chmod(0o666)
    assert gen("install", "ours", "--yes").status == 2
    assert "no such site" in gen("install", "other", "--yes").err


def test_an_edited_spec_elsewhere_is_named_with_the_command_that_installs_it(
    gen: Gen, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    same = gen("install", "ours", "--yes").err
    assert "The spec is ~/.config/gen/site_specs/ours.yaml.\n" in same
    assert "to use that" not in same
    (home / "site_specs/ours.yaml").write_text(SPEC + "note: new\n")
    command = "gen install ~/site_specs/ours.yaml"
    for _ in range(2):  # the first one must not forget where the spec is
        hint = f"from ~/site_specs/ours.yaml, which has changed; to use that: {command}\n"
        assert hint in gen("install", "ours", "--yes").err
        assert f"  the spec has changed: {command}\n" in gen("status").out
    result = gen("install", str(home / "site_specs/ours.yaml"), "--yes")
    assert (result.status, "The spec is" in result.err) == (0, False)
    assert gen("status").status == 0


def test_a_config_with_windows_line_endings_is_read(gen: Gen, tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir(mode=0o700)
    (tmp_path / ".ssh/config").write_bytes(b"Host a\r\n  User b\r\n")
    (tmp_path / "ours.yaml").write_text(SPEC)
    assert gen("install", "ours.yaml", "--yes").status == 0
    assert gen("status").status == 0


INCLUDE_BLOCK = (
    "# >>> gen: managed, do not edit between these lines >>>\n"
    "Include ~/.ssh/gen.d/*.conf\n"
    "# <<< gen <<<\n"
)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        pytest.param(
            f"Host other\n  User x\n{INCLUDE_BLOCK}",
            "~/.ssh/config:4: ssh does not read it: gen's block is below Host other (line 1); "
            "move the block above that line",
            id="below a Host line",
        ),
        pytest.param(
            f"Match user ada\n{INCLUDE_BLOCK}",
            "~/.ssh/config:3: ssh does not read it: gen's block is below Match user ada (line 1); "
            "move the block above that line",
            id="below a Match line",
        ),
        pytest.param(
            "Host other\n  User x\n",
            "ssh does not read it: ~/.ssh/config lacks our lines; gen install ours",
            id="without the block",
        ),
        pytest.param(
            INCLUDE_BLOCK.replace("Include", "User x\nInclude"),
            "~/.ssh/config:1: this block of gen was edited; gen install ours --force",
            id="edited within the markers",
        ),
        pytest.param(
            INCLUDE_BLOCK.replace("# <<< gen <<<\n", ""),
            "~/.ssh/config:1: begins a block of gen that has no end; add the line # <<< gen <<<",
            id="a marker without its end",
        ),
    ],
)
def test_a_config_that_does_not_work_as_installed_is_reported_with_status_1(
    gen: Gen, home: Path, config: str, problem: str
) -> None:
    (home / ".ssh/config").write_text(config)
    result = gen("status")
    assert result.status == 1
    assert f"  {problem}" in result.out
    [site] = json.loads(gen("status", "--json").out)["installed"]
    assert site["config_problem"].startswith(problem)
    assert site["read_by_ssh"] == ("ssh does not read" not in problem)


@pytest.mark.parametrize("line", ["Host *", "Match all"])
def test_a_line_for_all_hosts_above_the_block_is_harmless(gen: Gen, home: Path, line: str) -> None:
    (home / ".ssh/config").write_text(f"{line}\n{INCLUDE_BLOCK}")
    assert gen("status").status == 0


def test_an_edited_block_of_the_inline_mode_is_reported(gen: Gen, home: Path) -> None:
    assert gen("install", "ours", "--yes", "--mode", "inline").status == 0
    assert gen("status").status == 0
    config = home / ".ssh/config"
    config.write_text(config.read_text().replace("Port 22", "Port 23"))
    result = gen("status")
    assert (result.status, "this block of gen was edited" in result.out) == (1, True)


@pytest.mark.parametrize(("state", "status"), [("active", 0), ("inactive", 1)])
def test_a_timer_that_does_not_run_is_reported_with_status_1(
    gen: Gen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, status: int
) -> None:
    # Stands for systemd, which answers so for a timer that is installed (systemctl(1), show).
    systemctl = tmp_path / "bin/systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(
        f"#!/bin/sh\necho LoadState=loaded\necho ActiveState={state}\n"
        "echo NextElapseUSecRealtime=\n"
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", f"{systemctl.parent}:{os.environ['PATH']}")
    auth = "{ method: certificate, command: [get-certificate], lifetime: 1d }"
    for name in ("gen", "get-certificate"):
        program = tmp_path / ".local/bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.touch(0o755)
    (tmp_path / "timed.yaml").write_text(
        f"site: timed\ntitle: T\nhosts: {{ timed: {{ host: t.example.org }} }}\nauth: {auth}\n"
    )
    assert gen("install", "./timed.yaml", "--yes").status == 0
    result = gen("status", "timed")
    assert (result.status, "not running; start it with" in result.out) == (status, bool(status))


def test_a_site_of_the_profile_that_gen_does_not_know_is_reported_with_status_1(
    gen: Gen, home: Path
) -> None:
    profile = home / ".config/gen/profile.yaml"
    profile.parent.mkdir(parents=True, exist_ok=True)
    profile.write_text("sites:\n  ours: { user: a }\n  milla: { user: b }\n  mila: { user: c }\n")
    result = gen("status")
    assert (result.status, result.err) == (
        1,
        "~/.config/gen/profile.yaml: sites.milla: no such site; did you mean mila?\n",
    )
    assert json.loads(gen("status", "--json").out)["profile_problems"] == [result.err.rstrip()]
    # A question about one site is about that site alone.
    assert gen("status", "ours").status == 0
    profile.write_text("sites: { ours: { user: a } }\n")
    assert (gen("status").status, gen("status").err) == (0, "")


def test_the_failure_of_a_site_that_was_never_installed_can_be_cleared(
    gen: Gen, tmp_path: Path
) -> None:
    auth = "{ method: certificate, command: ['false'], lifetime: 1d }"
    (tmp_path / "tried.yaml").write_text(
        f"site: tried\ntitle: T\nhosts: {{ tried: {{ host: t.example.org }} }}\nauth: {auth}\n"
    )
    assert gen("refresh", "./tried.yaml").status == 2
    (tmp_path / "tried.yaml").unlink()
    assert gen("status").err == (
        "tried: note: was renewed here once, and no longer has a spec;"
        " to forget that: gen uninstall tried\n"
    )
    assert gen("uninstall", "tried", "--yes").status == 0
    assert "tried" not in gen("status").err
    assert gen("uninstall", "tried", "--yes").status == 2
    assert not (tmp_path / ".local/state/gen").exists()


def install_with_lifetime(gen: Gen, home: Path, made_days_ago: int) -> Path:
    """Install a site that accepts a key for 180 days; return the key, made some days ago."""
    spec = home / "site_specs/ours.yaml"
    spec.write_text(SPEC.replace("method: agent", "method: publickey, lifetime: 180d"))
    assert gen("install", "ours", "--yes").status == 0
    key = home / ".ssh/id_ours"
    key.with_suffix(".pub").write_text("ssh-ed25519 AAAA\n")
    made = time.time() - made_days_ago * 86_400
    os.utime(key.with_suffix(".pub"), (made, made))
    return key


@pytest.mark.parametrize(
    ("made_days_ago", "ends_soon"),
    [
        pytest.param(1, False, id="new"),
        pytest.param(161, False, id="before the last tenth"),
        pytest.param(163, True, id="in the last tenth"),
        pytest.param(400, True, id="over"),
    ],
)
def test_a_key_that_a_site_accepts_for_a_time_is_shown_with_its_earliest_end(
    gen: Gen, home: Path, made_days_ago: int, ends_soon: bool
) -> None:
    install_with_lifetime(gen, home, made_days_ago)
    end = date.today() + timedelta(days=180 - made_days_ago)
    status, out, _ = gen("status", "ours")
    lines = out.splitlines()
    # No error: whether the user has submitted the key again, only the site knows.
    assert status == 0
    # A day more or less: the clock of the test may pass midnight, UTC or local.
    days = [end + timedelta(days=shift) for shift in (-1, 0, 1)]
    line = "  public key: accepted for 180d, so until {} at the earliest"
    assert any(line.format(day) in lines for day in days), out
    assert ("  submit it again, or another: ~/.ssh/id_ours.pub" in lines) is ends_soon
    (site,) = json.loads(gen("status", "--json").out)["installed"]
    (key,) = site["public_keys"]
    assert (key["lifetime"], key["ends_soon"]) == ("180d", ends_soon)


def test_a_key_that_was_not_made_or_has_no_end_is_not_shown(gen: Gen, home: Path) -> None:
    key = install_with_lifetime(gen, home, 1)
    key.with_suffix(".pub").unlink()
    assert "public key" not in gen("status", "ours").out
    (home / "site_specs/ours.yaml").write_text(SPEC.replace("method: agent", "method: publickey"))
    assert gen("install", "ours", "--yes").status == 0
    key.with_suffix(".pub").write_text("ssh-ed25519 AAAA\n")
    assert "public key" not in gen("status", "ours").out


@pytest.mark.parametrize("comment", ["x: y", "180d", "9d: \\0", "-1d: ~/.ssh/id_ours", "9x: a"])
def test_an_edited_comment_about_a_key_is_ignored(gen: Gen, home: Path, comment: str) -> None:
    install_with_lifetime(gen, home, 1)
    conf = home / ".ssh/gen.d/ours.conf"
    text = conf.read_text()
    conf.write_text(text.replace("accepted for 180d: ~/.ssh/id_ours", f"accepted for {comment}"))
    out = gen("status", "ours").out
    assert "edited" in out
    assert "public key" not in out or comment == "-1d: ~/.ssh/id_ours"


def test_the_lifetime_of_a_key_is_said_where_users_submit_it(gen: Gen, home: Path) -> None:
    spec = home / "site_specs/ours.yaml"
    auth = "method: publickey, lifetime: 180d, submit: in the portal"
    spec.write_text(SPEC.replace("method: agent", auth))
    err = gen("site", "ours", "--out", "out", "--user", "ada").err
    assert "then submit ~/.ssh/id_ours.pub in the portal (accepted for 180d)" in err
    assert "lifetime: 180d" in gen("show", "ours").out
