"""The commands of the how-to guides, typed in a real terminal of 80 by 24.

Each test prepares the files that the reader of a guide has, types the commands of the page in
order, with the answers on the page, and compares every line of the output.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import publisher
import pytest
import usermanager
from console_blocks import examples
from homes import tree
from identity_provider import IdentityProvider
from other_tools import MILA_INIT
from page_session import PageSession
from ruamel.yaml import YAML
from shell_user import passwd_file
from sshd import PROGRAMS, TEST_USER, Rig
from step_ca import Authority, Member, membership
from usermanager import UNITS, user_manager

from generator.resources import CATALOGUE

pytestmark = pytest.mark.system

DOCS = Path(__file__).parents[2] / "docs"
MUSICA_CREDENTIALS = ".config/dagster-slurm/musica-auth.env"
USER_CONFIG = """\
Host git
    HostName git.example.org
    User git
"""


@pytest.fixture
def base(need: Callable[..., None]) -> Iterator[Path]:
    """A scratch directory whose path is no longer than usual: sockets of ssh fit below it."""
    need(*PROGRAMS, "setsid", "bash", root=True)
    with tempfile.TemporaryDirectory(prefix="gen") as directory:
        (Path(directory) / "home/.ssh").mkdir(mode=0o700, parents=True)
        yield Path(directory)


def replay(
    base: Path, page: str, section: str = "", *, user: str = "ada", **environment: str
) -> None:
    """Type the commands of a page or section, and compare each output."""
    session = PageSession(base, base / "home", user, **environment)
    try:
        session.replay(examples(DOCS / page, section))
    finally:
        session.terminal.close()


def test_the_guide_to_install_a_site(base: Path) -> None:
    config = base / "home/.ssh/config"
    config.write_text(USER_CONFIG)
    replay(base, "install.md")
    assert config.read_text() == USER_CONFIG
    assert {path.name for path in config.parent.iterdir()} == {"config", "id_mila", "id_mila.pub"}


def test_the_guide_to_check_a_site(base: Path) -> None:
    session = PageSession(base, base / "home", "ada")
    try:
        session.run("gen install mila --user ada --yes")
        session.replay(examples(DOCS / "status.md", "1. Check your machine"))
    finally:
        session.terminal.close()


def entry_of(page: str, section: str) -> str:
    """Return the entry of the ssh configuration that a section begins with."""
    text = (DOCS / page).read_text().partition(f"\n## {section}\n")[2]
    return text.partition("```\n")[2].partition("```")[0]


def test_the_guide_to_replace_an_entry_written_by_hand(base: Path) -> None:
    section = "An entry that you wrote by hand"
    config = base / "home/.ssh/config"
    config.write_text(entry_of("moving.md", section) + USER_CONFIG)
    make_key(config.parent / "id_ed25519")
    replay(base, "moving.md", section)
    assert config.read_text().endswith(USER_CONFIG)


def test_the_guide_to_replace_the_entries_of_mila_init(base: Path) -> None:
    config = base / "home/.ssh/config"
    content = MILA_INIT + USER_CONFIG.encode()
    config.write_bytes(content)
    make_key(config.parent / "id_rsa_mila")
    replay(base, "moving.md", "The entries of `mila init`")
    assert config.read_bytes() == content


def test_the_guide_to_import_an_entry(base: Path) -> None:
    section = "A host that gen does not know"
    (base / "home/.ssh/config").write_text(entry_of("moving.md", section))
    replay(base, "moving.md", section)


def mila(rig: Rig) -> dict[str, Any]:
    """Start a login node and a compute node that share a home directory; return their spec.

    It is the spec of the catalogue with the machines of the test.
    """
    site_home = rig.directory / "site-home"
    site_home.mkdir(mode=0o700)
    passwd = rig.directory / "site.passwd"
    passwd.write_text(passwd_file(site_home))
    files = {"/etc/passwd": passwd}
    keys = f"AuthorizedKeysFile {rig.directory.parent / 'home/.ssh/id_mila.pub'}"
    lines = (keys, "Subsystem sftp internal-sftp")
    login = rig.serve("mila", ["ed25519"], *lines, names=["cn-a001"], files=files)
    in_home = "AuthorizedKeysFile .ssh/authorized_keys"
    node = rig.serve("node", ["ed25519-node"], in_home, files=files)
    spec: dict[str, Any] = YAML(typ="safe").load(CATALOGUE / "mila.yaml")
    spec["hosts"] = {"mila": {"host": "localhost", "port": login.port}}
    nodes = spec["compute"]["nodes"]
    spec["compute"]["nodes"] = {
        key: nodes[key] for key in ("match", "through", "key_in_home", "source")
    } | {"port": node.port}
    for name, key in (("login", "ed25519"), ("compute", "ed25519-node")):
        spec["host_keys"][name]["fingerprints"] = {"ed25519": rig.fingerprint(key)}
    del spec["slurm"]  # the machine of the test has no such queues
    return spec


def test_the_guide_to_a_first_login_at_mila(base: Path, need: Callable[..., None]) -> None:
    need("rsync")
    # Paths of sockets of ssh have to fit below the home directory, and keys are shared by tests.
    with Rig(base / "rig") as rig:
        write_yaml(base / "home/.config/gen/site_specs/mila.yaml", mila(rig))
        site_home = rig.directory / "site-home"
        before = tree(site_home)
        replay(base, "mila.md", user=TEST_USER.pw_name)
        after = tree(site_home)
    assert {*after} - {*before} == {"file-to-upload.zip"}
    assert not (base / "home/.ssh/config").exists()


def test_the_guide_to_use_several_machines(base: Path) -> None:
    page = (DOCS / "several-machines.md").read_text()
    profile = base / "laptop/.config/gen/profile.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text(page.partition("profile.yaml\n")[2].partition("```")[0])
    home = base / "home"
    (home / ".config").mkdir()
    with Rig(base / "rig") as rig:
        laptop = rig.serve(
            "laptop",
            ["ed25519"],
            "Subsystem sftp internal-sftp",
            # The home directory of the user who runs the tests is not that of the laptop.
            f"ForceCommand internal-sftp -d {base / 'laptop'}",
        )
        entry = (
            f"Host laptop\n HostName 127.0.0.1\n Port {laptop.port}\n User {TEST_USER.pw_name}\n"
        )
        trust = " StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR\n"
        key = f" IdentityFile {rig.key('ed25519-ada')}\n"
        (home / ".ssh/config").write_text(entry + trust + key)
        replay(base, "several-machines.md")
    assert (home / ".ssh/id_mila.pub").is_file()


def example_site() -> str:
    """Return the spec of the guide to a new site, which has it in several blocks."""
    page = (DOCS / "adding-a-site.md").read_text()
    return "\n".join(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))


def test_the_guide_to_add_a_site(base: Path) -> None:
    (base / "home/.config/gen").mkdir(parents=True)
    (base / "home/.config/gen/profile.yaml").write_text("home: /home/ada\n")
    steps = examples(DOCS / "adding-a-site.md")
    session = PageSession(base, base / "home", "ada")
    try:
        session.replay(steps[:1])
        spec = base / "work/site_specs/example.yaml"
        # Each answer is in the spec of the guide.
        answers = YAML(typ="safe").load(spec)
        guide = YAML(typ="safe").load(example_site())
        assert answers["hosts"]["example"]["host"] == guide["hosts"]["example"]["host"]
        assert answers["auth"].items() <= guide["auth"].items()
        spec.write_text(example_site())
        session.replay(steps[1:])
    finally:
        session.terminal.close()


def test_the_guide_to_publish_a_cluster(need: Callable[..., None], base: Path) -> None:
    need("step")
    specs = base / "work/specs"
    specs.mkdir(parents=True)
    (specs / "example.yaml").write_text(example_site())
    served, tls = base / "served", base / "tls"
    served.mkdir()
    tls.mkdir()
    (served / "gen").symlink_to(specs)
    host = "docs.example.org"
    page, users_page = DOCS / "publishing.md", DOCS / "published-sources.md"
    with (
        publisher.serving(served, tls, host) as web,
        publisher.proxy({f"{host}:443": web.url.removeprefix("https://")}) as proxy,
    ):
        way = {"https_proxy": f"http://localhost:{proxy.port}", "GEN_CA_BUNDLE": str(web.bundle)}
        session = PageSession(base, base / "home", "ada", **way)
        try:
            session.replay(examples(page, "Publish a spec"))
            session.replay(examples(users_page))
            session.replay(examples(page, "Another key"))
        finally:
            session.terminal.close()


def test_the_job_that_publishes_a_cluster_goes_on_from_the_published_index(
    need: Callable[..., None], tmp_path: Path
) -> None:
    need("step", "ssh-agent", "curl", "bash")
    page = (DOCS / "publishing.md").read_text()
    (workflow,) = re.findall(r"```yaml\n(name: .*?)```", page, re.DOTALL)
    steps = YAML(typ="safe").load(workflow)["jobs"]["publish"]["steps"]
    published, checkout, tls = tmp_path / "served/gen", tmp_path / "checkout", tmp_path / "tls"
    for directory in (published, checkout / "specs", tls):
        directory.mkdir(parents=True)
    (published / "example.yaml").write_text(example_site())
    key = publisher.key(tmp_path, "signing-key")
    shutil.copy(f"{key}.pub", checkout)
    gen = [sys.executable, "-m", "generator"]
    first = [*gen, "source", "sign", str(published), "--name", "example", "--key", str(key)]
    subprocess.run(first, check=True, capture_output=True)
    # The repository has no index, and a newer spec.
    newer = example_site().replace("a second factor", "a second factor, always")
    (checkout / "specs/example.yaml").write_text(newer)
    host = "docs.example.org"
    with (
        publisher.serving(tmp_path / "served", tls, host) as web,
        publisher.proxy({f"{host}:443": web.url.removeprefix("https://")}) as proxy,
    ):
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "https_proxy": f"http://localhost:{proxy.port}",
            "CURL_CA_BUNDLE": str(web.bundle),
            "KEY": key.read_text(),
        }
        scripts = [step["run"] for step in steps if "run" in step]
        # The environment of the tests stands for that of pipx.
        assert scripts.pop(0) == "pipx install hpc-sitegen"
        # The agent of the job ends with the machine of the job.
        end = "trap 'kill ${SSH_AGENT_PID:-} 2>/dev/null || true' EXIT"
        for script in scripts:
            command = ["bash", "-eo", "pipefail", "-c", f"{end}\n{script}"]
            done = subprocess.run(
                command, cwd=checkout, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
    index = json.loads((checkout / "specs/gen-source.json").read_bytes())
    assert (index["version"], index["specs"]["example"]["version"]) == (2, 2)


def test_the_guide_to_review_pull_requests(base: Path) -> None:
    specs = base / "work/site_specs"
    specs.mkdir(parents=True)
    (specs / "example.yaml").write_text(example_site())
    (base / "home/.config/gen").mkdir(parents=True)
    (base / "home/.config/gen/profile.yaml").write_text("home: /home/ada\n")
    (base / "home/.gitconfig").write_text("[user]\n name = Ada\n email = ada@example.org\n")
    replay(base, "drift-review.md")


@pytest.fixture
def member(
    need: Callable[..., None], provider: IdentityProvider, ca: Authority, tmp_path: Path
) -> Iterator[Member]:
    """A user with a user manager, and with the profile of the guide to renewal."""
    need(*usermanager.PROGRAMS, "setsid", "bash", root=True)
    with user_manager() as manager:
        (tmp_path / "home").symlink_to(manager.home)
        with membership(tmp_path, provider, ca) as member:
            # nsenter enters the namespace of the manager, in which its socket is.
            member.namespace = tuple(manager.command())
            commands = manager.home / ".local/bin"
            commands.mkdir(parents=True)
            (commands / "gen").symlink_to(Path(sys.executable).parent / "gen")
            (commands / "step").symlink_to(shutil.which("step") or "step")
            drop_in = f"[Service]\nEnvironment=GEN_CA_BUNDLE={provider.root}\n"
            manager.write(UNITS / "gen-cert-musica.service.d/test.conf", drop_in)
            yield member


def write_yaml(path: Path, value: object) -> None:
    """Write a YAML file, and its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        YAML(typ="safe").dump(value, file)


def musica(member: Member) -> dict[str, Any]:
    """Return a spec of MUSICA with the machines of the test."""
    spec = member.spec(context="musica")
    [host] = spec["hosts"].values()
    title = "MUSICA (Multi-Site Computer Austria)"
    spec |= {"site": "musica", "title": title, "hosts": {"musica": host}}
    spec["host_keys"]["login"]["hosts"] = "musica"
    spec["auth"]["authentik"]["credentials_file"] = f"~/{MUSICA_CREDENTIALS}"
    return spec


def agree(home: Path, auth: Mapping[str, Any]) -> None:
    """Let MUSICA use its secrets with the addresses of the test, and not only with its own."""
    addresses = [auth["oidc"]["token_url"], auth["ca_url"], auth["authentik"]["api_base"]]
    secrets = {str(home / MUSICA_CREDENTIALS): addresses}
    path = home / ".local/state/gen/musica.secrets"
    path.parent.mkdir(mode=0o700, parents=True)
    path.write_text(json.dumps({"format_version": "2.0", "secrets": secrets}))


def test_the_guide_to_renew_certificates(member: Member) -> None:
    home = member.home.resolve()
    spec = musica(member)
    write_yaml(home / ".config/gen/site_specs/musica.yaml", spec)
    agree(home, spec["auth"])
    name = TEST_USER.pw_name
    profile = {"user": name, "email": f"{name}@example.org", "home": str(home)}
    write_yaml(home / ".config/gen/profile.yaml", profile)
    session = PageSession(
        member.rig.directory,
        home,
        prefix=member.namespace,
        XDG_RUNTIME_DIR=f"/run/user/{TEST_USER.pw_uid}",
        GEN_CA_BUNDLE=str(member.provider.root),
    )
    steps = examples(DOCS / "renewal.md")
    try:
        session.replay(steps[:1])
        # Step 3, with the client of the provider of the test.
        sites = {"musica": {"client_id": "gen"}}
        write_yaml(home / ".config/gen/profile.yaml", profile | {"sites": sites})
        store_credentials(home / MUSICA_CREDENTIALS, member.provider)
        session.replay(steps[1:])
    finally:
        session.terminal.close()
    assert (home / ".ssh/id_musica-cert.pub").is_file()


def store_credentials(path: Path, provider: IdentityProvider) -> None:
    """Write the file of step 3, with secrets of the provider of the test."""
    page = (DOCS / "renewal.md").read_text()
    lines = page.partition("\n```\nASC_")[2].partition("```")[0]
    content = f"ASC_{lines}"
    for variable, kind in (("APP_PASSWORD", "app_password"), ("API_TOKEN", "api")):
        secret = provider.hold(f"pasted-{kind}", kind)
        content = content.replace(f"{variable}=...", f"{variable}={secret.key}")
    path.parent.mkdir(parents=True)
    path.touch(0o600)
    path.write_text(content)


def make_key(path: Path) -> None:
    """Make a key pair without a passphrase."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada@laptop", "-f", str(path)]
    subprocess.run(command, check=True)
