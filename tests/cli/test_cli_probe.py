"""The labelled probe of tessera pretrain and tessera distill, from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluation"))
from evaluate_made import rows_of, write_table

import tessera
from tessera.base import InputError
from tessera.cli.training._probe import probe_of, tell_best
from tessera.models import open_checkpoint
from tessera.pretrain import ProbeSource, parse_config

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("one_thread")
TEXT = """
out = "{folder}/tiny.safetensors"
[data]
simulate = 60
[encoder]
latent_dim = 4
num_layers = 1
nhead = 2
dim_feedforward = 16
repr_dim = 16
[plan]
steps = 6
batch = 16
draws = 6
log_every = 6
probe_every = 2
[machine]
accelerator = "cpu"
"""
PROBE = '[probe]\nlabels = "{folder}/plots.parquet"\namount = "4/class"\ndraws = 3\nseed = 2\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pytest.importorskip("prosail")
    # three kinds that the two kinds of pixels do not tell, so that no score is 0 or 1
    write_table(tmp_path / "plots.parquet", rows_of(36, label=lambda pixel: "abc"[pixel // 2 * 7 % 5 % 3]))
    return tmp_path


def write(folder: Path, probe: str = PROBE, text: str = TEXT) -> Path:
    text = text if probe else text.replace("probe_every = 2\n", "")
    (folder / "run.toml").write_text((text + probe).format(folder=folder))
    return folder / "run.toml"


def log_of(folder: Path) -> list[dict[str, Any]]:
    log: list[dict[str, Any]] = json.loads((folder / "tiny.safetensors.json").read_text())["log"]
    return log


def test_the_log_holds_what_evaluate_says_and_the_weights_are_the_same(run: Run, folder: Path) -> None:
    file = folder / "tiny.safetensors"
    code, plain, err = run("pretrain", write(folder, ""))
    assert code == 0, err
    assert "probe" not in plain + err
    without = file.read_bytes()
    for path in folder.glob("tiny.*"):
        path.unlink()
    code, out, err = run("pretrain", write(folder))
    assert code == 0, err
    assert file.read_bytes() == without
    probed = [record for record in log_of(folder) if "probe_macro_f1" in record]
    assert [record["step"] for record in probed] == [2, 4, 6]
    result = tessera.evaluate(
        file, folder / "plots.parquet", heads="linear", labels="4/class", draws=3, seed=2, times=1
    )
    told = {f"probe_{row['metric']}": row["mean"] for row in result.table()}
    assert {key: value for key, value in probed[-1].items() if key.startswith("probe")} == told
    assert 0 < told["probe_macro_f1"] < 1
    line = f"step 6: probe macro-F1 {told['probe_macro_f1']:.3f}, balanced accuracy"
    assert [text.startswith("step") for text in err.splitlines()].count(True) == 3
    assert line in err
    best = max(record["probe_macro_f1"] for record in probed)
    assert out == plain + out.splitlines()[-1] + "\n"
    assert out.splitlines()[-1].startswith(f"probe macro-F1: best {best:.3f} at step ")
    # nothing is left to do, and it is told again
    assert run("pretrain", folder / "run.toml")[:2] == (0, out)


def test_numbers_during_a_distillation(run: Run, folder: Path) -> None:
    rows = rows_of(60, label=lambda pixel: 8 + pixel * 7 % 24 / 10)
    write_table(folder / "plots.parquet", rows)
    teacher = '[teacher]\ncheckpoint = "bundled-nano"\n[lesson]\nprefixes = [8]\n'
    code, out, err = run("distill", write(folder, teacher + '[probe]\nlabels = "{folder}/plots.parquet"\n'))
    assert code == 0, err
    probed = [record for record in log_of(folder) if "probe_rmse" in record]
    assert [record["step"] for record in probed] == [2, 4, 6]
    asked: Any = {"heads": "linear", "labels": "10%", "draws": 5, "times": 1}
    result = tessera.evaluate(folder / "tiny.safetensors", folder / "plots.parquet", **asked)
    last = {row["metric"]: row["mean"] for row in result.table()}
    assert (probed[-1]["probe_rmse"], probed[-1]["probe_r2"]) == (last["rmse"], last["r2"])
    assert f"step 6: probe RMSE {last['rmse']:.3f}, R2 {last['r2']:.3f}\n" in err
    assert f"probe RMSE: best {min(record['probe_rmse'] for record in probed):.3f} at step " in out


def test_the_threads_of_training_are_left_as_they_are(folder: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        before = torch.__config__.parallel_info()
        probe_of(ProbeSource(f"{folder}/plots.parquet", head="mlp", amount="2/class", draws=1))
        after = torch.__config__.parallel_info()
    finally:
        torch.set_num_threads(threads)
    # also those of the libraries below torch
    assert after == before


def test_only_the_first_process_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    probe = probe_of(ProbeSource("nowhere.parquet"))
    assert probe is not None
    assert probe(open_checkpoint(None)) == {}
    assert probe_of(None) is None


@pytest.mark.parametrize(
    ("name", "values", "line"),
    [
        (
            "probe_macro_f1",
            (0.4, 0.75, 0.5),
            "probe macro-F1: best 0.750 at step 20, 0.500 at step 1,000, the last\n",
        ),
        ("probe_rmse", (0.4, 0.6125, 12.34), "probe RMSE: best 0.400 at step 10, 12.3 at step 1,000, the last\n"),
        ("probe_rmse", (30, 20, 12.34), "probe RMSE: best 12.3 at step 1,000, the last\n"),
        ("loss", (3, 2, 1), ""),
    ],
)
def test_the_best_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, values: tuple[float, ...], line: str
) -> None:
    log = [{"step": step, name: value} for step, value in zip((10, 20, 1000), values, strict=True)]
    (tmp_path / "a.safetensors.json").write_text(json.dumps({"run": {}, "log": [{"step": 1, "loss": 5.0}, *log]}))
    tell_best(str(tmp_path / "a.safetensors"))
    assert capsys.readouterr().out == line


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        (PROBE.replace("plots", "none"), "[probe] no file FOLDER/none.parquet; expected a Parquet table"),
        (
            PROBE + 'head = "svm"\n',
            "[probe] head 'svm'; expected some of linear, prototype, knn, forest, boosting, mlp",
        ),
        (PROBE + 'head = "linear,knn"\n', "[probe] head 'linear,knn'; expected some of"),
        (PROBE.replace("4/class", "five"), "[probe] 'five' labels; expected a number (31)"),
        (PROBE.replace('"4/class"', "0"), "[probe] '0' labels; expected a number (31)"),
        (PROBE.replace("4/class", "1,2"), "[probe] amount '1,2'; expected one amount of labels"),
        (PROBE.replace('"4/class"', "2"), "[probe] 2 labels, 2 of 24, for 3 classes; expected at least one each"),
        (PROBE + 'kind = "regression"\n', "[probe] FOLDER/plots.parquet, column label holds object values"),
        (PROBE.replace("draws = 3", "draws = 0"), "a probe with draws 0, seed 2; expected at least 1"),
        (PROBE + "every = 3\n", "unknown key 'every' in [probe]"),
        ("[probe]\n", "no labels in [probe]; expected it"),
        ("probe = 3\n", "probe is 3; expected a section [probe]"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_made(run: Run, folder: Path, probe: str, said: str) -> None:
    # what is no section stands before all sections
    config = write(folder, probe) if "[" in probe else write(folder, TEXT, probe)
    code, _, err = run("pretrain", config)
    assert code == 2
    assert err.splitlines()[-1].startswith("tessera: ")
    assert said.replace("FOLDER", str(folder)) in err.splitlines()[-1]
    assert "Simulating" not in err
    assert list(folder.glob("tiny.*")) == []


def test_how_often_has_to_be_said(folder: Path) -> None:
    with pytest.raises(
        InputError, match=r"run.toml: no probe_every in \[plan\]; expected it beside a section \[probe\]"
    ):
        parse_config(write(folder, PROBE, TEXT.replace("probe_every = 2\n", "")))
    with pytest.raises(InputError, match=r"probe_every in \[plan\] and no section \[probe\]; expected both"):
        parse_config(write(folder, "# no probe", TEXT))
    config = parse_config(write(folder))
    assert config.probe == ProbeSource(str(folder / "plots.parquet"), amount="4/class", draws=3, seed=2)
