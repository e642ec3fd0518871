"""What a run leaves behind: checkpoints, metrics, files that are whole or not there."""
