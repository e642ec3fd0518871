"""Pytest's plugin: is every backward in this file right?

    pytest --check-backward layers.py

collects, beside the tests that the file may have, one for each pair of a forward and a backward, named after the backward, and
graded as `python -m npgpt.check layers.py` does. A pair that cannot be graded is skipped, and where none could be, the run does
not pass: its exit status is 5, as for no tests.

Pytest imports this at every start, before any conftest.py; so NumPy and npgpt are imported only where the option is given.
"""

import pytest

GRADED = pytest.StashKey[list[bool]]()  # for each pair that was tried, whether it could be graded


def pytest_addoption(parser):
    text = "test each pair of a forward and a backward in the given files (npgpt)"
    parser.getgroup("npgpt").addoption("--check-backward", action="store_true", help=text)


def pytest_configure(config):
    if config.option.check_backward and "s" not in config.option.reportchars:
        config.option.reportchars += "s"  # say why a pair could not be graded
    config.stash[GRADED] = []


def pytest_pycollect_makemodule(module_path, parent):
    if parent.config.option.check_backward:
        return ModuleWithPairs.from_parent(parent, path=module_path)


def pytest_sessionfinish(session, exitstatus):
    graded = session.config.stash[GRADED]
    if exitstatus == pytest.ExitCode.OK and graded and not any(graded):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


class ModuleWithPairs(pytest.Module):
    """A file of Python, imported and collected as pytest does, and its pairs."""

    def collect(self):
        from npgpt.check.files import pairs_and_cases

        yield from super().collect()
        try:
            pairs, cases = pairs_and_cases(vars(self.obj))
        except ValueError as error:
            raise self.CollectError(str(error)) from None
        for pair in pairs:
            yield BackwardTest.from_parent(self, name=pair.name, pair=pair, cases=cases)


class BackwardTest(pytest.Item):
    """check_backward on one pair."""

    def __init__(self, *, pair, cases, **others):
        super().__init__(**others)
        self.pair, self.cases = pair, cases

    def runtest(self):
        from npgpt.check.one_pair import graded

        try:
            found = graded(self.pair, self.cases, seed=0)
        except ValueError as error:
            pytest.fail(str(error), pytrace=False)
        self.config.stash[GRADED].append(found.verdict is not None)
        if found.verdict is None:
            pytest.skip(str(found))
        if not found.verdict:
            pytest.fail(str(found), pytrace=False)

    def reportinfo(self):
        return self.path, None, self.name
