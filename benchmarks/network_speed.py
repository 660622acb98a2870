"""How long one evaluation of the velocity network takes, and how near its matrix products come to the processor's best.

The network has random weights. Sizes are those of the published models (width 384, five layers: four residues and 1,000
frames, 64 residues and 250 frames) and of bundled weights (width 96, three layers). Processor time of one thread is
measured, which a busy machine disturbs less than wall time; the least of all evaluations counts.

    python benchmarks/network_speed.py

Two versions of the package are compared by two interpreters that take turns, on the same weights and input; what the
two return is compared too:

    python benchmarks/network_speed.py --against /path/to/other/bin/python --rounds 5

Of an environment in which no version is installed, PYTHONPATH names the checkout: ``--against-path``.
"""

import argparse
import inspect
import json
import tempfile
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from shared import add_version_options, both_versions, printed_by

# name: width, layers, heads, frames, residues, copies
SIZES = {
    "published size, 4 residues, 1,000 frames": (384, 5, 16, 1000, 4, 1),
    "published size, 64 residues, 250 frames": (384, 5, 16, 250, 64, 1),
    "bundled size, 4 residues, 50 frames": (96, 3, 6, 50, 4, 1),
    "bundled size, 16 copies of it": (96, 3, 6, 50, 4, 16),
    "bundled size, 10 residues, 50 frames": (96, 3, 6, 50, 10, 1),
    "bundled size, 4 residues, 1,000 frames": (96, 3, 6, 1000, 4, 1),
}


def network_and_input(size: tuple[int, ...]) -> tuple[torch.nn.Module, tuple[Any, ...]]:
    """A network with random weights, and what it is called with."""
    try:
        from openmm_mdgen.geometry.rigid import Rigid
        from openmm_mdgen.model.network import NetworkConfig, VelocityNetwork
        from openmm_mdgen.model.tasks import Condition
    except ImportError:  # versions before the package had folders
        from openmm_mdgen.network import NetworkConfig, VelocityNetwork  # type: ignore[import-not-found, no-redef]
        from openmm_mdgen.rigid import Rigid  # type: ignore[import-not-found, no-redef]
        from openmm_mdgen.tasks import Condition  # type: ignore[import-not-found, no-redef]
    width, n_layers, n_heads, n_frames, n_residues, copies = size
    sizes = {"width": width, "n_layers": n_layers, "n_heads": n_heads, "n_frames": n_frames, "max_residues": n_residues}
    network = VelocityNetwork(NetworkConfig(**sizes, position_embedding=n_residues == 4)).eval()
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, parameter in sorted(network.named_parameters()):
            parameter.copy_(0.05 * torch.randn(parameter.shape, generator=random))
    tokens = torch.randn(copies, n_frames, n_residues, 21, generator=random)
    mask = torch.zeros(tokens.shape[:3], dtype=torch.long)
    mask[:, 0] = 1
    still = Rigid.identity((copies, n_residues), tokens)
    start = Rigid(still.rotation, 10 * torch.randn(copies, n_residues, 3, generator=random))
    none = torch.zeros(copies, n_residues, 7)
    types = torch.randint(0, 20, (copies, n_residues), generator=random)
    given = {"tokens": tokens * mask[..., None], "mask": mask, "aatype": types, "start": start, "end": start}
    given |= {"residue_mask": torch.ones(copies, n_residues), "end_from_start": none, "start_from_end": none}
    known = {field.name for field in fields(Condition)}
    condition = Condition(**{name: value for name, value in given.items() if name in known})
    return network, (tokens, torch.full((1,), 0.3), condition)


def evaluated(network: torch.nn.Module, given: tuple[Any, ...]) -> tuple[float, torch.Tensor]:
    """Seconds of processor time of one evaluation, and what it returns."""
    told = {"is_padded": False} if "is_padded" in inspect.signature(network.forward).parameters else {}
    with torch.no_grad():
        begin = time.process_time()
        returned = network(*given, **told)
        return time.process_time() - begin, returned


def timed(sizes: list[str], repeats: int, out: Path) -> dict[str, float]:
    """Least seconds of an evaluation of each size; what the networks return is written to `out`."""
    torch.set_num_threads(1)
    seconds, returned = {}, {}
    for name in sizes:
        network, given = network_and_input(SIZES[name])
        try:
            evaluated(network, given)
        except Exception:  # versions that want a flow coordinate for each copy
            given = (given[0], given[1].expand(len(given[0])).contiguous(), given[2])
            evaluated(network, given)
        taken = [evaluated(network, given) for _ in range(repeats)]
        seconds[name], returned[name] = min(time for time, _ in taken), taken[0][1]
    torch.save(returned, out)
    return seconds


def of_linear_layers(name: str, repeats: int) -> dict[str, float]:
    """GFLOP of the linear layers of one evaluation, their rate there, and the rate of the same products alone."""
    from openmm_mdgen.model.network import linear

    torch.set_num_threads(1)
    network, given = network_and_input(SIZES[name])
    original, found, inside = linear._onednn, [], [0.0]

    def watched(x: torch.Tensor, weight: torch.Tensor, *rest: Any) -> torch.Tensor:
        begin = time.process_time()
        out = original(x, weight, *rest)
        inside[0] += time.process_time() - begin
        found.append((x.shape, weight.shape))
        return out

    linear._onednn = watched
    shares = []
    for _ in range(repeats + 1):
        inside[0] = 0.0
        found.clear()
        whole, _ = evaluated(network, given)
        shares.append((inside[0], whole))
    linear._onednn = original
    counts = {shapes: found.count(shapes) for shapes in set(found)}
    flops = sum(2 * n * torch.Size(x).numel() * w[0] for (x, w), n in counts.items()) / 1e9
    alone = 0.0
    with torch.no_grad():
        for (x_shape, w_shape), n in counts.items():
            x, w = torch.randn(x_shape), torch.randn(w_shape)
            best = float("inf")
            for _ in range(2 * repeats + 1):
                begin = time.process_time()
                original(x, w, None)
                best = min(best, time.process_time() - begin)
            alone += n * best
    linear_seconds, whole = min(shares[1:])
    return {"GFLOP": flops, "rate": flops / linear_seconds, "best": flops / alone, "share": linear_seconds / whole}


def in_process(python: str, path: str, options: argparse.Namespace, folder: Path) -> tuple[dict[str, float], Any]:
    """What another process measures."""
    out = folder / "returned.pt"
    words = ["--child", str(out), "--repeats", str(options.repeats), "--sizes", *options.sizes]
    told = printed_by(python, path, __file__, *words)
    return json.loads(told.splitlines()[-1]), torch.load(out)


def main(options: argparse.Namespace) -> None:
    if options.child:
        print(json.dumps(timed(options.sizes, options.repeats, options.child)))
        return
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    apart: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            found = [in_process(*version, options, Path(folder)) for version in both_versions(options).values()]
            ours.append(found[0][0])
            for seconds, others in found[1:]:
                theirs.append(seconds)
                for name in options.sizes:
                    off = (found[0][1][name] - others[name]).square().mean() / others[name].square().mean()
                    apart[name] = float(off.sqrt())
    for name in options.sizes:
        line = f"{name}: {1000 * min(each[name] for each in ours):.1f} ms"
        if theirs:
            before = min(each[name] for each in theirs)
            line += f", {1000 * before:.1f} ms in the other version: {before / min(e[name] for e in ours):.2f} times"
            line += f" as fast; apart by {apart[name]:.1e} of the root mean square"
        print(line)
    for name in [name for name in options.sizes if name.startswith("published")]:
        told = of_linear_layers(name, options.repeats)
        print(
            f"{name}: linear layers {told['GFLOP']:.0f} GFLOP at {told['rate']:.0f} GFLOP/s, the same products alone at"
            f" {told['best']:.0f} GFLOP/s; {100 * told['share']:.0f} % of the time"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_version_options(parser)
    parser.add_argument("--rounds", type=int, default=3, help="Number of processes of each version.")
    parser.add_argument("--repeats", type=int, default=3, help="Number of evaluations in each process.")
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), choices=list(SIZES), help="Sizes to measure.")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    main(parser.parse_args())
