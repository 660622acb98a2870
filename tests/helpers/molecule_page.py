"""The page "Which molecules work", made of the tables that the tests try:

python tests/helpers/molecule_page.py > docs/molecules.md
"""

import sys

import kinds_in_scripts
import kinds_of_molecules
import kinds_of_names

PURPOSE = """Each row stands for structures that the tests make and try. A refusal names the residue and
says what to do. How long a chain may be is up to the weights; their cards say it.

The tables are in `tests/helpers/kinds_*.py`. After a change there, this command writes the page anew:
`python tests/helpers/molecule_page.py > docs/molecules.md`."""


def page() -> str:
    """The page for chemists."""
    head = ("kind of molecule", "written as", "works, or why not")
    tables = {
        "With the command": (
            [*kinds_of_names.KINDS, *kinds_of_molecules.KINDS],
            "`openmm-mdgen run` prepares what it is given for amber14 with GBn2 and says in a line what it changes.",
        ),
        "In a script, with your own topology and System": (
            kinds_in_scripts.KINDS,
            "`MDGenSimulation` and `TrajectoryGenerator` take an OpenMM topology as it is.",
        ),
    }
    lines = ["# Which molecules work", "", PURPOSE]
    for title, (kinds, text) in tables.items():
        rows = [head, ("---",) * 3, *((kind.kind, kind.written, kind.verdict) for kind in kinds)]
        lines += ["", f"## {title}", "", text, "", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
