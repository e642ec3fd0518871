"""Makes article.ipynb (English) and makale.ipynb (Turkish) from article.py, runs them, and keeps what they show.

Write both anew:                            python examples/make_notebooks.py
Do their cells still say what article.py says?  python examples/make_notebooks.py --check

Needs: pip install -e '.[notebook,plotly]'. Made again on the same machine, a notebook is the same file: no times, no numbers of
runs, and a cell's id comes from its text.
"""

import argparse
import copy
import hashlib
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

from command_line import told_errors

EXAMPLES = Path(__file__).parent
SOURCE = EXAMPLES / "article.py"
NOTEBOOKS = {"en": EXAMPLES / "article.ipynb", "tr": EXAMPLES / "makale.ipynb"}
PLOTLY = "application/vnd.plotly.v1+json"


def notebook(lang: str):
    """The notebook in that language, not yet run: the source's cells without its docstring and without the other language's."""
    cells = []
    for cell in jupytext.read(SOURCE, fmt="py:percent").cells[1:]:
        if cell.metadata.get("lang", lang) == lang:
            cell.metadata = {}
            cell.id = hashlib.sha1(cell.source.encode()).hexdigest()[:8]
            cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def run(unrun, folder: Path = EXAMPLES):
    """A copy with every cell run, beginning to end, in a kernel of its own that works in the folder. Raises CellExecutionError
    with the cell and its traceback where one fails."""
    client = NotebookClient(
        copy.deepcopy(unrun),
        kernel_name="python3",
        timeout=300,  # seconds, of one cell
        record_timing=False,
        coalesce_streams=True,  # in how many pieces a cell's lines arrive is chance
        extra_arguments=["--IPKernelApp.log_level=40"],  # errors, but no warning of how the two processes talk
        resources={"metadata": {"path": str(folder)}},
    )
    done = client.execute()
    done.metadata = unrun.metadata  # without the version of the Python that ran it
    for cell in done.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [without_what_changes(output) for output in cell.outputs]
    return done


def without_what_changes(output):
    """The output without the number of its run, and without the page beside plotly's form, which has a new id every time."""
    if "execution_count" in output:
        output.execution_count = None
    if PLOTLY in output.get("data", {}):
        output.data.pop("text/html", None)
    return output


def differing_cells(lang: str) -> list[str]:
    """The ids of cells that are not both in the source and, in the same place, in the notebook on disk."""
    wanted = [(cell.id, cell.cell_type, cell.source) for cell in notebook(lang).cells]
    found = [(cell.id, cell.cell_type, cell.source) for cell in nbformat.read(NOTEBOOKS[lang], as_version=4).cells]
    if wanted == found:
        return []
    return sorted({cell[0] for cell in set(wanted) ^ set(found)}) or ["their order"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare the notebooks' cells with the source")
    check = parser.parse_args().check
    for lang, path in NOTEBOOKS.items():
        if check:
            if different := differing_cells(lang):
                sys.exit(f"error: {path} is not what article.py says ({', '.join(different)}); this makes it: {sys.argv[0]}")
        else:
            path.write_text(nbformat.writes(run(notebook(lang))) + "\n", encoding="utf-8")
            print(f"wrote {path}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    with told_errors():
        main()
