"""What each part of the bundled encoder's recipe is worth on real labels: the recipe without it, at equal cost.

    python benchmarks/ablate.py ../shared/data [--variants all] [--steps 200] [--simulate 45000] [--out build/ablation]

The cost is counted in passes of the encoder: a step of two views is one, a step with a mixed third one and a half, and
a larger teacher takes its share of operations. Each variant is trained once from the same seed on the same pixel-years
and then judged as worth.py judges, by a linear head on 20 draws of labels. Weights stay in OUT, so that several
processes can share the variants between them and a last call without training draws the table.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import resource
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import pretrain as speed
import tessera
import worth_data
import worth_features
from tessera.base import InputError, write_atomic
from tessera.evaluation import encode_series, evaluate
from tessera.models import Shape
from tessera.pretrain import Augment, Lesson, Objective, Order, distil, month_means, pretrain, year_curves
from tessera.simulator import KIND_NAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.cubes import PixelSeries
    from tessera.models import Checkpoint


def _tool(name: str) -> Any:
    path = Path(__file__).resolve().parent.parent / "tools" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"no {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


recipe = _tool("train_bundled")

_HALF = 2**62
"""Stands for half of the steps, which are not known yet."""
TEACHER = Shape(48, 3, 4, 512, 128)
"""2.7 times the operations of the nano."""
BARLOW = Objective(width=512)
TARGETS = ("latents", "kinds", "curves", "months")
"""Truths of the simulator, its kinds of land; curves and months of the whole year, of real pixel-years too."""
SHOWN = {"fuel_moisture": ("31", "157", "1578"), "*": ("5/class", "10/class", "50/class")}


@dataclass(frozen=True)
class Variant:
    """A recipe that differs from the released one.

    Attributes
    ----------
    about : in which way
    objective, augment : of the run
    targets : which of `TARGETS` stay
    parts : which pixel-years: "real", "simulated" or both
    shuffled : False reads the table as its tiles would lie: set by set, and kind of land by kind of land
    radar : False hides Sentinel-1, in training and when it is judged, and asks for none of it
    taught : whether half of the cost goes into a larger teacher, and half into learning from it
    """

    about: str
    objective: Objective = recipe.OBJECTIVE
    augment: Augment = recipe.AUGMENT
    targets: tuple[str, ...] = TARGETS
    parts: tuple[str, ...] = ("real", "simulated")
    shuffled: bool = True
    radar: bool = True
    taught: bool = False


def _ours(**changes: Any) -> Objective:
    changed: Objective = replace(recipe.OBJECTIVE, **changes)
    return changed


VARIANTS = {
    "released": Variant("as released, but shorter"),
    "no twins": Variant("truths and recall alone, no Barlow Twins", _ours(weight=0.0)),
    "mix": Variant("with the mix term", _ours(mix=1.0)),
    "vicreg": Variant("VICReg in place of Barlow Twins", _ours(loss="vicreg", weight=0.01)),
    "int8": Variant("vectors rounded as codes from half of the run on", _ours(quantise_from=_HALF)),
    "no latents": Variant("no truths of the simulator but the kind of land", targets=("kinds", "curves", "months")),
    "no kinds": Variant("no kind of land", targets=("latents", "curves", "months")),
    "no curves": Variant("no curves of the year", targets=("latents", "kinds", "months")),
    "no months": Variant("no monthly means", targets=("latents", "kinds", "curves")),
    "no recall": Variant("nothing of what the view itself saw", _ours(recall_weight=0.0)),
    "no radar": Variant("never shown Sentinel-1, nor asked for it; judged with it absent", radar=False),
    "full views": Variant("no augmentation but distinct draws", augment=Augment(distinct=True)),
    "redrawn": Variant("draws with replacement", augment=replace(recipe.AUGMENT, distinct=False)),
    "unshuffled": Variant("set by set and kind by kind", shuffled=False),
    "real": Variant("real pixel-years alone", targets=("curves", "months"), parts=("real",)),
    "simulated": Variant("simulated pixel-years alone", parts=("simulated",)),
    "taught": Variant("half of the cost for a larger teacher, half for the distillation", taught=True),
    "published": Variant("Barlow Twins with its mix term and nothing else, as published", BARLOW, Augment()),
    "published no mix": Variant("Barlow Twins alone", replace(BARLOW, mix=0.0), Augment()),
    "published unshuffled": Variant("as published, set by set and kind by kind", BARLOW, Augment(), shuffled=False),
    "published augmented": Variant("as published, with our augmentations", BARLOW),
}


def main() -> None:
    """Train what is missing, judge all that is there."""
    options = _arguments()
    try:
        names = list(VARIANTS) if options.variants == "all" else options.variants.split(",")
        if unknown := [name for name in names if name not in VARIANTS]:
            raise InputError(f"variants {unknown}; expected some of {', '.join(VARIANTS)}")
        missing = [name for name in names if not _made(name, options)]
        if missing:
            _train(missing, options)
        if not options.no_table:
            _judge([name for name in VARIANTS if _made(name, options)], options)
    except InputError as error:
        sys.exit(f"ablate: {error}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder of training and labelled sets")
    parser.add_argument("--variants", default="all", help="names of VARIANTS with commas between, or all")
    parser.add_argument("--steps", type=int, default=200, help="of two views; others take what costs the same")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--simulate", type=int, default=45_000)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--no-table", action="store_true", help="only train")
    parser.add_argument("--out", type=Path, default=Path("build/ablation"))
    return parser.parse_args()


def _file(out: Path, name: str) -> Path:
    return out / f"{name.replace(', ', '-').replace(' ', '-')}.safetensors"


def _settings(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """What a variant's weights depend on beside the code of the package."""
    return {
        "variant": repr(VARIANTS[name]),
        "plan": [recipe.SEED, list(recipe.DRAWS), recipe.PEAK, recipe.DROPOUT],
        "steps": options.steps,
        "batch": options.batch,
        "simulate": options.simulate,
    }


def _made(name: str, options: argparse.Namespace) -> bool:
    """Whether a variant was trained under these settings; one of others is refused."""
    about = _file(options.out, name).with_suffix(".about.json")
    if not about.is_file():
        return False
    if json.loads(about.read_text())["settings"] != _settings(name, options):
        raise InputError(f"{_file(options.out, name)} was trained under other settings; expected another --out")
    return True


def _train(names: list[str], options: argparse.Namespace) -> None:
    made, kinds = recipe.simulated(options.simulate, recipe.SEED, recipe.show)
    parts = recipe.all_parts(options.data, recipe.SEED, made)
    series = recipe.table_of(parts)
    if options.steps * options.batch > len(series):
        raise InputError(
            f"{options.steps} steps of {options.batch}, {len(series)} pixel-years; expected at most one epoch, since "
            "only the first can be read in order"
        )
    first = len(series) - len(made)
    kind = np.concatenate([np.full(first, -1), kinds])
    rows = {"real": np.arange(first), "simulated": np.arange(first, len(series))}
    latents, curves = made.targets.shape[1] - len(KIND_NAMES), year_curves(series.take(rows["real"][:1])).shape[1]
    edges = np.cumsum([0, latents, len(KIND_NAMES), curves, series.targets.shape[1] - made.targets.shape[1] - curves])
    columns = dict(zip(TARGETS, itertools.pairwise(edges.tolist()), strict=True))
    for name in names:
        variant = VARIANTS[name]
        chosen = np.concatenate([rows[part] for part in variant.parts])
        table = series.take(chosen)
        targets = [table.targets[:, slice(*columns[part])] for part in variant.targets]
        table = replace(table, targets=np.concatenate(targets, axis=1))
        if not variant.radar:
            table = table.without_s1().take(np.flatnonzero(table.s2_count))
            told = [table.targets[:, : made.targets.shape[1]], year_curves(table), month_means(table)]
            table = replace(table, targets=np.concatenate(told, axis=1))
        before = _seconds()
        _run(variant, table if variant.shuffled else InOrder(table, kind[chosen]), _file(options.out, name), options)
        spent = round(_seconds() - before)
        about = {"about": variant.about, "cpu_seconds": spent, "settings": _settings(name, options)}
        write_atomic(_file(options.out, name).with_suffix(".about.json"), (json.dumps(about) + "\n").encode())
        print(f"{name}: {about}", flush=True)


def _run(variant: Variant, table: Any, out: Path, options: argparse.Namespace) -> Checkpoint:
    out.parent.mkdir(parents=True, exist_ok=True)
    objective = variant.objective
    steps = round(options.steps * 2 / 3) if objective.mixes else options.steps
    if objective.quantise_from == _HALF:
        objective = replace(objective, quantise_from=steps // 2)
    plan: dict[str, Any] = {
        "batch": options.batch,
        "draws": recipe.DRAWS,
        "peak": recipe.PEAK,
        "dropout": recipe.DROPOUT,
        "seed": recipe.SEED,
        "save_every": options.steps,
    }
    if not variant.taught:
        return pretrain(table, recipe.NANO, steps=steps, out=out, objective=objective, augment=variant.augment, **plan)
    larger = speed.encoder_flops(TEACHER, 16) / speed.encoder_flops(recipe.NANO, 16)
    few = max(2, round(steps / 2 / larger))
    teacher = pretrain(
        table, TEACHER, steps=few, out=out.with_stem(out.stem + "-teacher"), objective=objective,
        augment=variant.augment, **plan,
    )  # fmt: skip
    pupils = table.take(np.arange(0, len(table), 8))
    return distil(
        pupils,
        recipe.NANO,
        teacher,
        steps=steps // 2,
        out=out,
        lesson=Lesson(prefixes=()),
        augment=variant.augment,
        **plan,
    )


class InOrder:
    """A table whose shuffled first epoch reads its pixel-years in the order of `key`, and in no other."""

    def __init__(self, table: PixelSeries, key: NDArray[Any]) -> None:
        self.sorted = table.take(np.argsort(key, kind="stable"))
        order = Order(len(table), recipe.SEED).at(0, np.arange(len(table)))
        self.back = np.empty(len(table), dtype=np.int64)
        self.back[order] = np.arange(len(table))

    def __len__(self) -> int:
        return len(self.sorted)

    def digest(self) -> str:
        """Another than that of the shuffled table."""
        return f"{self.sorted.digest()} in order"

    def take(self, pixels: NDArray[np.integer[Any]], /) -> PixelSeries:
        """The pixel-years that these indices stand for."""
        return self.sorted.take(self.back[np.asarray(pixels, dtype=np.int64)])


def _seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _judge(names: list[str], options: argparse.Namespace) -> None:
    abouts = {name: json.loads(_file(options.out, name).with_suffix(".about.json").read_text()) for name in names}
    encoders = {name: tessera.load_encoder(str(_file(options.out, name))) for name in names}
    abouts["untrained"] = {"about": "the network with its first weights", "cpu_seconds": 0}
    encoders["untrained"] = worth_features.untrained(None, 0)
    abouts["bundled"] = {"about": "the bundled weights, twenty times as long", "cpu_seconds": 0}
    encoders["bundled"] = tessera.load_encoder()
    names = ["untrained", "bundled", *names]
    columns: list[tuple[str, str]] = []
    cells: dict[str, list[str]] = {name: [] for name in names}
    kept: dict[str, Any] = {}
    for held in worth_data.read_sets(options.data, list(worth_data.SETS)):
        if held.labelled.series is None:
            raise InputError(f"{held.name} has no observations")
        amounts = SHOWN.get(held.name, SHOWN["*"])
        metric = "rmse" if held.name in SHOWN else "macro_f1"
        seen = {
            name: held.labelled.series.without_s1()
            if name in VARIANTS and not VARIANTS[name].radar
            else held.labelled.series
            for name in names
        }
        vectors = {name: encode_series(encoder, seen[name]) for name, encoder in encoders.items()}
        result = evaluate(
            vectors, held.labelled, heads="linear", labels=amounts, draws=options.draws, keep=options.out / "scores"
        )
        rows = {(row["features"], row["labels"]): row for row in result.best(metric)}
        columns += [(held.name, labels) for labels in result.labels]
        for name in names:
            for labels in result.labels:
                row = rows[name, labels]
                figures = 1 if metric == "rmse" else 3
                cells[name].append(f"{row['mean']:.{figures}f}")
                kept[f"{name}, {held.name}, {labels}, {metric}"] = [row["mean"], row["low"], row["high"]]
    lines = [
        "| variant | CPU-s | " + " | ".join(f"{held} {labels}" for held, labels in columns) + " |",
        "|---" * (len(columns) + 2) + "|",
        *(f"| {name} | {abouts[name]['cpu_seconds']} | " + " | ".join(cells[name]) + " |" for name in names),
        "",
        *(f"- **{name}**: {abouts[name]['about']}" for name in names),
    ]
    print("\n".join(lines))
    write_atomic(options.out / "ablation.md", ("\n".join(lines) + "\n").encode())
    about = {"steps": options.steps, "threads": torch.get_num_threads(), "variants": abouts, "scores": kept}
    write_atomic(options.out / "ablation.json", (json.dumps(about, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
