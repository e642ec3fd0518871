"""The workshop: threads, memory, how a batch is shared out. Nothing here knows any mathematics of a model."""
