"""Serve a folder of scenes until interrupted: python -m tessera.testing.provider FOLDER --style mpc."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading

from tessera.base import TesseraError

from ._styles import STYLES
from .server import serve_scenes


def main() -> None:
    """Serve. The first line on standard output is JSON with the addresses. A mistake gives one line and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m tessera.testing.provider", description=__doc__)
    parser.add_argument("folder", help="static STAC catalogue")
    parser.add_argument("--style", choices=STYLES, default="stac")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before every answer")
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--page", type=int, default=None, help="items of a page at most")
    given = parser.parse_args()
    try:
        _serve(given)
    except TesseraError as error:
        parser.exit(2, f"{error}\n")


def _serve(given: argparse.Namespace) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with serve_scenes(
        given.folder, style=given.style, latency=given.latency, port=given.port, page=given.page
    ) as provider:
        said = {
            "source": provider.source,
            "url": provider.url,
            "blobs": provider.blobs,
            "token_url": provider.token_url,
            "token": provider.token,
            "elsewhere": provider.elsewhere,
        }
        print(json.dumps(said), flush=True)
        stop.wait()
        print(
            json.dumps({"requests": provider.count(), "bytes": provider.bytes(), "at_once": provider.most_at_once()}),
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
