"""Offer the values that a site lacks in place, when a user runs gen in a terminal."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from generator.cli.output import agreed, on_terminal, say
from generator.cli.profile_draft import NONE, Value, ask_value, draft
from generator.compiler.result import Compilation
from generator.formatting import home as shortened
from generator.loading import inputs


def offer(
    choice: inputs.Choice, compilation: Compilation, skipped: Collection[str] = ()
) -> inputs.Choice | None:
    """Ask for the missing values, and return the choice with the answers; ``None`` without any.

    The answers go into the profile if the user agrees, and are options of this run otherwise.
    """
    gaps = [gap for gap in compilation.gaps if gap.name not in skipped]
    if not gaps or not on_terminal():
        return None
    profile = draft(choice.profile)
    before = profile.content
    say(f"{compilation.title} needs these values.")
    say(f"Enter takes the value in brackets, {NONE} leaves one out.")
    answers: dict[str, Value] = {}
    for gap in gaps:
        keys: tuple[str, ...] = ("sites", compilation.site, gap.name)
        proposal = None
        if gap.name == "home":
            keys, proposal = (gap.name,), str(Path.home())
        answers[gap.name] = ask_value(profile, keys, f"  {gap.name}: {gap.meaning}", proposal)
    if profile.content == before:
        return None
    if agreed(f"Add this to {shortened(profile.path)}?"):
        profile.write()
        return choice
    return replace(choice, options={**choice.options, **answers})
