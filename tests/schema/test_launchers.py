"""The launchers of a spec have the fields of the installed dagster-slurm, of the same kinds.

A field that dagster-slurm adds fails here, until a spec can set it or it is named below with the
reason.
"""

from itertools import product
from typing import Any, get_args

import pytest
from dagster_slurm import RayLauncher, SparkLauncher
from dagster_slurm.launchers.ray import RayPortConfig
from pydantic import BaseModel, ValidationError

from generator.schema.base import Fact
from generator.schema.launchers import Ray, RayPorts, Spark

PAIRS = [
    pytest.param(Ray, RayLauncher, id="Ray"),
    pytest.param(RayPorts, RayPortConfig, id="the ports of Ray"),
    pytest.param(Spark, SparkLauncher, id="Spark"),
]
LEFT_OUT = {"redis_password": "a secret, which the launcher makes for each cluster"}
# Every block of a spec may have these (source, checked, note); no launcher has them.
OURS = set(Fact.model_fields)

RAY: dict[str, Any] = {
    "num_gpus_per_node": 4,
    "ray_address": "10.0.0.1:6379",
    "dashboard_host": "127.0.0.1",
    "dashboard_port": 8266,
    "object_store_memory_gb": 64,
    "ray_start_args": ["--include-dashboard=false"],
    "ray_port": 6380,
    "grace_period": 10,
    "head_startup_timeout": 300,
    "worker_startup_delay": 0,
    "pre_start_commands": ["ulimit -n 65536"],
    "worker_cpu_bind": "cores",
    "use_head_ip": False,
    "port_strategy": "fixed",
    "network_interface": "ib0",
    "node_ip_address_command": "hostname -i",
}
PORTS: dict[str, Any] = {
    "range_start": 20000,
    "range_end": 39999,
    "block_size": 500,
    "lock_dir": "/scratch/locks",
    "node_manager_port": 7700,
    "object_manager_port": 7701,
    "redis_shard_port": 7702,
    "runtime_env_agent_port": 7703,
    "dashboard_agent_grpc_port": 7704,
    "dashboard_agent_listen_port": 7705,
    "metrics_export_port": 7706,
    "ray_client_server_port": 7707,
    "min_worker_port": 8300,
    "max_worker_port": 8999,
}
SPARK: dict[str, Any] = {
    "spark_home": "/sw/spark",
    "master_url": "spark://master:7077",
    "executor_memory": "8g",
    "executor_cores": 4,
    "driver_memory": "3g",
    "num_executors": 10,
}
FULL = [
    pytest.param(Ray, RayLauncher, RAY | {"port_config": PORTS}, id="Ray"),
    pytest.param(RayPorts, RayPortConfig, PORTS, id="the ports of Ray"),
    pytest.param(Spark, SparkLauncher, SPARK, id="Spark"),
]


@pytest.mark.parametrize(("model", "launcher_class"), PAIRS)
def test_a_spec_has_every_field_of_the_launcher_and_no_other(
    model: type[BaseModel], launcher_class: type[BaseModel]
) -> None:
    assert set(model.model_fields) - OURS == set(launcher_class.model_fields) - set(LEFT_OUT)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_field_that_specs_omit_still_exists_in_the_launcher(name: str) -> None:
    assert name in RayLauncher.model_fields


@pytest.mark.parametrize(("model", "launcher_class", "values"), FULL)
def test_a_full_spec_sets_every_field_to_something_else(
    model: type[BaseModel], launcher_class: type[BaseModel], values: dict[str, Any]
) -> None:
    # Otherwise the tests below would not show that a value arrives.
    assert set(values) == set(model.model_fields) - OURS
    defaults = launcher_class().model_dump()
    for name, value in values.items():
        assert value != defaults[name], name


@pytest.mark.parametrize(("model", "launcher_class", "values"), FULL)
def test_the_launcher_takes_the_values_of_a_full_spec(
    model: type[BaseModel], launcher_class: type[BaseModel], values: dict[str, Any]
) -> None:
    spec = model.model_validate(values).model_dump(mode="json", exclude_none=True, exclude=OURS)
    launcher = launcher_class(**spec)
    assert launcher.model_dump(include=set(values)) == values


@pytest.mark.parametrize("strategy", ["fixed", "hash_jobid", "random"])
def test_the_launcher_takes_the_ports_that_a_spec_has_when_it_names_none(strategy: str) -> None:
    spec = Ray.model_validate({"port_strategy": strategy, "port_config": {}})
    RayLauncher(**spec.model_dump(mode="json", exclude_none=True, exclude=OURS))


def test_ports_have_the_defaults_of_the_launcher() -> None:
    # Our rule about overlapping ports computes with the defaults.
    assert RayPorts().model_dump() == RayPortConfig().model_dump()


@pytest.mark.parametrize("model", [Ray, Spark])
def test_the_launcher_decides_where_a_spec_sets_nothing(model: type[BaseModel]) -> None:
    for name, value in model():
        if name not in OURS:
            assert value in (None, ())


@pytest.mark.parametrize(
    ("name", "values"),
    [
        pytest.param(
            "port_strategy",
            get_args(RayLauncher.model_fields["port_strategy"].annotation),
            id="strategies",
        ),
        pytest.param(
            "worker_cpu_bind", ["none", "cores", "sockets", "threads", "ldoms"], id="bindings"
        ),
        pytest.param("use_head_ip", [True, False], id="the address of the head"),
        pytest.param("worker_startup_delay", [0, 1], id="delays"),
        pytest.param("num_gpus_per_node", [0, 8], id="GPUs"),
    ],
)
def test_a_spec_can_set_each_value_that_the_launcher_accepts(
    name: str, values: list[object]
) -> None:
    for value in values:
        settings: dict[str, Any] = {name: value}
        Ray.model_validate(settings)
        RayLauncher(**settings)


@pytest.mark.parametrize(
    ("port_config", "message"),
    [
        pytest.param(
            {"range_end": 10998}, "smaller than one block", id="a range that holds no block"
        ),
        pytest.param(
            {"range_end": 9999}, "smaller than one block", id="a range that runs backwards"
        ),
        pytest.param(
            {"min_worker_port": 20000},
            "min_worker_port is above",
            id="workers' ports that run backwards",
        ),
        pytest.param(
            {"redis_shard_port": 6700}, "two services have the same port", id="a port twice"
        ),
        pytest.param(
            {"metrics_export_port": 10002},
            "one of the ports of the workers",
            id="a port of the workers'",
        ),
    ],
)
def test_ports_that_the_launcher_refuses_are_refused_in_the_spec(
    port_config: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        RayPorts.model_validate(port_config)
    with pytest.raises(ValidationError):
        # The launcher refuses only when a job starts, hours later perhaps. If it accepts the ports
        # one day, this line says that our check is too strict.
        RayLauncher(port_strategy="fixed", port_config=RayPortConfig(**port_config))


@pytest.mark.parametrize(("model", "name"), [*product([Ray], RAY), *product([Spark], SPARK)])
def test_a_value_of_another_type_is_refused_in_the_spec(model: type[BaseModel], name: str) -> None:
    with pytest.raises(ValidationError):
        model.model_validate({name: {"of": "another type"}})


@pytest.mark.parametrize("name", ["ray_port", "dashboard_port"])
def test_the_ports_of_the_head_are_no_ports_of_other_services(name: str) -> None:
    ports: dict[str, Any] = {"port_strategy": "fixed", name: 6700}
    with pytest.raises(ValidationError):
        RayLauncher(**ports)
    with pytest.raises(ValidationError):
        Ray.model_validate(ports)
