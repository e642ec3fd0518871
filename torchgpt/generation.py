"""Greedy generation, the twin of npgpt/generation.py."""

import torch
from numpy import ndarray as Array
from torch import Tensor

from npgpt.generation import checked_prompt


@torch.no_grad()
def generate(model, ids: Tensor | Array, max_new_tokens: int) -> Tensor:
    """The prompt and `max_new_tokens` more: ids (T,) or (B, T) -> (T + n,) or (B, T + n) int64, on the CPU.

    A prompt may be shorter than the model's context, fill it, or be longer: the model always sees the last seq_len tokens. Of
    equal logits the lowest id wins. Raises what the model raises, for all ids of the prompt, and ValueError for an empty
    prompt or a negative max_new_tokens.
    """
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must be at least 0, got {max_new_tokens}")
    if isinstance(ids, Tensor):
        ids = ids.detach().cpu().numpy()
    tokens = torch.from_numpy(checked_prompt(ids, model.config.vocab_size).astype("int64"))  # (B, T)
    for _ in range(max_new_tokens):
        logits = model(tokens[:, -model.config.seq_len :])  # (B, min(T, seq_len), V)
        tokens = torch.cat((tokens, logits[:, -1].argmax(dim=-1).cpu()[:, None]), dim=1)
    return tokens if torch.as_tensor(ids).ndim == 2 else tokens[0]
