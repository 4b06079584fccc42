"""A centre's known_hosts list behind a URL: fetched with a source, pinned by its digest.

The web server, ssh-keygen, ssh and sshd are real.
"""

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import publisher
import pytest
from history import git
from publisher import WebServer
from running import Gen, Result
from sshd import PROGRAMS, TEST_USER, Rig, host_key_refused, logged_in, site

from generator.loading import spec_editor

pytestmark = pytest.mark.system


class ListingCentre:
    """A centre that publishes the spec `rig`, and beside it the list of its host keys."""

    def __init__(self, gen: Gen, rig: Rig, web: WebServer, served: Path) -> None:
        self.gen = gen
        self.rig = rig
        self.web = web
        self.specs = served / "specs"
        self.specs.mkdir(parents=True)
        self.list = served / "ssh_known_hosts"
        self.key = publisher.key(rig.directory, "centre")
        self.login = rig.serve("login", ["ed25519"])

    @property
    def address(self) -> str:
        """Address of the list."""
        return f"{self.web.url}/{self.list.name}"

    def write_list(self, *lines: str) -> None:
        """Replace the list, without a new spec."""
        self.list.write_text("".join(f"{line}\n" for line in lines))

    def publish(self, *options: str, **changes: Any) -> None:
        """Publish the spec with the digest of the list as it is."""
        digest = hashlib.sha256(self.list.read_bytes()).hexdigest()
        known_hosts = {"url": self.address, "sha256": digest, "checked": "2026-11-01"}
        spec = site(self.login, {"known_hosts": known_hosts, **changes})
        (self.specs / "rig.yaml").write_text(spec_editor.fresh(spec, self.specs))
        signing = ("source", "sign", str(self.specs), "--key", str(self.key), "--name", "asc")
        result = self.gen(*signing, *options)
        assert result.status == 0, result.err

    def add(self, *options: str) -> Result:
        """Add the source from its web server."""
        origin = f"{self.web.url}/specs"
        signer = ("--signer", publisher.fingerprint(self.key))
        bundle = ("--ca-bundle", str(self.web.bundle))
        return self.gen("source", "add", origin, *signer, *bundle, "--yes", *options)

    def update(self, *options: str) -> Result:
        """Update the source."""
        bundle = ("--ca-bundle", str(self.web.bundle))
        return self.gen("source", "update", "asc", *bundle, "--yes", *options)

    def line(self, key: str) -> str:
        """Return the line of the list for the login node, with a key of the rig."""
        return f"[localhost]:{self.login.port} {self.rig.public(key)}"


@pytest.fixture
def centre(need: Callable[..., None], gen: Gen, tmp_path: Path) -> Iterator[ListingCentre]:
    need(*PROGRAMS, "step", "git", root=True)
    tls = tmp_path / "tls"
    tls.mkdir()
    served = tmp_path / "served"
    with Rig(tmp_path) as rig, publisher.serving(served, tls) as web:
        yield ListingCentre(gen, rig, web, served)


def compiled(centre: ListingCentre) -> Path:
    """Compile the site of the source, and return its ssh configuration."""
    user = ("--user", TEST_USER.pw_name)
    key = ("--identity-file", str(centre.rig.key("ed25519-ada")))
    result = centre.gen("site", "rig", "--out", "out", *user, *key, "--force")
    assert result.status == 0, result.err
    return Path("out/ssh/rig.conf").absolute()


@pytest.mark.parametrize("listed", ["in full", "hashed", "as a pattern", "by an authority"])
def test_a_listed_key_is_pinned_and_another_is_refused(
    centre: ListingCentre, tmp_path: Path, listed: str
) -> None:
    other = centre.rig.public("ecdsa-other")
    lines = [f"# of all machines\nelsewhere.example.org {other}", centre.line("ed25519")]
    if listed == "as a pattern":
        lines[1] = lines[1].replace("localhost", "*host")
    if listed == "by an authority":
        certified = centre.rig.certify("ed25519", "ecdsa-ca", "-h", "-n", "localhost")
        centre.login = centre.rig.serve(
            "signed", ["ed25519"], f"HostCertificate {certified}-cert.pub"
        )
        lines[1] = f"@cert-authority [*]:{centre.login.port} {centre.rig.public('ecdsa-ca')}"
    centre.write_list(*lines)
    if listed == "hashed":
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(centre.list)], check=True)
    centre.publish()
    result = centre.add()
    assert result.status == 0, result.err
    config = compiled(centre)
    assert logged_in(centre.rig.login(config), centre.login.name)
    impostor = centre.rig.serve("impostor", ["ed25519-other"])
    taken_over = config.read_text().replace(str(centre.login.port), str(impostor.port))
    config.write_text(taken_over)
    assert host_key_refused(centre.rig.login(config))
    assert other not in Path("out/ssh/rig.known_hosts").read_text()


def test_the_user_sees_the_list_and_its_keys_before_the_question(
    centre: ListingCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre.write_list(centre.line("ed25519"))
    centre.publish()
    shown = centre.add().err
    assert f"host keys of rig: keys ed25519 {centre.rig.fingerprint('ed25519')}" in shown
    assert f"host keys of rig: known_hosts.url {centre.address}" in shown
    # In a wide terminal, where no value is broken.
    monkeypatch.setenv("COLUMNS", "200")
    page = centre.gen("show", "rig").out
    assert f"list of 2026-11-01: {centre.address} " in page
    assert f"ssh-ed25519 {centre.rig.fingerprint('ed25519')}" in page


def test_a_list_that_changed_under_the_same_digest_is_refused(centre: ListingCentre) -> None:
    centre.write_list(centre.line("ed25519"))
    centre.publish()
    assert centre.add().status == 0
    before = centre.gen("show", "rig").out
    centre.write_list(centre.line("ed25519-other"))
    result = centre.update()
    digest = hashlib.sha256(centre.list.read_bytes()).hexdigest()
    assert (result.status, result.err.splitlines()[-1]) == (
        2,
        f"rig.yaml: host_keys.login.known_hosts: {centre.address} has another content than on"
        f" 2026-11-01 (its SHA-256 is {digest}); the publisher has to compare its keys and to"
        " publish the new digest",
    )
    assert centre.gen("show", "rig").out == before


def test_a_new_digest_is_a_change_of_trust(centre: ListingCentre) -> None:
    centre.write_list(centre.line("ed25519"))
    centre.publish()
    assert centre.add().status == 0
    centre.write_list(centre.line("ed25519-other"))
    centre.publish()
    shown = centre.update().err
    assert "trust: host keys of rig changed" in shown
    assert f"added ed25519 {centre.rig.fingerprint('ed25519-other')}" in shown
    assert f"removed ed25519 {centre.rig.fingerprint('ed25519')}" in shown
    assert "trust: host keys of rig: known_hosts.sha256 changed" in shown
    assert host_key_refused(centre.rig.login(compiled(centre)))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        pytest.param([], "the list has no key for [localhost]:", id="empty"),
        pytest.param(
            ["elsewhere.example.org {ed25519}"],
            "the list has no key for [localhost]:",
            id="other hosts",
        ),
        pytest.param(
            # ssh refuses a key that is both listed and revoked.
            ["{line}", "@revoked * {ed25519}"],
            "the list has no key for [localhost]:",
            id="revoked",
        ),
        pytest.param(["{line} x" * 20_000], "the answer is larger than 1 MiB", id="too large"),
    ],
)
def test_a_list_without_a_usable_key_is_refused(
    centre: ListingCentre, home: Path, lines: list[str], words: str
) -> None:
    values = {"line": centre.line("ed25519"), "ed25519": centre.rig.public("ed25519")}
    centre.write_list(*[line.format(**values) for line in lines])
    centre.publish()
    result = centre.add()
    assert (result.status, words in result.err) == (2, True), result.err
    assert not (home / ".config/gen/sources.lock").exists()


def redirect_to_http(handler: publisher.PublisherHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "http://localhost:1/ssh_known_hosts")
    handler.end_headers()


def test_a_list_comes_by_https_alone(centre: ListingCentre) -> None:
    centre.write_list(centre.line("ed25519"))
    centre.publish()
    centre.web.answers[centre.list.name] = redirect_to_http
    assert "which is not https" in centre.add().err
    path = centre.specs / "rig.yaml"
    path.write_text(path.read_text().replace("https://", "http://"))
    result = centre.gen("validate", str(path))
    assert "host_keys.login.known_hosts.url: " in result.err + result.out
    assert "https:// address" in result.err + result.out


def test_a_spec_that_no_source_publishes_is_not_pinned_and_says_so(
    centre: ListingCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre.write_list(centre.line("ed25519"))
    centre.publish()
    centre.web.requests.clear()
    path = str(centre.specs / "rig.yaml")
    result = centre.gen("site", path, "--out", "out", "--user", "ada")
    assert "Host keys “login” are not pinned: gen fetches their list only for a spec" in result.err
    assert f"compare the key with {centre.address}" in result.err
    assert "StrictHostKeyChecking ask" in Path("out/ssh/rig.conf").read_text()
    monkeypatch.setenv("COLUMNS", "200")
    page = centre.gen("show", path).out
    assert f"list of 2026-11-01: {centre.address} " in page
    assert "(gen fetches it only for a spec that a source publishes)" in page
    assert [line for line in page.splitlines() if " no " in line and line.startswith("rig ")]
    assert centre.web.requests == []


def test_without_a_network_everything_that_was_added_works(centre: ListingCentre) -> None:
    centre.write_list(centre.line("ed25519"))
    centre.publish()
    assert centre.add().status == 0
    centre.list.unlink()
    centre.web.requests.clear()
    assert logged_in(centre.rig.login(compiled(centre)))
    assert centre.web.requests == []


def commit() -> str:
    """Commit the directory `work`, and return the commit."""
    git("add", "--all", ".", directory=Path())
    git("commit", "--quiet", "--message=change", directory=Path())
    return git("rev-parse", "HEAD", directory=Path()).strip()


def test_in_a_pull_request_a_new_digest_and_a_forged_key_are_trust(
    centre: ListingCentre,
) -> None:
    centre.write_list(centre.line("ed25519"))
    centre.publish()
    git("init", "--quiet", "--initial-branch=main", ".", directory=Path())
    assert centre.add("--here").status == 0
    base = commit()
    assert centre.gen("review", base).status == 0
    centre.write_list(centre.line("ed25519"), centre.line("ecdsa-other"))
    centre.publish()
    assert centre.update("--here").status == 0
    commit()
    shown = centre.gen("review", base, "--fail-on", "trust").out
    assert "trust: host keys of rig changed" in shown
    assert "known_hosts.sha256 changed" in shown
    # A key that is in no list, under the digest that gen would have written for it.
    base = commit_forged_key(centre)
    result = centre.gen("review", base, "--fail-on", "trust")
    assert result.status == 1
    assert "rig of the source asc changed under an unchanged version" in result.out
    assert f"added ecdsa {centre.rig.fingerprint('ecdsa-forged')}" in result.out


def commit_forged_key(centre: ListingCentre) -> str:
    """Commit a spec with another key and its digest; return the commit before."""
    base = git("rev-parse", "HEAD", directory=Path()).strip()
    path = Path(".gen/sources/asc/2/rig.yaml")
    forged = centre.rig.public("ecdsa-forged")
    path.write_text(path.read_text().replace(centre.rig.public("ecdsa-other"), forged))
    lock = Path(".gen/sources.lock")
    record = json.loads(lock.read_bytes())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    record["sources"]["asc"]["with_lists"]["rig"] = digest
    lock.write_text(json.dumps(record))
    commit()
    return base
