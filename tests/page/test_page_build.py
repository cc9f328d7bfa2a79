"""The committed page was built from the committed source."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WEB, PAGE = ROOT / "web", ROOT / "src" / "tessera" / "serve" / "page"
INPUTS = ("index.html", "package.json", "package-lock.json", "vite.config.ts", "tsconfig.json", "svelte.config.js")
FOLDERS = ("src", "public", "kernels", "tools")


def test_the_built_page_matches_its_source() -> None:
    """`npm run build` writes the digest of its inputs (web/tools/digest.mjs); this is the same sum without Node."""
    files = [WEB / name for name in INPUTS]
    files += [path for folder in FOLDERS for path in (WEB / folder).rglob("*") if path.is_file()]
    lines = sorted((path.relative_to(WEB).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files)
    digest = hashlib.sha256("".join(f"{sha}  {name}\n" for name, sha in lines).encode()).hexdigest()
    told = json.loads((PAGE / "page.json").read_text())["source"]
    assert told == digest, "the page's source changed; run `npm ci && npm run build` in web/ and commit the result"


def test_the_built_page_is_whole() -> None:
    """All that index.html names is there, and nothing is loaded from elsewhere."""
    listed = json.loads((PAGE / "page.json").read_text())["files"]
    found = {path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*") if path.is_file()}
    assert found == {*listed, "page.json"}
    page = (PAGE / "index.html").read_text()
    names = [part.split('"')[0] for part in page.split('="./')[1:]]
    assert names
    assert [name for name in names if not (PAGE / name).is_file()] == []
    assert re.search(r"""(src|href)=["']?(https?:)?//""", page) is None
