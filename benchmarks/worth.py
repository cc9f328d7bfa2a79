"""What an encoder is worth on real labels that it never saw, against features that cost less or are published.

    python benchmarks/worth.py ../shared/data [--encoder FILE] [--name NAME] [--draws 20] [--sets fuel corsica africa]
        [--heads linear,forest] [--out build/worth]

Fuel moisture (a number), coarse crops of Corsica, crops and covers of Uganda and South Sudan; whole sites or 10 km
blocks are held out, 20 draws of the labels, the same for every feature set. Beside the tables it writes JSON and
curves. Vectors and scores stay under OUT by the content of what made them, so that another encoder costs only its own.

Presto and Galileo nano see more than Sentinel-1 and -2: weather, terrain, land cover and the place. "galileo bands" is
shown the bands and their months alone, "presto bands" the place too (it cannot be shown none).
`--features "raw bands,raw bands+location,encoder+location"` compares others; a plus puts vectors side by side.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import tessera
import worth_data
import worth_features
from tessera.base import InputError, sha256_hex, write_atomic
from tessera.cubes import digest_of
from tessera.evaluation import Evaluation, encode_series, evaluate
from worth_data import Held, read_sets

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.labels import Labels

OURS = "encoder"
BASELINES = (
    "untrained", "raw bands", "harmonics", "location", "presto", "presto bands", "galileo", "galileo bands"
)  # fmt: skip
METRICS = {"regression": ("rmse",), "classification": ("macro_f1", "balanced_accuracy", "auc")}
CODE = "1"
"""Raise it when the features of a baseline, or how observations become a vector, change."""


def main() -> None:
    options = _arguments()
    started = time.perf_counter()
    try:
        held_sets = read_sets(options.data, options.sets)
        encoder = tessera.load_encoder(options.encoder)
        parts, short = [], []
        for held in held_sets:
            result = _one(held, encoder, options)
            parts.append(_markdown(held, result))
            short.append(_short(held, result))
            print(parts[-1], flush=True)
    except InputError as error:
        sys.exit(f"worth: {error}")
    text = "\n".join(parts)
    text += f"\n{options.name}: {encoder.identity.sha256}, {time.perf_counter() - started:.0f} s\n"
    write_atomic(options.out / f"worth-{options.name}.md", text.encode())
    write_atomic(options.out / f"worth-{options.name}-short.md", "\n".join(short).encode())
    print(text.splitlines()[-1])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder of labelled sets")
    parser.add_argument("--encoder", help="checkpoint or published name; the bundled one where left out")
    parser.add_argument("--name", default="bundled", help="what to call the encoder in files and tables")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--sets", nargs="+", default=list(worth_data.SETS))
    parser.add_argument("--heads", default="linear,forest")
    parser.add_argument("--features", default=",".join(BASELINES), help="what to compare with, or none")
    parser.add_argument("--split", default="auto")
    parser.add_argument("--block-km", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build/worth"))
    return parser.parse_args()


def _digest(labels: Labels) -> str:
    """SHA-256 of labels, places, split and observations."""
    label = labels.values if labels.kind == "regression" else np.char.encode(labels.values.astype(str), "utf-8")
    parts = [array for array in (label, labels.groups, labels.lonlat, labels.test) if array is not None]
    own = "" if labels.series is None else labels.series.digest()
    return sha256_hex(f"{digest_of(*parts)}{own}".encode())


def _one(held: Held, encoder: tessera.Encoder, options: argparse.Namespace) -> Evaluation:
    shown = digest_of(held.s2, held.db, held.month, held.weather, held.terrain, held.cover)
    digest = f"{_digest(held.labelled)} {shown} {held.true_b8a}"

    def vectors_of(name: str) -> NDArray[np.float32]:
        parts = [
            _kept(options.out / "vectors", f"{digest} {key}", make)
            for key, make in (_maker(part, held, encoder, options) for part in name.split("+"))
        ]
        return np.concatenate(parts, axis=1)

    wanted = [name for name in options.features.split(",") if name not in ("", "none")]
    vectors = {options.name: vectors_of(OURS)} | {name.replace(OURS, options.name): vectors_of(name) for name in wanted}
    result = evaluate(
        vectors,
        held.labelled,
        heads=options.heads,
        labels=held.amounts,
        split=options.split,
        draws=options.draws,
        seed=options.seed,
        block_km=options.block_km,
        beside=False,
        keep=options.out / "scores",
        progress=_progress(held.name),
    )
    stem = options.out / f"worth-{options.name}-{held.name}"
    content = json.loads(result.to_json())
    content |= {"encoder": encoder.identity.sha256, "chosen": held.note, "best": result.best()}
    write_atomic(stem.with_suffix(".json"), (json.dumps(content, indent=1) + "\n").encode())
    result.draw(stem.with_suffix(".png"))
    return result


def _encoded(encoder: tessera.Encoder, held: Held) -> NDArray[np.float32]:
    if held.labelled.series is None:
        raise InputError(f"{held.name} has no observations")
    return encode_series(encoder, held.labelled.series)


def _maker(
    name: str, held: Held, encoder: tessera.Encoder, options: argparse.Namespace
) -> tuple[str, Callable[[], NDArray[np.float32]]]:
    """What vectors depend on beside the data, and how they are made."""
    if name in (OURS, options.name):
        return f"{encoder.identity.sha256} {CODE}", lambda: _encoded(encoder, held)
    if name == "untrained":
        fresh = worth_features.untrained(options.encoder, options.seed)
        return f"{fresh.identity.sha256} {CODE}", lambda: _encoded(fresh, held)
    if name in ("presto", "presto bands"):
        import worth_presto

        weights, whole = options.data / "baselines" / "presto_default_model.pt", name == "presto"
        key = f"{name} {worth_presto.VERSION}"
        return key, lambda: worth_presto.embed(held, worth_presto.load(weights), whole=whole)
    if name in ("galileo", "galileo bands"):
        import worth_galileo

        published, everything = options.data / "baselines" / "galileo_nano_encoder.pt", name == "galileo"
        key = f"{name} {worth_galileo.VERSION}"
        return key, lambda: worth_galileo.embed(held, worth_galileo.load(published), whole=everything)
    simple = {
        "raw bands": worth_features.raw_bands,
        "harmonics": worth_features.harmonics,
        "location": worth_features.location,
        "weather": worth_features.weather,
    }
    if name not in simple:
        raise InputError(f"features {name!r}; expected some of {', '.join((OURS, *BASELINES, 'weather'))}")
    return f"{name} {CODE}", lambda: simple[name](held)


def _kept(folder: Path, key: str, make: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
    """Vectors by what made them."""
    path = folder / f"{sha256_hex(key.encode())}.npy"
    if path.is_file():
        kept: NDArray[np.float32] = np.load(path)
        return kept
    made = make()
    file = io.BytesIO()
    np.save(file, made)
    write_atomic(path, file.getvalue())
    return made


def _progress(name: str) -> Progress:
    shown = [0.0]

    def show(done: int, total: int) -> None:
        if time.monotonic() - shown[0] > 5 or done == total:
            shown[0] = time.monotonic()
            print(f"\r{name}: {done} of {total} fits", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show


def _markdown(held: Held, result: Evaluation) -> str:
    about = result.about
    size = f"{about['labels']} labels, split {about['split']}, {about['groups']} groups"
    lines = [f"### {held.name}", "", f"{held.note}. {size}."]
    first, *others = result.features
    for metric in METRICS[about["kind"]]:
        best = {(row["features"], row["labels"]): row for row in result.best(metric)}
        lines += ["", f"**{metric}**, best head, 95 % interval", "", *_header("features", result)]
        for features in result.features:
            cells = [_cell(best.get((features, labels)), metric) for labels in result.labels]
            lines.append(f"| {features} | " + " | ".join(cells) + " |")
        if others:
            lines += ["", f"{metric} of {first} less the other's, best heads:", "", *_header("other", result)]
        head = "best" if len(result.heads) > 1 else result.heads[0]
        for other in others:
            gaps = {row["labels"]: row for row in result.differences(first, other, metric) if row["head"] == head}
            lines.append(f"| {other} | " + " | ".join(_gap(gaps[labels], metric) for labels in result.labels) + " |")
    lines += ["", f"{METRICS[about['kind']][0]} of every head:", "", *_header("features, head", result)]
    lines += [f"| {features}, {head} | " + " | ".join(cells) + " |" for features, head, *cells in result.report()[1:]]
    return "\n".join([*lines, "", *(f"- {note}" for note in about["notes"]), ""])


def _short(held: Held, result: Evaluation) -> str:
    """The scores of the better heads, each with a mark where the encoder differs from it beyond its interval."""
    first, *others = result.features
    kind = result.about["kind"]
    head = "best" if len(result.heads) > 1 else result.heads[0]
    lines = [f"### {held.name}", "", f"{held.note}."]
    for metric in METRICS[kind][:2]:
        best = {(row["features"], row["labels"]): row for row in result.best(metric)}
        lines += ["", *_header(metric.replace("_", " "), result)]
        for features in result.features:
            gaps = {}
            if features in others:
                rows = result.differences(first, features, metric)
                gaps = {row["labels"]: row for row in rows if row["head"] == head}
            cells = [_marked(best.get((features, labels)), gaps.get(labels), metric) for labels in result.labels]
            lines.append(f"| {features} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _marked(row: dict[str, Any] | None, gap: dict[str, Any] | None, metric: str) -> str:
    if row is None:
        return "-"
    n = _figures(metric)
    text = f"{row['mean']:.{n}f} ({row['low']:.{n}f} to {row['high']:.{n}f})"
    if gap is None or gap["difference"] is None or gap["low"] <= 0 <= gap["high"]:
        return text
    ahead = (gap["low"] > 0) != (metric == "rmse")
    return f"{text} {'beaten' if ahead else '**ahead**'}"


def _header(title: str, result: Evaluation) -> list[str]:
    return [f"| {title} | " + " | ".join(result.labels) + " |", "|---" * (len(result.labels) + 1) + "|"]


def _figures(metric: str) -> int:
    return 1 if metric == "rmse" else 3


def _cell(row: dict[str, Any] | None, metric: str) -> str:
    if row is None:
        return "-"
    n = _figures(metric)
    return f"{row['mean']:.{n}f} ({row['low']:.{n}f} to {row['high']:.{n}f}) {row['head']}"


def _gap(row: dict[str, Any], metric: str) -> str:
    if row["difference"] is None:
        return "-"
    n = _figures(metric)
    return f"{row['difference']:+.{n}f} ({row['low']:+.{n}f} to {row['high']:+.{n}f})"


if __name__ == "__main__":
    main()
