"""Optional dependencies, imported when a call needs them and named in one line when they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .errors import InputError


def require(module: str, *, extra: str, purpose: str) -> Any:
    """Import and return `module`.

    Raises
    ------
    InputError
        The module is not installed; the line names the extra that brings it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise InputError(
            f'{purpose} needs {error.name}, which is not installed: pip install "tessera-earth[{extra}]"'
        ) from None
