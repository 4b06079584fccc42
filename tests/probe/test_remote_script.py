"""The script that runs at a site, and its answers."""

import subprocess

import pytest

from generator.probe.remote_script import parse_answer, script

QUESTIONS = ("nodes", "partitions", "visible", "qos", "assoc")


@pytest.mark.parametrize(
    "output",
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
    ],
)
def test_a_command_that_failed_describes_no_queue(output: str) -> None:
    text = "".join(f"\n@gen m {name}\n{output}\n\n@gen m = 1\n" for name in QUESTIONS)
    answer = parse_answer(text, "m")
    queues = answer.queues
    assert (queues.partitions, queues.qos, queues.user_qos) == (None, None, None)
    assert answer.failure("nodes") == output


@pytest.mark.parametrize(
    ("section", "failure"),
    [
        pytest.param("@gen m qos\n\n\n@gen m = 1\n", "ended with status 1", id="silent"),
        pytest.param("@gen m qos\na\n\x1bb\n\n@gen m = 2\n", "a \\u001bb", id="several lines"),
        pytest.param("@gen m qos\n\n@gen m = 124\n", "no answer in time", id="stopped by timeout"),
        # Half of a name could be the name of another QoS.
        pytest.param("@gen m qos\nma", "no answer in time", id="session cut off"),
        pytest.param("", "no answer in time", id="not reached"),
        pytest.param("@gen m qos\nmain|\n\n@gen m = 0\n", None, id="success"),
    ],
)
def test_the_reason_of_a_missing_answer_is_named(section: str, failure: str | None) -> None:
    assert parse_answer(section, "m").failure("qos") == failure


def test_text_before_the_first_answer_is_of_the_login_shell() -> None:
    # The login shell may print anything, also a copy of an older answer. The random mark of this
    # session, `m`, tells them apart.
    welcome = "Welcome!\n@gen other clock\n1\n\n@gen m clock\n12\n\n@gen m = 0\n"
    answer = parse_answer(f"{welcome}\n@gen m files\n1024\n\n@gen m = 0\n", "m")
    assert (answer.clock, answer.open_files) == (12, 1024)


def test_unlimited_open_files_are_not_a_number() -> None:
    assert parse_answer("@gen m files\nunlimited\n\n@gen m = 0\n", "m").open_files is None


def test_each_command_has_a_share_of_the_time() -> None:
    assert "soon='timeout 3'" in script("m", 9)


def test_the_script_selects_a_cluster_where_a_login_host_serves_several() -> None:
    assert "SLURM_CLUSTERS=pelle; export SLURM_CLUSTERS\n" in script("m", 9, "pelle")
    assert "SLURM_CLUSTERS" not in script("m", 9)


def test_a_shell_runs_the_script_and_its_answers_are_read() -> None:
    process = subprocess.run(
        ["/bin/sh", "-s"],
        input=script("m", 30),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    answer = parse_answer(process.stdout, "m")
    assert answer.clock is not None
    assert set(answer.sections) == {"clock", "files", "cluster", *QUESTIONS}
