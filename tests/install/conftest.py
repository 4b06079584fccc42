"""`gen` run in a scratch home folder that no user manager looks into."""

import os
from pathlib import Path

import pytest
from running import Gen, running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home folder; the folder beside it, `work`, is where gen is run."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("COLUMNS", "80")
    for name in [name for name in os.environ if name.startswith(("GEN_", "XDG_", "DBUS_"))]:
        monkeypatch.delenv(name)
    return folder


@pytest.fixture
def gen(home: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Gen:
    """Run gen with that home folder."""

    def printed() -> tuple[str, str]:
        out, err = capfdbinary.readouterr()
        return out.decode(errors="surrogateescape"), err.decode()

    return running(monkeypatch, printed)
