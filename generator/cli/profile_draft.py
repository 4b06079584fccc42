"""A profile that is edited in memory while a user answers questions, and then written at once."""

from dataclasses import dataclass, field
from pathlib import Path

from generator.cli.output import answer, say
from generator.compiler import build
from generator.errors import GenError, os_errors_named
from generator.files import read_regular
from generator.loading import inputs, profile_editor
from generator.loading.overrides import SpecChange
from generator.loading.validate import SpecError
from generator.schema.profile import Profile
from generator.workspace import writer

Value = str | bool | None

NONE = "-"
"""The answer that leaves a value out."""


@dataclass
class ProfileDraft:
    """A profile that is edited in memory until the user has answered every question."""

    path: Path
    original: bytes | None
    """The content of the file; ``None`` if there is none."""
    content: bytes = field(init=False)

    def __post_init__(self) -> None:
        if self.original is None:
            self.content = profile_editor.new_profile()
        else:
            self.content = self.original

    @property
    def file(self) -> inputs.File:
        """The draft, as a file to compile with."""
        return inputs.File(self.path, self.content)

    @property
    def profile(self) -> Profile:
        """The values of the draft."""
        return build.parsed_profile(self.file)

    def fault(self, keys: tuple[str, ...], value: Value) -> str | None:
        """Set a value, or return its fault; ``None`` as a value deletes the key."""
        before = self.content
        change = SpecChange(keys, value, "an answer")
        self.content = profile_editor.edited_profile(self.content, [change], str(self.path))
        try:
            build.parsed_profile(self.file)
        except SpecError as error:
            self.content = before
            return error.problems[0].message
        return None

    def write(self) -> bool:
        """Write the profile and the schema for editors; return whether the profile changed."""
        if self.content == self.original:
            return False
        # The writer replaces a link by a file, so it gets the file behind the link.
        path = self.path.resolve()
        if self.original is not None:
            with os_errors_named(path):
                # The user may have edited it while gen waited for answers.
                if read_regular(path) != self.original:
                    raise GenError(f"{self.path}: has changed since gen read it; run this again")
        mode = 0o600
        if path.exists():
            mode = path.stat().st_mode & 0o7777
        # Imported only here, because it takes as long as a compilation.
        from generator.cli.schema import SchemaKind, text

        schema = path.with_name(profile_editor.SCHEMA_FILE)
        with os_errors_named(path):
            writer.write_private(schema, text(SchemaKind.PROFILE).encode(), 0o644)
            writer.write_private(path, self.content, mode)
        return True


def draft(named: Path | None) -> ProfileDraft:
    """Return the profile that a user named, or the usual one, ready to be changed."""
    path = named or inputs.usual_profile()
    if path is None:
        raise GenError("$HOME: is not set, so gen does not know where your profile is")
    original = None
    if path.exists():
        inputs.refuse_profile_of_others(path)
        original = inputs.file(path).content
    new = ProfileDraft(path, original)
    # Every fault of the file is reported before the first question.
    _ = new.profile
    return new


def ask_value(
    profile: ProfileDraft, keys: tuple[str, ...], text: str, proposal: str | None
) -> str | None:
    """Ask for one value until it is valid, and return it."""
    while True:
        reply = answer(text, proposal or "")
        value = None if reply in ("", NONE) else reply
        fault = profile.fault(keys, value)
        if fault is None:
            return value
        say(f"  {reply}: {fault}")
