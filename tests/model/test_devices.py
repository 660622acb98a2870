"""On torch's meta device, where tensors have no values: a tensor made on another device, or read back, is an error."""

import dataclasses

import pytest
import torch

from models import SMALL, random_flow, random_frames
from openmm_mdgen.geometry.rigid import Rigid
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import relaxed
from openmm_mdgen.model import ode
from openmm_mdgen.model.flow import FlowConfig
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.model.tasks import ForwardSimulation, Interpolation
from openmm_mdgen.model.tokens import Tokenizer
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.template import AllAtomTemplate


def on_meta(value):
    if isinstance(value, torch.Tensor):
        return value.to("meta")
    values = {field.name: on_meta(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return type(value)(**values)


@pytest.mark.parametrize("time_mixer", ["attention", "bidirectional_hyena"])
@pytest.mark.parametrize("n_key_frames", [1, 2])
def test_network_and_solver_stay_on_their_device(n_key_frames, time_mixer):
    task = ForwardSimulation() if n_key_frames == 1 else Interpolation()
    tokenizer = Tokenizer(n_key_frames=n_key_frames)
    options = {"token_width": tokenizer.width, "n_key_frames": n_key_frames, "termini": True, "temperature": True}
    config = NetworkConfig(**SMALL, **options, start_in_every_frame=True, time_mixer=time_mixer, frame_embedding=True)
    flow = random_flow(FlowConfig(config, tokenizer, task))
    tokens, condition = flow.condition(random_frames(1))
    network, condition = flow.network.to("meta"), on_meta(condition)
    solver = ode.AdamsBashforth(12)
    with torch.no_grad(), network.sampling():
        ahead = network.told_ahead(condition, solver.times())
        field = lambda t, x: network.evaluate(x, ahead[t], condition, is_padded=False)  # noqa: E731
        state = solver.solve(field, tokens.to("meta")).state
    assert state.device.type == "meta" and state.shape == tokens.shape
    offsets = condition.start if n_key_frames == 1 else (condition.start, condition.end)
    decoded = flow.config.tokenizer.decode(state, *([offsets] if n_key_frames == 1 else offsets))
    assert all(part.device.type == "meta" for part in (decoded[0].rotation, decoded[0].translation, decoded[1]))


@pytest.mark.parametrize("name", ["AKLV", "ACE-YPC-NME"])
def test_atoms_are_placed_on_the_device_of_what_is_generated(name):
    topology, positions = build_peptide(name, seed=1)
    template = AllAtomTemplate.measure(ProteinChain.from_openmm(topology), relaxed(topology, positions))
    torsions = template.torsions.expand(5, *template.torsions.shape).float().to("meta")
    rigids = template.chain_rigids(torsions)
    assert isinstance(rigids, Rigid) and rigids.rotation.device.type == "meta"
    atoms = template.place(rigids, torsions)
    assert atoms.device.type == "meta" and atoms.shape == (5, len(template.chain.atom_indices), 3)
