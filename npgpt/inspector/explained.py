"""What the page says about each number besides its value: its formula, and the line of npgpt that made it."""

import dataclasses

from ..models.config import Config
from .formulas import formulas_of
from .source import functions_of, sources_of


def explained(config: Config, T: int) -> dict[str, dict]:
    """The arguments `formulas`, `sources` and `functions` of `page_data`, for a model that reads T tokens."""
    sources = sources_of(config, T)
    places = [place for each in sources.values() for place in (each.value, each.gradient)]
    formulas = formulas_of(config, T)
    return {
        "formulas": {
            name: {of: None if formula is None else formula.as_json() for of, formula in each.items()}
            for name, each in formulas.items()
        },
        "sources": {name: dataclasses.asdict(each) for name, each in sources.items()},
        "functions": functions_of(places),
    }
