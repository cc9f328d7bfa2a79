"""How near the encoders come to what the published code returned for the same weights and inputs, in float32.

python benchmarks/fixtures.py SHARED

SHARED is the folder whose fixtures/ holds expected values, tile_a and build_checkpoints.py.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tessera.cubes import open_cube
from tessera.encode import Draw, load_encoder


def line(name: str, found: Any, wanted: Any) -> None:
    """The largest difference of vectors."""
    print(f"{name:<28} vectors within {np.abs(found - wanted).max():.1e}")


def codes(name: str, found: Any, wanted: Any, known: Any = ...) -> None:
    """How many codes are the published ones."""
    equal = (found == wanted)[known]
    print(f"{name:<28} {int(equal.sum()):,} of {equal.size:,} codes equal")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/fixtures.py SHARED")
    torch.set_num_threads(1)
    fixtures = Path(sys.argv[1]) / "fixtures"
    cube = open_cube(fixtures / "tile_a").load()

    def expected(name: str) -> Any:
        return np.load(fixtures / "expected" / f"{name}.npz")

    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, fixtures / "build_checkpoints.py", folder], check=True, capture_output=True)
        weights = Path(folder)
        z = expected("v1_0_qat")
        encoder = load_encoder(weights / "v1_0_qat.pt", device="cpu", precision="fp32")
        line("v1.0", encoder.encode_batch(z["s2"], z["s1"]), z["emb"])
        z = expected("v1_0_qat_tile_rep1")
        draw = Draw(int(z["np_seed"]), int(z["repeat_times"]), int(z["batch_size"]))
        tile = encoder.encode(cube, reference_fill=True, draw=draw)
        codes("v1.0, tile", tile.codes, z["emb_int8"], z["scales"] > 0)
        z = expected("v1_1")
        encoder = load_encoder(weights / "v1_1.pt", "mpc", device="cpu", precision="fp32")
        for case in "abc":
            found = encoder.encode_batch(z[f"s2_{case}"], z[f"s1_{case}"])
            line(f"v1.1, {case}", found, z[f"emb192_{case}"][:, :128])
        z = expected("v1_1_tile_a_mpc")
        codes("v1.1, tile", encoder.encode(cube, reference_fill=True).codes, z["emb_int8"])
        for name in ("v2_nano", "v2_tiny"):
            z = expected(name)
            encoder = load_encoder(weights / f"{name}.pt", device="cpu", precision="fp32")
            for case in "abc":
                line(f"{name}, {case}", encoder.encode_batch(z[f"s2_{case}"], z[f"s1_{case}"]), z[f"emb_{case}"])
            known = ~z["empty_tile_a"]
            codes(f"{name}, tile", encoder.encode(cube).codes, z["int8_tile_a"], known)
            codes(f"{name}, tile, 16 dims", encoder.encode(cube, 16).codes, z["int8_d16_tile_a"], known)


if __name__ == "__main__":
    main()
