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
    configs = []
    for number, config in enumerate(cases(COUNT)):
        # The largest have 20,000 lines, which ssh reads slowly, and no other kind of line.
        if config.readable and config.content.count(b"\n") < 999:
            configs.append((number, config))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(_answers, tmp_path / "0", configs[::2])
        second = pool.submit(_answers, tmp_path / "1", configs[1::2])
    foreign, site_answers = 0, []
    for (_, host), stages in {**first.result(), **second.result()}.items():
        if host == "mila":
            site_answers += [stages["include"], stages["inline"]]
            continue
        foreign += 1
        # `terminating` is how ssh refuses a whole configuration: then all stages agree on nothing.
        assert "terminating" not in stages["before"]
        assert set(stages.values()) == {stages["before"]}
    assert foreign > COUNT
    reached = sum("port 2222\n" in answer for answer in site_answers)
    # Some have a port for every host above their IgnoreUnknown: that wins, and `gen install`
    # reports it.
    assert reached > 0.9 * len(site_answers) > COUNT / 8


def _answers(
    folder: Path, part: list[tuple[int, Case]]
) -> Mapping[tuple[int, str], dict[str, str]]:
    """Return ssh's answer for each host of each config at each stage."""
    folder.mkdir()
    user = ShellUser(folder / "home")
    user.home.mkdir()
    questions = list(_stages(folder, part))
    stdin = "".join(f"{folder}/{number}-{stage} {host}\n" for number, stage, host in questions)
    result = user.run("bash", "-c", _ASK, stdin=stdin)
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
    [artifact] = ssh_config.emit(Account(mila, SiteProfile(user="ada")))
    conf = artifact.content
    bodies = {"before": {}, "include": {"": INCLUDE}, "inline": {"mila": inline_body(conf)}}
    for number, config in part:
        for stage, blocks in bodies.items():
            directory = folder / f"{number}-{stage}"
            (directory / "gen.d").mkdir(mode=0o700, parents=True)
            (directory / "gen.d/mila.conf").write_bytes(conf)
            for name, content in config.included.items():
                (directory / name).write_bytes(content)
            (directory / "config").write_bytes(arranged(config.content, "config", blocks))
            hosts = list(config.hosts[:2])
            # Each question takes ssh some milliseconds, and a quarter of the configs is enough.
            if number % 4 == 0:
                hosts += ["elsewhere", "mila"]
            for host in dict.fromkeys(hosts):
                yield number, stage, host
