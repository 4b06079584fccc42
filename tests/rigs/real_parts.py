"""The real parts that the tests of `gen refresh` share, and the deployment of a Dagster project.

One identity provider for all, a CA for each module.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import slurm
import sshd
from identity_provider import IdentityProvider
from sshd import TEST_USER
from step_ca import PROGRAMS, Authority, Member, authority, membership

if TYPE_CHECKING:
    # It imports Dagster, which takes seconds.
    from deployment import Deployment


@pytest.fixture
def deployment(need: Callable[..., None], request: pytest.FixtureRequest) -> "Deployment":
    """Return the deployment of a module, started only where its programs are installed.

    The module starts it in its fixture `started_deployment`.
    """
    need(*slurm.PROGRAMS, *sshd.PROGRAMS, root=True)
    deployment: Deployment = request.getfixturevalue("started_deployment")
    return deployment


@pytest.fixture(scope="session")
def started_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityProvider]:
    """An identity provider; use `provider`, which forgets the requests of other tests."""
    with IdentityProvider(
        tmp_path_factory.mktemp("provider"), TEST_USER.pw_name
    ).running() as provider:
        yield provider


@pytest.fixture
def provider(
    need: Callable[..., None], request: pytest.FixtureRequest
) -> Iterator[IdentityProvider]:
    """An identity provider without requests; an invalid request fails the test."""
    need(*PROGRAMS, root=True)
    provider: IdentityProvider = request.getfixturevalue("started_provider")
    provider.restore()
    yield provider
    assert provider.invalid == []


@pytest.fixture(scope="module")
def started_ca(
    started_provider: IdentityProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Authority]:
    """A CA; use `ca`, which skips the test if a program is missing."""
    started_provider.restore()
    with authority(tmp_path_factory.mktemp("ca"), started_provider) as ca:
        yield ca


@pytest.fixture
def ca(provider: IdentityProvider, request: pytest.FixtureRequest) -> Authority:
    """A CA whose certificates last 16 hours."""
    ca: Authority = request.getfixturevalue("started_ca")
    return ca


@pytest.fixture
def member(
    provider: IdentityProvider, ca: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Member]:
    """A user of the site `rig` with a spec, a profile and credentials, and without a certificate.

    A test fails if a secret is in an output, or in a file that is not for secrets.
    """
    with membership(tmp_path_factory.mktemp("member"), provider, ca) as member:
        member.settle()
        yield member
        assert member.spilled() == []
