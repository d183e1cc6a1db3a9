"""How long an engine step takes: the only place where a model meets hardware."""
