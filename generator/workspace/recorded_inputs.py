"""The inputs of an earlier run in a later one: an option that is not given again stays as it was.

Of two values for one key, that of an option given now wins, then that of an option given earlier,
then that of the profile of today, then that which an earlier run had from the profile of its day.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from generator.compiler.build import profile_values
from generator.compiler.result import Compilation
from generator.errors import GenError, near
from generator.loading.inputs import Choice, Inputs, changed_key
from generator.schema.profile import SiteProfile
from generator.workspace.lock import RecordedInputs


@dataclass(frozen=True)
class InputChange:
    """A value that differs from that of the last run; ``None`` stands for no value."""

    key: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        """Return the change in a line: `user: hpc1 → ada`."""
        return f"{self.key}: {self.before or 'not set'} → {self.after or 'not set'}"


@dataclass(frozen=True)
class KeptInput:
    """A value of the last run that no option of this run has, and that the profile has not."""

    key: str
    value: str
    profile_value: str | None
    """The other value that the profile has."""

    def __str__(self) -> str:
        """Return the value in a line: `user: hpc1 (your profile has ada)`."""
        if self.profile_value is None:
            return f"{self.key}: {self.value}"
        return f"{self.key}: {self.value} (your profile has {self.profile_value})"


def with_recorded(
    given: Inputs, recorded: RecordedInputs, unset: Sequence[str], site: str
) -> Inputs:
    """Return the inputs of a run with those of an earlier run that are not to be forgotten."""
    known = {*recorded.profile, *map(changed_key, recorded.overrides)}
    refuse_unset(unset, site, known)
    forgotten = {_profile_key(key) for key in unset}
    earlier_options = set(recorded.options or ()) - forgotten
    options: dict[str, str | bool | None] = {}
    values: dict[str, str | bool] = {}
    for key in SiteProfile.model_fields:
        value = _recorded_value(recorded, key)
        if key in earlier_options:
            options[key] = value
        elif value is not None and key in recorded.profile and key not in forgotten:
            values[key] = value
    options |= {key: value for key, value in given.options.items() if value is not None}
    given_keys = {changed_key(change) for change in given.changes}
    option_changes: list[str] = []
    profile_changes: list[str] = []
    for change in recorded.overrides:
        key = changed_key(change)
        if key in forgotten or key in given_keys:
            continue
        if key in earlier_options:
            option_changes.append(change)
        else:
            profile_changes.append(change)
    return replace(
        given,
        options=options,
        # A key may be in the list twice, from the profile and from an option.
        changes=(*dict.fromkeys(option_changes), *given.changes),
        recorded_values=values,
        recorded_changes=tuple(profile_changes),
    )


def as_recorded(choice: Choice, recorded: RecordedInputs) -> Choice:
    """Return a choice in which every recorded value wins over the profile.

    The files of an installed site were compiled with these values, so whatever runs for it later
    must have them too. The profile adds values that are not recorded.
    """
    options: dict[str, str | bool | None] = dict(recorded.profile)
    for key in recorded.options or ():
        if key in SiteProfile.model_fields:
            options[key] = _recorded_value(recorded, key)
    options |= {key: value for key, value in choice.options.items() if value is not None}
    changes = (*recorded.overrides, *choice.changes)
    return replace(choice, options=options, changes=changes)


def kept_inputs(
    typed: Inputs, compilation: Compilation, recorded: RecordedInputs
) -> Iterator[KeptInput]:
    """Yield the values that this run has from the last one alone.

    `typed` are the inputs as the user gave them.
    """
    values, changes = profile_values(typed, compilation.site)
    in_profile = _texts(values, changes)
    now = _texts(compilation.profile, compilation.changes)
    recorded_texts = _texts(recorded.profile, recorded.overrides)
    for key in sorted(recorded_texts, key=_is_of_the_user):
        value = recorded_texts[key]
        is_kept = now.get(key) == value and in_profile.get(key) != value
        if is_kept and key not in typed.option_keys:
            yield KeptInput(key, value, in_profile.get(key))


def input_changes(compilation: Compilation, recorded: RecordedInputs) -> Iterator[InputChange]:
    """Yield the values that differ from those of the last run."""
    before = _texts(recorded.profile, recorded.overrides)
    after = _texts(compilation.profile, compilation.changes)
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            yield InputChange(key, before.get(key), after.get(key))


def _is_of_the_user(key: str) -> bool:
    """Return whether a value says only who the user is.

    The others decide about hosts, pins, keys and programs. A lock may come from a checkout, so
    these are printed first.
    """
    return key in ("user", "email", "account", "allocation", "client_id", "home", "multiplexing")


def _recorded_value(recorded: RecordedInputs, key: str) -> str | bool | None:
    """Return the recorded value of a key; a lock leaves out a value that is the default."""
    value = recorded.profile.get(key)
    if value is None:
        default: str | bool | None = SiteProfile.model_fields[key].default
        return default
    return value


def _texts(values: Mapping[str, str | bool], changes: Sequence[str]) -> dict[str, str]:
    """Return values and changes of the spec by key, as messages have them."""
    texts: dict[str, str] = {}
    for key, value in values.items():
        texts[key] = str(value).lower() if isinstance(value, bool) else value
    for change in changes:
        # The last change of a key wins.
        texts[changed_key(change)] = change.partition("=")[2]
    return texts


def _profile_key(key: str) -> str:
    """Return a key as the profile writes it: an option has dashes (`identity-file`)."""
    return key if "." in key else key.replace("-", "_")


def refuse_unset(unset: Sequence[str], site: str, known: Collection[str] = ()) -> None:
    """Refuse to forget a key that no run recorded, unless it is a key of the profile.

    A script may forget a value of the profile twice.
    """
    for key in unset:
        if key in known or _profile_key(key) in SiteProfile.model_fields:
            continue
        hint = near(key, [*known, *SiteProfile.model_fields])
        values = ", ".join(sorted(known)) or "no value"
        raise GenError(f"--unset {key}: is not recorded for {site}{hint} (recorded: {values})")
