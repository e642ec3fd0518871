"""Small .gguf files as llama.cpp's converter writes them, and what their numbers unpack to."""

from pathlib import Path

import numpy as np

import npgpt
from npgpt import LlamaConfig
from npgpt.pretrained import gguf as ours_gguf

SMALL = LlamaConfig(259, 2, 4, 64, 20, n_kv_head=2, head_size=16, ffn_hidden=96, rope_theta=1e5, norm_eps=1e-6)


def write_gguf(path: Path, config: LlamaConfig, weights: dict, formats: dict[str, str], **changes) -> dict:
    """A .gguf file as llama.cpp's converter writes one; what its packed weights unpack to, under our names."""
    import gguf

    writer = gguf.GGUFWriter(path, changes.pop("architecture", "llama"))
    fields = {
        "block_count": config.n_layer,
        "context_length": config.seq_len,
        "embedding_length": config.n_embd,
        "feed_forward_length": config.ffn_size,
        "attention.head_count": config.n_head,
        "attention.head_count_kv": config.kv_heads,
        "attention.key_length": config.head_width,
        "rope.dimension_count": config.head_width,
    }
    for name, value in (fields | changes).items():
        if value is not None:
            (writer.add_string if isinstance(value, str) else writer.add_uint32)(f"llama.{name}", value)
    writer.add_float32("llama.rope.freq_base", config.rope_theta)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", config.norm_eps)
    add_tokenizer(writer, config.vocab_size)
    table, unpacked = {ours: theirs for ours, theirs, _ in ours_gguf.NAMES}, {}
    for name, weight in weights.items():
        layer, row = ("", name) if not name.startswith("blocks.") else (name.split(".")[1], "blocks.*." + name.split(".", 2)[2])
        part, heads = row.split(".")[-2], {"Wq": config.n_head, "Wk": config.kv_heads}
        rows = weight.astype(np.float32)
        if part in heads:  # the converter's `permute`
            H = heads[part]
            rows = rows.reshape(H, 2, len(rows) // H // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)
        format_ = gguf.GGMLQuantizationType[formats.get(row, "F32") if rows.ndim > 1 else "F32"]
        packed = gguf.quants.quantize(np.ascontiguousarray(rows), format_)
        writer.add_tensor(table[row].replace("*", layer), packed, raw_dtype=format_)
        rows = gguf.quants.dequantize(packed, format_).reshape(weight.shape)
        if part in heads:
            H, D = heads[part], len(rows) // heads[part]
            order = [h * D + 2 * i + half for h in range(H) for half in range(2) for i in range(D // 2)]
            rows = rows[order]
        unpacked[name] = rows
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return unpacked


def add_tokenizer(writer, vocab_size: int, pre: str = "smollm") -> None:
    import gguf

    pieces = sorted(npgpt.BPETokenizer.from_text("x", 256).tokenizer.get_vocab())  # the 256 bytes
    tokens = ["<|endoftext|>", *pieces, "12", "Ġa"][:vocab_size] + [f"unused{i}" for i in range(vocab_size - 259)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    normal, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    writer.add_token_types([control] + [normal] * (len(tokens) - 1))
    writer.add_token_merges(["1 2", "Ġ a"])
