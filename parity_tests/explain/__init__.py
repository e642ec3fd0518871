"""Which mistake fits? For the first wrong tensor: what it would look like with one mistake in it, tried by numbers.

every_kind.py   what holds for a model of any kind: the loss, the token embedding, the gradient's norm
optimiser.py    AdamW, likewise
gpt.py          what a GPT is made of: attention, GELU, the residual stream with its LayerNorms
llama.py        what a Llama is made of: turned positions, groups of heads, gates, the residual stream with its RMSNorms
                A kind of model that has no file of its own has fewer hypotheses. One that has says in it

                    @about("gradient of ffn_pre", kind="gpt")
                    def gelu(at: Place) -> Hypotheses:
                        return {"a term of the right answer": ...}, {"a mistake": ("transpose", what it would give)}

                and is imported below. npgpt/check/diagnose.py tries them, and what needs no hypothesis: signs, sizes, zeros.
"""

import numpy as np

from npgpt.check.diagnose import Mistake, likely_mistake

from ..record import Record
from . import every_kind, gpt, llama  # noqa: F401 (they fill RULES)
from .optimiser import explain_update
from .place import Place, rules_about
from .sizes import sizes


def explain(name: str, ours: Record, right: Record, config) -> Mistake | None:
    """The mistake that fits the first wrong tensor. Everything before it is right, so hypotheses are built from `right`."""
    if name.startswith("weights after"):
        return explain_update(name, right, ours)
    at = Place(name, right, config)
    terms, alternatives = {}, {}
    for rule in rules_about(at.about, config.kind):
        more_terms, more_alternatives = rule(at)
        terms |= more_terms
        alternatives |= more_alternatives
    wrong, correct = (np.atleast_1d(each.tensors[name]) for each in (ours, right))
    return likely_mistake(wrong, np.float64(correct), sizes(right.ids, config), terms, alternatives)
