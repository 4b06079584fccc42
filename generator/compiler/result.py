"""What comes of compiling a site: the artifacts, and what a person should be told about them."""

from dataclasses import dataclass

from generator.compiler.artifact import Artifact


@dataclass(frozen=True)
class Gap:
    """Something that only the person knows, and the artifacts lack."""

    name: str
    meaning: str


@dataclass(frozen=True)
class Unpinned:
    """Host keys that are left out, because no source of theirs can be trusted unasked."""

    name: str
    reason: str
    docs: str


@dataclass(frozen=True)
class FirstLogin:
    """The commands that lead to a first login, ready to paste; what is not known stands in capitals."""

    alias: str
    key: str | None
    make_key: str | None
    """Command that makes the key pair, where the person has to."""
    submit: str | None
    """Where the public key is then handed in, in the site's words."""
    max_keys: int | None
    """How many public keys the site stores for one person."""
    credential: tuple[str, ...]
    """Commands that get a certificate or a ticket."""


@dataclass(frozen=True)
class Compilation:
    """Everything that a command writes and says about a site."""

    site: str
    title: str
    status: str | None
    """That the site is about to stop, or has; ``None`` when there is nothing to tell."""
    profile: dict[str, str | bool]
    """The values of the person that went in, for the lock."""
    changes: tuple[str, ...]
    """The changes to the spec that went in, those of the profile too, as `--set` takes them."""
    keys: dict[str, str]
    """Digest of every value of the spec, by its keys."""
    templates: str
    """Digest of the templates that were filled in."""
    artifacts: tuple[Artifact, ...]
    gaps: tuple[Gap, ...]
    unpinned: tuple[Unpinned, ...]
    first_login: FirstLogin
