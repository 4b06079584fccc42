"""Compile typed HPC site specs into the files that ssh, systemd, launchd and Dagster read.

The public API for notebooks and other tools:

>>> from generator import Profile, compile_site, load_spec
>>> artifacts = compile_site(load_spec("mila"), Profile(user="ada"))
>>> print(artifacts[0].path, oct(artifacts[0].mode))
.env.mila 0o600

Stable within a major version are the names in `__all__`, the JSON formats (by their
`format_version`) and the lock file; everything else may change in any release.

Every function raises `GenError` for an error that a user can fix; the message has the file,
line and key.
"""

# A type checker takes this name as true. `typing.TYPE_CHECKING` would cost the start of each
# command an import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from generator.api import (
        check,
        compile_site,
        list_sites,
        load_spec,
        render,
        review,
        validate_spec,
    )
    from generator.compiler.artifact import Artifact, Owner
    from generator.errors import GenError
    from generator.loading.validate import Problem, SpecError
    from generator.report.finding import Finding, Level, Report
    from generator.schema.profile import Profile
    from generator.schema.site import SiteSpec

__version__ = "0.2.0"

__all__ = [
    "Artifact",
    "Finding",
    "GenError",
    "Level",
    "Owner",
    "Problem",
    "Profile",
    "Report",
    "SiteSpec",
    "SpecError",
    "__version__",
    "check",
    "compile_site",
    "list_sites",
    "load_spec",
    "render",
    "review",
    "validate_spec",
]

# The module of each name that is not in `generator.api`.
_MODULES = {
    "Artifact": "compiler.artifact",
    "Finding": "report.finding",
    "GenError": "errors",
    "Level": "report.finding",
    "Owner": "compiler.artifact",
    "Problem": "loading.validate",
    "Profile": "schema.profile",
    "Report": "report.finding",
    "SiteSpec": "schema.site",
    "SpecError": "loading.validate",
}

if not TYPE_CHECKING:  # a type checker would accept every name

    def __getattr__(name):
        """Import a name of the API when it is first used."""
        if name.startswith("_") or name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_MODULES.get(name, 'api')}"), name)
        globals()[name] = value
        return value

    def __dir__():
        """Return the names of the API too, for the completion of a notebook."""
        return sorted({*globals(), *__all__})
