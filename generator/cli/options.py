"""The arguments and options of the commands, each defined once: names, variable, help."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from generator.install.mode import Mode
from generator.report.format import FailOn, Format

USER_KEYS = (
    *("user", "email", "identity_file", "account", "allocation", "client_id", "home"),
    "pkcs11_provider",
    *("multiplexing", "renew_on_connect", "accept_unverified"),
)
"""The keys of a profile, each of which has an option of the same name."""
SPECS = Path("site_specs")
"""The directory of specs that `review`, `new-site` and `import` use unless `--specs` names one."""


def option(*flags: str, text: str, variable: str | None = None, **settings: Any) -> Any:
    """Return an option; its environment variable is `GEN_` and the name of the first flag."""
    # `--pinned/--unpinned` is one option with two names.
    name = flags[0].split("/")[0].removeprefix("--")
    variable = variable or f"GEN_{name.replace('-', '_').upper()}"
    return typer.Option(*flags, help=text, envvar=variable, **settings)


def complete_site(incomplete: str) -> list[tuple[str, str]]:
    """Return the sites whose names start with some letters, and their titles, for a shell."""
    from generator.loading.catalogue import sites
    from generator.loading.index import indexed_titles

    titles = indexed_titles()
    return [(name, titles.get(name, "")) for name in _beginning_with(incomplete, sites(None))]


def complete_installed(incomplete: str) -> list[str]:
    """Return the names of installed sites that start with some letters."""
    from generator.install.record import installed

    return _beginning_with(incomplete, installed(Path.home()))


def complete_alias(incomplete: str) -> list[str]:
    """Return the aliases of the user's ssh configuration that start with some letters."""
    from generator.ssh.config_aliases import aliases

    # The user's file alone: that of the system rarely has hosts, and completion must be fast.
    config = Path.home() / ".ssh" / "config"
    names = _beginning_with(incomplete, aliases(config))
    # The scripts of the shells do not quote names, and no host needs others.
    return [name for name in names if re.fullmatch(r"[\w.@%+:-]+", name)]


def _beginning_with(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _site(metavar: str) -> Any:
    text = "Name of a site, or path of a spec."
    return typer.Argument(metavar=metavar, help=text, autocompletion=complete_site)


Site = Annotated[str, _site("SITE")]
Sites = Annotated[list[str], _site("SITE…")]
OptionalSite = Annotated[str | None, _site("[SITE]")]
OptionalSites = Annotated[list[str] | None, _site("[SITE…]")]
InstalledSites = Annotated[
    list[str],
    typer.Argument(
        metavar="SITE…", help="Names of installed sites.", autocompletion=complete_installed
    ),
]
InstalledSite = Annotated[
    str,
    typer.Argument(
        metavar="SITE", help="Name of an installed site.", autocompletion=complete_installed
    ),
]
OptionalInstalledSite = Annotated[
    str | None,
    typer.Argument(
        metavar="[SITE]", help="Name of an installed site.", autocompletion=complete_installed
    ),
]
Directory = Annotated[
    Path, typer.Argument(metavar="[DIR]", help="Directory with generated files and their specs.")
]

# Which site, and from which files its settings are read.
Specs = Annotated[
    Path | None,
    option(
        "--specs",
        text="Directory of specs, searched before ./site_specs and the built-in specs.",
    ),
]
SpecsDirectory = Annotated[Path, option("--specs", text="Directory of specs.")]
ProfilePath = Annotated[
    Path | None,
    option("--profile", text="Your profile. The default is $XDG_CONFIG_HOME/gen/profile.yaml."),
]
ProjectSite = Annotated[
    str | None,
    option("--site", text="Name of a site, or path of a spec.", autocompletion=complete_site),
]
Set = Annotated[
    list[str] | None,
    option(
        "--set",
        metavar="KEY=VALUE",
        text="Override a key of the spec: slurm.partition=zen4_0768. May be repeated.",
    ),
]
Answers = Annotated[
    list[str] | None,
    option("--set", metavar="KEY=VALUE", text="Answer a question in advance. May be repeated."),
]

# The user's own values; an option wins over the profile.
User = Annotated[str | None, option("--user", text="Your user name at the site.")]
Email = Annotated[str | None, option("--email", text="Your e-mail address, for a certificate.")]
IdentityFile = Annotated[
    str | None,
    option("--identity-file", text="Your private key. The default is ~/.ssh/id_SITE."),
]
Account = Annotated[
    str | None, option("--account", text="The account that your jobs are charged to.")
]
Allocation = Annotated[
    str | None,
    option("--allocation", text="Project or allocation in names and paths at the site."),
]
ClientId = Annotated[
    str | None, option("--client-id", text="Id of your OIDC client, for a certificate.")
]
Pkcs11Provider = Annotated[
    str | None,
    option("--pkcs11-provider", metavar="LIBRARY", text="PKCS#11 library of your smart card."),
]
Home = Annotated[
    str | None, option("--home", text="Home directory of the machine that reads the .env file.")
]
Multiplexing = Annotated[
    bool | None,
    option(
        "--multiplexing/--no-multiplexing",
        text="Share one connection between sessions, if the site allows it.",
    ),
]
RenewOnConnect = Annotated[
    bool | None,
    option(
        "--renew-on-connect/--no-renew-on-connect",
        text="Let ssh renew a certificate that is due before it connects.",
    ),
]
AcceptUnverified = Annotated[
    bool | None,
    option(
        "--accept-unverified",
        text="Also pin host keys from weak sources, after you have compared them.",
    ),
]
Unset = Annotated[
    list[str] | None,
    option(
        "--unset",
        metavar="KEY",
        text="Forget the value of KEY that an earlier run recorded: user, or slurm.partition.",
    ),
]
Retired = Annotated[
    bool, option("--retired", text="Install a site although it has closed (status.state: retired).")
]

# Output: where, with which consent, in which format.
Out = Annotated[Path, option("--out", text="Directory to write the files to.")]
DryRun = Annotated[
    bool, option("--dry-run", "-n", text="Write nothing. Print the changes as a patch.")
]
DryRunKey = Annotated[
    bool, option("--dry-run", "-n", text="Print the line, and do not connect to the site.")
]
Force = Annotated[
    bool, option("--force", text="Also replace edited files, and keep a backup of each.")
]
Yes = Annotated[bool, option("--yes", "-y", text="Do not ask for confirmation.")]
Json = Annotated[bool, option("--json", text="Print JSON on stdout.")]
ReportFormat = Annotated[Format, option("--format", text="Format of the report.")]
Seconds = Annotated[
    float, option("--seconds", min=1, max=600, text="Time limit for each answer of the site.")
]


# gen site
ProjectDirectory = Annotated[
    Path | None,
    option("--project", text="Connect the site to this Dagster project, which gen has made."),
]
NoProject = Annotated[
    bool,
    option("--no-project", text="Create no Dagster project, and leave an existing one as it is."),
]
EverySite = Annotated[
    bool,
    option("--all", text="Regenerate every site below --out from the values recorded in its lock."),
]

# gen project
ProjectName = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="Name of the project; with --update, its directory."),
]
UpdateProject = Annotated[
    bool,
    option(
        "--update",
        text="Merge the template of this gen into your files, as git merges. Nothing is lost.",
    ),
]

# gen install
InstallMode = Annotated[
    Mode | None,
    option(
        "--mode",
        text="What ~/.ssh/config gets: an Include line, the Host blocks, or (print) nothing.",
    ),
]
TakeOver = Annotated[
    bool,
    option(
        "--take-over",
        text="Comment out the lines of your own entries that the site replaces; `gen uninstall` "
        "restores them.",
    ),
]

AllowName = Annotated[
    list[str] | None,
    option(
        "--allow-name",
        metavar="NAME",
        text="Let a spec have this name, which is not the site's own. May be repeated.",
    ),
]

# gen uninstall
Purge = Annotated[
    bool,
    option("--purge", text="Also delete the site's keys, certificates and secrets."),
]

# gen refresh
RenewNow = Annotated[
    bool,
    option(
        "--force",
        text="Renew the certificate although it is not due.",
        variable="GEN_REFRESH_FORCE",
    ),
]
OnlyCheck = Annotated[
    bool,
    option(
        "--check",
        text="Renew nothing. Exit status 0: the certificate is valid; 1: it is due or missing; "
        "2: gen cannot tell, and says why.",
        variable="GEN_REFRESH_CHECK",
    ),
]
Rotate = Annotated[
    bool,
    option(
        "--rotate-app-password",
        "--rotate-credentials",  # the name in dagster-slurm's scripts
        text="Create new credentials, test them, and delete the old ones.",
    ),
]
Device = Annotated[
    bool,
    option(
        "--device", text="Log in with a browser on another device: print a link for it (step only)."
    ),
]
CaBundle = Annotated[
    Path | None,
    option("--ca-bundle", metavar="FILE", text="Trust the CAs in this file for TLS."),
]
KeepTrying = Annotated[
    bool,
    option(
        "--retry",
        text="After a failure of the network or a server, try again until it passes: after 30 s, "
        "then every 2 min at most. For the timer.",
        variable="GEN_REFRESH_RETRY",
    ),
]
Verbose = Annotated[
    bool,
    option(
        "--verbose",
        text="Also print the errors of step and of the network in their own words.",
        variable="GEN_REFRESH_VERBOSE",
    ),
]
OnConnect = Annotated[
    bool,
    option(
        "--on-connect", text="For ssh: ask nothing, end within 12 s, and go on in the background."
    ),
]

# gen review
Base = Annotated[
    str, typer.Argument(metavar="BASE", help="Revision to compare with: the target branch.")
]
Head = Annotated[
    str | None,
    typer.Argument(
        metavar="[HEAD]", help="Revision to review. The default is the files in the work tree."
    ),
]

ReviewVerdict = Annotated[
    FailOn | None,
    option("--fail-on", text="Exit with 1 on a finding of this weight or a graver one."),
]

# gen accept
AcceptedPath = Annotated[
    Path, typer.Argument(metavar="PATH", help="The generated file that differs.")
]
Until = Annotated[
    str,
    option("--until", metavar="DATE", text="Last day, as YYYY-MM-DD; 180 days from now at most."),
]
Reason = Annotated[str, option("--reason", metavar="TEXT", text="Why the team accepts that.")]

# gen list
Country = Annotated[str | None, option("--country", text="Country code, as in CA.")]
Login = Annotated[
    str | None,
    option(
        "--login",
        text="Login method: publickey, keyboard, kerberos, step, certificate, agent or not-stated.",
    ),
]
Scheduler = Annotated[
    str | None, option("--scheduler", text="Scheduler: slurm, pbs, flux, sge, htcondor, pjm.")
]
Gpu = Annotated[
    str | None,
    option("--gpu", metavar="NAME", text="Part of the name of a GPU, as in H100; '' for any GPU."),
]
Pinned = Annotated[bool, option("--pinned", text="Only sites with pinned host keys.")]
Unpinned = Annotated[bool, option("--unpinned", text="Only sites without pinned host keys.")]

# gen validate
SpecFiles = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Specs to check.")]
Strict = Annotated[
    bool,
    option(
        "--strict",
        text="Also print the questions of a reviewer about sources, their age, pins and names.",
    ),
]

# gen schema
SchemaKind = Annotated[
    Literal["spec", "profile"],
    typer.Argument(metavar="[KIND]", help="The files that the schema is for: spec or profile."),
]

# gen new-site
NewName = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Name of the site. gen writes NAME.yaml."),
]

# gen status
Live = Annotated[
    bool,
    option("--live", text="Log in and compare the site with its spec. Changes nothing there."),
]
FixSpec = Annotated[
    bool,
    option("--fix-spec", text="Write the site's own answers about its queues to the spec."),
]

# gen import
HostAlias = Annotated[
    str,
    typer.Argument(
        metavar="ALIAS",
        help="A host of your ssh configuration.",
        autocompletion=complete_alias,
    ),
]
ImportName = Annotated[
    str | None, option("--name", text="Name of the site. The default is the alias.")
]
ImportLive = Annotated[bool, option("--live", text="Also log in and ask for the site's queues.")]


def user_values(arguments: Mapping[str, Any]) -> dict[str, str | bool | None]:
    """Return the arguments of a command that override the profile, by its keys."""
    values: dict[str, str | bool | None] = {}
    for key in USER_KEYS:
        values[key] = arguments.get(key)
    # A switch that is not given must not override a profile that sets it.
    values["accept_unverified"] = values["accept_unverified"] or None
    return values


def typed_options(context: typer.Context, *names: str) -> str:
    """Return those of some options that the user typed.

    A variable of the environment does not count.
    """
    typed: list[str] = []
    for name in names:
        # By its text: the enumeration is click's, and typer ships a click of its own.
        if not str(context.get_parameter_source(name)).endswith("COMMANDLINE"):
            continue
        if name == "sites":
            typed.append("SITE")
        else:
            # `set_` stands for --set, since a parameter `set` would hide Python's.
            typed.append(f"--{name.strip('_').replace('_', '-')}")
    return ", ".join(typed)
