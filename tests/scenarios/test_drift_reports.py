"""The reports of `gen check` and `gen diff` on five sites: formats, places, secrets, odd names."""

import hashlib
import json
from datetime import date
from operator import itemgetter
from pathlib import Path

import pytest
import transcript
from history import EDIT, HISTORIES, SECRET, git, line_of, lock, shell, spec, unchanged
from report_readers import fingerprints, github_places, sarif_places
from running import Gen
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension

from generator.report.format import Format

SUFFIXES = {
    Format.TEXT: "txt",
    Format.JSON: "json",
    Format.MARKDOWN: "md",
    Format.GITHUB: "txt",
    Format.SARIF: "sarif",
    Format.RDJSONL: "jsonl",
    Format.CODEQUALITY: "json",
}


def history(name: str, gen: Gen) -> None:
    """Run the commands of a history that come before its report."""
    for step in transcript.read(HISTORIES / f"{name}.txt"):
        if step.command.startswith("gen "):
            return
        assert transcript.run(step, gen) == []


def as_file(snapshot: SnapshotAssertion, name: str, suffix: str) -> SnapshotAssertion:
    extension = type(name, (SingleFileSnapshotExtension,), {"file_extension": suffix})
    return snapshot.use_extension(extension)


def in_format(snapshot: SnapshotAssertion, form: Format) -> SnapshotAssertion:
    return as_file(snapshot, f"{form.title()}File", SUFFIXES[form])


@pytest.mark.parametrize("form", list(Format))
def test_drift_of_every_kind_in_every_format(
    reading_gen: Gen, form: Format, snapshot: SnapshotAssertion
) -> None:
    history("everything-at-once", reading_gen)
    report = transcript.stable(reading_gen("check", "--format", form).out)
    assert report.encode() == in_format(snapshot, form)


@pytest.mark.parametrize("form", list(Format))
def test_a_repository_without_drift_in_every_format(
    reading_gen: Gen, form: Format, snapshot: SnapshotAssertion
) -> None:
    report = transcript.stable(reading_gen("check", "--format", form).out)
    assert report.encode() == in_format(snapshot, form)


def test_a_patch_of_everything_is_reviewed_like_code(
    reading_gen: Gen, snapshot: SnapshotAssertion
) -> None:
    history("everything-at-once", reading_gen)
    patch = transcript.stable(reading_gen("diff").out)
    assert patch.encode() == as_file(snapshot, "Patch", "patch")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("check", "../empty"), id="check"),
        pytest.param(("diff", "../empty"), id="diff"),
        pytest.param(("site", "--all", "--out", "../empty"), id="site"),
    ],
)
def test_a_directory_without_generated_sites_is_an_error(
    reading_gen: Gen, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "empty").mkdir()
    result = reading_gen(*arguments)
    message = "../empty: has no generated site; generate one with: gen site SITE --out ../empty\n"
    assert (result.status, result.out, result.err) == (2, "", message)


@pytest.mark.parametrize("command", ["check", "diff"])
def test_a_file_in_place_of_the_directory_is_an_error(reading_gen: Gen, command: str) -> None:
    result = reading_gen(command, "site_specs/aster.yaml")
    message = "site_specs/aster.yaml: is not a directory\n"
    assert (result.status, result.out, result.err) == (2, "", message)


@pytest.mark.parametrize("command", ["check", "diff"])
def test_a_directory_that_has_files_but_not_their_specs_is_an_error(
    reading_gen: Gen, command: str
) -> None:
    result = reading_gen(command, "teams/a")
    assert result.status == 2
    message = (
        "its spec, ../../site_specs/cedar.yaml, is not below teams/a;"
        " name a directory that holds both"
    )
    assert message in result.out + result.err


SHA256 = "a" * 64
ACCEPTED = (
    "printf 'accepted:\\n  - { path: ssh/aster.conf, cause: edited, reason: a trial, until: %s,"
    f" sha256: {SHA256} }}\\n'"
)


@pytest.mark.parametrize(
    ("until", "problem"),
    [
        pytest.param("soon", "is not a date; write it as YYYY-MM-DD", id="a word"),
        pytest.param("86400", "is not a date; write it as YYYY-MM-DD", id="seconds since 1970"),
    ],
)
def test_accepted_drift_until_something_else_than_a_date_is_refused(
    reading_gen: Gen, until: str, problem: str
) -> None:
    shell(f"{ACCEPTED % until} > .gen/accepted.yaml")
    result = reading_gen("check")
    assert (result.status, result.out) == (
        2,
        f".gen/accepted.yaml:2: refused: accepted.0.until: {problem}\n",
    )


def test_a_list_of_accepted_drift_that_is_a_link_out_is_refused(reading_gen: Gen) -> None:
    shell(EDIT)
    shell(f"mkdir ../outside; {ACCEPTED % '2999-12-31'} > ../outside/accepted.yaml")
    shell("ln -s ../../outside/accepted.yaml .gen/accepted.yaml")
    result = reading_gen("check")
    assert result.status == 2
    assert ".gen/accepted.yaml:1: refused: is a link that leads out of .; remove it\n" in result.out


def test_from_above_the_repository_paths_begin_with_its_directory(
    reading_gen: Gen, monkeypatch: pytest.MonkeyPatch
) -> None:
    history("spec-changed", reading_gen)
    digest = hashlib.sha256(Path(".env.aster").read_bytes()).hexdigest()
    entry = (
        f"{{ path: .env.aster, cause: stale, reason: a trial, until: {date.today()},"
        f" sha256: {digest} }}"
    )
    shell(f"echo 'accepted: [ {entry} ]' > .gen/accepted.yaml")
    monkeypatch.chdir("..")
    findings = json.loads(reading_gen("check", "repo", "--format", "json").out)["findings"]
    assert sorted(map(itemgetter("file", "path", "level"), findings)) == [
        ("repo/.env.aster", "repo/site_specs/aster.yaml", "note"),
        ("repo/ssh/aster.conf", "repo/site_specs/aster.yaml", "error"),
        ("repo/teams/a/.env.cedar", "repo/site_specs/cedar.yaml", "error"),
    ]
    patch = reading_gen("diff", "repo").out
    assert ".env.aster" not in patch
    git("apply", "-", directory=Path("repo"), stdin=patch)
    assert reading_gen("diff", "repo").out == ""
    remaining = json.loads(reading_gen("check", "repo", "--format", "json").out)["findings"]
    [item] = remaining
    assert itemgetter("file", "rule", "level")(item) == ("repo/.env.aster", "stale", "note")


# Annotations: the file and the line that a reader should open.


def annotations(gen: Gen) -> list[tuple[str, int, str]]:
    return github_places(gen("check", "--format", "github").out)


def test_annotations_point_at_the_line_of_the_spec(reading_gen: Gen) -> None:
    history("spec-changed", reading_gen)
    assert set(annotations(reading_gen)) == {
        (str(spec("aster")), line_of(spec("aster"), "port: 2200"), "error"),
        (str(spec("cedar")), line_of(spec("cedar"), "partition: wide"), "error"),
    }


def test_annotations_point_at_the_line_that_was_edited(reading_gen: Gen) -> None:
    shell(EDIT)
    line = line_of(Path("ssh/aster.conf"), "# by hand")
    assert annotations(reading_gen) == [("ssh/aster.conf", line, "error")]


def test_annotations_of_line_ends_point_at_the_first_of_them(reading_gen: Gen) -> None:
    history("windows-line-ends", reading_gen)
    assert {line for _, line, _ in annotations(reading_gen)} == {1}


def test_a_site_of_the_catalogue_has_no_spec_to_point_at(
    writing_gen: Gen, reading_gen: Gen
) -> None:
    writing_gen("site", "mila", "--out", "teams/c")
    file, lock_file = Path("teams/c/ssh/mila.conf"), Path("teams/c/.gen/mila.lock")
    record = json.loads(lock_file.read_bytes())
    # A lock of an older release of the catalogue, and a file that this one would write.
    record["inputs"]["spec"]["key_digests"]["title"] = "0" * 12
    file.write_bytes(file.read_bytes() + b"# older\n")
    record["files"]["ssh/mila.conf"]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    lock_file.write_text(json.dumps(record))
    [finding] = json.loads(reading_gen("check", "--format", "json").out)["findings"]
    assert (finding["rule"], finding["path"], finding["key"]) == ("stale", str(file), "title")


def test_annotations_of_a_deleted_file_point_at_its_entry_in_the_lock(reading_gen: Gen) -> None:
    history("file-deleted", reading_gen)
    line = line_of(lock("cedar"), '".env.cedar": {')
    assert annotations(reading_gen) == [(str(lock("cedar")), line, "error")]


def test_annotations_point_at_the_lines_of_a_spec_with_faults(reading_gen: Gen) -> None:
    history("spec-with-faults", reading_gen)
    assert annotations(reading_gen) == [
        (str(spec("aster")), line_of(spec("aster"), "prot: 2222"), "error"),
        (str(spec("aster")), line_of(spec("aster"), "through: astre"), "error"),
    ]


@pytest.mark.parametrize("name", ["five-keys-changed", "spec-with-faults", "everything-at-once"])
def test_fingerprints_stay_when_lines_shift(reading_gen: Gen, name: str) -> None:
    history(name, reading_gen)
    # Code scanning opens a new alert for each new fingerprint, and closes the old one.
    before = reading_gen("check", "--format", "sarif").out
    shell("sed -i '1i # One line.\\n# And another.' site_specs/*.yaml .gen/accepted.yaml || true")
    after = reading_gen("check", "--format", "sarif").out
    assert sarif_places(before) != sarif_places(after)
    assert fingerprints(before) == fingerprints(after)


# Secrets that a user typed into a generated file.


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"SLURM_EDGE_NODE_PASSWORD={SECRET}", id="a password"),
        pytest.param(f'export GITHUB_TOKEN="{SECRET}"', id="a token with quotes"),
        pytest.param(
            f"DATABASE_URL=postgresql://ada:{SECRET}@db.example/jobs",
            id="a password in an address",
        ),
        pytest.param(
            f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----",
            id="a private key",
        ),
    ],
)
def test_no_command_shows_a_secret_in_a_generated_file(
    writing_gen: Gen, text: str, tmp_path: Path
) -> None:
    with Path(".env.aster").open("a") as file:
        file.write(f"{text}\n")
    with unchanged(tmp_path):
        checks = [writing_gen("check", "--format", form) for form in Format]
        diff = writing_gen("diff")
        preview = writing_gen("site", "--all", "--dry-run")
        refused = writing_gen("site", "--all")
    assert {check.status for check in checks} == {1}
    assert (diff.status, preview.status, refused.status) == (1, 0, 2)
    for result in (*checks, diff, preview, refused):
        assert SECRET not in result.out + result.err
    assert "********" in diff.out


def test_gen_diff_says_that_git_apply_refuses_a_patch_with_a_masked_line(reading_gen: Gen) -> None:
    shell(f"sed -i '5a\\SLURM_EDGE_NODE_PASSWORD={SECRET}' .env.aster")
    shell(EDIT)
    result = reading_gen("diff")
    assert "-SLURM_EDGE_NODE_PASSWORD=********\n" in result.out
    assert "-    # by hand\n" in result.out
    masked = (
        "a line that looks like a secret is masked, so git apply will refuse this file;"
        " gen site --all can write it"
    )
    assert result.err.startswith(f".env.aster: {masked}\n")
    assert "ssh/aster.conf" not in result.err
    git("apply", "-", stdin=result.out, status=1)


# Names that could forge a line of a report.

FORGED = "x\n\n# Approved by @octocat\nmila.yaml:1: trust: none"


def test_a_reason_of_several_lines_is_refused(reading_gen: Gen) -> None:
    reason = json.dumps(FORGED)
    entry = (
        f"{{ path: a, cause: edited, reason: {reason}, until: {date.today()}, sha256: {SHA256} }}"
    )
    Path(".gen/accepted.yaml").write_text(f"accepted: [ {entry} ]\n")
    assert reading_gen("check").status == 2


def test_the_name_of_a_directory_forges_no_line_of_a_report(reading_gen: Gen) -> None:
    Path("teams/a").rename(f"teams/{FORGED}")
    Path(f"teams/{FORGED}/.env.cedar").unlink()
    for line in reading_gen("check").out.splitlines():
        assert line.startswith("teams/")
    assert "\n# Approved" not in reading_gen("check", "--format", "markdown").out


@pytest.mark.parametrize(
    # Names with a meaning for git, a URI, a workflow command or a shell.
    "name",
    ["my lab", "ünï", 'a"b', "a\\b", "x b", "#1?a=b&c", "100%", "a,b:c"],
)
def test_every_format_and_the_patch_work_with_any_name_of_a_directory(
    reading_gen: Gen, name: str
) -> None:
    Path("teams/a").rename(f"teams/{name}")
    Path(f"teams/{name}/.env.cedar").unlink()
    Path(f"teams/{name}/ssh/dahlia.conf").chmod(0o755)
    for form in Format:
        assert reading_gen("check", "--format", form).status == 1
    git("apply", "-", stdin=reading_gen("diff").out)
    assert reading_gen("check").status == 0


# Locks.


def test_a_generated_file_that_no_lock_records_is_drift(reading_gen: Gen) -> None:
    Path(".gen/aster.lock").unlink()
    result = reading_gen("check")
    assert result.status == 1
    reason = "no lock records this file: it was copied here, or its lock is gone"
    assert f"ssh/aster.conf:1: orphaned: {reason}\n" in result.out


@pytest.mark.parametrize(
    "path", [".git/config", "README.md", "ssh/birch.conf", "../x", "/etc/passwd"]
)
def test_a_lock_that_names_a_foreign_file_is_refused(reading_gen: Gen, path: str) -> None:
    # Otherwise gen diff would show that file, and gen site would delete it.
    lock_file = lock("aster")
    record = json.loads(lock_file.read_text())
    record["files"][path] = {"sha256": "0" * 64, "mode": "0644"}
    lock_file.write_text(json.dumps(record))
    assert reading_gen("check").status == 2
    assert reading_gen("diff").status == 2
    assert reading_gen("site", "--all", "--force").status == 2
