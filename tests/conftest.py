"""Shared fixtures: what a test needs from outside is asked for here, skipped with a reason or required."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples each time, so that a change is judged by itself; HYPOTHESIS_PROFILE=search looks for new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("search", print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def required(what: str) -> bool:
    """True when the environment says that tests needing ``what`` must not skip (HWSIM_REQUIRE=data,browser)."""
    return what in os.environ.get("HWSIM_REQUIRE", "").replace(",", " ").split()


def absent(what: str, reason: str) -> None:
    """Skip the calling test, or fail it where ``what`` is required."""
    if required(what):
        pytest.fail(f"{what} is required here (HWSIM_REQUIRE) but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of measured data that holds ``traces/``, found through HWSIM_DATA."""
    for entry in os.environ.get("HWSIM_DATA", "").split(os.pathsep):
        folder = Path(entry)
        if entry and (folder / "traces").is_dir():
            return folder
        if entry and folder.name == "traces" and folder.is_dir():
            return folder.parent
    absent("data", "HWSIM_DATA names no folder with traces/")
    raise AssertionError
