"""Runs that stop and go on, and what they leave behind: checkpoints, metrics, files that are whole or not there."""
