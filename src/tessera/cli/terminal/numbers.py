"""What is done once for every command: its numbers are checked, and its help flows to the terminal's width."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any, get_type_hints

from tessera.base import InputError, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    import typer

RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    "simulate_seed": (0, 2**32 - 1),
}
"""Parameter -> least and greatest value; all others take `_WHOLE` or `_REAL`."""
_WHOLE = (-(2**31), 2**31 - 1)
_REAL = (-1e15, 1e15)


def prepare(app: typer.Typer) -> None:
    """Prepare every command of `app` and of its groups: check numbers first, join the lines of a help's paragraph."""
    for command in app.registered_commands:
        if command.callback is not None:
            paragraphs = (inspect.getdoc(command.callback) or "").split("\n\n")
            command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
            command.callback = _checked(command.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            prepare(group.typer_instance)


def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def checked(**given: Any) -> Any:
        for name, value in given.items():
            for one in value if isinstance(value, list | tuple) else (value,):
                if isinstance(one, int | float) and not isinstance(one, bool):
                    _check(function, name, one)
        return function(**given)

    return checked


def _check(function: Callable[..., Any], name: str, value: float) -> None:
    real = type(value) is float
    least, most = RANGES.get(name, _REAL if real else _WHOLE)
    # NaN is in no range
    if not least <= value <= most:
        what = "a number" if real else "a whole number"
        raise InputError(f"{_option(function, name)} {_shown(value)}; expected {what} from {least:.15g} to {most:.15g}")


def _shown(value: float) -> str:
    try:
        return shown(str(value), 40).strip("'")
    except ValueError:
        # more digits than Python writes
        return "of thousands of digits"


def _option(function: Callable[..., Any], name: str) -> str:
    """The option as a user types it: `--from` for a parameter `first`."""
    metadata = getattr(get_type_hints(function, include_extras=True).get(name), "__metadata__", ())
    spelt = [word for info in metadata for word in getattr(info, "param_decls", None) or () if word.startswith("--")]
    return spelt[0].partition("/")[0] if spelt else f"--{name.replace('_', '-')}"
