"""Greedy generation, the twin of npgpt/generation.py."""

import torch
from numpy import ndarray as Array
from torch import Tensor

from npgpt.generation import Window, checked_prompt


@torch.no_grad()
def generate(model, ids: Tensor | Array, max_new_tokens: int, *, slide: int = 1) -> Tensor:
    """The prompt and `max_new_tokens` more: ids (T,) or (B, T) -> (T + n,) or (B, T + n) int64, on the CPU.

    A prompt may be shorter than the model's context, fill it, or be longer: the model sees the last seq_len tokens. Of equal
    logits the lowest id wins. `slide`: by how many tokens the window moves on at a time past the context; see npgpt.generate.

    Raises what the model raises, for all ids of the prompt, and ValueError for an empty prompt, a negative max_new_tokens, or a
    slide outside 1..seq_len.
    """
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must be at least 0, got {max_new_tokens}")
    if isinstance(ids, Tensor):
        ids = ids.detach().cpu().numpy()
    prompt = torch.from_numpy(checked_prompt(ids, model.config.vocab_size).astype("int64"))  # (B, T)
    B, T = prompt.shape
    tokens = torch.empty((B, T + max_new_tokens), dtype=torch.int64, device=model.device)
    tokens[:, :T] = prompt
    window = Window(model.config.seq_len, slide)
    past = model.remember(B)
    for end in range(T, T + max_new_tokens):
        new, moved = window.next(end)
        if moved:
            past = model.remember(B)
        tokens[:, end] = model.next_logits(tokens[:, new], past).argmax(dim=-1)
    return tokens.cpu() if torch.as_tensor(ids).ndim == 2 else tokens[0].cpu()
