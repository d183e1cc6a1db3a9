"""KV memory of an engine: pages, the prefix index over runs of pages, and how many pages fit."""
