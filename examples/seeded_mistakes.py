"""The mistakes that inspect_training.py switches on with --bugs, and what becomes of a run with each of them.

They stand in the catalogue of the tests (parity_tests/bugs); here are those that teach something about a model as small as the
article's. All change npgpt's code, so their runs are NumPy's.
"""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

import npgpt
from npgpt.inspector.difference import Wrong, first_wrong
from npgpt.inspector.recording import Recording

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))  # the tests are no part of the installed package

from parity_tests.bugs import CATALOGUE  # noqa: E402
from parity_tests.bugs.bug import Bug  # noqa: E402

CHOSEN = {
    "gpt": (
        "attention_dk_not_transposed",
        "attention_values_learn_only_from_their_own_position",
        "attention_softmax_backward_left_out",
        "softmax_sum_term_dropped",
        "layer_norm_statistics_taken_as_constants",
        "layer_norm_rstd_forgotten_in_the_backward",
        "cross_entropy_gradient_not_divided",
        "cross_entropy_target_dropped",
        "embedding_repeated_ids_not_added",
        "residual_branch_dropped_at_attention",
        "attention_mask_one_late",
        "adamw_no_bias_correction_of_v",
    ),
    "lstm": (
        "lstm_forget_path_dropped",
        "lstm_output_path_dropped",
        "lstm_only_the_last_steps_cotangent",
        "lstm_only_one_bias_trained",
        "lstm_weight_hh_learns_from_the_new_output",
        "lstm_tanh_of_the_memory_not_differentiated",
        "lstm_candidate_with_a_sigmoids_slope",
        "lstm_memory_shown_without_tanh",
    ),
    "mamba": (
        "conv_sees_the_next_letter",
        "conv_kernel_not_flipped_in_the_backward",
        "scan_delta_not_through_the_intake",
        "scan_delta_not_through_the_decay",
        "scan_skip_missing_in_du",
        "scan_gradient_not_carried_through_the_state",
        "scan_gradient_fades_by_the_step_before",
        "mamba_gradient_of_A_taken_for_that_of_A_log",
        "mamba_gate_and_y_exchanged",
        "mamba_residual_branch_dropped",
        "silu_gate_not_differentiated",
        "rms_norm_length_taken_as_constant",
    ),
    "llama": (
        "rope_turned_the_other_way",
        "rope_backward_turned_forth",
        "rope_backward_left_out_for_keys",
        "rope_values_turned_too",
        "groups_key_hears_one_head_only",
        "groups_values_gradient_averaged",
        "swiglu_slopes_exchanged",
        "swiglu_gate_not_differentiated",
        "swiglu_gate_not_heard_below",
        "llama_only_queries_heard_below",
        "llama_residual_branch_dropped",
    ),
}


def mistakes(kind: str, right: Recording, recorded: Callable[[], Recording]) -> list[dict]:
    """What the page shows of each chosen mistake, as npgpt/inspector/page.py takes it.

    right : the run without one. recorded() makes the same run once more, by the code as it then is.
    """
    return [mistake(CATALOGUE[name], right, recorded) for name in CHOSEN[kind]]


def mistake(bug: Bug, right: Recording, recorded: Callable[[], Recording]) -> dict:
    """One mistake: where it stands, the run with it, and the first tensor that is wrong at the right run's last weights."""
    with bug.switched_on():
        wrong = recorded()
    found, truth, mistaken = first_wrong_tensor(bug, right)
    return {
        "name": bug.name,
        "story": bug.story,
        "where": bug.where,
        "old": bug.old,
        "new": bug.new,
        "tensor": found.tensor,
        "of": found.of,
        "right": truth,
        "wrong": mistaken,
        "losses": wrong.losses,
        "digits": wrong.digits,
        "steps": wrong.steps.tolist(),
        "caught_by": caught_by()[bug.name],
    }


def first_wrong_tensor(bug: Bug, right: Recording) -> tuple[Wrong, np.ndarray, np.ndarray]:
    """The first tensor that is wrong on the probe, as it should be and as the mistake makes it. A mistake of the optimiser
    makes none wrong: then the tensor's name is ""."""
    model = npgpt.make_model(right.config, dtype="float64")
    model.load_state_dict({name: array[-1] for name, array in right.weights.items()})
    trace, gradients = looked_at(model, right)
    with bug.switched_on():
        wrong_trace, wrong_gradients = looked_at(model, right)
    found = first_wrong(trace, wrong_trace, gradients, wrong_gradients)
    if found is None:
        return Wrong("", "", 0.0), np.zeros(0), np.zeros(0)
    if found.of == "parameter":
        return found, gradients[found.tensor], wrong_gradients[found.tensor]
    part = 0 if found.of == "value" else 1
    return found, trace[found.tensor][part][0], wrong_trace[found.tensor][part][0]  # without the batch's axis


def looked_at(model, right: Recording) -> tuple[dict, dict]:
    """The trace and the parameters' gradients on the probe."""
    ids, targets = right.ids[None], right.targets[None]
    model.zero_grad()
    model.loss_and_grad(ids, targets)
    return model.trace(ids, targets), model.gradients()


@cache
def caught_by() -> dict[str, list[str]]:
    """Bug -> the checks of parity_tests that ring for it, as measured in BUGS.md (its first columns after the model)."""
    rows = [
        [cell.strip() for cell in line.strip("| \n").split("|")]
        for line in (ROOT / "parity_tests" / "BUGS.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
    ]
    head = rows[0]
    ours = head[2 : head.index("llm.c")]
    return {row[0]: [check for check, ring in zip(ours, row[2:], strict=False) if ring == "x"] for row in rows[1:]}
