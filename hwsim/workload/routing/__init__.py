"""Which experts the tokens of a workload choose, one file per kind; ``PART`` makes a ``Routing``."""
