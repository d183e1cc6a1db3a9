"""Parts are found by file name, imported when named, and may come from a folder outside."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hwsim.errors import ScenarioError
from hwsim.part import Parts


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tmp_path / "toybox"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "power_of_two.py").write_text("PART = 2\n")
    (folder / "broken.py").write_text("raise RuntimeError('imported')\n")
    (folder / "_hidden.py").write_text("PART = 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "toybox"
    for name in [name for name in sys.modules if name.split(".")[0] == "toybox"]:
        del sys.modules[name]


def test_names_come_from_files_without_an_import(package: str) -> None:
    assert Parts(package).names() == ["broken", "power_of_two"]
    assert "toybox.broken" not in sys.modules
    assert Parts(package).get("power_of_two") == 2
    assert "broken" in Parts(package)


def test_an_unknown_name_names_the_nearest(package: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Parts(package).get("power_of_too")
    assert caught.value.problems[0].nearest == "power_of_two"
    assert "broken, power_of_two" in str(caught.value)


def test_a_missing_package_has_no_names() -> None:
    assert Parts("hwsim.nothing.here").names() == []


@pytest.fixture
def outside(tmp_path: Path, package: str) -> Iterator[Path]:
    folder = tmp_path / "mine"
    (folder / package).mkdir(parents=True)
    Parts.add_folder(folder)
    yield folder / package
    Parts.remove_folder(folder)


def test_a_folder_of_parts_is_one_new_file(package: str, outside: Path) -> None:
    (outside / "three.py").write_text("PART = 3\n")
    assert "three" in Parts(package).names()
    assert Parts(package).get("three") == 3


def test_two_parts_of_one_name_are_refused(package: str, outside: Path) -> None:
    (outside / "power_of_two.py").write_text("PART = 3\n")
    with pytest.raises(ScenarioError, match="two parts"):
        Parts(package).get("power_of_two")


def test_a_part_that_does_not_load_is_an_error_with_its_place(package: str, outside: Path) -> None:
    (outside / "bad.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(ScenarioError, match="does not load"):
        Parts(package).get("bad")


def test_a_missing_folder_is_refused() -> None:
    with pytest.raises(ScenarioError, match="no such folder"):
        Parts.add_folder("no/such/folder")
