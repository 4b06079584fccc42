"""Every artifact of every site that ships with gen, as a file of its own, to be reviewed as what it is."""

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension

from generator.compiler.artifact import Artifact
from generator.compiler.compile import compile_site
from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema.profile import SiteProfile

SITES = sorted(path.stem for path in CATALOGUE.glob("*.yaml"))


def as_file(snapshot: SnapshotAssertion, artifact: Artifact) -> SnapshotAssertion:
    """Give the snapshot the artifact's own ending, so that it opens as what it is."""
    ending = "env" if artifact.path.name.startswith(".env") else artifact.path.suffix[1:]
    extension = type(
        f"{ending.title()}File", (SingleFileSnapshotExtension,), {"file_extension": ending}
    )
    return snapshot.use_extension(extension)


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("person", ["ada", "nobody"])
def test_artifacts(site: str, person: str, ada: SiteProfile, snapshot: SnapshotAssertion) -> None:
    known = ada if person == "ada" else SiteProfile()
    for artifact in compile_site(validate.site(CATALOGUE / f"{site}.yaml"), known):
        assert artifact.content == as_file(snapshot, artifact)


@pytest.mark.parametrize("site", SITES)
def test_modes_and_places_of_artifacts(
    site: str, ada: SiteProfile, snapshot: SnapshotAssertion
) -> None:
    """Modes are written down here, since git keeps none."""
    artifacts = compile_site(validate.site(CATALOGUE / f"{site}.yaml"), ada)
    assert [
        f"{item.mode:04o} {item.owner} {item.path} → {item.install_to}" for item in artifacts
    ] == snapshot
