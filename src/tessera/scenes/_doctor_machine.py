"""What a machine must have to build cubes and embed them, looked at one by one."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tessera.base import InputError, install_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

State = Literal["ok", "warn", "fail"]

_DISTRIBUTION = "tessera-earth"
_ADVISED = ("geo", "scenes", "models", "heads")
"""Extras that the way from scenes to a map takes; the others are for some."""
_OTHERS = ("onnx", "train", "scale", "icechunk")
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?:>=\s*([0-9.]+))?[^;]*(?:;(.*))?")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")
_LITTLE_DISK = 2e9
"""Bytes: a year of a cell, 100 dates of 1024 x 1024 pixels."""
_SOME_DISK = 20e9
_LITTLE_MEMORY = 2e9
"""Bytes: a cell is built in 1 GB, and read by the encoder beside its weights."""
_TRIAL = 4 * 1024**2


@dataclass(frozen=True)
class Check:
    """What was looked at, and what came of it.

    Attributes
    ----------
    name : what was looked at, such as "disk /data"
    state : "ok"; "warn", it works but may not do; "fail", it does not work
    said : what was seen, a line
    advice : what helps, or ""
    figures : name with its unit -> number
    """

    name: str
    state: State
    said: str
    advice: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether it does not fail."""
        return self.state != "fail"

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**self.__dict__, "figures": dict(self.figures)}


def check_python() -> Check:
    """Python, the package and the system."""
    from tessera._version import __version__

    said = f"Python {platform.python_version()}, tessera {__version__}, {platform.system()} {platform.machine()}"
    if sys.version_info < (3, 11):  # noqa: UP036 - somebody may force an installation
        return Check("python", "fail", said, "Python 3.11 or later is needed")
    if os.name != "posix":
        return Check("python", "warn", said, "this system reads stores and cubes; writing stores needs Linux or macOS")
    return Check("python", "ok", said)


def check_packages(requires: list[str] | None = None, installed: Mapping[str, str] | None = None) -> Iterator[Check]:
    """What is installed for the base and each extra, with versions.

    Parameters
    ----------
    requires : requirements as the package's metadata list them; None for this package's
    installed : distribution -> version; None for what Python finds
    """
    try:
        listed = importlib.metadata.requires(_DISTRIBUTION) if requires is None else requires
    except importlib.metadata.PackageNotFoundError:
        yield Check("packages", "warn", f"{_DISTRIBUTION} runs from its source", 'install it: pip install -e ".[all]"')
        return
    wanted: dict[str, list[tuple[str, str]]] = {"": []}
    for requirement in listed or []:
        match = _REQUIREMENT.fullmatch(requirement)
        extra = _EXTRA.search(match[3] or "") if match else None
        if match:
            wanted.setdefault(extra[1] if extra else "", []).append((match[1], match[2] or ""))
    for name in ("", *_ADVISED, *_OTHERS):
        if name in wanted:
            yield _check_extra(name, wanted[name], installed)


def _check_extra(extra: str, wanted: list[tuple[str, str]], installed: Mapping[str, str] | None) -> Check:
    there, missing = [], []
    for name, least in wanted:
        version = _version(name, installed)
        if version is None:
            missing.append(name)
        elif least and _numbers(version) < _numbers(least):
            missing.append(f"{name} {least} (there is {version})")
        else:
            there.append(f"{name} {version}")
    what = f"extra {extra}" if extra else "packages"
    if not missing:
        return Check(what, "ok", ", ".join(there))
    state: State = "fail" if not extra else "warn" if extra in _ADVISED else "ok"
    return Check(what, state, f"not installed: {', '.join(missing)}", install_line(extra))


def _version(name: str, installed: Mapping[str, str] | None) -> str | None:
    if installed is not None:
        return installed.get(name)
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])


def check_memory(proc: Path = Path("/proc/meminfo"), group: Path = Path("/sys/fs/cgroup/memory.max")) -> Check:
    """Memory of this machine, or of the container that this runs in."""
    total = available = 0.0
    with contextlib.suppress(OSError, ValueError, AttributeError):
        total = available = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(OSError, ValueError, LookupError):
        lines = dict(line.split(":", 1) for line in proc.read_text().splitlines() if ":" in line)
        total = float(lines["MemTotal"].split()[0]) * 1024
        available = float(lines["MemAvailable"].split()[0]) * 1024
    with contextlib.suppress(OSError, ValueError):
        limit = float(group.read_text())
        total, available = min(total or limit, limit), min(available or limit, limit)
    if not total:
        return Check("memory", "warn", "this system does not tell its memory", "a cell takes 1 GB to build")
    said = f"{available / 1e9:.1f} of {total / 1e9:.1f} GB are free, {os.cpu_count() or 1} processors"
    figures = {"total_bytes": total, "available_bytes": available}
    if available < _LITTLE_MEMORY:
        return Check("memory", "warn", said, "a cell takes 1 GB to build; close what else runs", figures)
    return Check("memory", "ok", said, figures=figures)


def check_disk(folder: Path, name: str) -> Check:
    """Whether a folder, or the one that it will be made in, takes data to the disk, and how much fits."""
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        return Check(name, "fail", f"{there} is a file", "name a folder, or a path in one")
    try:
        free = float(shutil.disk_usage(there).free)
        began = time.perf_counter()
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(bytes(_TRIAL))
            file.flush()
            os.fsync(file.fileno())
        seconds = time.perf_counter() - began
    except OSError as error:
        return Check(name, "fail", f"{there} cannot be written: {error.strerror or error}", "choose another folder")
    rate = _TRIAL / max(seconds, 1e-9)
    said = f"{there}: {free / 1e9:,.1f} GB free, {rate / 1e6:,.0f} MB/s to the disk"
    figures = {"free_bytes": free, "bytes_per_second": rate}
    if free < _LITTLE_DISK:
        return Check(name, "fail", said, "a year of one cell takes 2 GB; make room or choose another disk", figures)
    if free < _SOME_DISK:
        return Check(name, "warn", said, f"this is room for {int(free / _LITTLE_DISK)} cells of 2 GB", figures)
    return Check(name, "ok", said, figures=figures)


def check_cache() -> Check:
    """The cache of stores that are read by URL."""
    from tessera.net import default_cache

    try:
        cache = default_cache()
    except InputError as error:
        return Check("cache", "fail", str(error), "set TESSERA_CACHE_GB to a number, or unset it")
    if cache is None:
        return Check("cache", "ok", "off; stores read by URL are fetched anew each time")
    found = check_disk(cache.folder, "cache")
    free = found.figures.get("free_bytes", 0.0)
    if free >= cache.limit:
        return Check("cache", "ok", found.said, figures=found.figures)
    if not free:
        return Check("cache", "warn", found.said, "set TESSERA_CACHE to a folder that can be written, or to off")
    advice = f"the cache may grow to {cache.limit / 1e9:.1f} GB: set TESSERA_CACHE_GB or TESSERA_CACHE"
    return Check("cache", "warn", found.said, advice, found.figures)


def check_devices() -> Check:
    """What the encoder can run on."""
    try:
        import torch
    except ModuleNotFoundError:
        return Check("device", "warn", "torch is not installed", f"to embed: {install_line('models')}")
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0][:160]
        return Check("device", "fail", f"torch cannot be loaded: {reason}", "install torch anew")
    try:
        found = [
            f"{torch.cuda.get_device_name(index)} ({torch.cuda.get_device_properties(index).total_memory / 1e9:.0f} GB)"
            for index in range(torch.cuda.device_count())
        ]
        if torch.cuda.is_available() and found:
            return Check("device", "ok", f"torch {torch.__version__}, CUDA: {', '.join(found)}")
        if torch.backends.mps.is_available():
            return Check("device", "ok", f"torch {torch.__version__}, Apple GPU")
    except (RuntimeError, AssertionError, AttributeError) as error:
        reason = str(error).strip().partition("\n")[0][:160]
        return Check("device", "warn", f"torch {torch.__version__} finds no GPU: {reason}", "look at the driver")
    said = f"torch {torch.__version__}, {torch.get_num_threads()} threads, no GPU"
    return Check("device", "ok", said, "embedding works, more slowly")
