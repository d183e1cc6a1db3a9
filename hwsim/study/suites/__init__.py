"""Validation suites: one file each, whose ``PART`` has a ``title`` and ``run(data, progress) -> rows``."""
