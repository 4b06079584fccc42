"""What real ssh makes of foreign hosts does not change: three hundred configs before, with the Include, and inline."""

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


def test_hosts_of_others_resolve_the_same_before_and_after(
    tmp_path: Path, need: Callable[..., None]
) -> None:
    need(*PROGRAMS, root=True)
    every = [
        (number, one)
        for number, one in enumerate(cases(COUNT))
        if one.readable and one.content.count(b"\n") < 999
    ]
    halves = [every[::2], every[1::2]]
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(lambda part: _answers(tmp_path / str(part), halves[part]), range(2))
        )
    found = {**answers[0], **answers[1]}
    foreign = {key: stages for key, stages in found.items() if key[1] != "mila"}
    assert len(foreign) > COUNT
    assert [stages for stages in foreign.values() if len(set(stages.values())) > 1] == []
    assert [
        stages["before"] for stages in foreign.values() if "terminating" in stages["before"]
    ] == []
    ours = [
        answer
        for key, stages in found.items()
        if key[1] == "mila"
        for answer in list(stages.values())[1:]
    ]
    # Some have a port for every host above their IgnoreUnknown: that wins, and `gen install` tells of it.
    assert sum("port 2222\n" in answer for answer in ours) > 0.9 * len(ours) > COUNT / 8


def _answers(
    folder: Path, part: list[tuple[int, Case]]
) -> Mapping[tuple[int, str], dict[str, str]]:
    """Return ssh's answer for each host of each config at each stage."""
    folder.mkdir()
    person = ShellUser(folder / "home")
    person.home.mkdir()
    asked = [(number, stage, host) for number, stage, host in _stages(folder, part)]
    given = "".join(f"{folder}/{number}-{stage} {host}\n" for number, stage, host in asked)
    result = person.run("bash", "-c", _ASK, stdin=given)
    assert result.returncode == 0, result.stderr
    told = [_settings(answer) for answer in result.stdout.split("\n=== ")[1:]]
    found: dict[tuple[int, str], dict[str, str]] = {}
    for (number, stage, host), answer in zip(asked, told, strict=True):
        found.setdefault((number, host), {})[stage] = answer
    return found


def _settings(answer: str) -> str:
    """Return an answer without the question, and without IgnoreUnknown: ours has more in it."""
    lines = answer.strip("\n").split("\n")[1:]
    return "".join(f"{line}\n" for line in lines if not line.startswith("ignoreunknown "))


def _stages(folder: Path, part: list[tuple[int, Case]]) -> Iterator[tuple[int, str, str]]:
    """Write what `~/.ssh` is at each stage of a config, and yield the stages with each host to ask for."""
    mila = validate.site(CATALOGUE / "mila.yaml")
    [conf] = [
        artifact.content for artifact in ssh_config.emit(Account(mila, SiteProfile(user="ada")))
    ]
    wanted = {"before": {}, "include": {"": INCLUDE}, "inline": {"mila": inline_body(conf)}}
    for number, one in part:
        for stage, blocks in wanted.items():
            place = folder / f"{number}-{stage}"
            (place / "gen.d").mkdir(mode=0o700, parents=True)
            (place / "gen.d/mila.conf").write_bytes(conf)
            for name, content in one.included.items():
                (place / name).write_bytes(content)
            (place / "config").write_bytes(arranged(one.content, "config", blocks))
            for host in dict.fromkeys(
                (*one.hosts[:2], *(["elsewhere", "mila"] if number % 4 == 0 else []))
            ):
                yield number, stage, host
