"""`gen init` without a terminal, and the values that this machine proposes."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from homes import tree
from running import Gen

from generator.install import proposals

PROFILE = ".config/gen/profile.yaml"


def lines(home: Path) -> list[str]:
    """Return the lines of the profile that are no comments."""
    text = (home / PROFILE).read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_options_make_a_profile_without_a_terminal(gen: Gen, home: Path) -> None:
    result = gen("init", "--user", "ada", "--home", "/home/ada", "--no-multiplexing")
    assert (result.status, result.out, result.err) == (0, "", f"  new       ~/{PROFILE}\n")
    assert lines(home) == ["user: ada", "home: /home/ada", "multiplexing: false"]
    assert {name: f"{mode:04o}" for name, (_, mode, _) in tree(home / ".config").items()} == {
        ".": "0700",
        "gen": "0700",
        "gen/profile.schema.json": "0644",
        "gen/profile.yaml": "0600",
    }
    # The first line of the profile names the schema beside it.
    schema = json.loads((home / ".config/gen/profile.schema.json").read_text())
    assert "user" in schema["properties"]
    assert gen("schema", "profile").out == (home / ".config/gen/profile.schema.json").read_text()


def test_options_for_a_site_go_into_its_entry(gen: Gen, home: Path) -> None:
    gen("init", "--user", "ada")
    result = gen("init", "musica", "narval", "--user", "xy1")
    assert result.err == f"  changed   ~/{PROFILE}\n"
    assert lines(home) == [
        "user: ada",
        "sites:",
        "  musica: { user: xy1 }",
        "  narval: { user: xy1 }",
    ]
    assert gen("init", "narval", "--user", "xy1").err == f"  same      ~/{PROFILE}\n"
    assert gen("site", "musica", "--no-project").status == 0
    assert "User xy1\n" in Path("ssh/musica.conf").read_text()


def test_a_profile_of_the_user_keeps_its_mode_its_link_and_its_comments(
    gen: Gen, home: Path
) -> None:
    real = home / "dotfiles/gen.yaml"
    real.parent.mkdir()
    real.write_text("user: ada # me\n")
    real.chmod(0o640)
    (home / ".config/gen").mkdir(parents=True)
    (home / PROFILE).symlink_to(real)
    assert gen("init", "--email", "a@b.org").status == 0
    assert (home / PROFILE).is_symlink()
    assert real.read_text() == "user: ada # me\n\nemail: a@b.org\n"
    assert real.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        pytest.param(
            "",
            [],
            "gen init: there is no terminal to ask on; give your values as options, as in: "
            "gen init --user ada, or for one site: gen init musica --user xy12345",
            id="nothing to write",
        ),
        pytest.param(
            "",
            ["--email", "nobody"],
            "--email: 'nobody' is not an e-mail address",
            id="a value of another form",
        ),
        pytest.param(
            "",
            ["milla", "--user", "ada"],
            "milla: no such site; did you mean mila? Otherwise run gen list, or give the path of"
            " a spec",
            id="an unknown site",
        ),
        pytest.param(
            "usre: ada\n",
            ["--user", "ada"],
            "PROFILE:1: usre: there is no such key; did you mean user?",
            id="a fault that was there before",
        ),
    ],
)
def test_what_cannot_be_written_is_refused(
    gen: Gen, home: Path, text: str, arguments: list[str], message: str
) -> None:
    path = home / PROFILE
    if text:
        path.parent.mkdir(parents=True)
        path.write_text(text)
    before = tree(home)
    result = gen("init", *arguments)
    expected = message.replace("PROFILE", str(path))
    assert (result.status, result.err) == (2, f"{expected}\n")
    assert tree(home) == before


def test_an_option_may_name_another_profile(gen: Gen, home: Path) -> None:
    assert gen("init", "--user", "ada", "--profile", "p.yaml").status == 0
    assert Path("p.yaml").exists()
    assert not (home / PROFILE).exists()


def ssh_files(home: Path, config: str = "", known_hosts: str = "") -> None:
    directory = home / ".ssh"
    directory.mkdir(mode=0o700, exist_ok=True)
    for name, text in (("config", config), ("known_hosts", known_hosts)):
        if text:
            (directory / name).write_text(text)
            (directory / name).chmod(0o600)


def test_sites_are_recognized_by_the_hosts_that_ssh_knows(gen: Gen, home: Path) -> None:
    ssh_files(
        home,
        # The settings of an alias may come from another block, so ssh itself is asked.
        "Host m\n  HostName LOGIN.server.mila.quebec\nHost other\n  HostName example.org\n"
        "Host m o*\n  User bonnie\n  IdentityFile ~/.ssh/id_work\n",
        "musica.vie.asc.ac.at,192.0.2.1 ssh-ed25519 AAAA\n"
        "[narval.alliancecan.ca]:2222 ssh-ed25519 AAAA\n",
    )
    (home / ".ssh/id_work").touch()
    gen("install", "fir", "--yes")
    known = proposals.known_sites(home)
    assert known["mila"] == proposals.KnownSite("mila", "Host m", "bonnie", "~/.ssh/id_work")
    assert known["fir"] == proposals.KnownSite("fir", "installed")
    assert known["musica"] == proposals.KnownSite("musica", "known_hosts")
    assert known["narval"] == proposals.KnownSite("narval", "known_hosts")
    assert "example" not in " ".join(known)


def test_a_configuration_that_ssh_refuses_proposes_nothing(home: Path) -> None:
    ssh_files(home, "Prot 22\nHost m\n  HostName login.server.mila.quebec\n")
    assert proposals.known_sites(home) == {}


def test_a_default_user_and_the_default_keys_are_no_proposals(home: Path) -> None:
    ssh_files(home, "Host m\n  HostName login.server.mila.quebec\n")
    assert proposals.known_sites(home)["mila"] == proposals.KnownSite("mila", "Host m")


def test_keys_are_listed_with_their_kind_and_whether_an_agent_has_them(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    ssh_files(home)
    directory = home / ".ssh"
    for name in ("id_ed25519", "id_token", "id_gone"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
        subprocess.run(command, check=True)
    (directory / "id_broken.pub").write_text("no key\n")
    (directory / "id_gone").unlink()
    assert proposals.private_keys(home) == {
        "~/.ssh/id_ed25519": "ed25519",
        "~/.ssh/id_token": "ed25519",
    }
    agent = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    socket = agent.partition("SSH_AUTH_SOCK=")[2].partition(";")[0]
    process = agent.partition("SSH_AGENT_PID=")[2].partition(";")[0]
    monkeypatch.setenv("SSH_AUTH_SOCK", socket)
    try:
        subprocess.run(["ssh-add", "-q", str(directory / "id_token")], check=True)
        # Only the public half is a file, as with a token.
        (directory / "id_token").unlink()
        assert proposals.private_keys(home)["~/.ssh/id_token"] == "ed25519, in your agent"  # noqa: S105
    finally:
        os.kill(int(process), 15)


def test_the_address_comes_from_the_users_git_and_not_from_a_repository(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "config", "user.email", "project@example.org"], check=True)
    assert proposals.email() is None
    (home / ".gitconfig").write_text("[user]\n\temail = ada@example.org\n")
    assert proposals.email() == "ada@example.org"
