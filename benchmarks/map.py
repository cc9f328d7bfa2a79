"""Pixels a second and memory of maps and of k-fold scores, beside tessera-eval 1.18 on the same embeddings and labels.

    python benchmarks/map.py [--pixels 786432] [--labels 1000] [--classes 10] [--rounds 2]

tessera-eval gets an environment of its own in .cache/tessera-eval, made at the first run. Each side predicts in
processes of its own, one a head, which begin with the same int8 codes and float32 scales in files, as a store gives
them. tessera-eval runs its own code: `data.dequantize_int8`, `classify.make_classifier` ("nn": 5 neighbours; "rf": 100
trees; both on all processors) and `server._predict_raster` for a tile of a map, `evaluate.run_kfold_cv` for scores.
tessera reads a fitted head and runs `Model.predict_codes` in strips of 128 rows, as a map does, and `learn_and_score`
for five random folds. 786,432 pixels are about one of tessera-eval's tiles, 0.1 degree at 52 degrees north. Rounds
alternate; the best one counts. Seconds are those of the clock and, in brackets, those of all processors together, which
do not depend on what else the machine does. Memory is the largest resident size of the process.

Maps of kNN must agree: both compare Euclidean distances of the same vectors with five votes. Linear heads are
compared with the bandwidth of memory, measured in the same process: a copy of 256 MB by one thread, bytes read and
written, and reading 256 MB by all processors. `--heads` without names measures linear heads alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
VERSION = "1.18.0"
THEIRS = ROOT / ".cache" / "tessera-eval" / VERSION
WIDTH, ROWS, DIMS = 1024, 128, 128


def interpreter() -> Path:
    """The Python of tessera-eval's environment, made if there is none."""
    python = THEIRS / "bin" / "python"
    if not (THEIRS / "ready").is_file():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(THEIRS)], check=True)
        wanted = [f"tessera-eval=={VERSION}", "flask", "requests", "joblib"]
        subprocess.run([str(python), "-m", "pip", "install", "-q", *wanted], check=True)
        (THEIRS / "ready").touch()
    return python


def make_data(folder: Path, pixels: int, labels: int, classes: int) -> None:
    """Clusters of classes, quantised as a store does it: codes, scales and, of labels, classes."""
    from tessera.embeddings import quantise

    rng = np.random.default_rng(0)
    centres = rng.normal(size=(classes, DIMS))
    for name, count in (("labels", labels), ("map", pixels)):
        target = np.arange(count) % classes
        codes, scales = np.empty((count, DIMS), np.int8), np.empty(count, np.float32)
        for start in range(0, count, 65536):
            part = target[start : start + 65536]
            values = centres[part] + 2.0 * rng.normal(size=(len(part), DIMS))
            codes[start : start + len(part)], scales[start : start + len(part)] = quantise(values.astype(np.float32))
        np.save(folder / f"{name}_codes.npy", codes)
        np.save(folder / f"{name}_scales.npy", scales)
        np.save(folder / f"{name}_classes.npy", target)


def load(folder: Path, name: str) -> tuple[Any, Any, Any]:
    codes, scales, target = (np.load(folder / f"{name}_{part}.npy") for part in ("codes", "scales", "classes"))
    return codes, scales, target


def peak() -> float:
    """The largest resident size so far, MB."""
    # not ru_maxrss, which begins with that of the parent
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("no /proc/self/status with VmHWM; this benchmark needs Linux")


def clock() -> tuple[float, float]:
    """Seconds of the clock, and of all processors together."""
    return time.perf_counter(), time.process_time()


def told(start: tuple[float, float]) -> None:
    """Print what it took since `start`."""
    end = clock()
    print(json.dumps({"seconds": end[0] - start[0], "cpu": end[1] - start[1], "peak": peak()}))


def map_theirs(folder: Path, head: str) -> None:
    from tessera_eval.classify import make_classifier
    from tessera_eval.data import dequantize_int8
    from tessera_eval.server import _predict_raster

    codes, scales, target = load(folder, "labels")
    model = make_classifier({"knn": "nn", "forest": "rf"}[head])
    model.fit(dequantize_int8(codes[None], scales[None])[0], target)
    start = clock()
    codes, scales, _ = load(folder, "map")
    tile = dequantize_int8(codes.reshape(-1, WIDTH, DIMS), scales.reshape(-1, WIDTH))
    found = _predict_raster(model, tile, is_classification=True)
    # their classes begin at 1
    told(start)
    np.save(folder / f"theirs_{head}.npy", found.reshape(-1) - 1)


def fit_ours(folder: Path, head: str) -> None:
    from tessera.embeddings import CodedVectors, StackedVectors
    from tessera.learners import learn

    codes, scales, target = load(folder, "labels")
    model = learn(head, StackedVectors.of(CodedVectors(codes, scales)), target, int(target.max()) + 1)
    arrays: dict[str, Any] = model.arrays()
    np.savez(folder / f"{head}.npz", **arrays)
    # compiles, which later runs find in a cache on disk
    model.predict_codes(StackedVectors.of(CodedVectors(codes[:64], scales[:64])))
    print(json.dumps({"seconds": 0, "classes": model.classes}))


def map_ours(folder: Path, head: str) -> None:
    from tessera.embeddings import CodedVectors, StackedVectors
    from tessera.learners import LEARNERS

    with np.load(folder / f"{head}.npz") as arrays:
        model = LEARNERS[head].read(dict(arrays), int(np.load(folder / "labels_classes.npy").max()) + 1)
    step = WIDTH * ROWS
    with (folder / "map_codes.npy").open("rb") as codes_of, (folder / "map_scales.npy").open("rb") as scales_of:
        (count,) = shape_of(scales_of)
        shape_of(codes_of)
        found = np.empty(count, np.uint8)
        # loads what was compiled
        model.predict_codes(StackedVectors.of(CodedVectors(np.ones((64, DIMS), np.int8), np.ones(64, np.float32))))
        start = clock()
        for first in range(0, count, step):
            codes = np.frombuffer(codes_of.read(step * DIMS), np.int8).reshape(-1, DIMS)
            scales = np.frombuffer(scales_of.read(step * 4), np.float32)
            found[first : first + step] = model.predict_codes(StackedVectors.of(CodedVectors(codes, scales)))
    told(start)
    np.save(folder / f"ours_{head}.npy", found)


def shape_of(file: Any) -> tuple[int, ...]:
    """The shape that the header of a .npy says; the file then stands at the numbers."""
    np.lib.format.read_magic(file)
    return tuple(np.lib.format.read_array_header_1_0(file)[0])


def folds_theirs(folder: Path, head: str) -> None:
    from tessera_eval.data import dequantize_int8
    from tessera_eval.evaluate import run_kfold_cv

    codes, scales, target = load(folder, "labels")
    values = dequantize_int8(codes[None], scales[None])[0]
    start = clock()
    for _ in run_kfold_cv(values, target, [{"knn": "nn", "forest": "rf"}[head]], k=5):
        pass
    told(start)


def folds_ours(folder: Path, head: str) -> None:
    from tessera.embeddings import CodedVectors, StackedVectors
    from tessera.learners import learn_and_score

    codes, scales, target = load(folder, "labels")
    vectors, classes = StackedVectors.of(CodedVectors(codes, scales)), int(target.max()) + 1
    fold = np.random.default_rng(0).permutation(len(target)) % 5
    # loads libraries and what was compiled
    learn_and_score(head, vectors[:50], target[:50], classes, 0, vectors[:8])
    start = clock()
    for index in range(5):
        held = fold == index
        learn_and_score(head, vectors[~held], target[~held], classes, 0, vectors[held])
    told(start)


def bandwidth() -> tuple[float, float]:
    """GB/s of a copy by one thread, read and written, and of reading by all processors; the best of several."""
    one = np.ones(256_000_000, np.uint8)
    other, pieces = np.empty_like(one), np.array_split(one.view(np.int64), os.cpu_count() or 1)
    copied, read = np.inf, np.inf
    with ThreadPoolExecutor(len(pieces)) as pool:
        for _ in range(5):
            start = time.perf_counter()
            np.copyto(other, one)
            between = time.perf_counter()
            list(pool.map(np.sum, pieces))
            copied, read = min(copied, between - start), min(read, time.perf_counter() - between)
    return 2 * len(one) / copied / 1e9, len(one) / read / 1e9


def linear(folder: Path, _head: str) -> None:
    """Bytes of codes and scales that a linear head takes a second, of few and of many classes, beside a copy."""
    from tessera.embeddings import CodedVectors, StackedVectors
    from tessera.learners import learn

    codes, scales, _ = load(folder, "labels")
    labels, new = (
        StackedVectors.of(CodedVectors(codes, scales)),
        StackedVectors.of(CodedVectors(*load(folder, "map")[:2])),
    )
    rates = {}
    for classes in (1, 3, 10, 30):
        target = np.arange(len(labels)) % max(2, classes)
        # one score is a number's
        model = learn("linear", labels, target * 1.0 if classes == 1 else target, classes if classes > 1 else 0)
        model.predict_codes(new[:64])
        best = cpu = np.inf
        for _ in range(5):
            start = clock()
            model.predict_codes(new)
            end = clock()
            best, cpu = min(best, end[0] - start[0]), min(cpu, end[1] - start[1])
        rates[classes] = (len(new) / best / 1e6, len(new) * (DIMS + 4) / best / 1e9, cpu / len(new) * 1e9)
    copied, read = bandwidth()
    print(json.dumps({"rates": rates, "copy": copied, "read": read, "seconds": best}))


WORK = {
    "fit_ours": fit_ours,
    "map_ours": map_ours,
    "map_theirs": map_theirs,
    "folds_ours": folds_ours,
    "folds_theirs": folds_theirs,
    "linear_ours": linear,
}


def run(python: Path | str, work: str, head: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [str(python), __file__, "--work", work, "--head", head, "--folder", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{work} {head}: {done.stderr.strip()[-2000:]}")
    out: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return out


def show(told: dict[str, Any]) -> str:
    return f"{told['seconds']:.2f} s ({told['cpu']:.2f}), {told['peak']:,.0f} MB"


def best(first: dict[str, Any] | None, second: dict[str, Any]) -> dict[str, Any]:
    return second if first is None or second["seconds"] < first["seconds"] else first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pixels", type=int, default=786432)
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--heads", nargs="*", default=["knn", "forest"])
    parser.add_argument("--work", choices=sorted(WORK), help=argparse.SUPPRESS)
    parser.add_argument("--head", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        WORK[given.work](given.folder, given.head)
        return
    theirs = interpreter() if given.heads else Path()
    pixels = max(1, given.pixels // (WIDTH * ROWS)) * WIDTH * ROWS
    print(f"{pixels:,} pixels, {given.labels:,} labels of {given.classes} classes, {DIMS} dims; tessera-eval {VERSION}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_data(folder, pixels, given.labels, given.classes)
        for head in given.heads:
            found: dict[str, dict[str, Any]] = {}
            run(sys.executable, "fit_ours", head, folder)
            for _ in range(given.rounds):
                for work, python in (
                    *(("map_theirs", theirs), ("map_ours", sys.executable)),
                    *(("folds_theirs", theirs), ("folds_ours", sys.executable)),
                ):
                    found[work] = best(found.get(work), run(python, work, head, folder))
            one, two = found["map_theirs"], found["map_ours"]
            same = float((np.load(folder / f"theirs_{head}.npy") == np.load(folder / f"ours_{head}.npy")).mean())
            times = {key: one[key] / two[key] for key in ("seconds", "cpu", "peak")}
            print(
                f"{head:7s} map: tessera-eval {show(one)}; tessera {show(two)}; {times['seconds']:.1f} times as fast "
                f"({times['cpu']:.1f}), {times['peak']:.1f} times less memory; the same class in {same:.4%}"
            )
            one, two = found["folds_theirs"], found["folds_ours"]
            print(f"{head:7s} 5 folds: tessera-eval {show(one)}; tessera {show(two)}")
        told = run(sys.executable, "linear_ours", "linear", folder)
        print(f"memory: a copy moves {told['copy']:.1f} GB/s, all processors read {told['read']:.1f} GB/s")
        for classes, (rate, rated, cpu) in told["rates"].items():
            print(
                f"linear  {classes} classes: {rate:.1f} Mpx/s, {cpu:.1f} ns of processors a pixel, {rated:.1f} GB/s of "
                f"codes and scales: {rated / told['copy']:.0%} of a copy, {rated / told['read']:.0%} of reading"
            )


if __name__ == "__main__":
    main()
