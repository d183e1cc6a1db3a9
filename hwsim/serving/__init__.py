"""Engines that schedule requests step for step, their KV memory and the cluster they form."""
