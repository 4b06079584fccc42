"""All faults of a spec at once, a line each: file, line, key, message, and a similar name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from generator import resources
from generator.errors import GenError
from generator.loading import validate

BAD = Path(__file__).parent / "bad_specs"


@pytest.mark.parametrize("name", sorted(path.stem for path in BAD.glob("*.yaml")))
def test_a_bad_spec_gives_a_line_for_each_fault(
    name: str, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(BAD)
    with pytest.raises(GenError) as caught:
        validate.site(Path(f"{name}.yaml"))
    assert str(caught.value).splitlines() == snapshot


def test_five_mistakes_give_five_lines_and_nothing_is_written(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "generator",
            "site",
            str(BAD / "five_mistakes.yaml"),
            "--out",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 5)
    assert list(tmp_path.iterdir()) == []


def generated(folder: Path, umask: int, **environment: str) -> dict[str, tuple[bytes, int]]:
    """Run gen with this environment; return bytes and mode of all files and directories."""
    folder.mkdir()
    options = ["--out", "out", "--user", "ada", "--accept-unverified"]
    for site in ("mila", "musica"):
        subprocess.run(
            [sys.executable, "-m", "generator", "site", site, *options],
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(resources.CATALOGUE.parent),
                **environment,
            },
            umask=umask,
            capture_output=True,
            check=True,
        )
    out = folder / "out"
    entries = {}
    for path in out.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        entries[str(path.relative_to(out))] = (content, path.stat().st_mode)
    return entries


def test_the_same_bytes_and_modes_in_another_folder_time_zone_language_umask_and_home(
    tmp_path: Path,
) -> None:
    first = generated(
        tmp_path / "first", 0o022, HOME=str(tmp_path), TZ="Europe/Vienna", LANG="C.UTF-8"
    )
    # Kiritimati is 14 hours ahead of UTC: another date for most of the day.
    second = generated(
        tmp_path / "second", 0o077, HOME="/nonexistent", TZ="Pacific/Kiritimati", LANG="C"
    )
    # Another seed gives sets another order. The seed of the others is random.
    third = generated(
        tmp_path / "third with blanks",
        0o002,
        HOME=str(tmp_path / "home"),
        LC_ALL="C",
        PYTHONHASHSEED="7",
    )
    assert first == second == third
    # Otherwise gen wrote nothing, and the comparison says nothing.
    assert len(first) > 10
