"""Changes of specs: the message and weight of each, and edits that change nothing."""

import copy
from collections.abc import Callable
from datetime import date
from io import BytesIO
from typing import Any

import pytest
from ruamel.yaml import YAML

from generator.loading import validate, yaml_document
from generator.report.finding import Finding
from generator.revisions.changes import SpecFile, spec_changes
from generator.ssh.keys import fingerprint

# The clock is passed, so that the age of a fact doesn't depend on the day the tests run.
TODAY = date(2026, 6, 15)
PIN = "SHA256:" + "A" * 43
OTHER = "SHA256:" + "A" * 42 + "E"
# A real public key: its fingerprint is computed.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDumqy+fbEwTOtyVlPGqzS/k4i/hJ8L+kUDf6MpWO1OI"
SPEC: dict[str, Any] = {
    "site": "hpc",
    "title": "A cluster",
    "docs": "https://hpc.example.org",
    "sources": {
        "docs": {"url": "https://hpc.example.org/ssh", "checked": "2026-06-01"},
        "mail": {"ref": "a letter", "checked": "2026-06-01", "weak": "not signed"},
    },
    "hosts": {
        "hpc": {"host": "login.example.org", "source": "docs", "keepalive": {"interval": 60}},
        "gate": {"host": "gate.example.org", "port": 2222},
    },
    "compute": {"nodes": {"match": ["cn-*", "gpu-*"], "through": "hpc"}},
    "jobs": {"hpc-job": {"through": "hpc", "proxy": "start-job", "command": "enter-job"}},
    "host_keys": {
        "all": {"hosts": ["hpc", "gate"], "fingerprints": {"ed25519": PIN}, "source": "docs"}
    },
    "auth": {
        "method": "step",
        "ca_url": "https://ca.example.org",
        "ca_fingerprint": "0" * 64,
        "context": "hpc",
        "lifetime": "16h",
    },
    "slurm": {
        "partition": "cpu",
        "walltime": "24:00:00",
        "mem": "4G",
        "partitions": {
            "cpu": {"qos": ["normal", "long"], "max_walltime": "2-00:00:00", "accounts": ["a", "b"]}
        },
    },
    "deployment": {"base_path": "/home/{user}"},
    "ray": {"dashboard_port": 8265, "pre_start_commands": "ulimit -n 65536"},
}
COMPARE_KEYS = (
    "host keys of hpc, gate changed;"
    " a second person should compare them with https://hpc.example.org"
)
Change = Callable[[dict[str, Any]], object]


def specs(data: dict[str, Any], path: str = "site_specs/hpc.yaml") -> dict[str, SpecFile]:
    stream = BytesIO()
    # typ="safe" would sort the keys, and some of these tests are about their order.
    YAML().dump(data, stream)
    root = yaml_document.parse(stream.getvalue(), path)
    return {data["site"]: SpecFile(path, root, validate.spec(root, path))}


def changes_after(change: Change) -> list[Finding]:
    changed_spec = copy.deepcopy(SPEC)
    change(changed_spec)
    return spec_changes(specs(SPEC), specs(changed_spec), TODAY)


def rules(findings: list[Finding]) -> list[str]:
    return [finding.rule for finding in findings]


def put(value: Any, *keys: str) -> Change:
    def change(data: dict[str, Any]) -> None:
        for key in keys[:-1]:
            data = data.setdefault(key, {})
        data[keys[-1]] = value

    return change


def rename(old_key: str, new_key: str, *keys: str) -> Change:
    def change(data: dict[str, Any]) -> None:
        for key in keys:
            data = data[key]
        data[new_key] = data.pop(old_key)

    return change


def reverse_order(data: dict[str, Any]) -> None:
    """Reverse the order of all mappings except the hosts, of which the first is the usual host."""
    for key in [*data][::-1]:
        data[key] = data.pop(key)
    for key, value in data.items():
        if isinstance(value, dict) and key != "hosts":
            reverse_order(value)


@pytest.mark.parametrize(
    ("change", "weight", "message", "details"),
    [
        pytest.param(
            put({"ed25519": OTHER}, "host_keys", "all", "fingerprints"),
            "trust",
            COMPARE_KEYS,
            (f"added ed25519 {OTHER}", f"removed ed25519 {PIN}"),
            id="a fingerprint",
        ),
        pytest.param(
            put([{"hosts": "*.example.org", "key": KEY}], "host_keys", "all", "authorities"),
            "trust",
            COMPARE_KEYS,
            (f"added host CA for *.example.org: {fingerprint(KEY)}",),
            id="a host CA",
        ),
        pytest.param(
            # The keys stay the same, but gen no longer pins them by default: ssh then asks the
            # user.
            put("mail", "host_keys", "all", "source"),
            "trust",
            "host keys of hpc: pinned changed",
            ("yes → only if a user accepts weak sources",),
            id="pins from a weak source",
        ),
        pytest.param(
            put("evil.example.org", "hosts", "hpc", "host"),
            "trust",
            "host hpc: host changed",
            ("login.example.org → evil.example.org",),
            id="a host name",
        ),
        pytest.param(
            put(22, "hosts", "gate", "port"),
            "trust",
            "host gate: port changed",
            ("2222 → 22",),
            id="a port",
        ),
        pytest.param(
            put("gate", "hosts", "hpc", "via"),
            "trust",
            "host hpc: via was added",
            ("gate",),
            id="a jump host",
        ),
        pytest.param(
            put(True, "hosts", "hpc", "forward_agent"),
            "trust",
            "host hpc: forward_agent changed",
            ("false → true",),
            id="the agent",
        ),
        pytest.param(
            put("https://ca.example.com", "auth", "ca_url"),
            "trust",
            "auth.ca_url changed",
            ("https://ca.example.org → https://ca.example.com",),
            id="a CA's address",
        ),
        pytest.param(
            put("1" * 64, "auth", "ca_fingerprint"),
            "trust",
            "auth.ca_fingerprint changed",
            (f"{'0' * 64} → {'1' * 64}",),
            id="a CA's fingerprint",
        ),
        pytest.param(
            # ssh runs `proxy` on the login host with the rights of the user.
            put("curl-job", "jobs", "hpc-job", "proxy"),
            "trust",
            "job hpc-job: proxy changed",
            ("start-job → curl-job",),
            id="a command that is run at a login",
        ),
        pytest.param(
            put("curl x", "ray", "pre_start_commands"),
            "trust",
            "ray.pre_start_commands changed",
            ("ulimit -n 65536 → curl x",),
            id="a command that is run in a job",
        ),
        pytest.param(
            put("gate", "compute", "nodes", "through"),
            "trust",
            "compute nodes cn-* gpu-*: through changed",
            ("hpc → gate",),
            id="the jump host of compute nodes",
        ),
        pytest.param(
            put({"host": "new.example.org"}, "hosts", "new"),
            "trust",
            "host new was added",
            (
                "host: new.example.org",
                "role: login",
                "port: 22",
                "user: {user}",
                "forward_agent: false",
            ),
            id="a host that is new",
        ),
        pytest.param(
            put("48:00:00", "slurm", "walltime"),
            "access",
            "queues: walltime changed",
            ("24:00:00 → 48:00:00",),
            id="a walltime",
        ),
        pytest.param(
            # The first QoS is the default of a job, so here the order has a meaning.
            put(["long", "normal"], "slurm", "partitions", "cpu", "qos"),
            "access",
            "partition cpu: qos changed",
            ("in another order: long, normal",),
            id="another QoS first",
        ),
        pytest.param(
            put(["a"], "slurm", "partitions", "cpu", "accounts"),
            "access",
            "partition cpu: accounts changed",
            ("removed b",),
            id="an account",
        ),
        pytest.param(
            put("/scratch/{user}", "deployment", "base_path"),
            "trust",
            "deployment.base_path changed",
            ("/home/{user} → /scratch/{user}",),
            id="a deployment path outside a home",
        ),
        pytest.param(
            put("/home/{user}/runs", "deployment", "base_path"),
            "access",
            "deployment.base_path changed",
            ("/home/{user} → /home/{user}/runs",),
            id="a deployment path in a home",
        ),
        pytest.param(
            put(8266, "ray", "dashboard_port"),
            "tuning",
            "ray.dashboard_port changed",
            ("8265 → 8266",),
            id="Ray",
        ),
        pytest.param(
            put({"interval": 30}, "hosts", "hpc", "keepalive"),
            "tuning",
            "host hpc: keepalive.interval changed",
            ("60 → 30",),
            id="keepalives",
        ),
        pytest.param(
            put("Our cluster", "title"),
            "prose",
            "title changed",
            ("A cluster → Our cluster",),
            id="a title",
        ),
        pytest.param(
            put("busy", "hosts", "hpc", "note"),
            "prose",
            "host hpc: note was added",
            ("busy",),
            id="a note of a host",
        ),
    ],
)
def test_a_change_has_a_weight_and_shows_both_values(
    change: Change, weight: str, message: str, details: tuple[str, ...]
) -> None:
    first = changes_after(change)[0]
    assert (first.rule, first.message, first.details) == (weight, message, details)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(reverse_order, id="another order"),
        pytest.param(
            rename("all", "logins", "host_keys"), id="a group of host keys by another name"
        ),
        pytest.param(
            rename("nodes", "workers", "compute"), id="a group of compute nodes by another name"
        ),
        pytest.param(
            put(["gpu-*", "cn-*"], "compute", "nodes", "match"), id="patterns in another order"
        ),
        pytest.param(
            put(["gate", "hpc"], "host_keys", "all", "hosts"), id="hosts of a key in another order"
        ),
        pytest.param(put("1-00:00:00", "slurm", "walltime"), id="a walltime in days"),
        pytest.param(put("4096M", "slurm", "mem"), id="memory in another unit"),
        # sbatch(1): the default unit of --mem is megabytes.
        pytest.param(put("4096", "slurm", "mem"), id="memory without a unit"),
        pytest.param(put("960m", "auth", "lifetime"), id="a lifetime in minutes"),
        pytest.param(
            put(["b", "a"], "slurm", "partitions", "cpu", "accounts"),
            id="accounts in another order",
        ),
        pytest.param(
            # DNS and ssh compare host names without regard to case.
            put("LOGIN.example.org", "hosts", "hpc", "host"),
            id="a host name in capitals",
        ),
        pytest.param(put(22, "hosts", "hpc", "port"), id="a default that is written down"),
        pytest.param(put("hpc", "compute", "nodes", "through"), id="the same"),
    ],
)
def test_an_edit_without_meaning_is_not_reported(change: Change) -> None:
    assert changes_after(change) == []


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        pytest.param("Closed in August.", "prose", id="none"),
        pytest.param("Hand in your key at https://hpc.evil.example/keys.", "trust", id="a page"),
        pytest.param("See www.evil.example.", "trust", id="a page without a scheme"),
        pytest.param("Send your password to help@evil.example.", "trust", id="an address of mail"),
        pytest.param("Ask @ the desk.", "prose", id="a sign alone"),
    ],
)
@pytest.mark.parametrize(
    "keys", [("note",), ("hosts", "hpc", "note"), ("hosts", "hpc", "network"), ("auth", "note")]
)
def test_a_text_with_an_address_is_trust_wherever_it_stands(
    keys: tuple[str, ...], text: str, weight: str
) -> None:
    [finding] = changes_after(put(text, *keys))
    assert finding.rule == weight


@pytest.mark.parametrize(
    ("before", "after", "weight"),
    [
        pytest.param("/home/{user}/a", "/users/{user}/a", "access", id="from a home to a home"),
        pytest.param("/home/{user}", "/home/mila/{initial}/{user}", "access", id="below a group"),
        pytest.param("/tmp/{user}", "/home/{user}", "trust", id="into a home"),
        pytest.param("/home/{user}", "/tmp/{user}", "trust", id="out of a home"),
        pytest.param("/home/{user}", "/home/shared", "trust", id="a home of others"),
        pytest.param("/home/{user}", "/home/{user}-shared", "trust", id="a home of a like name"),
        pytest.param("/home/{user}", "/home/{user}/../x", "trust", id="up again"),
        pytest.param("/home/{user}", "/project/home/{user}", "trust", id="home further below"),
    ],
)
def test_a_deployment_path_outside_a_home_is_trust(before: str, after: str, weight: str) -> None:
    base, head = copy.deepcopy(SPEC), copy.deepcopy(SPEC)
    put(before, "deployment", "base_path")(base)
    put(after, "deployment", "base_path")(head)
    assert rules(spec_changes(specs(base), specs(head), TODAY)) == [weight]


def test_a_renamed_source_is_not_reported() -> None:
    def change(data: dict[str, Any]) -> None:
        rename("docs", "pages", "sources")(data)
        data["hosts"]["hpc"]["source"] = data["host_keys"]["all"]["source"] = "pages"

    assert changes_after(change) == []


def test_another_host_first_is_another_usual_host() -> None:
    def change(data: dict[str, Any]) -> None:
        # gen and Dagster use the first host of a spec where the user names none.
        data["hosts"] = {"gate": data["hosts"]["gate"], "hpc": data["hosts"]["hpc"]}

    [finding] = changes_after(change)
    assert (finding.rule, finding.message, finding.details) == (
        "access",
        "usual host: alias changed",
        ("hpc → gate",),
    )


def test_a_whole_key_says_the_same_as_its_fingerprint() -> None:
    # The pin is the same, however it is written.
    before, after = copy.deepcopy(SPEC), copy.deepcopy(SPEC)
    del before["host_keys"]["all"]["fingerprints"]
    before["host_keys"]["all"]["keys"] = KEY
    after["host_keys"]["all"]["fingerprints"] = {"ed25519": fingerprint(KEY)}
    assert spec_changes(specs(before), specs(after), TODAY) == []


def test_a_revoked_key_that_comes_or_goes_is_trust() -> None:
    revoked_spec = copy.deepcopy(SPEC)
    revoked = {"reason": "published", "fingerprints": OTHER, "source": "docs"}
    revoked_spec["revoked_keys"] = {"leaked": revoked}
    for before, after, verb in ((SPEC, revoked_spec, "added"), (revoked_spec, SPEC, "removed")):
        changes = spec_changes(specs(before), specs(after), TODAY)
        weights = {change.message: change.rule for change in changes}
        assert weights[f"revoked_keys.leaked.fingerprints was {verb}"] == "trust"
        assert weights[f"revoked_keys.leaked.reason was {verb}"] == "trust"


def test_the_gravest_comes_first() -> None:
    def change(data: dict[str, Any]) -> None:
        data["title"] = "Our cluster"
        data["ray"]["dashboard_port"] = 8266
        data["slurm"]["walltime"] = "48:00:00"
        data["hosts"]["gate"]["port"] = 22

    assert rules(changes_after(change)) == ["trust", "access", "tuning", "prose"]


def test_a_finding_points_at_the_line_of_its_key() -> None:
    changed_spec = copy.deepcopy(SPEC)
    changed_spec["hosts"]["gate"]["port"] = 22
    sheets = specs(changed_spec)
    [finding] = spec_changes(specs(SPEC), sheets, TODAY)
    assert finding.line == sheets["hpc"].document.at("hosts.gate.port").line > 1
    assert (finding.path, finding.key) == ("site_specs/hpc.yaml", "hosts.gate.port")


def test_a_new_site_says_whom_its_people_trust() -> None:
    [finding] = spec_changes({}, specs(SPEC), TODAY)
    assert (finding.rule, finding.message) == (
        "trust",
        "the site hpc is new; its users trust all of this",
    )
    assert f"host keys of hpc: keys ed25519 {PIN}" in finding.details
    assert "site: auth.ca_url https://ca.example.org" in finding.details
    assert not [detail for detail in finding.details if "walltime" in detail]


def test_a_new_site_without_sources_is_a_finding() -> None:
    changed_spec = copy.deepcopy(SPEC)
    del changed_spec["sources"], changed_spec["host_keys"], changed_spec["hosts"]["hpc"]["source"]
    assert rules(spec_changes({}, specs(changed_spec), TODAY)) == ["trust", "unsourced"]


@pytest.mark.parametrize(
    ("day", "aged"),
    [
        pytest.param("2025-06-14", True, id="a year and a day"),
        pytest.param("2025-06-15", False, id="a year"),
    ],
)
def test_a_new_site_with_facts_older_than_a_year_is_a_finding(day: str, aged: bool) -> None:
    changed_spec = copy.deepcopy(SPEC)
    changed_spec["sources"]["docs"]["checked"] = day
    findings = {finding.rule: finding for finding in spec_changes({}, specs(changed_spec), TODAY)}
    assert ("aged" in findings) is aged
    if aged:
        assert findings["aged"].message == f"facts were last checked on {day}, more than a year ago"
        assert findings["aged"].details == ("hosts.hpc", "host_keys.all")


def test_a_fact_that_was_checked_later_than_its_source_is_not_old() -> None:
    changed_spec = copy.deepcopy(SPEC)
    changed_spec["sources"]["docs"]["checked"] = "2020-01-01"
    changed_spec["hosts"]["hpc"]["checked"] = "2026-06-01"
    changed_spec["host_keys"]["all"]["checked"] = "2026-06-01"
    assert rules(spec_changes({}, specs(changed_spec), TODAY)) == ["trust"]


def test_a_removed_site_is_a_finding() -> None:
    [finding] = spec_changes(specs(SPEC), {}, TODAY)
    assert (finding.rule, finding.message) == ("access", "the site hpc was removed")


def test_a_renamed_file_is_not_reported() -> None:
    assert spec_changes(specs(SPEC), specs(SPEC, "site_specs/moved.yaml"), TODAY) == []


def test_a_host_with_the_name_of_a_setting_keeps_the_weight_of_a_host() -> None:
    before, after = copy.deepcopy(SPEC), copy.deepcopy(SPEC)
    # `keepalive` as a setting only tunes. A weight that is looked up by the last key would let an
    # attacker hide a new host name behind such an alias.
    before["hosts"]["keepalive"] = {"host": "a.example.org"}
    after["hosts"]["keepalive"] = {"host": "b.example.org"}
    assert rules(spec_changes(specs(before), specs(after), TODAY)) == ["trust"]


def in_turn(groups: list[str]) -> dict[str, Any]:
    """Return a site whose groups of compute nodes stand in the given order."""
    # ssh takes the first group that matches a name: cn-001 is in the first two of these.
    all_groups = {
        "wide": {"match": "cn*", "through": "hpc"},
        "narrow": {"match": "cn-???", "through": "gate"},
        "other": {"match": "gn*", "through": "hpc"},
    }
    return SPEC | {"compute": {name: all_groups[name] for name in groups}}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(
            ["wide", "narrow"], ["narrow", "wide"], ["trust"], id="groups with a name in common"
        ),
        pytest.param(["wide", "other"], ["other", "wide"], [], id="groups with none"),
    ],
)
def test_the_order_of_groups_is_reported_where_it_decides_the_route(
    before: list[str], after: list[str], expected: list[str]
) -> None:
    findings = spec_changes(specs(in_turn(before)), specs(in_turn(after)), TODAY)
    assert rules(findings) == expected


def test_the_order_of_two_entries_for_one_host_is_reported() -> None:
    # `ssh x.example.org` uses the port of the entry that comes first.
    entries = {"a": {"host": "x.example.org"}, "b": {"host": "x.example.org", "port": 2222}}
    usual = {"hpc": SPEC["hosts"]["hpc"], "gate": SPEC["hosts"]["gate"]}
    before = SPEC | {"hosts": usual | entries}
    after = SPEC | {"hosts": usual | dict(reversed(entries.items()))}
    findings = spec_changes(specs(before), specs(after), TODAY)
    assert [finding.message for finding in findings] == ["order: hosts changed"]
