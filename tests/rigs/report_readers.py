"""Read the formats of a report as their consumers do: code scanning, reviewdog, GitHub."""

import json
import re
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator, Draft202012Validator

REPOSITORY = Path(__file__).parents[2]
SCHEMAS = Path(__file__).parents[1] / "schemas"


def schema(path: Path) -> Any:
    return json.loads(path.read_bytes())


REPORT = Draft202012Validator(schema(REPOSITORY / "docs/report.schema.json"))
SARIF = Draft4Validator(
    schema(SCHEMAS / "sarif-2.1.0.json"), format_checker=Draft4Validator.FORMAT_CHECKER
)
DIAGNOSTIC = Draft4Validator(schema(SCHEMAS / "reviewdog-diagnostic.json"))


def sarif_places(text: str) -> list[tuple[str, int]]:
    log = json.loads(text)
    SARIF.validate(log)
    places = []
    for result in log["runs"][0]["results"]:
        location = result["locations"][0]["physicalLocation"]
        places.append((location["artifactLocation"]["uri"], location["region"]["startLine"]))
    return places


def rdjsonl_places(text: str) -> list[tuple[str, int]]:
    places = []
    for line in text.splitlines():
        diagnostic = json.loads(line)
        DIAGNOSTIC.validate(diagnostic)
        location = diagnostic["location"]
        places.append((location["path"], location["range"]["start"]["line"]))
    return places


def codequality_places(text: str) -> list[tuple[str, int]]:
    """Read a report as GitLab does: every entry has these keys, and its fingerprint is its own."""
    entries = json.loads(text)
    prints = set()
    places = []
    for entry in entries:
        assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["severity"] in ("info", "minor", "major", "critical", "blocker")
        prints.add(entry["fingerprint"])
        places.append((entry["location"]["path"], entry["location"]["lines"]["begin"]))
    assert len(prints) == len(entries)
    return places


def github_places(text: str) -> list[tuple[str, int, str]]:
    places = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        # GitHub shows ten annotations of a level; the tenth counts those that are only in the log.
        summary = re.fullmatch(r"::(\w+) title=gen%3A (\d+) more::\2 more findings .+", line)
        if summary:
            remaining = [
                text for text in lines[number + 1 :] if text.startswith(f"::{summary[1]} ")
            ]
            assert len(remaining) == int(summary[2])
            continue
        match = re.fullmatch(r"::(\w+) file=([^,]+),line=(\d+),title=[^,:]+::(.+)", line)
        assert match, line
        # One annotation stands for all files that a change of a spec made stale, and lists them.
        group = re.search(r": (\d+) stale files; each ", match[4])
        files = int(group[1]) if group else 1
        places += [(match[2], int(match[3]), match[1])] * files
    return places


def fingerprints(text: str) -> list[str]:
    """Return the values by which code scanning recognizes a finding again."""
    results = json.loads(text)["runs"][0]["results"]
    return [result["partialFingerprints"]["finding/v1"] for result in results]


def grave_texts(form: str, output: str) -> list[str]:
    """Return the text that a format shows of each finding that is trust or refused."""
    return _GRAVE_TEXTS[form](output)


def _is_grave(rule: str) -> bool:
    return rule in ("trust", "refused")


def _grave_in_text(output: str) -> list[str]:
    texts: list[str] = []
    is_grave = False
    for line in output.splitlines():
        # Details are indented below the line of their finding.
        if not line.startswith("    "):
            is_grave = ": trust: " in line or ": refused: " in line
            if is_grave:
                texts.append(line)
        elif is_grave:
            texts[-1] += f"\n{line.strip()}"
    return texts


def _grave_in_json(output: str) -> list[str]:
    texts = []
    for finding in json.loads(output)["findings"]:
        if _is_grave(finding["rule"]):
            texts.append("\n".join([finding["message"], *finding["details"]]))
    return texts


def _grave_in_markdown(output: str) -> list[str]:
    texts: list[str] = []
    is_grave = False
    # Backticks only mark code, and the patch below repeats no finding.
    for line in output.partition("<details>")[0].replace("`", "").splitlines():
        if line.startswith("- **"):
            is_grave = line.startswith(("- **trust**", "- **refused**"))
            if is_grave:
                texts.append(line)
        elif is_grave:
            texts[-1] += f"\n{line.removeprefix('  - ')}"
    return texts


def _grave_in_github(output: str) -> list[str]:
    texts = []
    for line in output.splitlines():
        match = re.fullmatch(r"::error file=.+,title=gen%3A (?:trust|refused)::(.+)", line)
        if match:
            text = match[1].replace("%0D", "\r").replace("%0A", "\n")
            texts.append(text.replace("%25", "%"))
    return texts


def _grave_in_sarif(output: str) -> list[str]:
    texts = []
    for result in json.loads(output)["runs"][0]["results"]:
        if _is_grave(result["ruleId"]):
            assert result["level"] == "error"
            texts.append(result["message"]["text"])
    return texts


def _grave_in_rdjsonl(output: str) -> list[str]:
    texts = []
    for line in output.splitlines():
        diagnostic = json.loads(line)
        if _is_grave(diagnostic["code"]["value"]):
            assert diagnostic["severity"] == "ERROR"
            texts.append(diagnostic["message"])
    return texts


def _grave_in_codequality(output: str) -> list[str]:
    texts = []
    for entry in json.loads(output):
        if _is_grave(entry["check_name"].removeprefix("gen/")):
            assert entry["severity"] == "critical"
            texts.append(entry["description"])
    return texts


_GRAVE_TEXTS = {
    "text": _grave_in_text,
    "json": _grave_in_json,
    "markdown": _grave_in_markdown,
    "github": _grave_in_github,
    "sarif": _grave_in_sarif,
    "rdjsonl": _grave_in_rdjsonl,
    "codequality": _grave_in_codequality,
}
