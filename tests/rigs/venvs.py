"""A virtual environment that sees the packages of the tests, so that pip need not fetch them."""

import sysconfig
from importlib.metadata import entry_points
from pathlib import Path

# The script that pip writes for an entry point.
_ENTRY_POINT = """\
#!{venv}/bin/python
from {module} import {function}

if __name__ == "__main__":
    {function}()
"""


def lend_packages(venv: Path, *programs: str) -> None:
    """Let a virtual environment see the packages of the tests after its own, and run programs."""
    [packages] = venv.glob("lib/python*/site-packages")
    # A .pth file adds its directory after site-packages, so packages of the venv come first.
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib"))
    for name in programs:
        [entry_point] = entry_points(group="console_scripts", name=name)
        program = venv / "bin" / name
        program.write_text(
            _ENTRY_POINT.format(venv=venv, module=entry_point.module, function=entry_point.attr)
        )
        program.chmod(0o755)
