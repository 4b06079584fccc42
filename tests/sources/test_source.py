"""`gen source` with a directory: signatures, questions and refusals."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import publisher
import pytest
from history import git
from publisher import Centre
from running import Gen

from generator.sources import origin
from generator.sources.published_index import FILE, SIGNATURE_FILE


@pytest.fixture
def centre(gen: Gen, need: Callable[..., None], tmp_path: Path) -> Centre:
    need("ssh-keygen")
    return publisher.centre_in(tmp_path, gen)


def index(centre: Centre) -> dict[str, object]:
    values: dict[str, object] = json.loads((centre.specs / FILE).read_bytes())
    return values


def test_a_source_is_signed_with_a_version_for_the_index_and_for_each_spec(centre: Centre) -> None:
    first = index(centre)
    assert (first["name"], first["version"]) == ("asc", 1)
    # An index without an end could be replayed for ever to users who lack the newer one.
    assert first["expires"] == (date.today() + timedelta(days=90)).isoformat()
    centre.edit("ours", "port: 2222", "port: 2022")
    centre.sign()
    second = index(centre)
    specs = second["specs"]
    assert second["version"] == 2
    assert isinstance(specs, dict)
    # A version for each spec, so that a mirror cannot mix old and new specs under one index.
    assert {name: spec["version"] for name, spec in specs.items()} == {"musica": 1, "ours": 2}


def test_a_spec_with_a_fault_is_not_signed(centre: Centre) -> None:
    before = (centre.specs / FILE).read_bytes()
    centre.edit("ours", "port: 2222", "port: 222222")
    result = centre.gen("source", "sign", str(centre.specs), "--key", str(centre.key))
    assert result.status == 2
    assert "ours.yaml:" in result.err and "hosts.mila.port" in result.err
    assert (centre.specs / FILE).read_bytes() == before


def test_the_first_index_needs_a_name(gen: Gen, centre: Centre) -> None:
    (centre.specs / FILE).unlink()
    result = gen("source", "sign", str(centre.specs), "--key", str(centre.key))
    assert (result.status, result.err) == (
        2,
        f"{centre.specs}: has no index yet; name the source: --name NAME, as in --name asc\n",
    )


def test_a_new_source_shows_its_signer_and_the_trusted_settings_of_its_sites(
    gen: Gen, centre: Centre
) -> None:
    result = gen("source", "add", str(centre.specs), "--signer", centre.fingerprint, "--yes")
    assert result.status == 0, result.err
    assert f"Signer   {centre.fingerprint}  (ssh-ed25519)" in result.err
    assert "the site ours is new; its users trust all of this" in result.err
    assert "host mila: host login.server.mila.quebec" in result.err
    assert "musica: says the same as the spec that ships with gen" in result.err
    assert result.err.endswith("Added asc. Next: gen show musica, or gen install musica\n")


def test_a_source_that_changes_a_site_of_the_catalogue_says_how(gen: Gen, centre: Centre) -> None:
    # The name of a site of the catalogue makes users expect that machine.
    centre.edit("musica", "host: musica.vie.asc.ac.at", "host: login.vie.asc.ac.at")
    centre.sign()
    result = gen("source", "add", str(centre.specs), "--signer", centre.fingerprint, "--yes")
    assert "trust: host musica: host changed" in result.err
    assert "musica.vie.asc.ac.at → login.vie.asc.ac.at" in result.err
    assert "compared with the site of the catalogue that this overrides" in result.err


def test_without_a_terminal_a_new_source_needs_the_fingerprint_of_its_signer(
    gen: Gen, home: Path, centre: Centre
) -> None:
    # --yes alone would trust whoever answers first.
    result = gen("source", "add", str(centre.specs), "--yes")
    assert result.status == 2
    assert result.err.endswith(
        "a new source needs the fingerprint of its publisher: add --signer "
        f"{centre.fingerprint} after you have compared it\n"
    )
    assert not (home / ".config").exists()


def test_another_signer_than_the_user_named_is_refused(gen: Gen, centre: Centre) -> None:
    # The fingerprint that the user has from the page of the centre.
    expected = "SHA256:gfXZzaPiaYHcrPqzHvBi6v+BWRS/lXOS/zAjOKeoBJg"
    result = gen("source", "add", str(centre.specs), "--signer", expected, "--yes")
    assert (result.status, result.err.splitlines()[-1]) == (
        2,
        f"{centre.specs}: is signed by {centre.fingerprint}, and not by {expected}",
    )


def test_the_sites_of_a_source_are_found_and_their_origin_is_shown(
    gen: Gen, centre: Centre
) -> None:
    centre.add()
    # The user needs the source no more: without a network everything works that was added.
    centre.specs.rename(centre.specs.with_name("away"))
    shown = gen("show", "ours")
    assert "From the source asc, version 1" in shown.out
    listed = gen("list").out
    # Within 80 columns, in two lines.
    assert all(len(line) <= 80 for line in listed.splitlines())
    text = " ".join(listed.partition("\nours ")[2].split())
    assert text.startswith("Mila cluster CA publickey yes yes (source asc) ")
    assert gen("site", "ours", "--out", ".", "--no-project").status == 0
    assert gen("check").status == 0
    lock = json.loads(Path(".gen/ours.lock").read_bytes())
    assert lock["inputs"]["spec"]["path"] == "source:asc/ours"


def test_a_lock_of_a_source_is_checked_where_the_source_was_not_added(
    gen: Gen, centre: Centre
) -> None:
    centre.add()
    gen("site", "ours", "--out", ".", "--no-project")
    assert gen("source", "remove", "asc", "--yes").status == 0
    assert gen("check").status == 0
    conf = Path("ssh/ours.conf")
    conf.write_text(conf.read_text().replace("2222", "2022"))
    result = gen("check")
    assert result.status == 1
    assert "edited" in result.out


def test_a_spec_that_was_changed_on_disk_is_refused(gen: Gen, home: Path, centre: Centre) -> None:
    centre.add()
    # Another program of the user, or a restored backup, may change the copy.
    path = home / ".config/gen/sources/asc/1/ours.yaml"
    path.write_text(path.read_text().replace("2222", "2022"))
    result = gen("site", "ours", "--out", ".")
    assert result.status == 2
    assert f"{path}: is not the spec that the source asc published" in result.err
    assert not Path("ssh").exists()


def test_the_same_source_is_added_once(gen: Gen, centre: Centre) -> None:
    centre.add()
    result = gen("source", "add", str(centre.specs), "--signer", centre.fingerprint, "--yes")
    assert result.status == 2
    assert "run gen source update asc, or remove that one first" in result.err


def test_a_site_of_two_sources_is_refused(gen: Gen, centre: Centre) -> None:
    centre.add()
    (centre.specs / FILE).unlink()
    # The name of a site must mean one spec, whatever the order of the sources.
    centre.sign("--name", "other")
    result = gen("source", "add", str(centre.specs), "--signer", centre.fingerprint, "--yes")
    assert result.status == 2
    assert result.err.endswith(
        "other: has musica, ours, which the source asc has too;"
        " keep one of them: gen source remove asc\n"
    )


def test_an_update_shows_the_changes_and_is_used_after_them(gen: Gen, centre: Centre) -> None:
    centre.add()
    centre.edit("ours", "port: 2222", "port: 2022")
    centre.sign()
    result = gen("source", "update", "asc", "--yes")
    assert result.status == 0, result.err
    assert "asc: version 1 → 2" in result.err
    assert "ours.yaml:34: trust: host mila: port changed\n    2222 → 2022\n" in result.err
    assert "port: 2022" in gen("show", "ours", "--json").out.replace('"', "")
    assert gen("source", "update").err.endswith("asc: version 2 is the newest\n")


def test_without_consent_an_update_changes_nothing(gen: Gen, home: Path, centre: Centre) -> None:
    centre.add()
    # The record names the version in use; a new one may lie beside it unused.
    record = home / ".config/gen/sources.lock"
    before = record.read_bytes()
    centre.edit("ours", "port: 2222", "port: 2022")
    centre.sign()
    result = gen("source", "update")
    assert result.status == 2
    assert result.err.endswith("Use version 2 of asc? There is no terminal to ask on. Add --yes.\n")
    assert record.read_bytes() == before


def tampered_spec(centre: Centre) -> None:
    centre.edit("ours", "port: 2222", "port: 2022")
    centre.sign()
    # After the signature, as somebody with access to the web server could.
    centre.edit("ours", "port: 2022", "port: 2023")


def unsigned_change(centre: Centre) -> None:
    path = centre.specs / FILE
    # The version alone: a freeze or a rollback would begin with it.
    path.write_text(path.read_text().replace('"version": 1\n}', '"version": 2\n}'))


def no_signature(centre: Centre) -> None:
    (centre.specs / SIGNATURE_FILE).unlink()


def another_signer(centre: Centre) -> None:
    # A valid signature, by a key that nobody handed over to.
    centre.sign_as_a_stranger(publisher.key(centre.specs.parent, "stranger"))


def expired(centre: Centre) -> None:
    path = centre.specs / FILE
    values = json.loads(path.read_bytes()) | {"expires": "2026-01-31", "version": 2}
    sign_by_hand(centre, values)


def sign_by_hand(centre: Centre, values: dict[str, object]) -> None:
    """Sign an index that `gen source sign` would not write."""
    path = centre.specs / FILE
    path.write_text(json.dumps(values))
    (centre.specs / SIGNATURE_FILE).unlink()
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(centre.key), "-n", "gen-source"]
    subprocess.run([*command, str(path)], check=True, capture_output=True)


def changed_under_its_version(centre: Centre) -> None:
    centre.edit("ours", "port: 2222", "port: 2022")
    centre.sign()
    values = index(centre)
    specs = values["specs"]
    assert isinstance(specs, dict)
    # Users who have version 1 would not look at the spec again.
    specs["ours"]["version"] = 1
    sign_by_hand(centre, values)


def path_out_of_the_directory(centre: Centre) -> None:
    values = index(centre) | {"version": 2}
    specs = values["specs"]
    assert isinstance(specs, dict)
    # The name becomes a path of the store, and the signer may be the attacker.
    specs["../ours"] = specs.pop("ours")
    sign_by_hand(centre, values)


def another_namespace(centre: Centre) -> None:

    (centre.specs / SIGNATURE_FILE).unlink()
    # As git signs a commit with the same key.
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(centre.key), "-n", "git"]
    subprocess.run([*command, str(centre.specs / FILE)], check=True, capture_output=True)


def a_fault(centre: Centre) -> None:

    centre.edit("ours", "port: 2222", "port: 222222")
    values = index(centre) | {"version": 2}
    specs = values["specs"]
    assert isinstance(specs, dict)
    # `gen source sign` refuses such a spec, so it is signed by hand.
    digest = hashlib.sha256(centre.spec("ours").read_bytes()).hexdigest()
    specs["ours"] = {"sha256": digest, "version": 2}
    sign_by_hand(centre, values)


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        pytest.param(
            tampered_spec, "ours.yaml: is not the file that the index names", id="changed file"
        ),
        pytest.param(unsigned_change, "the signature is not over this index", id="changed index"),
        pytest.param(
            no_signature, f"{SIGNATURE_FILE}: no such file or directory", id="no signature"
        ),
        pytest.param(another_signer, "and this source has been signed by SHA256:", id="signer"),
        pytest.param(expired, "its index expired on 2026-01-31", id="expired"),
        pytest.param(
            changed_under_its_version, "ours changed under an unchanged version", id="same version"
        ),
        pytest.param(
            path_out_of_the_directory, "specs: '../ours' is not the name of a site", id="path"
        ),
        pytest.param(another_namespace, "the signature is not over this index", id="namespace"),
        pytest.param(a_fault, "hosts.mila.port", id="a spec with a fault"),
    ],
)
def test_an_update_that_differs_from_the_signed_one_changes_nothing(
    gen: Gen, home: Path, centre: Centre, attack: Callable[[Centre], None], words: str
) -> None:
    centre.add()
    before = files_below(home / ".config/gen")
    attack(centre)
    result = gen("source", "update", "asc", "--yes")
    assert result.status == 2
    assert words in result.err
    assert files_below(home / ".config/gen") == before


def files_below(directory: Path) -> dict[str, bytes]:
    """Return every file below a directory but the one that keeps two runs apart."""
    found = {}
    for path in directory.rglob("*"):
        if path.is_file() and path.name != "sources.busy":
            found[str(path.relative_to(directory))] = path.read_bytes()
    return found


def test_an_older_version_is_refused(gen: Gen, home: Path, centre: Centre) -> None:
    # Both files of a former version have a valid signature: only the number tells.
    old = {name: (centre.specs / name).read_bytes() for name in (FILE, SIGNATURE_FILE)}
    centre.sign()
    centre.add()
    for name, content in old.items():
        (centre.specs / name).write_bytes(content)
    result = gen("source", "update", "asc", "--yes")
    assert result.status == 2
    assert "offers version 1, older than version 2 in use" in result.err


def test_a_centre_hands_over_to_a_new_key_and_revokes_the_old_one(
    gen: Gen, centre: Centre, tmp_path: Path
) -> None:
    centre.add()
    new = publisher.key(tmp_path, "new")
    centre.sign("--next-key", f"{new}.pub")
    # The user skips this version: the handover is in every later index.
    centre.sign("--revoke", f"{centre.key}.pub", key=new)
    result = gen("source", "update", "asc", "--yes")
    assert result.status == 0, result.err
    assert f"trust: {publisher.fingerprint(new)} may sign from now on" in result.err
    assert f"trust: {centre.fingerprint} may not sign any more" in result.err
    # Whoever stole the old key signs a newer version.
    for _ in range(3):
        values = index(centre)
        sign_by_hand(centre, values | {"version": int(str(values["version"])) + 1, "revoked": []})
    stolen = gen("source", "update", "asc", "--yes")
    assert stolen.status == 2
    assert f"is signed by {centre.fingerprint}, a key that was revoked" in stolen.err


def test_a_handover_needs_the_signature_of_the_old_key(
    gen: Gen, centre: Centre, tmp_path: Path
) -> None:
    centre.add()
    stranger = publisher.key(tmp_path, "stranger")
    # The stranger announces himself, and the old key says nothing about it.
    centre.sign_as_a_stranger(stranger, "--next-key", f"{stranger}.pub")
    result = gen("source", "update", "asc", "--yes")
    assert result.status == 2
    assert f"signed by {publisher.fingerprint(stranger)}" in result.err


def test_a_publisher_goes_on_only_from_an_index_of_his_own(centre: Centre, tmp_path: Path) -> None:
    sign = ("source", "sign", str(centre.specs), "--key")
    # A wrong key would lock the users out.
    stranger = publisher.key(tmp_path, "stranger")
    result = centre.gen(*sign, str(stranger))
    assert (result.status, "hand over to the new key first" in result.err) == (2, True)
    # A job fetches the last index from a web server, whose versions and handovers it signs again.
    path = centre.specs / FILE
    path.write_text(path.read_text().replace('"version": 1\n}', '"version": 999999\n}'))
    before = path.read_bytes()
    result = centre.gen(*sign, str(centre.key))
    assert (result.status, "is not over the index beside it" in result.err) == (2, True)
    assert path.read_bytes() == before


def test_sources_are_listed_and_removed(gen: Gen, home: Path, centre: Centre) -> None:
    assert gen("source", "list").err == "No source yet. Add one with: gen source add SOURCE\n"
    centre.add()
    out = gen("source", "list").out
    assert "asc" in out and "musica," in out and "ours" in out
    [source] = json.loads(gen("source", "list", "--json").out)["sources"]
    assert source["keys"] == [centre.fingerprint]
    refused = gen("source", "remove", "asc")
    # The command has no --dry-run that the message could name.
    assert refused.err.endswith("There is no terminal to ask on. Add --yes.\n")
    assert gen("source", "remove", "asc", "--yes").status == 0
    assert not (home / ".config/gen/sources").exists()
    assert gen("show", "ours").status == 2


def test_a_repository_keeps_its_sources_in_git(gen: Gen, home: Path, centre: Centre) -> None:
    centre.add("--here")
    assert Path(".gen/sources.lock").exists()
    assert Path(".gen/sources/asc/1/ours.yaml").exists()
    assert not (home / ".config/gen/sources.lock").exists()
    assert gen("site", "ours", "--out", ".", "--no-project").status == 0
    assert gen("check").status == 0


def test_a_link_in_a_repository_does_not_lead_a_removal_elsewhere(
    gen: Gen, centre: Centre, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    (precious / "5").mkdir(parents=True)
    (precious / "5/thesis.tex").write_text("…")
    centre.add("--here")
    Path(".gen/sources/evil").symlink_to(precious)
    assert gen("source", "remove", "asc", "--here", "--yes").status == 0
    assert (precious / "5/thesis.tex").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("http://example.org/specs", "is not an https address", id="http"),
        pytest.param("ftp://example.org/specs", "is not an https address", id="ftp"),
        pytest.param("https://ada:secret@example.org/", "holds a password", id="password"),
        pytest.param("https://example.org/?x=1", "has a query or a fragment", id="query"),
        pytest.param("git+https://example.org/specs", "names no revision", id="no revision"),
        pytest.param(
            "git+ssh://example.org/specs@main", "is not an https address", id="git by ssh"
        ),
        pytest.param(
            "git+https://example.org/specs@--upload-pack=x", "is not a branch", id="option"
        ),
        pytest.param("git+https://example.org/specs@a..b", "is not a branch", id="range"),
        pytest.param(
            "git+https://example.org/specs@main#subdirectory=../x", "#subdirectory=DIR", id="out"
        ),
    ],
)
def test_an_address_that_is_not_a_source_is_refused(gen: Gen, text: str, words: str) -> None:
    result = gen("source", "add", text)
    assert result.status == 2
    assert words in result.err
    assert "secret" not in result.err


def test_each_kind_of_address_is_read() -> None:
    assert origin.parse("https://example.org/gen") == origin.Web("https://example.org/gen/")
    assert origin.parse("git+https://example.org/specs.git@v1#subdirectory=hpc") == (
        origin.Repository("https://example.org/specs.git", "v1", "hpc")
    )
    assert origin.parse("specs") == origin.Directory(Path("specs"))


@pytest.fixture
def repository(gen: Gen, centre: Centre) -> str:
    """The commit of a repository that uses the source, with its files generated."""
    git("init", "--quiet", "--initial-branch=main")
    centre.add("--here")
    assert gen("site", "ours", "--out", ".", "--no-project").status == 0
    return commit()


def commit() -> str:
    """Commit everything, and return the name of the commit."""
    git("add", ".")
    git("commit", "--quiet", "--message=a step")
    return git("rev-parse", "HEAD").strip()


def findings(gen: Gen, base: str) -> list[str]:
    """Return the findings of a review as `rule: file: message`."""
    report = json.loads(gen("review", base, "--format", "json").out)
    return [f"{entry['rule']}: {entry['file']}: {entry['message']}" for entry in report["findings"]]


def test_a_review_shows_a_new_source_as_trust(gen: Gen, centre: Centre) -> None:
    git("init", "--quiet", "--initial-branch=main")
    Path("README").write_text("ours\n")
    base = commit()
    centre.add("--here")
    commit()
    assert f"trust: .gen/sources.lock: the source asc is new, from {centre.specs}" in (
        findings(gen, base)
    )
    assert gen("review", base, "--fail-on", "trust").status == 1


def test_a_review_shows_an_update_by_its_meaning(gen: Gen, centre: Centre, repository: str) -> None:
    centre.edit("ours", "port: 2222", "port: 2022")
    centre.sign()
    assert gen("source", "update", "--here", "--yes").status == 0
    assert gen("site", "--all").status == 0
    commit()
    shown = findings(gen, repository)
    assert shown == [
        "trust: .gen/sources/asc/2/ours.yaml: host mila: port changed",
        "tuning: .gen/sources.lock: the source asc: version 1 → 2",
    ]


def test_a_review_shows_what_a_source_of_a_user_changed(gen: Gen, centre: Centre) -> None:
    git("init", "--quiet", "--initial-branch=main")
    centre.add()
    assert gen("site", "ours", "--out", ".", "--no-project").status == 0
    base = commit()
    centre.edit("ours", "port: 2222", "port: 2022")
    centre.sign()
    assert gen("source", "update", "--yes").status == 0
    assert gen("site", "--all").status == 0
    commit()
    # A reviewer need not have the source: the locks of both revisions keep the spec.
    assert gen("source", "remove", "asc", "--yes").status == 0
    assert findings(gen, base) == [
        "trust: .gen/ours.lock: host mila: port changed, in the source asc"
    ]


def test_a_review_names_the_source_and_the_digest_of_a_new_lock(gen: Gen, centre: Centre) -> None:
    git("init", "--quiet", "--initial-branch=main")
    Path("README.md").write_text("Hello\n")
    base = commit()
    centre.add()
    assert gen("site", "ours", "--out", ".", "--no-project").status == 0
    commit()
    digest = json.loads(Path(".gen/ours.lock").read_text())["inputs"]["spec"]["sha256"]
    report = json.loads(gen("review", base, "--format", "json").out)
    details = {finding["message"]: finding["details"] for finding in report["findings"]}
    message = "the lock of ours is new; gen generates files from these inputs"
    assert details[message][:2] == [
        "source spec: source:asc/ours",
        f"SHA-256 of the spec: {digest}",
    ]
    assert "the site ours is new; its users trust all of this" in details


def trust_another_key(record: dict[str, Any], centre: Centre) -> None:
    stranger = publisher.key(centre.specs.parent, "stranger").with_suffix(".pub")
    record["sources"]["asc"]["keys"] = [" ".join(stranger.read_text().split()[:2])]


def fetch_from_elsewhere(record: dict[str, Any], centre: Centre) -> None:
    record["sources"]["asc"]["origin"] = "https://evil.example.org/"


def go_back(record: dict[str, Any], centre: Centre) -> None:
    record["sources"]["asc"]["version"] = 1
    Path(".gen/sources/asc/2").rename(".gen/sources/asc/1")


def edit_a_spec_with_its_digest(record: dict[str, Any], centre: Centre) -> None:
    path = Path(".gen/sources/asc/2/ours.yaml")
    path.write_text(path.read_text().replace("port: 2222", "port: 2022"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    record["sources"]["asc"]["specs"]["ours"]["sha256"] = digest


def edit_a_spec_alone(record: dict[str, Any], centre: Centre) -> None:
    path = Path(".gen/sources/asc/2/ours.yaml")
    path.write_text(path.read_text() + "# a comment\n")


def add_a_file(record: dict[str, Any], centre: Centre) -> None:
    Path(".gen/sources/asc/2/more.yaml").write_text("site: more\n")


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        pytest.param(
            trust_another_key,
            "trust: .gen/sources.lock: SHA256:",
            id="another key",
        ),
        pytest.param(fetch_from_elsewhere, "→ https://evil.example.org/", id="another address"),
        pytest.param(go_back, "version 2 → 1, an older one", id="an older version"),
        pytest.param(
            edit_a_spec_with_its_digest,
            "ours of the source asc changed under an unchanged version",
            id="spec and digest",
        ),
        pytest.param(
            edit_a_spec_alone,
            "trust: .gen/sources/asc/2/ours.yaml: is not the spec that the source asc published",
            id="spec alone",
        ),
        pytest.param(add_a_file, "trust: .gen/sources/asc/2/more.yaml", id="a file beside"),
    ],
)
def test_a_review_shows_changes_that_gen_did_not_make(
    gen: Gen,
    centre: Centre,
    repository: str,
    change: Callable[[dict[str, Any], Centre], None],
    finding: str,
) -> None:
    centre.sign()
    assert gen("source", "update", "--here", "--yes").status == 0
    base = commit()
    lock = Path(".gen/sources.lock")
    record = json.loads(lock.read_bytes())
    change(record, centre)
    lock.write_text(json.dumps(record))
    commit()
    shown = findings(gen, base)
    assert any(finding in line and line.startswith("trust: ") for line in shown), shown
