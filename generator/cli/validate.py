"""`gen validate FILE…`: print every fault of every spec.

With `--strict`, print the questions of a reviewer too.
"""

from collections.abc import Sequence
from datetime import date
from itertools import chain
from pathlib import Path

from generator import codec
from generator.cli.output import data, say
from generator.formatting import count
from generator.revisions.spec_check import SpecCheck, check_path


def run(files: list[Path], *, strict: bool, as_json: bool, today: date) -> int:
    """Check the files.

    Return 2 if one of them has a fault, 1 if all are sound and there are questions.
    """
    checks = [check_path(file, strict=strict, today=today) for file in files]
    faults = list(chain.from_iterable(check.faults for check in checks))
    open_questions = list(chain.from_iterable(check.questions for check in checks))
    if as_json:
        data(codec.report({"files": [_json(check, strict=strict) for check in checks]}))
    else:
        # Faults first: a spec with a fault has no questions yet, and its user fixes them first.
        for problem in (*faults, *open_questions):
            say(str(problem))
    say(_summary(checks, len(open_questions), strict=strict))
    if faults:
        return 2
    return 1 if open_questions else 0


def _json(check: SpecCheck, *, strict: bool) -> dict[str, object]:
    report: dict[str, object] = {"path": str(check.path), "faults": check.faults}
    if strict:
        report["questions"] = check.questions
    return report


def _summary(checks: Sequence[SpecCheck], question_count: int, *, strict: bool) -> str:
    faulty = sum(bool(check.faults) for check in checks)
    summary = f"{len(checks)} checked, all sound"
    if faulty:
        summary = f"{len(checks)} checked, {faulty} with faults"
    if strict:
        summary += f", {count(question_count, 'open question')}"
    return summary
