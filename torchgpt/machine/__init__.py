"""Devices, threads, several processes."""
