"""docs/versioning.md: its table of formats and its list of public names, against the source."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import tessera

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "versioning.md").read_text(encoding="utf-8")
NAME = re.compile(r"tessera-[a-z-]+?(-\d+)?")


def _formats(path: Path) -> dict[str, int]:
    """Format -> version of one module: constants `FORMAT` and `VERSION`, side by side or in one line."""
    found: dict[str, object] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            targets = target.elts if isinstance(target, ast.Tuple) else [target]
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            for name, value in zip(targets, values, strict=False):
                if isinstance(name, ast.Name) and isinstance(value, ast.Constant):
                    found[name.id.strip("_")] = value.value
    own = found.get("FORMAT")
    if not isinstance(own, str) or not NAME.fullmatch(own):
        return {}
    last = own.rsplit("-", 1)[1]
    return {own: int(last) if last.isdecimal() else int(str(found["VERSION"]))}


def test_the_table_of_formats_is_that_of_the_source() -> None:
    written: dict[str, int] = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for name, version in _formats(path).items():
            assert name not in written, f"two modules write {name}"
            written[name] = version
    told = {
        name: int(version) for name, version in re.findall(r"^\| `(tessera-[a-z\d-]+)` \| (\d+)\b", PAGE, re.MULTILINE)
    }
    assert told == written


def test_no_format_is_named_elsewhere_in_the_source() -> None:
    """A format that a module spells itself would escape the table."""
    known = set(re.findall(r"^\| `(tessera-[a-z\d-]+)`", PAGE, re.MULTILINE))
    quoted = re.compile(r"""["']format["']: *f?["'](tessera-[a-z\d-]+)["']""")
    spelt = {name for path in (ROOT / "src").rglob("*.py") for name in quoted.findall(path.read_text(encoding="utf-8"))}
    assert spelt <= known


def test_every_public_name_has_an_api_page() -> None:
    pages = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "api").glob("*.md")))
    shown = re.findall(r"^::: tessera\.(\w+)$", pages, re.MULTILINE)
    assert sorted(shown) == sorted(set(tessera.__all__) - {"__version__"})


def test_the_environment_variables_are_those_that_the_source_reads() -> None:
    listed = set(re.findall(r"`(TESSERA_[A-Z_]+)`", PAGE))
    source = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "src").rglob("*.py")))
    read = set(re.findall(r"""environ(?:\.get\(|\[)["'](TESSERA_[A-Z_]+)["']""", source))
    assert read <= listed
    assert all(name in source for name in listed)
