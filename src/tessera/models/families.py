"""The families of networks: how each is built, and the specification of its weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from tessera.base import InputError

from ._teacher import Teacher
from ._v1 import V1
from .specs import STUDENT_SPEC, TEACHER_SPEC, V1_0_EARLY_SPEC, V1_0_SPEC, V1_1_SPECS
from .student import Student

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .layers import TwoBackbones
    from .shape import Shape
    from .spec import InputSpec


@dataclass(frozen=True)
class Family:
    """One kind of network.

    Attributes
    ----------
    title : name in messages
    build : (shape, dropout) -> network
    specs : source ("mpc", "aws") -> specification; the only key is None if there is one for all sources
    """

    title: str
    build: Callable[[Shape, float], TwoBackbones]
    specs: Mapping[str | None, InputSpec]

    def shapes_of(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        """Tensor name -> shape, for a network of these sizes."""
        with torch.device("meta"):
            return {key: tuple(value.shape) for key, value in self.build(shape, 0.0).state_dict().items()}

    def spec(self, source: str | None, name: str) -> InputSpec:
        """The specification for a source.

        Raises
        ------
        InputError
            A source is required but missing, unknown, or given where none applies.
        """
        if source in self.specs:
            return self.specs[source]
        if None in self.specs:
            raise InputError(f"source {source!r} for {name}, {self.title}; it has one set of statistics, give none")
        given = "no source" if source is None else f"source {source!r}"
        choices = " or ".join(f"source={key}" for key in self.specs)
        raise InputError(f"{given} for {name}, {self.title}; expected {choices}, as the weights were trained")


FAMILIES: dict[str, Family] = {
    "v1.0-early": Family("v1.0 early", partial(V1, published="v1.0-early"), {None: V1_0_EARLY_SPEC}),
    "v1.0": Family("v1.0 QAT", partial(V1, published="v1.0"), {None: V1_0_SPEC}),
    "v1.1": Family("v1.1", partial(V1, published="v1.1"), V1_1_SPECS),
    "v2-student": Family("a v2 student", Student, {None: STUDENT_SPEC}),
    "v2-teacher": Family("the v2 teacher", Teacher, {None: TEACHER_SPEC}),
}
"""Name as in `InputSpec.family` -> family."""


def family_of(spec: InputSpec, name: str) -> Family:
    """The family that a specification names.

    Raises
    ------
    InputError
        There is no such family.
    """
    if spec.family not in FAMILIES:
        raise InputError(f"{name} is of the family {spec.family!r}; expected one of {', '.join(FAMILIES)}")
    return FAMILIES[spec.family]
