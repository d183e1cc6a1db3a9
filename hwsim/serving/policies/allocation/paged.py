"""Pages of a fixed number of tokens anywhere in memory, found by block tables."""

from hwsim.serving.engine import Engine

PART = Engine
