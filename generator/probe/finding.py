"""What a visit to a site finds: a kind from a closed list, what the spec says, what the site says, and what to do."""

from dataclasses import dataclass
from enum import StrEnum

from generator.loading.overrides import Change


class Kind(StrEnum):
    """What differs, or why a question could not be asked."""

    NAME = "name"
    """A host name does not resolve."""
    TCP = "tcp"
    """A port does not answer."""
    CONNECTION = "connection"
    """The port answers, but no ssh session comes of it."""
    HOST_KEY = "host-key"
    """A host key is offered that the spec does not pin."""
    HOST_KEY_GONE = "host-key-gone"
    """No host key of a pinned kind is offered any more."""
    HOST_CERTIFICATE = "host-certificate"
    """No host certificate of a pinned authority, or none that is valid."""
    KEY = "key"
    """The private key is missing."""
    CERTIFICATE = "certificate"
    """The certificate of the private key is missing, or is not valid now."""
    LOGIN = "login"
    """The site does not let the person in."""
    PERSON = "person"
    """Somebody has to type or confirm something, and there is no terminal."""
    ANSWER = "answer"
    """A command gave no answer, or none in time."""
    CLOCK = "clock"
    """The clocks here and there differ."""
    SSH_CLIENT = "ssh-client"
    """The ssh of this machine is older than the configuration."""
    OPEN_FILES = "open-files"
    """Fewer open files are allowed than Ray is told to ask for."""
    PARTITION_MISSING = "partition-missing"
    """The spec has a partition that the site has not."""
    PARTITION_EXTRA = "partition-extra"
    """The site has a partition that the spec has not."""
    QOS_MISSING = "qos-missing"
    """The spec has a QoS that the site has not."""
    QOS_EXTRA = "qos-extra"
    """The site has a QoS for the person that the spec has not."""
    QOS_PAIRING = "qos-pairing"
    """A partition refuses a QoS that the spec pairs with it."""
    WALLTIME = "walltime"
    """A time limit differs."""
    MEMORY = "memory"
    """The memory of nodes differs, or a job would ask for more than there is."""

    @property
    def unasked(self) -> bool:
        """Tell whether it is a question that could not be asked, and not a difference."""
        return self in _UNASKED


_UNASKED = {
    *(Kind.NAME, Kind.TCP, Kind.CONNECTION, Kind.KEY),
    *(Kind.CERTIFICATE, Kind.LOGIN, Kind.PERSON, Kind.ANSWER),
}


@dataclass(frozen=True)
class Finding:
    """One difference, or one question that could not be asked."""

    kind: Kind
    about: str
    """The keys of the spec that it is about, dots between."""
    spec: str
    site: str
    todo: str
    mends: tuple[Change, ...] = ()
    """What `--fix-spec` writes; nothing where it is no fact about the queues, above all for what people trust."""
