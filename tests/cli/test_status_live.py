"""`gen status --live` and `gen import` without a site: refusals, and files they do not touch."""

import shlex
from pathlib import Path

import pytest
from homes import CERTIFICATE, spec
from running import Gen, running

from generator.cli import status_live
from generator.compiler.account import Account
from generator.compiler.emitters import ssh_config
from generator.errors import GenError
from generator.loading import inputs, validate
from generator.probe.finding import Kind, ProbeFinding
from generator.probe.probe import ProbeResult
from generator.resources import CATALOGUE
from generator.schema.profile import SiteProfile


@pytest.fixture
def gen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Gen:
    """Run gen in an empty directory, which is the home directory too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return running(monkeypatch, capsys.readouterr)


def test_a_spec_that_ships_with_gen_is_not_changed(gen: Gen) -> None:
    path = CATALOGUE / "mila.yaml"
    status, _, err = gen("status", "mila", "--live", "--fix-spec")
    assert (status, err) == (
        2,
        "mila.yaml: ships with gen, so --fix-spec does not change it; "
        f"copy it, and name the copy: mkdir -p site_specs && cp {path} site_specs/ && "
        "gen status ./site_specs/mila.yaml --live --fix-spec\n",
    )


def test_an_edit_made_while_the_user_is_asked_is_not_overwritten(tmp_path: Path) -> None:
    spec = tmp_path / "ours.yaml"
    spec.write_bytes(b"read\n")
    source = inputs.file(spec)
    # The user, or another gen, edits the spec while gen waits for the answer.
    spec.write_bytes(b"edited\n")
    with pytest.raises(GenError) as error:
        status_live._write(source, b"fixed\n", lambda _: None, yes=True)
    assert str(error.value) == f"{spec}: has changed since gen read it; run this again"
    assert spec.read_bytes() == b"edited\n"


def probed_configuration(gen: Gen, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> bytes:
    """Return the ssh configuration with which `gen status --live` would log in."""
    configurations: list[bytes] = []

    def probe(account: Account, conf: bytes, **_: object) -> ProbeResult:
        configurations.append(conf)
        return ProbeResult(account.site.site, (), (), None)

    monkeypatch.setattr(status_live, "probe", probe)
    assert gen("status", *arguments, "--live").status == 0
    return configurations[0]


def test_a_probe_renews_no_certificate(gen: Gen, monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account(validate.site(CATALOGUE / "cscs-daint.yaml"), SiteProfile(user="ada"))
    (usual,) = ssh_config.emit(account)
    probing = probed_configuration(gen, monkeypatch, "cscs-daint", "--user", "ada")
    # The probe logs in by the files that gen would write. A renewal in between could open a browser
    # or spend one of few certificates a day.
    assert b"gen refresh" in usual.content
    assert b"gen refresh" not in probing


@pytest.mark.parametrize(
    ("options", "user"),
    [
        pytest.param([], b"hpc1", id="as installed"),
        pytest.param(["--user", "grace"], b"grace", id="an option"),
    ],
)
def test_a_probe_logs_in_as_the_user_of_the_installation(
    gen: Gen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: list[str], user: bytes
) -> None:
    profile = tmp_path / ".config/gen/profile.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text("user: ada\n")
    assert gen("install", "mila", "--user", "hpc1", "--yes").status == 0
    # A checkout must not lead the login of an installed site elsewhere.
    Path("site_specs").mkdir()
    spec(Path("site_specs"), "mila")
    probing = probed_configuration(gen, monkeypatch, "mila", *options)
    assert b"User " + user + b"\n" in probing
    assert b"HostName login.server.mila.quebec\n" in probing


@pytest.mark.parametrize("options", [[], ["--fix-spec"]], ids=["a probe", "a fix"])
def test_a_probe_connects_to_no_host_of_a_checkout_for_a_site_that_is_not_installed(
    gen: Gen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: list[str]
) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "site_specs").mkdir(parents=True)
    monkeypatch.chdir(checkout)
    # The catalogue has a site of this name too: the user means that one.
    spec(Path("site_specs"), "mila")
    probed: list[bytes] = []

    def probe(account: Account, conf: bytes, **_: object) -> ProbeResult:
        probed.append(conf)
        return ProbeResult(account.site.site, (), (), None)

    monkeypatch.setattr(status_live, "probe", probe)
    command = shlex.join(["gen", "status", "./site_specs/mila.yaml", "--live", *options])
    result = gen("status", "mila", "--live", *options)
    assert (result.status, probed, result.err) == (
        2,
        [],
        "mila: is not installed, and site_specs/mila.yaml may come from anybody; to connect to the "
        f"hosts that it names: {command}, or install the site: gen install mila\n",
    )
    # The user names the spec, or is where only they write.
    assert gen("status", "./site_specs/mila.yaml", "--live", *options).status == 0
    assert gen("status", "mila", "--specs", "site_specs", "--live", *options).status == 0
    (checkout / "site_specs").rename(tmp_path / "site_specs")
    monkeypatch.chdir(tmp_path)
    assert gen("status", "mila", "--live", *options).status == 0
    assert len(probed) == 3


LONG = "our specs/" + 40 * "./" + "ours.yaml"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["our specs/ours.yaml"], "'our specs/ours.yaml'", id="a path"),
        # A line end within the command would break it.
        pytest.param([LONG], f"'{LONG}'", id="a path of more than a line"),
        pytest.param(
            ["ours", "--specs", "our specs"], "ours --specs 'our specs'", id="a directory"
        ),
        pytest.param(["ours"], "ours", id="an installed site"),
    ],
)
def test_the_command_that_a_finding_prints_names_the_site_as_the_user_did(
    gen: Gen, arguments: list[str], words: str
) -> None:
    Path("our specs").mkdir()
    # Nothing listens there, so the missing key is all that a login would need.
    hosts = {"ours": {"host": "localhost", "port": 9}}
    path = spec(Path("our specs"), hosts=hosts, auth=CERTIFICATE)
    if arguments == ["ours"]:
        assert gen("install", str(path), "--yes").status == 0
    result = gen("status", *arguments, "--live", "--seconds", "5")
    assert f"  action: gen refresh {words}\n" in result.out
    # Pasted, it gets as far as the command of the site.
    pasted = gen("refresh", *shlex.split(words))
    assert "get-certificate is not on PATH" in pasted.err


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        pytest.param((), 0, id="nothing"),
        pytest.param((Kind.WALLTIME, Kind.TCP), 1, id="a difference"),
        pytest.param((Kind.LOGIN,), 1, id="a refused login"),
        pytest.param((Kind.TCP,), 2, id="a question without an answer"),
    ],
)
def test_the_status_says_whether_something_differs(kinds: tuple[Kind, ...], status: int) -> None:
    findings = tuple(ProbeFinding(kind, "key", "spec", "site", "action") for kind in kinds)
    assert status_live._exit_status(findings) == status


def test_findings_are_printed_with_an_action_and_without_control_characters() -> None:
    # The site answers with an escape sequence: its answer goes to a terminal.
    differs = ProbeFinding(Kind.WALLTIME, "slurm.x", "7-00:00:00", "2-\x1b00", "fix it")
    unanswered = ProbeFinding(Kind.TCP, "hosts.a.host", "a, port 22", "no answer", "wait")
    result = ProbeResult("a", (differs, unanswered), ("names", "ports"))
    assert status_live._text("ours", result) == (
        "walltime: slurm.x\n"
        "  spec:   7-00:00:00\n"
        "  site:   2-\\u001b00\n"
        "  action: fix it\n"
        "\n"
        "tcp: hosts.a.host\n"
        "  spec:   a, port 22\n"
        "  site:   no answer\n"
        "  action: wait\n"
        "\n"
        "ours: 1 difference, 1 question without an answer\n"
        "  compared: names, ports"
    )


@pytest.mark.parametrize(
    ("kinds", "summary"),
    [
        ((), "no difference"),
        ((Kind.TCP,), "no difference, 1 question without an answer"),
        ((Kind.LOGIN,), "the login was refused"),
        ((Kind.HOST_KEY, Kind.LOGIN), "1 difference, the login was refused"),
    ],
    ids=["nothing", "a question", "a refused login", "a difference and a refused login"],
)
def test_the_summary_says_that_a_login_was_refused(kinds: tuple[Kind, ...], summary: str) -> None:
    findings = tuple(ProbeFinding(kind, "key", "spec", "site", "action") for kind in kinds)
    text = status_live._text("ours", ProbeResult("a", findings, ("names",)))
    assert f"ours: {summary}\n" in text


def test_a_user_name_is_not_part_of_a_host_to_import(gen: Gen, tmp_path: Path) -> None:
    status, _, err = gen("import", "ada@ours.example.org")
    assert (status, err) == (
        2,
        "ada@ours.example.org: a spec has no user name; set User ada for ours.example.org in "
        "~/.ssh/config, then run gen import ours.example.org\n",
    )
    assert not list(tmp_path.iterdir())
