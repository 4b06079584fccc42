"""The scripts for ~/.ssh/authorized_keys at a site, run by the shells and awks of this machine."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from generator.ssh import authorized_keys
from generator.ssh.authorized_keys import AddedKey

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDumqy+fbEwTOtyVlPGqzS/k4i/hJ8L+kUDf6MpWO1OI"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
LINE = authorized_keys.new_line(f"{KEY} ada@laptop", "mila", "0123abcd")
MARK = "f00d"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return home


def put(home: Path, content: bytes, mode: int = 0o600, directory_mode: int = 0o700) -> Path:
    """Write the file of the user, and return its path."""
    file = home / ".ssh/authorized_keys"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    file.chmod(mode)
    file.parent.chmod(directory_mode)
    return file


def run(home: Path, script: str, *shell: str, **environment: str) -> str:
    """Run a script as `/bin/sh -s` at a site does, and return its answer."""
    result = subprocess.run(
        [*(shell or ("/bin/sh",)), "-s"],
        input=script,
        capture_output=True,
        text=True,
        env={"HOME": str(home), "PATH": os.environ["PATH"]} | environment,
        timeout=60,
        check=True,
    )
    return authorized_keys.answer(result.stdout, MARK) or result.stdout


def add(home: Path, *shell: str, **environment: str) -> AddedKey:
    words = run(home, authorized_keys.addition(LINE, MARK), *shell, **environment)
    added = authorized_keys.added_key(LINE, words)
    assert added, words
    assert added.is_from("mila")
    return added


def tree(home: Path) -> Mapping[str, tuple[int, bytes]]:
    """Return mode and content of everything below the home directory."""
    entries = {}
    for path in sorted(home.rglob("*")):
        content = b"" if path.is_dir() else path.read_bytes()
        name = f"{path.relative_to(home)}{' (a link)' if path.is_symlink() else ''}"
        entries[name] = (path.stat().st_mode & 0o7777, content)
    return entries


FILES = {
    "one key": f"{OTHER} ada\n".encode(),
    "no last newline": f"{OTHER} ada".encode(),
    "an empty file": b"",
    "only an empty line": b"\n",
    "lines of Windows": f"# mine\r\n{OTHER} ada\r\n".encode(),
    "an old Mac's line ends": f"# mine\r{OTHER} ada\r".encode(),
    "our key in a comment": f"# {KEY} old\n#{KEY}\n".encode(),
    "options before another key": f'command="echo hi there",no-pty {OTHER} robot\n'.encode(),
    "Latin-1 and NUL": b"# f\xfcr\0sp\xe4ter\n",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_the_line_is_added_and_removed_byte_for_byte(content: bytes, home: Path) -> None:
    file = put(home, content, 0o644, 0o755)
    before = tree(home)
    added = add(home)
    separator = b"" if content.endswith(b"\n") or not content else b"\n"
    assert file.read_bytes() == content + separator + f"{LINE}\n".encode()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(file.parent.iterdir()) == [file]
    assert run(home, authorized_keys.check(KEY)) == "bare\n"
    assert run(home, authorized_keys.removal(added, MARK)) == "removed"
    assert tree(home) == before


def test_the_bits_in_front_of_a_mode_stay(home: Path) -> None:
    # Group directories of some sites hand their group on.
    put(home, b"", 0o664, 0o2775)
    before = tree(home)
    added = add(home)
    assert tree(home)[".ssh"][0] == 0o2700
    assert run(home, authorized_keys.removal(added, MARK)) == "removed"
    assert tree(home) == before


def test_a_mode_that_the_user_changed_since_stays(home: Path) -> None:
    file = put(home, b"", 0o664, 0o755)
    added = add(home)
    file.chmod(0o640)
    assert run(home, authorized_keys.removal(added, MARK)) == "removed"
    assert file.stat().st_mode & 0o777 == 0o640


SHELLS = {
    "dash": ("dash",),
    "bash": ("bash", "--posix"),
    "busybox, with its own tools": ("busybox", "sh"),
    "zsh": ("zsh", "--emulate", "sh"),
}


@pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS)
def test_every_shell_adds_and_removes_the_line(shell: tuple[str, ...], home: Path) -> None:
    program = shutil.which(shell[0])
    if program is None:
        pytest.skip(f"{shell[0]} is not installed")
    shell = (program, *shell[1:])
    path = {}
    if program.endswith("busybox"):
        tools = home.parent / "tools"
        tools.mkdir()
        subprocess.run([program, "--install", "-s", str(tools)], check=True)
        path = {"PATH": str(tools)}
    for content in (None, *FILES.values()):
        if content is not None:
            put(home, content, 0o640)
        before = tree(home)
        added = add(home, *shell, **path)
        assert run(home, authorized_keys.addition(LINE, MARK), *shell, **path) == "bare"
        assert run(home, authorized_keys.removal(added, MARK), *shell, **path) == "removed"
        assert tree(home) == before


@pytest.mark.parametrize("awk", ["mawk", "gawk", "busybox"])
def test_every_awk_finds_the_key(awk: str, home: Path) -> None:
    program = shutil.which(awk)
    if program is None:
        pytest.skip(f"{awk} is not installed")
    tools = home.parent / "tools"
    tools.mkdir()
    (tools / "awk").symlink_to(program)
    path = {"PATH": f"{tools}:{os.environ['PATH']}"}
    file = put(home, f"# {KEY}\n{OTHER} ada\n".encode())
    added = add(home, **path)
    file.write_bytes(file.read_bytes().replace(OTHER.encode(), b"# gone"))
    assert run(home, authorized_keys.removal(added, MARK), **path) == "removed"
    assert file.read_bytes() == f"# {KEY}\n# gone ada\n".encode()


@pytest.mark.parametrize(
    ("line", "place"),
    [
        pytest.param(f"{KEY} ada@laptop", "bare", id="with a comment"),
        pytest.param(KEY, "bare", id="without a comment"),
        pytest.param(f"{KEY} \r", "bare", id="of an editor of Windows"),
        pytest.param(f"{KEY}\r", "bare", id="of Windows, without a comment"),
        pytest.param("  \t" + KEY.replace(" ", " \t "), "bare", id="with tabs and blanks"),
        pytest.param(f'from="10.0.0.*" {KEY}', "options", id="behind options"),
        pytest.param(f'command="a \\"b\\" c" {KEY}', "options", id="behind a command"),
        pytest.param(f"{KEY}\n{OTHER}", "bare", id="in the first of two lines"),
        pytest.param(f"{OTHER}\nrestrict {KEY}\n{KEY}", "options", id="the first line counts"),
    ],
)
def test_a_key_that_the_file_has_is_not_added(line: str, place: str, home: Path) -> None:
    put(home, f"{line}\n".encode(), 0o644)
    before = tree(home)
    assert run(home, authorized_keys.addition(LINE, MARK)) == place
    assert tree(home) == before
    assert run(home, authorized_keys.check(KEY)) == f"{place}\n"


def test_a_file_that_the_user_changed_since_loses_only_the_line(home: Path) -> None:
    file = put(home, f"{OTHER} ada".encode(), 0o644)
    added = add(home)
    with file.open("ab") as end:
        end.write(b"# added later, without a newline")
    assert run(home, authorized_keys.removal(added, MARK)) == "removed"
    assert file.read_bytes() == f"{OTHER} ada\n# added later, without a newline".encode()
    assert run(home, authorized_keys.removal(added, MARK)) == "gone"
    assert list(file.parent.iterdir()) == [file]


def test_an_answer_that_was_lost_leaves_enough_to_remove_the_line(home: Path) -> None:
    file = put(home, f"{OTHER} ada\n".encode())
    add(home)
    assert run(home, authorized_keys.removal(AddedKey(LINE), MARK)) == "removed"
    assert file.read_bytes() == f"{OTHER} ada\n".encode()


def test_a_line_of_another_machine_stays(home: Path) -> None:
    theirs = authorized_keys.new_line(KEY, "mila", "deadbeef")
    file = put(home, f"{theirs}\n".encode())
    assert run(home, authorized_keys.removal(AddedKey(LINE), MARK)) == "gone"
    assert file.read_bytes() == f"{theirs}\n".encode()


@pytest.mark.parametrize("changes", [False, True], ids=["unchanged", "changed since"])
def test_a_link_stays_a_link(changes: bool, home: Path) -> None:
    dotfiles = home / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "keys").write_text(f"{OTHER} ada")
    (dotfiles / "keys").chmod(0o644)
    (home / ".ssh").mkdir(mode=0o700)
    file = home / ".ssh/authorized_keys"
    file.symlink_to("../dotfiles/keys")
    before = tree(home)
    added = add(home)
    assert file.is_symlink()
    assert f"\n{LINE}\n" in (dotfiles / "keys").read_text()
    if changes:
        (dotfiles / "keys").write_text(f"# new\n{(dotfiles / 'keys').read_text()}")
    assert run(home, authorized_keys.removal(added, MARK)) == "removed"
    assert file.is_symlink()
    if changes:
        assert (dotfiles / "keys").read_text() == f"# new\n{OTHER} ada\n"
    else:
        assert tree(home) == before


def test_other_files_keep_a_directory_that_gen_made(home: Path) -> None:
    added = add(home)
    (home / ".ssh/known_hosts").write_text("x\n")
    assert run(home, authorized_keys.removal(added, MARK)) == "removed"
    assert tree(home) == {".ssh": (0o700, b""), ".ssh/known_hosts": (0o644, b"x\n")}


def unusable(home: Path, kind: str) -> None:
    """Put something in the way of the file."""
    file = home / ".ssh/authorized_keys"
    file.parent.mkdir(mode=0o700)
    match kind:
        case "directory":
            file.mkdir()
        case "FIFO":
            os.mkfifo(file)
        case "dangling":
            file.symlink_to(home / "not there")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        pytest.param("directory", "~/.ssh/authorized_keys is not a file", id="a directory"),
        pytest.param("FIFO", "~/.ssh/authorized_keys is not a file", id="a FIFO"),
        pytest.param(
            "dangling", "~/.ssh/authorized_keys is a link to a missing file", id="a dangling link"
        ),
    ],
)
def test_what_is_not_a_file_is_refused(kind: str, message: str, home: Path) -> None:
    unusable(home, kind)
    before = sorted(home.rglob("*"))
    assert run(home, authorized_keys.addition(LINE, MARK)) == f"failed {message}"
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize("content", [None, f"{OTHER} ada".encode()], ids=["no file", "a file"])
def test_a_full_disk_leaves_the_file_as_it_was(content: bytes | None, home: Path) -> None:
    if content is not None:
        put(home, content)
    before = tree(home)
    # A limit of 512 bytes stands for the quota: printf writes the part that fits, or nothing.
    script = f"ulimit -f 0; trap '' XFSZ\n{authorized_keys.addition(LINE, MARK)}"
    assert run(home, script) == (
        "failed ~/.ssh/authorized_keys cannot be written: no permission, or a full disk or quota"
    )
    assert tree(home) == before


def test_paths_that_others_can_write_are_named(home: Path) -> None:
    file = put(home, f"{KEY}\n".encode(), 0o622, 0o720)
    assert run(home, authorized_keys.check(KEY)) == (
        f"bare\nloose {home}/.ssh\nloose {home}/.ssh/authorized_keys\n"
    )
    file.chmod(0o644)
    file.parent.chmod(0o755)
    assert run(home, authorized_keys.check(KEY)) == "bare\n"


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("not a key", id="text"),
        pytest.param(KEY.replace("ssh-ed25519", "ssh-rsa"), id="another type than the key has"),
        pytest.param(KEY.replace("AAAA", "AA'AA"), id="a quote"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_is_not_a_public_key_never_gets_into_a_script(line: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|holds|does)\b"):
        authorized_keys.new_line(line, "mila", "0123abcd")


@pytest.mark.parametrize(
    "added",
    [
        pytest.param(AddedKey(f"{KEY} gen-other-0123abcd"), id="a line of another site"),
        pytest.param(AddedKey(f"{KEY} ada@laptop"), id="a line of the user's"),
        pytest.param(AddedKey("' ; rm -rf ~ '"), id="a command"),
        pytest.param(AddedKey(f"{LINE}\n"), id="a second line"),
        pytest.param(AddedKey(LINE, "700; id", "600", 0, 0), id="a command in a mode"),
        pytest.param(AddedKey(LINE, "700", "600", -1, 0), id="a negative size"),
        pytest.param(AddedKey(LINE, "700", "600", 0, 10**12), id="a huge size"),
    ],
)
def test_a_record_that_gen_did_not_write_is_recognised(added: AddedKey) -> None:
    assert not added.is_from("mila")
