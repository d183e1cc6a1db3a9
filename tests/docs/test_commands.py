"""The commands that README and docs show are run as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from hwsim.cli import main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S):
            for line in block.splitlines():
                command = line.split("   #")[0].split("  #")[0].strip()
                if command.startswith("hwsim "):
                    found.append((page.name, command))
    return found


def test_there_are_commands() -> None:
    assert len(commands()) >= 8


@pytest.mark.parametrize(("page", "command"), commands(), ids=lambda value: str(value)[:60])
def test_commands_work(
    page: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if any(name in command for name in ("azure-", "mooncake-")):
        request.getfixturevalue("data_dir")
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    monkeypatch.chdir(tmp_path)
    if command.startswith("hwsim export"):
        assert main(["run", "scenarios/quickstart.yaml", "-s", "workload.requests=200", "--record", "full"]) == 0
    arguments = shlex.split(command)[1:]
    if arguments[0] == "run":
        arguments += ["--report", "off"]
    assert main(arguments) == 0


def test_the_python_of_the_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "tutorial", "exec"), {})
    assert (tmp_path / "my-run" / "report.html").is_file()


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
