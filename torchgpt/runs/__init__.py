"""Checkpoints, in the format of npgpt/runs."""
