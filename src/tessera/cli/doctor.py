"""tessera doctor: whether this machine can build and embed cubes, and what to do if it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .terminal import JsonOption, print_json

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    source: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Provider, STAC API or folder to try. Repeatable. Default: all providers."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for your cubes. Default: the current one.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check whether this machine can build and embed cubes, and say what to do if it cannot.

    It checks Python, packages, memory, disk and devices. It searches each provider for one scene and reads the start of
    one of its files. From a table of scenes it only reads a file. It changes nothing. The exit code is 1 if a check
    failed. A provider that you did not name is only a warning, unless none works.

    Example: tessera doctor --source mpc --out /data/cubes
    """
    from tessera.scenes import diagnose

    found: list[dict[str, Any]] = []
    for check in diagnose(source or None, out):
        found.append(check.to_json())
        if not as_json:
            _print_check(check)
    failed = [check["name"] for check in found if check["state"] == "fail"]
    if as_json:
        print_json({"ok": not failed, "checks": found})
    else:
        warned = [check["name"] for check in found if check["state"] == "warn"]
        named = ((failed, "failed"), (warned, "warned"))
        said = [f"{len(names)} {what} ({', '.join(names)})" for names, what in named if names]
        print(f"{len(found)} checks: {', '.join(said) or 'all passed'}")
    raise typer.Exit(1 if failed else 0)


def _print_check(check: Any) -> None:
    """Print a check as soon as it is done, coloured on a terminal."""
    state = typer.style(f"{check.state:<4}", fg=_COLOURS[check.state])
    advice = f"; {check.advice}" if check.advice else ""
    typer.echo(f"{state}  {check.name}: {check.said}{advice}")
