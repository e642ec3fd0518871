"""What the pictures and the numbered examples say, in English and in Turkish: one table, from the English text to the Turkish.

The English text is the key, so code reads as what it prints: `say("step {step:,}", step=40)`. A text without a Turkish entry
raises KeyError, so none is forgotten (the tests run everything in both languages).
"""

from collections.abc import Callable

LANGUAGES = ("en", "tr")

TURKISH = {}


def translator(lang: str = "en") -> Callable[..., str]:
    """say(text, **values) -> the text in `lang` with the values filled in. Raises ValueError for an unknown language."""
    if lang not in LANGUAGES:
        raise ValueError(f"lang must be one of {', '.join(LANGUAGES)}; got {lang!r}")

    def say(text: str, /, **values) -> str:
        return (text if lang == "en" else TURKISH[text]).format(**values)

    return say
