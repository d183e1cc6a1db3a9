"""One-file parts: a folder listing is the registry, and a part's module is imported only when it is named.

A part is a module in a package (``hwsim/workload/arrivals/poisson.py``) with a module attribute ``PART``; its name is
its file name.  Parts from outside come from installed packages (entry points of the group ``hwsim.parts``, named
``workload.arrivals.<name>``) or from a folder given with ``--parts DIR`` that mirrors the layout
(``DIR/workload/arrivals/<name>.py``), never from a scenario, which is data.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from hwsim.errors import ScenarioError, nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class Parts:
    """The parts that answer one question, such as ``Parts("hwsim.workload.arrivals")``."""

    _extra: ClassVar[list[Path]] = []

    def __init__(self, package: str) -> None:
        self.package = package
        self.question = package.removeprefix("hwsim.")

    @classmethod
    def add_folder(cls, folder: str | Path) -> None:
        """Also find parts under ``folder``, for the rest of the process (``--parts DIR``)."""
        path = Path(folder).expanduser().resolve()
        if not path.is_dir():
            raise ScenarioError.of("no such folder of parts", where="--parts", got=str(folder))
        if path not in cls._extra:
            cls._extra.append(path)

    @classmethod
    def remove_folder(cls, folder: str | Path) -> None:
        """Forget a folder added with :meth:`add_folder`."""
        path = Path(folder).expanduser().resolve()
        if path in cls._extra:
            cls._extra.remove(path)

    def folders(self) -> list[Path]:
        """The folders that are looked through, the package's own first (data files of parts lie there too)."""
        return [*self._own_folders(), *self._extra_folders()]

    def names(self) -> list[str]:
        """All names in order, from file names alone: no part is imported."""
        return sorted({*self._own_names(), *self._extra_files(), *self._entries()})

    def module(self, name: str) -> ModuleType:
        """The module of a part, imported now; an unknown name raises ``ScenarioError`` with the nearest known one."""
        files = self._extra_files()
        if name in self._own_names():
            if name in files:
                raise ScenarioError.of(f"two parts are called {name}", where=str(files[name]), expected="another name")
            return importlib.import_module(f"{self.package}.{name}")
        if name in files:
            return self._load(name, files[name])
        if name in self._entries():
            return importlib.import_module(self._entries()[name].module)
        known = self.names()
        raise ScenarioError.of(
            f"unknown {self.question} {name!r}",
            expected="one of " + ", ".join(known) if known else "a part, but none is built yet",
            nearest=nearest(name, known),
        )

    def get(self, name: str) -> Any:
        """The part of that name: its module's ``PART``."""
        module = self.module(name)
        if not hasattr(module, "PART"):
            raise ScenarioError.of(f"{self.question} {name!r} has no PART", where=str(module.__file__))
        return module.PART

    def mentions(self, name: str, word: str) -> bool:
        """Whether the part's file holds a word (true where there is no file to look at): cheaper than importing it."""
        paths = [folder / file for folder in self.folders() for file in (f"{name}.py", f"{name}/__init__.py")]
        texts = [path.read_bytes() for path in paths if path.is_file()]
        return not texts or any(word.encode() in text for text in texts)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self.names()

    def _own_folders(self) -> list[Path]:
        own = Path(__file__).parent.joinpath(*self.question.split("."))
        if self.package.startswith("hwsim.") and own.is_dir():
            return [own]  # looking for it as Python does would import the packages above it
        try:
            spec = importlib.util.find_spec(self.package)
        except ModuleNotFoundError:
            return []
        return [Path(path) for path in spec.submodule_search_locations or []] if spec else []

    def _extra_folders(self) -> list[Path]:
        return [folder.joinpath(*self.question.split(".")) for folder in self._extra]

    def _own_names(self) -> list[str]:
        found = pkgutil.iter_modules([str(path) for path in self._own_folders()])
        return [module.name for module in found if not module.name.startswith("_")]

    def _extra_files(self) -> dict[str, Path]:
        paths = (path for folder in self._extra_folders() for path in sorted(folder.glob("*.py")))
        return {path.stem: path for path in paths if not path.stem.startswith("_")}

    def _entries(self) -> dict[str, EntryPoint]:
        start = self.question + "."
        return {entry.name.removeprefix(start): entry for entry in _entry_points() if entry.name.startswith(start)}

    def _load(self, name: str, path: Path) -> ModuleType:
        title = "hwsim_parts." + ".".join((path.parent.as_posix().replace(".", "_"), name)).replace("/", "_")
        if title in sys.modules:
            return sys.modules[title]
        spec = importlib.util.spec_from_file_location(title, path)
        if spec is None or spec.loader is None:
            raise ScenarioError.of(f"cannot read the part {name!r}", where=str(path))
        module = importlib.util.module_from_spec(spec)
        sys.modules[title] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[title]
            raise ScenarioError.of(f"the part {name!r} does not load: {error}", where=str(path)) from error
        return module


@cache
def _entry_points() -> tuple[EntryPoint, ...]:
    """Those of the group ``hwsim.parts``; packages are asked only if a file of theirs names it, which is quicker."""
    files = (file for folder in sys.path for file in Path(folder or ".").glob("*-info/entry_points.txt"))
    if not any(b"hwsim.parts" in file.read_bytes() for file in files):
        return ()
    from importlib.metadata import entry_points

    return tuple(entry_points(group="hwsim.parts"))
