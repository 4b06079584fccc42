"""Faults between fields are reported beside those of single values that do not cause them."""

import pytest

from generator.loading import validate, yaml_document
from generator.loading.validate import SpecError

GATE = "hosts: { gate: { host: gate.example.org } }"
KEY_TYPES = "must be 'ed25519', 'ecdsa', 'rsa', 'ed25519-sk' or 'ecdsa-sk'"
TOP = "site: hpc\ntitle: A cluster\nauth: { method: agent }\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            TOP + "hosts: { a: { host: a.example.org, via: gate },"
            " b: { host: b.example.org, port: x } }",
            [
                "hosts.a.via: the jump goes to gate, which is not a host or node of this site",
                "hosts.b.port: input should be a valid integer",
            ],
            id="a fault between fields, and one of a value",
        ),
        pytest.param(
            # gate is an entry, though a broken one: "not a host of this site" would be wrong.
            TOP + "hosts: { a: { host: a.example.org, via: gate }, gate: { port: 22 } }",
            ["hosts.gate.host: is missing"],
            id="a jump to a host that lacks its name",
        ),
        pytest.param(
            TOP + "hosts: { a: { host: a.example.org, via: gate }, gate: 5 }",
            ["hosts.gate: is not a mapping; write a mapping, such as { host: … }"],
            id="a jump to a host that is not a mapping",
        ),
        pytest.param(
            TOP + "compute: { nodes: { match: cn, through: gate } }",
            ["hosts: is missing"],
            id="a jump where all hosts are missing",
        ),
        pytest.param(
            TOP
            # A user fixes the source and not the fact that names it.
            + "hosts: { a: { host: a.example.org, source: doc } }\nsources: { doc: { ref: [] } }",
            ["sources.doc.ref: is not a text"],
            id="a source with a fault is a source all the same",
        ),
        pytest.param(
            TOP + "hosts: { a: { host: a.example.org, source: doc } }\nsources: { doc: 5 }",
            ["sources.doc: is not a mapping; write a mapping, such as { ref: … }"],
            id="a source that is not a mapping",
        ),
        *[
            pytest.param(
                f"site: hpc\ntitle: A cluster\n{GATE}\nauth: {value}",
                [f"auth: is not a mapping; write a mapping, such as {{ method: {method} }}"],
                id=f"auth is {value}",
            )
            for value, method in [
                ("agent", "agent"),
                ("password", "keyboard"),
                ("[agent]", "…"),
                ("x", "…"),
            ]
        ],
        pytest.param(
            TOP + "hosts: { a: { host: a.example.org, auth: step } }",
            ["hosts.a.auth: is not a mapping; write a mapping, such as { method: step }"],
            id="auth of a host is step",
        ),
        pytest.param(
            TOP + "hosts: x",
            ["hosts: is not a mapping; write a mapping, such as { NAME: … }"],
            id="a mapping whose keys are names",
        ),
        pytest.param(
            "site: hpc\ntitle: A cluster\n" + GATE + "\nslurm: { partition: cpu }\n"
            "auth: { method: step, ca_url: 5 }",
            [
                "auth.ca_fingerprint: is missing",
                'auth.ca_url: is not a text; put it in quotes: "5"',
                "auth.context: is missing",
                "slurm.partition: the site has no partition cpu",
            ],
            id="auth that lacks keys hides no fault of the queues",
        ),
        pytest.param(
            "site: hpc\ntitle: A cluster\n" + GATE + "\n"
            "auth: { method: publickey, max_keys: 0, key_types: [rsa, dsa, x] }",
            [
                f"auth.key_types.1: {KEY_TYPES}; did you mean ecdsa?",
                f"auth.key_types.2: {KEY_TYPES}",
                "auth.max_keys: input should be greater than or equal to 1",
            ],
            id="two faults in one list",
        ),
    ],
)
def test_the_faults_of_a_spec(text: str, expected: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        validate.spec(yaml_document.parse(text.encode(), "spec.yaml"), "spec.yaml")
    problems = [f"{problem.key}: {problem.message}" for problem in caught.value.problems]
    assert sorted(problems) == expected
