"""The `gen` command: exit statuses, and nothing heavy before it is needed."""

import sys

from generator import __version__


def main() -> None:
    """Run `gen`.

    Exit status: 0 done or in sync, 1 drift found, 2 something for the user to mend, 70 a bug, 130 interrupted.
    """
    if sys.argv[1:] == ["--version"]:
        print(f"gen {__version__}")  # noqa: T201 - before anything is imported
        return
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(130)


def _run() -> None:
    from generator.cli import app
    from generator.errors import GenError

    try:
        app(prog_name="gen")
    except GenError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    except Exception:  # a bug: it keeps its traceback, and its status is never that of drift
        import traceback

        traceback.print_exc()
        sys.stderr.write(f"gen {__version__}: internal error; please report the lines above\n")
        sys.exit(70)


if __name__ == "__main__":
    main()
