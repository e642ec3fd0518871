"""The fields of a config.json: what is asked of them, whatever the kind of model."""

from ..models.config import Config


def filled(fields: dict, defaults: dict, aliases: dict[str, str] | None = None) -> dict:
    """The fields that are asked for, with transformers' default where one is not given. aliases : another name -> the field's.

    Raises ValueError where a field is given under both names, with two values.
    """
    own = dict(fields)
    for alias, name in (aliases or {}).items():
        if alias in own and own.setdefault(name, own[alias]) != own[alias]:
            raise ValueError(f"{alias} is {own[alias]!r} and {name}, the same field, is {own[name]!r}")
    return {name: own.get(name, default) for name, default in defaults.items()}


def check_only(fields: dict, **allowed: tuple) -> None:
    """Raises ValueError naming the first field whose value is none of those that the model here can have."""
    for name, values in allowed.items():
        if fields[name] not in values:
            known = " or ".join(map(repr, values))
            raise ValueError(f"{name} is {fields[name]!r}, and the model here is written for {known} alone")


def check_sizes(fields: dict, *names: str) -> None:
    """Raises ValueError naming the first field that is no integer of at least 1."""
    for name in names:
        value = fields[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")


def check_sayable(config: Config, **allowed: object) -> None:
    """Raises ValueError naming the first option of the config that a folder of its kind has no field for."""
    for name, value in allowed.items():
        own = getattr(config, name)
        if own != value:
            raise ValueError(
                f"{name} is {own!r}: a {config.kind} can be written as a folder of transformers with {value!r} alone"
            )
