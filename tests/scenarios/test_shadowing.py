"""ssh configurations beside Mila's file: ssh itself shows the lines that override it."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from other_tools import MILA_INIT
from sshd import TEST_USER

from generator.compiler.compile import compile_site
from generator.errors import GenError
from generator.install.milatools import take_over
from generator.install.shadowing import Shadow, shadows
from generator.install.side_effects import name_changes, user_names
from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema.profile import SiteProfile
from generator.ssh.config_files import Files, read_configuration
from generator.ssh.effective_config import effective_settings

pytestmark = pytest.mark.system

# Below a block, the Include would be part of the block.
GEN = (
    "Host *\n# >>> gen: managed, do not edit between these lines >>>\n"
    "Include ~/.ssh/gen.d/*.conf\n# <<< gen <<<\n"
)
LOGIN = "login.server.mila.quebec"
# The system's file as Debian ships it.
SYSTEM = (
    "Include ssh_config.d/*.conf\nHost *\n    SendEnv LANG LC_*\n"
    "    HashKnownHosts yes\n    GSSAPIAuthentication yes\n"
)
# As many blocks as some users have: gen asks ssh, and must not ask once for each line.
MANY = "".join(f"Host host{n}\n    User u{n}\n    Port {n + 1}\n" for n in range(700))

WriteFiles = Callable[[Mapping[str, str | bytes]], Files]


@pytest.fixture
def mila(ada: SiteProfile) -> bytes:
    """Return Mila's file for ada, without the nodes behind the balancer: fewer names to ask for."""
    site = validate.site(CATALOGUE / "mila.yaml")
    balancer = site.hosts["mila"].model_copy(update={"nodes": None})
    artifacts = compile_site(site.model_copy(update={"hosts": {"mila": balancer}}), ada)
    return next(artifact.content for artifact in artifacts if artifact.path.suffix == ".conf")


@pytest.fixture
def write_files(tmp_path: Path, mila: bytes, need: Callable[..., None]) -> WriteFiles:
    """Write files below `~/.ssh` (`/…`: beside the system's file), with Mila's installed."""
    need("ssh")

    def write(files: Mapping[str, str | bytes]) -> Files:
        home, etc = tmp_path / "home", tmp_path / "etc"
        written: dict[str, str | bytes] = {"/ssh_config": SYSTEM, "gen.d/mila.conf": mila, **files}
        for name, content in written.items():
            path = etc / name[1:] if name.startswith("/") else home / ".ssh" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            # ssh refuses a configuration that others can write, as with the umask 002.
            path.chmod(0o600)
        return Files(home, system=etc / "ssh_config")

    return write


CONFLICTS = [
    pytest.param(
        {"config": f"User bob\n{GEN}"},
        # ssh_config(5): for each option, the first value that ssh reads counts.
        {"~/.ssh/config:1": ("User bob", "mila")},
        id="an option for all",
    ),
    pytest.param(
        {"config": f"# mine\n\nHost *\n    ServerAliveInterval 30\n    ConnectTimeout 5\n\n{GEN}"},
        {
            "~/.ssh/config:4": ("ServerAliveInterval 30", "mila"),
            "~/.ssh/config:5": ("ConnectTimeout 5", "mila-cpu"),
        },
        id="an earlier Host *",
    ),
    pytest.param(
        {"config": f"Match originalhost work,mila\n    Port 22\n{GEN}"},
        {"~/.ssh/config:2": ("Port 22", "mila")},
        id="a Match by name",
    ),
    pytest.param(
        {"config": f"Match user nobody\n  Port 1\nMatch host {LOGIN}\n    Port 22\n{GEN}"},
        {"~/.ssh/config:4": ("Port 22", LOGIN)},
        id="the second Match, by host name",
    ),
    pytest.param(
        # ssh runs the commands of a Match exec itself, so gen need not know what they do.
        {"config": f'Match exec "false"\n  Port 1\nMatch exec "test %h = mila"\n  Port 22\n{GEN}'},
        {"~/.ssh/config:4": ("Port 22", "mila")},
        id="a Match exec that holds, below one that does not",
    ),
    pytest.param(
        {
            "config": f"Include conf.d/*\n{GEN}",
            "conf.d/a": "Host work\n  User a\n",
            "conf.d/b": "ControlMaster no\n",
        },
        {"~/.ssh/conf.d/b:1": ("ControlMaster no", "mila")},
        id="an included file, found by a pattern",
    ),
    pytest.param(
        {
            "config": f"Include outer\n{GEN}",
            "outer": "Host *\n  Include ~/.ssh/inner\n",
            "inner": "\nHostKeyAlgorithms +ssh-rsa\n",
        },
        {"~/.ssh/inner:2": ("HostKeyAlgorithms +ssh-rsa", "mila")},
        id="a file included by an included file, in a Host block",
    ),
    pytest.param(
        {"config": f'PREFERREDAUTHENTICATIONS="password"\n{GEN}'},
        {"~/.ssh/config:1": ('PREFERREDAUTHENTICATIONS "password"', "mila")},
        id="Key=value, in capitals and quotes",
    ),
    pytest.param(
        # ssh_config(5), ProxyJump: of ProxyCommand and ProxyJump, the one that ssh reads first
        # counts.
        {"config": f"Host cn-*\n  ProxyCommand nc bastion %h\n{GEN}"},
        {"~/.ssh/config:2": ("ProxyCommand nc bastion %h", "cn-????")},
        id="a ProxyCommand that prevents ProxyJump",
    ),
    pytest.param(
        {"config": f"Host * !mila !mila? !{LOGIN}\n  IdentitiesOnly no\n{GEN}"},
        {"~/.ssh/config:2": ("IdentitiesOnly no", "mila-cpu")},
        id="a Host line with negations",
    ),
    pytest.param(
        {"config": GEN, "gen.d/a.conf": "# another site\nHost mila*\n  Port 22\n"},
        {"~/.ssh/gen.d/a.conf:3": ("Port 22", "mila")},
        id="the file of another site",
    ),
    pytest.param(
        # A later file still decides options that ours leaves open, and a proxy changes the route.
        {"config": GEN, "/ssh_config.d/corp.conf": "\nProxyCommand corp-proxy %h %p\n"},
        {"/ssh_config.d/corp.conf:2": ("ProxyCommand corp-proxy %h %p", "mila")},
        id="the system's configuration, where ours says nothing",
    ),
    pytest.param(
        {"config": f"{GEN}\nHost *\n  HostKeyAlias all\n"},
        {"~/.ssh/config:7": ("HostKeyAlias all", "mila")},
        id="a Host * below, where ours says nothing",
    ),
    pytest.param(
        {"config": f"Port 22\nPort 23\n{GEN}"},
        {"~/.ssh/config:1": ("Port 22", "mila")},
        id="the first of two lines",
    ),
    pytest.param(
        # ssh reads bytes: a decoder that fails would hide the rest of the file.
        {"config": f"# caf\xe9\r\nHost *\r\n\tUser = bob\r\n{GEN}".encode("latin-1")},
        {"~/.ssh/config:3": ("User bob", "mila")},
        id="Latin-1 and CRLF",
    ),
    pytest.param(
        # Bisection over thousands of lines must end at the right one.
        {"config": f"{MANY}Host mila\n  Port 22\n{MANY}{GEN}"},
        {"~/.ssh/config:2102": ("Port 22", "mila")},
        id="one line of four thousand",
    ),
]


@pytest.mark.parametrize(("files", "expected"), CONFLICTS)
def test_a_line_that_overrides_the_site_is_named_with_file_and_line(
    files: Mapping[str, str | bytes],
    expected: Mapping[str, tuple[str, str]],
    write_files: WriteFiles,
    mila: bytes,
) -> None:
    written = write_files(files)
    findings: dict[str, Shadow] = {}
    for shadow in shadows(written, mila):
        assert shadow.message.startswith(str(shadow.location))
        findings[str(shadow.location).removeprefix(str(written.system.parent))] = shadow
    assert findings.keys() == expected.keys()
    for location, (line, name) in expected.items():
        assert findings[location].line == line
        assert name in findings[location].names


def test_names_that_a_negation_excludes_are_not_listed(
    write_files: WriteFiles, mila: bytes
) -> None:
    (finding,) = shadows(
        write_files({"config": f"Host * !mila !mila? !{LOGIN}\n  IdentitiesOnly no\n{GEN}"}), mila
    )
    assert not {"mila", LOGIN} & set(finding.names)
    assert {"mila-cpu", "cn-????", "*.server.mila.quebec"} <= set(finding.names)


def test_an_include_below_a_host_line_is_reported_as_not_applying(
    write_files: WriteFiles, mila: bytes
) -> None:
    # The mistake of users who paste the Include at the end of their file.
    below = {"config": f"# mine\n\nHost work\n  User bob\n{GEN.removeprefix('Host *')}"}
    with pytest.raises(GenError) as error:
        shadows(write_files(below), mila)
    assert (
        "~/.ssh/gen.d/mila.conf:3: this IgnoreUnknown has no effect below a Host or Match line; "
        "move the Include of this file to the top"
    ) in str(error.value).splitlines()
    conf = mila.replace(
        b"UseKeychain yes", b""
    )  # a site with no option that this ssh does not know
    (finding,) = shadows(write_files(below | {"gen.d/mila.conf": conf}), conf)
    assert (finding.location, finding.effect) == ("~/.ssh/config:7", "does not apply")
    assert {"mila", "mila-cpu", "cn-????"} <= set(finding.names)


def test_the_message_names_the_line_the_value_the_names_and_the_fix(
    write_files: WriteFiles, mila: bytes
) -> None:
    (finding,) = shadows(write_files({"config": f"Host mila-cpu\n  ConnectTimeout 5\n{GEN}"}), mila)
    assert finding.message == (
        "~/.ssh/config:2: ConnectTimeout 5 overrides ConnectTimeout 600 for mila-cpu; "
        "delete it, or move it below gen's block into `Host *`"
    )


@pytest.mark.parametrize(
    ("files", "fix"),
    [
        pytest.param(
            {"config": f"User bob\n{GEN}"},
            "delete it, or move it below gen's block",
            id="the user's",
        ),
        pytest.param(
            {"config": f"{GEN}HostKeyAlias a\n"}, "exclude them from its block", id="a block below"
        ),
        pytest.param(
            {"config": GEN, "/ssh_config": "ProxyJump a\n"},
            "exclude them there",
            id="the system's",
        ),
        pytest.param(
            {"config": GEN, "gen.d/a.conf": "Host mila\nPort 1\n"},
            "two sites have this",
            id="a site's",
        ),
    ],
)
def test_the_fix_depends_on_the_owner_of_the_line(
    files: Mapping[str, str | bytes], fix: str, write_files: WriteFiles, mila: bytes
) -> None:
    (finding,) = shadows(write_files(files), mila)
    assert finding.fix.startswith(fix)


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"config": GEN}, id="nothing of the user's"),
        pytest.param(
            {"config": f"{GEN}\nHost *\n  User bob\n  Port 22\n  ControlMaster no\n"},
            id="a Host * below",
        ),
        pytest.param(
            {"config": f"Host work\n  User bob\n  Port 1\n\n{GEN}"}, id="a block for others above"
        ),
        pytest.param(
            # IdentityFile and SendEnv add up, so both values count.
            {"config": f"IdentityFile ~/.ssh/id_rsa\nSendEnv FOO\n{GEN}"},
            id="options that add up",
        ),
        pytest.param(
            # ssh reads the files once more for it, and keeps the values of the first time.
            {"config": f"Match final all\n  Port 22\n{GEN}"},
            id="a Match final, which comes too late",
        ),
        pytest.param(
            {"config": f"# User bob\nForwardX11 yes\n{GEN}"}, id="an option that ours does not set"
        ),
        pytest.param(
            {"config": f"Match exec false\n  User bob\n{GEN}"}, id="a Match exec that does not hold"
        ),
        pytest.param(
            {"config": f"Include conf.d/*.conf\n{GEN}", "conf.d/a": "User bob\n"},
            id="a file not included",
        ),
        pytest.param(
            {"config": f"User ada\nPort 2222\n{GEN}".replace("Port 2222\n", "")},
            id="the same value",
        ),
    ],
)
def test_lines_that_override_nothing_are_not_reported(
    files: Mapping[str, str | bytes], write_files: WriteFiles, mila: bytes
) -> None:
    assert shadows(write_files(files), mila) == ()


def test_an_ignore_unknown_that_makes_ssh_refuse_the_site_is_named(
    write_files: WriteFiles, mila: bytes
) -> None:
    with pytest.raises(GenError) as error:
        shadows(write_files({"config": f"# mine\nIgnoreUnknown Foo\nFoo yes\n{GEN}"}), mila)
    # ssh reports one line for each option of macOS that it does not know.
    first, second, last = str(error.value).splitlines()[0], *str(error.value).splitlines()[-2:]
    assert first.startswith("~/.ssh/gen.d/mila.conf:") and first.endswith(
        "bad configuration option: usekeychain"
    )
    assert second == (
        "~/.ssh/config:2: ssh uses this IgnoreUnknown only, and no later one; add the option to it"
    )
    assert last == "ssh does not accept this configuration, so it refuses every host."


@pytest.mark.parametrize(
    ("config", "name", "location", "option"),
    [
        pytest.param(
            "Host mila\n  User bob\n",
            "mila",
            "~/.ssh/config:5",
            "user",
            id="an alias of the site's own name",
        ),
        pytest.param(
            "Host gpu.server.mila.quebec\n  Port 7\n",
            "gpu.server.mila.quebec",
            "~/.ssh/config:5",
            "port",
            id="a pattern",
        ),
        pytest.param(
            "Match originalhost work,cn-a001\n  HostName 192.0.2.1\n",
            "cn-a001",
            "~/.ssh/config:5",
            "hostname",
            id="a Match",
        ),
    ],
)
def test_an_entry_of_the_user_that_would_change_is_named(
    config: str, name: str, location: str, option: str, write_files: WriteFiles, mila: bytes
) -> None:
    after = write_files({"config": GEN + config})
    before = Files(
        # The lines of GEN are replaced by empty ones, so that the line numbers stay.
        after.home,
        {after.home / ".ssh/config": b"\n\n\n\n" + config.encode()},
        after.system,
    )
    (finding,) = name_changes(before, after, user_names(before), [mila])
    assert (finding.name, finding.location) == (name, location)
    assert option in {change.option for change in finding.options}
    assert finding.message.startswith(f"{location}: your entry {name} would change: ")


def test_the_message_shows_the_important_options_first_in_one_line(
    write_files: WriteFiles, mila: bytes
) -> None:
    after = write_files({"config": f"{GEN}Host mila\n  User bob\n"})
    before = Files(
        after.home, {after.home / ".ssh/config": b"Host mila\n  User bob\n"}, after.system
    )
    (finding,) = name_changes(before, after, user_names(before), [mila])
    start, _, count = finding.message.removesuffix(" more").rpartition(" and ")
    assert start == (
        "~/.ssh/config:1: your entry mila would change: "
        "hostname mila → login.server.mila.quebec, port 22 → 2222, user bob → ada"
    )
    assert int(count) == len(finding.options) - 3


def test_entries_of_mila_init_would_change_until_they_are_taken_over(
    write_files: WriteFiles, mila: bytes
) -> None:
    after = write_files({"config": GEN.encode() + MILA_INIT})
    config = after.home / ".ssh" / "config"
    before = Files(after.home, {config: MILA_INIT}, after.system)
    assert [change.name for change in name_changes(before, after, user_names(before), [mila])] == [
        "mila",
        "mila-cpu",
    ]
    # take_over comments the entries of `mila init` out, and an uninstallation restores them.
    taken_over = Files(after.home, {config: take_over(MILA_INIT)}, after.system)
    assert name_changes(before, after, user_names(taken_over), [mila]) == ()
    assert (
        shadows(
            Files(after.home, {config: GEN.encode() + take_over(MILA_INIT)}, after.system), mila
        )
        == ()
    )


def test_entries_that_the_site_does_not_match_do_not_change(
    write_files: WriteFiles, mila: bytes
) -> None:
    config = "Include more\nHost work home\n  User bob\nHost *\n  ControlMaster auto\n"
    after = write_files({"config": GEN + config, "more": "Host far\n  HostName 192.0.2.7\n"})
    before = Files(after.home, {after.home / ".ssh/config": config.encode()}, after.system)
    assert user_names(before) == {
        "far": "~/.ssh/more:1",
        "work": "~/.ssh/config:2",
        "home": "~/.ssh/config:2",
    }
    assert name_changes(before, after, user_names(before), [mila]) == ()


def test_among_many_entries_the_one_that_the_site_matches_is_found(
    write_files: WriteFiles, mila: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generator.install.side_effects._MAX_NAMES", 10)
    config = f"{MANY}Host gpu.server.mila.quebec\n  Port 7\n"
    after = write_files({"config": GEN + config})
    before = Files(after.home, {after.home / ".ssh/config": config.encode()}, after.system)
    assert len(user_names(before)) == 701
    assert [change.name for change in name_changes(before, after, user_names(before), [mila])] == [
        "gpu.server.mila.quebec"
    ]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        pytest.param(param.values[0], ("mila", "mila-cpu", "cn-0000", LOGIN, "host9"), id=param.id)
        for param in CONFLICTS
    ],
)
def test_ssh_reads_the_copies_as_it_reads_the_files(
    files: Mapping[str, str | bytes],
    names: tuple[str, ...],
    write_files: WriteFiles,
    need: Callable[..., None],
) -> None:
    # Without -F, ssh reads the usual paths: the files are mounted there for this one command.
    need("unshare", root=True)
    written = write_files(files)
    script = (
        'mount --bind "$1" "$2" && mount --bind "$3" /etc/ssh && shift 3'
        ' && for n; do ssh -G "$n" && echo; done'
    )
    command = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        script,
        "sh",
        str(written.home),
        TEST_USER.pw_dir,
        str(written.system.parent),
    ]
    done = subprocess.run(
        [*command, *names],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    copied = effective_settings(read_configuration(written), names)
    for name, answer in zip(names, done.stdout.split("\n\n"), strict=False):
        settings: list[str] = []
        for option, values in copied[name].items():
            settings += [f"{option} {value}" for value in values]
        assert sorted(settings) == sorted(answer.splitlines())
