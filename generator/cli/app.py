"""The commands: options in, one call, an exit status out.

A command's module is imported only when that command runs: to import all of them would make each
one slow.
"""

from copy import copy
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from generator.cli import options
from generator.cli.options import SPECS, user_values
from generator.report.format import Format

app = typer.Typer(
    name="gen",
    help="Compile HPC site specs into ssh configuration, host keys, .env files and timers.",
    epilog="First steps: `gen init`, or `gen list` and then `gen site musica --out .`",
    no_args_is_help=True,
    # Typer would print a bug's traceback with the values of variables, among them secrets, and
    # would exit with 1, which means drift.
    pretty_exceptions_enable=False,
    # click itself knows only --help.
    context_settings={"help_option_names": ["-h", "--help"]},
)


def with_command(name: str) -> typer.Typer:
    """Return the app with this command alone, or all of it for an unknown command.

    typer builds every command that it knows, with all options, before it runs one.
    """
    for command in app.registered_commands:
        function = command.callback
        if function and name == (command.name or function.__name__):
            narrowed = copy(app)
            narrowed.registered_commands = [command]
            return narrowed
    from generator.cli import source_commands

    complete = copy(app)
    complete.registered_groups = []  # the copy would share the list
    complete.add_typer(source_commands.app)
    if name == source_commands.app.info.name:
        complete.registered_commands = []
    return complete


def _version(is_set: bool) -> None:
    if is_set:
        from generator import __version__

        typer.echo(f"gen {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def init(
    sites: options.OptionalSites = None,
    specs: options.Specs = None,
    profile: options.ProfilePath = None,
    user: options.User = None,
    email: options.Email = None,
    identity_file: options.IdentityFile = None,
    account: options.Account = None,
    allocation: options.Allocation = None,
    client_id: options.ClientId = None,
    pkcs11_provider: options.Pkcs11Provider = None,
    home: options.Home = None,
    multiplexing: options.Multiplexing = None,
    renew_on_connect: options.RenewOnConnect = None,
    accept_unverified: options.AcceptUnverified = None,
) -> None:
    """Ask who you are and which sites you use, and write your profile.

    Without a terminal, the options are written: for the sites that you name, or for all.

    Examples:
    gen init

    gen init musica --user xy12345 --client-id abc123
    """
    from generator.cli.init import run

    raise typer.Exit(run(sites or [], profile, user_values(locals()), specs))


@app.command()
def site(
    context: typer.Context,
    sites: options.OptionalSites = None,
    out: options.Out = Path(),
    specs: options.Specs = None,
    profile: options.ProfilePath = None,
    user: options.User = None,
    email: options.Email = None,
    identity_file: options.IdentityFile = None,
    account: options.Account = None,
    allocation: options.Allocation = None,
    client_id: options.ClientId = None,
    pkcs11_provider: options.Pkcs11Provider = None,
    home: options.Home = None,
    multiplexing: options.Multiplexing = None,
    renew_on_connect: options.RenewOnConnect = None,
    accept_unverified: options.AcceptUnverified = None,
    set_: options.Set = None,
    unset: options.Unset = None,
    dry_run: options.DryRun = False,
    force: options.Force = False,
    project: options.ProjectDirectory = None,
    no_project: options.NoProject = False,
    every_site: options.EverySite = False,
    json: options.Json = False,
) -> None:
    """Compile sites and write all their files.

    Examples:
    gen site musica mila --out . --user xy12345

    gen site mila --set slurm.partition=main --dry-run

    gen site --all
    """
    from generator.loading.inputs import Choice

    values = user_values(locals())
    if every_site:
        names = ("sites", "specs", "profile", "set_", "unset", "project", "no_project", *values)
        if typed := options.typed_options(context, *names):
            message = f"reads its values from the locks; remove {typed}"
            raise typer.BadParameter(message, param_hint="--all")
        from generator.cli.site_all import run as run_all

        status = run_all(out, dry_run=dry_run, force=force, as_json=json, today=date.today())
        raise typer.Exit(status)
    if project and no_project:
        raise typer.BadParameter("contradicts --project", param_hint="--no-project")
    if not sites:
        message = "name a site (gen list prints them), or use --all"
        raise typer.BadParameter(message, param_hint="SITE")
    from generator.cli.site import run

    changes, forgotten = tuple(set_ or ()), tuple(unset or ())
    choices = [Choice(site, specs, profile, values, changes, forgotten) for site in sites]
    project_choice = project or not no_project
    raise typer.Exit(run(choices, out, project_choice, dry_run=dry_run, force=force, as_json=json))


@app.command()
def project(
    context: typer.Context,
    name: options.ProjectName = None,
    site: options.ProjectSite = None,
    update: options.UpdateProject = False,
    out: options.Out = Path(),
    specs: options.Specs = None,
    profile: options.ProfilePath = None,
    set_: options.Set = None,
    unset: options.Unset = None,
    accept_unverified: options.AcceptUnverified = None,
    dry_run: options.DryRun = False,
    force: options.Force = False,
    json: options.Json = False,
) -> None:
    """Create a Dagster project that runs at a site, or merge a newer template into one.

    Examples:
    gen project my-pipelines --site musica

    gen project sweep --site mila --set slurm.partition=main

    gen project my-pipelines --update
    """
    values = user_values(locals())
    if update:
        names = ("site", "out", "specs", "profile", "set_", "unset", "accept_unverified")
        if typed := options.typed_options(context, *names):
            message = f"merges the template of this gen alone; remove {typed}"
            raise typer.BadParameter(message, param_hint="--update")
        from generator.cli.project_update import run as run_update

        status = run_update(Path(name or ""), dry_run=dry_run, force=force, as_json=json)
        raise typer.Exit(status)
    if name is None:
        raise typer.BadParameter("name a project, or use --update", param_hint="NAME")
    if site is None:
        message = "name the site of the project (gen list prints them), or use --update"
        raise typer.BadParameter(message, param_hint="--site")
    from generator.cli.project import run
    from generator.loading.inputs import Choice

    choice = Choice(site, specs, profile, values, tuple(set_ or ()), tuple(unset or ()))
    raise typer.Exit(run(name, choice, out, dry_run=dry_run, force=force, as_json=json))


@app.command()
def install(
    sites: options.Sites,
    specs: options.Specs = None,
    profile: options.ProfilePath = None,
    user: options.User = None,
    email: options.Email = None,
    identity_file: options.IdentityFile = None,
    account: options.Account = None,
    allocation: options.Allocation = None,
    client_id: options.ClientId = None,
    pkcs11_provider: options.Pkcs11Provider = None,
    multiplexing: options.Multiplexing = None,
    renew_on_connect: options.RenewOnConnect = None,
    accept_unverified: options.AcceptUnverified = None,
    set_: options.Set = None,
    unset: options.Unset = None,
    mode: options.InstallMode = None,
    take_over: options.TakeOver = False,
    allow_name: options.AllowName = None,
    retired: options.Retired = False,
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    force: options.Force = False,
    json: options.Json = False,
) -> None:
    """Install a site's files where ssh and systemd (or launchd) read them, and start its timer.

    gen shows the changes and asks before it writes.

    Examples:
    gen install mila --user ada

    gen install musica --dry-run
    """
    from generator.cli.install import Consent, run
    from generator.loading.inputs import Choice

    values = user_values(locals())
    changes, forgotten = tuple(set_ or ()), tuple(unset or ())
    choices = [Choice(site, specs, profile, values, changes, forgotten) for site in sites]
    consent = Consent(yes, force, take_over, tuple(allow_name or ()), retired)
    raise typer.Exit(run(choices, mode, consent, dry_run=dry_run, as_json=json))


@app.command()
def uninstall(
    sites: options.InstalledSites,
    purge: options.Purge = False,
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    force: options.Force = False,
    json: options.Json = False,
) -> None:
    """Remove everything that `gen install` wrote to the home directory.

    gen shows the changes and asks before it writes.

    Example: gen uninstall mila
    """
    from generator.cli.install import Consent
    from generator.cli.uninstall import run

    raise typer.Exit(run(sites, Consent(yes, force), purge=purge, dry_run=dry_run, as_json=json))


@app.command("copy-key")
def copy_key(
    site: options.InstalledSite, yes: options.Yes = False, dry_run: options.DryRunKey = False
) -> None:
    """Put your public key into ~/.ssh/authorized_keys at a site whose compute nodes look for it.

    gen shows the line and asks before it connects. `gen uninstall` removes the line.

    Examples:
    gen copy-key mila

    gen copy-key mila --yes
    """
    from generator.cli.copy_key import run

    raise typer.Exit(run(site, yes=yes, dry_run=dry_run))


@app.command()
def disconnect(site: options.OptionalInstalledSite = None) -> None:
    """End the shared connections of a site, or of all sites.

    Sessions that use them end too.

    Example: gen disconnect mila
    """
    from generator.cli.disconnect import run

    raise typer.Exit(run(site))


@app.command()
def refresh(
    site: options.Site,
    force: options.RenewNow = False,
    only_check: options.OnlyCheck = False,
    rotate: options.Rotate = False,
    device: options.Device = False,
    ca_bundle: options.CaBundle = None,
    retry: options.KeepTrying = False,
    verbose: options.Verbose = False,
    on_connect: options.OnConnect = False,
    specs: options.Specs = None,
    profile: options.ProfilePath = None,
    json: options.Json = False,
) -> None:
    """Renew the SSH certificate of a site when it is due. The timer, cron and ssh run this command.

    Examples:
    gen refresh musica

    gen refresh musica --device

    gen refresh musica --check --json
    """
    from generator.loading.inputs import Choice

    choice = Choice(site, specs, profile)
    if only_check:
        from generator.cli.refresh_check import check

        raise typer.Exit(check(choice, as_json=json))
    from generator.cli.refresh import run
    from generator.renewal.context import RefreshOptions

    refresh_options = RefreshOptions(force, rotate, on_connect, device=device, bundle=ca_bundle)
    raise typer.Exit(run(choice, refresh_options, retry=retry, verbose=verbose, as_json=json))


@app.command()
def check(
    directory: options.Directory = Path(), report_format: options.ReportFormat = Format.TEXT
) -> None:
    """Check that every generated file matches its spec, and report why if not. Writes nothing.

    Examples:
    gen check

    gen check deploy --format markdown
    """
    from generator.cli.check import run

    raise typer.Exit(run(directory, report_format, date.today()))


@app.command()
def accept(path: options.AcceptedPath, until: options.Until, reason: options.Reason) -> None:
    """Accept the drift of one file until a date, in `.gen/accepted.yaml`.

    Reviewers see it as trust.

    Example: gen accept ssh/mila.conf --until YYYY-MM-DD --reason "the jump host moves"
    """
    from generator.cli.accept import run

    raise typer.Exit(run(path, until, reason, date.today()))


@app.command()
def diff(directory: options.Directory = Path()) -> None:
    """Print the changes that would end the drift, as a patch for `git apply`. Writes nothing.

    Example: gen diff | git apply
    """
    from generator.cli.diff import run

    raise typer.Exit(run(directory, date.today()))


@app.command()
def review(
    base: options.Base,
    head: options.Head = None,
    specs: options.SpecsDirectory = SPECS,
    report_format: options.ReportFormat = Format.TEXT,
    fail_on: options.ReviewVerdict = None,
) -> None:
    """Review the meaning of changed specs; changes of trust come first. Writes nothing.

    Examples:
    gen review main

    gen review origin/main HEAD --format markdown

    gen review main --fail-on trust
    """
    from generator.cli.review import run

    raise typer.Exit(run(base, head, specs, report_format, fail_on, date.today()))


@app.command("list")
def list_(
    country: options.Country = None,
    login: options.Login = None,
    scheduler: options.Scheduler = None,
    gpu: options.Gpu = None,
    pinned: options.Pinned = False,
    unpinned: options.Unpinned = False,
    specs: options.Specs = None,
    json: options.Json = False,
) -> None:
    """List the sites.

    Examples:
    gen list --country CA --gpu h100

    gen list --specs our/specs --unpinned
    """
    from generator.cli.list import Filter, run

    site_filter = Filter(country, login, gpu, pinned, unpinned, scheduler)
    raise typer.Exit(run(specs, site_filter, as_json=json))


@app.command()
def show(site: options.Site, specs: options.Specs = None, json: options.Json = False) -> None:
    """Show one site: hosts, host keys, login, partitions, and the source of each fact.

    Example: gen show mila
    """
    from generator.cli.show import run

    raise typer.Exit(run(site, specs, as_json=json))


@app.command()
def validate(
    files: options.SpecFiles,
    strict: options.Strict = False,
    json: options.Json = False,
) -> None:
    """Check specs and print every fault with file, line and key.

    Examples:
    gen validate site_specs/*.yaml

    gen validate --strict site_specs/ours.yaml
    """
    from generator.cli.validate import run

    raise typer.Exit(run(files, strict=strict, as_json=json, today=date.today()))


@app.command("new-site")
def new_site(
    name: options.NewName,
    specs: options.SpecsDirectory = SPECS,
    set_: options.Answers = None,
) -> None:
    """Ask for the facts that a first spec needs, and write the spec.

    Examples:
    gen new-site ours

    gen new-site ours --set title=Ours --set hosts.ours.host=login.example.org
    """
    from generator.cli.new_site import run

    raise typer.Exit(run(name, tuple(set_ or ()), specs, date.today()))


@app.command()
def schema(kind: options.SchemaKind = "spec") -> None:
    """Print the JSON Schema of specs, or of profiles, for editors.

    Examples:
    gen schema > site-spec.schema.json

    gen schema profile
    """
    from generator.cli.schema import run

    raise typer.Exit(run(kind))


@app.command()
def status(
    site: options.OptionalSite = None,
    live: options.Live = False,
    fix_spec: options.FixSpec = False,
    yes: options.Yes = False,
    seconds: options.Seconds = 10,
    specs: options.Specs = None,
    profile: options.ProfilePath = None,
    user: options.User = None,
    identity_file: options.IdentityFile = None,
    json: options.Json = False,
) -> None:
    """Show installed sites, certificates and timers. --live compares a site with its spec.

    Examples:
    gen status

    gen status musica --live

    gen status site_specs/ours.yaml --live --fix-spec
    """
    if not (live or fix_spec):
        from generator.cli.status import run as run_here

        raise typer.Exit(run_here(site, specs, profile, as_json=json))
    if site is None:
        raise typer.BadParameter("name the site to compare with --live", param_hint="SITE")
    from generator.cli.status_live import run
    from generator.loading.inputs import Choice

    choice = Choice(site, specs, profile, user_values(locals()), ())
    raise typer.Exit(
        run(choice, seconds=seconds, fix=fix_spec, yes=yes, as_json=json, today=date.today())
    )


@app.command("import")
def import_(
    alias: options.HostAlias,
    name: options.ImportName = None,
    live: options.ImportLive = False,
    specs: options.SpecsDirectory = SPECS,
    seconds: options.Seconds = 10,
) -> None:
    """Write a first spec from a host of your ssh configuration.

    Examples:
    gen import mycluster

    gen import --live login.cluster.example.org --name ours
    """
    from generator.cli.import_ import run

    raise typer.Exit(run(alias, name, specs, live=live, seconds=seconds, today=date.today()))
