"""tessera models: which encoders there are, and what one demands."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ._show import print_json, print_table

app = typer.Typer(help="Encoders: names, and what their weights demand of their input.", no_args_is_help=True)


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the bundled encoder and the published ones.

    Example: tessera models list
    """
    from tessera.base import require

    require("torch", extra="models", purpose="listing encoders")
    from tessera.models import BUNDLED, PUBLISHED

    rows = [{"name": BUNDLED, "where": "in this package; for demonstration"}]
    rows += [{"name": name, "where": f"Hugging Face, {file.repo}, {file.file}"} for name, file in PUBLISHED.items()]
    if as_json:
        print_json(rows)
    else:
        print_table([(row["name"], row["where"]) for row in rows])


@app.command("info")
def info(
    model: Annotated[str | None, typer.Argument(help="Checkpoint file; the bundled weights where left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a checkpoint is and what it demands: bands, statistics, sampling, dims.

    Example: tessera models info student_nano.pt
    """
    from tessera.encode import load_encoder

    encoder = load_encoder(model)
    parameters = sum(tensor.numel() for tensor in encoder.network.state_dict().values())
    about: dict[str, Any] = {**encoder.identity.to_json(), "parameters": parameters, "input": encoder.spec.to_json()}
    if as_json:
        print_json(about)
        return
    spec = encoder.spec
    print_table(
        [
            ("name", encoder.identity.name),
            ("sha256", encoder.identity.sha256),
            ("family", spec.family),
            ("parameters", f"{parameters:,}"),
            ("dims", f"{spec.dims} (prefixes {' '.join(map(str, spec.prefix_dims))})"),
            ("Sentinel-2", " ".join(spec.s2_bands)),
            ("Sentinel-1", " ".join(spec.s1_bands)),
            ("sampling", f"{spec.sampling.rule}, {spec.sampling.bins[0]} to {spec.sampling.bins[-1]} observations"),
        ]
    )
