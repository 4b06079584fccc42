"""The output of Slurm's commands, of several versions and sites, is read or skipped."""

import pytest

from generator.probe.slurm_output import (
    NodeGroup,
    SitePartition,
    SlurmOutput,
    parse_queues,
    time_limit,
)

OLD = (
    "PartitionName=long AllowGroups=ALL AllowAccounts=ALL AllowQos=main,devel AllocNodes=ALL "
    "Default=YES QoS=N/A DefaultTime=00:30:00 DisableRootJobs=NO Hidden=NO MaxNodes=UNLIMITED "
    "MaxTime=2-00:00:00 MinNodes=0 Nodes=n[1-2] State=UP TotalCPUs=4 TotalNodes=2 "
    "DefMemPerNode=UNLIMITED MaxMemPerNode=4000"
)
# Of 23.11 and later; DenyQos replaces AllowQos.
NEW = (
    "PartitionName=gpu AllowGroups=ALL AllowAccounts=ALL DenyQos=devel,slow AllocNodes=ALL "
    "Default=NO QoS=gpu_limit DefaultTime=NONE ExclusiveUser=NO ExclusiveTopo=NO Hidden=NO "
    "MaxTime=UNLIMITED TRES=cpu=4,mem=8000M,gres/gpu=8"
)
# sinfo prints `16000+` for nodes of different sizes: the smallest, and a plus.
NODES = "long|2-00:00:00|8000|2|2|32|(null)\ngpu|infinite|16000+|1|2|24|gpu:a100:4(S:0-1)\n"


def partitions(output: SlurmOutput) -> dict[str, SitePartition]:
    """Return the partitions that the output describes."""
    return dict(parse_queues(output).partitions or {})


def test_partitions_are_read_from_scontrol_and_their_nodes_from_sinfo() -> None:
    output = SlurmOutput(nodes=NODES, partitions=f"{OLD}\n{NEW}\n", visible=OLD)
    assert partitions(output) == {
        "gpu": SitePartition(
            "gpu",
            visible=False,
            denied_qos=frozenset({"devel", "slow"}),
            own_qos="gpu_limit",
            nodes=(NodeGroup(16000, 1, 48, 4, "a100"),),
        ),
        "long": SitePartition(
            "long",
            default=True,
            max_walltime=172_800,
            default_walltime=1800,
            allowed_qos=frozenset({"main", "devel"}),
            max_mem=4000,
            nodes=(NodeGroup(8000, 2, 64),),
        ),
    }


def test_a_partition_allows_the_qos_that_it_lists_or_does_not_deny() -> None:
    listed = SitePartition("long", allowed_qos=frozenset({"main", "devel"}))
    assert [listed.allows(qos) for qos in ("main", "devel", "other")] == [True, True, False]
    denied = SitePartition("gpu", denied_qos=frozenset({"devel"}))
    assert [denied.allows(qos) for qos in ("main", "devel")] == [True, False]


@pytest.mark.parametrize(
    ("partition", "largest"),
    [
        pytest.param(SitePartition("p"), None, id="unknown"),
        pytest.param(
            SitePartition("p", nodes=(NodeGroup(8, 1, 1), NodeGroup(16, 1, 1))), 16, id="nodes"
        ),
        pytest.param(
            SitePartition("p", max_mem=4, nodes=(NodeGroup(8, 1, 1),)), 4, id="limit of a job"
        ),
    ],
)
def test_a_job_can_have_the_memory_of_the_largest_node(
    partition: SitePartition, largest: int | None
) -> None:
    assert partition.largest_memory == largest


def test_sinfo_alone_has_names_and_limits() -> None:
    nodes = "long|7-00:00:00|8000|2|2|32|(null)\ndown|1:00:00|0|0|0|0|\n"
    described = partitions(SlurmOutput(nodes=nodes))
    limits = {name: partition.max_walltime for name, partition in described.items()}
    assert limits == {"long": 604_800, "down": 3600}
    assert described["down"].nodes == ()


@pytest.mark.parametrize(
    ("gres", "gpus", "kind"),
    [
        ("(null)", 0, None),
        ("gpu", 1, None),
        ("gpu:4", 4, None),
        ("gpu:h100:8(S:0-7)", 8, "h100"),
        # Shards are parts of GPUs (gres.conf(5)), and no further ones.
        ("shard:16,gpu:nvidia_a100-sxm4-80gb:2", 2, "nvidia_a100-sxm4-80gb"),
        ("craynetwork:4", 0, None),
    ],
)
def test_gpus_are_read_from_gres(gres: str, gpus: int, kind: str | None) -> None:
    (nodes,) = partitions(SlurmOutput(nodes=f"p|infinite|1|1|1|1|{gres}"))["p"].nodes
    assert (nodes.gpus, nodes.gres) == (gpus, kind)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10:00", 600), ("00:10:00", 600), ("1-12:00:00", 129_600), ("365-00:00:00", 31_536_000)],
)
def test_a_time_limit_is_read_in_each_form(text: str, seconds: int) -> None:
    assert time_limit(text) == seconds


@pytest.mark.parametrize(
    "text", ["UNLIMITED", "INFINITE", "infinite", "NONE", "n/a", "", "(null)", "soon"]
)
def test_other_text_is_not_a_time_limit(text: str) -> None:
    assert time_limit(text) is None


def test_the_qos_are_those_of_the_user_on_this_cluster() -> None:
    # sacctmgr prints a QoS that an association adds to those of its parent with a plus.
    assoc = "here|main,+devel|main\nhere||\nthere|other|other\n"
    output = SlurmOutput(cluster="here", qos="main|\ndevel|00:10:00\n\nodd line\n", assoc=assoc)
    queues = parse_queues(output)
    assert queues.qos == {"main": None, "devel": 600}
    assert queues.user_qos == frozenset({"main", "devel"})
    assert queues.default_qos == "main"
