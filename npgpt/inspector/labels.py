"""What the inspector says, in English and in Turkish: one table from one to the other, as in npgpt/pictures/labels.py.

The page's scripts look their texts up in the same table (`say("English")` in page/numbers.js).
"""

from collections.abc import Callable

from ..pictures import labels

TURKISH: dict[str, str] = {}


def translator(lang: str = "en") -> Callable[..., str]:
    """say(text, **values) -> the text in `lang` with the values filled in. Raises ValueError for an unknown language."""
    return labels.translator(lang, TURKISH)
