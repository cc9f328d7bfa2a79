"""Real pixels through the whole spine: one square kilometre of Belgian farmland, 2020-11 to 2021-10.

Cube -> bundled encoder -> store -> linear head, against the same head on the raw bands with the same labels.

    python benchmarks/belgium.py SHARED_DATA [--model CHECKPOINT] [--draws 20]

In-domain: these pixels were among those that the bundled weights were trained on (without labels). The labels are weak:
another model's crop map. Its class band is degenerate (9,945 of 10,000 pixels are "other crop"), so the target here is
made of its probabilities: not cropland, or else the most probable named crop, where that class has at least 75 pixels
(50 labels and half as many again to score on). Labels are drawn at random, so neighbours of labels are scored: that
flatters both sides alike.
B8A is missing in the data; B08 stands in. The composites do not say their orbit; they enter as ascending.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray
from scipy.special import stdtrit  # type: ignore[import-untyped]

import tessera
from tessera.cubes import S2_BANDS, PixelCube
from tessera.figures import draw_panels, false_colour
from tessera.geo import Window, parse_period
from tessera.labels import NO_DATA
from tessera.learners import learn
from tessera.validation import confusion, scores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

YEAR = 2021
PERIOD = parse_period("2020-11/2021-10")
PER_CLASS = (5, 10, 20, 50)
LEAST = 75
COLOURS = {
    "not cropland": "#5b7f52",
    "maize": "#f28522",
    "wheat": "#e3c454",
    "sunflower": "#b9488b",
}


def read_cube(data: xarray.Dataset) -> PixelCube:
    """The composites as a cube: reflectance x 10000, and (2 dB + 50) * 200 from dB = 20 log10(DN) - 83."""
    bands = {**{name: name for name in S2_BANDS}, "B8A": "B08"}
    raw = np.stack([data[f"S2-L2A-{bands[name]}"].values for name in S2_BANDS], axis=-1)
    clear = ((raw > 0) & (raw != -1)).all(axis=-1)
    s2 = np.where(clear[..., None], raw, 0).astype(np.uint16)
    radar = np.stack([data[f"S1-SIGMA0-{name}"].values.view(np.uint16) for name in ("VV", "VH")], axis=-1)
    seen = ((radar > 0) & (radar != 65535)).all(axis=-1)
    db = 20 * np.log10(np.maximum(radar, 1)) - 83
    s1 = np.where(seen[..., None], np.clip((2 * db + 50) * 200, 0, 32767), 0).astype(np.int16)
    middle = data.t.values.astype("datetime64[D]") + np.timedelta64(15, "D")
    days = ((middle - middle.astype("datetime64[Y]")).astype(int) + 1).astype(np.int16)
    left, top = float(data.x[0]) - 5, float(data.y[0]) + 5
    height, width = raw.shape[1:3]
    return PixelCube(
        s2=s2,
        s2_mask=clear.astype(np.uint8),
        s2_doy=days,
        s1_asc=s1,
        s1_asc_doy=days,
        s1_desc=s1[:0],
        s1_desc_doy=days[:0],
        grid=Window(31, round(left / 10), round(top / 10), width, height).grid,
        provenance={"period": PERIOD.to_json(), "source": "WorldCereal monthly composites, belgium_2021"},
    )


def read_reference(folder: Path) -> tuple[NDArray[np.uint8], list[str]]:
    """(H, W) uint8 index into the class names, 255 where the class is too rare."""

    def load(name: str) -> dict[str, NDArray[Any]]:
        found = xarray.open_dataset(folder / f"worldcereal_{name}_classification.nc", mask_and_scale=False)
        layers = found["__xarray_dataarray_variable__"].values
        return dict(zip(found.bands.values.tolist(), layers, strict=True))

    crops, land = load("croptype"), load("cropland")
    named = [key for key in crops if key.startswith("probability_") and key != "probability_other_crop"]
    likeliest = np.stack([crops[key] for key in named]).argmax(axis=0)
    names = ["not cropland", *(key.removeprefix("probability_").replace("_", " ") for key in named)]
    index = np.where(land["probability_cropland"] > land["probability_other"], likeliest + 1, 0)
    kept = [code for code in range(len(names)) if (index == code).sum() >= LEAST]
    target = np.full(index.shape, NO_DATA, dtype=np.uint8)
    for number, code in enumerate(kept):
        target[index == code] = number
    return target, [names[code] for code in kept]


def raw_bands(cube: PixelCube) -> NDArray[np.float32]:
    """(H, W, T * 9 + T * 2): every month's reflectances (B8A, a copy of B08, left out) and backscatter."""
    own = [k for k, name in enumerate(S2_BANDS) if name != "B8A"]
    height, width = cube.shape
    stacks = (np.asarray(cube.s2)[..., own], np.asarray(cube.s1_asc))
    return np.concatenate(
        [np.moveaxis(stack, 0, 2).reshape(height, width, -1).astype(np.float32) for stack in stacks], axis=-1
    )


def draw_labels(target: NDArray[np.uint8], classes: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`count` pixels of each class."""
    flat = target.reshape(-1)
    return np.concatenate([rng.choice(np.flatnonzero(flat == code), count, replace=False) for code in range(classes)])


def macro_f1(
    features: NDArray[np.float32], target: NDArray[np.uint8], names: list[str], chosen: NDArray[np.int64], seed: int
) -> tuple[float, NDArray[np.uint8]]:
    """Fit on the chosen pixels, score on all others; the prediction of every pixel comes along."""
    flat, x = target.reshape(-1), features.reshape(-1, features.shape[-1])
    model = learn("linear", x[chosen], flat[chosen].astype(np.int64), len(names), seed)
    predicted = model.predict(x)
    held_out = flat != NO_DATA
    held_out[chosen] = False
    found = scores(confusion(flat[held_out], predicted[held_out], len(names)))
    return float(found.macro_f1), predicted.reshape(target.shape)


def mean_interval(values: ArrayLike) -> tuple[float, float, float]:
    """Mean of draws and its 95 % interval by Student's t: of 20 draws a percentile bootstrap is too narrow."""
    data = np.asarray(values, dtype=np.float64)
    half = float(stdtrit(data.size - 1, 0.975) * data.std(ddof=1) / np.sqrt(data.size))
    return float(data.mean()), float(data.mean()) - half, float(data.mean()) + half


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "output")
    given = parser.parse_args()
    folder = given.data / "belgium_2021"
    if not folder.is_dir():
        raise SystemExit(f"{folder} not found: give the folder that holds belgium_2021")
    given.out.mkdir(parents=True, exist_ok=True)

    inputs = xarray.open_dataset(folder / "worldcereal_preprocessed_inputs.nc", mask_and_scale=False)
    cube = read_cube(inputs)
    target, names = read_reference(folder)
    encoder = tessera.load_encoder(given.model)
    work = Path(tempfile.mkdtemp())
    try:
        stored = tessera.write_cube(cube, work / "cube.zarr")
        store = tessera.create_store(work / "store.zarr", encoder.dims, encoder, zones=(31,))
        store.write(encoder.encode(stored), YEAR)
        embedded = store.read_region(Window.of_grid(cube.grid), YEAR).values
    finally:
        shutil.rmtree(work)

    features = {"embeddings": embedded, "raw bands": raw_bands(cube)}
    counts = {name: int((target == code).sum()) for code, name in enumerate(names)}
    print(f"{encoder.identity.name} {encoder.identity.sha256[:12]}, in-domain; weak labels; macro-F1, mean [95 %]")
    print("classes: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    print(f"{'labels a class':<16}" + "".join(f"{name:<24}" for name in features) + "difference, same draws")
    table: dict[str, Any] = {}
    picture = None
    for count in PER_CLASS:
        found: dict[str, list[float]] = {name: [] for name in features}
        for draw in range(given.draws):
            chosen = draw_labels(target, len(names), count, np.random.default_rng([count, draw]))
            for name, values in features.items():
                score, predicted = macro_f1(values, target, names, chosen, draw)
                found[name].append(score)
                if name == "embeddings" and (count, draw) == (PER_CLASS[-1], 0):
                    picture = predicted
        rows = {name: mean_interval(values) for name, values in found.items()}
        rows["difference"] = mean_interval(np.subtract(found["embeddings"], found["raw bands"]))
        table[str(count)] = {name: list(map(float, row)) for name, row in rows.items()}
        cells = "".join(f"{f'{mean:.3f} [{low:.3f}, {high:.3f}]':<24}" for mean, low, high in rows.values())
        print(f"{count:<16}{cells}")

    report = {"model": encoder.identity.to_json(), "draws": given.draws, "classes": counts, "macro_f1": table}
    (given.out / "belgium.json").write_text(json.dumps(report, indent=2))
    assert picture is not None
    panels = [
        ("embeddings, false colour", false_colour(embedded)),
        (f"linear head, {PER_CLASS[-1]} labels a class", picture),
        ("reference: another model's map", target),
    ]
    draw_panels(given.out / "belgium.png", panels, [(name, COLOURS[name]) for name in names], overwrite=True)
    print(f"{given.out / 'belgium.png'}, {given.out / 'belgium.json'}")


if __name__ == "__main__":
    main()
