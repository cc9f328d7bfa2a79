"""tessera distill: train a small encoder on the vectors of a larger one."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from tessera.base import InputError

from ._options import OutOption, StepsOption, from_where, need_training, shown, table_of, tell
from ._probe import beside, probe_of, tell_best


def distill(
    config: Annotated[Path, typer.Argument(help="Configuration of the run (TOML), with a section teacher.")],
    out: OutOption = None,
    steps: StepsOption = None,
) -> None:
    """Train a small encoder (the student) to give the vectors of a larger one (the teacher), which stays as it is.

    Prefixes of the student's vectors are embeddings too. After a stop, run the same command again: it continues.

    Example: tessera distill configs/distill-laptop.toml
    """
    need_training()
    from tessera import pretrain as room
    from tessera.models import open_checkpoint

    settings = room.parse_config(config)
    if not isinstance(settings, room.DistilConfig):
        raise InputError(f"{config} has no section [teacher]; add one, or run tessera pretrain {config}")
    settings = room.with_changes(settings, out=out, steps=steps)
    teacher = open_checkpoint(settings.teacher.checkpoint, settings.teacher.source)
    room.check_run(settings.out)
    probe = probe_of(settings.probe)
    table = table_of(settings.data)
    with ExitStack() as taught, shown(f"Training on {len(table):,} pixel-years", "steps") as progress:
        teaching = taught.enter_context(shown(f"{teacher.name} teaching", "pixel-years"))

        def teach(done: int, total: int) -> None:
            teaching(done, total)
            if done >= total:
                # its bar ends before the bar of training begins
                taught.close()

        checkpoint = room.distil(
            table,
            settings.encoder.shape,
            teacher,
            out=settings.out,
            lesson=settings.lesson,
            augment=settings.augment,
            machine=settings.machine,
            cache=settings.teacher.cache,
            teaching=teach,
            probe=probe,
            progress=from_where(beside(progress, probe)),
            **vars(settings.plan),
        )
    tell(checkpoint, settings.out)
    if probe is not None:
        tell_best(settings.out)
