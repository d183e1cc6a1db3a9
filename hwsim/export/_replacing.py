"""Outputs that appear at once: written beside their place under another name, then renamed into it."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hwsim.errors import ScenarioError


@contextmanager
def replacing(target: Path, *, folder: bool = False) -> Iterator[Path]:
    """A path to write to (an empty folder with ``folder``), which takes the place of ``target`` if all goes well.

    On an error nothing of it is left and ``target`` is as it was.  A place that cannot be written raises
    ``ScenarioError``.
    """
    mark = f"{os.getpid()}-{secrets.token_hex(4)}"
    fresh, old = (target.parent / f".{target.name[:80]}.{word}-{mark}" for word in ("new", "old"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if folder:
            fresh.mkdir()
        yield fresh
        if target.is_dir() and not target.is_symlink():
            os.replace(target, old)  # a folder that is not empty cannot be replaced in one go
            try:
                os.replace(fresh, target)
            except OSError:
                os.replace(old, target)
                raise
        else:
            os.replace(fresh, target)
    except OSError as error:
        raise ScenarioError.of(
            f"cannot be written: {error.strerror or error}", where=str(target), expected="a place to write to"
        ) from error
    finally:
        for path in (fresh, old):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.exists():
                path.unlink()
