"""What Slurm's commands print, of several versions and sites: each line is understood or passed over."""

import pytest

from generator.probe.remote_script import answer, script
from generator.probe.slurm_output import Nodes, Printed, limit, queues

OLD = (
    "PartitionName=long AllowGroups=ALL AllowAccounts=ALL AllowQos=main,devel AllocNodes=ALL Default=YES QoS=N/A "
    "DefaultTime=00:30:00 DisableRootJobs=NO Hidden=NO MaxNodes=UNLIMITED MaxTime=2-00:00:00 MinNodes=0 Nodes=n[1-2] "
    "State=UP TotalCPUs=4 TotalNodes=2 DefMemPerNode=UNLIMITED MaxMemPerNode=4000"
)
# Of 23.11 and later; DenyQos stands where AllowQos would.
NEW = (
    "PartitionName=gpu AllowGroups=ALL AllowAccounts=ALL DenyQos=devel,slow AllocNodes=ALL Default=NO QoS=gpu_limit "
    "DefaultTime=NONE ExclusiveUser=NO ExclusiveTopo=NO Hidden=NO MaxTime=UNLIMITED TRES=cpu=4,mem=8000M,gres/gpu=8"
)


def test_partitions_are_read_from_scontrol_and_their_nodes_from_sinfo() -> None:
    nodes = "long|2-00:00:00|8000|2|2|32|(null)\ngpu|infinite|16000+|1|2|24|gpu:a100:4(S:0-1)\n"
    found = queues(Printed(nodes=nodes, partitions=f"{OLD}\n{NEW}\n", visible=OLD)).partitions
    assert found is not None
    long, gpu = found["long"], found["gpu"]
    assert (long.default, long.max_walltime, long.default_walltime, long.visible) == (
        True,
        172_800,
        1800,
        True,
    )
    assert (long.nodes, long.largest) == ((Nodes(8000, 2, 64),), 4000)
    assert [long.allows(qos) for qos in ("main", "devel", "other")] == [True, True, False]
    assert (gpu.default, gpu.max_walltime, gpu.default_walltime, gpu.visible) == (
        False,
        None,
        None,
        False,
    )
    assert (gpu.nodes, gpu.largest, gpu.own_qos) == (
        (Nodes(16000, 1, 48, 4, "a100"),),
        16000,
        "gpu_limit",
    )
    assert [gpu.allows(qos) for qos in ("main", "devel", "slow")] == [True, False, False]


def test_sinfo_alone_tells_names_and_limits() -> None:
    found = queues(
        Printed(nodes="long|7-00:00:00|8000|2|2|32|(null)\ndown|1:00:00|0|0|0|0|\n")
    ).partitions
    assert found is not None
    assert {name: one.max_walltime for name, one in found.items()} == {
        "long": 604_800,
        "down": 3600,
    }
    assert found["down"].nodes == ()


@pytest.mark.parametrize(
    ("gres", "gpus", "kind"),
    [
        ("(null)", 0, None),
        ("gpu", 1, None),
        ("gpu:4", 4, None),
        ("gpu:h100:8(S:0-7)", 8, "h100"),
        ("shard:16,gpu:nvidia_a100-sxm4-80gb:2", 2, "nvidia_a100-sxm4-80gb"),
        ("craynetwork:4", 0, None),
    ],
)
def test_gpus_are_read_from_gres(gres: str, gpus: int, kind: str | None) -> None:
    found = queues(Printed(nodes=f"p|infinite|1|1|1|1|{gres}")).partitions
    assert found is not None
    assert (found["p"].nodes[0].gpus, found["p"].nodes[0].gres) == (gpus, kind)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(
            (text, None)
            for text in ("UNLIMITED", "INFINITE", "infinite", "NONE", "n/a", "", "(null)", "soon")
        ),
        *(("10:00", 600), ("00:10:00", 600), ("1-12:00:00", 129_600), ("365-00:00:00", 31_536_000)),
    ],
)
def test_a_time_limit_is_read_in_each_form(text: str, seconds: int | None) -> None:
    assert limit(text) == seconds


def test_qos_are_those_of_the_person_on_this_cluster() -> None:
    assoc = "here|main,+devel|main\nhere||\nthere|other|other\n"
    found = queues(Printed(cluster="here", qos="main|\ndevel|00:10:00\n\nodd line\n", assoc=assoc))
    assert (found.qos, found.usable_qos, found.default_qos) == (
        {"main": None, "devel": 600},
        frozenset({"main", "devel"}),
        "main",
    )


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("sinfo: not found", id="no such command"),
        pytest.param(
            "slurm_load_partitions: Unable to contact slurm controller (connect failure)",
            id="no controller",
        ),
        pytest.param("Access/permission denied", id="not permitted"),
        pytest.param(
            "You are not running a supported accounting_storage plugin", id="no accounting"
        ),
        pytest.param("", id="nothing"),
    ],
)
def test_what_failed_tells_of_no_queue(said: str) -> None:
    text = "".join(
        f"\n@gen m {name}\n{said}\n\n@gen m = 1\n"
        for name in ("nodes", "partitions", "visible", "qos", "assoc")
    )
    found = answer(text, "m")
    assert (found.queues.partitions, found.queues.qos, found.queues.usable_qos) == (
        None,
        None,
        None,
    )
    assert found.failed("nodes") == (said or "ended with status 1")


def test_an_answer_begins_where_the_login_shell_is_silent_and_may_end_early() -> None:
    begun = "Welcome!\n@gen other clock\n1\n\n@gen m clock\n12\n\n@gen m = 0\n"
    printed = f"{begun}\n@gen m files\n1024\n\n@gen m = 0\n\n@gen m nodes\np|"
    found = answer(printed, "m")
    assert (found.clock, found.open_files) == (12, 1024)
    assert (found.failed("nodes"), found.failed("qos")) == (
        "no answer in time",
        "no answer in time",
    )


def test_a_command_that_was_ended_gave_no_answer_in_time() -> None:
    assert "soon='timeout 3'" in script("m", 9)
    assert answer("@gen m qos\n\n@gen m = 124\n", "m").failed("qos") == "no answer in time"


def test_an_unlimited_number_of_open_files_is_no_number() -> None:
    assert answer("@gen m files\nunlimited\n\n@gen m = 0\n", "m").open_files is None


def test_the_script_asks_for_one_cluster_where_a_login_host_serves_several() -> None:
    assert "SLURM_CLUSTERS=pelle; export SLURM_CLUSTERS\n" in script("m", 9, "pelle")
    assert "SLURM_CLUSTERS" not in script("m", 9)
