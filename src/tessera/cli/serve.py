"""tessera serve: a store or a page over HTTP."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tessera.base import InputError

if TYPE_CHECKING:
    from tessera.serve import Server

_STORE = "tessera.json"


def serve(
    store: Annotated[Path, typer.Argument(help="A store, or any folder: all below it but hidden files can be read.")],
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 is reached from other machines.")] = (
        "127.0.0.1"
    ),
    cert: Annotated[Path | None, typer.Option(help="Certificate (PEM), for https.")] = None,
    key: Annotated[Path | None, typer.Option(help="Key of the certificate (PEM).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the URL as JSON.")] = False,
) -> None:
    """Serve a folder to tessera, zarr, xarray and browsers, with byte ranges, until Ctrl-C.

    Example: tessera serve store.zarr --port 8000
    """
    from tessera.serve import serve as run

    if (cert is None) != (key is None):
        raise InputError(f"--{'key' if cert is None else 'cert'} alone; expected --cert and --key together")

    def announce(server: Server) -> None:
        if not server.is_local:
            print("tessera: every machine that reaches this one can read it", file=sys.stderr)
        if as_json:
            print(json.dumps({"url": server.url, "folder": str(store)}), flush=True)
        else:
            print(f"{server.url} serves {store}; Ctrl-C ends it\n{_hint(store, server.url)}", flush=True)

    run(store, host=host, port=port, tls=(cert, key) if cert is not None and key is not None else None, ready=announce)


def _hint(folder: Path, url: str) -> str:
    """How to open what is served."""
    if (folder / _STORE).is_file():
        return f'In Python: tessera.open_store("{url}")'
    inside = min((path.parent.name for path in folder.glob(f"[!.]*/{_STORE}")), default=None)
    if inside is not None:
        return f'In Python: tessera.open_store("{url}/{inside}")'
    if (folder / "index.html").is_file():
        return f"In a browser: {url}"
    return f'In Python: urllib.request.urlopen("{url}/NAME") for a file NAME of the folder'
