"""The training loop: Barlow Twins on two views of a pixel's year, on one CPU, resumable to the bit."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tessera.base import InputError, TesseraError, silent, write_atomic
from tessera.models import STUDENT_SPEC, Checkpoint, Shape, Student, write_checkpoint

from .losses import barlow_twins, mix_term, rankme, whiten
from .projector import Projector
from .state import State
from .views import DRAWS, View, draw_view, pixels_of_step, step_generator

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from tessera.base import Progress
    from tessera.models import InputSpec

    from .data import PixelSeries

LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-6
WARM_UP = 0.1
CLIP = 2.0
DROPOUT = 0.1
SEED = 3407
"""Peak rate, weight decay of matrices, share of warm-up, gradient norm, dropout and seed of the released v1.0 run."""
COLLAPSE = 0.05
"""RankMe of the vectors below which a run has collapsed: for 128 dims an effective rank of 128 ** 0.05 = 1.3."""


def learning_rate(step: int, steps: int, peak: float = LEARNING_RATE, warm_up: float = WARM_UP) -> float:
    """Rate of the 0-based `step`: linear from 0 to `peak` over a share of `warm_up`, then a cosine to 0."""
    rising = max(1, round(warm_up * steps))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * 0.5 * (1 + math.cos(math.pi * (step + 1 - rising) / max(1, steps - rising)))


def pretrain(
    series: PixelSeries,
    shape: Shape,
    *,
    steps: int,
    batch: int,
    out: str | Path,
    draws: int = DRAWS,
    width: int = 512,
    peak: float = LEARNING_RATE,
    dropout: float = DROPOUT,
    seed: int = SEED,
    half: bool = False,
    save_every: int = 100,
    log_every: int = 10,
    probe: Callable[[Checkpoint], dict[str, float]] | None = None,
    probe_every: int = 100,
    progress: Progress = silent,
) -> Checkpoint:
    """Train an encoder from pixel-years without labels; run again after an interruption, it goes on where it stopped.

    Beside `out` stand `<out>.state`, the full state every `save_every` steps, and `<out>.json`, the log. On one machine
    with one number of threads the weights depend on the arguments only, however often the run was interrupted.

    Parameters
    ----------
    series : pixel-years, each with at least one observation of each modality
    shape : sizes of the encoder
    steps, batch : optimiser steps, pixel-years a step
    out : the safetensors file; its stem is the name of the checkpoint
    draws : observations a view and modality
    width : of the projector
    peak : learning rate after the warm-up
    dropout : of the encoder; the layer that fuses the modalities drops twice as much
    seed : of weights, batches, views, mixtures and dropout
    half : run the networks in bfloat16 autocast; weights, losses and optimiser stay float32
    save_every, log_every, probe_every : steps
    probe : called with the encoder so far, its numbers enter the log; the loss does not predict downstream worth
    progress : called with steps done and their total

    Returns
    -------
    Checkpoint with prefix_dims (dims,) alone: this loss orders no coordinates, so a prefix means nothing

    Raises
    ------
    InputError
        Too few pixel-years, a negative seed, or a state at `out` of a run with other settings or other data.
    TesseraError
        The loss is not finite, or the vectors have collapsed.
    """
    if steps < 1 or batch < 2:
        raise InputError(f"{steps} steps of {batch} pixel-years; expected at least 1 step of 2")
    if not 0 <= seed < 2**63:
        raise InputError(f"seed {seed}; expected 0 to 2**63 - 1")
    file = Path(out)
    spec = replace(STUDENT_SPEC, dims=shape.repr_dim, prefix_dims=(shape.repr_dim,))
    run: dict[str, Any] = {"steps": steps, "batch": batch, "draws": draws, "width": width, "peak": peak}
    run |= {"dropout": dropout, "seed": seed, "half": half, **asdict(shape), "series": series.digest()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder, projector = Student(shape, dropout), Projector(shape.repr_dim, width)
        state = State(encoder, projector, _optimiser(encoder, projector), [])
        state_file = file.with_name(file.name + ".state")
        done = state.load(state_file, run) if state_file.exists() else 0
        for step in range(done, steps):
            logged = (step + 1) % log_every == 0 or step + 1 == steps
            record = _step(state, series, spec, step, run, logged)
            if probe is not None and ((step + 1) % probe_every == 0 or step + 1 == steps):
                record |= probe(_checkpoint(encoder, shape, spec, file.stem))
                logged = True
            if logged:
                state.log.append(record)
            if (step + 1) % save_every == 0 or step + 1 == steps:
                state.save(state_file, step + 1, run)
                write_atomic(file.with_name(file.name + ".json"), _log(run, state.log))
            progress(step + 1, steps)
    checkpoint = _checkpoint(encoder, shape, spec, file.stem)
    write_checkpoint(checkpoint, file)
    return checkpoint


def _step(
    state: State, series: PixelSeries, spec: InputSpec, step: int, run: dict[str, Any], logged: bool
) -> dict[str, float]:
    generator = step_generator(run["seed"], step)
    pixels = pixels_of_step(len(series), run["batch"], run["seed"], step)
    first, second = (draw_view(series, pixels, run["draws"], spec, generator) for _ in range(2))
    alpha = float(generator.beta(1.0, 1.0))
    order = generator.permutation(run["batch"])
    # seeded a step, so that dropout too is the same after a resume
    torch.manual_seed(int(generator.integers(2**63)))
    mixed = View(
        _blend(first.s2, second.s2[order], alpha),
        _blend(first.s1, second.s1[order], alpha),
    )
    rate = learning_rate(step, run["steps"], run["peak"])
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    state.encoder.train()
    state.projector.train()
    with torch.autocast("cpu", torch.bfloat16, enabled=run["half"]):
        vectors = [_encode(state.encoder, view) for view in (first, second, mixed)]
        z1, z2, zm = (state.projector(part) for part in vectors)
    z1, z2, zm = (whiten(part.float()) for part in (z1, z2, zm))
    twins = barlow_twins(z1, z2)
    mix = mix_term(zm, z1, z2, alpha, torch.from_numpy(order))
    loss = twins + mix
    if not torch.isfinite(loss):
        raise TesseraError(
            f"step {step + 1}: the loss is {float(loss.detach())}; expected a finite one, learning rate {rate:.2g}"
        )
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    parameters = [p for group in state.optimiser.param_groups for p in group["params"]]
    norm = nn.utils.clip_grad_norm_(parameters, CLIP)
    state.optimiser.step()
    if not logged:
        return {"step": step + 1}
    # without dropout, whose noise would pass for rank
    state.encoder.eval()
    with torch.inference_mode():
        rank = rankme(_encode(state.encoder, first))
    if rank < COLLAPSE:
        raise TesseraError(
            f"step {step + 1}: the vectors have collapsed, RankMe {rank:.3f}; expected at least {COLLAPSE}"
        )
    return {
        "step": step + 1,
        "loss": float(loss.detach()),
        "barlow_twins": float(twins.detach()),
        "mix": float(mix.detach()),
        "rankme": rank,
        "learning_rate": rate,
        "gradient_norm": float(norm),
    }


def _blend(a: Any, b: Any, alpha: float) -> Any:
    return a * a.dtype.type(alpha) + b * b.dtype.type(1 - alpha)


def _encode(encoder: nn.Module, view: View) -> Tensor:
    out: Tensor = encoder(torch.from_numpy(view.s2), torch.from_numpy(view.s1))
    return out


def _optimiser(*networks: nn.Module) -> torch.optim.Optimizer:
    parameters = [parameter for network in networks for parameter in network.parameters()]
    return torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=LEARNING_RATE,
    )


def _checkpoint(encoder: nn.Module, shape: Shape, spec: InputSpec, name: str) -> Checkpoint:
    tensors = {key: value.detach().clone() for key, value in encoder.state_dict().items()}
    return Checkpoint(shape, spec, tensors, name)


def _log(run: dict[str, Any], log: list[dict[str, float]]) -> bytes:
    return (json.dumps({"run": run, "log": log}, indent=1) + "\n").encode()
