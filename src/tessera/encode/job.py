"""The host's part of a block: the pixels to embed, and their observations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ._observations import Ragged, Stream, observe, pack_counts, pack_rule
from .draws import Draw, counts_of, draw_counts, pixel_keys, pool_of
from .sampling import RULES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.cubes import PixelCube
    from tessera.models import InputSpec


@dataclass(frozen=True)
class Options:
    """How a cube is embedded.

    Attributes
    ----------
    dims : length of the prefix to keep
    reference_fill : return what the published code returns, also for pixels without data
    min_s2, min_s1 : fewest valid observations of Sentinel-2 and of Sentinel-1 (both orbits) of an embedded pixel
    draw : for versions that draw their observations at random
    """

    dims: int
    reference_fill: bool = False
    min_s2: int = 0
    min_s1: int = 0
    draw: Draw = field(default_factory=Draw)


@dataclass(frozen=True)
class Job:
    """A block of rows, ready for the device.

    Attributes
    ----------
    rows : start and stop
    counts : (P, 3) uint16 observations
    kept : (K,) int64, pixels of the block that are embedded
    draws : repeat -> modality -> its observations; one repeat if nothing is drawn
    """

    rows: tuple[int, int]
    counts: NDArray[np.uint16]
    kept: NDArray[np.int64]
    draws: list[tuple[Ragged, Ragged]]

    @property
    def tokens(self) -> int:
        """Number of observations, over all repeats and modalities."""
        return sum(int(part.lengths.sum()) for draw in self.draws for part in draw)


def make_job(
    cube: PixelCube,
    rows: tuple[int, int],
    spec: InputSpec,
    options: Options,
    *,
    ordered: bool,
    numpy_draws: list[list[NDArray[np.uint16]]] | None = None,
) -> Job:
    """Choose and pack the observations of a block.

    Parameters
    ----------
    cube : only the block, in memory
    rows : its rows in the whole cube
    ordered : whether the network reads time in order
    numpy_draws : repeat -> modality -> (P, size) indices for this block's pixels, instead of draws by position
    """
    s2, s1, counts = observe(cube, spec.sampling)
    kept = np.flatnonzero(_embedded(s2, counts, spec, options, published=numpy_draws is not None))
    draws = []
    if RULES[spec.sampling.rule].choose is not None:
        draws = [
            (
                pack_rule(s2, kept, spec.sampling, ordered=ordered),
                pack_rule(s1, kept, spec.sampling, ordered=ordered),
            )
        ]
    else:
        size = spec.sampling.bins[-1]
        for repeat in range(options.draw.repeats):
            parts = []
            for index, stream in enumerate((s2, s1)):
                valid = stream.valid[kept]
                if numpy_draws is not None:
                    drawn = counts_of(pool_of(valid), numpy_draws[repeat][index][kept])
                else:
                    keys = pixel_keys(cube, rows[0], options.draw.seed, index, repeat)
                    drawn = draw_counts(valid, keys[kept], size)
                parts.append(pack_counts(stream, kept, drawn, ordered=ordered))
            draws.append((parts[0], parts[1]))
    return Job(rows, counts, kept, draws)


def lit(s2: Stream) -> NDArray[np.bool_]:
    """(P,) whether any Sentinel-2 value of the year is not 0."""
    seen = np.bitwise_or.reduce(s2.stack.view(np.uint16), axis=0)
    out: NDArray[np.bool_] = (seen != 0).any(axis=1)
    return out


def _embedded(
    s2: Stream, counts: NDArray[np.uint16], spec: InputSpec, options: Options, *, published: bool
) -> NDArray[np.bool_]:
    embedded: NDArray[np.bool_] = (counts != 0).any(axis=1)
    embeds = RULES[spec.sampling.rule].embeds
    if options.reference_fill and embeds != "seen":
        embedded = lit(s2) if embeds == "lit" else np.ones_like(embedded)
    elif published and embeds == "lit":
        embedded &= lit(s2)
    embedded &= counts[:, 0] >= options.min_s2
    embedded &= counts[:, 1:].sum(axis=1) >= options.min_s1
    return embedded
