"""tessera serve: a store, or any folder, over HTTP."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tessera.base import InputError

from .terminal import JsonOption

if TYPE_CHECKING:
    from tessera.serve import Server

_STORE = "tessera.json"


def serve(
    store: Annotated[
        Path, typer.Argument(help="Store or other folder. All files in it can be read, except hidden ones.")
    ],
    port: Annotated[int, typer.Option(help="TCP port; 0 chooses a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on. 0.0.0.0 lets other machines connect.")] = (
        "127.0.0.1"
    ),
    cert: Annotated[Path | None, typer.Option(help="Certificate file (PEM), for https. Needs --key.")] = None,
    key: Annotated[Path | None, typer.Option(help="Private key file (PEM) of the certificate.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Serve a store over HTTP until Ctrl-C, so that tessera, zarr, xarray and browsers can read it by URL.

    Example: tessera serve store.zarr --port 8000
    """
    from tessera.serve import serve as run

    if (cert is None) != (key is None):
        raise InputError(f"--{'key' if cert is None else 'cert'} alone; expected --cert and --key together")

    def announce(server: Server) -> None:
        if not server.is_local:
            print(
                "tessera: other machines can connect: every one that reaches this machine can read the folder",
                file=sys.stderr,
            )
        if as_json:
            print(json.dumps({"url": server.url, "folder": str(store)}), flush=True)
        else:
            print(f"{server.url} serves {store}; press Ctrl-C to stop\n{_hint(store, server.url)}", flush=True)

    run(store, host=host, port=port, tls=(cert, key) if cert is not None and key is not None else None, ready=announce)


def _hint(folder: Path, url: str) -> str:
    """How to read what is served."""
    if (folder / _STORE).is_file():
        return f'In a browser: {url}/page/\nIn Python: tessera.open_store("{url}")'
    inside = min((path.parent.name for path in folder.glob(f"[!.]*/{_STORE}")), default=None)
    if inside is not None:
        return f'In a browser: {url}/page/?store=../{inside}/\nIn Python: tessera.open_store("{url}/{inside}")'
    if (folder / "index.html").is_file():
        return f"In a browser: {url}"
    return f'In Python: urllib.request.urlopen("{url}/NAME") for the file NAME'
