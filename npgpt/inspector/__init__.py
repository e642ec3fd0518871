"""The inspector: forward, backward and training of a small language model, to be touched."""
