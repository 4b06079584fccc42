"""`.gen/config.yaml` names the one version of gen that may work in a repository."""

from pathlib import Path

import pytest
from running import Gen

from generator import __version__

CONFIG = Path(".gen/config.yaml")
COMMANDS = [
    pytest.param(("check",), id="check"),
    pytest.param(("check", "teams/a"), id="check of a directory below"),
    pytest.param(("diff",), id="diff"),
    pytest.param(("review", "main"), id="review"),
    pytest.param(("site", "mila"), id="site"),
    pytest.param(("site", "--all"), id="site --all"),
]


def require(version: str, config: Path = CONFIG) -> None:
    config.write_text(f'# Pinned by the platform team.\nrequired_version: "{version}"\n')


@pytest.mark.parametrize("command", COMMANDS)
def test_another_version_refuses_and_names_the_command_that_installs_the_right_one(
    reading_gen: Gen, command: tuple[str, ...]
) -> None:
    require("9.8.7")
    result = reading_gen(*command)
    assert (result.status, result.out) == (2, "")
    file = CONFIG.absolute() if command[-1] == "teams/a" else CONFIG
    assert result.err == (
        f"{file}:2: required_version: this repository requires gen 9.8.7, and this is gen"
        f" {__version__}; install the required one with: pip install hpc-sitegen==9.8.7\n"
    )


@pytest.mark.parametrize("command", [("check",), ("diff",), ("review", "main")])
def test_the_required_version_works(reading_gen: Gen, command: tuple[str, ...]) -> None:
    require(__version__)
    assert reading_gen(*command).status == 0


def test_a_configuration_of_an_output_directory_below_counts_too(reading_gen: Gen) -> None:
    require("9.8.7", Path("teams/a", CONFIG))
    assert reading_gen("check").status == 2


def test_a_review_heeds_a_configuration_of_an_output_directory(reading_gen: Gen) -> None:
    Path("teams/a/.gen/config.yaml").write_text('required_version: "0.0.1"\n')
    result = reading_gen("review", "main")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("teams/a/.gen/config.yaml:1: required_version: ")


def test_a_configuration_above_the_repository_does_not_count(
    writing_gen: Gen, tmp_path: Path
) -> None:
    tmp_path.joinpath(".gen").mkdir()
    require("9.8.7", tmp_path / CONFIG)
    assert writing_gen("check").status == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("required_version: 0.1\n", "is not a text; put it in quotes", id="a number"),
        pytest.param(
            'required_version: "1; rm -rf ~"\n', "should match pattern", id="a command of a shell"
        ),
        pytest.param('required_version: "--index-url=x"\n', "should match", id="an option of pip"),
        pytest.param("requires: 1\n", "config.yaml:1: requires: ", id="an unknown key"),
        pytest.param("<<<<<<< ours\n", "config.yaml:1", id="a merge conflict"),
    ],
)
def test_an_invalid_configuration_is_refused(reading_gen: Gen, text: str, problem: str) -> None:
    CONFIG.write_text(text)
    result = reading_gen("check")
    assert result.status == 2
    assert problem in result.err


def test_a_link_out_of_the_repository_is_refused(writing_gen: Gen, tmp_path: Path) -> None:
    require(__version__, tmp_path / "config.yaml")
    CONFIG.symlink_to(tmp_path / "config.yaml")
    result = writing_gen("check")
    assert result.status == 2
    assert "is a link that leads out of" in result.err


def test_a_repository_without_a_configuration_works(reading_gen: Gen) -> None:
    assert reading_gen("check").status == 0
