"""The fixtures of the tests with real servers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sshd import Rig


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the keys that all tests of the session share."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def rig(tmp_path: Path, keys: Path, need: Callable[..., None]) -> Iterator[Rig]:
    """Servers and a person for one test."""
    need("ssh", "sshd", "ssh-keygen", "ssh-agent", "unshare", root=True)
    with Rig(tmp_path, keys) as rig:
        yield rig
