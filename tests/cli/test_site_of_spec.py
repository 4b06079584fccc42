"""`gen site` finds the earlier files of a site by the name in its parsed spec, not by its text."""

from pathlib import Path

from running import Gen

# The quoted key and the title that goes on in a second line misled a search for `site: `.
MISLEADING = """\
"site": other
title: "A cluster
site: ours
 x"
hosts: { other: { host: login.other.example } }
auth: { method: publickey }
"""
OURS = """\
site: ours
title: Our cluster
hosts: { ours: { host: login.ours.example } }
auth: { method: publickey }
"""


def test_a_spec_cannot_have_the_files_of_another_site_deleted(gen: Gen, home: Path) -> None:
    Path("ours.yaml").write_text(OURS)
    Path("misleading.yaml").write_text(MISLEADING)
    assert gen("site", "ours.yaml", "--no-project").status == 0
    before = {path: path.read_bytes() for path in Path().rglob("*ours*") if path.is_file()}
    assert gen("site", "misleading.yaml", "--no-project", "--force").status == 0
    after = {path: path.read_bytes() for path in Path().rglob("*ours*") if path.is_file()}
    assert after == before
    assert Path("ssh/other.conf").is_file()


def test_files_that_the_site_no_longer_has_are_deleted(gen: Gen, home: Path) -> None:
    spec = Path("renamed-file.yaml")
    pinned = (
        "sources: { s: { ref: test } }\nhost_keys: { k: { hosts: ours, source: s, keys: "
        '"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINTioronDOEHSdoVtUxClHEaIHT9V3VXJVOTdjeXOajt" } }\n'
    )
    spec.write_text(OURS + pinned)
    assert gen("site", str(spec), "--no-project").status == 0
    assert Path("ssh/ours.known_hosts").is_file()
    spec.write_text(OURS)
    assert gen("site", str(spec), "--no-project").status == 0
    assert not Path("ssh/ours.known_hosts").exists()
