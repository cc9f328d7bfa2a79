"""Shape: the sizes of a network, with the same names for every family."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass

from tessera.base import InputError

_LIMITS = {
    "latent_dim": 4096,
    "num_layers": 64,
    "nhead": 256,
    "dim_feedforward": 65536,
    "repr_dim": 4096,
}


@dataclass(frozen=True)
class Shape:
    """Sizes of a network, which is 4 * `latent_dim` wide.

    Attributes
    ----------
    latent_dim : a quarter of the width
    num_layers, nhead, dim_feedforward : of each modality's transformer
    repr_dim : length of the vectors that the network returns
    qk_norm : whether a student normalises queries and keys (no released one does)
    """

    latent_dim: int = 64
    num_layers: int = 4
    nhead: int = 4
    dim_feedforward: int = 1024
    repr_dim: int = 128
    qk_norm: bool = False

    def __post_init__(self) -> None:
        for name, limit in _LIMITS.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= limit:
                raise InputError(
                    f"network with {name} {reprlib.repr(value)}; expected a whole number from 1 to {limit}"
                )
        if not isinstance(self.qk_norm, bool):
            raise InputError(f"network with qk_norm {reprlib.repr(self.qk_norm)}; expected true or false")
        if self.width % self.nhead:
            raise InputError(f"network {self.width} wide with {self.nhead} heads; expected a multiple")

    @property
    def width(self) -> int:
        """Width of the model."""
        return 4 * self.latent_dim
