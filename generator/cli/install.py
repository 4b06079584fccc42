"""`gen install SITE…`: install files, add one line to the ssh config, and start the timers."""

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from generator import codec, formatting, paths
from generator.cli import file_changes, first_login, next_steps, site
from generator.cli.output import agreed, agreed_to_changes, data, on_terminal, say, say_waiting
from generator.compiler.digests import digest
from generator.compiler.foreign_names import foreign_names
from generator.errors import GenError
from generator.files import read_regular
from generator.install import (
    apply,
    managed_blocks,
    milatools,
    record,
    services,
    shadowing,
    side_effects,
)
from generator.install import plan as planning
from generator.install.certificate_conflicts import certificate_conflicts
from generator.install.key_pair import in_home, refuse_short_key
from generator.install.known_names import known_names
from generator.install.mode import Mode
from generator.install.name_conflicts import name_conflicts
from generator.install.permissions import loose_permissions
from generator.install.plan import HomePlan, SiteFiles
from generator.install.replaced_entries import replaced_entries
from generator.install.shadowing import site_names
from generator.loading import catalogue, inputs
from generator.renewal.status import lingers
from generator.ssh.config_files import Files
from generator.workspace.lock import Lock
from generator.workspace.patch import diff
from generator.workspace.plan import Action, Change

if TYPE_CHECKING:
    from generator.install.trust_summary import TrustedFact


@dataclass(frozen=True)
class Consent:
    """What gen may do without a question."""

    yes: bool
    force: bool
    take_over: bool = False
    allowed_names: tuple[str, ...] = ()
    """Names that are not a site's own and that its spec may have nevertheless."""
    retired: bool = False
    """Install a site although it has closed."""


@dataclass(frozen=True)
class _Request:
    """The input of an installation: sites, mode and consent."""

    home: Path
    sites: list[SiteFiles]
    secrets: Mapping[str, tuple[str, ...]]
    """By site: the secrets that exist already, and that the installed version does not name."""
    mode: Mode | None
    consent: Consent


@dataclass(frozen=True)
class _CheckedPlan:
    """A plan that ssh accepts, with findings that do not prevent it."""

    plan: HomePlan
    findings: tuple[str, ...]


@dataclass(frozen=True)
class _Installation:
    """The result of an installation."""

    checked: _CheckedPlan
    backups: list[Path]
    timers: dict[str, str | None]
    """By site: why its timer does not run, ``None`` if it runs."""


def run(
    choices: Sequence[inputs.Choice],
    mode: Mode | None,
    consent: Consent,
    *,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Install some sites; every refusal comes before the first write."""
    home = planning.home_directory()
    # The offers are questions, and --yes promises a run without any.
    is_interactive = not consent.yes and on_terminal()
    asks = is_interactive and not (dry_run or as_json or mode is Mode.PRINT)
    selected = _by_name(choices, home, asks=asks).values()
    sites: list[SiteFiles] = []
    secrets: dict[str, tuple[str, ...]] = {}
    for selection in selected:
        sites.append(selection.files)
        secrets[selection.files.name] = _existing_secrets(selection, home)
    request = _Request(home, sites, secrets, mode, consent)
    earlier_locks = record.installed(home)
    _refuse_retired(request, earlier_locks)
    # Otherwise only the first login would fail, and without the reason.
    for site_files in sites:
        key = site_files.compilation.first_login.key
        if key:
            refuse_short_key(in_home(home, key))
    # Nothing is written and ssh is not asked, so there is nothing to agree to.
    if mode is Mode.PRINT:
        _show_trust(selected, request)
        _print(request)
        return 0
    if dry_run:
        _show_trust(selected, request)
        plan = planning.installation(home, sites, mode, take_over=consent.take_over)
        file_changes.preview([(home, plan.files)], home)
        return 0
    installation = _install(request, selected, as_json=as_json)
    if installation is None:
        return 0
    if as_json:
        data(_json(installation, sites))
        return 0
    _summary(home, installation)
    if not is_interactive:
        for permission in loose_permissions(home):
            say(f"\n{permission.message}")
    for selection in selected:
        choice, site_files = selection.choice, selection.files
        _check_commands(home, selection, is_interactive=is_interactive)
        if is_interactive:
            _offer_first_login(home, site_files)
        _remarks(choice, site_files)
        _first_steps(home, site_files)
    return 0


@dataclass(frozen=True)
class _Selection:
    """A site to install: the user's choice, the files that were read for it, and its files."""

    choice: inputs.Choice
    typed: inputs.Inputs
    """The inputs as the user gave them."""
    inputs: inputs.Inputs
    """The same with the values of the installed version; no lock of a checkout adds a value."""
    files: SiteFiles


def _by_name(choices: Iterable[inputs.Choice], home: Path, *, asks: bool) -> dict[str, _Selection]:
    """Return each site once, though it may be named twice, as in `gen install mila mila.yaml`."""
    by_name: dict[str, _Selection] = {}
    locks = record.installed(home)
    for choice in choices:
        selection = _selection(choice, home, locks)
        if asks and selection.files.name not in locks:
            # Imported only here, for the few runs that ask. `home` is for .env files alone.
            from generator.cli.missing_values import offer

            answered = offer(choice, selection.files.compilation, skipped=("home",))
            if answered:
                selection = _selection(answered, home, locks)
        name = selection.files.name
        first = by_name.setdefault(name, selection)
        if first.files.spec != selection.files.spec:
            raise GenError(
                f"{name}: {first.choice.site} and {choice.site} are different specs "
                "of this site; install one of them"
            )
    return by_name


def _selection(choice: inputs.Choice, home: Path, locks: Mapping[str, Lock]) -> _Selection:
    typed = inputs.read(choice)
    site_name = inputs.site(typed.spec)
    chosen = next_steps.with_recorded(typed, locks.get(site_name), choice.unset, site_name)
    return _Selection(choice, typed, chosen, _site_files(chosen, home, locks.get(site_name)))


def _show_trust(selected: Iterable[_Selection], request: _Request) -> None:
    """List what each site will be trusted with; for an installed site, the changes of it.

    Another spec may take over an installed site only if the user sees and confirms the changes.
    With --yes alone, a checkout with a spec of this name could do so.
    """
    # Imported only here, because both import pydantic.
    from generator.compiler.build import account
    from generator.install.trust_summary import fact_changes, fact_lines, trusted_facts

    locks = record.installed(request.home)
    for selection in selected:
        name, conf = selection.files.name, selection.files.conf
        facts = trusted_facts(account(selection.inputs)[0], conf)
        spec = _spec_in_use(selection)
        previous = locks.get(name)
        if previous is None:
            # With --yes too: it answers the question, and the log of a script keeps the answer.
            say(f"{name}, from {spec}, will be trusted with:")
            shipped = catalogue.shipped().get(name)
            # By its content: a clone of gen has the same specs at another path.
            if shipped and shipped.read_bytes() != selection.files.spec:
                say("  this is not the spec that ships with gen")
            say("\n".join(fact_lines(facts)))
            continue
        lines = next_steps.recorded_lines(
            selection.typed, selection.files.compilation, previous.inputs, "gen install"
        )
        lines += _origin_lines(selection, previous, request.home)
        if lines:
            say("\n".join([f"{name}:", *lines, ""]))
        changes = fact_changes(_earlier_facts(request.home, previous), facts)
        if not changes:
            continue
        listed = "\n".join(changes)
        if selection.files.inputs.spec.path != previous.inputs.spec.path and request.consent.yes:
            origin = record.origin(request.home, previous.inputs.spec)
            raise GenError(
                f"{name}: is installed from {origin}, and {spec} changes what it"
                f" is trusted with:\n{listed}\nNothing was written. To allow this, run gen install "
                f"in a terminal without --yes, or first: gen uninstall {name}"
            )
        say(f"{name}, from {spec}, changes what it is trusted with:\n{listed}")


def _spec_in_use(selection: _Selection) -> str:
    """Return where the spec is from, as users write it."""
    recorded = selection.files.inputs.spec
    if not recorded.has_path:
        return recorded.path
    return formatting.home(selection.typed.spec.path.resolve())


def _origin_lines(selection: _Selection, previous: Lock, home: Path) -> Iterator[str]:
    """Yield which spec an installed site's name stands for, and the command for the edited one."""
    recorded = previous.inputs.spec
    in_use = selection.typed.spec
    # Who gives a path knows it, and the specs that ship with gen have no other copy.
    if selection.choice.site != previous.site or not selection.files.inputs.spec.has_path:
        return
    yield f"The spec is {_spec_in_use(selection)}."
    if not recorded.has_path:
        return
    origin = record.spec_path(home, recorded)
    try:
        content = read_regular(origin)
    except (GenError, OSError):
        return
    if content != in_use.content and origin != in_use.path.resolve():
        name = formatting.home(origin)
        command = formatting.command_line("gen", "install", name)
        yield f"It was installed from {name}, which has changed; to use that: {command}"


def _earlier_facts(home: Path, site_lock: Lock) -> list["TrustedFact"]:
    """Return the facts that an installed site is trusted with; none if its record is damaged."""
    from generator.install.installed_account import installed_account
    from generator.install.trust_summary import trusted_facts

    try:
        return trusted_facts(installed_account(home, site_lock), _earlier_conf(home, site_lock))
    except GenError:
        return []


def _earlier_conf(home: Path, site_lock: Lock) -> bytes:
    """Return the ssh configuration as gen installed it; nothing if it and its record are damaged.

    The user agreed to its names, and takes nothing back by editing or deleting the file.
    """
    # Imported only here, because both import pydantic.
    from generator.compiler.emitters import ssh_config
    from generator.install.installed_account import installed_account

    conf = planning.installed_conf(home, site_lock.site)
    if conf is not None:
        return conf
    try:
        (compiled,) = ssh_config.emit(installed_account(home, site_lock))
    except GenError:
        return b""
    return compiled.content


def _refuse_retired(request: _Request, installed: Iterable[str]) -> None:
    """Refuse a new installation of a site that has closed.

    An installed one can still be updated.
    """
    if request.consent.retired:
        return
    problems: list[str] = []
    for site_files in request.sites:
        compilation = site_files.compilation
        if compilation.is_retired and site_files.name not in installed:
            problems.append(
                f"{site_files.name}: has closed ({compilation.status}); "
                "to install it nevertheless, add --retired"
            )
    if problems:
        raise GenError("\n".join([*problems, "Nothing was written."]))


def _site_files(site_inputs: inputs.Inputs, home: Path, previous: Lock | None) -> SiteFiles:
    compilation = next_steps.compilation_of(site_inputs)
    recorded = site.recorded_inputs(site_inputs, compilation, home)
    if previous and _is_own_copy(site_inputs.spec, previous, home):
        # The user edits the spec at its first path, and gen status looks there for changes.
        recorded = replace(recorded, spec=replace(recorded.spec, path=previous.inputs.spec.path))
    return planning.site_files(home, compilation, site_inputs.spec, recorded)


def _is_own_copy(spec: inputs.File, previous: Lock, home: Path) -> bool:
    """Return whether a spec is gen's unchanged copy of one at a path of the user's."""
    recorded = previous.inputs.spec
    if not recorded.has_path or digest(spec.content) != recorded.sha256:
        return False
    copies = (paths.installed_spec(previous.site), paths.installed_spec_copy(previous.site))
    return spec.path.resolve() in [(home / copy).resolve() for copy in copies]


def _existing_secrets(selection: _Selection, home: Path) -> tuple[str, ...]:
    """Return the secrets that exist, and that the installed version of the site does not name.

    A later installation of the same site finds the secrets that were made since the first one.
    """
    # Imported only here, because both import pydantic.
    from generator.compiler.build import account
    from generator.install.purge import installed_secrets, secrets

    site_account, _ = account(selection.inputs)
    came_with_site = installed_secrets(home, selection.files.name)
    names: list[str] = []
    for path in secrets(home, site_account):
        if path not in came_with_site:
            names.append(str(path.relative_to(home)))
    return tuple(names)


def _install(
    request: _Request, selected: Collection[_Selection], *, as_json: bool
) -> _Installation | None:
    """Install the sites, ``None`` if the user does not agree.

    With --yes the plan is made while no other gen can write. Otherwise the user sees one plan, and
    exactly this plan is carried out: gen refuses it if a file changed before the answer.
    """
    if not _allow_names(request):
        return None
    _show_trust(selected, request)
    request = replace(request, consent=_with_take_over(request))
    confirmed = None
    if not request.consent.yes:
        confirmed = _checked_plan(request)
        if not _confirm(request.home, confirmed.plan, as_json=as_json):
            return None
    timed = _timed_sites(request.sites)
    files: list[PurePosixPath] = []
    for site_files in request.sites:
        files += [artifact.path for artifact in site_files.artifacts]
    for name in timed:
        files += paths.systemd_traces(name)
    # From here on no other gen writes, so what is checked now is still true at the first write.
    with apply.exclusive(request.home, files, say_waiting) as missing:
        if confirmed:
            apply.refuse_if_changed(confirmed.plan)
        checked = confirmed or _checked_plan(request)
        # Before its unit files are deleted: systemctl disable needs them (systemctl(1)).
        for name in _sites_without_timer(checked.plan, request.sites):
            services.stop(name)
        backups = apply.install(request.home, checked.plan, missing, request.secrets)
    # After the lock is free: a timer that is due starts gen refresh at once, and that may take a
    # while.
    timers = {name: services.start(name, request.home) for name in timed}
    return _Installation(checked, backups, timers)


def _allow_names(request: _Request) -> bool:
    """Get the user's consent to names that are not the site's own; --yes does not give it.

    Names that the installed version of the site has too have been allowed before.
    """
    problems: list[str] = []
    locks = record.installed(request.home)
    for site_files in request.sites:
        allowed = set(request.consent.allowed_names)
        if site_files.name in locks:
            installed = _earlier_conf(request.home, locks[site_files.name])
            allowed.update(foreign_names(installed))
            allowed.update(site_names(installed).values())
        for name, recorded in known_names(request.home, site_files.conf).items():
            if name not in allowed:
                # A pattern is not in known_hosts itself: show the name there that it applies to.
                host = "it" if recorded == name else formatting.printable(recorded)
                problems.append(
                    f"{name}: your known_hosts has a key for {host} that the spec of "
                    f"{site_files.name} does not pin; "
                    f"to allow that, add --allow-name {shlex.quote(name)}"
                )
        for name in foreign_names(site_files.conf):
            if name not in allowed:
                problems.append(
                    f"{name}: is not a name of {site_files.name}, but its spec decides where ssh "
                    f"connects for it; to allow that, add --allow-name {shlex.quote(name)}"
                )
    if not problems:
        return True
    if request.consent.yes or not on_terminal():
        raise GenError("\n".join([*problems, "Nothing was written."]))
    say("\n".join(problems))
    return agreed(f"Allow {'this name' if len(problems) == 1 else 'these names'}?")


def _confirm(home: Path, plan: HomePlan, *, as_json: bool) -> bool:
    """Show the changes and ask; a plan without changes needs no answer."""
    if not plan.changes:
        return True
    changes = diff(plan.files, PurePosixPath())
    question = f"Change {formatting.count(len(plan.changes), 'file')} in {home}?"
    if as_json:
        say(changes)
        return agreed(question)
    # gen shares only this file with the user; each of the others is gen's alone.
    config_changes: list[Change] = []
    site_changes: list[Change] = []
    for change in plan.changes:
        if change.path == paths.SSH_CONFIG:
            config_changes.append(change)
        else:
            site_changes.append(change)
    summary = file_changes.summary_lines(site_changes)
    return agreed_to_changes(question, changes, summary, diff(config_changes, PurePosixPath()))


def _with_take_over(request: _Request) -> Consent:
    """Return the consent, after a question whether the sites replace entries of the user's."""
    consent = request.consent
    config = request.home / paths.SSH_CONFIG
    if consent.take_over or consent.yes or not on_terminal() or not config.is_file():
        return consent
    content = read_regular(config)
    is_asked = False
    mila = _site_named(milatools.SITE, request.sites)
    if mila:
        is_asked = _list_mila_entries(config, content, mila)
        # The plan replaces them as a whole, so their lines are not listed a second time.
        content = milatools.take_over(content)
    for site_files in request.sites:
        entries = replaced_entries(content, site_files.conf)
        if entries:
            say(f"{formatting.home(config)} has lines that the file of {site_files.name} replaces:")
            for entry in entries:
                say(f"  {entry.summary}")
            is_asked = True
    if not is_asked:
        return consent
    names = " ".join(site_files.name for site_files in request.sites)
    question = f"Replace them with gen's? They become comments until gen uninstall {names}."
    return replace(consent, take_over=agreed(question))


def _list_mila_entries(config: Path, content: bytes, mila: SiteFiles) -> bool:
    """List the entries of `mila init` that Mila's file replaces; return whether there are any."""
    entries = milatools.replaceable(content)
    if not entries:
        return False
    say(f"`mila init` wrote these entries into {config}:")
    for entry in entries:
        say(f"  line {entry.first_line}: Host {entry.names}")
    user = str(mila.compilation.profile.get("user") or "") or None
    options = milatools.options_to_keep(entries, user, mila.compilation.first_login.key)
    if options:
        say(f"To keep their user and key, answer no and add: {' '.join(options)}")
    return True


def _site_named(name: str, sites: Iterable[SiteFiles]) -> SiteFiles | None:
    for site_files in sites:
        if site_files.name == name:
            return site_files
    return None


def _checked_plan(request: _Request) -> _CheckedPlan:
    """Return the plan; refuse it if it undoes work of the user's, or if ssh refuses the result.

    ssh reads copies of the files, in which the commands of the sites are disabled.
    """
    home, sites, consent = request.home, request.sites, request.consent
    plan = planning.installation(home, sites, request.mode, take_over=consent.take_over)
    if not consent.force:
        file_changes.refuse_conflicts([(home, plan.files)])
    _refuse_name_conflicts(plan, sites)
    _refuse_certificate_conflicts(home, plan, sites)
    if plan.manual_reason:
        return _CheckedPlan(plan, ())
    before = Files(home)
    after = Files(home, _planned_files(home, plan))
    # Asked first: otherwise gen would blame the site for an error in the user's own files.
    side_effects.refuse_broken(before)
    confs = [site_files.conf for site_files in sites]
    findings = _changes_of_names(plan, before, after, confs, consent)
    findings += planning.machine_messages(sites)
    for conf in confs:
        for shadow in shadowing.shadows(after, conf):
            findings.append(shadow.message)
    for conf in confs:
        findings += side_effects.outdated_client(conf)
    return _CheckedPlan(plan, tuple(findings))


def _changes_of_names(
    plan: HomePlan, before: Files, after: Files, confs: Sequence[bytes], consent: Consent
) -> list[str]:
    """Return what changes for the user's entries; refuse a change that the user did not allow.

    An entry that a site replaces may get its policies (shared connections, host keys), but must
    still lead to the same machine, as the same user.
    """
    # Of the user's own names alone: a name that only gen's files have cannot change for the user.
    own_files = _without_gen(before.home, plan)
    names = side_effects.user_names(own_files)
    names_of_entries = set(side_effects.user_names(own_files, with_match=False))
    own: set[str] = set()
    messages: list[str] = []
    for site_name, entries in plan.replaced.items():
        own.update(site_names(plan.confs[site_name]))
        # An entry without a line left is not in the planned configuration any more.
        for entry in entries:
            names |= dict.fromkeys(entry.names, entry.location)
            names_of_entries.update(entry.names)
            messages.append(entry.message(site_name))
    refused: list[str] = []
    for change in side_effects.name_changes(before, after, names, confs):
        is_of_entry = change.name in names_of_entries
        if change.name not in own or (is_of_entry and change.changes_login):
            refused.append(change.message)
    if refused and not consent.force:
        raise GenError("\n".join([*refused, _hint_on_entries(consent)]))
    return [*messages, *refused]


def _hint_on_entries(consent: Consent) -> str:
    hint = "Nothing was written. Rename your entry, or use --force to get the site's settings."
    # Without --yes, the question in a terminal has been answered.
    if consent.take_over or (on_terminal() and not consent.yes):
        return hint
    return f"{hint}\nIf it is an entry for the same site, --take-over makes its lines comments."


def _refuse_name_conflicts(plan: HomePlan, sites: Iterable[SiteFiles]) -> None:
    """Refuse a second meaning of a name, even with --force: ssh would use the first file's."""
    changed_sites = [site_files.name for site_files in sites]
    conflicts = name_conflicts(plan.confs, changed_sites)
    if not conflicts:
        return
    messages = [conflict.message for conflict in conflicts]
    hint = "Nothing was written. Use one of the sites: gen uninstall SITE removes the other."
    raise GenError("\n".join([*messages, hint]))


def _refuse_certificate_conflicts(home: Path, plan: HomePlan, sites: Sequence[SiteFiles]) -> None:
    messages = certificate_conflicts(home, plan, sites)
    if messages:
        raise GenError("\n".join([*messages, "Nothing was written."]))


def _planned_files(home: Path, plan: HomePlan) -> dict[Path, bytes | None]:
    """Return the content of each file after the installation, ``None`` for a deleted one."""
    contents: dict[Path, bytes | None] = {}
    for change in plan.files:
        contents[home / change.path] = None
        if change.artifact:
            contents[home / change.path] = change.artifact.content
    return contents


def _without_gen(home: Path, plan: HomePlan) -> Files:
    """Return the user's ssh configuration without everything that gen installs."""
    overlay: dict[Path, bytes | None] = {}
    for name in plan.remaining:
        overlay[home / paths.installed_ssh_config(name)] = None
        overlay[home / paths.installed_machine_config(name)] = None
    overlay[home / paths.SSH_CONFIG] = managed_blocks.arranged(plan.config, "", {})
    return Files(home, overlay)


def _timed_sites(sites: Iterable[SiteFiles]) -> list[str]:
    """Return the sites that have a timer."""
    names: list[str] = []
    files: list[PurePosixPath] = []
    for site_files in sites:
        names.append(site_files.name)
        files += [artifact.path for artifact in site_files.artifacts]
    return services.sites_with_units(names, files)


def _sites_without_timer(plan: HomePlan, sites: Iterable[SiteFiles]) -> list[str]:
    """Return the sites whose timer is deleted, because their spec has no certificate any more."""
    deleted = (change.path for change in plan.files if change.action is Action.DELETE)
    return services.sites_with_units((site_files.name for site_files in sites), deleted)


def _print(request: _Request) -> None:
    """Print a complete block for the ssh config, and where to add it."""
    bodies = {files.name: managed_blocks.inline_body(files.conf) for files in request.sites}
    data(managed_blocks.arranged(b"", "", bodies).decode())
    config = request.home / paths.SSH_CONFIG
    say(
        f"Add this to {config}, above its first Host or Match, "
        "and below an IgnoreUnknown if it has one."
    )
    say("Nothing was written. A later gen install without --mode print manages this block.")


def _block(plan: HomePlan) -> str:
    """Return the block that the user has to add to their ssh config themselves."""
    blocks = managed_blocks.managed_blocks(plan.config, "")
    bodies = {block.site: block.body for block in blocks}
    return managed_blocks.arranged(b"", "", bodies).decode()


def _summary(home: Path, installation: _Installation) -> None:
    plan = installation.checked.plan
    for change in plan.files:
        say(f"  {file_changes.DONE[change.action]:9} ~/{change.path}")
    for backup in installation.backups:
        say(f"  {'backup':9} ~/{backup.relative_to(home)}")
    if plan.manual_reason:
        say(f"\n{plan.manual_reason}:\n")
        data(_block(plan))
    for finding in installation.checked.findings:
        say(f"\n{finding}")
    for name, fault in installation.timers.items():
        if fault:
            say(f"\nThe timer of {name} does not run: {fault}")
            say(f"  Start it in a login session: {services.manual_start(name, home)}")
    is_running = any(fault is None for fault in installation.timers.values())
    if is_running and lingers() is False:
        say("\nThe timer stops when you log out. To keep it running, run: loginctl enable-linger")


def _check_commands(home: Path, selection: _Selection, *, is_interactive: bool) -> None:
    """Offer links to commands that the timer and ssh would not find, and record them."""
    # Imported only here, because both import pydantic.
    from generator.compiler.build import account
    from generator.install import commands

    site_account, _ = account(selection.inputs)
    names = commands.command_names(site_account)
    if not names:
        return
    links: list[record.CommandLink] = []
    for changes in record.home_record(home).optional_changes.values():
        # This site needs the links of other sites too: they stay when the other site goes.
        links += [link for link in changes.links if PurePosixPath(link.path).name in names]
    new_links: list[record.CommandLink] = []
    for command in commands.missing_commands(home, site_account):
        say(f"\n{command.message}")
        question = f"Make the link ~/{command.link}?"
        if is_interactive and command.elsewhere and agreed(question):
            new_links.append(commands.planned_link(home, command))
    for message in commands.shell_messages(home, site_account):
        say(f"\n{message}")
    if links or new_links:
        # Recorded first, so that no link stays that gen does not know.
        changes = record.OptionalChanges(links=(*links, *new_links))
        apply.add_optional_changes(home, selection.files.name, changes)
    for link in new_links:
        commands.make_link(home, link)
        say(f"  {'new':9} ~/{link.path} → {link.target}")


def _offer_first_login(home: Path, site_files: SiteFiles) -> None:
    """Offer the steps of a first login, and record the changes."""
    changes = first_login.offer(home, site_files.compilation, site_files.conf)
    if changes != record.OptionalChanges():
        apply.add_optional_changes(home, site_files.name, changes)


def _remarks(choice: inputs.Choice, site_files: SiteFiles) -> None:
    compilation = site_files.compilation
    # `home` is a value of .env files only, which gen install does not write.
    gaps = tuple(gap for gap in compilation.gaps if gap.name != "home")
    next_steps.print_remarks(replace(compilation, gaps=gaps), choice)


def _first_steps(home: Path, site_files: SiteFiles) -> None:
    say("\nNext steps:")
    for step in next_steps.first_steps(site_files.compilation):
        say(f"  {step}")
    login = site_files.compilation.first_login
    say(f"  ssh {shlex.quote(login.alias)}")
    changes = record.home_record(home).optional_changes.get(site_files.name)
    has_key = changes is not None and bool(changes.authorized_keys)
    if login.nodes_with_key_in_home and not has_key:
        command = f"gen copy-key {site_files.name}"
        say(f"  {command}   # after the login: compute nodes look for your key there")


def _json(installation: _Installation, sites: Iterable[SiteFiles]) -> str:
    plan = installation.checked.plan
    manual = None
    if plan.manual_reason:
        manual = {"reason": plan.manual_reason, "add": _block(plan)}
    return codec.report(
        {
            "sites": [site_files.name for site_files in sites],
            "files": file_changes.json_entries(plan.files),
            "manual_change": manual,
            "backups": installation.backups,
            "findings": installation.checked.findings,
            "timers": installation.timers,
        }
    )
