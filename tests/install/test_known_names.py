"""A name that only known_hosts holds is the user's, unless the site leads to the same machine."""

import base64
import hmac
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from depth import examples
from homes import spec, tree
from running import Gen

from generator.errors import GenError
from generator.install.known_names import known_names
from generator.ssh.keys import fingerprint

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
OTHER_KEY = KEY.replace("AABAgME", "AABAgMF")
SOURCES = {"page": {"url": "https://docs.example.org", "checked": "2026-11-01"}}


def site(host: dict[str, Any], key: str | None = None, alias: str = "nas") -> Path:
    """Write the spec of a site with a host, of which it may pin a key."""
    more: dict[str, Any] = {}
    if key:
        pins = {"hosts": alias, "source": "page", "fingerprints": {"ed25519": fingerprint(key)}}
        more = {"host_keys": {"login": pins}, "sources": SOURCES}
    return spec(Path(), hosts={alias: host}, **more)


@pytest.fixture(params=[False, True], ids=["plain", "hashed"])
def record_key(
    request: pytest.FixtureRequest, home: Path, need: Callable[..., None]
) -> Callable[[str], None]:
    """Write known_hosts with a key for a name, as ssh writes it."""
    need("ssh-keygen", "ssh")

    def write(name: str) -> None:
        path = home / ".ssh/known_hosts"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(f"# mine\n@cert-authority * {OTHER_KEY}\n{name} {KEY}\n")
        if request.param:
            subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
            path.with_name("known_hosts.old").unlink()
            assert name not in path.read_text()

    return write


@pytest.mark.parametrize(
    ("recorded", "name", "host", "key"),
    [
        pytest.param("nas", "nas", {"host": "evil.example"}, None, id="an alias for another host"),
        pytest.param("nas", "nas", {"host": "evil.example"}, OTHER_KEY, id="and with its pin"),
        pytest.param("NAS.home", "nas.home", {"host": "nas.home"}, OTHER_KEY, id="another pin"),
        pytest.param(
            "[nas.home]:2222",
            "nas.home",
            {"host": "nas.home", "port": 2222},
            OTHER_KEY,
            id="a port",
        ),
    ],
)
def test_a_name_of_known_hosts_with_another_key_needs_consent(
    gen: Gen,
    home: Path,
    record_key: Callable[[str], None],
    recorded: str,
    name: str,
    host: dict[str, Any],
    key: str | None,
) -> None:
    record_key(recorded)
    path = site(host, key)
    before = tree(home)
    result = gen("install", str(path), "--yes")
    assert (result.status, result.err) == (
        2,
        f"{name}: your known_hosts has a key for it that the spec of ours does not pin; "
        f"to allow that, add --allow-name {name}\nNothing was written.\n",
    )
    assert tree(home) == before
    assert gen("install", str(path), "--yes", "--allow-name", name).status == 0
    assert gen("install", str(path), "--yes", "--user", "ada").status == 0


@pytest.mark.parametrize(
    ("recorded", "host", "key"),
    [
        pytest.param("nas.home", {"host": "nas.home"}, KEY, id="the pinned key"),
        pytest.param("nas", {"host": "nas.home"}, KEY, id="an alias of the same machine"),
        pytest.param("nas.home", {"host": "nas.home"}, None, id="ssh compares the key itself"),
        pytest.param("other", {"host": "nas.home"}, OTHER_KEY, id="another name"),
    ],
)
def test_a_name_of_known_hosts_that_leads_to_the_same_machine_is_the_site_s(
    gen: Gen,
    home: Path,
    record_key: Callable[[str], None],
    recorded: str,
    host: dict[str, Any],
    key: str | None,
) -> None:
    record_key(recorded)
    assert gen("install", str(site(host, key)), "--yes").status == 0


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(f"nas* {KEY}", id="a pattern"),
        pytest.param(f"!nasa,[NA?]:2222 {KEY}", id="a pattern with a port"),
        pytest.param(f"@cert-authority nas {KEY}", id="an authority"),
        pytest.param(f"other,nas {KEY}", id="two names"),
    ],
)
def test_a_name_counts_in_each_form_of_known_hosts(gen: Gen, home: Path, line: str) -> None:
    (home / ".ssh").mkdir(mode=0o700)
    (home / ".ssh/known_hosts").write_text(f"* {OTHER_KEY}\n{line}\n")
    result = gen("install", str(site({"host": "evil.example"})), "--yes")
    assert result.err.startswith("nas: your known_hosts has a key for it that the spec of ours")
    # A name that the line is not for.
    other = site({"host": "evil.example"}, alias="nasa" if "!nasa" in line else "san")
    assert gen("install", str(other), "--yes").status == 0


def write_hashed(home: Path, names: Iterable[str]) -> Path:
    """Write known_hosts with a hashed name per line, as ssh does (ssh-keygen(1), -H)."""
    path = home / ".ssh/known_hosts"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    lines: list[str] = []
    for number, name in enumerate(names):
        salt = number.to_bytes(20, "big")
        digest = hmac.digest(salt, name.encode(), "sha1")
        text = "|".join(base64.b64encode(part).decode() for part in (salt, digest))
        lines.append(f"|1|{text} {KEY}\n")
    path.write_text("".join(lines))
    return path


def test_a_large_hashed_known_hosts_is_compared_whole(gen: Gen, home: Path) -> None:
    # Of 14 MB in a full run.
    write_hashed(home, [*(f"host{number}" for number in range(examples(100_000))), "nas"])
    result = gen("install", str(site({"host": "evil.example"})), "--yes")
    assert result.err.startswith("nas: your known_hosts has a key for it that the spec of ours")


def test_each_hash_is_compared_with_a_name_once_per_unusual_port(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_hashed(home, ["other"] * 10)
    compared: list[bytes] = []

    def digest(_: bytes, name: bytes, algorithm: str) -> bytes:
        compared.append(name)
        return b""

    monkeypatch.setattr(hmac, "digest", digest)
    assert known_names(home, b"Host a b\nPort 22\nHost a\nPort 2222\n") == {}
    # ssh never records [a]:22.
    names = [b"a", b"[a]:2222", b"b", b"[b]:2222"]
    assert sorted(compared) == sorted(names * 10)


def test_more_hashes_than_gen_compares_with_the_names_of_a_site_are_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 500 names at one unusual port: 5,000 hashes are compared, and no more.
    names = "".join(f"Host h{number}\nPort 2222\n" for number in range(500)).encode()
    path = write_hashed(home, ["other"] * 5_001)
    # No comparison before the refusal, so that it comes soon.
    monkeypatch.setattr(hmac, "digest", None)
    with pytest.raises(GenError) as error:
        known_names(home, names)
    fix = f"cp {path} {path}.all && tail -n 5000 {path}.all > {path}"
    assert str(error.value) == (
        f"{path}: has 5001 hashed names, and gen compares at most 5000 with the names of this "
        f"site; to keep the last ones: {fix}"
    )
    # Pasted, it is enough, and every line stays in the copy.
    subprocess.run(["sh", "-c", fix], check=True)
    monkeypatch.setattr(hmac, "digest", lambda *_: b"")
    assert known_names(home, names) == {}
    assert len(path.with_name("known_hosts.all").read_text().splitlines()) == 5_001


@pytest.mark.parametrize("name", ["~/.ssh/mine", "%d/.ssh/mine", "~/.ssh/of_%h"])
def test_a_known_hosts_file_of_the_users_configuration_counts(
    gen: Gen, home: Path, name: str
) -> None:
    (home / ".ssh").mkdir(mode=0o700)
    (home / ".ssh/config").write_text(f"UserKnownHostsFile {name}\n")
    (home / name.replace("%d/", "").replace("~/", "").replace("%h", "nas")).write_text(
        f"nas {KEY}\n"
    )
    result = gen("install", str(site({"host": "evil.example"})), "--yes")
    assert result.err.startswith("nas: your known_hosts has a key for it that the spec of ours")


@pytest.mark.parametrize(
    ("key", "is_refused"),
    [
        pytest.param(OTHER_KEY, True, id="another pin"),
        pytest.param(KEY, False, id="the recorded key"),
        pytest.param(None, False, id="ssh compares the key itself"),
    ],
)
def test_a_pattern_of_a_site_does_not_take_a_name_of_known_hosts(
    gen: Gen, home: Path, key: str | None, is_refused: bool
) -> None:
    (home / ".ssh").mkdir(mode=0o700)
    (home / ".ssh/known_hosts").write_text(f"gitlab {KEY}\n")
    more: dict[str, Any] = {
        "sources": SOURCES,
        "compute": {"n": {"match": "gi????", "through": "a"}},
    }
    if key:
        pins = {"hosts": "n", "source": "page", "fingerprints": {"ed25519": fingerprint(key)}}
        more["host_keys"] = {"nodes": pins}
    path = spec(Path(), hosts={"a": {"host": "a.example"}}, **more)
    result = gen("install", str(path), "--yes")
    message = (
        "gi????: your known_hosts has a key for gitlab that the spec of ours does not pin; "
        "to allow that, add --allow-name 'gi????'\nNothing was written.\n"
    )
    if is_refused:
        assert (result.status, result.err) == (2, message)
        result = gen("install", str(path), "--yes", "--allow-name", "gi????")
    assert result.status == 0
