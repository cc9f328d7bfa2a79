"""The commands together, and what a mistake looks like: one line on standard error, never a traceback."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from tessera._version import __version__
from tessera.base import InputError, TesseraError

from . import blocks, cube, demo, distill, doctor, embed, evaluate, fit, get, map_, models, pretrain, serve, store

app = typer.Typer(
    name="tessera",
    help="Satellite embeddings from end to end: scenes to cubes, cubes to embeddings, embeddings to maps.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


_INTERRUPT = 130
"""What typer returns for an interrupt, as shells do: 128 + SIGINT."""
_INTERRUPTED = "interrupted; what is finished is kept, run the same command again to go on"
_UsageError: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
"""typer brings its own click, or uses the installed one, by version."""


def _version(value: bool) -> None:
    if value:
        typer.echo(f"tessera {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


app.command("demo")(demo.demo)
app.add_typer(cube.app, name="cube")
app.command("embed")(embed.embed)
app.add_typer(models.app, name="models")
app.add_typer(store.app, name="store")
app.command("get")(get.get)
app.command("fit")(fit.fit)
app.command("map")(map_.map_)
app.command("evaluate")(evaluate.evaluate)
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)
app.command("blocks")(blocks.blocks)
app.command("pretrain")(pretrain.pretrain)
app.command("distill")(distill.distill)


def main() -> None:
    """Run the command line: exit 0 on success, 2 on bad input, 1 on any other failure, 130 when interrupted."""
    try:
        code = app(standalone_mode=False)
        if code == _INTERRUPT:
            raise KeyboardInterrupt
    except InputError as error:
        _stop(str(error), 2)
    except TesseraError as error:
        _stop(str(error), 1)
    except _UsageError as error:
        said = " ".join(str(error.format_message()).split())
        if said:
            _stop(said, 2)
        # a group without a command has shown its help
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        _stop(_INTERRUPTED, _INTERRUPT)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        _stop(f"{error.strerror or type(error).__name__}{where}", 1)
    sys.exit(code if isinstance(code, int) else 0)


def _stop(message: str, code: int) -> None:
    print(f"tessera: {message}", file=sys.stderr)
    sys.exit(code)
