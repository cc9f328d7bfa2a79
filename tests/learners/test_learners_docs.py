"""docs/heads.md lists the settings that learners have."""

from __future__ import annotations

import re
from pathlib import Path

from tessera.learners import LEARNERS


def test_every_setting_is_in_the_table() -> None:
    text = (Path(__file__).parents[2] / "docs" / "heads.md").read_text(encoding="utf-8")
    # the name of a head, then that of a setting
    table = [line for line in text.splitlines() if re.match(r"\| `\w+` \| `\w+` \| .* \| .* \|", line)]
    want = [
        f"| `{head}` | `{name}` | {one.default} | {one.expected} | {', '.join(map(str, one.tried)) or '-'} |"
        for head, learner in LEARNERS.items()
        for name, one in learner.settings.items()
    ]
    assert table == want
