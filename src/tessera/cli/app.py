"""All commands of `tessera`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tessera._version import __version__

from . import change, cube, demo, doctor, embed, evaluate, fit, get, map_, models, report, serve, suggest
from .labels import app as labels_app
from .store import app as store_app
from .terminal import prepare
from .training import blocks, distill, pretrain

app = typer.Typer(
    name="tessera",
    help="Satellite embeddings: build cubes from scenes, embed them, store the embeddings, and map with a few labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_INTERRUPT = 130
"""Exit code that typer returns for an interrupt: 128 + SIGINT, as in a shell."""


def _version(value: bool) -> None:
    if value:
        typer.echo(f"tessera {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    _debug: Annotated[
        bool,
        typer.Option(
            "--debug", help="Show the traceback of an error. Works after a command too, or set TESSERA_DEBUG=1."
        ),
    ] = False,
) -> None:
    pass


_PANELS: dict[str, dict[str, Any]] = {
    "Try and check": {"demo": demo.demo, "doctor": doctor.doctor},
    "From scenes to a map": {
        "cube": cube.app,
        "embed": embed.embed,
        "labels": labels_app,
        "fit": fit.fit,
        "map": map_.map_,
        "report": report.report,
        "suggest": suggest.suggest,
        "change": change.change,
    },
    "Stores and models": {"store": store_app, "get": get.get, "serve": serve.serve, "models": models.app},
    "Train and compare encoders": {
        "blocks": blocks.blocks,
        "pretrain": pretrain.pretrain,
        "distill": distill.distill,
        "evaluate": evaluate.evaluate,
    },
}
for _panel, _commands in _PANELS.items():
    for _name, _command in _commands.items():
        if isinstance(_command, typer.Typer):
            app.add_typer(_command, name=_name, rich_help_panel=_panel)
        else:
            app.command(_name, rich_help_panel=_panel)(_command)


prepare(app)


def call(args: list[str]) -> int:
    """Run a command and return its exit code; errors are raised.

    Parameters
    ----------
    args : arguments without the program's name
    """
    code = app(args, prog_name="tessera", standalone_mode=False)
    if code == _INTERRUPT:
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0
