"""Simulated time, shared capacities, memory pools, random streams and the recorder."""
