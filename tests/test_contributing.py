"""What CONTRIBUTING.md and .pre-commit-config.yaml promise to a contributor."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / ".pre-commit-config.yaml"
BIN = Path(sys.executable).parent


def _hooks() -> list[dict[str, Any]]:
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    return [hook for repo in config["repos"] for hook in repo["hooks"]]


def test_the_configuration_is_one_that_pre_commit_reads() -> None:
    subprocess.run([BIN / "pre-commit", "validate-config", CONFIG], check=True, capture_output=True)


def test_every_hook_is_a_command_of_the_environment() -> None:
    commands = [hook["entry"].split()[0] for hook in _hooks()]
    assert len(commands) == 6
    assert all(command.startswith(".venv/bin/") for command in commands)
    assert [command for command in commands if not (BIN / Path(command).name).is_file()] == []


def test_hooks_stop_a_commit_and_mend_what_they_can(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / ".venv").symlink_to(BIN.parent)
    shutil.copy(CONFIG, repository)
    (repository / "code.py").write_text("import os\nx = {'a':1}\n")
    (repository / "page.md").write_text("A page. \n\n\n")
    (repository / "large.bin").write_bytes(bytes(600 * 1024))
    variables = {**os.environ, "SKIP": "mypy", "PRE_COMMIT_HOME": str(tmp_path / "cache")}
    variables = {name: value for name, value in variables.items() if not name.startswith("GIT_")}

    def call(*command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=repository, env=variables, capture_output=True, text=True)

    assert call("git", "init", "-q").returncode == 0
    assert call("git", "add", "code.py", "page.md", "large.bin", CONFIG.name).returncode == 0
    first = call(BIN / "pre-commit", "run")
    assert first.returncode == 1
    assert "large.bin (600 KB) exceeds 500 KB" in first.stdout
    assert (repository / "code.py").read_text() == 'x = {"a": 1}\n'
    assert (repository / "page.md").read_text() == "A page.\n"
    (repository / "large.bin").unlink()
    assert call("git", "rm", "-q", "--cached", "large.bin").returncode == 0
    assert call("git", "add", "code.py", "page.md").returncode == 0
    second = call(BIN / "pre-commit", "run")
    assert second.returncode == 0, second.stdout


def _named(page: str) -> list[str]:
    """The paths that a page names: links, and code with a slash or the suffix of a file of ours."""
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    links = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    code = re.findall(r"`([\w./-]+)`", text)
    return links + [word for word in code if "/" in word or word.endswith((".py", ".md", ".toml", ".txt"))]


BASES = (ROOT, ROOT / "src", ROOT / "src" / "tessera")


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_path_that_a_page_names_exists(page: str) -> None:
    """From the root or from the source; a name without a folder may be anywhere in the source."""
    named = _named(page)
    assert len(named) > 30
    parts = {path.name for path in (ROOT / "src" / "tessera").rglob("*")}
    lost = {path for path in named if not any((base / path).exists() for base in BASES)}
    assert sorted(path for path in lost if "/" in path.rstrip("/") or path.rstrip("/") not in parts) == []


def test_every_name_that_a_page_places_in_a_module_is_there() -> None:
    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in ("ARCHITECTURE.md", "CONTRIBUTING.md"))
    placed = re.findall(r"`(\w+)` (?:in|of) `([\w/.]+\.py)`", text) + re.findall(r"`(\w+)` \(`([\w/.]+\.py)`\)", text)
    assert len(placed) > 10
    for name, path in placed:
        file = next(file for base in BASES if (file := base / path).is_file())
        assert re.search(rf"\b{name}\b", file.read_text(encoding="utf-8")), (name, path)


def test_every_door_of_base_that_contributing_names_is_there() -> None:
    import tessera.base

    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`(\w+)`", text.split("has one function for each:")[1].split(".\n")[0].split(". Do not")[0])
    assert len(named) > 4
    assert [name for name in named if not hasattr(tessera.base, name)] == []
