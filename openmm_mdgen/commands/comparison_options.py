"""Options of the commands that compare trajectories with real MD, each declared once. Times in picosecond."""

from typing import Annotated

import typer

Lagtime = Annotated[
    str, typer.Option(help="Lag time of TICA and of the Markov models, with its unit (fs, ps, ns or us).")
]
Clusters = Annotated[int, typer.Option(help="Number of clusters of k-means, from which the states are joined.")]
States = Annotated[int, typer.Option(help="Number of metastable states of the Markov model.")]
DefinitionsName = Annotated[
    str,
    typer.Option(
        help="Which definitions the measures follow: 'published', for numbers comparable with Jing et al. 2024, or "
        "'sound', which mends what is ill-posed there."
    ),
]
