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

HERE = Path(__file__).parent
TOOL = Path(__file__).resolve().parents[2] / "tools" / "published_client.py"


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
