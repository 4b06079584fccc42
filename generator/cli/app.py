"""Options in, a call, an exit status out. A command's module is imported only when the command runs."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from generator.install.mode import Mode
from generator.report.format import Format

app = typer.Typer(
    name="gen",
    help="Compile HPC site specs into ssh configuration, pinned host keys, .env files and certificate timers.",
    epilog="First steps: `gen list`, then `gen site musica --out .`",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
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


def _complete_site(incomplete: str) -> list[str]:
    from generator.loading.catalogue import sites

    return [name for name in sites(None) if name.startswith(incomplete)]


Site = Annotated[
    str,
    typer.Argument(
        metavar="SITE", help="Name of a site, or path of a spec.", autocompletion=_complete_site
    ),
]
Specs = Annotated[
    Path | None,
    typer.Option(
        help="Folder of specs, before ./site_specs and those that ship with gen.",
        envvar="GEN_SPECS",
    ),
]
ProfilePath = Annotated[
    Path | None,
    typer.Option(
        "--profile",
        help="Who you are; else $XDG_CONFIG_HOME/gen/profile.yaml, if there.",
        envvar="GEN_PROFILE",
    ),
]
User = Annotated[str | None, typer.Option(help="Your user name at the site.", envvar="GEN_USER")]
Email = Annotated[
    str | None, typer.Option(help="Your e-mail address, for a certificate.", envvar="GEN_EMAIL")
]
IdentityFile = Annotated[
    str | None, typer.Option(help="Private key; else ~/.ssh/id_SITE.", envvar="GEN_IDENTITY_FILE")
]
Account = Annotated[
    str | None, typer.Option(help="Account that jobs are charged to.", envvar="GEN_ACCOUNT")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change the spec, as in slurm.partition=zen4_0768; may be repeated.",
        envvar="GEN_SET",
    ),
]
AcceptUnverified = Annotated[
    bool | None,
    typer.Option(
        "--accept-unverified",
        help="Pin host keys known from weak sources too, after you compared them.",
        envvar="GEN_ACCEPT_UNVERIFIED",
    ),
]
Out = Annotated[Path, typer.Option(help="Folder to write below.", envvar="GEN_OUT")]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", "-n", help="Write nothing; print the changes as a diff.", envvar="GEN_DRY_RUN"
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Replace edited files too, and keep a backup of each.", envvar="GEN_FORCE"
    ),
]
Seconds = Annotated[
    float,
    typer.Option(min=1, max=600, help="How long asking a site may take.", envvar="GEN_SECONDS"),
]
Json = Annotated[
    bool, typer.Option("--json", help="JSON for programs, on stdout.", envvar="GEN_JSON")
]


def _typed(context: typer.Context, *names: str) -> str:
    """Return those of some parameters that were typed; what the environment has is no contradiction."""
    typed = [
        name for name in names if str(context.get_parameter_source(name)).endswith("COMMANDLINE")
    ]
    return ", ".join(
        "SITE" if name == "site" else f"--{name.strip('_').replace('_', '-')}" for name in typed
    )


def _person(
    user: str | None = None,
    email: str | None = None,
    identity_file: str | None = None,
    account: str | None = None,
    accept_unverified: bool | None = None,
) -> dict[str, str | bool | None]:
    """Return what was typed of a person, by the keys of the profile; a switch that is off says nothing."""
    values = {"user": user, "email": email, "identity_file": identity_file, "account": account}
    return {**values, "accept_unverified": accept_unverified or None}


Folder = Annotated[
    Path, typer.Argument(metavar="[DIR]", help="Folder that holds generated files and specs.")
]

Form = Annotated[Format, typer.Option("--format", help="How to print it.", envvar="GEN_FORMAT")]


@app.command()
def site(
    context: typer.Context,
    site: Annotated[
        str | None,
        typer.Argument(
            metavar="SITE", help="Name of a site, or path of a spec.", autocompletion=_complete_site
        ),
    ] = None,
    out: Out = Path(),
    specs: Specs = None,
    profile: ProfilePath = None,
    user: User = None,
    email: Email = None,
    identity_file: IdentityFile = None,
    account: Account = None,
    set_: Set = None,
    accept_unverified: AcceptUnverified = None,
    dry_run: DryRun = False,
    force: Force = False,
    project: Annotated[
        Path | None,
        typer.Option(
            help="Wire the site into a Dagster project that is there, too.", envvar="GEN_PROJECT"
        ),
    ] = None,
    no_project: Annotated[
        bool, typer.Option("--no-project", help="Make no Dagster project.", envvar="GEN_NO_PROJECT")
    ] = False,
    every: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Make every site below the folder anew, for whom it was made before.",
            envvar="GEN_ALL",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Compile a site and write every file of it.

    Examples:
    gen site musica --out . --user xy12345

    gen site mila --set slurm.partition=main --dry-run

    gen site --all
    """
    from generator.loading.inputs import Choice

    options = _person(user, email, identity_file, account, accept_unverified)
    if every:
        if typed := _typed(
            context, "site", "specs", "profile", "set_", "project", "no_project", *options
        ):
            raise typer.BadParameter(
                f"takes its inputs from the locks; leave out {typed}", param_hint="--all"
            )
        from generator.cli.site_all import run as run_all

        raise typer.Exit(
            run_all(out, dry_run=dry_run, force=force, as_json=json, today=date.today())
        )
    if project and no_project:
        raise typer.BadParameter("contradicts --project", param_hint="--no-project")
    if site is None:
        raise typer.BadParameter("name one (gen list shows them), or say --all", param_hint="SITE")
    from generator.cli.site import run

    choice = Choice(site, specs, profile, options, tuple(set_ or ()))
    raise typer.Exit(
        run(choice, out, project or not no_project, dry_run=dry_run, force=force, as_json=json)
    )


@app.command()
def project(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the project.")],
    site: Annotated[
        str,
        typer.Option(
            help="Name of a site, or path of a spec.",
            autocompletion=_complete_site,
            envvar="GEN_SITE",
        ),
    ],
    out: Out = Path(),
    specs: Specs = None,
    profile: ProfilePath = None,
    set_: Set = None,
    accept_unverified: AcceptUnverified = None,
    dry_run: DryRun = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Make a Dagster project that runs at a site, in a folder of its own.

    Examples:
    gen project my-pipelines --site musica

    gen project sweep --site mila --set slurm.partition=main
    """
    from generator.cli.project import run
    from generator.loading.inputs import Choice

    choice = Choice(
        site, specs, profile, _person(accept_unverified=accept_unverified), tuple(set_ or ())
    )
    raise typer.Exit(run(name, choice, out, dry_run=dry_run, force=force, as_json=json))


Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it unasked.", envvar="GEN_YES")]
Sites = Annotated[
    list[str],
    typer.Argument(
        metavar="SITE…", help="Names of sites, or paths of specs.", autocompletion=_complete_site
    ),
]


def _complete_installed(incomplete: str) -> list[str]:
    from generator.install.record import installed

    return [name for name in installed(Path.home()) if name.startswith(incomplete)]


@app.command()
def install(
    sites: Sites,
    specs: Specs = None,
    profile: ProfilePath = None,
    user: User = None,
    email: Email = None,
    identity_file: IdentityFile = None,
    account: Account = None,
    set_: Set = None,
    accept_unverified: AcceptUnverified = None,
    mode: Annotated[
        Mode | None,
        typer.Option(
            help="How ~/.ssh/config reads it: one Include, the Host blocks in it, or print what to add.",
            envvar="GEN_MODE",
        ),
    ] = None,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over",
            help="Have ours replace the entries of `mila init`.",
            envvar="GEN_TAKE_OVER",
        ),
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Put what a site compiles to where ssh and systemd read it, and start its timer. Shows the changes, and asks.

    Examples:
    gen install mila --user ada

    gen install musica --dry-run
    """
    from generator.cli.install import Consent, run
    from generator.loading.inputs import Choice

    options = _person(user, email, identity_file, account, accept_unverified)
    choices = [Choice(site, specs, profile, options, tuple(set_ or ())) for site in sites]
    raise typer.Exit(
        run(choices, mode, Consent(yes, force, take_over), dry_run=dry_run, as_json=json)
    )


@app.command()
def uninstall(
    sites: Annotated[
        list[str],
        typer.Argument(
            metavar="SITE…",
            help="Names of sites that are installed.",
            autocompletion=_complete_installed,
        ),
    ],
    purge: Annotated[
        bool,
        typer.Option(
            "--purge", help="Keys, certificates and secrets of the site, too.", envvar="GEN_PURGE"
        ),
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Take out of the home folder what `gen install` put there, to the last byte. Shows the changes, and asks.

    Example: gen uninstall mila
    """
    from generator.cli.install import Consent
    from generator.cli.uninstall import run

    raise typer.Exit(run(sites, Consent(yes, force), purge=purge, dry_run=dry_run, as_json=json))


@app.command()
def refresh(
    site: Site,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Renew it although it is not due.", envvar="GEN_REFRESH_FORCE"
        ),
    ] = False,
    only_check: Annotated[
        bool,
        typer.Option(
            "--check", help="Only tell: 0 it is valid, 1 it is due.", envvar="GEN_REFRESH_CHECK"
        ),
    ] = False,
    rotate: Annotated[
        bool,
        typer.Option(
            "--rotate-app-password",
            help="Make new credentials, prove them, and take the old ones away.",
            envvar="GEN_ROTATE_APP_PASSWORD",
        ),
    ] = False,
    ca_bundle: Annotated[
        Path | None,
        typer.Option(
            "--ca-bundle", metavar="FILE", help="Trust these CAs for TLS.", envvar="GEN_CA_BUNDLE"
        ),
    ] = None,
    on_connect: Annotated[
        bool,
        typer.Option(
            "--on-connect",
            help="As ssh runs it: ask nothing, and end within 20 s.",
            envvar="GEN_ON_CONNECT",
        ),
    ] = False,
    specs: Specs = None,
    profile: ProfilePath = None,
    json: Json = False,
) -> None:
    """Renew the SSH certificate of a site when it is due; the timer, a cron line and ssh itself run this.

    Examples:
    gen refresh musica

    gen refresh musica --check --json
    """
    from generator.cli.refresh import check, run
    from generator.loading.inputs import Choice
    from generator.renewal.context import Wish

    choice = Choice(site, specs, profile, {}, ())
    if only_check:
        raise typer.Exit(check(choice, as_json=json))
    wish = Wish(force=force, rotate=rotate, on_connect=on_connect, bundle=ca_bundle)
    raise typer.Exit(run(choice, wish, as_json=json))


@app.command()
def check(folder: Folder = Path(), form: Form = Format.TEXT) -> None:
    """Check that every generated file is what its spec compiles to, and tell why where it is not. Writes nothing.

    Examples:
    gen check

    gen check deploy --format markdown
    """
    from generator.cli.check import run

    raise typer.Exit(run(folder, form, date.today()))


@app.command()
def diff(folder: Folder = Path()) -> None:
    """Print what would end the drift, as a patch for `git apply`. Writes nothing.

    Example: gen diff | git apply
    """
    from generator.cli.diff import run

    raise typer.Exit(run(folder, date.today()))


@app.command()
def review(
    base: Annotated[
        str,
        typer.Argument(metavar="BASE", help="Revision to start from, as a rule the target branch."),
    ],
    head: Annotated[
        str | None,
        typer.Argument(
            metavar="[HEAD]", help="Revision to compare; without it, the files as they are."
        ),
    ] = None,
    specs: Annotated[Path, typer.Option(help="Folder of specs.", envvar="GEN_SPECS")] = Path(
        "site_specs"
    ),
    form: Form = Format.TEXT,
) -> None:
    """Review what a change of specs means for the people who log in; whom they trust comes first. Writes nothing.

    Examples:
    gen review main

    gen review origin/main HEAD --format markdown
    """
    from generator.cli.review import run

    raise typer.Exit(run(base, head, specs, form, date.today()))


@app.command("list")
def list_(
    country: Annotated[
        str | None, typer.Option(help="Country code, as in CA.", envvar="GEN_COUNTRY")
    ] = None,
    login: Annotated[
        str | None,
        typer.Option(
            help="Login by publickey, keyboard, kerberos, step, certificate or agent.",
            envvar="GEN_LOGIN",
        ),
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Part of a GPU's name, as in H100; '' for any.", envvar="GEN_GPU"
        ),
    ] = None,
    pinned: Annotated[
        bool | None,
        typer.Option(
            "--pinned/--unpinned",
            help="Whose host keys are pinned, or are not.",
            envvar="GEN_PINNED",
        ),
    ] = None,
    specs: Specs = None,
    json: Json = False,
) -> None:
    """List the sites there are.

    Examples:
    gen list --country CA --gpu h100

    gen list --specs our/specs --unpinned
    """
    from generator.cli.list import Filter, run

    raise typer.Exit(run(specs, Filter(country, login, gpu, pinned), as_json=json))


@app.command()
def show(site: Site, specs: Specs = None, json: Json = False) -> None:
    """Show one site: hosts, host keys, login, partitions, and where each fact is from.

    Example: gen show mila
    """
    from generator.cli.show import run

    raise typer.Exit(run(site, specs, as_json=json))


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Specs to check.")],
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Also what a reviewer would ask: sources, age, pins, names.",
            envvar="GEN_STRICT",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Check specs: every fault on a line, with file, line and key.

    Examples:
    gen validate site_specs/*.yaml

    gen validate --strict site_specs/ours.yaml
    """
    from generator.cli.validate import run

    raise typer.Exit(run(files, strict=strict, as_json=json, today=date.today()))


@app.command("new-site")
def new_site(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the site; the file is called the same.")
    ],
    specs: Annotated[
        Path, typer.Option(help="Folder of specs to write to.", envvar="GEN_SPECS")
    ] = Path("site_specs"),
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Answer a question beforehand.", envvar="GEN_SET"
        ),
    ] = None,
) -> None:
    """Ask what a first spec needs, and write it.

    Examples:
    gen new-site ours

    gen new-site ours --set title=Ours --set hosts.ours.host=login.example.org
    """
    from generator.cli.new_site import run

    raise typer.Exit(run(name, tuple(set_ or ()), specs, date.today()))


@app.command()
def schema() -> None:
    """Print the JSON Schema of specs, for editors.

    Example: gen schema > site-spec.schema.json
    """
    from generator.cli.schema import run

    raise typer.Exit(run())


@app.command()
def status(
    site: Annotated[
        str | None,
        typer.Argument(
            metavar="[SITE]",
            help="Name of a site, or path of a spec.",
            autocompletion=_complete_site,
        ),
    ] = None,
    live: Annotated[
        bool,
        typer.Option(
            "--live", help="Ask the site itself; changes nothing there.", envvar="GEN_LIVE"
        ),
    ] = False,
    fix_spec: Annotated[
        bool,
        typer.Option(
            "--fix-spec",
            help="Put what the site says of its queues into the spec.",
            envvar="GEN_FIX_SPEC",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", envvar="GEN_YES")] = False,
    seconds: Seconds = 10,
    specs: Specs = None,
    profile: ProfilePath = None,
    user: User = None,
    identity_file: IdentityFile = None,
    json: Json = False,
) -> None:
    """Tell what is installed, and how certificates and their timers stand; with --live, what the site itself says.

    Examples:
    gen status

    gen status musica --live

    gen status site_specs/ours.yaml --live --fix-spec
    """
    if not (live or fix_spec):
        from generator.cli.status import run as run_here

        raise typer.Exit(run_here(site, specs, profile, as_json=json))
    if site is None:
        raise typer.BadParameter("name the site to ask", param_hint="SITE")
    from generator.cli.status_live import run
    from generator.loading.inputs import Choice

    choice = Choice(site, specs, profile, _person(user, identity_file=identity_file), ())
    raise typer.Exit(
        run(choice, seconds=seconds, fix=fix_spec, yes=yes, as_json=json, today=date.today())
    )


@app.command("import")
def import_(
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="Host of your ssh configuration.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the site; else the alias.", envvar="GEN_NAME")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Log in and ask for its queues, too.", envvar="GEN_LIVE")
    ] = False,
    specs: Annotated[
        Path, typer.Option(help="Folder of specs to write to.", envvar="GEN_SPECS")
    ] = Path("site_specs"),
    seconds: Seconds = 10,
) -> None:
    """Make a first spec from a host that ssh knows.

    Examples:
    gen import mycluster

    gen import --live login.cluster.example.org --name ours
    """
    from generator.cli.import_ import run

    raise typer.Exit(run(alias, name, specs, live=live, seconds=seconds, today=date.today()))
