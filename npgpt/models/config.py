"""GPTConfig: every choice that shapes a model, checked when it is made."""

import dataclasses
import math
import operator
from dataclasses import dataclass
from typing import ClassVar

POSITIONS = ("sinusoidal", "learned")


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a GPT. Immutable; `dataclasses.replace(config, n_layer=2)` makes a changed copy.

    Parameters
    ----------
    vocab_size : V, the number of tokens.
    n_layer : the number of blocks.
    n_head : H, the number of attention heads of a block; divides n_embd.
    n_embd : C, the length of a token's vector.
    seq_len : the longest sequence that the model sees (its context).
    position : "sinusoidal" (fixed) or "learned" (a trained table).
    ffn_hidden : F, the width of the feed-forward network; None means 4 * n_embd, 0 means no FFN and no ln2.
    qkv_bias : whether query, key and value have a bias.
    tie_weights : whether the head uses the token embedding as its weight (Press, Wolf 2017, arXiv:1608.05859).
    head_bias : whether the head has a bias.
    train_qkv : whether query, key and value are trained. False keeps them at their initial values and out of the parameter
        count: this is how the article's model comes to have 248 parameters and not 275.
    dropout : p, the share of numbers that training sets to 0 after the embeddings, in the attention pattern and at the end of
        both residual branches (npgpt/ops/dropout.py); 0 for none.
    init_std : the spread of the linear layers' initial weights. GPT-2's 0.02 is for 768 features and more;
        narrow models learn faster from larger weights.

    Raises TypeError for a value of the wrong type and ValueError for one out of range; both name the option, what came and
    what is allowed.
    """

    kind: ClassVar[str] = "gpt"

    vocab_size: int
    n_layer: int
    n_head: int
    n_embd: int
    seq_len: int
    position: str = "sinusoidal"
    ffn_hidden: int | None = None
    qkv_bias: bool = False
    tie_weights: bool = False
    head_bias: bool = True
    train_qkv: bool = True
    dropout: float = 0.0
    init_std: float = 0.02

    def __post_init__(self) -> None:
        for name in ("vocab_size", "n_layer", "n_head", "n_embd", "seq_len"):
            self._check_integer(name, least=1)
        if self.ffn_hidden is not None:
            self._check_integer("ffn_hidden", least=0)
        for name in ("qkv_bias", "tie_weights", "head_bias", "train_qkv"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False, got {getattr(self, name)!r}")
        if self.position not in POSITIONS:
            raise ValueError(f"position must be one of {', '.join(POSITIONS)}; got {self.position!r}")
        for name in ("dropout", "init_std"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name} must be a number, got {value!r}")
            object.__setattr__(self, name, float(value))
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout}")
        if not 0 < self.init_std < math.inf:
            raise ValueError(f"init_std must be above 0 and finite, got {self.init_std}")
        if self.n_embd % self.n_head:
            raise ValueError(
                f"n_embd must be divisible by n_head, so that every head gets the same number of features; "
                f"got n_embd={self.n_embd}, n_head={self.n_head}"
            )

    def _check_integer(self, name: str, least: int) -> None:
        value = getattr(self, name)
        try:
            if isinstance(value, bool):
                raise TypeError
            object.__setattr__(self, name, operator.index(value))  # a NumPy integer becomes a plain int
        except TypeError:
            raise TypeError(f"{name} must be an integer, got {value!r}") from None
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")

    @property
    def head_size(self) -> int:
        """D, the number of features of one head."""
        return self.n_embd // self.n_head

    @property
    def ffn_size(self) -> int:
        """F, the FFN's hidden size with the default filled in; 0 where the blocks have no FFN."""
        return 4 * self.n_embd if self.ffn_hidden is None else self.ffn_hidden

    @classmethod
    def article(cls, train_qkv: bool = False) -> "GPTConfig":
        """The article's model: 248 trainable parameters, or 275 with train_qkv=True (README, "248 or 275?")."""
        return cls(vocab_size=32, n_layer=1, n_head=1, n_embd=3, seq_len=12, ffn_hidden=0, train_qkv=train_qkv)

    @classmethod
    def gpt2(cls) -> "GPTConfig":
        """The smallest GPT-2, 124,439,808 parameters (Radford et al. 2019, "Language models are unsupervised multitask
        learners", table 2, counted with the head tied to the embedding)."""
        return cls(
            vocab_size=50257,
            n_layer=12,
            n_head=12,
            n_embd=768,
            seq_len=1024,
            position="learned",
            qkv_bias=True,
            tie_weights=True,
            head_bias=False,
        )

    def to_dict(self) -> dict:
        """The options by name, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, options: dict) -> "GPTConfig":
        """The inverse of to_dict. Raises ValueError for unknown or missing options, and what the constructor raises."""
        if not isinstance(options, dict):
            raise ValueError(f"not the options of a GPTConfig: {options!r}")
        fields = dataclasses.fields(cls)
        unknown = [name for name in options if name not in {field.name for field in fields}]
        missing = [f.name for f in fields if f.default is dataclasses.MISSING and f.name not in options]
        if unknown or missing:
            raise ValueError(f"not the options of a GPTConfig: unknown {unknown}, missing {missing}")
        return cls(**options)
