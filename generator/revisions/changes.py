"""The changes of specs that matter to the users of a site, the gravest first."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from generator.loading import validate, yaml_document
from generator.loading.yaml_document import Node
from generator.report.finding import Finding, Level
from generator.revisions.facts import PINS, Block, SpecFact, meaning
from generator.revisions.lint import aged
from generator.schema.base import facts
from generator.schema.meta import Weight
from generator.schema.site import SiteSpec

LEVELS = {
    Weight.TRUST: Level.ERROR,
    Weight.ACCESS: Level.WARNING,
    Weight.TUNING: Level.NOTE,
    Weight.PROSE: Level.NOTE,
}
_WEIGHTS = list(Weight)
_ORDER = (Weight.TRUST, "refused", "unsourced", Weight.ACCESS, "aged", Weight.TUNING, Weight.PROSE)
_MAX_LINE = 200
"""A longer value is hard to compare by eye: its change is shown by its differing part first."""


@dataclass(frozen=True)
class SpecFile:
    """A spec at a revision: its path, its YAML document, and its content."""

    path: str
    document: Node
    site: SiteSpec


def spec_file(path: str, content: bytes) -> SpecFile:
    """Return the valid spec in a content; `path` is for messages."""
    document = yaml_document.parse(content, path)
    return SpecFile(path, document, validate.spec(document, path))


def file_finding(
    weight: Weight,
    path: str,
    message: str,
    *,
    site: str = "",
    key: str | None = None,
    details: Iterable[str] = (),
) -> Finding:
    """Return a finding about a file as a whole; without a `key`, its path stands for one."""
    return Finding(
        rule=weight,
        level=LEVELS[weight],
        message=message,
        site=site,
        file=path,
        path=path,
        key=path if key is None else key,
        details=tuple(details),
    )


def spec_changes(
    base: Mapping[str, SpecFile], head: Mapping[str, SpecFile], today: date
) -> list[Finding]:
    """Return the changes between specs, both given by the names of their sites."""
    findings: list[Finding] = []
    for name in sorted({*base, *head}):
        if name not in head:
            message = f"the site {base[name].site.site} was removed"
            findings.append(_finding(Weight.ACCESS, base[name], "", message))
        elif name not in base:
            findings.append(_new_site(head[name]))
            findings += _doubtful_sources(head[name], today)
        else:
            findings += _changed_site(base[name], head[name])
    return ordered(findings)


def outside_changes(lock_path: str, base: SiteSpec, head: SiteSpec, where: str) -> list[Finding]:
    """Return the changes of a site whose spec is in no file of the repository.

    `where` says where it is, in words: `the catalogue of gen`.
    """
    document = yaml_document.parse(b"{}\n", lock_path)
    base_file = SpecFile(lock_path, document, base)
    head_file = SpecFile(lock_path, document, head)
    findings = []
    for finding in _changed_site(base_file, head_file):
        message = f"{finding.message}, in {where}"
        findings.append(replace(finding, message=message))
    return findings


def new_outside(lock_path: str, site: SiteSpec) -> Finding:
    """Return the facts that the users of a site trust, whose spec only its lock shows."""
    return _new_site(SpecFile(lock_path, yaml_document.parse(b"{}\n", lock_path), site))


def incomparable_change(lock_path: str, site: str, fault: str, where: str) -> Finding:
    """Return that such a site changed, and that its former spec has faults today."""
    message = f"{site} changed in {where}, and this gen cannot compare the two"
    details = fault.splitlines()
    return file_finding(
        Weight.TRUST, lock_path, message, site=site, key="resolved", details=details
    )


def overriding_changes(shipped: SpecFile, head: SpecFile) -> list[Finding]:
    """Return the differences of a new spec from the site of the catalogue that it overrides."""
    findings = []
    for finding in _changed_site(shipped, head):
        message = f"{finding.message}, compared with the site of the catalogue that this overrides"
        findings.append(replace(finding, message=message))
    return findings


def overridden_changes(base: SpecFile, shipped: SpecFile) -> list[Finding]:
    """Return the changes for users as gen takes the site of the catalogue again.

    A report points to the deleted spec: the shipped one is in no repository.
    """
    findings = []
    for finding in _changed_site(base, SpecFile(base.path, base.document, shipped.site)):
        message = f"{finding.message}, compared with the spec that overrode it"
        findings.append(replace(finding, message=message))
    return findings


def ordered(findings: list[Finding]) -> list[Finding]:
    """Return findings by weight, across all sites.

    Within trust, host keys and commands come before ports. Readers and limits of GitHub take the
    first ones, so many small changes must not hide a grave one.
    """
    return sorted(findings, key=_rank)


def _rank(finding: Finding) -> tuple[int, int]:
    gravity = 0
    if finding.rule == Weight.TRUST:
        gravity = _gravity(finding.key)
    return _ORDER.index(finding.rule), gravity


def _gravity(keys: str) -> int:
    """Return the rank of a change of trust.

    Host keys, commands and routes come first, then machines, then ports.
    """
    parts = keys.split(".")
    if len(parts) > 1 and parts[-1] == "port":
        return 2
    is_host = parts[0] == "hosts" and (len(parts) <= 2 or parts[-1] in ("host", "nodes"))
    # A new or a removed site has no key: many of them would push a changed host key out of sight.
    return 1 if is_host or not keys else 0


def _new_site(spec: SpecFile) -> Finding:
    """Return one finding that lists everything that the users of a new site trust."""
    trusted: list[tuple[int, list[str]]] = []
    for subject, block in meaning(spec.site).items():
        for name, fact in block.items():
            if fact.weight is Weight.TRUST:
                lines = _value_lines(f"{subject or 'site'}: {name}", fact)
                trusted.append((_gravity(fact.keys), lines))
    trusted.sort(key=lambda item: item[0])
    details: list[str] = []
    for _, lines in trusted:
        details += lines
    message = f"the site {spec.site.site} is new; its users trust all of this"
    return _finding(Weight.TRUST, spec, "", message, details)


def _doubtful_sources(spec: SpecFile, today: date) -> Iterator[Finding]:
    if not any(fact.source for _, fact in facts(spec.site)):
        message = f"the new site {spec.site.site} names no source for any fact"
        yield _named_finding("unsourced", Level.WARNING, spec, "", message)
    for last_check, places in aged(spec.site, today).items():
        message = f"facts were last checked on {last_check}, more than a year ago"
        listed = list(map(".".join, places))
        yield _named_finding("aged", Level.WARNING, spec, listed[0], message, listed)


def _changed_site(base: SpecFile, head: SpecFile) -> Iterator[Finding]:
    before, after = meaning(base.site), meaning(head.site)
    yield from _pin_changes(base, head, before, after)
    for subject in _in_order(after, before):
        base_block = _without_keys(subject, before.get(subject, {}))
        head_block = _without_keys(subject, after.get(subject, {}))
        if base_block and head_block:
            yield from _fact_changes(head, subject, base_block, head_block)
        elif head_block:
            yield _block_change(head, f"{subject} was added", head_block)
        elif base_block:
            yield _block_change(head, f"{subject} was removed", base_block)


def _in_order(first: Mapping[str, object], second: Mapping[str, object]) -> list[str]:
    """Return the names in the order of the first mapping, then those that only the second has."""
    # A dict keeps the first position of a key; a set would lose the order of the spec.
    return list(dict.fromkeys([*first, *second]))


def _without_keys(subject: str, block: Block) -> Block:
    """Leave out the keys of a block of pins: `_pin_changes` reports them for all hosts at once."""
    if not subject.startswith(PINS):
        return block
    without_keys = dict(block)
    without_keys.pop("keys", None)
    return without_keys


def _block_change(spec: SpecFile, message: str, block: Block) -> Finding:
    """Return one finding for a subject that was added or removed as a whole."""
    # As grave as its gravest fact: a host with a harmless note is still a host.
    weight = min((fact.weight for fact in block.values()), key=_WEIGHTS.index)
    details: list[str] = []
    for name, fact in block.items():
        details += _value_lines(f"{name}:", fact)
    keys = next(iter(block.values())).keys.rpartition(".")[0]
    return _finding(weight, spec, keys, message, details)


def _fact_changes(
    spec: SpecFile, subject: str, base_block: Block, head_block: Block
) -> Iterator[Finding]:
    for name in _in_order(head_block, base_block):
        before, after = base_block.get(name), head_block.get(name)
        label = f"{subject}: {name}".removeprefix(": ")
        if before and after:
            if before.comparable != after.comparable:
                details = value_changes(before.value, after.value)
                # The weight of a value may depend on it.
                weight = min(before.weight, after.weight, key=_WEIGHTS.index)
                yield _finding(weight, spec, after.keys, f"{label} changed", details)
        elif after:
            yield _finding(after.weight, spec, after.keys, f"{label} was added", _value(after))
        elif before:
            yield _finding(before.weight, spec, before.keys, f"{label} was removed", _value(before))


def _value(fact: SpecFact) -> Sequence[str]:
    """Return a value in one line; if that would be too long, in a line for each part."""
    joined = ", ".join(fact.value)
    # Host keys that are in a list alone are not a value here.
    if not joined or len(joined) > _MAX_LINE:
        return fact.value
    return [joined]


def _value_lines(label: str, fact: SpecFact) -> list[str]:
    lines = []
    for line in _value(fact):
        lines.append(f"{label} {line}")
    return lines


def value_changes(before: Sequence[str], after: Sequence[str]) -> tuple[str, ...]:
    """Return the difference of two values: `from → to`, or the parts of a list that changed."""
    if len(before) == len(after) == 1:
        return _text_change(before[0], after[0])
    added, removed = added_and_removed(before, after)
    # The values differ, so with the same parts only their order can.
    return (*added, *removed) or (f"in another order: {', '.join(after)}",)


def added_and_removed(
    before: Collection[str], after: Collection[str]
) -> tuple[list[str], list[str]]:
    """Return a line for each part that only `after` has, and for each that only `before` has."""
    added, removed = [], []
    for part in after:
        if part not in before:
            added.append(f"added {part}")
    for part in before:
        if part not in after:
            removed.append(f"removed {part}")
    return added, removed


def _text_change(before: str, after: str) -> tuple[str, ...]:
    """Return both texts; of long ones first the part that differs, which is hard to find."""
    line = f"{before} → {after}"
    if len(line) <= _MAX_LINE:
        return (line,)
    start = _common(before, after)
    before_tail, after_tail = before[start:], after[start:]
    end = _common(before_tail[::-1], after_tail[::-1])
    before_part = before_tail[: len(before_tail) - end]
    after_part = after_tail[: len(after_tail) - end]
    difference = (
        f"from character {start + 1}: {before_part or 'nothing'} → {after_part or 'nothing'}"
    )
    return difference, f"from {before}", f"to {after}"


def _common(first: str, second: str) -> int:
    """Return the number of characters with which two texts begin alike."""
    for number, (first_letter, second_letter) in enumerate(zip(first, second, strict=False)):
        if first_letter != second_letter:
            return number
    return min(len(first), len(second))


def _pin_changes(
    base: SpecFile, head: SpecFile, before: Mapping[str, Block], after: Mapping[str, Block]
) -> Iterator[Finding]:
    """Yield one finding for all hosts with the same change of host keys.

    A new key may be an attacker's, so this is the gravest change of a spec.
    """
    changes: dict[tuple[frozenset[str], frozenset[str]], list[str]] = {}
    for subject in _in_order(after, before):
        if not subject.startswith(PINS):
            continue
        base_keys, head_keys = _pinned_keys(before, subject), _pinned_keys(after, subject)
        if base_keys != head_keys:
            changes.setdefault((base_keys, head_keys), []).append(subject)
    for (base_keys, head_keys), subjects in changes.items():
        added, removed = added_and_removed(sorted(base_keys), sorted(head_keys))
        hosts = ", ".join(subjects).replace(PINS, "")
        block = after.get(subjects[0]) or before[subjects[0]]
        keys = _key_of_pin(head.site, block["keys"].keys, sorted(head_keys - base_keys))
        # The page as it was known before: an attacker would change its address too.
        page = base.site.docs or "the keys that the site publishes"
        change = "changed" if head_keys else "are no longer pinned"
        message = f"{PINS}{hosts} {change}; a second person should compare them with {page}"
        yield _finding(Weight.TRUST, head, keys, message, [*added, *removed])


def _pinned_keys(blocks: Mapping[str, Block], subject: str) -> frozenset[str]:
    if subject not in blocks:
        return frozenset()
    return frozenset(blocks[subject]["keys"].value)


def _key_of_pin(site: SiteSpec, entry_keys: str, added: Sequence[str]) -> str:
    """Return the key of the spec with the first added host key.

    If keys were only removed, it is the entry itself.
    """
    pins = site.host_keys.get(entry_keys.rpartition(".")[2])
    if pins is None or not added:
        return entry_keys
    # The text is that of `facts`, which lists keys and authorities together.
    if added[0].startswith("host CA"):
        return f"{entry_keys}.authorities"
    digest = added[0].split()[1]
    for kind, fingerprints in pins.fingerprints.items():
        if digest in fingerprints:
            return f"{entry_keys}.fingerprints.{kind}"
    return f"{entry_keys}.keys"


def _finding(
    weight: Weight, spec: SpecFile, keys: str, message: str, details: Sequence[str] = ()
) -> Finding:
    return _named_finding(weight, LEVELS[weight], spec, keys, message, details)


def _named_finding(
    rule: str,
    level: Level,
    spec: SpecFile,
    keys: str,
    message: str,
    details: Sequence[str] = (),
) -> Finding:
    return Finding(
        rule=rule,
        level=level,
        message=message,
        site=spec.site.site,
        file=spec.path,
        path=spec.path,
        line=spec.document.at(keys).line,
        key=keys,
        details=tuple(details),
    )
