"""Whose vectors a head reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, check_fields
from tessera.learners import SPATIAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tessera.embeddings import ModelIdentity


@dataclass(frozen=True)
class HeadInput:
    """One year of one store: a part of the features of a head.

    Attributes
    ----------
    year : the year whose embeddings it learnt from
    dims : how many of the first dims it reads
    model : what made the embeddings; a store of another model is refused
    store : name of the store, for people; "" if it has none

    Raises
    ------
    InputError
        More dims than the model has, or none.
    """

    year: int
    dims: int
    model: ModelIdentity
    store: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        if not 1 <= self.dims <= self.model.dims:
            raise InputError(f"a head on {self.dims} dims of a model of {self.model.dims}")

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"year": self.year, "dims": self.dims, "model": self.model.to_json(), "store": self.store}


def check_pixel_head(head: str, inputs: Sequence[HeadInput], model: ModelIdentity) -> None:
    """Refuse a head that does not read each pixel of one year of a store alone.

    Parameters
    ----------
    head : name of its learner
    inputs : that it reads
    model : what made the store's embeddings

    Raises
    ------
    InputError
        It learnt from another model's embeddings, reads several years or stores, or looks at the pixels around one.
    """
    own = inputs[0].model
    if own.sha256 != model.sha256:
        raise InputError(
            f"the store holds embeddings of {model.name} ({model.sha256[:12]}); the head learnt from those "
            f"of {own.name} ({own.sha256[:12]})"
        )
    if len(inputs) > 1:
        raise InputError(f"the head reads {len(inputs)} years or stores side by side; expected one of a single year")
    if head in SPATIAL:
        raise InputError(f"a head {head!r} looks at the pixels around one; expected one that reads a pixel alone")
