"""The scenario language as pydantic models: system, serve / train / graph, workload, and what surrounds them."""
