"""The descriptions of keys in the JSON schema, which are the docstrings of the fields."""

import subprocess
import sys
from typing import Any

from generator.schema.auth import StepAuth
from generator.schema.descriptions import descriptions, json_schema
from generator.schema.hosts import Host
from generator.schema.slurm import Slurm


def test_a_field_is_described_by_its_docstring() -> None:
    assert descriptions(Host)["port"] == "TCP port."


def test_an_inherited_field_is_described_by_the_docstring_of_its_parent() -> None:
    assert descriptions(StepAuth)["key"] == descriptions(StepAuth.__mro__[1])["key"]
    assert descriptions(Slurm)["walltime"] == "Time limit (`--time`)."


def test_every_key_of_the_schema_has_a_type_and_a_description() -> None:
    schema = json_schema()
    models: dict[str, Any] = {"SiteSpec": schema, **schema["$defs"]}
    without = []
    for model, definition in models.items():
        for key, value in definition.get("properties", {}).items():
            if "description" not in value and key != "method":
                without.append(f"{model}.{key}")
    assert without == []


def test_importing_the_models_builds_no_validator_and_reads_no_source() -> None:
    # Both made every command slower: the validators of all models are built by the first one that
    # is used.
    code = (
        "import sys; from generator.schema.site import SiteSpec;"
        "print(SiteSpec.__pydantic_complete__, 'generator.schema.descriptions' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert result.stdout == "False False\n"
