"""The TOML file of a run, read into frozen settings; every key and type is checked."""

from __future__ import annotations

import difflib
import sys
import tomllib
import types
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from tessera.base import InputError, read_text
from tessera.cubes import MINIMUM
from tessera.models import Shape

from .data import Augment
from .devices import Machine
from .distil import Lesson
from .objective import Objective
from .plan import STUDENT, TRAINABLE, RunPlan

if TYPE_CHECKING:
    from collections.abc import Mapping

_T = TypeVar("_T")
_LARGEST = 1024 * 1024
_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "nothing"}


@dataclass(frozen=True)
class Data:
    """The source of pixel-years: blocks, or cubes and simulation together.

    Attributes
    ----------
    blocks : folder from `write_blocks`; excludes all other keys
    cubes : paths of cubes, with * and ? as in a shell
    every : take every n-th row and every n-th column of a cube
    minimum : fewest valid observations of each modality in a pixel of a cube
    simulate : number of simulated pixel-years, with their truths as targets
    simulate_seed : seed of the simulation
    year_curves, month_means : also use the curves, and the monthly means, of each whole year as targets (see the
        functions with these names in `tessera.pretrain`)
    """

    blocks: str | None = None
    cubes: tuple[str, ...] = ()
    every: int = 1
    minimum: int = MINIMUM
    simulate: int = 0
    simulate_seed: int = 0
    year_curves: bool = False
    month_means: bool = False

    def __post_init__(self) -> None:
        changed = [name for name, default in _UNUSED.items() if getattr(self, name) != default]
        if self.blocks is not None and changed:
            raise InputError(f"data with blocks and with {', '.join(changed)}; expected blocks alone")
        if self.blocks is None and not self.cubes and not self.simulate:
            raise InputError("data without blocks, cubes and simulate; expected at least one")
        for name, least in (("every", 1), ("minimum", 1), ("simulate", 0), ("simulate_seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} {getattr(self, name)}; expected {least} or more")
        for need, names in (("cubes", ("every", "minimum")), ("simulate", ("simulate_seed",))):
            idle = [name for name in names if name in changed]
            if idle and self.blocks is None and not getattr(self, need):
                raise InputError(f"data with {', '.join(idle)} and without {need}; expected both, or neither")


_UNUSED = {one.name: () if one.name == "cubes" else one.default for one in fields(Data) if one.name != "blocks"}
"""Keys that a configuration with blocks must leave at their defaults."""


@dataclass(frozen=True)
class Network:
    """The sizes of an encoder, those of `Shape`.

    Attributes
    ----------
    family : one of `TRAINABLE`
    latent_dim : a quarter of the network's width
    num_layers, nhead, dim_feedforward : of each modality's transformer
    repr_dim : length of a vector
    qk_norm : normalise queries and keys
    """

    family: str = STUDENT
    latent_dim: int = 36
    num_layers: int = 2
    nhead: int = 4
    dim_feedforward: int = 384
    repr_dim: int = 128
    qk_norm: bool = False

    def __post_init__(self) -> None:
        if self.family not in TRAINABLE:
            raise InputError(f"family {self.family!r}; expected {' or '.join(TRAINABLE)}")

    @property
    def shape(self) -> Shape:
        """The sizes as a `Shape`."""
        return Shape(self.latent_dim, self.num_layers, self.nhead, self.dim_feedforward, self.repr_dim, self.qk_norm)


@dataclass(frozen=True)
class TeacherSource:
    """The teacher of a student.

    Attributes
    ----------
    checkpoint : a published name, or a file in any container
    source : "mpc" or "aws", the provider whose statistics v1.1 was trained with, if the file does not say it
    cache : folder for its vectors; without one they are only in memory
    """

    checkpoint: str
    source: str | None = None
    cache: str | None = None


@dataclass(frozen=True)
class ProbeSource:
    """Labels that measure the vectors during training, every `probe_every` steps of the plan.

    Attributes
    ----------
    labels : Parquet table of labelled pixel-years, see `tessera.evaluation.read_pixel_years`
    kind : "classification" or "regression", if the column of labels does not decide it
    head : name of the head, see `tessera.learners.HEADS`
    amount : labels that the head learns from, such as 31, "10/class" or "10%"; by default the second for classes and
        the last for numbers
    draws : number of random subsets of `amount` labels
    seed : of draws and head
    """

    labels: str
    kind: str | None = None
    head: str = "linear"
    amount: str | int | None = None
    draws: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.labels:
            raise InputError("a probe with labels ''; expected the path of a table of labelled pixel-years")
        # a head's seed is about 1,009 times this one, and has 32 bits
        if self.draws < 1 or not 0 <= self.seed < 2**22:
            raise InputError(f"a probe with draws {self.draws}, seed {self.seed}; expected at least 1, 0 to 2**22 - 1")


@dataclass(frozen=True, kw_only=True)
class _Config:
    """The keys that every run has."""

    out: str
    data: Data
    plan: RunPlan
    encoder: Network = field(default_factory=Network)
    augment: Augment = field(default_factory=Augment)
    machine: Machine = field(default_factory=Machine)
    probe: ProbeSource | None = None

    def __post_init__(self) -> None:
        if not self.out.endswith(".safetensors"):
            raise InputError(f"out {self.out!r}; expected a file that ends with .safetensors")


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(_Config):
    """The configuration of `tessera pretrain`."""

    objective: Objective = field(default_factory=Objective)


@dataclass(frozen=True, kw_only=True)
class DistilConfig(_Config):
    """The configuration of `tessera distill`."""

    teacher: TeacherSource
    lesson: Lesson = field(default_factory=Lesson)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.encoder.family != STUDENT:
            raise InputError(f"family {self.encoder.family!r} of a student; expected {STUDENT}")


def parse_config(path: str | Path) -> PretrainConfig | DistilConfig:
    """Read the TOML file of a run; one with a section [teacher] is a distillation.

    Raises
    ------
    InputError
        The file is missing or not TOML, a key is missing or unknown (the nearest known one is named), a value has
        another type or is invalid, or there is a probe without `probe_every`.
    """
    file = Path(path)
    try:
        given = tomllib.loads(read_text(file, what="configuration", limit=_LARGEST))
    # also a number of more digits than Python reads
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file} is no TOML: {error}") from None
    try:
        read = _parsed(DistilConfig, given, "") if "teacher" in given else _parsed(PretrainConfig, given, "")
        if read.probe is not None and "probe_every" not in given["plan"]:
            raise InputError("no probe_every in [plan]; expected it beside a section [probe]: steps between two probes")
        if read.probe is None and "probe_every" in given["plan"]:
            raise InputError("probe_every in [plan] and no section [probe]; expected both, or neither")
        return read
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def with_changes(config: _T, *, out: str | None = None, steps: int | None = None) -> _T:
    """The same run with another output or number of steps, if given.

    Raises
    ------
    InputError
        A value is invalid.
    """
    changes: dict[str, Any] = {}
    if out is not None:
        changes["out"] = out
    if steps is not None:
        changes["plan"] = replace(config.plan, steps=steps)  # type: ignore[attr-defined]
    return replace(config, **changes)  # type: ignore[type-var]


def _parsed(kind: type[_T], given: Mapping[str, Any], where: str) -> _T:
    """A dataclass from a TOML table, with keys and types checked; `where` is its section."""
    hints = get_type_hints(kind)
    known = {part.name: part for part in fields(kind)}  # type: ignore[arg-type]
    inside = f" in [{where}]" if where else ""
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
            raise InputError(f"unknown key {key[:60]!r}{inside}; did you mean {near[0]!r}?")
    for name, part in known.items():
        if name not in given and part.default is MISSING and part.default_factory is MISSING:
            raise InputError(
                f"no {name}{inside}; expected " + (f"a section [{name}]" if _section(hints[name]) else "it")
            )
    return kind(**{key: _value(hints[key], value, f"{where}.{key}" if where else key) for key, value in given.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    section = _section(hint)
    if section is not None:
        if not isinstance(value, dict):
            raise InputError(f"{where} is {_short(value)}; expected a section [{where}]")
        return _parsed(section, value, where)
    for choice in _choices(hint):
        found = _fits(choice, value)
        if found is not MISSING:
            return found
    raise InputError(f"{where} is {_short(value)}; expected {' or '.join(_name(choice) for choice in _choices(hint))}")


def _fits(hint: Any, value: Any) -> Any:
    """The value as this type, or MISSING if it has another one."""
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        if not isinstance(value, list) or (inner[-1] is not Ellipsis and len(value) != len(inner)):
            return MISSING
        found = tuple(_fits(inner[0], part) for part in value)
        return MISSING if MISSING in found else found
    if hint is float:
        # integers in TOML are unlimited, floats are not
        known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
        return float(value) if known else MISSING
    return value if type(value) is hint else MISSING


def _choices(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _section(hint: Any) -> Any:
    """The dataclass of a section, optional or not; None for a plain value."""
    return next((choice for choice in _choices(hint) if hasattr(choice, "__dataclass_fields__")), None)


def _name(hint: Any) -> str:
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        number = "" if inner[-1] is Ellipsis else f"{len(inner)} "
        return f"a list of {number}{'texts' if inner[0] is str else 'whole numbers'}"
    return _WORDS[hint]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
