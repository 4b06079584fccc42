"""What a site changes in dagster-slurm's launchers: the fields are dagster-slurm's own, by the same names."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from generator.schema.base import Fact, Model, Several
from generator.schema.meta import Meta, Weight
from generator.schema.text_types import Label, MasterUrl, Port, RemotePath, Seconds, Text


class RayPorts(Model):
    """Ports that Ray clusters on one node share out (dagster-slurm's RayPortConfig)."""

    range_start: Port = 10000
    """First port of the blocks."""
    range_end: Port = 29999
    """Last port of the blocks."""
    block_size: Annotated[int, Field(ge=17, le=65535)] = 1000
    """Ports for one Ray cluster; sixteen are for services, the rest for workers."""
    lock_dir: RemotePath = "/tmp/dagster-slurm-ray-ports"  # noqa: S108 - dagster-slurm's own default
    """Folder on the node where clusters agree on blocks."""
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
    """Fixed port of the metrics."""
    ray_client_server_port: Port = 10001
    """Fixed port of the Ray client server."""
    min_worker_port: Port = 10002
    """First port of workers."""
    max_worker_port: Port = 19999
    """Last port of workers."""

    @model_validator(mode="after")
    def _ports_fit(self) -> "RayPorts":
        if self.range_end - self.range_start + 1 < self.block_size:
            raise ValueError(
                f"the range {self.range_start}-{self.range_end} is smaller than one block of {self.block_size}"
            )
        if self.min_worker_port > self.max_worker_port:
            raise ValueError("min_worker_port is above max_worker_port")
        self.refuse_clash()
        return self

    def refuse_clash(self, *others: int) -> None:
        """Refuse ports of services, and further ones, that are the same or are among the workers'.

        Raises:
            ValueError: as the launcher does.
        """
        fixed = [
            value
            for name, value in self
            if name.endswith("_port") and not name.endswith("worker_port")
        ]
        taken = [*fixed, *others]
        if len(set(taken)) < len(taken):
            raise ValueError("two services have the same port")
        if any(self.min_worker_port <= port <= self.max_worker_port for port in taken):
            raise ValueError(
                f"a service has a port of the workers' {self.min_worker_port}-{self.max_worker_port}"
            )


class Ray(Fact):
    """Overrides for dagster-slurm's RayLauncher; what is left out keeps the launcher's own default.

    ``redis_password`` is missing on purpose: it is a secret, and the launcher makes one for each cluster.
    """

    num_gpus_per_node: Annotated[int, Field(ge=0, le=1024)] | None = None
    """GPUs that Ray uses on a node."""
    ray_address: Annotated[Text | None, Meta(weight=Weight.TRUST)] = None
    """Cluster to connect to instead of starting one."""
    dashboard_host: Text | None = None
    """Address that the dashboard listens on."""
    dashboard_port: Port | None = None
    """Port of the dashboard."""
    object_store_memory_gb: Annotated[int, Field(ge=1)] | None = None
    """Size of the object store in GB."""
    ray_start_args: Annotated[Several[Text], Meta(weight=Weight.TRUST)] = ()
    """Further arguments of `ray start` on the head node."""
    ray_port: Port | None = None
    """Port of the head (GCS)."""
    grace_period: Annotated[int, Field(ge=0, le=86400)] | None = None
    """Seconds that a shutdown may take."""
    head_startup_timeout: Seconds | None = None
    """Seconds that the head may take to start."""
    worker_startup_delay: Annotated[int, Field(ge=0, le=3600)] | None = None
    """Seconds between the starts of two workers."""
    pre_start_commands: Annotated[Several[Text], Meta(weight=Weight.TRUST)] = ()
    """Shell commands before `ray start` (`ulimit -n 65536`)."""
    worker_cpu_bind: (
        Literal["omit", "none", "cores", "sockets", "threads", "ldoms", "rank_ldom", "boards"]
        | None
    ) = None
    """Value of `srun --cpu-bind` for workers; `omit` leaves the option out."""
    use_head_ip: bool | None = None
    """Use the head's address and not its name."""
    port_strategy: Literal["fixed", "hash_jobid", "random"] | None = None
    """How a cluster finds its ports."""
    port_config: RayPorts | None = None
    """The ports it may take."""
    network_interface: Label | None = None
    """Network interface of every node (`ib0`)."""
    node_ip_address_command: Annotated[Text | None, Meta(weight=Weight.TRUST)] = None
    """Shell command that prints a node's address, where interface names differ."""

    @model_validator(mode="after")
    def _fixed_ports_differ(self) -> "Ray":
        if self.port_strategy == "fixed":
            head = (self.ray_port or 6379, self.dashboard_port or 8265)  # the launcher's defaults
            (self.port_config or RayPorts()).refuse_clash(*head)
        return self


class Spark(Fact):
    """Overrides for dagster-slurm's SparkLauncher; what is left out keeps the launcher's own default."""

    spark_home: Annotated[RemotePath | None, Meta(weight=Weight.TRUST)] = None
    """Folder of the Spark installation."""
    master_url: Annotated[MasterUrl | None, Meta(weight=Weight.TRUST)] = None
    """Cluster to connect to instead of starting one (`spark://host:7077`)."""
    executor_memory: Text | None = None
    """Memory of an executor (`4g`)."""
    executor_cores: Annotated[int, Field(ge=1)] | None = None
    """Cores of an executor."""
    driver_memory: Text | None = None
    """Memory of the driver (`2g`)."""
    num_executors: Annotated[int, Field(ge=1)] | None = None
    """Number of executors; as many as fit when left out."""
