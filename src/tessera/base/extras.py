"""Optional dependencies: imported when a call needs them, with a one-line error when they are missing."""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from .errors import InputError

DISTRIBUTION = "tessera-earth"


def require(module: str, *, extra: str, purpose: str) -> Any:
    """Import and return `module`.

    Raises
    ------
    InputError
        The module is not installed; the message names the extra that includes it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise InputError(f"{purpose} needs {error.name}, which is not installed: {install_line(extra)}") from None


def install_line(extra: str = "") -> str:
    """The command that installs an extra the way this package was installed: from a folder, or by name."""
    folder, editable = _came_from()
    what = f"[{extra}]" if extra else ""
    if folder is None:
        return f'pip install "{DISTRIBUTION}{what}", or in the folder of the project pip install ".{what}"'
    return f'pip install {"-e " if editable else ""}"{folder}{what}"'


@cache
def _came_from() -> tuple[Path | None, bool]:
    """The folder that this package was installed from (PEP 610), None if there was none or it is gone; and whether the
    install is editable."""
    try:
        said = json.loads(distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")
        parts = urlsplit(said["url"])
        folder, editable = Path(url2pathname(parts.path)), bool(said["dir_info"].get("editable"))
    except (PackageNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None, False
    return (folder, editable) if parts.scheme == "file" and (folder / "pyproject.toml").is_file() else (None, False)
