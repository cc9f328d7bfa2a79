"""One encoder as the text of one Python module that needs only torch, for other projects to vendor.

The text is made from the package's own source, so there is no second network to maintain.
"""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from ._source import Sources
from .families import family_of

if TYPE_CHECKING:
    from .checkpoint import Checkpoint
    from .spec import InputSpec

_WIDTH = 120
_VENDORED = f"{__package__}._vendored"
_PARTS = ("standardise", "embed", "quantise", "load")
_SAMPLING = {
    "v1.0": "{bins} of each sensor's valid observations, drawn at random without replacement (with, where there are "
    "fewer; of all, where none is valid) and put back in order.",
    "v1.1": "All valid observations of each sensor in order, their number brought to the next of SPEC's bins by "
    "appending evenly spaced ones again; above the last bin, the middles of nearly equal runs. A sensor without any is "
    "the first bin's number of rows of zeros, after standardisation.",
    "v2": "All valid observations of each sensor, their number brought to the next of SPEC's bins by repeating some "
    "evenly; above the last bin, evenly spaced ones. A sensor without any is one row of zeros, after standardisation.",
}
_HEAD = '''"""{name}: an encoder of the family {family} in one file; it needs torch and nothing else.

A year of Sentinel-2 and Sentinel-1 observations of one 10 m pixel to one vector. Made by tessera.models.single_file
from the package's own source, and tested to equal it.

Weights: in a file of their own; `load` takes those with the identity
{identity}
(SHA-256 over their tensors and SPEC).

Input: one row an observation, the day of year (1 to 366, not standardised) in the last column.
    s2  (N, T, {s2_columns}) float32: {s2_bands}.
        Level-2A digital numbers, reflectance * 10000, without the offset of 1000 that they carry since January 2022.
        Valid where the scene classification is none of 0, 1, 2, 3, 8, 9.
    s1  (N, T', {s1_columns}) float32: {s1_bands}.
        (20 * log10(gamma0 power) + 50) * 200, whole numbers from 0 to 32767. Valid where one of them is not 0.
        Ascending observations first, descending ones after them, each by the statistics of its orbit.
{sampling}
Output: (N, {repr_dim}) float32, of which the first {dims} are the embedding (`embed`); prefixes that stand alone:
    {prefixes}.

    encoder = load("weights.pt")
    s2 = standardise(bands, days, "s2")
    s1 = torch.cat([standardise(asc, asc_days, "s1_asc"), standardise(desc, desc_days, "s1_desc")], dim=1)
    vectors = embed(encoder, s2, s1)

SPDX-License-Identifier: MIT
Copyright (c) 2026 the tessera developers
"""
'''


def single_file(checkpoint: Checkpoint) -> str:
    """The text of a Python module with `load`, `standardise`, `embed` and `quantise` for one encoder.

    The module needs torch and the standard library. It holds the network and the specification; the weights stay in
    their own file, and `load` refuses others.

    Parameters
    ----------
    checkpoint : weights of any family

    Returns
    -------
    Python source
    """
    build = family_of(checkpoint.spec, checkpoint.name).build
    options = build.keywords if isinstance(build, partial) else {}
    network: Any = build.func if isinstance(build, partial) else build
    source = Sources()
    source.need(f"{__package__}.shape", "Shape")
    source.need(network.__module__, network.__name__)
    for part in _PARTS:
        source.need(_VENDORED, part)
    chapters = source.chapters()
    last = chapters.pop(_VENDORED)

    values = _literal(checkpoint.spec.to_json())
    sizes = "".join(f"    {key}={value!r},\n" for key, value in asdict(checkpoint.shape).items())
    arguments = "".join(f', {key}="{value}"' for key, value in options.items())
    body = "\n\n\n".join(
        [
            f'IDENTITY = "{checkpoint.sha256}"\nSPEC: dict[str, Any] = {values}  # fmt: skip',
            *chapters.values(),
            f"SHAPE = Shape(\n{sizes})",
            f'def network() -> nn.Module:\n    """The network, without its weights."""\n'
            f"    return {network.__name__}(SHAPE, 0.0{arguments})",
            last,
        ]
    )
    return f"{_docstring(checkpoint)}\n{source.imports(body)}\n\n{body}\n"


def _docstring(checkpoint: Checkpoint) -> str:
    spec: InputSpec = checkpoint.spec
    rule = _SAMPLING[spec.sampling.rule].format(bins=spec.sampling.bins[-1])
    return _HEAD.format(
        name=_plain(checkpoint.name),
        family=_plain(spec.family),
        identity=checkpoint.sha256,
        s2_columns=len(spec.s2_bands) + 1,
        s1_columns=len(spec.s1_bands) + 1,
        s2_bands=_plain(", ".join(spec.s2_bands)),
        s1_bands=_plain(", ".join(spec.s1_bands)),
        sampling=textwrap.fill(f"Sampling: {rule}", _WIDTH - 4, subsequent_indent="    "),
        repr_dim=checkpoint.shape.repr_dim,
        dims=spec.dims,
        prefixes=", ".join(map(str, spec.prefix_dims)),
    )


def _plain(text: str) -> str:
    """Text from a file, escaped so that it cannot end a docstring."""
    return re.sub(r"[^\w .,()+-]", "_", text)[:100]


def _literal(value: Any, indent: str = "") -> str:
    """Plain values as Python source, one key a line."""
    if isinstance(value, dict):
        deeper = indent + "    "
        rows = (f"{deeper}{json.dumps(key)}: {_literal(part, deeper)},\n" for key, part in value.items())
        return "{\n" + "".join(rows) + indent + "}"
    if isinstance(value, list):
        deeper = indent + "    "
        parts = ", ".join(json.dumps(part) for part in value)
        if len(parts) < _WIDTH - 40:
            return f"[{parts}]"
        filled = textwrap.fill(parts + ",", _WIDTH, initial_indent=deeper, subsequent_indent=deeper)
        return f"[\n{filled}\n{indent}]"
    return json.dumps(value)
