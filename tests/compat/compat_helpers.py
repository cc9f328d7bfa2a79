"""The published client's environment, and a certificate for a server on loopback."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tessera.embeddings import Embeddings, ModelIdentity
from tessera.geo import Window, to_lonlat
from tessera.store import Store

HERE = Path(__file__).parent
TOOL = Path(__file__).resolve().parents[2] / "tools" / "published_client.py"
MODEL = ModelIdentity("test", "ab" * 32, 128, (16, 128))


def random_embeddings(window: Window, seed: int) -> Embeddings:
    """Random codes; a tenth of the pixels has no data."""
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.001, 0.2, window.shape).astype(np.float32)
    scales[rng.random(window.shape) < 0.1] = np.nan
    codes = rng.integers(-127, 128, (*window.shape, 128), dtype=np.int8)
    codes[np.isnan(scales)] = 0
    counts = rng.integers(1, 90, (*window.shape, 3)).astype(np.uint16)
    return Embeddings(codes, scales, counts, MODEL, window.grid)


def lonlat(window: Window, row: int, col: int) -> tuple[float, float]:
    """The centre of a window's pixel."""
    lon, lat = to_lonlat((window.west + col + 0.5) * 10, (window.north - row - 0.5) * 10, window.zone)
    return float(lon), float(lat)


def bbox_of(window: Window, margin: int) -> list[float]:
    """West, south, east, north of a window less, or with a negative margin more, some pixels on each side."""
    corners = [(margin, margin), (window.height - 1 - margin, window.width - 1 - margin)]
    (west, north), (east, south) = (lonlat(window, *corner) for corner in corners)
    return [west, south, east, north]


def values_at(store: Store, transform: Any, shape: tuple[int, ...], zone: int, year: int) -> Any:
    """What we read where an array of the published client says that it lies: (height, width, 128)."""
    a, b, west, d, e, north = np.asarray(transform).tolist()
    assert (a, b, d, e) == (10, 0, 0, -10)
    assert west % 10 == north % 10 == 0
    return store.read_window(Window(zone, round(west / 10), round(north / 10), shape[1], shape[0]), year).values()


def published_command(python: Path, folder: Path, authority: Path, *args: object) -> None:
    """Run the stock `geotessera`, which must succeed."""
    environment = {**os.environ, "SSL_CERT_FILE": str(authority), "HOME": str(folder), "COLUMNS": "200"}
    environment.pop("PYTHONPATH", None)
    command = [str(python.with_name("geotessera")), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def published_python() -> Path:
    """The Python of the published client's environment; skips, with the reason, where there is none."""
    spec = importlib.util.spec_from_file_location("published_client", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.interpreter()
    if isinstance(found, str):
        pytest.skip(f"no published client: {found}")
    return Path(found)


def certificate(folder: Path) -> tuple[Path, Path, Path]:
    """An authority's certificate, one of 127.0.0.1 that it signed, and that one's key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no published client over https: there is no openssl to make a certificate")

    def run(*args: object) -> None:
        subprocess.run([openssl, *map(str, args)], check=True, capture_output=True, cwd=folder)

    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    new = ("-newkey", "rsa:2048", "-nodes")
    run("req", "-x509", *new, "-days", 2, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=tests")
    run("req", *new, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=127.0.0.1")
    sign = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
    run("x509", "-req", "-in", "request.pem", *sign, "-days", 2, "-out", "cert.pem")
    return folder / "ca.pem", folder / "cert.pem", folder / "key.pem"


def ask(python: Path, folder: Path, questions: dict[str, Any], cert: Path | None = None) -> Any:
    """What the published client answers, by "question/answer"."""
    (folder / "questions.json").write_text(json.dumps(questions))
    command = [python, HERE / "published_client_script.py", folder / "questions.json", folder / "answers.npz"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "HOME": str(folder)}
    environment.pop("PYTHONPATH", None)
    if cert is not None:
        environment["SSL_CERT_FILE"] = str(cert)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return np.load(folder / "answers.npz")
