"""`gen source …`: the commands for specs that a centre publishes."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from generator.cli import options
from generator.cli.options import option
from generator.sources import MOST_DAYS

app = typer.Typer(
    name="source",
    help="Use the specs that a centre publishes, or publish specs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

# Each option is defined here and not in `options`: only these commands have it, and to build an
# option takes time at every start.
SOURCE_HELP = "https://HOST/PATH, git+https://HOST/REPOSITORY@REVISION, or a directory."

Origin = Annotated[str, typer.Argument(metavar="SOURCE", help=SOURCE_HELP)]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a source.")]
OptionalName = Annotated[
    str | None,
    typer.Argument(metavar="[NAME]", help="Name of a source. The default is all of them."),
]
Here = Annotated[
    bool,
    option("--here", text="Keep it for this repository: .gen/sources.lock, for git."),
]
Signer = Annotated[
    str | None,
    option(
        "--signer",
        metavar="SHA256:…",
        text="Fingerprint of the publisher's key. --yes needs it for a new source.",
    ),
]
SpecsToSign = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of specs.")]
Key = Annotated[
    Path,
    option("--key", text="Your private key; or the .pub of a key that your ssh agent has."),
]
SourceName = Annotated[
    str | None, option("--name", text="Name of the source, the first time.", variable="GEN_SOURCE")
]
Days = Annotated[
    int,
    option("--days", min=1, max=MOST_DAYS, text="Days until users need a new signature."),
]
NextKey = Annotated[
    Path | None,
    option("--next-key", metavar="FILE.pub", text="Let this key sign too, from now on."),
]
Revoke = Annotated[
    list[Path] | None,
    option("--revoke", metavar="FILE.pub", text="Let this key sign no more. May be repeated."),
]


@app.command()
def add(
    source: Origin,
    signer: Signer = None,
    here: Here = False,
    ca_bundle: options.CaBundle = None,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Fetch a source, show who signed it and what its sites are, and ask before it is used.

    Examples:
    gen source add https://docs.example.org/gen/

    gen source add git+https://git.example.org/hpc/specs@main --here
    """
    from generator.cli.source import Trust, run_add

    trust = Trust(signer, yes)
    raise typer.Exit(run_add(source, trust, ca_bundle, here=here, as_json=json, today=date.today()))


@app.command()
def update(
    name: OptionalName = None,
    here: Here = False,
    ca_bundle: options.CaBundle = None,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Fetch the sources again, show what changes for their users, and ask before it is used.

    Installed sites of a source are installed again.

    Example: gen source update asc
    """
    from generator.cli.source import run_update

    raise typer.Exit(
        run_update(name, ca_bundle, here=here, yes=yes, as_json=json, today=date.today())
    )


@app.command("list")
def list_(json: options.Json = False) -> None:
    """List the sources: version, end of the signature, sites and address.

    Example: gen source list
    """
    from generator.cli.source import run_list

    raise typer.Exit(run_list(as_json=json, today=date.today()))


@app.command()
def remove(
    name: Name, here: Here = False, yes: options.Yes = False, json: options.Json = False
) -> None:
    """Remove a source. Installed sites stay as they are.

    Example: gen source remove asc
    """
    from generator.cli.source import run_remove

    raise typer.Exit(run_remove(name, here=here, yes=yes, as_json=json))


@app.command()
def sign(
    directory: SpecsToSign,
    key: Key,
    name: SourceName = None,
    days: Days = 90,
    next_key: NextKey = None,
    revoke: Revoke = None,
    json: options.Json = False,
) -> None:
    """Write the index of a directory of specs, and sign it. Then publish the directory.

    Examples:
    gen source sign specs --name asc --key ~/.ssh/id_ed25519

    gen source sign specs --key ~/.ssh/id_old --next-key ~/.ssh/id_new.pub
    """
    from generator.cli.source import run_sign
    from generator.sources.publish import Signing

    # The clock is read here and nowhere below, so that a test can choose the day.
    today = date.today()
    last_day = date.fromordinal(today.toordinal() + days)
    signing = Signing(directory, key, name, last_day, next_key, tuple(revoke or ()))
    raise typer.Exit(run_sign(signing, as_json=json, today=today))
