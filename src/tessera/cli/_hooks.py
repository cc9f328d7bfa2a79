"""Interrupts, dying threads, and warnings and logs of libraries: what a process may print besides its command."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_OURS = "tessera"
_SHORTLY = 0.02
"""Seconds until an interrupt that a finalizer swallowed is sent again."""


@contextmanager
def interrupts() -> Iterator[list[str]]:
    """Let Ctrl-C and SIGTERM stop a command in order. A second one ends the process at once.

    Yields
    ------
    Names of the received signals. They matter since an interrupted import of compiled code may raise another error.
    """
    seen: list[str] = []

    def stop(number: int, _: Any) -> None:
        if not seen:
            seen.append(signal.Signals(number).name)
        for other in before:
            signal.signal(other, signal.SIG_DFL)
        raise KeyboardInterrupt

    # a background job inherits that Ctrl-C is ignored
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    main_thread = threading.current_thread() is threading.main_thread()
    before = [number for number, handler in usual.items() if main_thread and signal.getsignal(number) == handler]
    for number in before:
        signal.signal(number, stop)
    yield seen


def quieten() -> None:
    """Keep warnings and tracebacks of libraries, threads and finalizers off standard error; ours get one line each."""
    warnings.showwarning = _warning
    # for child processes
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    logging.getLogger().addHandler(_Lines())
    threading.excepthook = _thread
    sys.unraisablehook = _unraisable


class _Lines(logging.Handler):
    """Prints warnings of tessera, one line each, and drops those of libraries."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.split(".")[0] == _OURS:
            with suppress(Exception):
                _say(record.getMessage())


def _warning(message: Warning | str, category: type[Warning], filename: str, *_: Any, **__: Any) -> None:
    if issubclass(category, UserWarning) and f"/{_OURS}/" in filename.replace("\\", "/"):
        _say(str(message))


def _thread(about: threading.ExceptHookArgs) -> None:
    if about.exc_type is not SystemExit:
        from ._faults import short

        _say(f"a thread failed with {about.exc_type.__name__}: {short(str(about.exc_value))}")


def _unraisable(about: sys.UnraisableHookArgs) -> None:
    if issubclass(about.exc_type, KeyboardInterrupt):
        # a finalizer or an import swallowed it: the work must end all the same
        with suppress(ValueError, RuntimeError):
            signal.signal(signal.SIGINT, signal.default_int_handler)
            timer = threading.Timer(_SHORTLY, _interrupt_main)
            timer.daemon = True
            timer.start()


def _interrupt_main() -> None:
    number = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and number is not None:
        # unlike raise_signal, this ends a wait too
        signal.pthread_kill(number, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)


def _say(text: str) -> None:
    from tessera.base import printable

    with suppress(OSError, ValueError, AttributeError):
        print(f"tessera: {printable(text)}", file=sys.stderr)
