"""`gen validate FILE…`: every fault of every file, a line each."""

import json
from pathlib import Path

from generator import load
from generator.errors import GenError
from generator.terminal import data, say


def run(files: list[Path], as_json: bool) -> int:
    """Check the files; 2 when one of them has a fault."""
    faults: dict[str, list[str]] = {}
    for file in files:
        try:
            load.site(file)
            faults[str(file)] = []
        except GenError as error:
            faults[str(file)] = str(error).splitlines()
    if as_json:
        data(json.dumps({"format_version": "1.0", "files": faults}, indent=2))
    for lines in faults.values() if not as_json else ():
        for line in lines:
            say(line)
    wrong = sum(bool(lines) for lines in faults.values())
    say(f"{len(files)} checked, {wrong} with faults" if wrong else f"{len(files)} checked, all sound")
    return 2 if wrong else 0
