"""The `gen` command: exit statuses, and nothing heavy before it is needed."""

import io
import os
import sys

from generator import __version__


def main() -> None:
    """Run `gen`.

    Exit status: 0 done or in sync, 1 drift found, 2 something for the user to mend, 70 a bug, 130 interrupted, 141 (of
    a shell: ended by SIGPIPE) nobody reads the output any more.
    """
    _fill_streams()
    try:
        try:
            _run()
        finally:
            sys.stdout.flush()  # what it refuses is told here, and not by Python on the way out
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(_refused(error))


def _run() -> None:
    if sys.argv[1:] == ["--version"]:
        print(f"gen {__version__}")  # noqa: T201 - before anything is imported
        return
    import signal

    before = signal.signal(
        signal.SIGPIPE, signal.SIG_DFL
    )  # typer and rich would make it a 1, which is drift
    try:
        _call()
    finally:
        signal.signal(signal.SIGPIPE, before)


def _call() -> None:
    from generator.cli.app import app
    from generator.errors import GenError

    try:
        app(prog_name="gen")
    except GenError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    except OSError:  # a disk that is full, a name that is too long
        raise
    except Exception:  # a bug: it keeps its traceback, and its status is never that of drift
        import traceback

        traceback.print_exc()
        sys.stderr.write(f"gen {__version__}: internal error; please report the lines above\n")
        sys.exit(70)


def _fill_streams() -> None:
    """Put something where a stream was closed: nothing to read, and for stdout what refuses to be written.

    No file that is opened later then takes its number.
    """
    for name, mode in (("stdin", "r"), ("stdout", "r"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - as long as the process


def _refused(error: OSError) -> int:
    """Tell in a line what the system refused, and return the status; what no stream takes any more is dropped."""
    if not isinstance(error, BrokenPipeError):
        name = str(error.filename or "gen")
        shown = name if name.isprintable() else repr(name)
        closed = isinstance(error, io.UnsupportedOperation)
        reason = "stdout is closed" if closed else (error.strerror or str(error)).lower()
        _dropped("stderr", f"{shown}: {reason}\n")
    _dropped("stdout")
    return 141 if isinstance(error, BrokenPipeError) else 2


def _dropped(name: str, text: str = "") -> None:
    """Write the rest to a stream, or nowhere; without this Python tries again on the way out, and fails with 120."""
    stream = getattr(sys, name)
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), stream.fileno())


if __name__ == "__main__":
    main()
