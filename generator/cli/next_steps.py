"""The remarks below the list of files of `gen site` and `gen install`.

They name missing values, unpinned host keys, and the next steps.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from generator.cli.output import say
from generator.compiler.result import Compilation
from generator.formatting import command_line
from generator.loading import inputs
from generator.schema.project import Project
from generator.workspace import lock

# The keys of the profile that a certificate depends on.
_CERTIFICATE_KEYS = ("user", "email", "identity_file")


def compilation_of(chosen_inputs: inputs.Inputs) -> Compilation:
    """Compile a site. Only this imports pydantic: a command that ends before should start fast."""
    from generator.compiler.build import build

    return build(chosen_inputs)


def print_remarks(compilation: Compilation, choice: inputs.Choice) -> None:
    """Print the status of the site, the missing values, and the host keys that are not pinned."""
    if compilation.status:
        say(f"\nStatus of the site: {compilation.status}")
    _print_missing_values(compilation, choice)
    for keys in compilation.unpinned:
        say(f"\nHost keys “{keys.name}” are not pinned: {keys.reason}.")
        if keys.is_listed:
            say(f"  ssh asks at the first login: compare the key with {keys.reference}")
            continue
        say(
            f"  Compare them (gen show {choice.words}) with {keys.reference},"
            " then add --accept-unverified."
        )


def _print_missing_values(compilation: Compilation, choice: inputs.Choice) -> None:
    if not compilation.gaps:
        return
    say(f"\nMissing values (add them to {inputs.profile_name(choice.profile)}):")
    for gap in compilation.gaps:
        option = f"(or --{gap.name.replace('_', '-')})"
        line = f"  {gap.name + ':':10} {gap.meaning}"
        if len(line) + len(f"  {option}") <= 80:
            say(f"{line}  {option}")
        else:
            say(f"{line}\n{' ' * 13}{option}")


def with_recorded(
    typed: inputs.Inputs, previous: lock.Lock | None, unset: Sequence[str], site: str
) -> inputs.Inputs:
    """Return the inputs of a run with the recorded values of the last one."""
    if previous is None and not unset:
        return typed
    # Imported only here, because it imports pydantic.
    from generator.workspace import recorded_inputs

    if previous is None:
        recorded_inputs.refuse_unset(unset, site)
        return typed
    return recorded_inputs.with_recorded(typed, previous.inputs, unset, site)


def recorded_lines(
    typed: inputs.Inputs,
    compilation: Compilation,
    recorded: lock.RecordedInputs,
    command: str,
    project: Project | None = None,
) -> list[str]:
    """Return the lines about values of the last run: those that stay, and those that change.

    `typed` are the inputs as the user gave them, `command` the command that was run. `project` is
    the Dagster project of the last run, if this one keeps it.
    """
    from generator.workspace.recorded_inputs import input_changes, kept_inputs

    lines: list[str] = []
    kept_values = list(map(str, kept_inputs(typed, compilation, recorded)))
    if project:
        kept_values.append(f"Dagster project: {project.folder} (--no-project leaves it alone)")
    if kept_values:
        forget = f"{command} {compilation.site} --unset KEY"
        lines.append(f"Kept from the last run (to forget a value: {forget}):")
    for value in kept_values:
        lines.append(f"  {value}")
    changes = list(input_changes(compilation, recorded))
    if changes:
        lines.append("Changed since the last run:")
    for change in changes:
        lines.append(f"  {change}")
    return lines


def print_renewal_values(compilation: Compilation, choice: inputs.Choice) -> None:
    """Print the values that a renewal will lack unless gen installs the site with them."""
    has_options = choice.changes or any(choice.options.values())
    # Without a certificate, nothing runs later and could miss the options.
    has_units = any(artifact.path.parent.name == "systemd" for artifact in compilation.artifacts)
    if not (has_options and has_units):
        return
    from_profile = compilation_of(inputs.read(replace(choice, options={}, changes=())))
    missing: list[str] = []
    for key in _CERTIFICATE_KEYS:
        if compilation.profile.get(key) != from_profile.profile.get(key):
            missing.append(key)
    for change in compilation.changes:
        if change not in from_profile.changes:
            missing.append(f"--set {change}")
    if missing:
        say(
            f"\nThe timer and ssh run gen refresh {compilation.site} without these options:"
            f" {', '.join(missing)}. Add them to your profile, or repeat them at gen install."
        )


def first_steps(compilation: Compilation) -> Iterator[str]:
    """Yield the commands that the user has to type before the first login."""
    login = compilation.first_login
    public_key = f"{login.key}.pub"
    if login.make_key and login.key and not (_exists(login.key) or _exists(public_key)):
        yield login.make_key
        if login.submit:
            accepted = f" (accepted for {login.lifetime})" if login.lifetime else ""
            yield f"then submit {public_key} {login.submit}{accepted}"
    elif login.make_key and login.key and not _exists(public_key):
        derivation = command_line("ssh-keygen", "-y", "-f", login.key)
        yield f"{derivation} > {command_line(public_key)}"
    elif not _exists("~/.ssh"):  # ssh-keygen would create it
        yield "mkdir -m 700 ~/.ssh   # ssh keeps shared connections there, and fails without it"
    yield from login.credential


def _exists(path: str) -> bool:
    # For a user without a home directory, Path.expanduser raises an error and this does not.
    return os.path.exists(os.path.expanduser(path))  # noqa: PTH110, PTH111
