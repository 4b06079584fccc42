"""The docs name every command and option, and what they show works."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from generator import resources
from generator.cli.app import app
from generator.compiler.compile import compile_site
from generator.loading import validate
from generator.schema.profile import SiteProfile

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text()


def options() -> Iterator[tuple[str, str]]:
    """Yield every command with each of its options."""
    group = typer.main.get_command(app)
    yield from (("gen", flag) for parameter in group.params for flag in parameter.opts)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        yield from (
            (name, flag)
            for parameter in command.params
            for flag in parameter.opts
            if flag.startswith("-")
        )


@pytest.mark.parametrize(
    "command", sorted({command for command, _ in options()} - {"gen"} | {"schema"})
)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"| `gen {command}" in README


@pytest.mark.parametrize(("command", "flag"), sorted(options()))
def test_every_option_is_in_the_readme_with_its_command(command: str, flag: str) -> None:
    row = next(
        (
            line
            for line in README.splitlines()
            if line.startswith("| `-") and re.search(rf"{flag}[` ]", line)
        ),
        "",
    )
    assert row, f"{flag} is in no table of README.md"
    assert command in row.split("|")[2] or "all" in row.split("|")[2]


def test_the_reference_is_current() -> None:
    made = subprocess.run(
        [sys.executable, REPOSITORY / "docs/spec_reference.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (REPOSITORY / "docs/spec-reference.md").read_text() == made.stdout


def test_the_site_of_the_guide_is_sound_and_compiles(tmp_path: Path) -> None:
    guide = (REPOSITORY / "docs/adding-a-site.md").read_text()
    spec = tmp_path / "example.yaml"
    spec.write_text("\n".join(re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)))
    artifacts = compile_site(validate.site(spec), SiteProfile(user="ada"))
    assert [str(artifact.path) for artifact in artifacts] == [".env.example", "ssh/example.conf"]


def test_the_profile_of_the_readme_is_sound(tmp_path: Path) -> None:
    [text] = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "profile.yaml").write_text(text)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "generator",
            "site",
            "musica",
            "--out",
            "out",
            "--profile",
            "profile.yaml",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Missing values" not in done.stderr


CONSOLES = dict(re.findall(r"```console\n\$ (gen[^\n]*)\n(.*?)```", README, re.DOTALL))


def run_in(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "generator", *command.split()[1:]],
        cwd=folder,
        env={
            "HOME": str(folder),
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(resources.PACKAGE.parent),
        },
        capture_output=True,
        text=True,
        check=True,
    )


def test_what_the_readme_shows_of_a_site_is_what_gen_prints(tmp_path: Path) -> None:
    [command] = (command for command in CONSOLES if command.startswith("gen site"))
    assert run_in(tmp_path, command).stderr == CONSOLES[command]


def test_what_the_readme_shows_of_a_review_is_what_gen_prints(tmp_path: Path) -> None:
    [command] = (command for command in CONSOLES if command.startswith("gen review"))
    spec = tmp_path / "site_specs" / "mila.yaml"
    spec.parent.mkdir()
    was = (resources.CATALOGUE / "mila.yaml").read_text()
    spec.write_text(was)
    for words in (
        "init -q -b main",
        "add .",
        "-c user.name=Ada -c user.email=ada@example.org commit -q -m Specs",
    ):
        subprocess.run(["git", *words.split()], cwd=tmp_path, check=True)
    pin = re.findall(r"SHA256:\S+", was)[0]
    came = "SHA256:" + "A" * 43
    spec.write_text(was.replace(pin, came))
    assert run_in(tmp_path, command).stdout.replace(came, "SHA256:…").startswith(CONSOLES[command])


@pytest.mark.parametrize("page", sorted(path.name for path in (REPOSITORY / "docs").glob("*.md")))
def test_every_page_is_linked_from_the_readme(page: str) -> None:
    assert f"docs/{page}" in README


SAID = re.findall(
    r"^\| (`.*?) \|",
    (REPOSITORY / "docs/renewal.md").read_text().partition("## When it fails")[2],
    re.M,
)


@pytest.mark.parametrize(
    "line", [quoted for cell in SAID for quoted in re.findall("`([^`~]+)`", cell)]
)
def test_what_the_guide_says_of_a_failed_renewal_is_what_gen_says(line: str) -> None:
    modules = [resources.PACKAGE / "programs.py", *(resources.PACKAGE / "renewal").glob("*.py")]
    source = "".join(path.read_text() for path in sorted(modules))
    said = re.sub(r"\{[^{}]*\}", "", re.sub(r'"\s*f?"', "", source))
    for part in re.split("…|N|SITE|500", line):
        assert part.strip() in said
