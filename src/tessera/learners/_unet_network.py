"""The network of the U-Net head: with batch norm while it learns, with folded weights when it predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from ._unet_layers import CONVOLUTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Layer = tuple[NDArray[np.float32], NDArray[np.float32]]

DROPOUT = 0.2
"""Share of the channels at the lowest resolution that are left out at a step."""


def wire(convolve: Callable[[int, Tensor], Tensor], features: Tensor) -> Tensor:
    """How the ten convolutions hang together: (B, W, H, W) -> (B, W, H, W), sides divisible by 4."""
    fine = convolve(1, convolve(0, features))
    middle = convolve(3, convolve(2, functional.max_pool2d(fine, 2)))
    low = convolve(5, convolve(4, functional.max_pool2d(middle, 2)))
    up = functional.interpolate(low, scale_factor=2.0, mode="nearest")
    middle = convolve(7, convolve(6, torch.cat([up, middle], dim=1)))
    up = functional.interpolate(middle, scale_factor=2.0, mode="nearest")
    return convolve(9, convolve(8, torch.cat([up, fine], dim=1)))


class Network(nn.Module):
    """The network as it learns: batch norm and ReLU after each convolution, dropout at the lowest resolution."""

    def __init__(self, dims: int, width: int, out: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(dims + 1, width, 1)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(many * width, few * width, 3, padding=1, bias=False), nn.BatchNorm2d(few * width), nn.ReLU()
            )
            for many, few in CONVOLUTIONS
        )
        self.dropout = nn.Dropout2d(DROPOUT)
        # also on the features themselves: what a single pixel tells need not pass the layers
        self.head = nn.Conv2d(width + dims + 1, out, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        def convolve(index: int, features: Tensor) -> Tensor:
            found: Tensor = self.layers[index](features)
            return self.dropout(found) if index == 5 else found

        out: Tensor = self.head(torch.cat([wire(convolve, self.stem(inputs)), inputs], dim=1))
        return out

    @torch.no_grad()
    def folded(self) -> dict[str, Any]:
        """The arrays of a `UnetModel`, with batch norm folded into the kernels in float64."""
        kernels, biases = [], []
        for layer in self.layers:
            convolution, norm = layer[0], layer[1]  # type: ignore[index]
            factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
            kernels.append(_array(convolution.weight.double() * factor[:, None, None, None]))
            biases.append(_array(norm.bias.double() - norm.running_mean.double() * factor))
        return {
            "stem": _array(self.stem.weight[:, :, 0, 0]),
            "stem_bias": _array(self.stem.bias),
            "kernels": tuple(kernels),
            "biases": tuple(biases),
            "head": _array(self.head.weight[:, :, 0, 0]),
            "head_bias": _array(self.head.bias),
        }


def _array(tensor: Any) -> NDArray[np.float32]:
    found: NDArray[np.float32] = tensor.detach().float().contiguous().numpy().copy()
    return found


@torch.inference_mode()
def run(
    inputs: NDArray[np.float32],
    first: Layer,
    inner: tuple[tuple[NDArray[np.float32], ...], tuple[NDArray[np.float32], ...]],
    last: Layer,
) -> NDArray[np.float32]:
    """The last layer: (B, D + 1, S, S) float32 -> (B, K or 1, S, S) float32.

    `first` and `last` are weights and bias of the layers of single pixels, `inner` kernels and biases between them.
    """

    def convolve(index: int, features: Tensor) -> Tensor:
        kernel, bias = (torch.from_numpy(part[index]) for part in inner)
        return functional.relu(functional.conv2d(features, kernel, bias, padding=1))

    def single(layer: Layer, features: Tensor) -> Tensor:
        weights, bias = (torch.from_numpy(part) for part in layer)
        return functional.conv2d(features, weights[:, :, None, None], bias)

    features = torch.from_numpy(inputs)
    out = single(last, torch.cat([wire(convolve, single(first, features)), features], dim=1))
    found: NDArray[np.float32] = out.numpy()
    return found
