"""A model of each kind, small enough that every number of it can be looked at. They read the 32 letters."""

from ..models.gpt import GPTConfig
from ..models.llama import LlamaConfig
from ..models.lstm import LSTMConfig
from ..models.mamba import MambaConfig

CONFIGS = {
    "gpt": GPTConfig.article(train_qkv=True),
    "lstm": LSTMConfig.article(),
    "mamba": MambaConfig(32, n_layer=1, n_embd=3, seq_len=12, d_state=2, d_conv=3),
    "llama": LlamaConfig(32, n_layer=1, n_head=2, n_embd=4, seq_len=12, n_kv_head=1, ffn_hidden=8),
}
