"""Two sites do not keep different certificates in one file, as one key for all sites would do."""

from pathlib import Path
from typing import Any

import pytest
from homes import spec, tree
from running import Gen


def site(home: Path, name: str, *command: str) -> Path:
    """Write the spec of a site whose command gets a certificate."""
    auth: dict[str, Any] = {"method": "certificate", "command": list(command), "lifetime": "1d"}
    hosts = {name: {"host": f"{name}.example.org"}}
    return spec(home, name, hosts=hosts, auth=auth)


@pytest.fixture
def home(home: Path) -> Path:
    profile = home / ".config/gen/profile.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text("user: ada\nidentity_file: ~/.ssh/id_ed25519\n")
    return home


def test_a_second_site_with_another_issuer_is_refused(home: Path, gen: Gen) -> None:
    assert gen("install", str(site(home, "one", "getcert", "one")), "--yes").status == 0
    before = tree(home)
    result = gen("install", str(site(home, "two", "getcert", "two")), "--yes")
    assert result.status == 2
    assert (
        "~/.ssh/id_ed25519-cert.pub: one and two would keep different certificates there; give two "
        "a key of its own in your profile: sites: {two: {identity_file: ~/.ssh/id_two}}\n"
        "Nothing was written."
    ) in result.err
    assert tree(home).keys() - before.keys() <= {"two.yaml"}


def test_a_second_site_with_a_key_of_its_own_is_installed(home: Path, gen: Gen) -> None:
    gen("install", str(site(home, "one", "getcert", "one")), "--yes")
    with (home / ".config/gen/profile.yaml").open("a") as profile:
        profile.write("sites: {two: {identity_file: ~/.ssh/id_two}}\n")
    assert gen("install", str(site(home, "two", "getcert", "two")), "--yes").status == 0


def test_sites_of_one_centre_share_their_certificate(home: Path, gen: Gen) -> None:
    for name in ("one", "two"):
        assert gen("install", str(site(home, name, "getcert")), "--yes").status == 0
