"""The commands together."""

from __future__ import annotations

from typing import Annotated

import typer

from tessera._version import __version__

from . import cube, demo, doctor, embed, evaluate, fit, get, map_, models, serve
from .store import app as store_app
from .terminal import keep_in_range
from .training import blocks, distill, pretrain

app = typer.Typer(
    name="tessera",
    help="Satellite embeddings from end to end: scenes to cubes, cubes to embeddings, embeddings to maps.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


_INTERRUPT = 130
"""What typer returns for an interrupt, as shells do: 128 + SIGINT."""


def _version(value: bool) -> None:
    if value:
        typer.echo(f"tessera {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    _debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of a failure; also after a command, or TESSERA_DEBUG=1.")
    ] = False,
) -> None:
    pass


app.command("demo")(demo.demo)
app.add_typer(cube.app, name="cube")
app.command("embed")(embed.embed)
app.add_typer(models.app, name="models")
app.add_typer(store_app, name="store")
app.command("get")(get.get)
app.command("fit")(fit.fit)
app.command("map")(map_.map_)
app.command("evaluate")(evaluate.evaluate)
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)
app.command("blocks")(blocks.blocks)
app.command("pretrain")(pretrain.pretrain)
app.command("distill")(distill.distill)


keep_in_range(app)


def call(args: list[str]) -> int:
    """Run a command and return its exit code; what it raises passes.

    Parameters
    ----------
    args : without the program's name
    """
    code = app(args, prog_name="tessera", standalone_mode=False)
    if code == _INTERRUPT:
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0
