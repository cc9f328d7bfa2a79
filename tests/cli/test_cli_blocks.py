"""tessera blocks: what a configuration's cubes and simulation give, as blocks on disk, whatever stops it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tessera.cli.training._options
import tessera.cli.training.blocks
from tessera.cli.terminal import bytes_in_words
from tessera.cubes import PixelCube, PixelSeries, write_cube
from tessera.pretrain import Blocks, Data, open_blocks

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("one_thread")
CONFIG = """
out = "{folder}/tiny.safetensors"
[data]
blocks = "{folder}/made"
[encoder]
latent_dim = 4
num_layers = 1
nhead = 2
dim_feedforward = 16
repr_dim = 16
[objective]
targets_weight = 0.1
[plan]
steps = 2
batch = 16
draws = 6
[machine]
accelerator = "cpu"
"""


def cube_of(seed: int, clear: float = 0.8) -> PixelCube:
    rng = np.random.default_rng(seed)
    size, dates = (8, 8), 20
    days = np.arange(5, 5 + 12 * dates, 12, dtype=np.int16)
    stacks = [rng.integers(1, 9000, (dates // 2, *size, 2)).astype(np.int16) for _ in range(2)]
    return PixelCube(
        rng.integers(1, 9000, (dates, *size, 10)).astype(np.uint16),
        (rng.random((dates, *size)) < clear).astype(np.uint8),
        days,
        stacks[0],
        days[::2],
        stacks[1],
        days[1::2],
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three cubes, the second without any pixel that was seen often enough; slices of 20 simulated pixel-years."""
    pytest.importorskip("prosail")
    for seed, clear in enumerate((0.8, 0.1, 0.8)):
        write_cube(cube_of(seed, clear), tmp_path / f"{seed}.zarr")
    for module in (tessera.cli.training._options, tessera.cli.training.blocks):
        monkeypatch.setattr(module, "SLICE", 20)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(table: PixelSeries | Blocks) -> list[str]:
    """Each pixel-year as a digest, sorted."""
    return sorted(table.take(np.array([pixel])).digest() for pixel in range(len(table)))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_blocks_hold_what_the_configuration_would_and_train(run: Run, folder: Path) -> None:
    code, out, err = run(
        "blocks", "?.zarr", "--every", 2, "--simulate", 45, "--simulate-seed", 3, "--year-curves", "--month-means",
        "--out", folder / "made",
    )  # fmt: skip
    assert code == 0, err
    made = open_blocks(folder / "made", verify=True)
    size = sum(path.stat().st_size for path in (folder / "made").iterdir())
    assert out == (
        f"{folder / 'made'}: {len(made)} pixel-years, 1 block, {bytes_in_words(size)}\n"
        f'next: write blocks = "{folder / "made"}" under [data] of a configuration, and run tessera pretrain\n'
    )
    assert re.fullmatch(
        r"Reading cubes and simulating 45 pixel-years: done in .* s\nWriting blocks: done in .* s\n", err
    )
    data = Data(cubes=("?.zarr",), every=2, simulate=45, simulate_seed=3, year_curves=True, month_means=True)
    table = tessera.cli.training._options.table_of(data)
    assert isinstance(table, PixelSeries)
    assert len(made) == len(table) > 45
    assert rows(made) == rows(table)
    assert not list(folder.glob("*.part"))
    (folder / "run.toml").write_text(CONFIG.format(folder=folder))
    code, out, err = run("pretrain", folder / "run.toml")
    assert code == 0, err
    assert (folder / "tiny.safetensors").exists()


@pytest.mark.parametrize(("options", "targets"), [((), 0), (("--month-means",), 144), (("--simulate", 3), None)])
def test_all_parts_have_the_targets_that_are_asked(
    run: Run, folder: Path, options: tuple[object, ...], targets: int | None
) -> None:
    assert run("blocks", "?.zarr", *options, "-o", "made", "--s2", 20, "--s1", 20)[0] == 0
    blocks = open_blocks("made")
    found = blocks.take(np.arange(len(blocks))).targets
    if targets is not None:
        assert found.shape[1] == targets
        return
    assert found.shape[1] > 0
    # cubes have no truths
    assert np.isnan(found).all(axis=1).sum() == len(blocks) - 3 > 0


def test_stopped_it_goes_on_with_the_same_bytes_and_reads_no_part_twice(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("blocks", "0.zarr", "1.zarr", "--simulate", 50, "--year-curves", "--out")
    assert run(*asked, "whole")[0] == 0
    opened: list[str] = []
    simulated: list[int] = []
    read, make = tessera.cli.training.blocks._of_cube, tessera.cli.training._options.simulated_slice

    def reading(path: str, *options: int) -> PixelSeries:
        opened.append(path)
        return read(path, *options)

    def stopping(count: int, seed: int, start: int) -> PixelSeries:
        if count > 1:
            simulated.append(start)
            if simulated == [0, 20]:
                raise KeyboardInterrupt
        return make(count, seed, start)

    monkeypatch.setattr(tessera.cli.training.blocks, "_of_cube", reading)
    monkeypatch.setattr(tessera.cli.training.blocks, "simulated_slice", stopping)
    code, _, err = run(*asked, "made")
    assert code == 130
    assert err.endswith("tessera: interrupted; finished work is kept, run the same command again to continue\n")
    refused = [
        (
            ("0.zarr", "2.zarr"),
            r"part 1 is .*2\.zarr \(\w+\), every 1, minimum 10; in the .*made\.part it was .*1\.zarr",
        ),
        (("0.zarr", "1.zarr", "--every", 2), r"part 0 is .*every 2, .* it was .*every 1, .*remove that folder"),
        (("0.zarr",), r"part 1 is simulated 0 to 20 of seed 0; .*1\.zarr"),
    ]
    for options, expected in refused:
        code, _, err = run("blocks", *options, "--simulate", 50, "--year-curves", "--out", "made")
        assert code == 2
        assert re.search(rf"tessera: {expected}.*\n$", err), err
    # another cube under the name of one that was read
    shutil.move("0.zarr", "kept.zarr")
    write_cube(replace(cube_of(0), s2_doy=cube_of(0).s2_doy + np.int16(1)), "0.zarr")
    code, _, err = run(*asked, "made")
    assert code == 2
    assert re.search(
        r"tessera: part 0 is .*0\.zarr \((\w+)\), every 1, .* it was .*0\.zarr \((?!\1)\w+\), every", err
    ), err
    shutil.rmtree("0.zarr")
    shutil.move("kept.zarr", "0.zarr")
    code, _, err = run(*asked, "made")
    assert code == 0, err
    assert opened == ["0.zarr", "1.zarr"]
    assert simulated == [0, 20, 20, 40]
    assert content(folder / "made") == content(folder / "whole")


def test_mistakes_are_one_line(run: Run, folder: Path) -> None:
    (folder / "there").mkdir()
    (folder / "file.zarr").write_text("no cube")
    for options, expected in (
        ((), "no cubes and no --simulate given; expected at least one of them"),
        (("nowhere/*.zarr",), "no cube at nowhere/*.zarr; expected a path, or a pattern that matches some"),
        (
            ("0.zarr", "file.zarr"),
            "file.zarr is a file; expected the folder of a cube, such as tessera cube build writes",
        ),
        (("1.zarr",), "0 pixel-years for made, or none with the observations asked for; expected at least one"),
        (("0.zarr", "--out", "there"), "there exists; expected a new folder for the blocks"),
        (("[0].zarr", "--out", "0.zarr/b"), "blocks 0.zarr/b is, or lies in, the input 0.zarr; expected another path"),
        (("0.zarr", "--out", "."), ". exists; expected a new folder for the blocks"),
    ):
        code, out, err = run("blocks", *(() if "--out" in options else ("--out", "made")), *options)
        assert (code, out) == (2, "")
        assert err.splitlines()[-1] == f"tessera: {expected}"
    assert not (folder / "made.part").exists()
