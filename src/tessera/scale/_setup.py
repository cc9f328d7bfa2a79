"""Where and how to embed, as a user says it: the encoder that is loaded, the store that is opened or made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.base import InputError, TakenError, TesseraError, check_fields, check_folder, exists
from tessera.catalogue import write_manifest
from tessera.encode import Draw, Encoder, load_encoder
from tessera.store import NoStoreError, create_store, open_store

from .area import check_model
from .how import How
from .workers import Workers, devices_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tessera.store import Store

_STATISTICS = {"mpc": "mpc", "earth-search": "aws", "opera": "aws"}
"""Source of scenes -> the provider with whose statistics v1.1 was trained for them."""


@dataclass(frozen=True)
class Setup:
    """Where and how to embed; `tessera.embed` says what each means."""

    out: str | Path
    model: str | Path | Encoder | None = None
    statistics: str | None = None
    dims: int | None = None
    device: str | None = None
    precision: str | None = None
    workers: int | None = None
    min_s2: int = 0
    min_s1: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        loaded = ("statistics", "device", "precision", "workers")
        given = [name for name in loaded if getattr(self, name) is not None]
        if isinstance(self.model, Encoder) and given:
            raise InputError(f"{given[0]} given with an Encoder, which is loaded; expected it with a name or a path")

    @property
    def local(self) -> bool:
        """Whether the store is on this machine."""
        return "://" not in str(self.out)

    def how(self, source: str = "", *, refresh: bool = False, keep_cubes: bool = False) -> How:
        """Load the encoder, with the statistics that fit `source`, the names of the sources of the scenes."""
        workers = None
        if isinstance(self.model, Encoder):
            encoder = self.model
        else:
            statistics = statistics_for(self.statistics, self.model, source)
            devices = devices_for(self.device, self.workers)
            if statistics is None and self.model == "v1.1":
                raise InputError(
                    "v1.1 was trained with statistics of mpc and of aws; expected statistics mpc or aws "
                    "(--statistics), those of the provider of the scenes"
                )
            encoder = load_encoder(self.model, statistics, device=devices[0], precision=self.precision or "auto")
            if len(devices) > 1:
                name = None if self.model is None else str(self.model)
                workers = Workers(Path(), name, statistics, encoder.precision, devices)
        options = encoder.options(self.dims, min_s2=self.min_s2, min_s1=self.min_s1, draw=Draw(self.seed))
        return How(encoder, options, workers, refresh, keep_cubes)

    def open(self, how: How) -> Store | None:
        """The store, None where nothing is there yet.

        Raises
        ------
        InputError
            What is there is no store, or one of another model.
        """
        out = str(self.out)
        if self.local and not (out and exists(out)):
            check_folder(out, "store")
            return None
        try:
            store = open_store(out)
        except NoStoreError as error:
            if not self.local:
                return None
            raise InputError(f"{out} exists and is no store ({error}); expected a store or a new path") from None
        check_model(store, how)
        return store

    def create(self, how: How) -> Store:
        """The store, which was not there a moment ago."""
        found = self.open(how)
        if found is not None:
            return found
        try:
            return create_store(self.out, how.options.dims, how.encoder)
        except TakenError:
            # of several starts at once one makes it, and all go on with it
            found = self.open(how)
            if found is None:
                raise
            return found


def statistics_for(given: str | None, model: object, source: str) -> str | None:
    """Whose statistics to bind: those that were given, else, for v1.1, those that fit the first source of scenes."""
    return _STATISTICS.get(source.partition(",")[0]) if given is None and model == "v1.1" else given


def update_manifest(store: Store, note: Callable[[str], None]) -> None:
    """Bring the manifest up to date; what was embedded is in the store whether this works or not.

    Parameters
    ----------
    note : called with a line for each record that was left out, or where the manifest was not written
    """
    try:
        left_out = write_manifest(store).left_out
    except (TesseraError, OSError) as error:
        left_out = (f"the manifest was not updated ({error}); tessera store catalogue does it",)
    for line in left_out:
        note(line)
