"""The clock and the limits of a site against this machine and the spec."""

import pytest

from generator.loading import validate, yaml_document
from generator.probe.answer_findings import clock_findings, open_files_findings
from generator.probe.remote_script import Section, SiteAnswer
from generator.probe.session import Session

BEGUN, ENDED = 1000.0, 1010.0


def answer(**texts: str) -> SiteAnswer:
    return SiteAnswer({name: Section(text, 0) for name, text in texts.items()})


@pytest.mark.parametrize(
    "clock",
    [
        pytest.param("1005", id="within the session"),
        # BEGUN and ENDED are the start and the end of the session: the answer came at some time
        # between.
        pytest.param("1070", id="a minute ahead"),
        pytest.param("940", id="a minute behind"),
        pytest.param("soon", id="not a time"),
    ],
)
def test_a_clock_that_is_about_right_is_not_a_difference(clock: str) -> None:
    session = Session("", "", BEGUN, ENDED)
    assert list(clock_findings(answer(clock=clock), session)) == []


@pytest.mark.parametrize(
    ("clock", "text"),
    [
        ("1610", "about 600 s ahead of this machine"),
        ("400", "about 600 s behind this machine"),
    ],
)
def test_a_clock_that_is_wrong_is_a_difference(clock: str, text: str) -> None:
    session = Session("", "", BEGUN, ENDED)
    (finding,) = clock_findings(answer(clock=clock), session)
    assert finding.site == text


@pytest.mark.parametrize(
    ("command", "files", "expected"),
    [
        pytest.param("ulimit -n 64", "64", [], id="enough"),
        pytest.param("ulimit -Hn 64", "63", ["at most 63"], id="too few"),
        pytest.param("ulimit -S -n 65", "64", ["at most 64"], id="soft limit"),
        pytest.param("ulimit -n 64", "unlimited", [], id="unlimited"),
        # -u limits processes; only -n is about open files.
        pytest.param("ulimit -u 64", "1", [], id="another limit"),
    ],
)
def test_fewer_open_files_than_ray_asks_for_are_a_difference(
    command: str, files: str, expected: list[str]
) -> None:
    spec = f"""\
site: rig
title: Rig
sources: {{ docs: {{ url: "https://docs.example.org/", checked: 2026-08-08 }} }}
hosts: {{ rig: {{ host: rig.example.org, source: docs }} }}
auth: {{ method: publickey }}
ray: {{ pre_start_commands: "{command}" }}
"""
    site = validate.spec(yaml_document.parse(spec.encode(), "rig.yaml"), "rig.yaml")
    findings = open_files_findings(site, answer(files=files))
    assert [finding.site for finding in findings] == expected
