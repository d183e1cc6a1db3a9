"""Kinds of networks between nodes, one file each: the way between two ports, and the links it shares with others."""
