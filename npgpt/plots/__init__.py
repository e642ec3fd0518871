"""Pictures. Every function takes numbers and gives back a matplotlib Figure: it never shows it, and needs no display.

matplotlib is imported on the first call, so that importing these modules costs little.
"""

from .labels import LANGUAGES, labels
from .space import embedding_space, three_dimensions
from .style import VOWELS, letter_style, visible
from .training import loss_curve

__all__ = ["LANGUAGES", "VOWELS", "embedding_space", "labels", "letter_style", "loss_curve", "three_dimensions", "visible"]
