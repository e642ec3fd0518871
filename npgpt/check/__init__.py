"""Is this backward right? For anybody's pair of functions (check_backward) or layer (check_layer), from its own code alone.

`check_pairs` (files.py) asks it of every pair in a file, as do `python -m npgpt.check FILE.py` and `pytest --check-backward
FILE.py` (pytest_npgpt.py, outside of this package).

In the order in which a question travels:

    grader.py      check_backward: which checks run, in which order
    inputs.py      what the pair is graded on; which inputs have a gradient
    calling.py     calls the reader's two functions, on copies, and says where their own code fails
    returned.py    what they returned, as arrays: how many outputs and gradients, of which shapes
    contract.py    what can be checked without knowing a derivative: dtypes, and that nothing is changed
    rounding.py    how far two right answers may be apart
    linearity.py   the backward is linear in the cotangent
    truth.py       the true gradients, measured from the forward (numerical.py: complex step, finite differences)
    derivative.py  the reader's gradients beside the true ones
    recognise.py   what a wrong one looks like: hypotheses about two arrays (diagnose.py) and about the pair (hypotheses.py,
                   rows.py and gates.py, on what evidence.py and columns.py measure), tested by numbers
    reference.py   both beside a function that is known to be right
    verdict.py     the answer; wording.py: its names, places and numbers; names.py: those that readers use

    layer.py       check_layer: a layer becomes such a pair

Importing npgpt does not import this; `npgpt.check_backward`, `check_layer` and `check_pairs` do on first use.
"""

from .diagnose import Mistake
from .files import check_pairs
from .grader import check_backward
from .layer import check_layer
from .verdict import Check, Verdict

__all__ = ["Check", "Mistake", "Verdict", "check_backward", "check_layer", "check_pairs"]
