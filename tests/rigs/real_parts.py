"""The real parts that the tests of `gen refresh` share: one identity provider for all, a CA for each module."""

from collections.abc import Callable, Iterator

import pytest
from identity_provider import IdentityProvider
from sshd import TEST_USER
from step_ca import PROGRAMS, Authority, Member, authority, membership


@pytest.fixture(scope="session")
def started_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityProvider]:
    """An identity provider; take `provider`, which begins anew for each test."""
    with IdentityProvider(
        tmp_path_factory.mktemp("provider"), TEST_USER.pw_name
    ).running() as provider:
        yield provider


@pytest.fixture
def provider(
    need: Callable[..., None], request: pytest.FixtureRequest
) -> Iterator[IdentityProvider]:
    """An identity provider that has been asked nothing; what it was asked is valid, or the test fails."""
    need(*PROGRAMS, root=True)
    provider: IdentityProvider = request.getfixturevalue("started_provider")
    provider.restore()
    yield provider
    assert provider.invalid == []


@pytest.fixture(scope="module")
def started_ca(
    started_provider: IdentityProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Authority]:
    """A CA; take `ca`, which skips where programs are missing."""
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
    """A person of the site `rig`, who has a spec, a profile and credentials, and no certificate yet.

    Whatever a test does, it fails when a secret is found where it does not belong.
    """
    with membership(tmp_path_factory.mktemp("member"), provider, ca) as member:
        member.settle()
        yield member
        assert member.spilled() == []
