"""The regular expressions of a project: reasons of squeue(1) that do not end, names of secrets."""

import ast
import re

import pytest

from generator.compiler import scaffold


def expression(module: str, name: str) -> "re.Pattern[str]":
    """Return a regular expression of a module of the project, without an import of Dagster."""
    for node in ast.walk(ast.parse(scaffold.glue()[module])):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            assert isinstance(node.value, ast.Call)
            return re.compile(ast.literal_eval(node.value.args[0]))
    raise AssertionError(f"{module} has no {name}")


HOPELESS = expression("client.py", "HOPELESS")
SECRET_NAME = expression("secret_checks.py", "SECRET_NAME")


@pytest.mark.parametrize(
    "reason",
    [
        "QOSMaxWallDurationPerJobLimit",
        "QOSMaxGRESPerJob",
        "AssocMaxCpuPerJobLimit",
        "QOSMinGRES",
        "QOSNotAllowed",
        "AccountNotAllowed",
        "InvalidAccount",
        "InvalidQOS",
        "PartitionConfig",
        "PartitionTimeLimit",
        "PartitionNodeLimit",
        "BadConstraints",
        "MaxMemPerLimit",
        "DependencyNeverSatisfied",
        "ReservationDeleted",
        # Some versions print the sentence for the user instead of the name.
        "Job's_QOS_not_permitted_to_use_this_partition_(a_allows_b_not_c)",
    ],
)
def test_a_run_gives_up_for_a_reason_that_does_not_end_by_itself(reason: str) -> None:
    assert HOPELESS.search(reason)


@pytest.mark.parametrize(
    "reason",
    [
        "Resources",
        "Priority",
        "Dependency",
        "BeginTime",
        "Reservation",
        # Other jobs of the user or the group end, and then this one begins.
        "QOSMaxJobsPerUserLimit",
        "QOSMaxCpuPerUserLimit",
        "QOSGrpNodeLimit",
        "AssocGrpCpuLimit",
        "AssocMaxJobsLimit",
        "MaxGRESPerAccount",
        # Administrators or users end these, often within minutes.
        "ReqNodeNotAvail,_UnavailableNodes:node1",
        "PartitionDown",
        "PartitionInactive",
        "JobHeldUser",
        "Licenses",
        "Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved",
    ],
)
def test_a_run_waits_for_a_reason_that_ends(reason: str) -> None:
    assert not HOPELESS.search(reason)


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN",
        "GITHUB_TOKEN",
        "TOKEN",
        "PGPASSWORD",
        "DB_PASSWORD",
        "WANDB_API_KEY",
        "OPENAI_APIKEY",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "CLIENT_SECRET",
        "SSH_PRIVATE_KEY",
        "REGISTRY_CREDENTIALS",
        "MYSQL_PWD",
        "DB_PASS",
        "GITHUB_PAT",
        "KEY_PASSPHRASE",
    ],
)
def test_a_variable_of_this_name_holds_a_secret(name: str) -> None:
    assert SECRET_NAME.search(name)


@pytest.mark.parametrize(
    "name",
    [
        "DATA_DIR",
        "TOKENIZERS_PARALLELISM",
        "MAX_TOKENS",
        "KEYWORDS",
        "PWD",
        "BYPASS",
        # The name of a file is no secret.
        "RAY_AUTH_TOKEN_PATH",
        "AWS_SHARED_CREDENTIALS_FILE",
    ],
)
def test_a_variable_of_this_name_holds_no_secret(name: str) -> None:
    assert not SECRET_NAME.search(name)
