"""tessera pretrain: train an encoder on pixel-years without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tessera.base import InputError

from ._options import OutOption, StepsOption, from_where, need_training, shown, table_of, tell
from ._probe import beside, probe_of, tell_best


def pretrain(
    config: Annotated[Path, typer.Argument(help="Configuration of the run (TOML). See the examples in configs/.")],
    out: OutOption = None,
    steps: StepsOption = None,
) -> None:
    """Train an encoder on pixel-years without labels.

    After a stop, run the same command again: it continues. On several GPUs, start it with torchrun: torchrun
    --nproc-per-node 8 --no-python tessera pretrain configs/pretrain-8gpu.toml

    Example: tessera pretrain configs/laptop.toml
    """
    need_training()
    from tessera import pretrain as room

    settings = room.parse_config(config)
    if not isinstance(settings, room.PretrainConfig):
        raise InputError(
            f"{config} has a section [teacher], which tessera pretrain does not use; run tessera distill {config}"
        )
    settings = room.with_changes(settings, out=out, steps=steps)
    room.check_run(settings.out)
    probe = probe_of(settings.probe)
    table = table_of(settings.data)
    with shown(f"Training on {len(table):,} pixel-years", "steps") as progress:
        checkpoint = room.pretrain(
            table,
            settings.encoder.shape,
            out=settings.out,
            family=settings.encoder.family,
            objective=settings.objective,
            augment=settings.augment,
            machine=settings.machine,
            probe=probe,
            progress=from_where(beside(progress, probe)),
            **vars(settings.plan),
        )
    tell(checkpoint, settings.out)
    if probe is not None:
        tell_best(settings.out)
