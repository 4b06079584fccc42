"""Attacks on published specs: by a server, by a publisher, by a repository, by the environment."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import publisher
import pytest
from history import git
from publisher import Centre
from running import Gen

from generator.sources import signature
from generator.sources.published_index import FILE, SIGNATURE_FILE


@pytest.fixture
def centre(gen: Gen, need: Callable[..., None], tmp_path: Path) -> Centre:
    need("ssh-keygen")
    return publisher.centre_in(tmp_path, gen)


def signed(centre: Centre, change: Callable[[dict[str, Any]], None], key: Path) -> None:
    """Sign an index that `gen source sign` would not write."""
    path = centre.specs / FILE
    values = json.loads(path.read_bytes())
    change(values)
    content = json.dumps(values).encode()
    path.write_bytes(content)
    (centre.specs / SIGNATURE_FILE).write_bytes(
        signature.sign(content, key, signature.INDEX_NAMESPACE)
    )


def refused(centre: Centre, home: Path) -> str:
    """Add the source, which gen must refuse without a change; return the last line."""
    signer = ("--signer", centre.fingerprint, "--yes")
    result = centre.gen("source", "add", str(centre.specs), *signer)
    assert result.status == 2, (result.status, result.err)
    assert not (home / ".config/gen").exists()
    assert result.err.isprintable() or all(line.isprintable() for line in result.err.splitlines())
    return result.err.splitlines()[-1]


def set_value(*keys: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(values: dict[str, Any]) -> None:
        for key in keys[:-1]:
            values = values[key]
        values[keys[-1]] = value

    return change


def many_specs(values: dict[str, Any]) -> None:
    spec = values["specs"]["ours"]
    values["specs"] = {f"s{number}": spec for number in range(100_000)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(many_specs, "larger than 256 KiB", id="100,000 specs"),
        pytest.param(
            set_value("expires", value="9999-12-31"), "in more than 400 days", id="without an end"
        ),
        pytest.param(set_value("expires", value="2026-1-1"), "expires: is not a date", id="date"),
        pytest.param(set_value("expires", value="20991231"), "expires: is not a date", id="basic"),
        pytest.param(set_value("version", value=10**400), "version: ", id="version"),
        pytest.param(set_value("version", value=-1), "version: is less than 1", id="negative"),
        pytest.param(set_value("version", value=True), "version: ", id="true"),
        pytest.param(
            set_value("specs", "ours", "version", value=10**18), "has no valid version", id="spec"
        ),
        pytest.param(set_value("name", value="../asc"), "name: is not lowercase", id="path"),
        pytest.param(set_value("name", value="asc\n"), "name: is not lowercase", id="line"),
        pytest.param(set_value("name", value="a\x1b[31m"), "name: is not lowercase", id="escape"),
        pytest.param(
            set_value("specs", "ours\u202e", value={"sha256": "0" * 64, "version": 1}),
            "is not the name of a site",
            id="right to left",
        ),
        pytest.param(
            set_value("specs", "о" * 3, value={"sha256": "0" * 64, "version": 1}),
            "is not the name of a site",
            id="cyrillic",
        ),
        pytest.param(set_value("revoked", value=["SHA256:x\n"]), "is not a fing", id="revoked"),
        pytest.param(set_value("surprise", value=1), "surprise", id="unknown key"),
        pytest.param(
            set_value("with_lists", value={"ours": "0" * 64}), "with_lists", id="key of a record"
        ),
    ],
)
def test_an_index_with_a_value_that_gen_never_writes_is_refused(
    home: Path, centre: Centre, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    signed(centre, change, centre.key)
    assert words in refused(centre, home)


def handed_over_to(text: str) -> Callable[[dict[str, Any]], None]:
    def change(values: dict[str, Any]) -> None:
        values["handovers"] = [{"key": text, "signature": "x"}]

    return change


def public(centre: Centre) -> str:
    return " ".join(Path(f"{centre.key}.pub").read_text().split()[:2])


@pytest.mark.parametrize(
    "text",
    [
        # ssh-keygen(1), ALLOWED SIGNERS: principals, options, keytype, key; a line each.
        pytest.param('{key}\n* namespaces="gen-source" {key}', id="a second line"),
        pytest.param("{key}\r* {key}", id="a carriage return"),
        pytest.param("cert-authority {key}", id="an option"),
        pytest.param('valid-after="19700101" {key}', id="a time"),
        pytest.param("* {key}", id="a principal"),
        pytest.param("{key} comment", id="a comment"),
        pytest.param(" {key}", id="a blank"),
        pytest.param("# {key}", id="a remark"),
        pytest.param("", id="nothing"),
    ],
)
def test_the_key_of_a_handover_is_a_public_key_and_nothing_else(
    home: Path, centre: Centre, text: str
) -> None:
    signed(centre, handed_over_to(text.format(key=public(centre))), centre.key)
    assert "handovers: " in refused(centre, home)


def test_a_signature_that_names_a_trusted_key_and_is_by_another_is_refused(
    gen: Gen, centre: Centre, tmp_path: Path
) -> None:
    centre.add()
    stranger = publisher.key(tmp_path, "stranger")
    centre.edit("ours", "port: 2222", "port: 2022")
    centre.sign_as_a_stranger(stranger)
    path = centre.specs / SIGNATURE_FILE
    blob = base64.b64decode("".join(path.read_text().splitlines()[1:-1]))
    ours = base64.b64decode(public(centre).split()[1])
    theirs = base64.b64decode(Path(f"{stranger}.pub").read_text().split()[1])
    forged = base64.encodebytes(blob.replace(theirs, ours)).decode()
    path.write_text(f"-----BEGIN SSH SIGNATURE-----\n{forged}-----END SSH SIGNATURE-----\n")
    result = gen("source", "update", "--yes")
    assert (result.status, "the signature is not over this index" in result.err) == (2, True)


def test_a_spec_that_was_changed_on_disk_is_used_by_no_command(
    gen: Gen, home: Path, centre: Centre
) -> None:
    centre.add()
    path = home / ".config/gen/sources/asc/1/ours.yaml"
    path.write_text(path.read_text().replace("login.server.mila", "evil.server.mila"))
    for command in (
        ("show", "ours"),
        ("install", "ours", "--yes"),
        ("site", "ours", "--out", "."),
        ("project", "p", "--site", "ours"),
        ("list", "--json"),
        ("status", "ours", "--live"),
    ):
        result = gen(*command)
        assert "evil" not in result.out, command
        if command[0] != "list":
            assert result.status == 2, command
            assert "is not the spec that the source asc published" in result.err, command


def commit_lock(change: Callable[[dict[str, Any]], None]) -> str:
    """Change the record of a repository as a pull request could; return the commit before."""
    base = git("rev-parse", "HEAD", directory=Path()).strip()
    lock = Path(".gen/sources.lock")
    record = json.loads(lock.read_bytes())
    change(record["sources"]["asc"])
    lock.write_text(json.dumps(record))
    git("commit", "--quiet", "--all", "--message=change", directory=Path())
    return base


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(set_value("keys", value=["garbage"]), id="a key that is none"),
        pytest.param(set_value("keys", value=[]), id="no key"),
        pytest.param(set_value("keys", value=["* ssh-ed25519 AAAA"]), id="a principal"),
        pytest.param(set_value("revoked", value=["*"]), id="revoked"),
        pytest.param(set_value("version", value=10**400), id="version"),
        pytest.param(set_value("origin", value="ext::sh -c id"), id="origin"),
        pytest.param(set_value("origin", value="git+https://h/r@--upload-pack=x"), id="option"),
        pytest.param(set_value("with_lists", value={"ours": "x"}), id="digest"),
    ],
)
def test_a_record_of_a_repository_that_gen_never_writes_is_refused_in_one_line(
    gen: Gen, centre: Centre, change: Callable[[dict[str, Any]], None]
) -> None:
    git("init", "--quiet", "--initial-branch=main", ".", directory=Path())
    centre.add("--here")
    git("add", "--all", ".", directory=Path())
    git("commit", "--quiet", "--message=first", directory=Path())
    base = commit_lock(change)
    update = gen("source", "update", "--here", "--yes")
    assert update.status == 2, update.err
    assert "Traceback" not in update.err
    review = gen("review", base, "--fail-on", "trust")
    shown = review.out + review.err
    assert (review.status, "refused: " in shown) in ((1, False), (2, True)), shown
    assert "Traceback" not in shown


def test_a_linked_directory_of_a_repository_is_not_written_through(
    gen: Gen, home: Path, centre: Centre
) -> None:
    outside = home / "outside"
    outside.mkdir()
    Path(".gen").mkdir()
    Path(".gen/sources").symlink_to(outside)
    source = ("source", "add", str(centre.specs), "--signer", centre.fingerprint, "--yes")
    result = gen(*source, "--here")
    assert result.status == 2, result.err
    assert list(outside.iterdir()) == []


def test_a_source_may_have_the_name_of_a_site_of_the_catalogue(gen: Gen, centre: Centre) -> None:
    (centre.specs / FILE).unlink()
    centre.sign("--name", "musica")
    centre.add()
    assert "source:musica/ours" not in gen("show", "ours").err
    assert gen("source", "list").out.count("musica") >= 1
    assert gen("site", "ours", "--out", ".", "--no-project").status == 0
    assert gen("source", "remove", "musica", "--yes").status == 0
    # The site of the catalogue is there as before.
    assert gen("show", "musica").status == 0


def test_a_clock_that_went_back_accepts_nothing_that_would_outlive_a_signature(
    gen: Gen, home: Path, centre: Centre, need: Callable[..., None]
) -> None:
    need("faketime")
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])}
    source = ["source", "add", str(centre.specs), "--signer", centre.fingerprint, "--yes"]
    command = ["faketime", "-f", "-800d", sys.executable, "-m", "generator", *source]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "is this machine's clock right?" in done.stderr
