"""``python -m hwsim`` is the same as ``hwsim``."""

import sys

from hwsim.cli import main

if __name__ == "__main__":
    sys.exit(main())
