"""How the command starts and ends: the imports are guarded too, and whatever happens is told in one line."""

from __future__ import annotations

import sys

_DEBUG = "--debug"


def main() -> None:
    """Run the command line as this process, and exit: 0 on success, 2 on bad input, 1 on another failure, 130 stopped.

    An error is one line on standard error; `--debug`, or TESSERA_DEBUG=1, shows its traceback too.
    """
    try:
        code = _process()
    except KeyboardInterrupt:
        # before or after all that `run` guards
        code = 130
    sys.exit(code)


def _process() -> int:
    from . import _hooks, _streams

    _streams.open_all()
    with _hooks.interrupts() as stopped:
        args, debug = _asked(sys.argv[1:])
        if not debug:
            _hooks.quieten()
        return run(args, debug=debug, stopped=stopped)


def _asked(args: list[str]) -> tuple[list[str], bool]:
    """The arguments without `--debug`, which may stand anywhere before `--`, and whether tracebacks are wanted."""
    import os

    ends = args.index("--") if "--" in args else len(args)
    before = [arg for arg in args[:ends] if arg != _DEBUG]
    wanted = len(before) < ends or os.environ.get("TESSERA_DEBUG", "") not in ("", "0")
    return before + args[ends:], wanted


def run(args: list[str], *, debug: bool = False, stopped: list[str] | None = None) -> int:
    """Run the command line in this process and return the exit code, whatever happens.

    Parameters
    ----------
    args : without the program's name
    debug : show the traceback of a failure
    stopped : names of signals that have asked for an end; more may be added while the command runs
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
        code, line = _faults.told(error, stopped or [])
    else:
        line = ""
    return _streams.say(f"tessera: {line}" if line else "", code)
