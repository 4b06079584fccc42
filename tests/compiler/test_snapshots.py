"""Every artifact of most sites in the catalogue, as a file of its own that a reviewer can open."""

import pytest
from catalogue_sites import SNAPSHOT_SITES
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension

from generator.compiler.artifact import Artifact
from generator.compiler.compile import compile_site
from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema.profile import SiteProfile


class ArtifactFile(SingleFileSnapshotExtension):
    """A snapshot of bytes in a file with the artifact's own extension."""


def assert_artifact(artifact: Artifact, snapshot: SnapshotAssertion) -> None:
    name = artifact.path.name
    extension = "env" if name.startswith(".env") else artifact.path.suffix[1:]
    file_type = type(f"{extension}File", (ArtifactFile,), {"file_extension": extension})
    assert artifact.content == snapshot.use_extension(file_type)


@pytest.mark.parametrize("site", SNAPSHOT_SITES)
def test_artifacts_for_a_known_user(
    site: str, ada: SiteProfile, snapshot: SnapshotAssertion
) -> None:
    for artifact in compile_site(validate.site(CATALOGUE / f"{site}.yaml"), ada):
        assert_artifact(artifact, snapshot)


# musica has certificates and pins from a weak source, mila has nodes, jobs and pins from a strong
# source, and isambard-ai has jump hosts and user names with a placeholder for the project.
@pytest.mark.parametrize("site", ["musica", "mila", "isambard-ai"])
def test_artifacts_for_an_unknown_user(site: str, snapshot: SnapshotAssertion) -> None:
    for artifact in compile_site(validate.site(CATALOGUE / f"{site}.yaml"), SiteProfile()):
        assert_artifact(artifact, snapshot)


@pytest.mark.parametrize("site", SNAPSHOT_SITES)
def test_modes_and_paths_of_artifacts(
    site: str, ada: SiteProfile, snapshot: SnapshotAssertion
) -> None:
    # Modes are here because git does not store them.
    artifacts = compile_site(validate.site(CATALOGUE / f"{site}.yaml"), ada)
    lines = []
    for artifact in artifacts:
        lines.append(
            f"{artifact.mode:04o} {artifact.owner} {artifact.path} → {artifact.install_to}"
        )
    assert lines == snapshot
