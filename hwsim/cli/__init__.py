"""The command line: ``hwsim run``, ``check``, ``show``, ``schema``, ``export``, ``new``; one file per command."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0 good, 1 an SLO or assertion missed under ``--assert``, 2 scenario or usage error, 3 cannot fit or serve, 4 an
    error of hwsim itself, 130 interrupted.
    """
    from hwsim.cli.app import build
    from hwsim.cli.ending import INTERRUPTED

    try:
        gc.set_threshold(100_000, 50, 100)  # what a command makes is kept: looking for cycles early finds none
        words = list(argv) if argv is not None else sys.argv[1:]
        build(words[0] if words else "")(args=words, prog_name="hwsim", standalone_mode=True)
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0
