"""What the config of every kind of model can do: check its options when it is made, and go to JSON and back."""

import dataclasses
import math
import operator
from typing import Any, ClassVar, Self


class Config:
    """The base of the frozen dataclasses GPTConfig, ...: each says its `kind`, its options, and what it allows of them.

    Every config has vocab_size (V, the number of tokens), n_layer, n_embd (C) and seq_len (the window of training, in tokens).
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]  # of each kind's dataclass
    kind: ClassVar[str]  # how files and `make_model` name the class
    vocab_size: int
    n_layer: int
    n_embd: int
    seq_len: int
    dropout: float = 0.0  # this and the next: of the kinds that do not have the option
    tie_weights: bool = False

    def check_integers(self, *names: str, least: int = 1) -> None:
        """Raises TypeError or ValueError naming the first option that is no integer of at least `least`."""
        for name in names:
            value = getattr(self, name)
            try:
                if isinstance(value, bool):
                    raise TypeError
                object.__setattr__(self, name, operator.index(value))  # a NumPy integer becomes a plain int
            except TypeError:
                raise TypeError(f"{name} must be an integer, got {value!r}") from None
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")

    def check_booleans(self, *names: str) -> None:
        """Raises TypeError naming the first option that is not True or False."""
        for name in names:
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False, got {getattr(self, name)!r}")

    def check_numbers(self, *names: str) -> None:
        """Raises TypeError naming the first option that is no real number; makes floats of the others."""
        for name in names:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name} must be a number, got {value!r}")
            object.__setattr__(self, name, float(value))

    def check_dropout(self) -> None:
        """Raises TypeError or ValueError where dropout is no share of at least 0 and below 1."""
        self.check_numbers("dropout")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout}")

    def check_above_0(self, name: str) -> None:
        """Raises TypeError or ValueError where the option is not a finite number above 0."""
        self.check_numbers(name)
        if not 0 < getattr(self, name) < math.inf:
            raise ValueError(f"{name} must be above 0 and finite, got {getattr(self, name)}")

    def _repr_html_(self) -> str:
        from ..pictures.shown import config_html

        return config_html(self)

    def to_dict(self) -> dict:
        """The options by name, ready for JSON. (The kind is not among them.)"""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, options: dict) -> Self:
        """The inverse of to_dict. Raises ValueError for unknown or missing options, and what the constructor raises."""
        if not isinstance(options, dict):
            raise ValueError(f"not the options of a {cls.__name__}: {options!r}")
        fields = dataclasses.fields(cls)
        unknown = [name for name in options if name not in {field.name for field in fields}]
        missing = [f.name for f in fields if f.default is dataclasses.MISSING and f.name not in options]
        if unknown or missing:
            raise ValueError(f"not the options of a {cls.__name__}: unknown {unknown}, missing {missing}")
        return cls(**options)
