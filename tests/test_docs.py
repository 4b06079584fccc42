"""The docs have every command and option, and their examples work."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

import generator
from generator import resources
from generator.cli.app import with_command
from generator.compiler.account import Account
from generator.compiler.compile import compile_site
from generator.compiler.emitters.env_file import variables
from generator.loading import validate
from generator.renewal.credentials import API_TOKEN, APP_PASSWORD
from generator.schema.profile import SiteProfile

REPOSITORY = Path(__file__).parent.parent
DOCS = REPOSITORY / "docs"
README = (REPOSITORY / "README.md").read_text()
COMMANDS_PAGE = (DOCS / "commands.md").read_text()
TROUBLESHOOTING = (DOCS / "troubleshooting.md").read_text()
GENERATED = {
    "commands.md": "commands.py",
    "profile.md": "profile_reference.py",
    "spec-reference.md": "spec_reference.py",
}
"""The pages that `just docs` writes, and their programs."""


def leaf_commands() -> dict[str, Any]:
    """Return every command by its name, those of the group `gen source` too."""
    commands: dict[str, Any] = {}
    group: Any = typer.main.get_command(with_command(""))
    for name, command in group.commands.items():
        for inner_name, inner in getattr(command, "commands", {}).items():
            commands[f"{name} {inner_name}"] = inner
        if not hasattr(command, "commands"):
            commands[name] = command
    return commands


def option_flags() -> list[tuple[str, str]]:
    """Return every command with each of its options."""
    flags = []
    root: Any = typer.main.get_command(with_command(""))
    for name, command in {"": root, **leaf_commands()}.items():
        for parameter in command.params:
            for flag in [*parameter.opts, *parameter.secondary_opts]:
                # An argument has a name without dashes here.
                if flag.startswith("-"):
                    flags.append((f"gen {name}".strip(), flag))
    return sorted(flags)


@pytest.mark.parametrize("command", sorted(leaf_commands()))
def test_the_reference_has_every_command(command: str) -> None:
    assert f"| [`gen {command}" in COMMANDS_PAGE
    assert f"\n## gen {command}\n" in COMMANDS_PAGE


@pytest.mark.parametrize(("command", "flag"), option_flags())
def test_the_reference_has_every_option_of_a_command(command: str, flag: str) -> None:
    section = COMMANDS_PAGE.partition(f"\n## {command}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `-")]
    # A space or a backtick ends the name: --all is not --allow-name.
    names = [row.split(" | ")[0] for row in rows]
    assert any(re.search(rf"`{flag}[` ]", name) for name in names)


def run_gen(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run gen in a directory that is also the home directory."""
    return subprocess.run(
        [sys.executable, "-m", "generator", *arguments],
        cwd=directory,
        env={
            "HOME": str(directory),
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(resources.PACKAGE.parent),
        },
        capture_output=True,
        text=True,
        check=True,
    )


def yaml_blocks(text: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("page", GENERATED)
def test_a_generated_page_is_current(page: str) -> None:
    result = subprocess.run(
        [sys.executable, DOCS / GENERATED[page]], capture_output=True, text=True, check=True
    )
    assert (DOCS / page).read_text() == result.stdout, "run: just docs"


def test_the_site_in_the_guide_is_valid_and_compiles(tmp_path: Path) -> None:
    # The guide builds one spec in several blocks.
    blocks = yaml_blocks((DOCS / "adding-a-site.md").read_text())
    spec = tmp_path / "example.yaml"
    spec.write_text("\n".join(blocks))
    artifacts = compile_site(validate.site(spec), SiteProfile(user="ada"))
    assert [str(artifact.path) for artifact in artifacts] == [".env.example", "ssh/example.conf"]


def test_the_profile_in_the_reference_is_valid_and_lacks_nothing(tmp_path: Path) -> None:
    [profile] = yaml_blocks((DOCS / "profile.md").read_text())
    (tmp_path / "profile.yaml").write_text(profile)
    result = run_gen(tmp_path, "site", "musica", "--out", "out", "--profile", "profile.yaml")
    assert "Missing values" not in result.stderr


def console(page: str, command: str) -> tuple[list[str], str]:
    """Return the arguments and the output of the example of a command in a page."""
    text = (REPOSITORY / page).read_text()
    consoles = re.findall(r"```console\n\$ gen ([^\n]*)\n(.*?)```", text, re.DOTALL)
    [(arguments, output)] = (item for item in consoles if item[0].startswith(f"{command} "))
    return arguments.split(), output


def test_gen_site_prints_the_output_in_the_readme(tmp_path: Path) -> None:
    arguments, output = console("README.md", "site")
    assert run_gen(tmp_path, *arguments).stderr == output


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_the_readme_links_every_page(page: str) -> None:
    assert f"docs/{page}" in README


def test_gen_reads_or_writes_every_variable_of_the_page_about_musica() -> None:
    page = (DOCS / "musica.md").read_text()
    named = set(re.findall(r"\b(?:ASC|SLURM|DAGSTER)_[A-Z_]+\b", page))
    written = {f"ASC_{APP_PASSWORD}", f"ASC_{API_TOKEN}"}
    musica = validate.site(resources.CATALOGUE / "musica.yaml")
    for variable in variables(Account(musica, SiteProfile())):
        written.add(variable.name)
    renewal = (resources.PACKAGE / "renewal/settings.py").read_text()
    names = set()
    for name in named - written:
        if name.partition("_")[2] not in renewal:
            names.add(name)
    assert names == set()
    assert len(named) >= 28


def code_of(*paths: str) -> str:
    """Return the texts of modules, without the values of f-strings."""
    source = ""
    for path in paths:
        for module in sorted(resources.PACKAGE.glob(path)):
            source += module.read_text()
    # Join strings that continue on the next line.
    joined = re.sub(r'"\s*f?"', "", source)
    return re.sub(r"\{[^{}]*\}", "", joined)


def renewal_messages() -> list[str]:
    """Return the messages in the tables of renewal errors."""
    section = TROUBLESHOOTING.partition("## Errors of the renewal")[2]
    messages = []
    for cell in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE):
        messages += re.findall("`([^`]+)`", cell)
    return messages


@pytest.mark.parametrize("message", renewal_messages())
def test_gen_has_every_message_of_the_renewal_errors(message: str) -> None:
    texts = code_of("programs.py", "files.py", "renewal/*.py")
    # These stand for values in the messages of the page.
    for part in re.split("…|N|SITE|500", message):
        assert part.strip() in texts


@pytest.mark.parametrize(
    ("message", "module"),
    [
        ("is not one of the pinned keys", "compiler/host_key_policy.py"),
        ("another gen is still running", "workspace/writer.py"),
        ("your entry", "install/side_effects.py"),
        ("would change", "install/side_effects.py"),
        ("was edited since gen wrote it", "workspace/plan.py"),
        ("was here before, and gen did not write it", "workspace/plan.py"),
    ],
)
def test_the_troubleshooting_page_has_the_words_of_gen(message: str, module: str) -> None:
    assert message in TROUBLESHOOTING
    assert message in code_of(module)


def test_every_entry_of_the_troubleshooting_page_has_a_command_and_a_fix() -> None:
    entries = TROUBLESHOOTING.partition("## Errors of the renewal")[0].split("\n## ")[1:]
    assert len(entries) >= 12
    for entry in entries:
        parts = re.split(r"\n\*\*(\w[\w ]*)\.\*\*", entry)
        assert parts[1::2] == ["Meaning", "See more", "Fix"], entry
        assert "`" in parts[4], "no command"


def test_the_troubleshooting_page_begins_with_a_link_to_each_entry() -> None:
    links = re.findall(r"^- \[(.+)\]\(#.+\)$", TROUBLESHOOTING, re.MULTILINE)
    assert links == re.findall("^## (.+)$", TROUBLESHOOTING, re.MULTILINE)


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    [program] = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(), re.DOTALL)
    exec(program, {})  # noqa: S102 - it is ours
    assert capsys.readouterr().out == "['.env.mila', 'ssh/mila.conf']\n"


def test_the_python_reference_has_every_name_of_the_api() -> None:
    page = (DOCS / "python.md").read_text()
    names = [name for name in generator.__all__ if not name.startswith("_")]
    # mkdocstrings prints the signature and the docstring of each.
    assert sorted(re.findall("^::: generator[.](.+)$", page, re.MULTILINE)) == sorted(names)


def test_the_page_on_trust_names_tests_that_exist() -> None:
    page = (REPOSITORY / "docs/trust.md").read_text()
    paths = re.findall(r"`([a-z_]+(?:/[a-z_]+)*\.py)`", page)
    missing = [path for path in paths if not (REPOSITORY / "tests" / path).is_file()]
    # Each rule of the page stands or falls with its test.
    assert len(paths) > 15
    assert missing == []


def test_the_pages_for_contributors_name_files_that_exist() -> None:
    page = ""
    for name in ("architecture.md", "recipes.md", "testing.md"):
        page += (DOCS / name).read_text()
    paths = set(re.findall(r"\b((?:generator|tests|docs|templates)/[\w/.]+)", page))
    missing = [path for path in sorted(paths) if not (REPOSITORY / path.rstrip(".")).exists()]
    # A recipe shows a new file under this name.
    assert [path for path in missing if "NAME" not in path] == []
    assert len(paths) > 15


def test_the_documentation_is_built_with_the_program_that_formats_signatures() -> None:
    # A release builds the pages from this extra alone, and a developer from all of `test`.
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    names = [re.split("[<>=]", item)[0] for item in project["optional-dependencies"]["docs"]]
    assert "ruff" in names
    assert len(names) == len(set(names))


def test_the_guide_to_renewal_has_the_remark_about_the_keys_of_musica(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "generator", "site", "musica", "--user", "ada", "--out"]
    result = subprocess.run(
        [*command, str(tmp_path)],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY)},
    )
    _, _, section = (DOCS / "renewal.md").read_text().partition("\n### Compare the keys\n")
    _, remark, _ = section.split("```\n", 2)
    assert remark.startswith("Host keys “asc” are not pinned: ")
    assert f"\n{remark}\n" in result.stderr
