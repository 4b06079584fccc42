"""Requests by purpose: the compiler makes them from a spec, and a project refuses others."""

import importlib
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import pytest
from catalogue_sites import SLURM_SITES
from depth import sample

from generator import resources
from generator.compiler.account import Account
from generator.compiler.emitters import dagster_project
from generator.compiler.job_requests import requests
from generator.loading import validate, yaml_document
from generator.loading.overrides import change
from generator.schema.profile import SiteProfile
from generator.schema.project import Project

TEMPLATE = resources.PROJECT / "{{cookiecutter.__slug}}/src/{{cookiecutter.__package}}"


@cache
def facts(name: str, *changes: str) -> dict[str, Any]:
    """Return the content of a site's file in a project."""
    path = resources.CATALOGUE / f"{name}.yaml"
    root = yaml_document.parse(path.read_bytes(), str(path))
    # Changes of real specs, as --set makes them: a spec of the tests' own would drift from those.
    site = validate.spec(root, str(path), [change(text) for text in changes])
    account = Account(site, SiteProfile())
    [artifact] = dagster_project.emit(account, Project(PurePosixPath(), "p"))
    return tomllib.loads(artifact.content.decode())


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return the module of the project that makes and checks requests."""
    directory = tmp_path_factory.mktemp("project")
    # The modules of the template have no placeholder.
    shutil.copytree(TEMPLATE, directory / "asking")
    sys.path.insert(0, str(directory))
    yield importlib.import_module("asking.requests")
    sys.path.remove(str(directory))


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    # The environment of whoever runs the tests may be that of a project.
    for name in ("ACCOUNT", "PARTITION", "QOS", "RESERVATION"):
        monkeypatch.delenv(f"SLURM_{name}", raising=False)


@pytest.mark.parametrize(
    ("name", "purpose", "expected"),
    [
        pytest.param(
            "musica",
            "gpu",
            {
                "partition": "zen4_0768_h100x4",
                "qos": "zen4_0768_h100x4",
                "time_limit": "00:30:00",
                "gpus_per_node": 1,
                "cpus_per_gpu": 48,
                "mem_per_gpu": "172G",
            },
            id="a share of the node for each GPU",
        ),
        pytest.param(
            "musica",
            "gpu-devel",
            {
                "partition": "zen4_0768_h100x4",
                "qos": "dev_zen4_0768_h100x4",
                "time_limit": "00:10:00",
                "gpus_per_node": 1,
                "cpus_per_gpu": 48,
                "mem_per_gpu": "172G",
            },
            id="a QoS for development, whose limit shortens the job",
        ),
        pytest.param(
            "vsc5",
            "gpu-a40",
            {
                "partition": "zen2_0256_a40x2",
                "qos": "zen2_0256_a40x2",
                "time_limit": "00:30:00",
                "gpus_per_node": 1,
            },
            id="a model of GPU",
        ),
        pytest.param(
            "cscs-daint",
            "gpu",
            # The node is charged as a whole, so a job with one GPU would waste three.
            {"partition": "normal", "time_limit": "00:30:00", "gpus_per_node": 4},
            id="all GPUs of a node that is charged as a whole",
        ),
        pytest.param(
            "mila",
            "gpu",
            {"partition": "long", "time_limit": "00:30:00", "gpus_per_node": 1},
            id="GPUs that no partition names",
        ),
        pytest.param(
            # Slurm picks the partition there by the resources and the time limit.
            "fir",
            "gpu",
            {"time_limit": "00:30:00", "gpus_per_node": 1},
            id="a routed site",
        ),
        pytest.param(
            "ubelix",
            "devel",
            {
                "partition": "epyc2",
                "qos": "job_debug",
                "time_limit": "00:20:00",
                "account": "gratis",
            },
            id="the account of the site",
        ),
    ],
)
def test_a_purpose_is_complete(name: str, purpose: str, expected: dict[str, Any]) -> None:
    assert facts(name)["requests"][purpose] == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(("slurm.cpus=8",), {"cpus": 8, "mem_per_gpu": "172G"}, id="CPUs of the spec"),
        pytest.param(("slurm.mem=64G",), {"mem": "64G", "cpus_per_gpu": 48}, id="memory of it"),
        pytest.param(
            ('slurm.forbidden_options=["--mem"]',),
            # Empty, and not left out: dagster-slurm has a default for memory.
            {"mem": "", "cpus_per_gpu": 48},
            id="no memory in requests",
        ),
        pytest.param(
            ("slurm.partitions.zen4_0768_h100x4.gres=h100",),
            {"gres": "h100", "cpus_per_gpu": 48, "mem_per_gpu": "172G"},
            id="a type of GPU",
        ),
    ],
)
def test_a_spec_says_more_of_a_gpu_job(changes: tuple[str, ...], expected: dict[str, Any]) -> None:
    queue = {"partition", "qos", "time_limit", "gpus_per_node"}
    request = facts("musica", *changes)["requests"]["gpu"]
    assert {key: request[key] for key in request.keys() - queue} == expected


def test_a_signal_and_a_longer_walltime_reach_a_request() -> None:
    request = facts("mila", "slurm.signal=B:TERM@120", "slurm.walltime=02:00:00")["requests"]
    expected = {"partition": "long", "time_limit": "02:00:00", "signal_before_timeout": "TERM@120"}
    assert request["default"] == expected


@pytest.mark.parametrize("name", SLURM_SITES)
def test_every_site_has_a_default_with_a_time_limit(name: str) -> None:
    # A project must not know the partitions of a site to ask for a job.
    site = validate.site(resources.CATALOGUE / f"{name}.yaml")
    for request in requests(site.slurm).values():
        assert request["time_limit"]
    assert next(iter(requests(site.slurm))) == "default"


@pytest.mark.parametrize("name", sample(SLURM_SITES, 30))
def test_a_site_allows_its_own_requests(
    name: str, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = facts(name)
    # Sites that dagster-slurm cannot reach by itself (a browser at each login).
    if "impossible" in site:
        return
    if "SLURM_ACCOUNT" in site["needs"]:
        monkeypatch.setenv("SLURM_ACCOUNT", "p12345")
    if "SLURM_QOS" in site["needs"]:
        monkeypatch.setenv("SLURM_QOS", next(iter(site["partitions"].values()))["qos"][0])
    for purpose in site["requests"]:
        assert module.job(site, purpose, {}, {}, staging=False)


HOW_TO = (
    "ascii-supply-networks/dagster-slurm:docs/docs/how-to/hpc-musica.md"
    "@ccd2f6bca81b1b1eee0e83fda6dc8675db81c6c4, 2026-08-08"
)
SYSTEMS = "https://docs.asc.ac.at/systems/musica.html"
# The messages name the limit and its source, so that a user can look it up.
H100 = "the partition zen4_0768_h100x4"
DEV = "the QoS dev_zen4_0768"
INTERACTIVE = "slurm.qos_limits.zen4_0768_h100x4.purpose=interactive"


@pytest.mark.parametrize(
    ("changes", "purpose", "asked", "reason"),
    [
        pytest.param(
            (),
            "devel",
            {"walltime": "2:00:00"},
            f"walltime=2:00:00: {DEV} allows 00:10:00 ({HOW_TO})",
            id="walltime over the QoS",
        ),
        pytest.param(
            ("slurm.partitions.zen4_0768_h100x4.max_walltime=3-00:00:00",),
            "gpu",
            # sbatch(1), --time: days, then hours.
            {"walltime": "4-0"},
            f"walltime=4-0: {H100} allows 3-00:00:00 ({HOW_TO}; {SYSTEMS})",
            id="walltime over the partition",
        ),
        pytest.param(
            ("slurm.partitions.zen4_0768_h100x4.min_walltime=00:15:00",),
            "gpu",
            {"walltime": "10"},
            f"walltime=10: {H100} starts at 00:15:00 ({HOW_TO}; {SYSTEMS})",
            id="walltime under the partition",
        ),
        pytest.param(
            (),
            "default",
            {"walltime": "soon"},
            "walltime=soon: is not a time limit of Slurm (90, 1:30:00, 2-12)",
            id="no walltime",
        ),
        pytest.param(
            (),
            "gpu",
            {"gpus": 8},
            f"gpus=8: a node of {H100} has 4 ({HOW_TO}; {SYSTEMS})",
            id="more GPUs than a node has",
        ),
        pytest.param(
            (INTERACTIVE, "slurm.qos_limits.dev_zen4_0768_h100x4.purpose=interactive"),
            "gpu",
            {},
            f"the QoS zen4_0768_h100x4 is for interactive jobs only ({HOW_TO})",
            id="a QoS for interactive jobs",
        ),
        pytest.param(
            ("slurm.accounts.required=true",),
            "default",
            {},
            f"account: a job must name one; set SLURM_ACCOUNT in .env ({HOW_TO})",
            id="no account",
        ),
        pytest.param(
            (),
            "gpu",
            {"mem": "1T"},
            f"mem=1T: a node of {H100} has 768G ({HOW_TO}; {SYSTEMS})",
            id="more memory than a node has",
        ),
        pytest.param(
            (),
            "gpu",
            {"mem": "much"},
            "mem=much: is not an amount of memory (64G, 4096M)",
            id="no memory",
        ),
        pytest.param(
            (),
            "gpu",
            {"cpus": 193},
            f"cpus=193: a node of {H100} has 192 ({HOW_TO}; {SYSTEMS})",
            id="more CPUs than a node has",
        ),
        pytest.param(
            ("slurm.qos_limits.dev_zen4_0768.max_nodes=2",),
            "devel",
            {"nodes": 3},
            f"nodes=3: {DEV} allows 2 ({HOW_TO})",
            id="more nodes than the QoS allows",
        ),
        pytest.param(
            ('slurm.forbidden_options=["--mem"]',),
            "gpu",
            {"mem": "8G"},
            f"mem=8G: the site refuses --mem ({HOW_TO})",
            id="an option that the site refuses",
        ),
        pytest.param(
            ("slurm.partitions.zen4_0768_h100x4.max_node_minutes=90",),
            "gpu",
            {"nodes": 4},
            f"nodes=4, walltime=00:30:00: {H100} allows 90 minutes × nodes ({HOW_TO}; {SYSTEMS})",
            id="too large a product",
        ),
    ],
)
def test_what_a_site_does_not_allow_is_refused_with_the_limit_and_its_source(
    changes: tuple[str, ...], purpose: str, asked: dict[str, Any], reason: str, module: Any
) -> None:
    with pytest.raises(module.RequestError, match=re.escape(reason) + "$"):
        module.job(facts("musica", *changes), purpose, asked, {}, staging=False)


FRONTIER = "12:00:00 for min_nodes=184, 06:00:00 for min_nodes=92 max_nodes=183"
DEBUG = "01:00:00 for max_nodes=2, 02:00:00 for max_gpus=1, 00:30:00 for max_gpus=8"


@pytest.mark.parametrize(
    ("name", "purpose", "asked", "reason"),
    [
        pytest.param(
            "olcf-frontier",
            "default",
            {"nodes": 91, "walltime": "2:00:01"},
            f"nodes=91, walltime=2:00:01: the partition batch allows {FRONTIER}",
            id="a small job",
        ),
        pytest.param(
            "olcf-frontier", "default", {"nodes": 91, "walltime": "2:00:00"}, None, id="its limit"
        ),
        pytest.param(
            "olcf-frontier",
            "default",
            {"nodes": 183, "walltime": "12:00:00"},
            f"nodes=183, walltime=12:00:00: the partition batch allows {FRONTIER}",
            id="a middle-sized job",
        ),
        pytest.param(
            "olcf-frontier",
            "default",
            {"nodes": 184, "walltime": "12:00:00"},
            None,
            id="a large job, which may run longest",
        ),
        pytest.param(
            "trillium",
            "devel",
            {"walltime": "2:00:00"},
            f"nodes=1, walltime=2:00:00: the partition debug allows {DEBUG}",
            id="a job without GPUs has no limit that counts them",
        ),
        pytest.param(
            "trillium",
            "devel",
            {"gpus": 1, "walltime": "2:00:00"},
            None,
            id="the longest limit of a job counts",
        ),
        pytest.param(
            "trillium",
            "devel",
            {"nodes": 3, "gpus": 4, "walltime": "0:10:00"},
            f"nodes=3, gpus=4, walltime=0:10:00: the partition debug allows {DEBUG}",
            id="a job that is larger than any limit",
        ),
    ],
)
def test_a_walltime_may_depend_on_the_size_of_a_job(
    name: str,
    purpose: str,
    asked: dict[str, Any],
    reason: str | None,
    module: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLURM_ACCOUNT", "p12345")
    site = facts(name)
    if reason is None:
        assert module.job(site, purpose, asked, {}, staging=False)
        return
    with pytest.raises(module.RequestError) as error:
        module.job(site, purpose, asked, {}, staging=False)
    [line] = str(error.value).splitlines()[1:]
    assert line.strip().startswith(reason)
    # The source is at the end, so that a user can look the limit up.
    assert re.search(r" \(\S+, 20[0-9-]+\)$", line)


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        pytest.param(
            # .env of another site, or a variable that is exported in a shell.
            {"SLURM_PARTITION": "long"},
            "partition=long: the site has zen4_0768, zen4_0768_h100x4",
            id="the partition of another site",
        ),
        pytest.param(
            {"SLURM_QOS": "normal"},
            f"qos=normal: {H100} has zen4_0768_h100x4, dev_zen4_0768_h100x4 ({HOW_TO}; {SYSTEMS})",
            id="the QoS of another site",
        ),
        pytest.param(
            {"SLURM_QOS": "normal"},
            "qos=normal: no partition of the site has it",
            id="a QoS that no partition pairs with",
        ),
    ],
)
def test_the_queue_of_another_site_in_the_environment_is_refused(
    variables: dict[str, str], reason: str, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(module.RequestError, match=re.escape(reason)):
        module.job(facts("musica"), "default", {}, {}, staging=False)


def test_a_variable_chooses_another_queue_of_the_site_for_jobs_without_a_purpose(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The variable is for jobs in general; a purpose names a kind of node, so it wins.
    monkeypatch.setenv("SLURM_PARTITION", "zen4_0768")
    usual = module.job(facts("musica"), "default", {"walltime": "5"}, {}, staging=False)
    assert (usual["partition"], usual["qos"]) == ("zen4_0768", "dev_zen4_0768")
    gpu = module.job(facts("musica"), "gpu", {}, {}, staging=False)
    assert gpu["partition"] == "zen4_0768_h100x4"


@pytest.mark.parametrize(
    ("purpose", "expected"),
    [
        pytest.param("default", "zen4_0768", id="the request for development"),
        pytest.param("gpu", "zen4_0768_h100x4", id="the one with GPUs"),
    ],
)
def test_staging_takes_the_queue_for_development(purpose: str, expected: str, module: Any) -> None:
    job = module.job(facts("musica"), purpose, {}, {}, staging=True)
    assert (job["partition"], job["qos"]) == (expected, f"dev_{expected}")


def test_a_job_with_more_gpus_gets_their_cpus_and_memory(module: Any) -> None:
    job = module.job(facts("musica"), "gpu", {"gpus": 2, "walltime": "2:00:00"}, {}, staging=False)
    assert job == {
        "partition": "zen4_0768_h100x4",
        "qos": "zen4_0768_h100x4",
        "time_limit": "2:00:00",
        "nodes": 1,
        "cpus_per_task": 96,
        "gpus_per_node": 2,
        "account": None,
        "reservation": None,
        "signal_before_timeout": None,
        "mem": "344G",
        "mem_per_cpu": None,
    }
    one = facts("musica", "slurm.partitions.zen4_0768_h100x4.gres=h100")
    assert module.job(one, "gpu", {}, {}, staging=False)["gpus_per_node"] == "h100:1"
