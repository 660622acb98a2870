"""Measures whether chains of proteins hold together in generated frames.

    python benchmarks/holds_together.py villin.pdb bpti.pdb --frames 250
    python benchmarks/holds_together.py bpti.pdb --weights weights.safetensors --frames 250

Without weights a network of the published size for proteins stands in their place, with random numbers: its frames
are as wild as frames can be. Structures are minimised first, with 100 steps at most. Each row tells: bonds of the
chain, and disulfides, farthest from the structure's length; the share of neighbouring CA within 0.38 +- 0.02 nm, cis
apart; how many frames are invalid; the share of frames in which heavy atoms that are not bonded are nearer than 0.1 nm,
and of those in which atoms are nearer than the gate of hybrid runs allows; the distance of N, CA and C to the generated
ones (root mean square), of the nearest chain and of the one that is handed out, in which atoms have got out of each
other's way; and the seconds that placing a frame takes.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from openmm import Context, LocalEnergyMinimizer, Platform, VerletIntegrator, app, unit
from scipy.spatial.distance import pdist, squareform

from openmm_mdgen.generators.sampler import Sampler, frames_of
from openmm_mdgen.geometry.bonds import TOO_CLOSE
from openmm_mdgen.geometry.rigid import Rigid
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.flow import FlowConfig, TrajectoryFlow
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.model.ode import Euler
from openmm_mdgen.model.tasks import ForwardSimulation
from openmm_mdgen.model.tokens import Frames, Tokenizer
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.nearest import nearest_apart, nearest_chain
from openmm_mdgen.molecule.placement import BackboneFitted
from openmm_mdgen.molecule.template import AllAtomTemplate

CLOSE = 0.1  # nm: heavy atoms that are not bonded


def random_weights(n_frames: int) -> tuple[TrajectoryFlow, ModelInfo]:
    """A network of the published size for proteins: 34 million numbers, drawn at random."""
    network = NetworkConfig(
        width=384,
        n_layers=5,
        n_heads=16,
        ipa_heads=4,
        ipa_head_width=32,
        ipa_points=8,
        ipa_value_points=8,
        max_residues=256,
        n_frames=n_frames,
        time_mixer="attention",
        position_embedding=False,
        rotary=True,
        sink_has_position=True,
        prepend_ipa=True,
    )
    torch.manual_seed(0)
    flow = TrajectoryFlow(FlowConfig(network, Tokenizer(zero_undefined=False), ForwardSimulation(), hold_known=False))
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    info = ModelInfo("random", n_frames, 400.0, 300.0, backbone="fitted")
    return flow.eval().requires_grad_(False), info


def minimised(path: Path) -> tuple[app.Topology, np.ndarray]:
    """In amber14 without solvent and with a cutoff, which is quick; peptide bonds of crystals are bent."""
    pdb = app.PDBFile(str(path))
    modeller = app.Modeller(pdb.topology, pdb.positions)
    force_field = app.ForceField("amber14-all.xml")
    if not any(a.element is app.element.hydrogen for a in pdb.topology.atoms()):
        modeller.addHydrogens(force_field)
    system = force_field.createSystem(modeller.topology, nonbondedMethod=app.CutoffNonPeriodic)
    context = Context(system, VerletIntegrator(0.001), Platform.getPlatformByName("CPU"), {"Threads": "1"})
    context.setPositions(modeller.positions)
    LocalEnergyMinimizer.minimize(context, 10, 100)
    positions = context.getState(positions=True).getPositions(asNumpy=True)
    return modeller.topology, np.array(positions.value_in_unit(unit.nanometer))


def generated(
    sampler: Sampler, chain: ProteinChain, positions: np.ndarray, n_frames: int
) -> tuple[Rigid, torch.Tensor]:  # fmt: skip
    """Rigids and torsions (R, T, L) of as many segments from the structure as have so many frames."""
    frames = frames_of(chain, (positions - positions.mean(axis=0))[None, None])
    frames = frames.repeat_first(sampler.info.n_frames)
    seeds = range(1, 1 + max(1, math.ceil(n_frames / (sampler.info.n_frames - 1))))
    tokens = sampler.sample(Frames.cat([frames] * len(seeds)), list(seeds))
    return sampler.flow.config.tokenizer.decode(tokens[:, 1:], frames.rigids[:, 0])


def row(path: Path, sampler: Sampler, n_frames: int) -> str:
    topology, positions = minimised(path)
    chain = ProteinChain.from_openmm(topology)
    template = AllAtomTemplate.measure(chain, positions)
    chain = template.chain
    begun = time.perf_counter()
    rigids, torsions = generated(sampler, chain, positions, n_frames)
    network, begun = time.perf_counter() - begun, time.process_time()
    placed = BackboneFitted().place(template, rigids, torsions)
    seconds = (time.process_time() - begun) / placed.is_valid.numel()
    is_valid = placed.is_valid.flatten().numpy()
    nearest, handed_out = (
        float(near(template, rigids[:3, :20], torsions[:3, :20]).distance.mean()) / 10
        for near in (nearest_chain, nearest_apart)
    )
    atoms, own = placed.atoms.flatten(0, 1).double().numpy()[is_valid], positions[chain.atom_indices]
    bonds = chain.graph.bonds
    lengths = np.linalg.norm(atoms[:, bonds[:, 0]] - atoms[:, bonds[:, 1]], axis=-1)
    worst = np.abs(lengths - np.linalg.norm(own[bonds[:, 0]] - own[bonds[:, 1]], axis=-1)).max(axis=0)
    names = np.array(chain.atom_names)[bonds]
    is_bridge = (names == "SG").all(axis=1)
    is_ring = np.isin(names, ("CD", "CG")).any(axis=1) & (chain.aatype[chain.atom_residue[bonds[:, 0]]] == 14)
    ca = np.searchsorted(chain.atom_indices, chain.atom14_index[:, 1])
    apart = np.linalg.norm(np.diff(atoms[:, ca], axis=1), axis=-1)[:, template.torsions[1:, 0, 1].numpy() < 0]
    heavy = ~chain.is_hydrogen
    apart_by_bonds = ~chain.graph.near(2)[np.ix_(heavy, heavy)]
    clashing = [(squareform(pdist(x[heavy])) < CLOSE)[apart_by_bonds].any() for x in atoms[:50]]
    limit = np.array(TOO_CLOSE)[chain.is_hydrogen[:, None].astype(int) + chain.is_hydrogen[None]]
    overlapping = [(squareform(pdist(x)) < limit)[~chain.graph.near()].any() for x in atoms[:50]]
    bridges = f"{worst[is_bridge].max():.4f}" if is_bridge.any() else "-"
    return (
        f"{path.stem:16} {len(chain.sequence):4} {len(is_valid):4} {worst[~is_ring & ~is_bridge].max():.4f} "
        f"{bridges:>7} "
        f"{100 * (np.abs(apart - 0.38) < 0.02).mean():6.2f} {(~is_valid).sum():4} {100 * np.mean(clashing):5.1f} "
        f"{100 * np.mean(overlapping):5.1f} {nearest:.3f} {handed_out:.3f} {seconds:.4f} {network:.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("structures", nargs="+", type=Path, help="PDB files of one protein each")
    parser.add_argument("--weights", help="weights of forward simulation; without them random ones")
    parser.add_argument(
        "--frames", type=int, default=250, help="of each structure, at least; random weights give one segment"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.weights:
        sampler = Sampler.load(options.weights, task=ForwardSimulation.name, device="cpu")
    else:
        sampler = Sampler(*random_weights(options.frames + 1), Euler(1), torch.device("cpu"))
    print(
        "structure        residues frames bonds/nm S-S/nm CA% invalid clash% overlap% nearest/nm handed-out/nm s/frame "
        "network/s"
    )
    for path in options.structures:
        print(row(path, sampler, options.frames), flush=True)


if __name__ == "__main__":
    main()
