"""`examples/first_look.ipynb`: it is committed as it was run, and it runs, at short size."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

PATH = Path(__file__).parents[1] / "examples" / "first_look.ipynb"
LONG, SHORT = "SHORT = False", "SHORT = True"
FIGURES = 3


def notebook():
    return nbformat.read(PATH, as_version=4)


def outputs(made):
    return [output for cell in made.cells if cell.cell_type == "code" for output in cell.outputs]


def figures(made):
    return [output for output in outputs(made) if "image/png" in output.get("data", {})]


def printed(made):
    return "".join(output.text for output in outputs(made) if output.output_type == "stream")


def test_it_is_kept_as_it_was_run_in_full():
    made = notebook()
    nbformat.validate(made)
    cells = [cell for cell in made.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(cell.source.startswith(LONG) for cell in cells) == 1
    assert {output.output_type for output in outputs(made)} <= {"stream", "display_data"}  # no error, no warning
    assert not [output for output in outputs(made) if output.get("name") == "stderr"]
    assert len(figures(made)) == FIGURES
    assert "1000 frames, 10 ns" in printed(made) and "segments rejected" in printed(made)


@pytest.mark.slow
def test_it_runs_at_short_size_from_another_folder(tmp_path):
    made = notebook()
    for cell in made.cells:
        cell.source = cell.source.replace(LONG, SHORT)
    NotebookClient(made, timeout=500, kernel_name="python3").execute(cwd=str(tmp_path))
    assert len(figures(made)) == FIGURES
    assert "100 frames, 1 ns" in printed(made) and "10000 steps generated" in printed(made)
    assert any("3dmoljs" in name for output in outputs(made) for name in output.get("data", {}))
    assert not list(tmp_path.iterdir())
