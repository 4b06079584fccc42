"""The project loads on every machine, and names everything that a deployment needs."""

import os
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from {{ cookiecutter.__package }} import compute
from {{ cookiecutter.__package }}.compute import DEPLOYMENTS, Compute, resources
from {{ cookiecutter.__package }}.definitions import defs
from {{ cookiecutter.__package }}.defs.corpus import corpus
from {{ cookiecutter.__package }}.login import Login
from {{ cookiecutter.__package }}.requests import RequestError, job, seconds
from {{ cookiecutter.__package }}.site import facts, names

Enter = Callable[[str, str], None]

REMOTE = [name for name in DEPLOYMENTS if name != "development"]
POSSIBLE = [name for name in names() if "impossible" not in facts(name)]


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Unset all variables, and use an empty home and working directory."""
    for name in os.environ:
        if name.startswith(("SLURM_", "CI_", "DAGSTER_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Enter:
    """Return a function that sets everything that a deployment at a site may need."""
    (tmp_path / "key").touch()

    def enter(site: str, deployment: str) -> None:
        monkeypatch.setenv("DAGSTER_DEPLOYMENT", deployment)
        monkeypatch.setenv("SLURM_SUPERCOMPUTER_SITE", site)
        monkeypatch.setenv("SLURM_EDGE_NODE_USER", "ada")
        monkeypatch.setenv("SLURM_EDGE_NODE_HOST", "login.example.org")
        monkeypatch.setenv("SLURM_EDGE_NODE_KEY_PATH", "~/key")
        if "SLURM_ACCOUNT" in facts(site)["needs"]:
            monkeypatch.setenv("SLURM_ACCOUNT", "p12345")
        if "SLURM_QOS" in facts(site)["needs"]:
            monkeypatch.setenv("SLURM_QOS", next(iter(facts(site)["partitions"].values()))["qos"][0])
        monkeypatch.setenv("CI_DEPLOYED_ENVIRONMENT_PATH", "/environment")
        if "login_nodes" in facts(site):
            monkeypatch.delenv("SLURM_EDGE_NODE_HOST")

    return enter


def test_everything_loads_with_nothing_set() -> None:
    assert defs().get_repository_def().get_all_jobs()


def test_an_asset_runs_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "DATA", tmp_path / "data")
    result = dg.materialize([corpus], resources=resources())
    assert result.success
    # The last messages of the payload arrive too, however soon it ends.
    [materialization] = result.asset_materializations_for_node("corpus")
    assert materialization.metadata["modules"].value
    assert (tmp_path / "data" / "corpus.csv").read_text().startswith("module,bytes\n")


@pytest.mark.parametrize("site", POSSIBLE)
@pytest.mark.parametrize("deployment", REMOTE)
def test_every_site_loads_in_every_deployment(site: str, deployment: str, at: Enter) -> None:
    at(site, deployment)
    for resource in resources().values():
        assert isinstance(resource, Compute)
        assert resource.slurm


@pytest.mark.parametrize("site", names())
@pytest.mark.parametrize("name", ["SLURM_EDGE_NODE_USER", "CI_DEPLOYED_ENVIRONMENT_PATH"])
def test_an_error_names_a_missing_variable(site: str, name: str, at: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    at(site, "production_supercomputer")
    monkeypatch.delenv(name)
    with pytest.raises(ValueError, match=name):
        resources()


@pytest.mark.parametrize("site", POSSIBLE)
def test_staging_without_an_environment_needs_pixi(site: str, at: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    at(site, "staging_supercomputer")
    monkeypatch.delenv("CI_DEPLOYED_ENVIRONMENT_PATH")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="pixi, which packs the environment"):
        resources()


@pytest.mark.parametrize("site", POSSIBLE)
def test_the_login_node_of_another_site_is_refused(site: str, at: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    at(site, "production_supercomputer")
    if "login_nodes" not in facts(site):
        pytest.skip("the host of the site depends on the user")
    monkeypatch.setenv("SLURM_EDGE_NODE_HOST", "elsewhere.example.org")
    with pytest.raises(ValueError, match="elsewhere.example.org, which is not a login node of this site"):
        resources()


@pytest.mark.parametrize("site", POSSIBLE)
def test_the_directory_at_a_site_has_your_name(site: str, at: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    at(site, "production_supercomputer")
    slurm = resources()["compute"].slurm
    template = facts(site).get("deployment", {}).get("base_path", "")
    assert slurm and ("ada" in (slurm.remote_base or "")) == ("{user}" in template)
    monkeypatch.setenv("SLURM_DEPLOYMENT_BASE_PATH", "/elsewhere")
    slurm = resources()["compute"].slurm
    assert slurm and slurm.remote_base == "/elsewhere"


@pytest.mark.parametrize("site", POSSIBLE)
def test_a_variable_of_one_site_wins_there(site: str, at: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    at(site, "production_supercomputer")
    monkeypatch.setenv(f"SLURM_EDGE_NODE_USER_{site.upper().replace('-', '_')}", "grace")
    monkeypatch.setenv("SLURM_EDGE_NODE_USER_ELSEWHERE", "nobody")
    slurm = resources()["compute"].slurm
    assert slurm and slurm.ssh.user == "grace"


@pytest.mark.parametrize("name", ["DAGSTER_DEPLOYMENT", "SLURM_SUPERCOMPUTER_SITE"])
def test_an_error_names_an_unknown_value(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "nowhere")
    with pytest.raises(ValueError, match=f"{name}=nowhere: "):
        resources()


@pytest.mark.parametrize("site", POSSIBLE[:1])
def test_a_run_prepares_its_login(site: str, at: Enter) -> None:
    """Dagster creates resources again for each run, and would lose a provider that was only set."""
    at(site, "production_supercomputer")

    @dg.asset
    def probe(compute: Compute) -> None:
        assert compute.slurm and isinstance(compute.slurm._auth_provider, Login)

    assert dg.materialize([probe], resources=resources()).success


@pytest.mark.parametrize("site", POSSIBLE)
def test_a_site_allows_each_of_its_own_requests(site: str, at: Enter) -> None:
    at(site, "production_supercomputer")
    for purpose in facts(site)["requests"]:
        assert job(facts(site), purpose, {}, {}, staging=False)["time_limit"]


@pytest.mark.parametrize("site", POSSIBLE)
def test_a_purpose_that_a_site_does_not_have_is_refused(site: str) -> None:
    with pytest.raises(RequestError, match="request='tea': .* has default"):
        job(facts(site), "tea", {}, {}, staging=False)


@pytest.mark.parametrize(
    ("walltime", "expected"),
    [("90", 5400), ("1:30", 90), ("00:10:00", 600), ("2-00", 172800), ("1-01:30", 91800), ("1-00:00:05", 86405)],
)
def test_walltimes(walltime: str, expected: int) -> None:
    assert seconds(walltime) == expected
