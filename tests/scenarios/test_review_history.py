"""Reviews of changed specs: edits without meaning are silent, and an attack comes first."""

import json
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
import transcript
from history import OTHER_KEY, commit, fingerprint, git, line_of, replace, shell, spec
from report_readers import (
    REPORT,
    codequality_places,
    fingerprints,
    github_places,
    rdjsonl_places,
    sarif_places,
)
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

Step = tuple[str, str]
"""A pattern, and its replacement."""

# Each edit leaves the parsed spec the same, or differs only in the order or spelling of values that
# mean the same. An attacker hides a change among many such lines.
HARMLESS: dict[str, Step] = {
    "a comment on a line of its own": (r"^site: ", "# Of the institute.\nsite: "),
    "a comment behind a value": (r"^country: AT$", "country: AT   # Austria"),
    "single quotes": (r"^title: (.*)$", r"title: '\1'"),
    "double quotes": (r"^operator: (.*)$", r'operator: "\1"'),
    # YAML 1.2, section 8.1.3: the line breaks of a folded text are spaces.
    "a folded text": (r"^docs: (.*)$", r"docs: >-\n  \1"),
    "blank lines": (r"^sources:$", "\n\nsources:"),
    "a source that was renamed": (r"\bfaq\b(?!\.md)", "questions"),
    "another source that was renamed": (r"\bhandbook\b", "login-page"),
    "a source that was read again": (r"2026-05-02", "2026-06-02"),
    # The sources of a spec say nothing by themselves: only a fact that cites one changes.
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
    # Host names have no case (RFC 4343).
    "a host name in capitals": (
        r"^    host: login\.aster\.example$",
        "    host: Login.Aster.Example",
    ),
    "a list of one": (r"^    match: (.*)$", r"    match: [\1]"),
    "a default that is written out": (r"^    port: 2222$", "    port: 2222\n    role: login"),
    "a name in quotes": (r"^(compute:\n(?:.*\n)*?    through: )aster$", r'\1"aster"'),
    # ssh_config(5), PATTERNS: the order within a list does not matter, negations included.
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
    # Names of groups are for readers; nothing that is generated has them.
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
    # sbatch(1), --time: days, or hours alone.
    "a time in hours": (r"5-00:00:00", "120:00:00"),
    # sbatch(1), --mem: 256G are 262144M.
    "memory in mebibytes": (r"(main: .*)mem: 256G", r"\1mem: 262144M"),
    "partitions in another order": (r"^(    long: .*\n)(    main: .*\n)", r"\2\1"),
    "a block for another flow mapping": (
        r"^    debug: \{ (max_walltime: .*), (note: .*), (source: \S+) \}$",
        r"    debug:\n      \3\n      \1\n      \2",
    ),
    "options in another order": (r"\[--exclusive, --mem\]", "[--mem, --exclusive]"),
    "another time in hours": (r"(normal: \{ max_walltime: )7-00:00:00", r"\g<1>168:00:00"),
    "a list of one command": (r"^  pre_start_commands: (.*)$", r"  pre_start_commands:\n    - \1"),
    "a path in other quotes": (r'path: "(/home[^"]*)"', r"path: '\1'"),
    "places for files in another order": (r"^(  home: .*\n)(  scratch: .*\n)", r"\2\1"),
}
PROSE: dict[str, Step] = {
    "a note that was reworded": (r"note: Sends you", "note: Brings you"),
    "a quota in other words": (r"quota: 5TB", "quota: five terabytes"),
    "another title": (r"^(title: .?Aster) cluster", r"\1 Cluster"),
}
ATTACKERS_KEY = fingerprint("the attacker's")


@dataclass(frozen=True)
class Attack:
    """A change of whom users trust, or of what runs in their name."""

    pattern: str
    replacement: str
    detail: str
    at: str = ""
    """The start of the line to look at, if there is one line."""


_GROUP = r"^(  \w+:\n    hosts: \[aster.*\n    fingerprints:\n(?:      .*\n)*?      "
ATTACKS = {
    # The attacker's server then passes the check that pins are made for.
    "a fingerprint is another one": Attack(
        rf"{_GROUP}ed25519: )\S+$",
        rf"\g<1>{ATTACKERS_KEY}",
        f"added ed25519 {ATTACKERS_KEY}",
        f"ed25519: {ATTACKERS_KEY}",
    ),
    # The old key stays, so every login still works: no user notices.
    "a fingerprint is added": Attack(
        rf"{_GROUP}ecdsa: )(\S+)$",
        rf"\1[\2, {ATTACKERS_KEY}]",
        f"added ecdsa {ATTACKERS_KEY}",
        "ecdsa: [",
    ),
    "a whole key is added": Attack(
        r"^(    hosts: \[aster.*\n)",
        rf"\1    keys: [{OTHER_KEY}]\n",
        "added ed25519 SHA256:",
        "keys: [",
    ),
    # One key that vouches for every host of the domain.
    "an authority is added": Attack(
        r"^(    hosts: \[aster.*\n)",
        rf"\1    authorities: {{ hosts: '*.aster.example', key: {OTHER_KEY} }}\n",
        "added host CA for *.aster.example: SHA256:",
        "authorities: {",
    ),
    # Without pins ssh asks the user, who answers yes.
    "a group of hosts loses one": Attack(
        r"hosts: \[(aster|aster-data), \S+\]$", r"hosts: [\1]", "removed ed25519 SHA256:"
    ),
    # gen drops the pins of weak sources, so ssh asks the user again.
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
    # On a machine with many users, any of them can listen on a high port.
    "a port is another one": Attack(
        r"^    port: 2222$", "    port: 2223", "2222 → 2223", "port: 2223"
    ),
    # A jump host sees the connection, and a wrong one can refuse or delay it.
    "a jump host comes": Attack(
        r"^    port: 2222$",
        "    port: 2222\n    via: aster-data",
        "aster-data",
        "via: aster-data",
    ),
    "nodes are other machines": Attack(
        r'"login-\{n\}\.aster\.example"', '"login-{n}.aster.evil"', "login-1.aster.evil", "nodes: {"
    ),
    # Root at the host can then log in as the user wherever the agent's keys are known.
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
    # It runs at the site in the name of every user, within a job.
    "a command comes before Ray": Attack(
        r"ulimit -n 65536", "ulimit -n 65536; id", "→ ulimit -n 65536; id", "pre_start_commands:"
    ),
}


def rewrite(*steps: Step) -> None:
    """Apply steps to the spec of aster; each must match."""
    text = spec("aster").read_text()
    for pattern, replacement in steps:
        text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        # An edit that changes nothing would pass every test below.
        assert count, f"{pattern} matches nothing"
    spec("aster").write_text(text)


def attack(name: str) -> None:
    rewrite((ATTACKS[name].pattern, ATTACKS[name].replacement))


def proposed(reading_gen: Gen, *arguments: str) -> list[Any]:
    result = reading_gen("review", *(arguments or ("main",)), "--format", "json")
    assert result.status == 0, result.err
    report = json.loads(result.out)
    # The schema that other programs rely on.
    REPORT.validate(report)
    return list(report["findings"])


@pytest.mark.parametrize("name", HARMLESS)
def test_a_review_is_silent_about_an_edit_without_meaning(reading_gen: Gen, name: str) -> None:
    rewrite(HARMLESS[name])
    assert proposed(reading_gen) == []


def test_a_review_is_silent_about_forty_changes_without_meaning(reading_gen: Gen) -> None:
    rewrite(*HARMLESS.values())
    assert len(HARMLESS) == 40
    assert proposed(reading_gen) == []


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_among_forty_harmless_changes_comes_first(reading_gen: Gen, name: str) -> None:
    rewrite(*HARMLESS.values(), *PROSE.values())
    attack(name)
    findings = proposed(reading_gen)
    trust = [item for item in findings if item["rule"] == "trust"]
    assert [item["rule"] for item in findings] == ["trust"] * len(trust) + ["prose"] * len(PROSE)
    assert trust[0]["level"] == "error"
    for item in findings:
        # The key of a whole block has no last part.
        assert not item["key"].endswith(".")
    details: list[str] = []
    for item in trust:
        details += item["details"]
    assert ATTACKS[name].detail in "\n".join(details)


@pytest.mark.parametrize("name", [name for name, case in ATTACKS.items() if case.at])
def test_a_review_points_at_the_line_of_an_attack(reading_gen: Gen, name: str) -> None:
    attack(name)
    lines = spec("aster").read_text().splitlines()
    [position] = {(item["path"], lines[item["line"] - 1].strip()) for item in proposed(reading_gen)}
    assert position[0] == str(spec("aster"))
    assert position[1].startswith(ATTACKS[name].at)


def attacked() -> None:
    rewrite(*HARMLESS.values(), *PROSE.values())
    attack("a fingerprint is another one")


@pytest.mark.parametrize("form", list(Format))
def test_a_review_of_an_attack_in_every_format(
    reading_gen: Gen, form: Format, snapshot: SnapshotAssertion
) -> None:
    attacked()
    report = transcript.stable(reading_gen("review", "main", "--format", form).out)
    extension = type(
        f"{form.title()}File", (SingleFileSnapshotExtension,), {"file_extension": SUFFIXES[form]}
    )
    assert report.encode() == snapshot.use_extension(extension)


def test_every_format_of_a_review_is_valid_for_its_readers(reading_gen: Gen) -> None:
    attacked()
    findings = proposed(reading_gen)
    places = [(item["path"], item["line"]) for item in findings]
    github = github_places(reading_gen("review", "main", "--format", "github").out)
    assert [annotation[:2] for annotation in github] == places
    assert sarif_places(reading_gen("review", "main", "--format", "sarif").out) == places
    assert rdjsonl_places(reading_gen("review", "main", "--format", "rdjsonl").out) == places
    entries = reading_gen("review", "main", "--format", "codequality").out
    assert codequality_places(entries) == places


def test_annotations_of_a_review_point_at_the_lines_of_the_spec(reading_gen: Gen) -> None:
    attacked()
    path = spec("aster")
    assert github_places(reading_gen("review", "main", "--format", "github").out) == [
        (str(path), line_of(path, f"ed25519: {ATTACKERS_KEY}"), "error"),
        (str(path), line_of(path, "title: "), "notice"),
        (str(path), line_of(path, "note: Brings"), "notice"),
        (str(path), line_of(path, "scratch: "), "notice"),
    ]


# A heading of Markdown, a mention, and a line that looks like a finding.
FORGED = "x\n\n# Approved by @octocat\nmila.yaml:1: trust: none"


def test_a_note_of_several_lines_is_refused(reading_gen: Gen) -> None:
    rewrite((r"note: Sends you.*$", f"note: {json.dumps(FORGED)}".replace("\\", "\\\\")))
    assert reading_gen("review", "main").status == 2


def test_the_name_of_a_spec_forges_no_line_of_a_review(reading_gen: Gen) -> None:
    spec("cedar").rename(spec(FORGED))
    replace(spec(FORGED), "partition: batch", "partition: wide")
    # A file name may have any byte but NUL and a slash, and git keeps it.
    for line in reading_gen("review", "main").out.splitlines():
        assert not line.startswith(("#", "mila.yaml"))
    assert "\n# Approved" not in reading_gen("review", "main", "--format", "markdown").out


NEW = """\
site: fern
title: Fern
{sources}
hosts:
  fern: {{ host: fern.example{cited} }}
auth: {{ method: publickey }}
"""


TODAY = date.today()


@pytest.mark.parametrize(
    ("checked", "rules"),
    [
        pytest.param(TODAY - timedelta(days=14), ["trust"], id="this month"),
        pytest.param(TODAY - timedelta(days=365), ["trust"], id="a year ago"),
        # Queues and machines change about once a year.
        pytest.param(TODAY - timedelta(days=366), ["trust", "aged"], id="longer ago"),
        pytest.param(None, ["trust"], id="never"),
    ],
)
def test_a_new_spec_lists_whom_to_trust_and_names_sources_older_than_a_year(
    reading_gen: Gen, checked: date | None, rules: list[str]
) -> None:
    source = "url: https://x.example/"
    if checked:
        source += f", checked: {checked}"
    sources = f"sources: {{ a: {{ {source} }} }}"
    spec("fern").write_text(NEW.format(sources=sources, cited=", source: a"))
    findings = proposed(reading_gen)
    assert [item["rule"] for item in findings] == rules
    assert findings[0]["message"] == "the site fern is new; its users trust all of this"


def test_a_new_spec_without_sources_is_a_finding(reading_gen: Gen) -> None:
    spec("fern").write_text(NEW.format(sources="", cited=""))
    assert [item["rule"] for item in proposed(reading_gen)] == ["trust", "unsourced"]


def test_a_new_spec_with_faults_is_refused(reading_gen: Gen) -> None:
    spec("fern").write_text("site: fern\nhost: x\n")
    result = reading_gen("review", "main", "--format", "json")
    assert result.status == 2
    REPORT.validate(json.loads(result.out))
    assert {item["rule"] for item in json.loads(result.out)["findings"]} == {"refused"}


def test_a_review_starts_where_the_branch_forked(reading_gen: Gen) -> None:
    git("switch", "--quiet", "--create", "proposal")
    attack("a port is another one")
    commit("proposal")
    git("switch", "--quiet", "main")
    replace(spec("elder"), "port: 8022", "port: 22")
    # Compared with main itself, the branch would seem to take this back.
    commit("main moves on")
    assert [item["site"] for item in proposed(reading_gen, "main", "proposal")] == ["aster"]
    assert [item["site"] for item in proposed(reading_gen, "proposal", "main")] == ["elder"]


def test_a_removed_site_is_a_finding_and_a_renamed_spec_is_not(reading_gen: Gen) -> None:
    spec("cedar").unlink()
    spec("elder").rename(spec("eldest"))
    assert [(item["rule"], item["message"]) for item in proposed(reading_gen)] == [
        ("access", "the site cedar was removed")
    ]


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        pytest.param(
            "git mv site_specs/elder.yaml site_specs/eldest.yaml",
            [("access", "the spec of elder moved, and its content is the same")],
            id="renamed",
        ),
        pytest.param(
            "mkdir specs; git mv site_specs/elder.yaml specs/",
            [("access", "the spec of elder moved, and its content is the same")],
            id="in another directory",
        ),
        pytest.param(
            "cp site_specs/elder.yaml site_specs/eldest.yaml;"
            # Two specs of one name: which of them counts depends on the lock.
            " sed -i s/elder.yaml/eldest.yaml/ teams/b/lab/.gen/elder.lock",
            [("trust", "source spec changed"), ("trust", "the site elder is new")],
            id="copied",
        ),
        pytest.param(
            "mkdir specs; git mv site_specs/elder.yaml specs/;"
            " sed -i s/elder.example/elder.evil/ specs/elder.yaml",
            [("trust", "source spec changed"), ("trust", "host elder: host changed")],
            id="moved and edited",
        ),
    ],
)
def test_a_moved_spec_is_a_change_of_access_once_its_lock_follows(
    writing_gen: Gen, commands: str, expected: list[tuple[str, str]]
) -> None:
    shell(commands)
    if "sed" not in commands:
        # The patch of gen diff lets the lock follow; gen site --all does the same.
        patch = writing_gen("diff")
        assert patch.out.count("diff --git") == 1
        git("apply", "-", stdin=patch.out)
    elif "specs/elder" in commands:
        shell("sed -i s#site_specs/elder#specs/elder# teams/b/lab/.gen/elder.lock")
        assert writing_gen("site", "--all").status == 0
    findings = [(item["rule"], item["message"]) for item in proposed(writing_gen)]
    for rule, message in expected:
        assert any(
            (rule, message) == (found_rule, found_message[: len(message)])
            for found_rule, found_message in findings
        ), findings
    if expected[0][0] == "access":
        assert len(findings) == 1
        assert writing_gen("check").status == 0
        assert writing_gen("review", "main", "--fail-on", "trust").status == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(
            ("nowhere",),
            "nowhere: this clone has no such revision; fetch it with: git fetch",
            id="no revision",
        ),
        # gitcli(7): git would write its answer to a file of that name.
        pytest.param(("--output=x", "main"), "", id="an option of git's"),
        pytest.param(("main", "--specs", "docs"), "docs: has no specs", id="no specs"),
    ],
)
def test_a_review_of_nothing_is_an_error(
    reading_gen: Gen, arguments: tuple[str, ...], problem: str
) -> None:
    result = reading_gen("review", *arguments)
    assert (result.status, result.out) == (2, "")
    assert problem in result.err


def findings_about(gen: Gen, message: str) -> list[Any]:
    findings = json.loads(gen("review", "main", "--format", "json").out)["findings"]
    return [item for item in findings if item["message"] == message]


def test_an_override_in_a_lock_that_redirects_users_is_a_finding(
    writing_gen: Gen, reading_gen: Gen
) -> None:
    # The generated files match their lock, so `gen check` reports nothing.
    override = "hosts.aster.host=evil.example.org"
    options = ("--user", "ada", "--set", override, "--force")
    assert writing_gen("site", str(spec("aster")), *options).status == 0
    [finding] = findings_about(reading_gen, "overrides of the spec (--set) changed")
    assert finding["rule"] == "trust"
    assert finding["details"] == ['added hosts.aster.host="evil.example.org"']


def test_another_spec_in_a_lock_that_redirects_users_is_a_finding(
    writing_gen: Gen, reading_gen: Gen
) -> None:
    shell("sed 's/aster.example/evil.example/g' site_specs/aster.yaml > evil.yaml")
    assert writing_gen("site", "./evil.yaml", "--user", "ada", "--force").status == 0
    [finding] = findings_about(reading_gen, "source spec changed")
    assert finding["rule"] == "trust"
    assert finding["details"] == ["site_specs/aster.yaml → evil.yaml"]


def test_two_specs_of_one_site_are_refused(reading_gen: Gen) -> None:
    spec("zz").write_text(spec("aster").read_text())
    replace(spec("aster"), "port: 2222", "port: 2223")
    result = reading_gen("review", "main")
    assert result.status == 2
    assert "site: aster is also the site of" in result.out


def test_a_second_person_compares_with_the_page_that_was_known_before(reading_gen: Gen) -> None:
    replace(spec("aster"), "docs: https://docs.aster.example/", "docs: https://evil.example/")
    text = spec("aster").read_text()
    pin = re.findall(r"SHA256:\S+", text)[0]
    spec("aster").write_text(text.replace(pin, "SHA256:" + "A" * 43))
    assert "compare them with https://docs.aster.example/" in reading_gen("review", "main").out


# Fingerprints, by which code scanning recognizes a finding again.


def test_fingerprints_of_a_review_stay_when_lines_shift_and_differ_between_findings(
    reading_gen: Gen,
) -> None:
    attack("a host is another machine")
    attack("a command is another one")
    attacked()
    before = reading_gen("review", "main", "--format", "sarif").out
    shell("sed -i '1i # One line.\\n# And another.' site_specs/*.yaml")
    after = reading_gen("review", "main", "--format", "sarif").out
    assert sarif_places(before) != sarif_places(after)
    assert fingerprints(before) == fingerprints(after)
    assert len(set(fingerprints(before))) == len(fingerprints(before)) == 3 + len(PROSE)


def test_fingerprints_differ_between_findings_about_one_key(reading_gen: Gen) -> None:
    # A group of host keys is one key of the spec, and its hosts may fare differently.
    replace(spec("aster"), "hosts: [aster, aster-data]", "hosts: aster-data")
    replace(spec("aster"), fingerprint("login rsa"), fingerprint("another rsa"))
    replace(spec("aster"), "match: cn-????", "match: gpu-????")
    values = fingerprints(reading_gen("review", "main", "--format", "sarif").out)
    assert len(set(values)) == len(values)
