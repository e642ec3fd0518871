"""Is this backward right? `check_backward` answers for anybody's pair of functions, from a forward and a backward alone.

In the order in which a question travels:

    grader.py      check_backward: which checks run, in which order
    inputs.py      what the pair is graded on; which inputs have a gradient
    calling.py     calls the reader's two functions, on copies, and says where their own code fails
    returned.py    what they returned, as arrays: how many gradients, of which shapes
    contract.py    what can be checked without knowing a derivative: dtypes, and that nothing is changed
    rounding.py    how far two right answers may be apart
    linearity.py   the backward is linear in the cotangent
    truth.py       the true gradients, measured from the forward (numerical.py: complex step, finite differences)
    derivative.py  the reader's gradients beside the true ones
    recognise.py   what a wrong one looks like (diagnose.py: hypotheses about two arrays, tested by numbers)
    reference.py   both beside a function that is known to be right
    verdict.py     the answer; wording.py: its names, places and numbers

Importing npgpt does not import this; `npgpt.check_backward` does on first use.
"""

from .diagnose import Mistake
from .grader import check_backward
from .layer import check_layer
from .verdict import Check, Verdict

__all__ = ["Check", "Mistake", "Verdict", "check_backward", "check_layer"]
