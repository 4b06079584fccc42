"""The findings of a probe: their kind, spec and site side by side, and a remedy."""

from dataclasses import dataclass
from enum import StrEnum

from generator.loading.overrides import SpecChange


class Kind(StrEnum):
    """The kind of a difference, or the reason why a question has no answer."""

    NAME = "name"
    """A host name does not resolve."""
    TCP = "tcp"
    """A port does not answer."""
    CONNECTION = "connection"
    """The port answers, but ssh cannot open a session."""
    HOST_KEY = "host-key"
    """A host offers a key that the spec does not pin."""
    HOST_KEY_GONE = "host-key-gone"
    """A host no longer offers a key of a pinned algorithm."""
    HOST_CERTIFICATE = "host-certificate"
    """A host has no valid certificate of a pinned authority."""
    KEY = "key"
    """The private key is missing."""
    CERTIFICATE = "certificate"
    """The certificate of the private key is missing, or is not valid now."""
    LOGIN = "login"
    """The site refuses the user."""
    PERSON = "person"
    """The login asks for something to type or to confirm, and there is no terminal."""
    ANSWER = "answer"
    """A command gave no answer, or none in time."""
    CLOCK = "clock"
    """The clocks of the site and of this machine differ."""
    SSH_CLIENT = "ssh-client"
    """The installed ssh is too old for the configuration."""
    KEY_IN_HOME = "key-in-home"
    """Compute nodes do not find the key of the user in the home directory."""
    OPEN_FILES = "open-files"
    """The site allows fewer open files than Ray asks for."""
    PARTITION_MISSING = "partition-missing"
    """The site lacks a partition of the spec."""
    PARTITION_EXTRA = "partition-extra"
    """The spec lacks a partition of the site."""
    QOS_MISSING = "qos-missing"
    """The site lacks a QoS of the spec."""
    QOS_EXTRA = "qos-extra"
    """The spec lacks a QoS that the user may use at the site."""
    QOS_PAIRING = "qos-pairing"
    """A partition refuses a QoS that the spec pairs with it."""
    WALLTIME = "walltime"
    """A time limit differs."""
    MEMORY = "memory"
    """The memory of nodes differs, or a job would ask for more than there is."""

    @property
    def is_unanswered(self) -> bool:
        """Whether it stands for a question without an answer, and not for a difference."""
        return self in _UNANSWERED


_UNANSWERED = {
    Kind.NAME,
    Kind.TCP,
    Kind.CONNECTION,
    Kind.KEY,
    Kind.CERTIFICATE,
    Kind.PERSON,
    Kind.ANSWER,
}


@dataclass(frozen=True)
class ProbeFinding:
    """A difference between spec and site, or a question without an answer."""

    kind: Kind
    key: str
    """The keys of the spec that it concerns, joined by dots."""
    spec: str
    site: str
    action: str
    """The remedy, for the user."""
    changes: tuple[SpecChange, ...] = ()
    """The changes that `--fix-spec` writes.

    Only facts about queues have any: the user decides about trust, such as host keys.
    """
