"""What a change of specs means for the people who log in: by meaning, the gravest first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from generator.loading.yaml_document import Node
from generator.report.finding import Finding, Level
from generator.revisions.facts import PINS, Block, Weight, meaning
from generator.revisions.lint import aged
from generator.schema.base import facts
from generator.schema.site import SiteSpec
from generator.workspace.lock import Lock, RecordedInputs

_LEVELS = {
    Weight.TRUST: Level.ERROR,
    Weight.ACCESS: Level.WARNING,
    Weight.TUNING: Level.NOTE,
    Weight.PROSE: Level.NOTE,
}
_WEIGHTS = list(Weight)
_ORDER = ("refused", Weight.TRUST, "unsourced", Weight.ACCESS, "aged", Weight.TUNING, Weight.PROSE)


@dataclass(frozen=True)
class Sheet:
    """A spec at a revision: its file, where its values stand in it, and what it says."""

    path: str
    document: Node
    site: SiteSpec


def review(old: Mapping[str, Sheet], new: Mapping[str, Sheet], today: date) -> list[Finding]:
    """Return what changes from the old specs to the new ones, both by the names of their sites."""
    findings: list[Finding] = []
    for name in sorted({*old, *new}):
        if name not in new:
            gone = old[name]
            findings.append(
                _finding(Weight.ACCESS, gone, "", f"the site {name} is no longer there")
            )
        elif name not in old:
            findings += [*_new(new[name]), *_unsourced(new[name], today)]
        else:
            findings += _changed(old[name], new[name])
    return ordered(findings)


def lock_changes(old: Mapping[str, Lock], new: Mapping[str, Lock]) -> list[Finding]:
    """Return the changes of the inputs that locks record: these redirect users although no spec changes."""
    findings: list[Finding] = []
    for path, lock in new.items():
        previous = old[path].inputs if path in old else None
        findings += _inputs_changes(path, lock, previous)
    return findings


def _inputs_changes(path: str, lock: Lock, previous: RecordedInputs | None) -> Iterator[Finding]:
    """Yield a finding for each input that changed.

    A new lock is compared with one that has the same spec, profile and project, and no overrides: those inputs are
    what somebody asked for, while overrides and weak sources decide whom its users trust.
    """
    current = lock.inputs
    base = previous or replace(
        current, overrides=(), profile={**current.profile, "accept_unverified": False}
    )
    rows = (
        (Weight.TRUST, "source spec", [base.spec.path], [current.spec.path]),
        (Weight.TRUST, "overrides of the spec (--set)", base.overrides, current.overrides),
        (Weight.TRUST, "acceptance of weak sources", _acceptance(base), _acceptance(current)),
        (Weight.ACCESS, "user values", _user_values(base), _user_values(current)),
        (Weight.ACCESS, "Dagster project", _project(base), _project(current)),
    )
    for weight, label, before, after in rows:
        if before == after:
            continue
        details = [f"was {value}" for value in before] + [f"is {value}" for value in after]
        yield Finding(
            weight,
            _LEVELS[weight],
            f"{label} changed",
            lock.site,
            path,
            path,
            key=label,
            details=tuple(details),
        )


def _acceptance(inputs: RecordedInputs) -> Sequence[str]:
    return [str(inputs.profile.get("accept_unverified", False)).lower()]


def _user_values(inputs: RecordedInputs) -> Sequence[str]:
    values = inputs.profile.items()
    return [f"{key}: {value}" for key, value in values if key != "accept_unverified"]


def _project(inputs: RecordedInputs) -> Sequence[str]:
    return [str(inputs.project.folder)] if inputs.project else []


def ordered(findings: list[Finding]) -> list[Finding]:
    """Return findings by weight, those of one weight as they were."""
    return sorted(findings, key=lambda finding: _ORDER.index(finding.rule))


def _new(sheet: Sheet) -> Iterator[Finding]:
    """Yield one finding for a new site, which tells whom its people trust."""
    blocks = meaning(sheet.site)
    details = [
        f"{block or 'site'}: {name} {', '.join(fact.value)}"
        for block, facts in blocks.items()
        for name, fact in facts.items()
        if fact.weight is Weight.TRUST
    ]
    message = f"the site {sheet.site.site} is new; this is what people trust who use it"
    yield _finding(Weight.TRUST, sheet, "", message, details)


def _unsourced(sheet: Sheet, today: date) -> Iterator[Finding]:
    site = sheet.site
    if not any(fact.source for _, fact in facts(site)):
        message = f"the new site {site.site} says of no fact where it is from"
        yield _named("unsourced", Level.WARNING, sheet, "", message)
    for last, places in aged(site, today).items():
        message = f"facts were last checked on {last}, more than a year ago"
        listed = [".".join(keys) for keys in places]
        yield _named("aged", Level.WARNING, sheet, listed[0], message, listed)


def _changed(old: Sheet, new: Sheet) -> Iterator[Finding]:
    before, after = meaning(old.site), meaning(new.site)
    names = [*after, *(name for name in before if name not in after)]
    pins = [name for name in names if name.startswith(PINS)]
    yield from _pins(old, new, {name: (before.get(name, {}), after.get(name, {})) for name in pins})
    for name in names:
        was, now = before.get(name, {}), after.get(name, {})
        if name in pins:
            was, now = _but_keys(was), _but_keys(now)
        yield from (_facts if was and now else _whole)(new, name, was, now)


def _but_keys(block: Block) -> Block:
    return {name: fact for name, fact in block.items() if name != "keys"}


def _whole(sheet: Sheet, block: str, was: Block, now: Block) -> Iterator[Finding]:
    """Yield one finding for a thing that came or went as a whole."""
    facts = now or was
    if not facts:
        return
    weight = min((fact.weight for fact in facts.values()), key=_WEIGHTS.index)
    details = [f"{name}: {', '.join(fact.value)}" for name, fact in facts.items()]
    place = next(iter(facts.values())).keys.rpartition(".")[0]
    yield _finding(weight, sheet, place, f"{block} {'came' if now else 'went'}", details)


def _facts(sheet: Sheet, block: str, was: Block, now: Block) -> Iterator[Finding]:
    for name in [*now, *(name for name in was if name not in now)]:
        before, after = was.get(name), now.get(name)
        if before and after and before.same == after.same:
            continue
        fact = after or before
        if fact:
            what = f"{block}: {name}".removeprefix(": ")
            details = [f"was {', '.join(before.value)}"] if before else []
            details += [f"is {', '.join(after.value)}"] if after else []
            verb = "changed" if before and after else "came" if after else "went"
            yield _finding(fact.weight, sheet, fact.keys, f"{what} {verb}", details)


def _pins(old: Sheet, sheet: Sheet, blocks: Mapping[str, tuple[Block, Block]]) -> Iterator[Finding]:
    """Yield one finding for all hosts whose keys came and went alike, since one of them may be an attacker's."""
    alike: dict[tuple[frozenset[str], frozenset[str]], list[str]] = {}
    for name, sides in blocks.items():
        was, now = (frozenset(side["keys"].value if side else ()) for side in sides)
        if was != now:
            alike.setdefault((was, now), []).append(name)
    for (was, now), names in alike.items():
        details = [f"came {key}" for key in sorted(now - was)] + [
            f"went {key}" for key in sorted(was - now)
        ]
        owners = ", ".join(name.removeprefix(PINS) for name in names)
        compare = (
            f"a second person should compare them with {old.site.docs or 'what the site publishes'}"
        )
        before, after = blocks[names[0]]
        place = (after or before)["keys"].keys + _part(
            sheet.site, (after or before)["keys"].keys, min(now - was, default="")
        )
        yield _finding(Weight.TRUST, sheet, place, f"{PINS}{owners} changed; {compare}", details)


def _part(site: SiteSpec, keys: str, key: str) -> str:
    """Return where in an entry of `host_keys` a key stands that came; nothing where keys only went."""
    pins = site.host_keys.get(keys.rpartition(".")[2])
    if pins is None or not key:
        return ""
    if key.startswith("host CA"):
        return ".authorities"
    return next(
        (
            f".fingerprints.{kind}"
            for kind, several in pins.fingerprints.items()
            if key.split()[1] in several
        ),
        ".keys",
    )


def _finding(
    weight: Weight, sheet: Sheet, keys: str, message: str, details: list[str] | None = None
) -> Finding:
    return _named(weight, _LEVELS[weight], sheet, keys, message, details)


def _named(
    rule: str, level: Level, sheet: Sheet, keys: str, message: str, details: list[str] | None = None
) -> Finding:
    return Finding(
        rule=rule,
        level=level,
        message=message,
        site=sheet.site.site,
        file=sheet.path,
        path=sheet.path,
        line=sheet.document.at(keys).line,
        key=keys,
        details=tuple(details or ()),
    )
