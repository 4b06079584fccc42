"""`gen show` prints every value of a spec, also of a field that `show` has no code for."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from full_spec import AUTHS, SPEC
from homes import spec

from generator.cli import show
from generator.schema.site import SiteSpec
from generator.ssh.keys import fingerprint

# Values that the full spec of tests/rigs leaves at their defaults, or that `gen show` prints as a
# sentence. Each number occurs nowhere else in the document, so that the search below finds it only
# where it is printed.
MORE: dict[str, Any] = {
    "multiplexing": "required",
    "compute_internet": False,
    "slurm": {
        "routed": True,
        "qos_required": True,
        "accounts": {"required": True, "source": "doc"},
        "nodes": 3,
        "devel": {"walltime": "00:07:00", "gpus_per_node": 5},
        "partitions": {
            "odd": {
                "purpose": "devel",
                "named": False,
                "cores_per_gpu": 11,
                "gpus_per_node": 6,
                "nodes": 1234,
                "min_nodes": 17,
                "max_nodes": 19,
                "max_node_minutes": 4321,
                "architecture": "aarch64",
                "allocation": "core",
                "accounts": ["these", "those"],
            }
        },
        "qos_limits": {
            "low": {
                "max_nodes": 23,
                "accounts": ["theirs"],
                "preemptible": True,
                "checked": "2026-01-09",
            }
        },
    },
    "filesystems": {"work": {"path": "/work", "purge_days": 29, "on_compute_nodes": "read-only"}},
    "compute": {
        "often": {"match": "c*", "host": "%h.often.example.org", "through": "login", "common": True}
    },
    "host_keys": {},
    "http_api": None,
}
DOCUMENTS = {
    method: SPEC | {"auth": auth | {"checked": "2026-01-08"}} for method, auth in AUTHS.items()
}
DOCUMENTS["the rest"] = SPEC | MORE | {"auth": AUTHS["agent"]}
# `gen show` prints these as sentences, which the last test compares.
SENTENCES = {
    *("multiplexing", "compute_internet", "routed", "qos_required", "required", "common"),
    *("key_in_home", "remote_editors"),
}


def leaves(value: object, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*keys, key))
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, keys)
    else:
        yield keys, value


@pytest.fixture
def shown(
    spec_file: Callable[[dict[str, Any]], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[[dict[str, Any]], str]:
    """Run gen show at a wide terminal."""

    def run(document: dict[str, Any]) -> str:
        # A wrapped value would not be found.
        monkeypatch.setenv("COLUMNS", "4000")
        assert show.run(str(spec_file(document)), None, as_json=False) == 0
        return capsys.readouterr().out

    return run


def as_shown(keys: tuple[str, ...], value: object) -> str:
    """Return the text that `gen show` prints for a value.

    It prints the name of a field for yes and no, and a fingerprint for a whole key.
    """
    if isinstance(value, bool):
        return keys[-1]
    text = str(value)
    key = re.fullmatch(r"(?:ssh|ecdsa)-\S+ \S+", text)
    return fingerprint(text) if key else text.replace("{n}", "[01-02]")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_value_of_a_spec_is_shown(name: str, shown: Callable[[dict[str, Any]], str]) -> None:
    document = DOCUMENTS[name]
    out = shown(document)
    site = SiteSpec.model_validate(document, strict=False)
    count, missing = 0, []
    for keys, value in leaves(site.model_dump(mode="json", exclude_defaults=True)):
        if keys[-1] in SENTENCES:
            continue
        count += 1
        text = as_shown(keys, value)
        # As a whole word: 5 is not shown by 1500.
        if not re.search(rf"(?<!\w){re.escape(text)}(?!\w)", out):
            missing.append((keys, text))
    assert missing == []
    # Otherwise the document was nearly empty, and the test compared nothing.
    assert count > 50


def test_a_site_that_allows_editors_on_login_nodes_has_no_rule(
    shown: Callable[[dict[str, Any]], str],
) -> None:
    document = SPEC | {"auth": AUTHS["agent"], "login_nodes": {"remote_editors": True}}
    assert "VS Code" not in shown(document)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        pytest.param(
            {"multiplexing": "required"},
            "sessions must share one connection",
            id="sharing required",
        ),
        pytest.param(
            {"multiplexing": "forbidden"},
            "one connection cannot carry several sessions",
            id="no sharing",
        ),
        pytest.param({"compute_internet": True}, "compute nodes reach the internet", id="internet"),
        pytest.param(
            {"compute_internet": False}, "compute nodes do not reach the internet", id="no internet"
        ),
        pytest.param({"slurm": {"routed": True}}, "jobs name no partition", id="routed"),
        pytest.param({"slurm": {"qos_required": True}}, "jobs must name a QoS", id="QoS"),
        pytest.param(
            {"slurm": {"accounts": {"required": True}}}, "jobs must name an account", id="account"
        ),
        pytest.param(
            {"slurm": {"accounts": {"required": False}}},
            "jobs need not name an account",
            id="no account",
        ),
        pytest.param(
            {"slurm": {"accounts": {"known": {"paygo": {}}}}},
            "known.paygo",
            id="no more than a name",
        ),
        pytest.param(
            {"compute": {"c": {"match": "c*", "through": "x", "common": True}}},
            "common: yes",
            id="common",
        ),
        pytest.param(
            {
                "auth": {"method": "publickey"},
                "compute": {"c": {"match": "c*", "through": "x", "key_in_home": True}},
            },
            "the nodes look for your public key in ~/.ssh/authorized_keys at the site",
            id="a key in the home directory",
        ),
        pytest.param(
            {"login_nodes": {"not_for": "training"}},
            "Login nodes\n  Login nodes are not for training.\n",
            id="login nodes",
        ),
        pytest.param(
            {"login_nodes": {"remote_editors": False}},
            "The remote server of an editor (VS Code) belongs on a compute node, not there.",
            id="editors without a job",
        ),
        pytest.param(
            {
                "login_nodes": {"remote_editors": False},
                "jobs": {"work": {"through": "x", "proxy": "a", "command": "b"}},
            },
            "The remote server of an editor (VS Code) belongs in a job (ssh work), not there.",
            id="editors in a job",
        ),
        pytest.param(
            # rich would turn both into markup; a spec comes from anybody.
            {"note": ":smile: [red]as written[/red]"},
            ":smile: [red]as written[/red]",
            id="no markup",
        ),
        pytest.param(
            {"status": {"note": "moves in May"}},
            "moves in May",
            id="a note on a site that is in use",
        ),
    ],
)
def test_a_switch_is_shown_as_a_sentence(
    parts: dict[str, Any], sentence: str, shown: Callable[[dict[str, Any]], str]
) -> None:
    usual = {
        "site": "x",
        "title": "X",
        "hosts": {"x": {"host": "x.example.org"}},
        "auth": {"method": "agent"},
    }
    assert sentence in shown(usual | parts)


def test_a_spec_of_the_current_directory_is_said_to_be_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("site_specs").mkdir()
    # A checkout may have a spec of the name of a shipped one.
    spec(Path("site_specs"), "mila")
    origin = "From the current directory: site_specs/mila.yaml\n"
    show.run("mila", None, as_json=False)
    assert capsys.readouterr().out.startswith(origin)
    # These the user names, or gen ships them.
    show.run("./site_specs/mila.yaml", None, as_json=False)
    show.run("mila", Path("site_specs"), as_json=False)
    show.run("musica", None, as_json=False)
    assert "From" not in capsys.readouterr().out
