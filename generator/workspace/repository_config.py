"""The model of `.gen/config.yaml`: settings for everybody who runs gen in a repository."""

from typing import Annotated

from pydantic import Field

from generator.schema.base import Model

# A version as PEP 440 has it, without the characters that mean something to pip or a shell.
_VERSION = r"[0-9][0-9A-Za-z.+]{0,63}"


class RepositoryConfig(Model):
    """The content of `.gen/config.yaml`."""

    required_version: Annotated[str, Field(pattern=rf"^{_VERSION}$")] | None = None
    """The only version of gen that may generate, compare and review here."""
