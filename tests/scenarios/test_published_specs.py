"""Published specs over a real web server and a real git server, both with TLS on the loopback."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import publisher
import pytest
from history import git
from publisher import WebServer
from running import Gen

from generator import resources
from generator.sources.published_index import FILE, SIGNATURE_FILE

pytestmark = pytest.mark.system

# The calls by which files get or lose a name: at each of them a power cut may happen.
NAMING_CALLS = ("mkdir", "rename", "unlink", "unlinkat", "rmdir")


class WebCentre:
    """A centre that serves its specs by https and by git."""

    def __init__(self, gen: Gen, directory: Path, web: WebServer, key: Path) -> None:
        self.gen = gen
        self.repository = directory
        self.specs = directory / "specs"
        self.web = web
        self.key = key
        self.specs.mkdir(parents=True)
        text = (resources.CATALOGUE / "mila.yaml").read_text()
        # Not the name of a site of the catalogue, which an addition would compare it with.
        text = text.replace("site: mila\n", "site: ours\n", 1)
        (self.specs / "ours.yaml").write_text(text)
        self.publish("--name", "asc")

    def publish(self, *options: str) -> None:
        """Sign the specs."""
        result = self.gen("source", "sign", str(self.specs), "--key", str(self.key), *options)
        assert result.status == 0, result.err

    def change_port(self, old: int, new: int) -> None:
        """Change the spec, and publish it."""
        path = self.specs / "ours.yaml"
        path.write_text(path.read_text().replace(f"port: {old}", f"port: {new}"))
        self.publish()

    def command(self, origin: str) -> list[str]:
        """Return the arguments that add a source."""
        signer = publisher.fingerprint(self.key)
        bundle = str(self.web.bundle)
        return ["source", "add", origin, "--signer", signer, "--yes", "--ca-bundle", bundle]

    def update(self) -> list[str]:
        """Return the arguments that update the source."""
        return ["source", "update", "asc", "--yes", "--ca-bundle", str(self.web.bundle)]


@pytest.fixture
def centre(need: Callable[..., None], gen: Gen, tmp_path: Path) -> Iterator[WebCentre]:
    # step makes the TLS certificate of the server.
    need("step", "git", "ssh-keygen")
    tls = tmp_path / "tls"
    tls.mkdir()
    served = tmp_path / "served"
    with publisher.serving(served, tls) as web:
        yield WebCentre(gen, served, web, publisher.key(tmp_path, "centre"))


def port(gen: Gen) -> str:
    """Return the port of the site as gen knows it."""
    out = gen("show", "ours").out
    return next(line.split()[2] for line in out.splitlines() if line.startswith("mila "))


def test_a_source_is_added_and_updated_from_a_web_server(gen: Gen, centre: WebCentre) -> None:
    result = gen(*centre.command(f"{centre.web.url}/specs"))
    assert result.status == 0, result.err
    assert port(gen) == "2222"
    centre.change_port(2222, 2022)
    centre.web.requests.clear()
    assert gen(*centre.update()).status == 0
    assert port(gen) == "2022"
    # The index first, and only the spec that changed: an update is a request for each of them.
    assert centre.web.requests == [
        f"/specs/{FILE}",
        f"/specs/{SIGNATURE_FILE}",
        "/specs/ours.yaml",
    ]


def test_a_source_is_added_and_updated_from_a_git_server(gen: Gen, centre: WebCentre) -> None:
    work = centre.repository
    git("init", "--quiet", "--initial-branch=main", ".", directory=work)
    git("add", ".", directory=work)
    git("commit", "--quiet", "--message=first", directory=work)
    bare = work / "specs.git"
    # Bare, as servers keep them: git refuses a push to a branch that is checked out.
    git("clone", "--quiet", "--bare", ".", str(bare), directory=work)
    origin = f"git+{centre.web.url}/specs.git@main#subdirectory=specs"
    result = gen(*centre.command(origin))
    assert result.status == 0, result.err
    centre.change_port(2222, 2022)
    git("commit", "--quiet", "--all", "--message=second", directory=work)
    git("push", "--quiet", str(bare), "main", directory=work)
    assert gen(*centre.update()).status == 0
    assert port(gen) == "2022"


def test_a_revision_that_the_git_server_lacks_is_one_line(gen: Gen, centre: WebCentre) -> None:
    git(
        "init",
        "--quiet",
        "--bare",
        "--initial-branch=main",
        "specs.git",
        directory=centre.repository,
    )
    result = gen(*centre.command(f"git+{centre.web.url}/specs.git@v9"))
    assert (result.status, result.err.splitlines()[1:]) == (
        2,
        ["git: fatal: couldn't find remote ref v9"],
    )


def redirect_to(address: str) -> publisher.Answer:
    def answer(handler: publisher.PublisherHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", address)
        handler.end_headers()

    return answer


def endless(handler: publisher.PublisherHandler) -> None:
    """Send a gigabyte, unless the reader goes away."""
    handler.send_response(200)
    handler.end_headers()
    # Without a Content-Length, so that only a limit of gen itself ends it.
    for _ in range(1024):
        handler.wfile.write(b" " * 1024 * 1024)


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        pytest.param(FILE, endless, "the answer is larger than 256 KiB", id="endless index"),
        pytest.param(SIGNATURE_FILE, endless, "larger than 16 KiB", id="endless signature"),
        pytest.param("ours.yaml", endless, "larger than 128 KiB", id="endless spec"),
        pytest.param(
            FILE,
            # A network between could then change the answer, or drop the newer index.
            redirect_to("http://localhost:1/x"),
            "redirects to http://localhost:1/x, which is not https",
            id="redirect to http",
        ),
        pytest.param(
            FILE,
            # urllib reads files if it is asked to.
            redirect_to("file:///etc/passwd"),
            "redirects to file:///etc/passwd, which is not https",
            id="redirect to a file",
        ),
        pytest.param(FILE, redirect_to(FILE), "redirects more than 5 times", id="circle"),
        pytest.param("ours.yaml", redirect_to(FILE), "is not the file", id="another file"),
    ],
)
def test_a_hostile_server_changes_nothing(
    gen: Gen, home: Path, centre: WebCentre, name: str, answer: publisher.Answer, words: str
) -> None:
    centre.web.answers[name] = answer
    result = gen(*centre.command(f"{centre.web.url}/specs"))
    assert result.status == 2
    assert words in result.err
    assert not (home / ".config/gen/sources.lock").exists()


def test_a_redirect_to_https_is_followed(gen: Gen, centre: WebCentre) -> None:
    (centre.repository / "moved").mkdir()
    for path in centre.specs.iterdir():
        shutil.copy(path, centre.repository / "moved")
        centre.web.answers_at[f"/specs/{path.name}"] = redirect_to(f"/moved/{path.name}")
    result = gen(*centre.command(f"{centre.web.url}/specs"))
    assert result.status == 0, result.err


def test_a_server_whose_certificate_is_not_trusted_is_refused(gen: Gen, centre: WebCentre) -> None:
    command = centre.command(f"{centre.web.url}/specs")
    command = command[: command.index("--ca-bundle")]
    result = gen(*command)
    assert result.status == 2
    assert "its TLS certificate is not trusted" in result.err


@pytest.fixture
def strace(need: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let strace run gen from the directory of this checkout."""
    need("strace")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def killed(home: Path, arguments: list[str], call: str, number: int) -> bool:
    """Run gen, and kill it just before a system call; return whether it came so far."""
    inject = f"--inject={call}:signal=KILL:when={number}"
    command = ["strace", "--follow-forks", "--output=/dev/null", f"--trace={call}", inject]
    environment = {**os.environ, "HOME": str(home)}
    program = [sys.executable, "-m", "generator", *arguments]
    done = subprocess.run([*command, *program], env=environment, capture_output=True, check=False)
    return done.returncode != 0


@pytest.mark.usefixtures("strace")
def test_a_kill_at_any_step_leaves_the_old_version_or_the_new_one(
    gen: Gen, home: Path, centre: WebCentre
) -> None:
    assert gen(*centre.command(f"{centre.web.url}/specs")).status == 0
    old, new = 2222, 2022
    seen = set()
    for call in NAMING_CALLS:
        number = 1
        centre.change_port(old, new)
        while killed(home, centre.update(), call, number):
            current = port(gen)
            seen.add(current == str(new))
            assert current in (str(old), str(new))
            number += 1
            if current == str(new):  # the next kill needs a version to update to
                old, new = new, old
                centre.change_port(old, new)
        old, new = new, old
        versions = list((home / ".config/gen/sources/asc").iterdir())
        assert len(versions) == 1, (call, versions)
    assert seen == {False, True}, "no kill came before and after the step that counts"


def repository(centre: WebCentre) -> str:
    """Make a git repository of what the centre serves, as servers keep one; return its origin."""
    work = centre.repository
    git("init", "--quiet", "--initial-branch=main", ".", directory=work)
    git("add", "--all", ".", directory=work)
    git("commit", "--quiet", "--message=first", directory=work)
    git("clone", "--quiet", "--bare", ".", str(work / "specs.git"), directory=work)
    return f"git+{centre.web.url}/specs.git@main#subdirectory=specs"


def test_in_a_hook_of_git_the_repository_of_the_user_stays_as_it_is(
    gen: Gen, centre: WebCentre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = repository(centre)
    mine = tmp_path / "mine"
    mine.mkdir()
    git("init", "--quiet", "--initial-branch=main", ".", directory=mine)
    before = sorted(mine.rglob("*"))
    # git sets these for a hook (githooks(5)), and they would win over `git -C`.
    monkeypatch.setenv("GIT_DIR", str(mine / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(mine / ".git/index"))
    monkeypatch.setenv("GIT_WORK_TREE", str(mine))
    result = gen(*centre.command(origin))
    assert result.status == 0, result.err
    assert sorted(mine.rglob("*")) == before
    assert port(gen) == "2222"


def test_nothing_of_a_repository_runs_or_is_checked_out(
    gen: Gen, home: Path, centre: WebCentre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = centre.repository
    ran = tmp_path / "ran"
    (work / ".gitattributes").write_text("* filter=evil diff=evil\n")
    (work / ".gitmodules").write_text(
        f'[submodule "x"]\n\tpath = x\n\turl = ext::sh -c "touch {ran}"\n'
    )
    origin = repository(centre)
    # A user may have a filter of the name that the repository chose, and hooks in a template.
    (home / ".gitconfig").write_text(
        f'[filter "evil"]\n\tsmudge = touch {ran}\n\tclean = cat\n'
        "[fetch]\n\trecurseSubmodules = true\n"
    )
    hooks = tmp_path / "template/hooks"
    hooks.mkdir(parents=True)
    for hook in ("reference-transaction", "post-checkout", "post-merge"):
        (hooks / hook).write_text(f"#!/bin/sh\ntouch {ran}\n")
        (hooks / hook).chmod(0o755)
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(hooks.parent))
    result = gen(*centre.command(origin))
    assert result.status == 0, result.err
    assert not ran.exists()


def test_a_link_in_a_repository_is_not_followed(gen: Gen, home: Path, centre: WebCentre) -> None:
    spec = centre.specs / "ours.yaml"
    spec.unlink()
    spec.symlink_to("/etc/passwd")
    result = gen(*centre.command(repository(centre)))
    assert (result.status, "ours.yaml: is not the file that the index" in result.err) == (2, True)
    assert not (home / ".config/gen/sources.lock").exists()


# Prints the largest memory of a command and of the programs that it starts, in KiB.
MEMORY = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.long
def test_a_small_pack_of_a_large_file_takes_no_more_memory_than_any_other(
    home: Path, centre: WebCentre
) -> None:
    # 256 MiB of zeros are 256 KiB in a pack, and git would have them in memory at once.
    with (centre.repository / "zeros").open("wb") as file:
        file.truncate(256 * 2**20)
    command = [sys.executable, "-m", "generator", *centre.command(repository(centre))]
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])}
    measured = [sys.executable, "-c", MEMORY, *command]
    done = subprocess.run(measured, env=environment, capture_output=True, text=True, check=True)
    status, kibibytes = map(int, done.stdout.split()[-2:])
    assert status == 0, done.stderr
    assert kibibytes < 150 * 1024


def test_of_updates_at_once_one_is_taken_and_all_leave_a_whole_version(
    gen: Gen, home: Path, centre: WebCentre
) -> None:
    assert gen(*centre.command(f"{centre.web.url}/specs")).status == 0
    centre.change_port(2222, 2022)
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "generator", *centre.update()]
    running = []
    for _ in range(5):
        child = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        running.append(child)
    messages = [child.communicate()[1] for child in running]
    for child, message in zip(running, messages, strict=True):
        # Each took it, found it taken, or was told to try again.
        is_late = "was changed by another gen meanwhile; try again" in message
        assert child.returncode == (2 if is_late else 0), message
    assert any("version 2 is in use" in message for message in messages)
    assert port(gen) == "2022"
    assert [path.name for path in (home / ".config/gen/sources/asc").iterdir()] == ["2"]


@pytest.mark.long
@pytest.mark.usefixtures("strace")
def test_a_kill_while_a_source_is_added_or_removed_leaves_all_of_it_or_nothing(
    gen: Gen, home: Path, centre: WebCentre
) -> None:
    add = centre.command(f"{centre.web.url}/specs")
    remove = ["source", "remove", "asc", "--yes"]
    seen = set()
    for command, undo in ((add, remove), (remove, add)):
        number = 1
        if command is remove:
            assert gen(*add).status == 0
        # The calls that give a file its name, and take it away.
        while killed(home, command, "rename,unlink,unlinkat,rmdir", number):
            is_here = "asc" in gen("source", "list").out
            seen.add((command is add, is_here))
            assert gen("show", "ours").status == (0 if is_here else 2)
            if is_here == (command is add):
                assert gen(*undo).status == 0
            number += 1
        assert gen("source", "list").out.count("asc") == (1 if command is add else 0)
        if command is add:
            assert gen(*remove).status == 0
    # A kill came before and after the step that counts, of both.
    assert seen == {(True, True), (True, False), (False, True), (False, False)}


@pytest.mark.parametrize("kind", ["web", "git"])
def test_a_source_comes_through_the_proxy_of_the_user(
    gen: Gen, centre: WebCentre, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    origin = repository(centre) if kind == "git" else f"{centre.web.url}/specs"
    with publisher.proxy() as proxy:
        for variable in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("https_proxy", f"http://localhost:{proxy.port}")
        result = gen(*centre.command(origin))
        assert result.status == 0, result.err
        assert proxy.targets
        assert {f"https://{target}" for target in proxy.targets} == {centre.web.url}
