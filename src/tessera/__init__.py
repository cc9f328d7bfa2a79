"""tessera: Sentinel-1/2 scenes in, one vector for every 10 m pixel out, and maps from a handful of labels.

The public verbs below are imported when they are first used, so that `import tessera` costs almost nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tessera._version import __version__

if TYPE_CHECKING:
    from tessera.base import InputError, TesseraError
    from tessera.changes import Change, change
    from tessera.cubes import PixelCube, export_dpixel, open_cube, write_cube
    from tessera.embeddings import CodedVectors, Embeddings, ModelIdentity
    from tessera.encode import Encoder, load_encoder
    from tessera.evaluation import Evaluation, evaluate
    from tessera.geo import Window, parse_area
    from tessera.heads import Head, Project, fit, load_head, load_project
    from tessera.labels import LabelReport, Labels, OsmLabels, describe_labels, osm_labels, read_labels
    from tessera.scale import EmbedReport, embed
    from tessera.scenes import Recipe, build_cube, build_cubes
    from tessera.simulator import simulate
    from tessera.store import Store, create_store, open_store
    from tessera.suggestions import Suggestion, Suggestions, suggest

_HOMES = {
    "base": ("InputError", "TesseraError"),
    "changes": ("Change", "change"),
    "cubes": ("PixelCube", "export_dpixel", "open_cube", "write_cube"),
    "embeddings": ("CodedVectors", "Embeddings", "ModelIdentity"),
    "encode": ("Encoder", "load_encoder"),
    "evaluation": ("Evaluation", "evaluate"),
    "geo": ("Window", "parse_area"),
    "heads": ("Head", "Project", "fit", "load_head", "load_project"),
    "labels": ("LabelReport", "Labels", "OsmLabels", "describe_labels", "osm_labels", "read_labels"),
    "scale": ("EmbedReport", "embed"),
    "scenes": ("Recipe", "build_cube", "build_cubes"),
    "simulator": ("simulate",),
    "store": ("Store", "create_store", "open_store"),
    "suggestions": ("Suggestion", "Suggestions", "suggest"),
}
_HOME = {name: room for room, names in _HOMES.items() for name in names}

__all__ = [
    "Change",
    "CodedVectors",
    "EmbedReport",
    "Embeddings",
    "Encoder",
    "Evaluation",
    "Head",
    "InputError",
    "LabelReport",
    "Labels",
    "ModelIdentity",
    "OsmLabels",
    "PixelCube",
    "Project",
    "Recipe",
    "Store",
    "Suggestion",
    "Suggestions",
    "TesseraError",
    "Window",
    "__version__",
    "build_cube",
    "build_cubes",
    "change",
    "create_store",
    "describe_labels",
    "embed",
    "evaluate",
    "export_dpixel",
    "fit",
    "load_encoder",
    "load_head",
    "load_project",
    "open_cube",
    "open_store",
    "osm_labels",
    "parse_area",
    "read_labels",
    "simulate",
    "suggest",
    "write_cube",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tessera' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
