"""The `gen` command: its exit statuses, and nothing slow before it is needed."""

import io
import os
import sys

from generator import __version__

FIX = 2
BUG = 70
INTERRUPTED = 130
CLOSED_PIPE = 141
"""As a shell reports a program that SIGPIPE ended: 128 and the number of the signal."""


def main() -> None:
    """Run `gen`.

    Exit status: 0 done or in sync, 1 drift, 2 an error that the user can fix, 70 a bug, 130
    interrupted, 141 the reader of the output is gone.
    """
    _fill_closed_streams()
    _keep_files_from_others()
    try:
        try:
            _run()
        finally:
            # An error of the last write is reported here; Python would report it when gen is
            # over, with status 120.
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        sys.exit(_report(error))


def _keep_files_from_others() -> None:
    """Let other users write no file of gen, or of a program that gen runs, whatever the umask.

    Files of gen have explicit modes. This is for the others: systemctl makes directories of units,
    and ssh refuses a copy of the configuration that others can write.
    """
    os.umask(os.umask(0o077) | 0o022)


def _run() -> None:
    # To import Typer takes longer than to start Python.
    if sys.argv[1:] == ["--version"]:
        print(f"gen {__version__}")  # noqa: T201 - without the import of cli.output
        return
    import signal

    _collect_less_garbage()
    # Typer and rich would turn a closed pipe into the status 1, which means drift.
    handler = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        _call()
    finally:
        signal.signal(signal.SIGPIPE, handler)


def _collect_less_garbage() -> None:
    """Spare a short process the search for garbage: a tenth of its time, and hardly any garbage.

    The imports alone make some 50,000 objects that all stay.
    """
    import atexit
    import gc

    gc.set_threshold(100_000, 50, 50)
    # Python searches all objects twice more on its way out, unless they are frozen.
    atexit.register(gc.freeze)


def _call() -> None:
    _disable_pydantic_plugins()
    if "_GEN_COMPLETE" in os.environ:
        # The user waits for a completion. Typer would import rich to format the titles, so rich
        # counts as not installed.
        os.environ["TYPER_USE_RICH"] = "0"
        sys.modules["rich"] = None  # type: ignore[assignment]
    from generator.cli.app import with_command
    from generator.cli.output import follow_locale, say
    from generator.errors import GenError

    follow_locale()
    try:
        with_command("".join(sys.argv[1:2]))(prog_name="gen")
    except GenError as error:
        say(str(error))
        sys.exit(FIX)
    except OSError:  # `main` reports it: a full disk, a file name that is too long
        raise
    except Exception:  # a bug; Python's own status for it, 1, would mean drift
        import traceback

        traceback.print_exc()
        say(f"gen {__version__}: internal error; please report the lines above")
        sys.exit(BUG)


def _disable_pydantic_plugins() -> None:
    """Keep pydantic from searching the installed packages for plugins.

    It would import a module for the search, too.

    Together they take longer than to read a spec. Only the command does so: a program that
    imports gen may need plugins.
    """
    import importlib
    from types import ModuleType

    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    name = "importlib.metadata"
    if name in sys.modules:
        return

    # Stands for the module until something uses it. importlib.util.LazyLoader would not do:
    # pydantic imports the function by its name, which would load the module.
    stand_in = ModuleType(name)

    def real_module() -> ModuleType:
        if sys.modules[name] is stand_in:
            del sys.modules[name]
        return importlib.import_module(name)

    def attribute(attribute_name: str) -> object:
        if attribute_name.startswith("__"):  # an import statement asks for __path__
            raise AttributeError(attribute_name)
        return getattr(real_module(), attribute_name)

    stand_in.__dict__["__getattr__"] = attribute
    stand_in.__dict__["entry_points"] = lambda **group: real_module().entry_points(**group)
    sys.modules[name] = importlib.metadata = stand_in


def _fill_closed_streams() -> None:
    """Open /dev/null in place of a closed stream; stdout so that a write to it fails.

    Otherwise the next file that is opened would get the stream's number, and what gen prints
    would end up in it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "r"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode)  # noqa: SIM115, PTH123 - it stays open until the end
            setattr(sys, name, stream)


def _report(error: OSError) -> int:
    """Report an error of the system in one line, and return the exit status."""
    if isinstance(error, BrokenPipeError):
        _flush("stdout")
        return CLOSED_PIPE
    from generator.formatting import printable

    if isinstance(error, io.UnsupportedOperation):
        reason = "stdout is closed"
    else:
        reason = (error.strerror or str(error)).lower()
    _flush("stderr", printable(f"{error.filename or 'gen'}: {reason}") + "\n")
    _flush("stdout")
    return FIX


def _flush(name: str, text: str = "") -> None:
    """Write a text and the buffer of a stream, or drop both if the stream takes no more.

    Python would try to write the rest of the buffer again at the end, and exit with 120.
    """
    stream = getattr(sys, name)
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        with open(os.devnull, "w") as null:  # noqa: PTH123
            os.dup2(null.fileno(), stream.fileno())


if __name__ == "__main__":
    main()
