"""Fixtures that several rooms share."""

from __future__ import annotations

import atexit
import fcntl
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

# no test and none of its children may look into the user's cache or ask the real hub
os.environ.pop("HF_HUB_CACHE", None)
os.environ["HF_HOME"] = str(Path(tempfile.gettempdir()) / "tessera-tests-without-a-hub")
# a port that is held, and where nobody listens: a port number out of the air may be somebody's
_NOBODY = socket.socket()
_NOBODY.bind(("127.0.0.1", 0))
atexit.register(_NOBODY.close)
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{_NOBODY.getsockname()[1]}"
os.environ["TESSERA_CACHE"] = "off"
# servers of tests are on this machine
for _name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[_name]

# tests run side by side already: threads that share a small product would only wait for each other
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


def _sync_without_waiting(fd: Any) -> None:
    """No test cuts the power: what the system holds need not be waited for; what is no open file is still an error."""
    os.fstat(fd if isinstance(fd, int) else fd.fileno())


os.fsync = _sync_without_waiting

settings.register_profile("house", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files at the top run the package from end to end and take longest: they begin, so that none is waited for."""
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """One thread in this process: their number decides the last bits of sums."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses: it is held, and nobody listens, so that it cannot become another's."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit code, standard output, standard error."""
    from tessera.cli.shell import run as shell

    def call(*args: object) -> tuple[int, str, str]:
        code = shell([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real pixels and reference fixtures, which lies beside the project."""
    if not (SHARED / "fixtures").is_dir():
        pytest.skip("the folder shared/ with real pixels and reference fixtures is not beside the project")
    return SHARED


@pytest.fixture(scope="session")
def checkpoints(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints in the published containers with the fixtures' weights, made once for all processes of a run."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    base = tmp_path_factory.getbasetemp() if alone else tmp_path_factory.getbasetemp().parent
    out = base / "checkpoints"
    with (base / "checkpoints.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            part = base / "checkpoints.part"
            names = ["v2_nano", "v2_tiny", "v1_1", "v1_0_qat", "v1_0_early_with_projector", "v2_small_qk"]
            subprocess.run([sys.executable, shared / "fixtures" / "build_checkpoints.py", part, *names], check=True)
            part.rename(out)
    return out
