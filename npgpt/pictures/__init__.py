"""Pictures. Every function takes numbers and gives back a matplotlib Figure: it never shows it, and needs no display.

matplotlib is imported on the first call, so that importing this stays as light as NumPy. `lang` is "en" or "tr"; what a picture
says stands in labels.py. By theme: style.py (colours, labels), spaces.py (points in 3-D), matrices.py (cells with numbers),
curves.py (lines and bars), tokens.py (texts of words); statistics.py has the numbers that only pictures need; shown.py says how
a model or a trace shows itself in a notebook.
"""

from .curves import (
    below_the_first,
    gradient_flow,
    knowledge,
    larger_texts,
    learning_to_write,
    loss_curve,
    losses_by_size,
    next_letters,
    one_change_at_a_time,
    positions,
    recall,
    row_gradients,
    shapes,
    speed_ratios,
    surprise_bars,
)
from .matrices import (
    attention_maps,
    attention_steps,
    maps_of_a_text,
    matrix,
    rows_that_sum_to_zero,
    steps_in_order,
    value_beside_gradient,
)
from .spaces import (
    embedding_motion,
    embedding_space,
    layer_norm_circle,
    plot_dots,
    spaces_in_order,
    three_dimensions,
    turnable_space,
)
from .style import CONSONANTS, KINDS, VOWELS, letter_colour, letter_weight, new_figure, token_colour, visible
from .tokens import chosen_heads, facts_taught, gradients_by_block, looks_at, token_surprise, words_by_block

__all__ = [
    "CONSONANTS",
    "KINDS",
    "VOWELS",
    "attention_maps",
    "attention_steps",
    "below_the_first",
    "chosen_heads",
    "embedding_motion",
    "embedding_space",
    "facts_taught",
    "gradient_flow",
    "gradients_by_block",
    "knowledge",
    "larger_texts",
    "layer_norm_circle",
    "learning_to_write",
    "letter_colour",
    "letter_weight",
    "looks_at",
    "loss_curve",
    "losses_by_size",
    "maps_of_a_text",
    "matrix",
    "new_figure",
    "next_letters",
    "one_change_at_a_time",
    "plot_dots",
    "positions",
    "recall",
    "row_gradients",
    "rows_that_sum_to_zero",
    "shapes",
    "spaces_in_order",
    "speed_ratios",
    "steps_in_order",
    "surprise_bars",
    "three_dimensions",
    "token_colour",
    "token_surprise",
    "turnable_space",
    "value_beside_gradient",
    "visible",
    "words_by_block",
]
