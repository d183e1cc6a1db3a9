"""The reference pages say what the code says: each is written from it, and no other lies beside them."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from hwsim.cli.reference import pages

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    return pages()


def test_pages_are_those_of_the_code(written: dict[str, str]) -> None:
    assert {path.name for path in FOLDER.iterdir()} == written.keys(), "run: make reference"
    for name, text in written.items():
        old = (FOLDER / name).read_text(encoding="utf-8")
        changes = list(difflib.unified_diff(old.splitlines(), text.splitlines(), "committed", "written", n=0))
        assert old == text, f"{name} is stale; run: make reference\n" + "\n".join(changes[:20])


def test_pages_name_every_command_and_metric(written: dict[str, str]) -> None:
    for word in ("## hwsim run", "`-o, --out`", "## hwsim validate"):
        assert word in written["commands.md"]
    assert "| `ttft.p99` | ms |" in written["metrics.md"]
    assert "### kv_aware" in written["parts.md"] or "### prefix_aware" in written["parts.md"]
    assert "`H100-SXM`" in written["catalogue.md"]
