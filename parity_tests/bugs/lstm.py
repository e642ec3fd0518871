"""An LSTM's mistakes: the order of its gates, and what comes back through its memory, its output and its steps."""

from functools import partial

from .bug import Bug as AnyBug

Bug = partial(AnyBug, kind="lstm")

BUGS = (
    Bug(
        "lstm_input_and_forget_gates_exchanged",
        "npgpt.ops.lstm:gates",
        "i = s[:, :H]",
        "i = s[:, H : 2 * H]",
        "Forward and backward agree, and the model learns as well; only weights from elsewhere mean something else, and the "
        "bias of 1 opens the wrong gate.",
        "classic",
        tensor="blocks.0.i",
        also=(
            ("npgpt.ops.lstm:gates", "f = s[:, H : 2 * H]", "f = s[:, :H]"),
            (
                "npgpt.ops.lstm:gate_slopes",
                "[i * (1 - i), f * (1 - f), 1 - g * g, o * (1 - o)]",
                "[f * (1 - f), i * (1 - i), 1 - g * g, o * (1 - o)]",
            ),
            ("npgpt.ops.lstm:lstm_backward", "[di, df, dg, do]", "[df, di, dg, do]"),
            ("npgpt.ops.lstm:lstm_cell_backward", "[di, df, dg, do]", "[df, di, dg, do]"),
        ),
    ),
    Bug(
        "lstm_forget_path_dropped",
        "npgpt.ops.lstm:memory_backward",
        "dc * f",
        "0 * dc",
        "Each step still learns from its own output; what is remembered over long stretches is never learned, and a small text "
        "hardly shows it.",
        "classic",
        tensor="gradient of blocks.1.c",
        mistake="missing term",
    ),
    Bug(
        "lstm_output_path_dropped",
        "npgpt.ops.lstm:lstm_backward",
        "da @ weight_hh",
        "0 * dh",
        "The memory's own path is left, the main one at the start, when the forget gate is open.",
        "classic",
        tensor="gradient of blocks.1.h",
        mistake="missing term",
    ),
    Bug(
        "lstm_only_the_last_steps_cotangent",
        "npgpt.ops.lstm:lstm_backward",
        "dh = dy[:, t] + dh_next",
        "dh = dy[:, t] * (t == T - 1) + dh_next",
        "Right for a classifier, which reads the last output alone; a language model still learns from one letter in T.",
        "classic",
        tensor="gradient of blocks.1.h",
        mistake="missing term",
    ),
    Bug(
        "lstm_only_one_bias_trained",
        "npgpt.ops.lstm:lstm_backward",
        "dbias.copy()",
        "0 * dbias",
        "The two biases are only ever added; one of them learns for both.",
        "classic",
        tensor="gradient of blocks.1.lstm.bias_hh",
        mistake="zero",
    ),
    Bug(
        "lstm_state_kept_across_batches",
        "npgpt.models.lstm:LSTMModel.forward",
        "x, block_cache = block.forward(x, block.lstm.zeros(len(ids)), prefixed(note, f'blocks.{i}.'))",
        "state = getattr(block, 'kept', block.lstm.zeros(len(ids)))\n"
        "x, block_cache = block.forward(x, state, prefixed(note, f'blocks.{i}.'))\n"
        "block.kept = block_cache.h[:, -1], block_cache.c[:, -1]",
        "The windows of a batch are drawn at random, so the state is another text's: noise that the model learns to forget.",
        "classic",
        tensor="loss",
    ),
    Bug(
        "lstm_weight_hh_learns_from_the_new_output",
        "npgpt.ops.lstm:lstm_backward",
        "rows_da.T @ h_prev.reshape(B * T, H)",
        "rows_da.T @ h.reshape(B * T, H)",
        "One step off: outputs of neighbouring steps are alike.",
        "classic",
        tensor="gradient of blocks.1.lstm.weight_hh",
        mistake="shift",
    ),
    Bug(
        "lstm_tanh_of_the_memory_not_differentiated",
        "npgpt.ops.lstm:memory_backward",
        "dc + dh * o * (1 - tanh_c * tanh_c)",
        "dc + dh * o",
        "Memories are small at first, and tanh is the identity there.",
        "classic",
        tensor="gradient of blocks.1.c",
        mistake="missing term",
    ),
    Bug(
        "lstm_candidate_with_a_sigmoids_slope",
        "npgpt.ops.lstm:gate_slopes",
        "1 - g * g",
        "g * (1 - g)",
        "One of four slopes, and the sign is right half of the time.",
        "classic",
        tensor="gradient of blocks.1.h",
    ),
    Bug(
        "lstm_memory_shown_without_tanh",
        "npgpt.ops.lstm:memory",
        "o * tanh_c",
        "o * c",
        "Memories are small at first, and tanh is the identity there; later the head gets used to larger numbers.",
        "classic",
        tensor="blocks.0.h",
        mistake="missing term",
    ),
)
