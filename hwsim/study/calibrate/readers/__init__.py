"""Readers of what measuring tools print, one file each: figures and curves of one device."""
