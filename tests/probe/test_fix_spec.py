"""Changes of `--fix-spec` to a spec, from made-up queues; test_live.py has a real site."""

from dataclasses import replace
from datetime import date

from syrupy.assertion import SnapshotAssertion

from generator.probe.fix_spec import fix_spec
from generator.probe.slurm_output import NodeGroup, Queues, SitePartition

TODAY = date(2026, 8, 9)
SPEC = b"""\
site: rig
title: Rig
sources:
  docs: { url: https://docs.example.org/, checked: 2026-08-08 }
hosts:
  rig: { host: rig.example.org, source: docs }
  rig2: { host: rig2.example.org, source: docs }
auth: { method: publickey }
slurm:
  partition: long                     # where most jobs go
  walltime: 3-00:00:00
  mem: 500G
  partitions:
    long:
      qos: [main, old]
      max_walltime: 7-00:00:00        # as the table says
      mem: 512G
    gone: { qos: devel }
    other: { submit_from: rig2 }
  qos_limits:
    main: { max_walltime: 7-00:00:00, source: docs }
    devel: { max_walltime: 01:00:00 }
  source: docs
"""
SITE = Queues(
    {
        "long": SitePartition("long", max_walltime=172_800, nodes=(NodeGroup(256 * 1024, 4, 64),)),
        "new": SitePartition(
            "new",
            max_walltime=3600,
            allowed_qos=frozenset({"devel"}),
            nodes=(NodeGroup(1500, 1, 2),),
        ),
        "hidden": SitePartition("hidden", visible=False),
    },
    {"normal": None, "main": 604_800, "devel": 600, "extra": None},
    frozenset({"normal", "main", "devel", "extra"}),
    "main",
)


def test_facts_are_written_with_their_source_and_the_rest_stays(
    snapshot: SnapshotAssertion,
) -> None:
    fixed = fix_spec(SPEC, "rig.yaml", "rig", SITE, TODAY)
    assert fixed.content.decode() == snapshot
    assert fixed.unresolved == ()
    # A second run finds nothing to do.
    assert fix_spec(fixed.content, "rig.yaml", "rig", SITE, TODAY) == fixed


def test_a_change_that_would_leave_the_spec_with_a_fault_is_left_to_the_user() -> None:
    queues = Queues({"new": SitePartition("new")}, {"main": 604_800, "old": None, "devel": 600})
    fixed = fix_spec(SPEC, "rig.yaml", "rig", queues, TODAY)
    keys = [finding.key for finding in fixed.unresolved]
    assert keys == ["slurm.partitions.long", "slurm.partitions.gone"]
    # Which partition is the default one now?
    assert b"    long:\n" in fixed.content
    # No other partition allows devel: does the site lack that QoS too?
    assert b"    gone:" in fixed.content


def test_a_question_without_an_answer_changes_nothing() -> None:
    assert fix_spec(SPEC, "rig.yaml", "rig", Queues(), TODAY).content == SPEC


def test_a_limit_that_a_qos_sets_is_not_a_difference() -> None:
    # A documentation has the time that a user gets, whether the partition or a QoS limits it.
    start, _, _ = SPEC.partition(b"slurm:")
    spec = start + b"slurm: { partitions: { long: { max_walltime: 2-00:00:00, mem: 256G } } }\n"
    # 30 days, and 240 GiB: nodes report less than the 256 that the documentation calls them.
    monthly = SitePartition("long", max_walltime=2_592_000, nodes=(NodeGroup(240 * 1024, 4, 64),))
    site = Queues({"long": monthly}, {"main": 172_800}, frozenset({"main"}))
    assert fix_spec(spec, "rig.yaml", "rig", site, TODAY).content == spec
    shorter = replace(monthly, max_walltime=86_400)
    daily = Queues({"long": shorter}, {"main": 172_800}, frozenset({"main"}))
    assert b"max_walltime: 1-00:00:00" in fix_spec(spec, "rig.yaml", "rig", daily, TODAY).content
    unlimited = Queues({"long": monthly}, {"main": None}, frozenset({"main"}))
    fixed = fix_spec(spec, "rig.yaml", "rig", unlimited, TODAY)
    assert b"max_walltime: 30-00:00:00" in fixed.content
