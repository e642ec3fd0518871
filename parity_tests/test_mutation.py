"""The list of equivalent mutants fits the code; mutation.py, which takes minutes, proves the rest."""

import tomllib

from .mutation import LIST, PARTS, ROOT, code, listed


def test_every_line_that_a_listed_mutant_changes_stands_in_its_file():
    for part in PARTS:
        for mutant in listed(PARTS[part][0]):
            lines = [code(line) for line in (ROOT / mutant.file).read_text(encoding="utf-8").splitlines()]
            assert all(line in lines for line in mutant.minus.splitlines()), str(mutant)
            assert mutant.minus != mutant.plus and f"def {mutant.function.rpartition('.')[2]}(" in "\n".join(lines), str(mutant)


def test_every_entry_of_the_list_belongs_to_one_part():
    entries = tomllib.loads(LIST.read_text(encoding="utf-8"))["equivalent"]
    assert sum(len(listed(PARTS[part][0])) for part in PARTS) == sum(len(entry["mutants"]) for entry in entries)
    assert all(entry["proof"].endswith(".") for entry in entries)
