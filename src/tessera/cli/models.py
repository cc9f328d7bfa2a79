"""tessera models: list encoders, describe one, download one, convert one to another file format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .terminal import JsonOption, print_json, print_table, step

if TYPE_CHECKING:
    from tessera.models import Checkpoint

app = typer.Typer(help="List, describe, download and convert encoders.", no_args_is_help=True)

Model = Annotated[str | None, typer.Argument(help="Name or checkpoint file. Default: the bundled encoder.")]
Source = Annotated[
    str | None,
    typer.Option(metavar="mpc|aws", help="For v1.1 weights: the provider of the scenes that they were trained on."),
]
_ENDINGS = (".safetensors", ".pt", ".onnx", ".py")
_MEGA = 1_000_000


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the bundled and the published encoders, and which are on this machine.

    Example: tessera models list
    """
    rows = _known()
    if as_json:
        print_json(rows)
        return
    table: list[tuple[str, ...]] = [("name", "family", "dims", "parameters", "size", "here", "where")]
    for row in rows:
        size = "" if row["bytes"] is None else f"{row['bytes'] / _MEGA:,.1f} MB"
        here = "yes" if row["path"] else "no"
        numbers = str(row["dims"]), f"{row['parameters']:,}", size
        table.append((row["name"], row["family"], *numbers, here, row["where"]))
    print_table(table)


def _known() -> list[dict[str, Any]]:
    from tessera.base import require

    require("torch", extra="models", purpose="listing encoders")
    from tessera.models import BUNDLED, PUBLISHED, STUDENT_SPEC, bundled_path, cached

    path = bundled_path()
    rows: list[dict[str, Any]] = [
        {
            "name": BUNDLED,
            "family": STUDENT_SPEC.family,
            "dims": STUDENT_SPEC.dims,
            "parameters": PUBLISHED["v2-nano"].parameters,
            "bytes": path.stat().st_size,
            "where": "in this package",
            "path": str(path),
        }
    ]
    for name, file in PUBLISHED.items():
        held = cached(name)
        rows.append(
            {
                "name": name,
                "family": file.family,
                "dims": file.dims,
                "parameters": file.parameters,
                "bytes": file.size,
                "where": file.where,
                "path": None if held is None else str(held),
            }
        )
    return rows


@app.command("info")
def info(model: Model = None, source: Source = None, as_json: JsonOption = False) -> None:
    """Describe an encoder: its size, and the bands, sampling and statistics that it expects.

    Example: tessera models info student_nano.pt
    """
    checkpoint = _open(model, source)
    spec = checkpoint.spec
    if as_json:
        about = {
            "name": checkpoint.name,
            "published": checkpoint.published,
            "sha256": checkpoint.sha256,
            "family": spec.family,
            "parameters": checkpoint.parameters,
            "dims": spec.dims,
            "prefix_dims": list(spec.prefix_dims),
            "source": checkpoint.source,
            "input": spec.to_json(),
        }
        print_json(about)
        return
    bins = spec.sampling.bins
    number = str(bins[0]) if len(bins) == 1 else f"{bins[0]} to {bins[-1]}"
    print_table(
        [
            ("name", checkpoint.name),
            (
                "published",
                f"as {checkpoint.published}"
                if checkpoint.published
                else "no: its SHA-256 is not that of a published file",
            ),
            ("sha256", checkpoint.sha256),
            ("family", spec.family),
            ("parameters", f"{checkpoint.parameters:,}"),
            ("dims", f"{spec.dims} (prefixes {' '.join(map(str, spec.prefix_dims))})"),
            ("Sentinel-2", " ".join(spec.s2_bands)),
            ("Sentinel-1", " ".join(spec.s1_bands)),
            ("sampling", f"rule {spec.sampling.rule}, {number} observations a sensor"),
            ("statistics", f"of scenes from {checkpoint.source}" if checkpoint.source else "one set for all providers"),
        ]
    )


@app.command("pull")
def pull(
    name: Annotated[str, typer.Argument(help="Name of a published encoder, from tessera models list.")],
    source: Source = None,
) -> None:
    """Download a published encoder from the Hugging Face hub. An interrupted download continues.

    Example: tessera models pull v2-medium
    """
    from tessera.base import require

    require("torch", extra="models", purpose="an encoder")
    from tessera import models

    with step(f"Pulling {name}", unit="MB") as progress:
        path = models.pull(name, source, lambda done, total: progress(done // _MEGA, -(-total // _MEGA)))
    print(f"{path}: {path.stat().st_size:,} bytes")


@app.command("convert")
def convert(
    model: Annotated[str, typer.Argument(help="Name or file of an encoder.")],
    out: Annotated[Path, typer.Argument(help="File to write: .safetensors, .pt, .onnx or .py.")],
    source: Source = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", "--force", help="Replace a file that holds other weights or is no encoder.")
    ] = False,
) -> None:
    """Convert an encoder to another file format. The ending of OUT chooses the format.

    .safetensors holds the weights and the description of their input. The published code loads .pt files. .onnx is an
    ONNX graph. .py is one Python module that needs only torch.

    Example: tessera models convert student_nano.pt nano.safetensors
    """
    from tessera.base import InputError, check_output

    if out.suffix not in _ENDINGS:
        raise InputError(f"output {out}; expected a file that ends in one of {', '.join(_ENDINGS)}")
    check_output(out, "encoder", inputs=(model,), overwrite=True)
    checkpoint = _open(model, source)
    from tessera.models import check_encoder, holds_encoder

    check_encoder(out, checkpoint, inputs=(model,), overwrite=overwrite)
    if not overwrite and out.exists() and holds_encoder(out, checkpoint):
        print(f"{out}: already there, {checkpoint.name}, identity {checkpoint.sha256}")
        return
    with step(f"Writing {out.name}"):
        _write(checkpoint, out)
    print(f"{out}: {checkpoint.name}, {checkpoint.spec.family}, identity {checkpoint.sha256}")


def _open(model: str | None, source: str | None) -> Checkpoint:
    from tessera.base import require

    for module in ("torch", "safetensors"):
        require(module, extra="models", purpose="an encoder")
    from tessera.models import open_checkpoint

    return open_checkpoint(model, source)


def _write(checkpoint: Checkpoint, out: Path) -> None:
    if out.suffix == ".safetensors":
        from tessera.models import write_checkpoint

        write_checkpoint(checkpoint, out)
    elif out.suffix == ".pt":
        from tessera.models import write_published

        write_published(checkpoint, out)
    elif out.suffix == ".onnx":
        from tessera.models import export_onnx

        export_onnx(checkpoint, out)
    else:
        from tessera.base import write_atomic
        from tessera.models import single_file

        write_atomic(out, single_file(checkpoint).encode())
