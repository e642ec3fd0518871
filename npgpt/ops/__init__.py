"""The operations, one a file: what it is for, the derivation, the forward, the backward.

Read them in this order: linear, embedding, softmax, cross_entropy, layer_norm, gelu, dropout, attention (a GPT); lstm;
rms_norm, silu, softplus, causal_conv, selective_scan (a Mamba); rope, grouped_attention, swiglu (a Llama).

Every pair has the same contract: `y, cache = op(*inputs)` and `*gradients = op_backward(dy, cache)`. The functions are pure (no
argument is ever changed), keep the dtype that they are given, and the forwards also run on complex numbers, which is how the
parity suite proves the backwards (complex step): derivatives come out of f(x + ih) with h = 1e-30.

    from npgpt.ops.softmax import softmax, softmax_backward
"""
