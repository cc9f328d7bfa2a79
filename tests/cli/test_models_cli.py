"""tessera models: list, info and convert as a user meets them; pull is tested beside the hub that it asks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tessera.models import FAMILIES, PUBLISHED, Checkpoint, Shape, read_checkpoint, write_checkpoint

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def v1_1(tmp_path: Path) -> Path:
    """A tiny v1.1 file as it is published: it does not say its statistics."""
    torch.manual_seed(0)
    shapes = FAMILIES["v1.1"].shapes_of(Shape(32, 1, 4, 8, 128))
    torch.save({"model_state": {key: torch.randn(sizes) / 8 for key, sizes in shapes.items()}}, tmp_path / "v.pt")
    return tmp_path / "v.pt"


def test_list_names_every_published_encoder(run: Run) -> None:
    code, out, _ = run("models", "list")
    assert code == 0
    assert all(any(line.startswith(f"{name} ") for line in out.splitlines()) for name in PUBLISHED)
    rows = {row["name"]: row for row in json.loads(run("models", "list", "--json")[1])}
    assert rows.keys() == {"bundled-nano", *PUBLISHED}
    assert rows["bundled-nano"]["path"].endswith("bundled-nano.safetensors")
    assert rows["v2-teacher"] == {
        "name": "v2-teacher",
        "family": "v2-teacher",
        "dims": 1024,
        "parameters": 2_064_266_242,
        "bytes": 8_257_134_395,
        "where": "Hugging Face, geotessera/TESSERA-V-2.0-2B-Teacher, ckpt/tessera_v2_2B_teacher.pt",
        "path": None,
    }


def test_info_says_what_the_weights_demand(run: Run, v1_1: Path) -> None:
    code, out, _ = run("models", "info", v1_1, "--source", "aws")
    assert code == 0
    assert "statistics  of scenes from aws" in out
    assert "sampling    rule v1.1, 8 to 256 observations a sensor" in out
    about = json.loads(run("models", "info", v1_1, "--source", "mpc", "--json")[1])
    assert (about["source"], about["dims"], about["published"]) == ("mpc", 128, None)
    assert about["sha256"] == read_checkpoint(v1_1, "mpc").sha256
    code, out, _ = run("models", "info", "bundled-nano")
    assert "statistics  one set for all providers" in out


def test_convert_writes_by_the_ending(run: Run, v1_1: Path, tmp_path: Path) -> None:
    identity = read_checkpoint(v1_1, "aws").sha256
    own, back = tmp_path / "a.safetensors", tmp_path / "b.pt"
    code, out, _ = run("models", "convert", v1_1, own, "--source", "aws")
    assert (code, out) == (0, f"{own}: v, v1.1, identity {identity}\n")
    assert run("models", "convert", own, back)[0] == 0
    assert read_checkpoint(own).sha256 == read_checkpoint(back, "aws").sha256 == identity
    # an input is never written over
    code, _, error = run("models", "convert", own, own, "--force")
    assert code == 2
    assert "is, or lies in, the input" in error
    assert read_checkpoint(own).sha256 == identity
    # run again after a kill behind the last rename
    for source, target in ((v1_1, own), (own, back)):
        before = target.read_bytes()
        code, out, _ = run("models", "convert", source, target, "--source", "aws")
        assert (code, out) == (
            0,
            f"{target}: already there, {read_checkpoint(source, 'aws').name}, identity {identity}\n",
        )
        assert target.read_bytes() == before
    code, _, error = run("models", "convert", "bundled-nano", own)
    assert code == 2
    assert "exists and is no earlier encoder of these weights; expected a new path, or --overwrite" in error
    assert run("models", "convert", "bundled-nano", own, "--overwrite")[0] == 0
    assert read_checkpoint(own).sha256 != identity


def test_convert_calls_the_exports(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def export(checkpoint: Checkpoint, path: Path) -> None:
        path.write_text(checkpoint.name)

    monkeypatch.setattr("tessera.models.export_onnx", export)
    monkeypatch.setattr("tessera.models.single_file", lambda checkpoint: f"# {checkpoint.name}\n")
    for ending, text in (("onnx", "bundled-nano"), ("py", "# bundled-nano\n")):
        assert run("models", "convert", "bundled-nano", tmp_path / f"a.{ending}")[0] == 0
        assert (tmp_path / f"a.{ending}").read_text() == text


def test_mistakes_are_one_line_and_exit_2(run: Run, v1_1: Path, tmp_path: Path) -> None:
    (tmp_path / "there.pt").write_text("kept")
    (tmp_path / "folder.pt").mkdir()
    own = tmp_path / "own.safetensors"
    write_checkpoint(read_checkpoint(v1_1, "aws"), own)
    mistakes: list[tuple[list[object], str]] = [
        (["info", v1_1], "no source for v, v1.1; expected source=mpc or source=aws"),
        (["info", own, "--source", "mpc"], "its statistics are those of aws"),
        (["info", "v2-medium"], "tessera models pull v2-medium"),
        (["info", "v1.1"], "source=mpc"),
        (["info", tmp_path / "none.pt"], "no model"),
        (["pull", "v9"], "no published model 'v9'"),
        (["pull", "v1.0-early"], "Google Drive"),
        (["pull", "v2-nano", "--source", "mpc"], "give none"),
        (["convert", "bundled-nano", tmp_path / "a.bin"], "a.bin; expected a file that ends in one of .safetensors"),
        (
            ["convert", "bundled-nano", tmp_path / "there.pt"],
            "is no earlier encoder of these weights; expected a new path, or --overwrite",
        ),
        (["convert", "bundled-nano", tmp_path / "folder.pt", "--force"], "is a folder"),
    ]
    for args, reason in mistakes:
        code, out, err = run("models", *args)
        lines = [line for line in err.splitlines() if ": done in" not in line]
        assert (code, len(lines), out) == (2, 1, ""), (args, err)
        assert reason in err, (args, err)
    assert (tmp_path / "there.pt").read_text() == "kept"


def test_the_commands_cost_no_import_of_torch() -> None:
    code = "import sys; import tessera.cli.models; print('torch' in sys.modules or 'huggingface_hub' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
