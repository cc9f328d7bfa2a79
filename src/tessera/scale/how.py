"""How cells are embedded: the encoder with its options, the processes, and what becomes of cubes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tessera.encode import Encoder, Options

    from .workers import Workers


@dataclass(frozen=True)
class How:
    """How cells are embedded.

    Attributes
    ----------
    encoder, options : see `Encoder.options`
    workers : processes that share the work; of an area their `cube` is set to each cell's own. None works in this
        process
    refresh : build every cube anew; a cell whose observations did not change is then left alone
    keep_cubes : leave an area's cubes in the folder `cubes` of the store's scratch folder, where later runs find them
    """

    encoder: Encoder
    options: Options
    workers: Workers | None = None
    refresh: bool = False
    keep_cubes: bool = False

    def workers_on(self, cube: Path) -> Workers | None:
        """The workers of a cube at this path."""
        return None if self.workers is None else replace(self.workers, cube=cube)

    @property
    def devices(self) -> tuple[str, ...]:
        """The device of each process."""
        return (self.encoder.device,) if self.workers is None else self.workers.devices
