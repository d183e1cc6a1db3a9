"""Task-graph scenarios: from the YAML of ``graph:`` to a program on a site, and from its run to a result."""
