"""Kinds of devices, one file each: the figures a product of that kind may state, with their dimensions."""
