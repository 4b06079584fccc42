"""The launchers of dagster-slurm at a site: the fields have the names of dagster-slurm."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from generator.schema.base import Fact, Model, Several
from generator.schema.meta import Meta, Weight
from generator.schema.text_types import Label, MasterUrl, Port, RemotePath, Seconds, Text


class RayPorts(Model):
    """Ports of the Ray clusters on one node (RayPortConfig of dagster-slurm)."""

    range_start: Port = 10000
    """First port of all blocks."""
    range_end: Port = 29999
    """Last port of all blocks."""
    # dagster-slurm takes sixteen ports of a block for services and needs one for workers.
    block_size: Annotated[int, Field(ge=17, le=65535)] = 1000
    """Number of ports for one Ray cluster: sixteen for services, the rest for workers."""
    # The default of dagster-slurm.
    lock_dir: Annotated[RemotePath, Meta(weight=Weight.TRUST)] = "/tmp/dagster-slurm-ray-ports"  # noqa: S108
    """Directory on the node where clusters reserve their blocks."""
    node_manager_port: Port = 6700
    """Fixed port of the node manager."""
    object_manager_port: Port = 6701
    """Fixed port of the object manager."""
    redis_shard_port: Port = 6702
    """Fixed port of the Redis shard."""
    runtime_env_agent_port: Port = 6703
    """Fixed port of the runtime environment agent."""
    dashboard_agent_grpc_port: Port = 6704
    """Fixed port of the dashboard agent (gRPC)."""
    dashboard_agent_listen_port: Port = 6705
    """Fixed port of the dashboard agent (HTTP)."""
    metrics_export_port: Port = 6706
    """Fixed port of the metrics export."""
    ray_client_server_port: Port = 10001
    """Fixed port of the Ray client server."""
    min_worker_port: Port = 10002
    """First port of the workers."""
    max_worker_port: Port = 19999
    """Last port of the workers."""

    @model_validator(mode="after")
    def _ports_fit(self) -> "RayPorts":
        if self.range_end - self.range_start + 1 < self.block_size:
            raise ValueError(
                f"the range {self.range_start}-{self.range_end} is smaller than"
                f" one block of {self.block_size} ports"
            )
        if self.min_worker_port > self.max_worker_port:
            raise ValueError("min_worker_port is above max_worker_port")
        self.refuse_clash()
        return self

    def refuse_clash(self, *others: int) -> None:
        """Refuse two services with one port, and a service with a port of the workers.

        `others` are ports of further services.

        Raises:
            ValueError: the launcher would refuse these ports too.
        """
        services = list(others)
        for name, port in self:
            # By name, so that a service that dagster-slurm adds later is checked too.
            if name.endswith("_port") and not name.endswith("worker_port"):
                services.append(port)
        if len(set(services)) < len(services):
            raise ValueError("two services have the same port")
        workers = range(self.min_worker_port, self.max_worker_port + 1)
        if any(port in workers for port in services):
            raise ValueError(
                "a service has one of the ports of the workers"
                f" ({self.min_worker_port}-{self.max_worker_port})"
            )


class Ray(Fact):
    """Settings of dagster-slurm's RayLauncher.

    A field that is left out keeps the default of the launcher.

    ``redis_password`` is not among them: it is a secret, and the launcher makes one for each
    cluster.
    """

    num_gpus_per_node: Annotated[int, Field(ge=0, le=1024)] | None = None
    """Number of GPUs that Ray uses on a node."""
    ray_address: Annotated[Text | None, Meta(weight=Weight.TRUST)] = None
    """Address of a running cluster to connect to, instead of starting one."""
    dashboard_host: Annotated[Text | None, Meta(weight=Weight.TRUST)] = None
    """Address that the dashboard listens on."""
    dashboard_port: Port | None = None
    """Port of the dashboard."""
    object_store_memory_gb: Annotated[int, Field(ge=1)] | None = None
    """Size of the object store, in GB."""
    ray_start_args: Annotated[Several[Text], Meta(weight=Weight.TRUST)] = ()
    """Further arguments of `ray start` on the head node."""
    ray_port: Port | None = None
    """Port of the head node (GCS)."""
    grace_period: Annotated[int, Field(ge=0, le=86400)] | None = None
    """Time limit of a shutdown, in seconds."""
    head_startup_timeout: Seconds | None = None
    """Time limit for the start of the head node, in seconds."""
    worker_startup_delay: Annotated[int, Field(ge=0, le=3600)] | None = None
    """Time between the starts of two workers, in seconds."""
    pre_start_commands: Annotated[Several[Text], Meta(weight=Weight.TRUST)] = ()
    """Shell commands to run before `ray start` (`ulimit -n 65536`)."""
    worker_cpu_bind: (
        Literal["omit", "none", "cores", "sockets", "threads", "ldoms", "rank_ldom", "boards"]
        | None
    ) = None
    """Value of `srun --cpu-bind` for workers; `omit` omits the option."""
    use_head_ip: bool | None = None
    """Use the IP address of the head node, not its name."""
    port_strategy: Literal["fixed", "hash_jobid", "random"] | None = None
    """Method by which a cluster chooses its ports."""
    port_config: RayPorts | None = None
    """Ports that a cluster may use."""
    network_interface: Label | None = None
    """Network interface of every node (`ib0`)."""
    node_ip_address_command: Annotated[Text | None, Meta(weight=Weight.TRUST)] = None
    """Shell command that prints the address of a node, if interface names differ."""

    @model_validator(mode="after")
    def _fixed_ports_differ(self) -> "Ray":
        if self.port_strategy == "fixed":
            ports = self.port_config or RayPorts()
            # 6379 and 8265 are the defaults of the launcher.
            ports.refuse_clash(self.ray_port or 6379, self.dashboard_port or 8265)
        return self


class Spark(Fact):
    """Settings of dagster-slurm's SparkLauncher.

    A field that is left out keeps the default of the launcher.
    """

    spark_home: Annotated[RemotePath | None, Meta(weight=Weight.TRUST)] = None
    """Directory of the Spark installation."""
    master_url: Annotated[MasterUrl | None, Meta(weight=Weight.TRUST)] = None
    """Address of a running cluster to connect to (`spark://host:7077`), instead of starting one."""
    executor_memory: Text | None = None
    """Memory of an executor (`4g`)."""
    executor_cores: Annotated[int, Field(ge=1)] | None = None
    """Number of cores of an executor."""
    driver_memory: Text | None = None
    """Memory of the driver (`2g`)."""
    num_executors: Annotated[int, Field(ge=1)] | None = None
    """Number of executors; by default as many as fit."""
