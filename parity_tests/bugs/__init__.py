"""A catalogue of wrong gradients: each a change to one line of npgpt that is easy to make and hard to notice.

    with CATALOGUE["attention_dk_not_transposed"].switched_on():
        ...  # npgpt computes the wrong thing in here

`published` bugs were found in public NumPy transformers whose own tests pass; `classic` ones are the mistakes that people make.
test_bugs.py demands that every one is caught, and says by which check. A file a part of npgpt; bug.py switches them on.
"""

from . import attention, cross_entropy, embedding, gelu, gpt, heads, layer_norm, linear, llama, lstm, mamba, optim, softmax
from .bug import Bug

FILES = (attention, softmax, layer_norm, gelu, cross_entropy, embedding, linear, heads, gpt, optim, lstm, mamba, llama)
CATALOGUE: dict[str, Bug] = {bug.name: bug for file in FILES for bug in file.BUGS}
