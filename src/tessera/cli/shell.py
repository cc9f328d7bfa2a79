"""How the command starts and ends. Imports are guarded too: any failure becomes one line."""

from __future__ import annotations

import sys

_DEBUG = "--debug"


def main() -> None:
    """Run the command line and exit: 0 on success, 2 on bad input, 1 on another failure, 130 after an interrupt.

    An error is one line on standard error. `--debug`, or TESSERA_DEBUG=1, adds its traceback.
    """
    try:
        code = _process()
    except KeyboardInterrupt:
        # outside what `run` guards
        code = 130
    sys.exit(code)


def _process() -> int:
    from . import _hooks, _streams

    _streams.open_all()
    with _hooks.interrupts() as stopped:
        args, debug = _without_debug(sys.argv[1:])
        if not debug:
            _hooks.quieten()
        return run(args, debug=debug, stopped=stopped)


def _without_debug(args: list[str]) -> tuple[list[str], bool]:
    """The arguments without `--debug`, which counts anywhere before `--`, and whether to show tracebacks."""
    import os

    ends = args.index("--") if "--" in args else len(args)
    before = [arg for arg in args[:ends] if arg != _DEBUG]
    wanted = len(before) < ends or os.environ.get("TESSERA_DEBUG", "") not in ("", "0")
    return before + args[ends:], wanted


def run(args: list[str], *, debug: bool = False, stopped: list[str] | None = None) -> int:
    """Run the command line in this process and return its exit code. Never raises.

    Parameters
    ----------
    args : arguments without the program's name
    debug : show the traceback of a failure
    stopped : names of received signals; the list may grow while the command runs
    """
    try:
        from . import _faults, _streams
    except KeyboardInterrupt:
        return 130
    try:
        _streams.forgive()
        from .app import call

        code = call(args)
        _streams.flush()
    except SystemExit as error:
        code, line = (error.code if isinstance(error.code, int) else int(error.code is not None)), ""
    except BaseException as error:  # the last handler: nothing passes it
        if debug:
            _faults.trace(error)
        code, line = _faults.describe(error, stopped or [])
    else:
        line = ""
    return _streams.say(f"tessera: {line}" if line else "", code)
