"""The test of the tests: every small change to the code must make a test fail.

    pip install -e '.[test,mutation]'
    python -m parity_tests.mutation               all parts, each against the tests that are about it
    python -m parity_tests.mutation --only ops    one part: what CI runs
    python -m parity_tests.mutation --only text --file npgpt/text/words.py

mutmut changes one thing at a time (a sign, a number, an argument, a string) in a temporary copy of the repository and runs the
tests on each such mutant. A mutant that no test notices either shows that a statement is missing from the tests, or is
equivalent: it computes the same. The equivalent ones are listed in equivalent_mutants.toml with a proof; four kinds are never
counted (IN_VAIN). The exit status is 1 where a survivor is not listed, and where an entry of the list is stale: no such mutant
is made any more, or it is killed.

Not mutated, by mutmut's rules: module constants (A and K of GELU, TILE) and tables (NAMES of pretrained/), decorated functions
(`future`, properties, context managers), annotations. Needs Linux or macOS.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = Path(__file__).with_name("equivalent_mutants.toml")
TESTS = "parity_tests/test_"

# npgpt/check: what judges a backward, what names the mistake in a wrong one, what reads a reader's code and says the results.
JUDGE = ("derivative", "truth", "numerical", "rounding", "reference", "linearity", "returned", "contract", "grader")
MISTAKES = ("diagnose", "hypotheses", "rows", "gates", "evidence", "columns", "recognise")
READERS = (
    *("signature", "draws", "names", "tensors", "inputs", "parameters", "copies", "calling", "probing", "reading", "one_pair"),
    *("pairs", "files", "importing", "layer", "runs", "report", "verdict", "wording"),
)

# Part -> what is mutated, and the tests that must notice. Left out are tests that start processes, that read signatures (a
# mutated function hides its own) and that build a GPT-2: they are slow, and none is needed.
PARTS = {
    "ops": (
        ["npgpt/ops/*.py"],
        [
            TESTS + "ops.py",
            TESTS + "recurrent_ops.py",
            TESTS + "llama_ops.py",
            TESTS + "model.py::test_the_sinusoids_are_the_formulas_of_the_paper",
            TESTS + "dropout.py::test_a_mask_holds_two_values_and_keeps_the_mean",
            TESTS + "dropout.py::test_a_number_is_dropped_where_its_uniform_float32_is_below_p",
            TESTS + "dropout.py::test_a_mask_of_another_shape_is_refused",
        ],
    ),
    "model": (
        ["npgpt/layers.py", "npgpt/models/*.py", "npgpt/machine/*.py"],
        [
            *(
                TESTS + name
                for name in ("model.py", "properties.py", "optim.py", "dropout.py", "config.py", "recurrent_models.py")
            ),
            f"--deselect={TESTS}model.py::test_gpt2_has_124439808_parameters_on_both_sides",
            TESTS + "training.py::test_only_matrices_decay",
            TESTS + "training.py::test_of_the_other_kinds_no_level_decays",
            TESTS + "generation.py::test_what_is_remembered_gives_the_logits_of_the_full_forward",
            TESTS + "generation.py::test_what_is_remembered_has_the_models_dtype_and_an_entry_for_each_block",
            TESTS + "generation.py::test_a_window_that_slides_by_more_sees_what_is_left_of_it",
            TESTS + "threads.py::test_the_shares_add_up_to_the_whole_batch[2]",
            TESTS + "threads.py::test_a_small_batch_is_not_split",
            TESTS + "threads.py::test_bad_targets_are_named_and_leave_no_gradient",
            TESTS + "threads.py::test_a_thread_that_fails_leaves_nothing_behind",
            TESTS + "threads.py::test_fewer_threads_than_before_leave_some_at_rest",
            TESTS + "threads.py::test_with_dropout_the_batch_stays_whole",
            TESTS + "threads.py::test_each_thread_adds_up_its_own_part_of_the_gradients",
            TESTS + "threads.py::test_tasks_really_run_at_the_same_time",
            TESTS + "threads.py::test_errstate_reaches_the_threads",
            TESTS + "threads.py::test_all_tasks_have_ended_when_an_exception_comes",
            TESTS + "threads.py::test_blas_is_held_to_one_thread_inside_and_let_go_after",
            TESTS + "threads.py::test_work_is_cut_into_equal_slices_that_cover_it",
            TESTS + "threads.py::test_the_number_of_threads_is_a_setting[npgpt]",
            TESTS + "threads.py::test_a_prompt_read_in_parts_leaves_what_one_thread_leaves",
            TESTS + "threads.py::test_an_error_in_one_part_reaches_the_caller_and_leaves_nobody_waiting",
            TESTS + "threads.py::test_a_token_is_worth_one_thread_of_blas_and_a_long_prompt_more",
            TESTS + "threads.py::test_only_a_whole_number_above_0_counts_else_the_cores_that_the_process_may_use",
            TESTS + "threads.py::test_a_forked_process_finds_no_lock_held_and_blas_as_it_was",
            TESTS + "threads.py::test_long_vectors_are_worked_on_in_pieces_each_once_and_in_order",
            TESTS + "threads.py::test_few_sequences_are_not_split_where_a_layer_goes_step_by_step",
            TESTS + "threads.py::test_a_process_has_threads_of_its_own",
            TESTS + "threads.py::test_a_library_gets_its_threads_whoever_set_the_last_number_and_is_let_go_of",
            TESTS + "threads.py::test_blas_has_one_thread_while_anybody_holds_it_and_then_what_was_set",
            TESTS + "threads.py::test_a_pass_of_2_to_the_28_and_of_64_positions_keeps_the_threads_of_blas",
            TESTS + "threads.py::test_each_thread_reads_its_own_part_of_64_positions_or_more",
            TESTS + "threads.py::test_a_part_of_what_is_remembered_grows_as_the_whole_does",
            TESTS + "threads.py::test_a_loss_alone_is_shared_out_as_a_training_step_is",
            TESTS + "threads.py::test_the_heads_of_a_long_text_are_shared_out",
            TESTS + "threads.py::test_each_thread_attends_with_its_own_heads_and_what_belongs_to_them",
            TESTS + "threads.py::test_heads_stay_together_where_the_batch_is_shared_out",
            TESTS + "threads.py::test_a_thread_is_in_a_task_from_its_start_to_its_end_however_it_ends",
            TESTS + "threads.py::test_a_mamba_is_shared_out_sooner_than_an_lstm",
            TESTS + "replicas.py",
            TESTS + "contract.py::test_both_sides_start_from_the_same_weights_under_the_same_names",
            TESTS + "contract.py::test_what_is_remembered_takes_any_number_of_tokens_at_any_time",
            TESTS + "contract.py::test_ids_that_do_not_fit_are_refused_by_name_and_leave_no_trace",
            TESTS + "shown.py::test_a_model_shows_every_weight[article-npgpt]",
            TESTS + "shown.py::test_a_trace_shows_every_intermediate_with_its_gradient[True-article-npgpt]",
            TESTS + "shown.py::test_a_config_shows_every_option[article]",
            TESTS + "shown.py::test_in_a_terminal_a_model_is_a_line_a_weight[article-npgpt]",
            TESTS + "shown.py::test_in_a_terminal_a_trace_is_a_line_an_intermediate[npgpt]",
        ],
    ),
    "torch": (
        ["torchgpt/*.py", "torchgpt/models/*.py", "torchgpt/runs/*.py", "torchgpt/machine/*.py"],
        [
            *(TESTS + name for name in ("model.py", "generation.py", "optim.py", "dropout.py", "recurrent_models.py")),
            TESTS + "meta_device.py",
            f"--deselect={TESTS}model.py::test_gpt2_has_124439808_parameters_on_both_sides",
            TESTS + "accelerator.py",
            f"--deselect={TESTS}accelerator.py::test_a_compiled_model_computes_the_same",
            TESTS + "backends.py::test_everything_lands_on_the_device_asked_for",
            TESTS + "backends.py::test_auto_prefers_cuda_then_mps_then_the_cpu",
            TESTS + "backends.py::test_an_absent_or_unknown_device_is_a_clear_error",
            TESTS + "backends.py::test_mps_has_no_float64",
            TESTS + "checkpoint.py::test_either_backend_reads_what_either_wrote",
            TESTS + "checkpoint.py::test_another_config_is_refused_with_the_difference",
            TESTS + "checkpoint.py::test_tensors_that_do_not_fit_the_config_are_refused",
            TESTS + "checkpoint.py::test_a_run_goes_on_from_its_file_on_either_backend_and_back",
            TESTS + "checkpoint.py::test_the_tokenizer_travels_with_the_model",
            TESTS + "contract.py::test_both_sides_start_from_the_same_weights_under_the_same_names",
            TESTS + "contract.py::test_a_copy_on_the_other_side_goes_on_with_the_same_dropout_masks",
            TESTS + "contract.py::test_both_sides_generate_the_same_tokens_beyond_seq_len",
            TESTS + "contract.py::test_next_logits_have_the_models_dtype",
            TESTS + "contract.py::test_ids_that_do_not_fit_are_refused_by_name_and_leave_no_trace",
            TESTS + "distributed.py::test_without_torchrun_there_is_one_process",
            TESTS + "distributed.py::test_a_process_goes_on_when_it_has_left_and_can_join_again",
            TESTS + "distributed.py::test_alone_in_its_group_a_process_makes_the_plain_steps",
            TESTS + "distributed.py::test_a_gradient_is_what_the_ranks_agree_on",
            TESTS + "distributed.py::test_a_blocks_weights_are_put_together_when_its_turn_comes",
            TESTS + "distributed.py::test_the_last_operation_with_gloo_is_a_barrier_that_is_kept",
            TESTS + "distributed.py::test_a_mean_over_ranks_is_the_sum_over_their_number",
            TESTS + "distributed.py::test_a_rank_takes_its_own_rows_of_the_whole_batchs_masks",
            TESTS + "distributed.py::test_the_first_rank_writes_and_a_sharded_model_needs_them_all",
            TESTS + "distributed.py::test_each_process_of_a_machine_gets_a_gpu_of_its_own",
            TESTS + "pretrained.py::test_out_and_in_again_is_bit_for_bit_the_same",
            TESTS + "pretrained.py::test_the_tokenizer_goes_out_with_the_model_and_comes_back",
            TESTS + "sampling.py::test_impossible_options_are_named_before_anything_is_computed",
            TESTS + "sampling.py::test_both_backends_draw_the_same_tokens_from_a_seed",
            TESTS + "sampling.py::test_seeds_differ_and_no_seed_is_another_each_time",
            TESTS + "sampling.py::test_each_token_is_shown_at_once_and_may_end_the_text",
            TESTS + "shown.py::test_in_a_terminal_a_model_is_a_line_a_weight[article-torchgpt]",
            TESTS + "shown.py::test_a_model_shows_every_weight[article-torchgpt]",
            TESTS + "threads.py::test_the_number_of_threads_is_a_setting[torchgpt]",
            TESTS + "training.py::test_groups_are_those_of_torch",
            TESTS + "training.py::test_a_run_in_two_parts_is_the_run_in_one",
            TESTS + "training.py::test_moments_that_do_not_fit_are_refused",
            TESTS + "training.py::test_accumulated_batches_are_one_large_batch",
        ],
    ),
    "pretrained": (
        ["npgpt/pretrained/*.py"],
        [
            TESTS + "pretrained.py",
            f"--deselect={TESTS}pretrained.py::test_loading_holds_the_weights_once",
            f"--deselect={TESTS}pretrained.py::test_its_generation_is_ours",
            TESTS + "pretrained_llama.py",
        ],
    ),
    "training": (
        ["npgpt/training.py", "npgpt/sampling.py", "npgpt/generation.py", "npgpt/influence.py"],
        [
            *(TESTS + name for name in ("training.py", "sampling.py", "generation.py", "influence.py")),
            TESTS + "replicas.py::test_a_training_is_that_of_threads",
        ],
    ),
    "figures": (
        ["npgpt/pictures/statistics.py"],
        [
            TESTS + "pictures.py::test_" + name
            for name in (
                "surprise_is_the_loss_place_by_place",
                "entropies_of_texts_that_can_be_counted_by_hand",
                "no_model_falls_below_the_prefix_entropy",
                "numbers_of_either_backend_become_numpys",
                "float32_vectors_are_compared_in_double_precision",
                "rank_pairs_and_knee",
                "rank_correlation_by_hand",
                "the_rotation_is_the_one_that_brings_vectors_back",
                "vectors_of_size_zero_are_like_nothing",
                "nearest_neighbours_by_direction_from_the_mean",
                "neighbours_are_kept_by_a_rotation_and_by_chance",
                "centres_apart_in_radii",
                "a_logit_matrix_has_no_more_rank_than_the_model_has_dimensions",
                "a_head_switched_off_and_on_again",
            )
        ],
    ),
    "text": (
        ["npgpt/text/*.py"],
        [
            *(TESTS + name for name in ("text.py", "data.py", "tokenizers.py", "harmony.py")),
            f"--deselect={TESTS}data.py::test_memory_stays_small_however_long_the_text",
        ],
    ),
    "runs": (
        ["npgpt/runs/*.py"],
        [
            *(TESTS + name for name in ("runs.py", "checkpoint.py", "processes.py")),
            f"--deselect={TESTS}processes.py::test_eight_processes_encode_one_text_at_once_and_each_has_its_own_ids",
            *(  # a run is the same for every kind of model
                f"--deselect={TESTS}runs.py::test_stopped_anywhere_and_resumed_it_is_the_run_that_was_not[{backend}-{kind}]"
                for backend in ("numpy", "torch")
                for kind in ("lstm", "mamba", "llama")
            ),
            TESTS + "train_text.py::test_metrics_go_on_where_the_checkpoint_is",
            TESTS + "train_text.py::test_a_damaged_line_of_the_metrics_is_named",
        ],
    ),
    "optim": (
        ["npgpt/optim.py"],
        [
            TESTS + "optim.py",
            TESTS + "threads.py::test_the_optimiser_and_clipping_give_the_same_in_threads",
            TESTS + "training.py::test_only_matrices_decay",
            TESTS + "training.py::test_groups_are_those_of_torch",
            TESTS + "training.py::test_a_run_in_two_parts_is_the_run_in_one",
            TESTS + "training.py::test_moments_that_do_not_fit_are_refused",
        ],
    ),
    "check": (
        [f"npgpt/check/{name}.py" for name in JUDGE],
        [
            *(TESTS + name for name in ("judging.py", "check_steps.py", "grader.py")),
            f"--deselect={TESTS}grader.py::test_the_grader_needs_no_torch",
            f"--deselect={TESTS}grader.py::test_an_exercise",
            f"--deselect={TESTS}grader.py::test_every_exercise_is_tested",
            f"--deselect={TESTS}grader.py::test_the_example_shows_two_right_and_two_wrong_ones",
            "-k not every_operation or peaked",
            TESTS + "check_layer.py::test_a_layer_in_place_of_a_function_is_sent_to_check_layer",
            TESTS + "check_layer.py::test_methods_of_a_layer_are_graded_with_a_note_or_refused_with_a_hint",
            TESTS + "check_layer.py::test_a_clip_is_named_and_the_rest_is_graded_without_it",
            TESTS + "check_layer.py::test_a_forward_in_float32_is_said_so_and_graded_whole",
            TESTS + "check_layer.py::test_gradients_that_add_up_are_not_called_work_in_place",
            TESTS + "check_layer.py::test_several_outputs_are_told_from_a_cache",
            TESTS + "check_layer.py::test_a_dict_of_parameters_is_graded_in_its_leaves",
            TESTS + "check_layer.py::test_a_number_without_a_gradient_does_not_widen_the_result",
            TESTS + "check_layer.py::test_a_target_of_floats_is_told",
        ],
    ),
    "check_mistakes": (
        [f"npgpt/check/{name}.py" for name in MISTAKES],
        [
            *(TESTS + name for name in ("mistakes.py", "mistakes_measured.py", "hypotheses.py")),
            TESTS + "check_layer.py::test_nothing_is_named_in_what_is_right",
            TESTS + "check_layer.py::test_each_mistake_is_named_in_its_own_code_and_in_no_other",
            TESTS + "check_layer.py::test_the_place_is_said_where_the_mistake_is_not_known",
            TESTS + "grader.py::test_a_wrong_backward_fails_on_the_right_check_and_the_message_helps",
        ],
    ),
    "check_reading": (
        [f"npgpt/check/{name}.py" for name in READERS],
        [
            *(
                TESTS + name + ".py"
                for name in ("check_reading", "check_layer_reading", "check_file", "check_layer", "check_steps", "grader")
            ),
            *(  # these start processes, or pytest
                f"--deselect={TESTS}check_file.py::test_{name}"
                for name in (
                    "the_command_prints_the_table_and_its_exit_status_tells",
                    "modules_beside_the_file_and_of_its_package_are_found",
                    "watch_grades_again_on_save_survives_a_syntax_error_and_ends_without_a_traceback",
                    "the_plugin_makes_a_test_of_each_pair",
                    "the_plugin_names_a_bad_file_and_bad_cases",
                    "without_the_option_the_plugin_costs_and_changes_nothing",
                    "a_wrong_verdict_in_a_readers_test_is_the_assertions_message",
                )
            ),
            f"--deselect={TESTS}check_layer.py::test_each_mistake_is_named_in_its_own_code_and_in_no_other",
            f"--deselect={TESTS}check_layer.py::test_nothing_is_named_in_what_is_right",
            *(  # the figures behind a verdict, which are the part check's
                f"--deselect={TESTS}grader.py::test_{name}"
                for name in (
                    "every_operation_passes_with_torch_as_reference",
                    "forwards_that_complex_numbers_break_are_judged_by_finite_differences",
                    "large_inputs_are_sampled_and_said_so",
                    "normal_inputs_are_judged_by_the_complex_step",
                    "the_grader_needs_no_torch",
                    "every_exercise_is_tested",
                    "an_exercise",
                    "the_example_shows_two_right_and_two_wrong_ones",
                    "finite_differences_are_within_their_own_error_estimate",
                    "rounding_errors_are_not_taken_for_kinks",
                )
            ),
        ],
    ),
}

# Changes that can make no difference, so that nobody has to list them: zip's `strict` refuses what does not happen, reshape
# takes any negative number for the size that it has to work out, and the letters of an einsum are only names. Nor do the words
# of a sentence count (a string with a space), which mutmut writes in capitals, small or between XX; what stands in its braces
# does.
IN_VAIN = (
    (r", (strict=\w+)?\)", ")"),
    (r"reshape\(-\d+", "reshape(-1"),
    (r'einsum\("[\w,>-]+"', lambda found: found[0].lower()),
    (r'"[^"]* [^"]*"', lambda found: found[0].replace("XX", "").lower()),
)

# Exit codes: a test failed, a KeyboardInterrupt ended pytest, pytest or the process broke down; or time ran out.
KILLED = (1, 2, 3, -11, 24, 36, 152, 255, -24)


@dataclass(frozen=True)
class Mutant:
    """A change, told by what it changes and not by a number, so that an edit elsewhere leaves it as it is."""

    file: str
    function: str  # with its class: "AdamW.step"
    minus: str  # the lines taken away
    plus: str  # the lines put in their place

    def __str__(self) -> str:
        lines = ["- " + line for line in self.minus.splitlines()] + ["+ " + line for line in self.plus.splitlines()]
        return "\n".join([f"{self.file}, {self.function}", *("    " + line for line in lines)])


def listed(files: list[str]) -> list[Mutant]:
    """The equivalent mutants of these files."""
    found = []
    for entry in tomllib.loads(LIST.read_text(encoding="utf-8"))["equivalent"]:
        if not entry["proof"].strip():
            raise SystemExit(f"{LIST.name}: an entry of {entry['file']}, {entry['function']} has no proof")
        if any(Path(entry["file"]).match(pattern) for pattern in files):
            found += [Mutant(entry["file"], entry["function"], *change) for change in entry["mutants"]]
    return found


# A change is noticed soonest by the test that takes the shortest time: mutmut has measured them by then. And each test computes
# anew what functions remember (functools.cache): a mutant's process is forked from one that remembers the right results, and
# mutmut counts as a function's tests those in which it is called. tqdm's lock is one for all processes that are forked, and an
# error while a bar is drawn leaves it held: all later mutants would wait for it, so each test makes one of its own.
ADDED_TO_CONFTEST = """

def pytest_collection_modifyitems(items):
    for measured in (Path("mutmut-stats.json"), Path("mutants/mutmut-stats.json")):
        if measured.is_file():
            seconds = json.loads(measured.read_text())["duration_by_test"]
            items.sort(key=lambda item: seconds.get(item.nodeid, 0))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    import threading
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())
    for name, module in list(sys.modules.items()):
        if name.startswith(("npgpt.", "torchgpt.")):
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
"""


def copy_repository(part: str, only_file: str | None, copy: Path) -> None:
    """The sources and tests, with the part's files and tests written into mutmut's configuration."""
    for folder in ("npgpt", "torchgpt", "parity_tests", "examples"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pytest_npgpt.py", "README.md"):
        shutil.copy(ROOT / file, copy / file)
    with open(copy / "parity_tests/conftest.py", "a", encoding="utf-8") as conftest:
        conftest.write(ADDED_TO_CONFTEST)
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    files, tests = PARTS[part]
    files = [only_file] if only_file else files
    options = f"only_mutate = {json.dumps(files)}\npytest_add_cli_args_test_selection = {json.dumps(tests)}\n"
    text, sections = re.subn(r"^\[tool\.mutmut\]\n", lambda found: found[0] + options, text, flags=re.MULTILINE)
    assert sections == 1, "pyproject.toml needs one section [tool.mutmut]"
    (copy / "pyproject.toml").write_text(text, encoding="utf-8")


def run_mutmut(copy: Path, children: int) -> None:
    """mutmut first proves that the tests see the mutated copy, not an installed one: it makes every function raise, and stops
    unless the tests fail then."""
    one_thread = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "MKL", "OMP")}
    environment = os.environ | one_thread | {"HYPOTHESIS_PROFILE": "mutation"}
    command = [sys.executable, "-c", "from mutmut.__main__ import cli; cli()", "run", "--max-children", str(children)]
    with open(copy / "log.txt", "w+b") as log:
        status = subprocess.run(command, cwd=copy, env=environment, stdout=log, stderr=subprocess.STDOUT).returncode
        log.seek(0)
        if status:
            raise SystemExit(log.read().decode(errors="replace").replace("\r", "\n")[-5000:] + f"\nmutmut failed: {status}")


def results(copy: Path) -> Iterator[tuple[Mutant, int | None]]:
    """Every mutant with the exit status of its tests."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    here = os.getcwd()
    os.chdir(copy)  # mutmut looks for its results there
    try:
        for meta in sorted(Path("mutants").rglob("*.meta")):
            file = meta.relative_to("mutants").with_suffix("").as_posix()
            for name, status in json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"].items():
                lines = get_diff_for_mutant(name, path=file).splitlines()[2:]  # without the two lines that name the file
                minus, plus = ("\n".join(code(line[1:]) for line in lines if line[0] == sign) for sign in "-+")
                if in_vain(minus, plus):
                    continue
                function = name.rpartition(".")[2].partition("__mutmut_")[0].removeprefix("x_")
                yield Mutant(file, function.removeprefix("xǁ").replace("ǁ", "."), minus, plus), status
    finally:
        os.chdir(here)


def in_vain(minus: str, plus: str) -> bool:
    for pattern, same in IN_VAIN:
        minus, plus = re.sub(pattern, same, minus), re.sub(pattern, same, plus)
    return minus == plus


def code(line: str) -> str:
    """The line without its indentation and its comment."""
    return re.sub(r"(^|  )#.*", "", line.strip()).strip()


def check(part: str, only_file: str | None, children: int) -> tuple[int, int, int, bool]:
    """Runs one part and prints its score: (mutants, killed, equivalent, whether all is explained)."""
    start = time.monotonic()
    files = [only_file] if only_file else PARTS[part][0]
    print(f"{part}: testing every mutant of {', '.join(files)}")
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copy = Path(folder)
        copy_repository(part, only_file, copy)
        run_mutmut(copy, children)
        outcome = list(results(copy))
    survivors = Counter(mutant for mutant, status in outcome if status not in KILLED)
    statuses = {mutant: status for mutant, status in outcome if status not in KILLED}
    equivalent = Counter(listed(files))
    unexplained, stale = survivors - equivalent, equivalent - survivors
    made = {mutant for mutant, _ in outcome}

    for mutant in unexplained:
        status = {0: "survived", 33: "no test reaches it", None: "not run"}.get(statuses[mutant], f"status {statuses[mutant]}")
        print(f"NOT KILLED ({status}): {mutant}")
    for mutant in stale:
        print(f"STALE in {LIST.name} ({'now killed' if mutant in made else 'no such mutant'}): {mutant}")
    total, killed = len(outcome), len(outcome) - survivors.total()
    proven = (survivors & equivalent).total()
    timeouts = sum(status in KILLED[4:] for _, status in outcome)
    print(f"{part}: {score(total, killed, proven)}, {timeouts} by running out of time, {time.monotonic() - start:.0f} s")
    return total, killed, proven, not unexplained and not stale


def score(total: int, killed: int, equivalent: int) -> str:
    other = total - equivalent
    return (
        f"{killed} of {total} mutants killed ({killed / total:.2%}), {equivalent} equivalent, "
        f"{killed} of the {other} others killed ({killed / other:.2%})"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=PARTS, help="one part instead of all")
    parser.add_argument("--file", help="one file of that part")
    parser.add_argument("--children", type=int, default=2, help="how many mutants are tested at a time (default: 2)")
    arguments = parser.parse_args()
    if arguments.file and not arguments.only:
        parser.error("--file needs --only, which says by which tests")
    try:
        import mutmut  # noqa: F401
    except ImportError:
        raise SystemExit("mutmut is not installed: pip install -e '.[test,mutation]'") from None
    sys.stdout.reconfigure(line_buffering=True)
    parts = [check(part, arguments.file, arguments.children) for part in ([arguments.only] if arguments.only else PARTS)]
    if len(parts) > 1:
        print(f"all: {score(*(sum(part[i] for part in parts) for i in range(3)))}")
    return 0 if all(part[3] for part in parts) else 1


if __name__ == "__main__":
    sys.exit(main())
