"""tessera doctor: whether this machine can build cubes, and what to do where it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .terminal import print_json

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    source: Annotated[
        list[str] | None,
        typer.Option(help="A source as cube build takes it; several times. All providers where left out."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where cubes would go; else this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at Python and packages, memory, disk and devices, and ask each source for a scene and the start of a file.

    A table of scenes is read, and nothing searched. Nothing is changed. Exits 0 when nothing failed, 1 when something
    did. A source that is not asked for by name only warns, unless none works.

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
        named = ((failed, "failed"), (warned, "to look at"))
        said = [f"{len(names)} {what} ({', '.join(names)})" for names, what in named if names]
        print(f"{len(found)} checks: {', '.join(said) or 'all is well'}")
    raise typer.Exit(1 if failed else 0)


def _print_check(check: Any) -> None:
    """A line as soon as it is known; colour on a terminal alone."""
    state = typer.style(f"{check.state:<4}", fg=_COLOURS[check.state])
    advice = f"; {check.advice}" if check.advice else ""
    typer.echo(f"{state}  {check.name}: {check.said}{advice}")
