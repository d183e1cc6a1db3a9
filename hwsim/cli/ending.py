"""How a command ends: every error becomes a message and an exit code, never a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from hwsim.errors import HwsimError, ScenarioError

MISSED = 1
INTERNAL = 4
INTERRUPTED = 130

P = ParamSpec("P")


def guarded(command: Callable[P, int | None]) -> Callable[P, None]:
    """A command that returns its exit code (or nothing, for 0), made to leave with it whatever happens."""

    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        import typer

        raise typer.Exit(_code_of(lambda: command(*args, **kwargs)))

    return wrapper


def _code_of(call: Callable[[], int | None]) -> int:
    try:
        code = call() or 0
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough.  What is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except HwsimError as error:
        return _told(error)
    except RecursionError:
        return _internal(RecursionError("the input is nested too deeply"))
    except Exception as error:
        return _internal(error)


def _told(error: HwsimError) -> int:
    if os.environ.get("HWSIM_TRACEBACK") == "1":
        raise error
    title = "error" if isinstance(error, ScenarioError) else "cannot serve" if error.exit_code == 3 else "hwsim error"
    lines = str(error).splitlines() or ["unknown"]
    for line in lines:
        print(f"{title}: {line}", file=sys.stderr)
    if len(lines) > 1:
        print(f"{len(lines)} problems", file=sys.stderr)
    return error.exit_code


def _internal(error: Exception) -> int:
    if os.environ.get("HWSIM_TRACEBACK") == "1":
        raise error
    text = " ".join(str(error).split())[:300]
    print(
        f"hwsim: internal error: {type(error).__name__}: {text} (HWSIM_TRACEBACK=1 shows where; please report it)",
        file=sys.stderr,
    )
    return INTERNAL
