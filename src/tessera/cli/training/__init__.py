"""Commands that train encoders: `tessera blocks`, `pretrain`, `distill`."""

from . import blocks, distill, pretrain

__all__ = ["blocks", "distill", "pretrain"]
