"""The result of compiling a site: the artifacts, and the facts to report about them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from generator.compiler.artifact import Artifact


class Gap(NamedTuple):
    """A key of the profile that has no value although an artifact needs it."""

    name: str
    meaning: str


class Unpinned(NamedTuple):
    """Host keys that gen does not pin: their sources are weak, or their list was not fetched."""

    name: str
    reason: str
    reference: str
    """Where a user compares them."""
    is_listed: bool
    """Whether they are in a list alone, which gen fetches only for a published spec."""


class FirstLogin(NamedTuple):
    """The commands before the first login, ready to paste.

    An unknown value is written in capitals.
    """

    alias: str
    key: str | None
    """Path of the private key."""
    make_key: str | None
    """Command that makes the key pair, if the user must make it."""
    submit: str | None
    """Where the user submits the public key, in the site's words."""
    max_keys: int | None
    """Number of public keys that the site stores for one user."""
    credential: tuple[str, ...]
    """Commands that get a certificate or a ticket."""
    lifetime: str | None = None
    """Time for which the site accepts a submitted public key."""
    make_rsa_key: str | None = None
    """Command that makes an RSA key instead, if the site may accept one."""
    nodes_with_key_in_home: tuple[str, ...] = ()
    """Names of the compute nodes that look for the public key in the home directory."""


@dataclass(frozen=True)
class Compilation:
    """The artifacts of a site, and everything that a command says about them."""

    site: str
    title: str
    status: str | None
    """A warning that the site closes or has closed; ``None`` for an active site."""
    is_retired: bool
    """Whether the site has closed."""
    scheduler: str
    """Name of the scheduler if it is not Slurm, else empty."""
    profile: dict[str, str | bool]
    """The values of the profile that were used, for the lock."""
    changes: tuple[str, ...]
    """The changes to the spec, with those of the profile, in the syntax of `--set`."""
    keys: dict[str, str]
    """Digest of every value of the spec, by its key path."""
    resolved_spec: Mapping[str, Any]
    """The values of the spec after all changes, without defaults."""
    templates: str
    """Digest of the templates that were used."""
    artifacts: tuple[Artifact, ...]
    """The artifacts of the site, which its lock records."""
    project_files: tuple[Artifact, ...]
    """The other files of its Dagster project, which the lock of the project records."""
    gaps: tuple[Gap, ...]
    unpinned: tuple[Unpinned, ...]
    first_login: FirstLogin
