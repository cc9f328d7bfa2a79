from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from get_helpers import WINDOW, bbox_of, digest, embeddings_of, lonlat_of, small_store
from http_ranges import Ranges

from tessera.base import InputError, Spool, TesseraError, spooling
from tessera.exchange import export_points, export_region, export_zonal
from tessera.exchange import points as points_module
from tessera.exchange import regions as regions_module
from tessera.store import Store, open_store

BBOX = bbox_of(WINDOW, 10, 12, 300, 280)

RUN = """
import sys, time
from tessera.exchange import _strips, points
from tessera.base import spool
import tessera.store.queries.zonal
zonal = sys.modules["tessera.store.queries.zonal"]
_strips.UNIT_BYTES, points.BATCH, zonal.BLOCK = 100_000, 40, 64
put = spool.Spool.put
def slow(self, name, arrays):
    time.sleep(0.03)
    put(self, name, arrays)
spool.Spool.put = slow
print("ready", flush=True)
sys.argv = ["tessera", *sys.argv[1:]]
from tessera.cli import main
main()
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return small_store(tmp_path_factory.mktemp("resume") / "s")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tessera.exchange._strips.UNIT_BYTES", 400_000)
    monkeypatch.setattr(points_module, "BATCH", 40)
    monkeypatch.setattr(sys.modules["tessera.store.queries.zonal"], "BLOCK", 64)


def fields() -> list[Any]:
    rng = np.random.default_rng(1)
    return [
        shapely.Polygon([lonlat_of(WINDOW, x, y), lonlat_of(WINDOW, x + 30, y + 4), lonlat_of(WINDOW, x + 9, y + 25)])
        for x, y in zip(rng.uniform(0, 320, 60), rng.uniform(0, 290, 60), strict=True)
    ]


def points() -> list[tuple[float, float]]:
    rng = np.random.default_rng(2)
    return [lonlat_of(WINDOW, x, y) for x, y in zip(rng.uniform(0, 330, 300), rng.uniform(0, 300, 300), strict=True)]


class StopError(Exception):
    """Somebody stopped the work."""


def stopping(after: int) -> Any:
    def progress(done: int, total: int) -> None:
        if done == after:
            raise StopError

    return progress


@pytest.mark.parametrize("name", ["r.npy", "r.tif", "r.zarr", "p.csv", "p.parquet", "z.csv"])
def test_a_stopped_run_goes_on_and_gives_the_same_bytes(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def export(target: Path, **options: Any) -> Any:
        if name.startswith("r"):
            return export_region(store, BBOX, 2024, target, **options)
        if name.startswith("p"):
            return export_points(store, points(), 2024, target, **options)
        return export_zonal(store, fields(), 2024, target, **options)

    whole, stopped = tmp_path / "whole" / name, tmp_path / "stopped" / name
    wanted = export(whole)
    made: list[str] = []
    put = Spool.put

    def noting(spool: Spool, part: str, arrays: Any) -> None:
        made.append(part)
        put(spool, part, arrays)

    monkeypatch.setattr(Spool, "put", noting)
    for after in (2, 3, 5):
        with pytest.raises(StopError):
            export(stopped, progress=stopping(after))
        assert not stopped.exists()
        assert [path.name for path in stopped.parent.iterdir()] == [f".{name}.spool"]
    again = export(stopped)
    assert len(made) == len(set(made)) >= 6
    assert digest(stopped) == digest(whole)
    if name.startswith("z"):
        assert np.array_equal(again.means, wanted.means, equal_nan=True)
    else:
        assert again == wanted
    assert [path.name for path in stopped.parent.iterdir()] == [name]


def test_a_changed_request_or_store_starts_anew(tmp_path: Path) -> None:
    store = small_store(tmp_path / "s", (2023, 2024))
    target = tmp_path / "o" / "r.npy"
    made: list[str] = []
    put = Spool.put

    def noting(spool: Spool, part: str, arrays: Any) -> None:
        made.append(part)
        put(spool, part, arrays)

    patch = pytest.MonkeyPatch()
    patch.setattr(Spool, "put", noting)
    try:
        requests: list[dict[str, Any]] = [
            {"year": 2024},
            {"year": 2023},
            {"year": 2023, "dims": 2},
            {"year": 2023, "dims": 2, "clip": True},
            {"year": 2023, "dims": 2, "crs": "EPSG:3035"},
            {"year": 2023, "dims": 2, "crs": "EPSG:3035", "resolution": 11},
            {"year": 2023, "dims": 2, "crs": "EPSG:3035", "resolution": 11, "resampling": "bilinear"},
        ]
        area = shapely.Polygon([(BBOX[0], BBOX[1]), (BBOX[2], BBOX[1]), (BBOX[0], BBOX[3])])
        for request in requests:
            made.clear()
            with pytest.raises(StopError):
                export_region(store, area, out=target, progress=stopping(1), **request)
            assert len(made) == 1
        made.clear()
        with pytest.raises(StopError):
            export_region(store, area, out=target, progress=stopping(1), **requests[-1])
        assert made == []
        store.write(embeddings_of(WINDOW, 99, 0), 2023)
        with pytest.raises(StopError):
            export_region(store, area, out=target, progress=stopping(1), **requests[-1])
        assert len(made) == 1
        # the other year was not asked for
        store.write(embeddings_of(WINDOW, 98, 0), 2024)
        made.clear()
        with pytest.raises(StopError):
            export_region(store, area, out=target, progress=stopping(1), **requests[-1])
        assert made == []
        export_region(store, area, out=target, **requests[-1])
        wanted = store.read_region(area, **requests[-1])
        assert np.array_equal(np.load(target), wanted.values, equal_nan=True)
    finally:
        patch.undo()


def test_a_damaged_part_is_made_anew(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "r.npy"
    with pytest.raises(StopError):
        export_region(store, BBOX, 2024, target, progress=stopping(2))
    part = tmp_path / ".r.npy.spool" / "0-000001.part"
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    with pytest.raises(TesseraError, match="is damaged"):
        export_region(store, BBOX, 2024, target)
    assert not target.exists()
    export_region(store, BBOX, 2024, target)
    assert np.array_equal(np.load(target), store.read_region(BBOX, 2024).values, equal_nan=True)


def test_two_runs_of_one_target_do_not_meet(store: Store, tmp_path: Path) -> None:
    with spooling(tmp_path / "r.npy", {}), pytest.raises(InputError, match="being written by another process"):
        export_region(store, BBOX, 2024, tmp_path / "r.npy")


def test_a_run_over_http_goes_on_while_the_objects_are_the_same(store: Store, tmp_path: Path) -> None:
    served = small_store(tmp_path / "s", (2024,))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges.of(tmp_path))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        target = tmp_path / "o" / "r.npy"
        for round_ in range(2):
            remote = open_store(f"http://127.0.0.1:{server.server_address[1]}/s")
            for after in (2, 4):
                with pytest.raises(StopError):
                    export_region(remote, BBOX, 2024, target, progress=stopping(after))
                assert len(list((tmp_path / "o" / ".r.npy.spool").glob("*.part"))) == after
            if round_ == 0:
                served.write(embeddings_of(WINDOW, 55, 0), 2024)
        export_region(remote, BBOX, 2024, target)
        assert np.array_equal(np.load(target), served.read_region(BBOX, 2024).values, equal_nan=True)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("kind", ["region", "zonal"])
def test_killed_at_any_moment_and_run_again_the_bytes_are_the_same(store: Store, tmp_path: Path, kind: str) -> None:
    if kind == "region":
        what: list[Any] = ["--bbox", ",".join(map(str, BBOX)), "--year", "2023,2024"]
        name = "r.zarr"
    else:
        (tmp_path / "f.geojson").write_text(shapely.to_geojson(shapely.MultiPolygon(fields()).buffer(0)))
        what = ["--zonal", str(tmp_path / "f.geojson"), "--year", "2023,2024"]
        name = "z.parquet"

    def start(folder: str) -> subprocess.Popen[bytes]:
        (tmp_path / folder).mkdir(exist_ok=True)
        command = [sys.executable, "-c", RUN, "get", store.objects.root, *what, "-o", str(tmp_path / folder / name)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    began = time.monotonic()
    whole = start("whole")
    _, said = whole.communicate()
    lasted = time.monotonic() - began
    assert whole.returncode == 0, said
    rng = random.Random(kind)
    parts: list[int] = []
    for _ in range(4):
        process = start("killed")
        time.sleep(rng.uniform(0.1, 0.6) * lasted)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if (tmp_path / "killed" / name).exists():
            break
        parts.append(len(list((tmp_path / "killed" / f".{name}.spool").glob("*.part"))))
    assert parts == sorted(parts)
    if not (tmp_path / "killed" / name).exists():
        process = start("killed")
        _, said = process.communicate()
        assert process.returncode == 0, said
        assert [path.name for path in (tmp_path / "killed").iterdir()] == [name]
    assert digest(tmp_path / "killed" / name) == digest(tmp_path / "whole" / name)


@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize("name", ["r.tif", "r.npy", "r.zarr"])
def test_a_region_that_was_stopped_behind_its_last_rename_is_whole_for_the_next_run(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, quantised: bool
) -> None:
    whole = tmp_path / "whole" / name
    expected = export_region(store, BBOX, 2024, whole, quantised=quantised)

    def stop(folder: Path) -> None:
        raise StopError

    target = tmp_path / "stopped" / name
    with monkeypatch.context() as patch:
        patch.setattr(regions_module, "sync_folder", stop)
        with pytest.raises(StopError):
            export_region(store, BBOX, 2024, target, quantised=quantised)
    assert export_region(store, BBOX, 2024, target, quantised=quantised) == expected
    assert digest(target.parent) == digest(whole.parent)
    if name == "r.npy":
        with pytest.raises(InputError, match=r"r.npy exists and is no earlier output; .*overwrite=True"):
            export_region(store, BBOX, 2024, target, quantised=quantised)
    else:
        # finished long ago
        assert export_region(store, BBOX, 2024, target, quantised=quantised) == expected
    if name == "r.zarr":
        with pytest.raises(InputError, match="exists, of another request"):
            export_region(store, BBOX, 2023, target, quantised=quantised)
        with pytest.raises(InputError, match="exists, of another request"):
            export_region(store, BBOX, 2024, target, quantised=not quantised)
    assert digest(target.parent) == digest(whole.parent)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_replaces_its_own_kind_and_nothing_else(store: Store, tmp_path: Path, suffix: str) -> None:
    one, two = tmp_path / f"points{suffix}", tmp_path / f"zonal{suffix}"
    for _ in range(2):
        export_points(store, points(), 2024, one)
        export_zonal(store, fields(), 2024, two)
    before = digest(tmp_path)
    with pytest.raises(InputError, match="is no earlier output"):
        export_points(store, points(), 2024, two)
    with pytest.raises(InputError, match="is no earlier output"):
        export_zonal(store, fields(), 2024, one)
    assert digest(tmp_path) == before
    export_zonal(store, fields(), 2024, one, overwrite=True)
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("name", ["r.tif", "r.npy", "r_scales.npy"])
def test_what_is_not_ours_is_kept_also_beside_the_main_file(store: Store, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(InputError, match=f"{name} exists and is no earlier output"):
        export_region(store, BBOX, 2024, tmp_path / f"r{Path(name).suffix}", quantised=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {name: b"mine"}
    export_region(store, BBOX, 2024, tmp_path / f"r{Path(name).suffix}", quantised=True, overwrite=True)
    assert (tmp_path / name).read_bytes() != b"mine"
