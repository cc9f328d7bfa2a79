"""Configurations: those that come along are read, and every mistake is one line that says the way out."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.pretrain import (
    Augment,
    Data,
    DistilConfig,
    Lesson,
    Machine,
    Network,
    Objective,
    PretrainConfig,
    ProbeSource,
    RunPlan,
    TeacherSource,
    parse_config,
    with_changes,
)

CONFIGS = Path(__file__).parents[2] / "configs"
PLAIN = {"out", "seed"}
"""Keys that say themselves."""
BASE = """
out = "a.safetensors"
[data]
simulate = 10
[plan]
steps = 5
batch = 4
"""


def parse(folder: Path, text: str) -> Any:
    (folder / "run.toml").write_text(text, encoding="utf-8")
    return parse_config(folder / "run.toml")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_those_that_come_along(path: Path) -> None:
    config = parse_config(path)
    assert isinstance(config, DistilConfig if "distill" in path.name else PretrainConfig)
    assert config.encoder.shape.repr_dim >= 128
    assert path.read_text().startswith("# ")


def test_every_key_of_those_that_come_along_is_explained_in_one_of_them() -> None:
    explained, used = set(), set()
    for path in CONFIGS.glob("*.toml"):
        for line in path.read_text().splitlines():
            key = re.match(r"#? ?(\w+) = ", line)
            if key:
                used.add(key[1])
                explained |= {key[1]} if re.search(r"\S +# \S", line) else set()
    assert used - explained <= PLAIN


@pytest.mark.parametrize(
    "section", [Augment, Data, Lesson, Machine, Network, Objective, RunPlan, ProbeSource, TeacherSource]
)
def test_every_key_of_a_section_is_explained_by_its_settings(section: Any) -> None:
    lines = re.findall(r"^ {4}(\w+(?:, \w+)*) : \S", section.__doc__, re.MULTILINE)
    assert {name for line in lines for name in line.split(", ")} == {field.name for field in fields(section)}


def test_there_is_one_for_every_place() -> None:
    names = {path.stem for path in CONFIGS.glob("*.toml")}
    assert names >= {"laptop", "pretrain-gpu", "pretrain-8gpu", "pretrain-cluster"}
    assert names >= {"distill-laptop", "distill-gpu", "distill-8gpu", "distill-cluster"}


def test_what_is_left_out_is_the_published_rule(tmp_path: Path) -> None:
    config = parse(tmp_path, BASE)
    assert (config.objective, config.augment) == (Objective(), Augment())
    assert (config.plan.draws, config.plan.peak, config.plan.dropout) == (40, 2e-3, 0.1)


def test_values_of_every_type(tmp_path: Path) -> None:
    text = BASE + "draws = [8, 20]\nskip = 2\ntensorboard = true\npeak = 1\n[objective]\nprefixes = [16, 32]\nmix = 0\n"
    config = parse(tmp_path, text)
    assert config.plan.draws == (8, 20)
    assert config.plan.tensorboard is True
    assert config.plan.peak == 1.0
    assert isinstance(config.plan.peak, float)
    assert config.objective.prefixes == (16, 32)
    assert config.objective.mix == 0.0


def test_a_teacher_makes_it_a_distillation(tmp_path: Path) -> None:
    config = parse(tmp_path, BASE + '[teacher]\ncheckpoint = "v2-medium"\n[lesson]\ncosine = 0.5\n')
    assert isinstance(config, DistilConfig)
    assert config.lesson.cosine == 0.5
    assert config.lesson.prefixes == (16, 32, 64, 128)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BASE + "stesp = 3", r"unknown key 'stesp' in \[plan\]; did you mean 'steps'\?"),
        (BASE + "[objectiv]\nmix = 1", r"unknown key 'objectiv'; did you mean 'objective'\?"),
        (BASE + "[augment]\nclodus = 0.1", r"unknown key 'clodus' in \[augment\]; did you mean 'clouds'\?"),
        (BASE.replace("steps = 5", 'steps = "5"'), r"plan.steps is '5'; expected a whole number"),
        (BASE.replace("steps = 5", "steps = true"), r"plan.steps is True; expected a whole number"),
        (
            BASE + "draws = [1, 2, 3]",
            r"plan.draws is \[1, 2, 3\]; expected a whole number or a list of 2 whole",
        ),
        (BASE + "draws = [9, 8]", r"views of \(9, 8\) draws; expected at least 1, or \(low, high\)"),
        (BASE + "draws = 0", r"views of 0 draws; expected at least 1"),
        (BASE + "draws = 1.5", r"plan.draws is 1.5; expected a whole number or"),
        (BASE + "[machine]\nprecision = 16", r"machine.precision is 16; expected text"),
        (BASE + "[objective]\nprefixes = ['a']", r"prefixes is \['a'\]; expected a list of whole numbers"),
        (BASE.replace("steps = 5\n", ""), r"no steps in \[plan\]; expected it"),
        (BASE.replace("[plan]\nsteps = 5\nbatch = 4\n", ""), r"no plan; expected a section \[plan\]"),
        (BASE.replace("[plan]\nsteps = 5\nbatch = 4\n", "") + "[[plan]]\nsteps=5", r"plan is .*; expected a section"),
        (BASE.replace("simulate = 10", ""), r"data without blocks, cubes and simulate"),
        (
            BASE.replace("simulate = 10", "simulate = 1\nblocks = 'b'"),
            r"data with blocks and with simulate; expected blocks alone",
        ),
        (
            BASE.replace("simulate = 10", "blocks = 'b'\nevery = 2"),
            r"data with blocks and with every; expected blocks al",
        ),
        (
            BASE.replace("simulate = 10", "simulate = 1\nminimum = 2"),
            r"data with minimum and without cubes; expected both",
        ),
        (BASE.replace("simulate = 10", "cubes = ['a']\nsimulate_seed = 2"), r"with simulate_seed and without simulate"),
        (BASE + "peak = inf", r"plan.peak is inf; expected a number"),
        (BASE + "peak = 1" + 400 * "0", r"plan.peak is 10+\.\.\.; expected a number"),
        (BASE + "peak = 1" + 5000 * "0", r"is no TOML: Exceeds the limit"),
        (BASE + "[machine]\ntimeout = nan", r"machine.timeout is nan; expected a number"),
        (BASE + "[objective]\ntargets_hidden = 8", r"targets_hidden 8 without targets_weight; expected both"),
        (BASE.replace("a.safetensors", "a.pt"), r"out 'a.pt'; expected a file that ends with .safetensors"),
        (BASE + "[encoder]\nfamily = 'v3'", r"family 'v3'; expected v2-student or v2-teacher"),
        (BASE + "[objective]\nloss = 'x'", r"loss 'x'; expected barlow or vicreg"),
        (BASE + "[teacher]\n", r"no checkpoint in \[teacher\]; expected it"),
        ("out = ", r"is no TOML: "),
    ],
)
def test_mistakes_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        parse(tmp_path, text)
    assert "\n" not in str(caught.value)
    assert "run.toml" in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"configuration not found: .*none.toml"):
        parse_config(tmp_path / "none.toml")
    with pytest.raises(InputError, match=r"is a folder; expected a regular file"):
        parse_config(tmp_path)
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe#")
    with pytest.raises(InputError, match=r"is not UTF-16 at byte 2 \(0x23\); save it as UTF-8"):
        parse_config(tmp_path / "b.toml")
    (tmp_path / "c.toml").write_bytes(b"a = ]")
    with pytest.raises(InputError, match=r"c\.toml is no TOML"):
        parse_config(tmp_path / "c.toml")
    (tmp_path / "l.toml").write_bytes(b"#" * 2_000_000)
    with pytest.raises(InputError, match=r"has 2,000,000 bytes; at most"):
        parse_config(tmp_path / "l.toml")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    with pytest.raises(InputError):
        parse(folder, text)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.toml").write_bytes(BASE.replace("\n", "\r\n").encode(encoding))
    (tmp_path / "b.toml").write_text(BASE)
    assert parse_config(tmp_path / "a.toml") == parse_config(tmp_path / "b.toml")


def test_changes_of_the_command_line(tmp_path: Path) -> None:
    config = parse(tmp_path, BASE)
    changed = with_changes(config, out="b.safetensors", steps=9)
    assert (changed.out, changed.plan.steps, changed.plan.batch) == ("b.safetensors", 9, 4)
    assert with_changes(config) == config
    with pytest.raises(InputError, match=r"0 steps of 4"):
        with_changes(config, steps=0)
