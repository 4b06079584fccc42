"""The meta of fields: weight, label, unit and sentences, by the model or by a value of a spec."""

import json
from typing import Any

import pytest
from full_spec import AUTHS, SPEC
from pydantic import BaseModel

from generator.schema.auth import PublicKeyAuth, StepAuth
from generator.schema.hosts import Compute, Host
from generator.schema.meta import Leaf, Meta, Weight, leaves, meta
from generator.schema.site import SiteSpec
from generator.schema.slurm import Partition, Slurm


@pytest.mark.parametrize(
    ("model", "name", "expected"),
    [
        pytest.param(Partition, "cores", Meta(), id="none"),
        pytest.param(Host, "network", Meta(weight=Weight.PROSE, label="reached"), id="a field's"),
        pytest.param(Partition, "max_walltime", "unit of 90:00 is 5400", id="a type's"),
        pytest.param(Host, "host", "unit of LOGIN is login", id="a field's and its type's"),
        pytest.param(
            PublicKeyAuth, "key", Meta(weight=Weight.TRUST), id="a field that is inherited"
        ),
    ],
)
def test_the_meta_of_a_field(model: type[BaseModel], name: str, expected: Meta | str) -> None:
    actual = meta(model, name)
    if isinstance(expected, Meta):
        assert actual == expected
        return
    _, _, value, _, same = expected.split()
    assert actual.unit is not None
    assert str(actual.unit(value)) == same


@pytest.mark.parametrize(
    ("model", "name", "value", "equal_value"),
    [
        pytest.param(Partition, "max_walltime", "90:00", "01:30:00", id="walltimes"),
        pytest.param(StepAuth, "lifetime", "90m", "5400s", id="durations"),
        pytest.param(Partition, "mem", "4G", "4096", id="amounts of memory"),
        pytest.param(Host, "host", "HPC.example.org", "hpc.example.org", id="host names"),
        pytest.param(Compute, "match", ("a", "b"), ("b", "a"), id="lists whose order says nothing"),
    ],
)
def test_values_that_mean_the_same_have_the_same_unit(
    model: type[BaseModel], name: str, value: object, equal_value: object
) -> None:
    unit = meta(model, name).unit
    assert unit is not None
    assert unit(value) == unit(equal_value)


def test_the_order_of_qos_has_a_meaning() -> None:
    # The first is the default of a job.
    assert meta(Partition, "qos").unit is None


def full(auth: str) -> dict[str, Leaf]:
    """Return every value of the full spec by its keys."""
    document: dict[str, Any] = SPEC | {"auth": AUTHS[auth]}
    site = SiteSpec.model_validate_json(json.dumps(document))
    return {".".join(leaf.keys): leaf for leaf in leaves(site)}


@pytest.mark.parametrize(
    ("keys", "weight"),
    [
        pytest.param("site", Weight.ACCESS, id="the default"),
        pytest.param("title", Weight.PROSE, id="a field of the top"),
        pytest.param("auth.ca_url", Weight.TRUST, id="a block's"),
        pytest.param("auth.lifetime", Weight.ACCESS, id="a field's own before its block's"),
        pytest.param("auth.oidc.token_url", Weight.TRUST, id="a block's in a block"),
        pytest.param("auth.env_prefix", Weight.TUNING, id="tuning in a block of trust"),
        pytest.param("ray.pre_start_commands", Weight.TRUST, id="trust in a block of tuning"),
        pytest.param("ray.ray_port", Weight.TUNING, id="tuning"),
    ],
)
def test_a_value_has_the_weight_of_its_field_or_of_the_nearest_block(
    keys: str, weight: Weight
) -> None:
    assert full("step")[keys].meta.weight is weight


def test_a_name_that_a_user_chose_never_decides_the_weight() -> None:
    host = {"host": "hpc.example.org"}
    # `note` is also a key of prose; a lookup by the last key would let an attacker hide a host name
    # behind this alias.
    document = {"site": "x", "title": "X", "hosts": {"note": host}, "auth": {"method": "agent"}}
    site = SiteSpec.model_validate_json(json.dumps(document))
    weights = {".".join(leaf.keys): leaf.meta.weight for leaf in leaves(site)}
    assert weights["hosts.note.host"] is Weight.TRUST
    assert weights["hosts.note.note"] is Weight.PROSE


def test_the_leaves_are_the_values_of_the_spec_in_its_order() -> None:
    values = {keys: leaf.value for keys, leaf in full("publickey").items()}
    assert values["auth.key_types"] == ("ed25519",)
    assert list(values)[:2] == ["site", "title"]
    assert all(leaf.meta.weight for leaf in full("publickey").values())


@pytest.mark.parametrize(
    ("model", "name", "value", "sentence"),
    [
        pytest.param(Slurm, "routed", True, "jobs name no partition", id="a switch"),
        pytest.param(Slurm, "routed", False, None, id="a switch that needs no words"),
        pytest.param(
            SiteSpec,
            "multiplexing",
            "required",
            "sessions must share one connection",
            id="one of several words",
        ),
    ],
)
def test_a_value_may_have_a_sentence(
    model: type[BaseModel], name: str, value: object, sentence: str | None
) -> None:
    assert meta(model, name).sentences.get(value) == sentence
