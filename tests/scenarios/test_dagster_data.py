"""Data between a project and a site over the shared connection, and secrets that stay at home."""

import json
from collections.abc import Iterator

import pytest
from deployment import Deployment
from deployment import deployment as deployed

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(900)]

ASSETS = '''\
"""A module of the user."""

import os
from pathlib import Path

import dagster as dg
import dagster_slurm as ds

from ..compute import PAYLOADS, Compute

DOTENV = PAYLOADS.parents[2] / ".env"
PAYLOAD = str(PAYLOADS / "table.py")


@dg.asset(io_manager_key="site_files")
def table(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult[None]:
    return compute.run(
        context, PAYLOAD, extra_env={"DATA_DIR": compute.data_dir}
    ).get_materialize_result()


@dg.asset(io_manager_key="site_files")
def size(table: Path) -> int:
    return len(table.read_bytes())


@dg.asset
def is_right(size: int) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"size": size})


@dg.asset
def is_too_large(compute: Compute) -> None:
    compute.fetch("table.bin", limit=1000)


@dg.asset
def has_a_token(context: dg.AssetExecutionContext, compute: Compute) -> None:
    compute.run(context, PAYLOAD, extra_env={"HF_TOKEN": "hf_1"})


@dg.asset
def uploads_a_dotenv(context: dg.AssetExecutionContext, compute: Compute) -> None:
    compute.run(context, PAYLOAD, extra_files=[str(DOTENV)])


@dg.asset
def runs_a_dotenv(context: dg.AssetExecutionContext, compute: Compute) -> None:
    link = PAYLOADS / "linked.py"
    link.unlink(missing_ok=True)
    link.symlink_to(DOTENV)
    compute.run(context, str(link))


@dg.asset
def exports_a_token(context: dg.AssetExecutionContext, compute_ray: Compute) -> None:
    export = f"export KEY={os.environ['WANDB_API_KEY']}"
    compute_ray.run(context, PAYLOAD, launcher=ds.RayLauncher(pre_start_commands=[export]))


@dg.asset(io_manager_key="site_files")
def is_a_dotenv() -> Path:
    return DOTENV
'''
PAYLOAD = """\
import os
from pathlib import Path
from dagster_pipes import open_dagster_pipes

file = Path(os.environ["DATA_DIR"], "table.bin")
file.parent.mkdir(parents=True)
file.write_bytes(bytes(range(256)) * 8000)
with open_dagster_pipes() as pipes:
    pipes.report_asset_materialization(metadata={"file": {"raw_value": str(file), "type": "path"}})
"""


SECRET = "correct-horse-battery"  # noqa: S105 - of the test


@pytest.fixture(scope="module")
def started_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("e2e"), ASSETS, {"table": PAYLOAD}) as deployment:
        yield deployment


def test_assets_here_get_the_files_of_payloads_and_leave_values_at_the_site(
    deployment: Deployment,
) -> None:
    data = deployment.rig.directory / "scratch"
    with deployment.project.setting(SLURM_DATA_PATH=str(data)):
        result = deployment.project.launch("table", "size", "is_right")
        assert result.returncode == 0, result.stdout
        assert f"fetching {data}/table.bin from localhost: 2.0 MB" in result.stdout
        assert json.loads((data / "assets" / "size").read_text()) == 2048000
        assert deployment.project.metadata("is_right")["size"] == 2048000
        result = deployment.project.launch("is_too_large")
    assert result.returncode == 1
    message = f"{data}/table.bin: has 2.0 MB, and the limit is 1,000 bytes: pass limit=2048000"
    assert message in result.stdout


@pytest.mark.parametrize(
    ("asset", "message"),
    [
        pytest.param("has_a_token", "extra_env['HF_TOKEN']: looks like a secret", id="a variable"),
        pytest.param(
            "uploads_a_dotenv", "/.env: looks like a secret; it is not uploaded", id="a file"
        ),
        pytest.param(
            "runs_a_dotenv", "/linked.py: looks like a secret; it is not uploaded", id="a link"
        ),
        pytest.param(
            "exports_a_token", ".sh: contains a secret; it is not uploaded", id="a script"
        ),
        pytest.param(
            "is_a_dotenv", "/.env: looks like a secret; it is not uploaded", id="an asset's file"
        ),
    ],
)
def test_a_secret_is_refused_before_a_job_is_submitted(
    deployment: Deployment, asset: str, message: str
) -> None:
    jobs_before = deployment.number_of_jobs()
    with deployment.project.setting(WANDB_API_KEY=SECRET):
        result = deployment.project.launch(asset)
    assert result.returncode == 1
    assert message in result.stdout
    assert deployment.number_of_jobs() == jobs_before
    at_the_site = [path for path in deployment.rig.directory.rglob("base/**/*") if path.is_file()]
    assert not any(SECRET.encode() in path.read_bytes() for path in at_the_site)
    assert SECRET not in result.stdout
