"""The wheel works without a checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.long]

ROOT = Path(__file__).parents[2]
EXAMPLES = """\
import doctest, sys
import generator, generator.api
print(generator.__file__)
flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
results = [doctest.testmod(module, optionflags=flags) for module in (generator, generator.api)]
sys.exit(any(result.failed or not result.attempted for result in results))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from the checkout."""
    directory = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", directory, ROOT],
        check=True,
        capture_output=True,
    )
    [path] = directory.glob("*.whl")
    return path


def test_it_has_the_types_the_data_and_no_compiled_files(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    data = [f"_data/{path}" for path in ("site_specs/mila.yaml", "site_specs/index.json")]
    assert {f"generator/{name}" for name in ("py.typed", "api.py", *data)} <= set(names)
    for name in names:
        assert not name.endswith(".pyc")


def test_the_examples_of_the_api_run_from_it(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    done = subprocess.run(
        [sys.executable, "-c", EXAMPLES],
        cwd=tmp_path,
        # The packages that gen needs are those of the tests; gen itself comes from the wheel.
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"{installed / 'generator' / '__init__.py'}\n"
