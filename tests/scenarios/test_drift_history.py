"""What happens to a repository of five sites over time, and what `gen check`, `gen diff` and `gen review` say of it."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import history
import pytest
from history import OTHER_KEY, SECRET, TODAY, VERSION, commit, fingerprint, git, line_of, lock, spec
from jsonschema import Draft4Validator, Draft202012Validator
from running import Gen, Result, running
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension

from generator.cli import check, review, site
from generator.report import sarif
from generator.workspace import recompile

REPOSITORY = Path(__file__).parents[2]
SCHEMAS = Path(__file__).parents[1] / "schemas"
FORMATS = ("text", "json", "markdown", "github", "sarif", "rdjsonl")


def schema(path: Path) -> Any:
    return json.loads(path.read_bytes())


REPORT = Draft202012Validator(schema(REPOSITORY / "docs/report.schema.json"))
SARIF = Draft4Validator(
    schema(SCHEMAS / "sarif-2.1.0.json"), format_checker=Draft4Validator.FORMAT_CHECKER
)
DIAGNOSTIC = Draft4Validator(schema(SCHEMAS / "reviewdog-diagnostic.json"))


# The repository, once for all tests, and a copy for each.


def settle(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Have nothing around gen that differs between machines, versions and days."""
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("COLUMNS", "80")
    for name in [name for name in os.environ if name.startswith(("GEN_", "XDG_CONFIG", "GIT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for module in (recompile, site, sarif):
        monkeypatch.setattr(module, "__version__", VERSION)
    for command in (check, review):
        monkeypatch.setattr(command, "run", on_the_same_day(command.run))


def on_the_same_day(run: Callable[..., int]) -> Callable[..., int]:
    return lambda *arguments: run(*arguments[:-1], TODAY)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The repository at its first commit."""
    folder = tmp_path_factory.mktemp("history")
    (folder / "repo").mkdir()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder / "repo")
        settle(monkeypatch, folder / "home")
        history.begin(running(monkeypatch, lambda: ("", "")))
    yield folder / "repo"


@pytest.fixture
def gen(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> Gen:
    """Run gen in a copy of the repository."""
    shutil.copytree(made, tmp_path / "repo", symlinks=True)
    monkeypatch.chdir(tmp_path / "repo")
    settle(monkeypatch, tmp_path / "home")

    def printed() -> tuple[str, str]:
        out, err = capsysbinary.readouterr()
        return out.decode("utf-8", "surrogateescape"), err.decode()

    return running(monkeypatch, printed)


@contextmanager
def unmoved(folder: Path) -> Iterator[None]:
    """See that nothing changes below a folder, which holds the repository and all around it."""
    before = history.state(folder)
    yield
    assert history.state(folder) == before


@pytest.fixture
def look(gen: Gen, tmp_path: Path) -> Gen:
    """Run gen, and see that nothing changed in the repository or anywhere around it."""

    def run(*arguments: str) -> Result:
        with unmoved(tmp_path):
            return gen(*arguments)

    return run


# Drift.


@dataclass(frozen=True)
class Case:
    """What somebody did, and what is said of it."""

    change: Callable[[], None]
    status: int
    """Of `gen check`."""
    found: tuple[str, ...] = ()
    """`RULE FILE` of each finding."""
    patch: int = 1
    """Status of `gen diff`."""


EDITED = "edited ssh/aster.conf"
NOT_TOLD = "refused .gen/aster.lock"
ELDER = (
    ".env.elder",
    "ssh/elder.conf",
    "systemd/gen-cert-elder.service",
    "systemd/gen-cert-elder.timer",
    "launchd/gen-cert-elder.plist",
)
MOVED = ("stale ssh/aster.conf", "stale .env.aster", "stale teams/a/.env.cedar")

CASES = {
    "nothing happened": Case(history.nothing, 0, patch=0),
    "the spec moved and nobody generated": Case(history.move_the_spec, 1, MOVED),
    "five keys of a spec moved": Case(history.move_five_keys, 1, MOVED[:2]),
    "a file was edited": Case(history.edit_a_file, 1, (EDITED,)),
    "a file was edited with odd bytes": Case(
        history.edit_with_other_bytes, 1, (EDITED, "edited teams/a/ssh/cedar.conf")
    ),
    "a file was edited and the lock with it": Case(history.edit_and_sign, 1, (EDITED,)),
    "a file was edited and the spec moved": Case(
        history.edit_after_the_spec_moved, 1, (EDITED, *MOVED[1:])
    ),
    "a file was deleted": Case(history.delete_a_file, 1, ("missing teams/a/.env.cedar",)),
    "all files of a site were deleted": Case(
        history.delete_all_files, 1, tuple(f"missing teams/b/lab/{name}" for name in ELDER)
    ),
    "a site was removed": Case(
        history.remove_a_site,
        1,
        (
            "orphaned teams/a/.env.cedar",
            "orphaned teams/a/ssh/cedar.conf",
            "orphaned teams/a/.gen/cedar.lock",
        ),
    ),
    "a spec became that of another site": Case(
        history.call_it_another_site,
        1,
        (
            "orphaned teams/a/.env.cedar",
            "orphaned teams/a/ssh/cedar.conf",
            "orphaned teams/a/.gen/cedar.lock",
        ),
    ),
    "a file is generated no more": Case(
        history.generate_less, 1, ("stale ssh/birch.conf", "orphaned ssh/birch.known_hosts")
    ),
    "a file is generated no more and was edited": Case(
        history.generate_less_than_was_edited,
        1,
        ("stale ssh/birch.conf", "orphaned ssh/birch.known_hosts"),
    ),
    "a file is new": Case(
        history.generate_more,
        1,
        ("stale teams/a/ssh/cedar.conf", "stale teams/a/ssh/cedar.known_hosts"),
    ),
    "gen was upgraded": Case(history.upgrade, 1, ("stale ssh/aster.conf",)),
    "gen was upgraded and the spec moved": Case(
        history.upgrade_after_the_spec_moved, 1, ("stale ssh/aster.conf",)
    ),
    "gen was upgraded and writes the same": Case(history.upgrade_to_the_same, 0, patch=0),
    "a file became executable": Case(
        history.make_executable, 1, ("mode systemd/gen-cert-birch.service",)
    ),
    "a checkout set the modes": Case(history.take_the_umask, 0, patch=0),
    "line ends became those of Windows": Case(
        history.write_windows_lines, 1, tuple(f"edited teams/b/lab/{name}" for name in ELDER)
    ),
    "a file is a link inside the repository": Case(history.link_inside, 0, patch=0),
    "an edit is accepted": Case(history.accept_an_edit, 0, (EDITED,)),
    "an edit was accepted until yesterday": Case(
        history.accept_too_long, 1, (EDITED, "expired .gen/accepted.yaml")
    ),
    "another cause is accepted": Case(
        history.accept_another_cause, 1, (EDITED, "unused .gen/accepted.yaml")
    ),
    "what does not differ is accepted": Case(
        history.accept_what_is_well, 1, ("unused .gen/accepted.yaml",), patch=0
    ),
    "a spec is broken": Case(history.break_a_spec, 2, (NOT_TOLD, NOT_TOLD), patch=2),
    "a lock is broken": Case(
        history.break_a_lock, 2, ("refused teams/a/.gen/cedar.lock",), patch=2
    ),
    "a lock is of a later format": Case(
        history.take_a_lock_of_later, 2, ("refused teams/a/.gen/cedar.lock",), patch=2
    ),
    "a lock has the name of another site": Case(
        history.rename_a_lock, 2, ("refused teams/a/.gen/cypress.lock",), patch=2
    ),
    "a lock names a file above its folder": Case(history.climb_out, 2, (NOT_TOLD,), patch=2),
    "a lock names a file by an absolute path": Case(history.be_absolute, 2, (NOT_TOLD,), patch=2),
    "a lock has a spec outside": Case(history.compile_from_outside, 2, (NOT_TOLD,), patch=2),
    "a lock has a person who is more than a person": Case(
        history.inject_into_the_person, 2, (NOT_TOLD,), patch=2
    ),
    "a lock has a change that the spec does not take": Case(
        history.inject_into_the_set, 2, (NOT_TOLD,), patch=2
    ),
    "a lock is a link out of the repository": Case(
        history.link_the_lock, 2, ("refused teams/a/.gen/cedar.lock",), patch=2
    ),
    "a folder of locks is a link out of the repository": Case(
        history.link_the_folder_of_locks,
        2,
        ("refused teams/a/.gen",),
        patch=2,
    ),
    "a file is a link out of the repository": Case(history.link_a_file, 2, (NOT_TOLD,), patch=2),
    "a folder of files is a link out of the repository": Case(
        history.link_a_folder,
        2,
        ("refused teams/a/.gen/cedar.lock", "refused teams/a/.gen/dahlia.lock"),
        patch=2,
    ),
    "a spec is a link out of the repository": Case(history.link_a_spec, 2, (NOT_TOLD,), patch=2),
    "a file is a link to itself": Case(history.link_in_circles, 2, (NOT_TOLD,), patch=2),
    "a folder is where a file should be": Case(history.be_a_folder, 2, (NOT_TOLD,), patch=2),
    "everything at once": Case(
        history.do_everything,
        1,
        (
            *MOVED[:2],
            "stale ssh/birch.conf",
            "mode systemd/gen-cert-birch.service",
            "orphaned ssh/birch.known_hosts",
            "orphaned teams/a/.env.cedar",
            "orphaned teams/a/ssh/cedar.conf",
            "orphaned teams/a/.gen/cedar.lock",
            "edited teams/a/ssh/dahlia.conf",
            *(f"missing teams/b/lab/{name}" for name in ELDER),
            "expired .gen/accepted.yaml",
            "unused .gen/accepted.yaml",
        ),
    ),
}


def each_case(*, patch: int | None = None) -> pytest.MarkDecorator:
    rows = [
        pytest.param(case, id=name) for name, case in CASES.items() if patch in (None, case.patch)
    ]
    return pytest.mark.parametrize("case", rows)


@each_case()
def test_a_check_tells_the_cause_and_ends_with_its_status(
    look: Gen, case: Case, snapshot: SnapshotAssertion
) -> None:
    case.change()
    result, patch = look("check"), look("diff")
    assert (result.status, patch.status, bool(patch.out)) == (
        case.status,
        case.patch,
        case.patch == 1,
    )
    assert f"{result.out}---\n{result.err}" == snapshot


@each_case()
def test_every_format_says_the_same_and_is_what_its_readers_take(
    gen: Gen, case: Case, tmp_path: Path
) -> None:
    case.change()
    with unmoved(tmp_path):
        results = {form: gen("check", "--format", form) for form in FORMATS}
    assert {result.status for result in results.values()} == {case.status}
    assert len({result.err for result in results.values()}) == 1
    report = json.loads(results["json"].out)
    REPORT.validate(report)
    findings = report["findings"]
    assert sorted(f"{item['rule']} {item['file']}" for item in findings) == sorted(case.found)
    places = [(item["path"], item["line"]) for item in findings]
    assert (sarif_places(results["sarif"].out), rdjsonl_places(results["rdjsonl"].out)) == (
        places,
        places,
    )
    assert [place[:2] for place in github_places(results["github"].out)] == places
    assert len(set(fingerprints(results["sarif"].out))) == len(findings)
    for item in findings:
        assert f"**{item['rule']}** `{item['file']}`" in results["markdown"].out
        assert f"{item['rule']}: {item['message']}" in results["text"].out


def sarif_places(text: str) -> list[tuple[str, int]]:
    log = json.loads(text)
    SARIF.validate(log)
    places = [result["locations"][0]["physicalLocation"] for result in log["runs"][0]["results"]]
    return [(place["artifactLocation"]["uri"], place["region"]["startLine"]) for place in places]


def rdjsonl_places(text: str) -> list[tuple[str, int]]:
    diagnostics = [json.loads(line) for line in text.splitlines()]
    for diagnostic in diagnostics:
        DIAGNOSTIC.validate(diagnostic)
    places = [diagnostic["location"] for diagnostic in diagnostics]
    return [(place["path"], place["range"]["start"]["line"]) for place in places]


def github_places(text: str) -> list[tuple[str, int, str]]:
    found = [
        re.fullmatch(r"::(\w+) file=([^,]+),line=(\d+),title=[^,:]+::(.+)", line)
        for line in text.splitlines()
    ]
    assert all(found)
    return [(match[2], int(match[3]), match[1]) for match in found if match]


@each_case(patch=1)
def test_the_patch_ends_the_drift(look: Gen, case: Case) -> None:
    case.change()
    git("apply", "-", given=look("diff").out)
    left = json.loads(look("check", "--format", "json").out)["findings"]
    assert [
        item
        for item in left
        if item["level"] == "error" and item["rule"] not in ("unused", "expired")
    ] == []
    assert look("diff").out == ""


@each_case(patch=1)
def test_making_all_anew_ends_the_drift(gen: Gen, look: Gen, case: Case) -> None:
    case.change()
    assert gen("site", "--all", "--force").status == 0
    left = json.loads(look("check", "--format", "json").out)["findings"]
    assert [
        item
        for item in left
        if item["level"] == "error" and item["rule"] not in ("unused", "expired")
    ] == []
    assert look("diff").out == ""


@each_case(patch=2)
def test_making_all_anew_touches_nothing_where_it_cannot_tell(look: Gen, case: Case) -> None:
    case.change()
    result = look("site", "--all", "--force")
    assert result.status == 2
    assert result.err.endswith("Nothing was written.\n")


def in_format(snapshot: SnapshotAssertion, form: str) -> SnapshotAssertion:
    endings = {
        "text": "txt",
        "json": "json",
        "markdown": "md",
        "github": "txt",
        "sarif": "sarif",
        "rdjsonl": "jsonl",
    }
    extension = type(
        f"{form.title()}File", (SingleFileSnapshotExtension,), {"file_extension": endings[form]}
    )
    return snapshot.use_extension(extension)


@pytest.mark.parametrize("form", FORMATS)
def test_drift_of_every_kind_in_every_format(
    look: Gen, form: str, snapshot: SnapshotAssertion
) -> None:
    history.do_everything()
    assert look("check", "--format", form).out.encode() == in_format(snapshot, form)


@pytest.mark.parametrize("form", FORMATS)
def test_a_repository_without_drift_in_every_format(
    look: Gen, form: str, snapshot: SnapshotAssertion
) -> None:
    assert look("check", "--format", form).out.encode() == in_format(snapshot, form)


def test_a_patch_of_everything_is_reviewed_like_code(
    look: Gen, snapshot: SnapshotAssertion
) -> None:
    history.do_everything()
    as_patch = snapshot.use_extension(
        type("Patch", (SingleFileSnapshotExtension,), {"file_extension": "patch"})
    )
    assert look("diff").out.encode() == as_patch


@pytest.mark.parametrize("command", ["check", "diff", "site"])
def test_a_folder_with_nothing_generated_is_told(look: Gen, tmp_path: Path, command: str) -> None:
    (tmp_path / "empty").mkdir()
    asked = ("site", "--all", "--out", "../empty") if command == "site" else (command, "../empty")
    result = look(*asked)
    assert (result.status, result.out) == (2, "")
    assert (
        result.err
        == "../empty: has no generated site; generate one with: gen site SITE --out ../empty\n"
    )


@pytest.mark.parametrize("command", ["check", "diff"])
def test_a_folder_that_is_none_is_told(look: Gen, command: str) -> None:
    result = look(command, "site_specs/aster.yaml")
    assert (result.status, result.out, result.err) == (
        2,
        "",
        "site_specs/aster.yaml: is not a directory\n",
    )


@pytest.mark.parametrize("command", ["check", "diff"])
def test_a_folder_that_holds_files_but_not_their_specs_is_told(look: Gen, command: str) -> None:
    result = look(command, "teams/a")
    assert result.status == 2
    assert (
        "its spec, ../../site_specs/cedar.yaml, is not below teams/a; name a directory that holds both"
        in (result.out + result.err)
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(
            history.accept_nonsense, ".gen/accepted.yaml:6: accepted.0.until: ", id="a fault"
        ),
        pytest.param(
            history.link_what_is_accepted,
            ".gen/accepted.yaml:1: is a link that leads out",
            id="a link",
        ),
    ],
)
def test_a_list_of_what_is_accepted_that_cannot_be_read_is_told(
    look: Gen, change: Callable[[], None], problem: str
) -> None:
    change()
    result = look("check")
    assert result.status == 2
    where, _, message = problem.partition(": ")
    assert any(
        line.startswith(where) and f"refused: {message}" in line for line in result.out.splitlines()
    )


def test_from_above_the_repository_paths_are_as_seen_from_there(
    look: Gen, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.move_the_spec()
    history.accept("2026-12-31", ".env.aster", "stale")
    monkeypatch.chdir("..")
    findings = json.loads(look("check", "repo", "--format", "json").out)["findings"]
    assert sorted((item["file"], item["path"], item["level"]) for item in findings) == [
        ("repo/.env.aster", "repo/site_specs/aster.yaml", "note"),
        ("repo/ssh/aster.conf", "repo/site_specs/aster.yaml", "error"),
        ("repo/teams/a/.env.cedar", "repo/site_specs/cedar.yaml", "error"),
    ]
    patch = look("diff", "repo").out
    assert ".env.aster" not in patch
    git("apply", "-", folder=Path("repo"), given=patch)
    assert look("diff", "repo").out == ""
    left = json.loads(look("check", "repo", "--format", "json").out)["findings"]
    assert [(item["file"], item["rule"], item["level"]) for item in left] == [
        ("repo/.env.aster", "stale", "note")
    ]


def test_annotations_point_at_the_line_of_the_spec(look: Gen) -> None:
    history.move_the_spec()
    places = set(github_places(look("check", "--format", "github").out))
    assert places == {
        (str(spec("aster")), line_of(spec("aster"), "port: 2200"), "error"),
        (str(spec("cedar")), line_of(spec("cedar"), "partition: wide"), "error"),
    }


def test_annotations_point_at_the_line_that_was_edited(look: Gen) -> None:
    history.edit_a_file()
    path = Path("ssh/aster.conf")
    assert github_places(look("check", "--format", "github").out) == [
        (str(path), line_of(path, "# by hand"), "error")
    ]


def test_annotations_of_line_ends_point_at_the_first_of_them(look: Gen) -> None:
    history.write_windows_lines()
    assert {line for _, line, _ in github_places(look("check", "--format", "github").out)} == {1}


def test_a_site_of_the_catalogue_has_no_spec_to_point_at(gen: Gen, look: Gen) -> None:
    gen("site", "mila", "--out", "teams/c")
    file, record = Path("teams/c/ssh/mila.conf"), Path("teams/c/.gen/mila.lock")
    content = json.loads(record.read_bytes())
    content["inputs"]["spec"]["key_digests"]["title"] = "0" * 12
    file.write_bytes(file.read_bytes() + b"# older\n")
    content["files"]["ssh/mila.conf"]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    record.write_text(json.dumps(content))
    [found] = json.loads(look("check", "--format", "json").out)["findings"]
    assert (found["rule"], found["path"], found["key"]) == ("stale", str(file), "title")


def test_annotations_of_a_deleted_file_point_at_its_entry_in_the_lock(look: Gen) -> None:
    history.delete_a_file()
    entry = line_of(lock("cedar"), '".env.cedar": {')
    assert github_places(look("check", "--format", "github").out) == [
        (str(lock("cedar")), entry, "error")
    ]


def test_annotations_point_at_the_lines_of_a_broken_spec(look: Gen) -> None:
    history.break_a_spec()
    assert github_places(look("check", "--format", "github").out) == [
        (str(spec("aster")), line_of(spec("aster"), "prot: 2222"), "error"),
        (str(spec("aster")), line_of(spec("aster"), "through: astre"), "error"),
    ]


# Fingerprints, by which code scanning knows a finding again.


def fingerprints(text: str) -> list[str]:
    return [
        result["partialFingerprints"]["finding/v1"]
        for result in json.loads(text)["runs"][0]["results"]
    ]


def shift() -> None:
    """Put lines in front of all specs, files with an edit, and what is accepted."""
    for path in (*map(spec, history.SPECS), Path(".gen/accepted.yaml")):
        if path.exists():
            path.write_text("# One line.\n# And another.\n" + path.read_text())


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(history.move_five_keys, id="keys of a spec"),
        pytest.param(history.break_a_spec, id="faults of a spec"),
        pytest.param(history.do_everything, id="everything"),
    ],
)
def test_fingerprints_stay_when_lines_shift(look: Gen, change: Callable[[], None]) -> None:
    change()
    before = look("check", "--format", "sarif").out
    shift()
    after = look("check", "--format", "sarif").out
    assert sarif_places(before) != sarif_places(after)
    assert fingerprints(before) == fingerprints(after)


def test_fingerprints_of_a_review_stay_when_lines_shift_and_differ_between_findings(
    look: Gen,
) -> None:
    attack("a host is another machine")
    attack("a command is another one")
    attacked()
    before = look("review", "main", "--format", "sarif").out
    shift()
    after = look("review", "main", "--format", "sarif").out
    assert sarif_places(before) != sarif_places(after)
    assert fingerprints(before) == fingerprints(after)
    assert len(set(fingerprints(before))) == len(fingerprints(before)) == 3 + len(PROSE)


def test_fingerprints_differ_between_findings_about_one_key(look: Gen) -> None:
    """A group of host keys is one key of the spec, and its hosts may fare differently."""
    history.replace(spec("aster"), "hosts: [aster, aster-data]", "hosts: aster-data")
    history.replace(spec("aster"), fingerprint("login rsa"), fingerprint("another rsa"))
    history.replace(spec("aster"), "match: cn-????", "match: gpu-????")
    found = fingerprints(look("review", "main", "--format", "sarif").out)
    assert len(set(found)) == len(found)


# Secrets.

TYPED = {
    "a password": f"SLURM_EDGE_NODE_PASSWORD={SECRET}",
    "a token with quotes": f'export GITHUB_TOKEN="{SECRET}"',
    "a password in an address": f"DATABASE_URL=postgresql://ada:{SECRET}@db.example/jobs",
    "a private key": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----",
}


@pytest.mark.parametrize("typed", [pytest.param(text, id=name) for name, text in TYPED.items()])
def test_a_secret_that_was_typed_into_a_file_is_shown_nowhere(
    gen: Gen, typed: str, tmp_path: Path
) -> None:
    with Path(".env.aster").open("a") as file:
        file.write(f"{typed}\n")
    with unmoved(tmp_path):
        shown = [gen("check", "--format", form) for form in FORMATS]
        shown += [gen("diff"), gen("site", "--all", "--dry-run"), gen("site", "--all")]
    assert [result.status for result in shown] == [1] * len(FORMATS) + [1, 0, 2]
    assert not [result for result in shown if SECRET in result.out + result.err]
    assert "********" in shown[len(FORMATS)].out


def test_a_patch_with_a_mask_says_that_it_will_not_apply(look: Gen) -> None:
    history.type_a_secret()
    history.edit_a_file()
    result = look("diff")
    assert "-SLURM_EDGE_NODE_PASSWORD=********\n" in result.out
    assert "-    # by hand\n" in result.out
    assert (
        ".env.aster: a line that looks like a secret is masked; git apply will refuse this file"
        in result.err
    )
    assert "ssh/aster.conf" not in result.err
    git("apply", "-", given=result.out, status=1)


# Merges and checkouts.


def regenerated(gen: Gen, branch: str, *changes: tuple[str, str]) -> None:
    """Change the spec of aster on a branch of its own, and generate anew."""
    git("switch", "--quiet", "--create", branch, "main")
    for old, new in changes:
        history.replace(spec("aster"), old, new)
    assert gen("site", "--all").status == 0
    commit(branch)


@pytest.fixture(params=["merge", "diff3", "zdiff3"])
def merged(gen: Gen, request: pytest.FixtureRequest) -> None:
    """Merge two branches that both changed the spec of aster and made it anew: git finds the lock in conflict."""
    regenerated(gen, "ports", ("port: 2222", "port: 2200"))
    regenerated(
        gen, "queues", ("partition: long", "partition: main"), ("timeout: 600", "timeout: 300")
    )
    git("-c", f"merge.conflictStyle={request.param}", "merge", "--quiet", "ports", status=1)
    assert git("diff", "--name-only", "--diff-filter=U") == ".gen/aster.lock\n"


def test_a_lock_in_conflict_is_told(merged: None, look: Gen) -> None:
    result = look("check")
    assert result.status == 2
    assert result.out == (
        ".gen/aster.lock:1: refused: has a merge conflict; run gen site --all --out DIR to regenerate it\n"
    )
    assert look("diff").status == 2


def test_making_all_anew_resolves_a_conflict(merged: None, gen: Gen, look: Gen) -> None:
    result = gen("site", "--all")
    assert result.status == 0, result.err
    assert look("check").status == 0
    commit("Merge ports")
    env = Path(".env.aster").read_text()
    assert "SLURM_EDGE_NODE_PORT=2200\n" in env
    assert "SLURM_PARTITION=main\n" in env
    assert "backup" not in result.err


@pytest.mark.parametrize("side", ["--ours", "--theirs"])
def test_a_conflict_in_lock_spec_and_files_is_resolved_by_resolving_the_spec(
    gen: Gen, look: Gen, side: str
) -> None:
    regenerated(gen, "one", ("port: 2222", "port: 2200"))
    regenerated(gen, "two", ("port: 2222", "port: 2022"))
    git("merge", "--quiet", "one", status=1)
    assert look("check").status == 2
    assert look("site", "--all").status == 2
    git("checkout", side, "--", "site_specs/aster.yaml")
    assert gen("site", "--all").status == 0
    assert look("check").status == 0
    assert f"PORT={'2022' if side == '--ours' else '2200'}\n" in Path(".env.aster").read_text()


def test_a_merge_without_conflict_may_still_be_stale(gen: Gen, look: Gen) -> None:
    regenerated(gen, "one", ("site: aster\n", "site: aster\nnote: Closed in August.\n"))
    git("switch", "--quiet", "--create", "two", "main")
    history.replace(spec("cedar"), "partition: batch", "partition: wide")
    commit("two")
    git("merge", "--quiet", "--no-edit", "one")
    assert look("check").out.startswith("teams/a/.env.cedar: stale: ")


def clone(attributes: str) -> None:
    """Check the repository out as Windows does, with these attributes."""
    Path(".gitattributes").write_text(attributes)
    commit("Attributes")
    git("clone", "--quiet", "--config", "core.autocrlf=true", ".", "../clone")


def test_a_checkout_with_line_ends_of_windows_is_told_as_what_it_is(
    look: Gen, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone("")
    monkeypatch.chdir("../clone")
    result = look("check", "--format", "json")
    findings = json.loads(result.out)["findings"]
    assert result.status == 1
    assert {(item["rule"], item["message"]) for item in findings} == {
        (
            "edited",
            "has the line ends of Windows and no other difference; .gitattributes prevents that",
        )
    }
    assert len(findings) == sum(
        len(json.loads(lock(site).read_bytes())["files"]) for site in history.SPECS
    )


def test_attributes_prevent_that(look: Gen, monkeypatch: pytest.MonkeyPatch) -> None:
    clone("* -text\n")
    monkeypatch.chdir("../clone")
    assert look("check").status == 0


# What a proposal means.

Step = tuple[str, str]
"""A pattern, and what takes its place."""

HARMLESS: dict[str, Step] = {
    "a comment on a line of its own": (r"^site: ", "# Of the institute.\nsite: "),
    "a comment behind a value": (r"^country: AT$", "country: AT   # Austria"),
    "single quotes": (r"^title: (.*)$", r"title: '\1'"),
    "double quotes": (r"^operator: (.*)$", r'operator: "\1"'),
    "a folded text": (r"^docs: (.*)$", r"docs: >-\n  \1"),
    "blank lines": (r"^sources:$", "\n\nsources:"),
    "a source that was renamed": (r"\bfaq\b(?!\.md)", "questions"),
    "another source that was renamed": (r"\bhandbook\b", "login-page"),
    "a source that was read again": (r"2026-05-02", "2026-06-02"),
    "a source that nothing cites": (
        r"^  queues: ",
        "  press: { url: https://news.example/ }\n  queues: ",
    ),
    "a source in other quotes": (r'ref: "([^"]*login[^"]*)"', r"ref: '\1'"),
    "sources in another order": (
        r"^(  \S+: \{ ref: .*faq.*\n)((?:.*\n)*?)(  queues: .*\n)",
        r"\3\2\1",
    ),
    "keys of a host in another order": (r"^(    host: data.*\n)(    role: transfer\n)", r"\2\1"),
    "a block for a flow mapping": (
        r"^    keepalive: \{ (interval: \d+), (count: \d) \}$",
        r"    keepalive:\n      \1\n      \2",
    ),
    "keys of a flow mapping in another order": (
        r"\{ (alias: .*), (host: .*), (n: \S+) \}",
        r"{ \3, \2, \1 }",
    ),
    "a host name in capitals": (
        r"^    host: login\.aster\.example$",
        "    host: Login.Aster.Example",
    ),
    "a list of one": (r"^    match: (.*)$", r"    match: [\1]"),
    "a default that is written out": (r"^    port: 2222$", "    port: 2222\n    role: login"),
    "a name in quotes": (r"^(compute:\n(?:.*\n)*?    through: )aster$", r'\1"aster"'),
    "patterns in another order": (r'\["(.*)", "(!login.*)", "(!data.*)"\]', r'["\3", "\2", "\1"]'),
    "a list over several lines": (
        r"^  key_types: \[(.*), (.*)\]$",
        r"  key_types:\n    - \1\n    - \2",
    ),
    "a command in quotes": (r"^    proxy: (.*)$", r"    proxy: '\1'"),
    "a command over two lines": (
        r"^    command: (\S+) (\S+)$",
        r"    command: >-\n      \1\n      \2",
    ),
    "a group of host keys that was renamed": (r"^  login:$", "  front:"),
    "a group of nodes that was renamed": (
        r"^  nodes:$((?:.|\n)*)hosts: nodes$",
        r"  workers:\1hosts: workers",
    ),
    "fingerprints in another order": (r"^(      ed25519: .*\n)(      ecdsa: .*\n)", r"\2\1"),
    "a fingerprint in quotes": (r"^      rsa: (\S+)$", r"      rsa: '\1'"),
    "a list of one fingerprint": (r"^(  compute:\n.*\n.*\n      ed25519: )(\S+)$", r"\1[\2]"),
    "hosts of a group in another order": (
        r"hosts: \[aster, aster-data\]",
        "hosts: [aster-data, aster]",
    ),
    "groups of host keys in another order": (
        r"^host_keys:\n(  \w+:\n(?:    .*\n)+)(  \w+:\n(?:    .*\n)+)",
        r"host_keys:\n\2\1",
    ),
    "parts in another order": (r"^(host_keys:\n(?:  .*\n)+\n)(auth:\n(?:  .*\n)+\n)", r"\2\1"),
    "a time in hours": (r"5-00:00:00", "120:00:00"),
    "memory in mebibytes": (r"(main: .*)mem: 256G", r"\1mem: 262144M"),
    "partitions in another order": (r"^(    long: .*\n)(    main: .*\n)", r"\2\1"),
    "a block for another flow mapping": (
        r"^    debug: \{ (max_walltime: .*), (note: .*), (source: \S+) \}$",
        r"    debug:\n      \3\n      \1\n      \2",
    ),
    "options in another order": (r"\[--exclusive, --mem\]", "[--mem, --exclusive]"),
    "an anchor and an alias": (
        r"(long: \{ max_walltime: )7-00:00:00((?:.|\n)*)(normal: \{ max_walltime: )7-00:00:00",
        r"\1&week 7-00:00:00\2\3*week",
    ),
    "a list of one command": (r"^  pre_start_commands: (.*)$", r"  pre_start_commands:\n    - \1"),
    "a path in other quotes": (r'path: "(/home[^"]*)"', r"path: '\1'"),
    "places for files in another order": (r"^(  home: .*\n)(  scratch: .*\n)", r"\2\1"),
}
PROSE: dict[str, Step] = {
    "a note that was reworded": (r"note: Sends you", "note: Brings you"),
    "a quota in other words": (r"quota: 5TB", "quota: five terabytes"),
    "another title": (r"^(title: .?Aster) cluster", r"\1 Cluster"),
}
THEIRS = fingerprint("the attacker's")


@dataclass(frozen=True)
class Attack:
    """A change of whom people trust, or of what runs in their name."""

    pattern: str
    replacement: str
    said: str
    at: str = ""
    """How the line starts at which a person should look, where there is one line for it."""


_GROUP = r"^(  \w+:\n    hosts: \[aster.*\n    fingerprints:\n(?:      .*\n)*?      "
ATTACKS = {
    "a fingerprint is another one": Attack(
        rf"{_GROUP}ed25519: )\S+$",
        rf"\g<1>{THEIRS}",
        f"added ed25519 {THEIRS}",
        f"ed25519: {THEIRS}",
    ),
    "a fingerprint is added": Attack(
        rf"{_GROUP}ecdsa: )(\S+)$", rf"\1[\2, {THEIRS}]", f"added ecdsa {THEIRS}", "ecdsa: ["
    ),
    "a whole key is added": Attack(
        r"^(    hosts: \[aster.*\n)",
        rf"\1    keys: [{OTHER_KEY}]\n",
        "added ed25519 SHA256:",
        "keys: [",
    ),
    "an authority is added": Attack(
        r"^(    hosts: \[aster.*\n)",
        rf"\1    authorities: {{ hosts: '*.aster.example', key: {OTHER_KEY} }}\n",
        "added host CA for *.aster.example: SHA256:",
        "authorities: {",
    ),
    "a group of hosts loses one": Attack(
        r"hosts: \[(aster|aster-data), \S+\]$", r"hosts: [\1]", "removed ed25519 SHA256:"
    ),
    "a source became weak": Attack(
        r"(aster/docs:login\.md@0a1b2c3.), checked: 2026-05-01 \}",
        r"\1, weak: read in a hurry }",
        "→ only if a user accepts weak sources",
    ),
    "a host is another machine": Attack(
        r"^    host: data\.aster\.example$",
        "    host: data.aster.evil",
        "data.aster.example → data.aster.evil",
        "host: data.aster.evil",
    ),
    "a port is another one": Attack(
        r"^    port: 2222$", "    port: 2223", "2222 → 2223", "port: 2223"
    ),
    "a jump host comes": Attack(
        r"^    port: 2222$",
        "    port: 2222\n    via: aster-data",
        "aster-data",
        "via: aster-data",
    ),
    "nodes are other machines": Attack(
        r'"login-\{n\}\.aster\.example"', '"login-{n}.aster.evil"', "login-1.aster.evil", "nodes: {"
    ),
    "the agent is lent": Attack(
        r"^    role: transfer$",
        "    role: transfer\n    forward_agent: true",
        "false → true",
        "forward_agent: true",
    ),
    "compute nodes are others": Attack(r'"%h\.aster\.example"', '"%h.aster.evil"', "%h.aster.evil"),
    "a command is another one": Attack(
        r"/opt/site/slurm-proxy", "/tmp/slurm-proxy", "→ /tmp/slurm-proxy aster-cpu", "proxy: "
    ),
    "a command comes before Ray": Attack(
        r"ulimit -n 65536", "ulimit -n 65536; id", "→ ulimit -n 65536; id", "pre_start_commands:"
    ),
}


def rewrite(*steps: Step) -> None:
    """Apply steps to the spec of aster, each of which must find a place."""
    text = spec("aster").read_text()
    for pattern, replacement in steps:
        text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        assert count, f"{pattern} found no place"
    spec("aster").write_text(text)


def attack(name: str) -> None:
    rewrite((ATTACKS[name].pattern, ATTACKS[name].replacement))


def proposed(look: Gen, *arguments: str) -> list[Any]:
    result = look("review", *(arguments or ("main",)), "--format", "json")
    assert result.status == 0, result.err
    report = json.loads(result.out)
    REPORT.validate(report)
    return list(report["findings"])


@pytest.mark.parametrize("name", HARMLESS)
def test_a_review_is_silent_about_what_has_no_meaning(look: Gen, name: str) -> None:
    rewrite(HARMLESS[name])
    assert proposed(look) == []


def test_a_review_is_silent_about_forty_changes_without_meaning(look: Gen) -> None:
    rewrite(*HARMLESS.values())
    assert len(HARMLESS) == 40
    assert proposed(look) == []


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_among_forty_harmless_changes_comes_first(look: Gen, name: str) -> None:
    rewrite(*HARMLESS.values(), *PROSE.values())
    attack(name)
    findings = proposed(look)
    trust = [item for item in findings if item["rule"] == "trust"]
    assert [item["rule"] for item in findings] == ["trust"] * len(trust) + ["prose"] * len(PROSE)
    assert trust[0]["level"] == "error"
    assert not [item["key"] for item in findings if item["key"].endswith(".")]
    assert ATTACKS[name].said in "\n".join(detail for item in trust for detail in item["details"])


@pytest.mark.parametrize("name", [name for name, case in ATTACKS.items() if case.at])
def test_a_review_points_at_the_line_of_an_attack(look: Gen, name: str) -> None:
    attack(name)
    lines = spec("aster").read_text().splitlines()
    [place] = {(item["path"], lines[item["line"] - 1].strip()) for item in proposed(look)}
    assert place[0] == str(spec("aster"))
    assert place[1].startswith(ATTACKS[name].at)


def attacked() -> None:
    rewrite(*HARMLESS.values(), *PROSE.values())
    attack("a fingerprint is another one")


@pytest.mark.parametrize("form", FORMATS)
def test_a_review_of_an_attack_in_every_format(
    look: Gen, form: str, snapshot: SnapshotAssertion
) -> None:
    attacked()
    assert look("review", "main", "--format", form).out.encode() == in_format(snapshot, form)


def test_every_format_of_a_review_is_what_its_readers_take(look: Gen) -> None:
    attacked()
    findings = proposed(look)
    places = [(item["path"], item["line"]) for item in findings]
    assert sarif_places(look("review", "main", "--format", "sarif").out) == places
    assert rdjsonl_places(look("review", "main", "--format", "rdjsonl").out) == places
    assert [
        place[:2] for place in github_places(look("review", "main", "--format", "github").out)
    ] == places


def test_annotations_of_a_review_point_at_the_lines_of_the_spec(look: Gen) -> None:
    attacked()
    path = spec("aster")
    assert github_places(look("review", "main", "--format", "github").out) == [
        (str(path), line_of(path, f"ed25519: {THEIRS}"), "error"),
        (str(path), line_of(path, "title: "), "notice"),
        (str(path), line_of(path, "note: Brings"), "notice"),
        (str(path), line_of(path, "scratch: "), "notice"),
    ]


FORGED = "x\n\n# Approved by @octocat\nmila.yaml:1: trust: none"


def test_a_note_of_several_lines_is_refused(look: Gen) -> None:
    rewrite((r"note: Sends you.*$", f"note: {json.dumps(FORGED)}".replace("\\", "\\\\")))
    assert look("review", "main").status == 2


def test_a_reason_of_several_lines_is_refused(look: Gen) -> None:
    history.accept_an_edit()
    history.replace(Path(".gen/accepted.yaml"), "waits for the new login nodes", json.dumps(FORGED))
    assert look("check").status == 2


def test_the_name_of_a_folder_forges_nothing(look: Gen) -> None:
    Path("teams/a").rename(f"teams/{FORGED}")
    Path(f"teams/{FORGED}/.env.cedar").unlink()
    assert [line for line in look("check").out.splitlines() if not line.startswith("teams/")] == []
    assert "\n# Approved" not in look("check", "--format", "markdown").out


def test_the_name_of_a_spec_forges_nothing(look: Gen) -> None:
    spec("cedar").rename(spec(FORGED))
    history.replace(spec(FORGED), "partition: batch", "partition: wide")
    assert [
        line
        for line in look("review", "main").out.splitlines()
        if line.startswith(("#", "mila.yaml"))
    ] == []
    assert "\n# Approved" not in look("review", "main", "--format", "markdown").out


@pytest.mark.parametrize(
    "name", ["my lab", "ünï", 'a"b', "a\\b", "x b", "#1?a=b&c", "100%", "a,b:c"]
)
def test_a_folder_may_have_any_name(look: Gen, name: str) -> None:
    """Every format tells of a file in it, and the patch applies."""
    Path("teams/a").rename(f"teams/{name}")
    Path(f"teams/{name}/.env.cedar").unlink()
    Path(f"teams/{name}/ssh/dahlia.conf").chmod(0o755)
    assert {form: look("check", "--format", form).status for form in FORMATS} == dict.fromkeys(
        FORMATS, 1
    )
    git("apply", "-", given=look("diff").out)
    assert look("check").status == 0


NEW = """\
site: fern
title: Fern
{sources}
hosts:
  fern: {{ host: fern.example{cited} }}
auth: {{ method: publickey }}
"""


@pytest.mark.parametrize(
    ("sources", "rules"),
    [
        pytest.param("", ["trust", "unsourced"], id="without sources"),
        pytest.param(
            "sources: { a: { url: https://x.example/, checked: 2026-06-01 } }",
            ["trust"],
            id="read this month",
        ),
        pytest.param(
            "sources: { a: { url: https://x.example/, checked: 2025-06-15 } }",
            ["trust"],
            id="a year ago",
        ),
        pytest.param(
            "sources: { a: { url: https://x.example/, checked: 2025-06-14 } }",
            ["trust", "aged"],
            id="longer ago",
        ),
        pytest.param("sources: { a: { url: https://x.example/ } }", ["trust"], id="never read"),
    ],
)
def test_a_new_spec_says_whom_to_trust_and_where_that_is_from(
    look: Gen, sources: str, rules: list[str]
) -> None:
    spec("fern").write_text(NEW.format(sources=sources, cited=", source: a" if sources else ""))
    findings = proposed(look)
    assert [item["rule"] for item in findings] == rules
    assert findings[0]["message"] == "the site fern is new; its users trust all of this"


def test_a_new_spec_with_faults_is_refused(look: Gen) -> None:
    spec("fern").write_text("site: fern\nhost: x\n")
    result = look("review", "main", "--format", "json")
    assert result.status == 2
    REPORT.validate(json.loads(result.out))
    assert {item["rule"] for item in json.loads(result.out)["findings"]} == {"refused"}


def test_a_review_starts_where_the_branch_left(look: Gen) -> None:
    git("switch", "--quiet", "--create", "proposal")
    attack("a port is another one")
    commit("proposal")
    git("switch", "--quiet", "main")
    history.replace(spec("elder"), "port: 8022", "port: 22")
    commit("main moves on")
    assert [item["site"] for item in proposed(look, "main", "proposal")] == ["aster"]
    assert [item["site"] for item in proposed(look, "proposal", "main")] == ["elder"]


def test_a_site_that_goes_and_one_that_is_renamed(look: Gen) -> None:
    history.remove_a_site()
    spec("elder").rename(spec("eldest"))
    assert [(item["rule"], item["message"]) for item in proposed(look)] == [
        ("access", "the site cedar was removed")
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(("nowhere",), "nowhere: there is no such revision here", id="no revision"),
        pytest.param(("--output=x", "main"), "", id="an option of git's"),
        pytest.param(("main", "--specs", "docs"), "docs: has no specs", id="no specs"),
    ],
)
def test_a_review_of_nothing_is_told(look: Gen, arguments: tuple[str, ...], problem: str) -> None:
    result = look("review", *arguments)
    assert (result.status, result.out) == (2, "")
    assert problem in result.err


EVIL = "hosts.aster.host=evil.example.org"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda gen: gen("site", str(spec("aster")), "--user", "ada", "--set", EVIL, "--force"),
            "overrides of the spec (--set) changed",
            id="by what the lock records of --set",
        ),
        pytest.param(
            lambda gen: (
                Path("evil.yaml").write_text(
                    spec("aster").read_text().replace("aster.example", "evil.example")
                ),
                gen("site", "evil.yaml", "--user", "ada", "--force"),
            ),
            "source spec changed",
            id="by a spec elsewhere",
        ),
    ],
)
def test_nobody_is_led_elsewhere_in_silence(
    gen: Gen, look: Gen, change: Callable[[Gen], object], message: str
) -> None:
    """The generated files then are what their lock says, so gen check is content."""
    change(gen)
    findings = json.loads(look("review", "main", "--format", "json").out)["findings"]
    assert [item["rule"] for item in findings if item["message"] == message] == ["trust"]


def test_two_specs_of_one_site_are_refused(look: Gen) -> None:
    spec("zz").write_text(spec("aster").read_text())
    history.replace(spec("aster"), "port: 2222", "port: 2223")
    result = look("review", "main")
    assert result.status == 2
    assert "site: aster is also the site of" in result.out


def test_a_file_of_ours_that_no_lock_tells_of_is_drift(look: Gen) -> None:
    Path(".gen/aster.lock").unlink()
    result = look("check")
    assert result.status == 1
    assert (
        "ssh/aster.conf:1: orphaned: no lock records this file: it was copied here, or its lock is gone"
        in result.out
    )


@pytest.mark.parametrize(
    "path", [".git/config", "README.md", "ssh/birch.conf", "../x", "/etc/passwd"]
)
def test_a_lock_that_names_a_file_never_made_for_its_site_is_refused(look: Gen, path: str) -> None:
    """Else gen diff would show the file, and gen site take it away."""
    lock = Path(".gen/aster.lock")
    record = json.loads(lock.read_text())
    record["files"][path] = {"sha256": "0" * 64, "mode": "0644"}
    lock.write_text(json.dumps(record))
    assert look("check").status == 2
    assert look("diff").status == 2
    assert look("site", "--all", "--force").status == 2


def test_a_second_person_is_sent_to_the_page_that_was_known_before(look: Gen) -> None:
    history.replace(
        spec("aster"), "docs: https://docs.aster.example/", "docs: https://evil.example/"
    )
    text = spec("aster").read_text()
    pin = re.findall(r"SHA256:\S+", text)[0]
    spec("aster").write_text(text.replace(pin, "SHA256:" + "A" * 43))
    assert "compare them with https://docs.aster.example/" in look("review", "main").out
