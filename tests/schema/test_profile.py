"""The values of a user that no generated file has."""

import pytest

from generator.schema.profile import SiteProfile


def test_values_of_one_machine_are_not_recorded_in_a_lock() -> None:
    profile = SiteProfile(
        user="ada",
        command_directory="~/tools",
        step_binary="~/bin/step-cli",
        extra_step_args=("--not-after", "8h"),
    )
    # A lock is committed: a path of one machine would be drift on all others.
    assert profile.known() == {"user": "ada"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("step --offline", id="with an argument"),
        pytest.param("bin/step", id="in the current directory"),
        pytest.param("-step", id="an option"),
        pytest.param("~/{user}/step", id="with a placeholder"),
    ],
)
def test_a_step_command_that_does_not_name_a_program_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="step_binary"):
        SiteProfile(step_binary=name)
