"""What the U-Net reads, and the sizes of its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.embeddings import StackedVectors

CONVOLUTIONS = ((1, 1), (1, 1), (1, 2), (2, 2), (2, 4), (4, 4), (6, 2), (2, 2), (3, 1), (1, 1))
"""Inputs and outputs of the 3 x 3 convolutions in multiples of the width: two at full, half and quarter resolution,
then two at half and two at full resolution, each on what came up beside what was there before."""


def network_input(windows: StackedVectors, mean: NDArray[np.float32], std: NDArray[np.float32]) -> NDArray[np.float32]:
    """(B, S, S) vectors -> (B, D + 1, S, S) standardised features and whether there is data; 0 where there is none."""
    valid = windows.valid
    values = (windows.values() - mean) / std
    values[~valid] = 0
    mask = valid[..., None].astype(np.float32)
    return np.ascontiguousarray(np.concatenate([values, mask], axis=-1).transpose(0, 3, 1, 2))
