"""Whose vectors a head reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, check_fields

if TYPE_CHECKING:
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
