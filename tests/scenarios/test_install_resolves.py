"""ssh resolves the hosts of 300 random configs the same before, with the Include, and inline."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from shell_user import PROGRAMS, ShellUser
from ssh_configs import Case, cases

from generator.compiler.account import Account
from generator.compiler.emitters import ssh_config
from generator.install.managed_blocks import INCLUDE, arranged, inline_body
from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema.profile import SiteProfile

pytestmark = [pytest.mark.system, pytest.mark.long]

COUNT = 300
_ASK = r"""
while read -r folder host; do
    [ "$folder" = "$now" ] || ln -sfn "$folder" ~/.ssh
    now=$folder
    printf '\n=== %s %s\n' "$folder" "$host"
    ssh -G "$host" 2>&1 </dev/null
done
"""


def test_foreign_hosts_resolve_the_same_before_and_after(
    tmp_path: Path, need: Callable[..., None]
) -> None:
    need(*PROGRAMS, root=True)
    configs = [
        (number, config)
        for number, config in enumerate(cases(COUNT))
        if config.readable and config.content.count(b"\n") < 999
    ]
    halves = [configs[::2], configs[1::2]]
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(lambda part: _answers(tmp_path / str(part), halves[part]), range(2))
        )
    answers_by_host = {**answers[0], **answers[1]}
    foreign = {key: stages for key, stages in answers_by_host.items() if key[1] != "mila"}
    assert len(foreign) > COUNT
    assert [stages for stages in foreign.values() if len(set(stages.values())) > 1] == []
    assert [
        stages["before"] for stages in foreign.values() if "terminating" in stages["before"]
    ] == []
    site_answers = [
        answer
        for key, stages in answers_by_host.items()
        if key[1] == "mila"
        for answer in list(stages.values())[1:]
    ]
    # Some have a port for every host above their IgnoreUnknown: that wins, and `gen install` reports it.
    assert (
        sum("port 2222\n" in answer for answer in site_answers)
        > 0.9 * len(site_answers)
        > COUNT / 8
    )


def _answers(
    folder: Path, part: list[tuple[int, Case]]
) -> Mapping[tuple[int, str], dict[str, str]]:
    """Return ssh's answer for each host of each config at each stage."""
    folder.mkdir()
    person = ShellUser(folder / "home")
    person.home.mkdir()
    questions = [(number, stage, host) for number, stage, host in _stages(folder, part)]
    stdin = "".join(f"{folder}/{number}-{stage} {host}\n" for number, stage, host in questions)
    result = person.run("bash", "-c", _ASK, stdin=stdin)
    assert result.returncode == 0, result.stderr
    outputs = [_settings(answer) for answer in result.stdout.split("\n=== ")[1:]]
    answers_by_host: dict[tuple[int, str], dict[str, str]] = {}
    for (number, stage, host), answer in zip(questions, outputs, strict=True):
        answers_by_host.setdefault((number, host), {})[stage] = answer
    return answers_by_host


def _settings(answer: str) -> str:
    """Return an answer without its first line, and without IgnoreUnknown, to which gen adds."""
    lines = answer.strip("\n").split("\n")[1:]
    return "".join(f"{line}\n" for line in lines if not line.startswith("ignoreunknown "))


def _stages(folder: Path, part: list[tuple[int, Case]]) -> Iterator[tuple[int, str, str]]:
    """Write `~/.ssh` for each stage of each config, and yield the stages with each host."""
    mila = validate.site(CATALOGUE / "mila.yaml")
    [conf] = [
        artifact.content for artifact in ssh_config.emit(Account(mila, SiteProfile(user="ada")))
    ]
    bodies = {"before": {}, "include": {"": INCLUDE}, "inline": {"mila": inline_body(conf)}}
    for number, config in part:
        for stage, blocks in bodies.items():
            directory = folder / f"{number}-{stage}"
            (directory / "gen.d").mkdir(mode=0o700, parents=True)
            (directory / "gen.d/mila.conf").write_bytes(conf)
            for name, content in config.included.items():
                (directory / name).write_bytes(content)
            (directory / "config").write_bytes(arranged(config.content, "config", blocks))
            for host in dict.fromkeys(
                (*config.hosts[:2], *(["elsewhere", "mila"] if number % 4 == 0 else []))
            ):
                yield number, stage, host
