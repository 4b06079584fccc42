"""Differences and what --fix-spec makes of them, without a site: the real ones are in tests/scenarios/test_live.py."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from running import Gen, running
from syrupy.assertion import SnapshotAssertion

from generator.cli import status_live
from generator.compiler.account import Account
from generator.compiler.emitters import ssh_config
from generator.errors import GenError
from generator.loading import inputs, validate
from generator.probe import spec_blocks
from generator.probe.fix_spec import mended
from generator.probe.slurm_output import Nodes, Queues, SitePartition
from generator.resources import CATALOGUE
from generator.schema.profile import SiteProfile

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
        "long": SitePartition("long", max_walltime=172_800, nodes=(Nodes(256 * 1024, 4, 64),)),
        "new": SitePartition(
            "new", max_walltime=3600, allowed_qos=frozenset({"devel"}), nodes=(Nodes(1500, 1, 2),)
        ),
        "hidden": SitePartition("hidden", visible=False),
    },
    {"normal": None, "main": 604_800, "devel": 600, "extra": None},
    frozenset({"normal", "main", "devel", "extra"}),
    "main",
)


def test_the_facts_are_written_with_their_source_and_the_rest_stays(
    snapshot: SnapshotAssertion,
) -> None:
    after = mended(SPEC, "rig.yaml", "rig", SITE, TODAY)
    assert after.content.decode() == snapshot
    assert after.left == ()
    assert mended(after.content, "rig.yaml", "rig", SITE, TODAY) == after


def test_a_change_that_would_leave_the_spec_unsound_is_left_to_the_person() -> None:
    queues = Queues({"new": SitePartition("new")}, {"main": 604_800, "old": None, "devel": 600})
    after = mended(SPEC, "rig.yaml", "rig", queues, TODAY)
    assert [one.about for one in after.left] == ["slurm.partitions.long", "slurm.partitions.gone"]
    assert b"    long:\n" in after.content  # the usual partition: which one is it now?
    assert b"    gone:" in after.content  # no other takes devel: is that QoS gone, too?


def test_what_the_site_does_not_tell_changes_nothing() -> None:
    assert mended(SPEC, "rig.yaml", "rig", Queues(), TODAY).content == SPEC


def test_a_limit_that_a_qos_sets_is_no_difference() -> None:
    """The documentation tells what a person gets; that Slurm holds it by the QoS is Slurm's business."""
    spec = (
        SPEC[: SPEC.index(b"slurm:")]
        + b"slurm: { partitions: { long: { max_walltime: 2-00:00:00, mem: 256G } } }\n"
    )
    monthly = SitePartition("long", max_walltime=2_592_000, nodes=(Nodes(240 * 1024, 4, 64),))
    site = Queues({"long": monthly}, {"main": 172_800}, frozenset({"main"}))
    assert mended(spec, "rig.yaml", "rig", site, TODAY).content == spec
    daily = Queues(
        {"long": replace(monthly, max_walltime=86_400)}, {"main": 172_800}, frozenset({"main"})
    )
    assert b"max_walltime: 1-00:00:00" in mended(spec, "rig.yaml", "rig", daily, TODAY).content
    unlimited = Queues({"long": monthly}, {"main": None}, frozenset({"main"}))
    assert b"max_walltime: 30-00:00:00" in mended(spec, "rig.yaml", "rig", unlimited, TODAY).content


@pytest.mark.parametrize(
    ("memory", "megabytes"), [("768G", 786_432), ("1T", 1_048_576), ("4096", 4096), ("2048K", 2)]
)
def test_memory_is_read_as_sbatch_reads_it(memory: str, megabytes: int) -> None:
    assert spec_blocks.megabytes(memory) == megabytes


def test_a_spec_that_ships_with_gen_is_not_changed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    gen: Gen = running(monkeypatch, capsys.readouterr)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    status, _, err = gen("status", "mila", "--live", "--fix-spec")
    assert (status, "copy it and say it again: mkdir -p site_specs && cp" in err) == (2, True)
    assert str(CATALOGUE / "mila.yaml") in err


def test_an_edit_made_while_a_person_is_asked_is_not_written_over(tmp_path: Path) -> None:
    spec = tmp_path / "ours.yaml"
    spec.write_bytes(b"read\n")
    given = inputs.file(spec)
    spec.write_bytes(b"edited\n")
    with pytest.raises(GenError, match="was changed meanwhile, so nothing was written"):
        status_live._write(given, b"mended\n", lambda _: None, yes=True)
    assert spec.read_bytes() == b"edited\n"


def test_a_visit_renews_no_certificate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    who = Account(validate.site(CATALOGUE / "cscs-daint.yaml"), SiteProfile(user="ada"))
    (usual,), (visiting,) = ssh_config.emit(who), ssh_config.emit(status_live._as_installed(who))
    assert b"gen refresh" in usual.content
    assert b"gen refresh" not in visiting.content


def test_a_user_name_is_no_part_of_a_host_to_import(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = running(monkeypatch, capsys.readouterr)("import", "ada@ours.example.org")
    assert (status, "say gen import ours.example.org, with User ada for it" in err) == (2, True)
    assert not list(tmp_path.iterdir())
