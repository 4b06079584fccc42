"""What a person is told of a site beside its files: what is theirs to do, and what comes before the first login."""

import os
from collections.abc import Iterator
from dataclasses import replace

from generator.cli.output import say
from generator.compiler.result import Compilation
from generator.loading import inputs
from generator.workspace import lock


def compiled(given: inputs.Inputs) -> Compilation:
    """Compile a site; pydantic is imported only here, because it takes its time."""
    from generator.compiler.build import build

    return build(given)


def about(made: Compilation, choice: inputs.Choice) -> None:
    """Tell what the person should know of a site, and what is theirs to do for it."""
    if made.status:
        say(f"\nStatus of the site: {made.status}")
    _gaps(made, choice)
    for keys in made.unpinned:
        say(f"\nHost keys “{keys.name}” are not pinned: {keys.reason}.")
        say(
            f"  Compare them (gen show {made.site}) with {keys.docs}, then add --accept-unverified."
        )


def _gaps(made: Compilation, choice: inputs.Choice) -> None:
    if not made.gaps:
        return
    say(f"\nYours to fill in, in {inputs.profile_name(choice.profile)} or as an option:")
    for gap in made.gaps:
        option = f"  (--{gap.name})" if gap.name in ("user", "email", "account") else ""
        say(f"  {gap.name + ':':11}{gap.meaning}{option}")


def forgotten(made: Compilation, was: lock.Lock | None) -> None:
    """Tell which values of the last run are not given any more: options are easily forgotten."""
    profile = was.inputs.profile if was else {}
    lost = [f"{key} ({value})" for key, value in profile.items() if key not in made.profile]
    lost += [
        f"--set {change}"
        for change in (was.inputs.overrides if was else ())
        if change not in made.changes
    ]
    if lost:
        say(
            f"\nNot given this time, and so left out: {', '.join(lost)}. Give it again, or put it into the profile."
        )


def unattended(made: Compilation, choice: inputs.Choice) -> None:
    """Tell what will be missing when the certificate is renewed: only the profile is there then."""
    typed = choice.changes or any(choice.options.values())
    if not typed or all(artifact.path.parent.name != "systemd" for artifact in made.artifacts):
        return
    kept = compiled(inputs.read(replace(choice, options={}, changes=())))
    names = ("user", "email", "identity_file")
    lacks = [name for name in names if made.profile.get(name) != kept.profile.get(name)]
    lacks += [f"--set {change}" for change in made.changes if change not in kept.changes]
    if lacks:
        say(
            f"\nThe timer and ssh run gen refresh {made.site}, which reads your profile: put {', '.join(lacks)} there."
        )


def first_steps(made: Compilation) -> Iterator[str]:
    """Yield the commands that come before the first login."""
    login = made.first_login
    if login.make_key and login.key and not _is_there(login.key):
        yield login.make_key
        if login.submit:
            yield f"then hand in {login.key}.pub {login.submit}"
    elif not _is_there("~/.ssh"):  # ssh-keygen would make it
        yield "mkdir -m 700 ~/.ssh   # ssh keeps shared connections there, and ends without it"
    yield from login.credential


def _is_there(path: str) -> bool:
    """Tell whether a file of the person's is there; who has no home has none."""
    return os.path.exists(os.path.expanduser(path))  # noqa: PTH110, PTH111 - Path raises where there is no home
