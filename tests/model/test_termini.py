"""What the model knows of capped ends: fields of frames, the network's embedding, and weights that never saw a cap."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models import NEAR_BOTH_ENDS, NEAR_KEY_FRAME, SMALL, random_flow
from openmm_mdgen.model.flow import FlowConfig
from openmm_mdgen.model.network import NetworkConfig, VelocityNetwork
from openmm_mdgen.model.ode import SOLVERS
from openmm_mdgen.model.tasks import ForwardSimulation, Interpolation, Upsampling
from openmm_mdgen.model.tokens import C_CAPPED, N_CAPPED, Frames, Tokenizer
from openmm_mdgen.molecule.chain import ProteinChain
from structures import capped_peptide, random_rigids, random_torsions

SOLVER = SOLVERS["euler"](3)
NETWORK = NetworkConfig(**SMALL, position_embedding=False, termini=True)


def random_frames(termini, *, n_frames=6, seed=0):
    """(B, T, L) frames of chains with these ends, (B, L)."""
    termini = torch.tensor(termini)
    n_batch, n_residues = termini.shape
    generator = torch.Generator().manual_seed(seed)
    aatype = torch.randint(20, termini.shape, generator=generator)
    rigids = random_rigids(n_batch * n_frames, n_residues, seed).to(torch.float32)
    torsions = random_torsions(n_batch * n_frames, n_residues, seed).float()
    mask = torch.ones(*termini.shape, 7)
    mask[:, 0, :2] = (termini[:, :1] & N_CAPPED).float()
    return Frames(
        aatype,
        replace(rigids, rotation=rigids.rotation.unflatten(0, (n_batch, -1)),
                translation=rigids.translation.unflatten(0, (n_batch, -1))),
        torsions.unflatten(0, (n_batch, -1)),
        mask,
        torch.ones(termini.shape),
        termini,
    )  # fmt: skip


def sampled(flow, frames, seed=1):
    """Torsions (B, T, L, 7, 2) as generated."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(*frames.rigids.shape, flow.config.network.token_width, generator=generator)
    tokens = flow.sample(frames, noise, SOLVER).tokens
    return flow.config.tokenizer.decode(tokens, frames.rigids[:, 0])[1]


def test_frames_of_a_capped_chain_say_so_and_have_the_torsions_of_its_first_residue():
    for n_cap, c_cap, termini in (("ACE", "NME", [1, 0, 2]), (None, "NH2", [0, 0, 2]), ("FOR", None, [1, 0, 0])):
        topology, positions = capped_peptide("AGV", n_cap, c_cap)
        chain = ProteinChain.from_openmm(topology)
        before = chain.before(positions)
        atoms, types = chain.atom14(positions)[None, None], torch.from_numpy(chain.aatype)[None]
        given = None if before is None else before[None, None]
        frames = Frames.from_atom14(types, atoms, torch.from_numpy(chain.termini)[None], given)
        assert frames.termini.tolist() == [termini] and frames.n_capped.tolist() == [n_cap is not None]
        np.testing.assert_array_equal(frames.torsion_mask[0, :, :2], [[n_cap is not None] * 2, [1, 1], [1, 1]])
        free = Frames.from_atom14(types, atoms)
        assert free.termini.tolist() == [[0, 0, 0]]
        torch.testing.assert_close(free.torsions[..., 1:, :, :], frames.torsions[..., 1:, :, :], atol=0, rtol=0)
        assert torch.equal(free.torsion_mask, frames.without_caps().torsion_mask)
    one = capped_peptide("A")[0]
    assert ProteinChain.from_openmm(one).termini.tolist() == [N_CAPPED + C_CAPPED]


def test_termini_go_with_their_frames():
    frames = random_frames([[1, 0, 2], [0, 0, 2], [3, 0, 0]])
    assert frames[1:].termini.tolist() == [[0, 0, 2], [3, 0, 0]]
    assert frames[torch.tensor([2, 2])].termini.tolist() == [[3, 0, 0]] * 2
    assert Frames.cat([frames[:1], frames[2:]]).termini.tolist() == [[1, 0, 2], [3, 0, 0]]
    assert torch.equal(frames.repeat_first(4).termini, frames.termini)
    assert frames.to(torch.float64).termini.dtype == torch.int64
    assert torch.equal(frames.to(torch.device("cpu")).termini, frames.termini)


def test_the_network_is_told_of_termini_where_its_configuration_says_so():
    assert "termini_to_emb.weight" not in VelocityNetwork(replace(NETWORK, termini=False)).state_dict()
    fresh = VelocityNetwork(NETWORK).state_dict()
    assert fresh["termini_to_emb.weight"].shape == (4, SMALL["width"])
    assert (fresh["termini_to_emb.weight"] == 0).all(), "weights that learn of caps begin where the old ones were"
    flow = random_flow(FlowConfig(NETWORK, Tokenizer(**NEAR_KEY_FRAME), ForwardSimulation()))
    frames = random_frames([[1, 0, 2]])
    made = [sampled(flow, replace(frames, termini=torch.tensor([ends]))) for ends in ([1, 0, 2], [1, 0, 0], [3, 0, 2])]
    assert all((made[0] - other).abs().max() > 1e-4 for other in made[1:])
    with pytest.raises(ValueError, match="prepend_ipa"):
        NetworkConfig(termini=True, prepend_ipa=False)


def test_chains_of_mixed_lengths_and_ends_are_generated_as_each_alone():
    flow = random_flow(FlowConfig(NETWORK, Tokenizer(**NEAR_KEY_FRAME), ForwardSimulation())).double()
    for ends in ([[3]], [[1, 2]], [[0, 0]]):
        short = random_frames(ends).to(torch.float64)
        n = len(ends[0])
        long = random_frames([[1, 0, 2, 0], [1, 0, 0, 2]], seed=5).to(torch.float64)
        long.residue_mask[0, n:] = 0
        long.termini[0] = 0
        for ours, theirs in (
            (long.rigids.rotation, short.rigids.rotation),
            (long.rigids.translation, short.rigids.translation),
            (long.torsions, short.torsions),
        ):
            ours[0, :, :n] = theirs[0]
        for ours, theirs in (
            (long.aatype, short.aatype),
            (long.termini, short.termini),
            (long.torsion_mask, short.torsion_mask),
        ):
            ours[0, :n] = theirs[0]
        together = replace(long, torsion_mask=long.torsion_mask * long.residue_mask[..., None])
        noise = torch.randn(2, 6, 4, 21, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        both = flow.sample(together, noise, SOLVER).tokens
        alone = flow.sample(short, noise[:1, :, :n], SOLVER).tokens
        torch.testing.assert_close(both[:1, :, :n], alone, atol=1e-9, rtol=0)


@pytest.mark.parametrize("task", [ForwardSimulation(), Interpolation(), Upsampling(2)], ids=lambda t: type(t).__name__)
@pytest.mark.parametrize("scaled", [True, False])
def test_weights_that_never_saw_a_cap_keep_the_turns_it_defines(task, scaled):
    tokenizer = Tokenizer(**(NEAR_KEY_FRAME if task.n_key_frames == 1 else NEAR_BOTH_ENDS))
    if not scaled:
        tokenizer = Tokenizer(n_key_frames=task.n_key_frames, zero_undefined=False)
    network = replace(NETWORK, termini=False, token_width=tokenizer.width, n_key_frames=task.n_key_frames)
    flow = random_flow(FlowConfig(network, tokenizer, task, hold_known=scaled), scale=0.1)
    frames = random_frames([[1, 0, 2], [0, 0, 0]], n_frames=5)
    made, angle = sampled(flow, frames), torch.atan2(*frames.torsions.unbind(-1))
    kept = torch.atan2(*made[0, :, 0, :2].unbind(-1))
    known = {ForwardSimulation: [0], Interpolation: [0, 4], Upsampling: [0, 2, 4]}[type(task)]
    assert (torch.sin((kept - angle[0, :, 0, :2])[known] / 2)).abs().max() < 1e-5
    if known == [0]:
        assert torch.sin((kept - kept[:1]) / 2).abs().max() < 1e-5
    else:  # half way, by the shorter turn
        first, middle, last = known[0], (known[0] + known[1]) // 2, known[1]
        one, two = (torch.sin(kept[a] - kept[b]) for a, b in ((middle, first), (last, middle)))
        torch.testing.assert_close(one, two, atol=1e-5, rtol=0)
    free = sampled(flow, frames.without_caps())
    torch.testing.assert_close(made[:, :, 1:], free[:, :, 1:], atol=0, rtol=0)
    torch.testing.assert_close(made[1], free[1], atol=0, rtol=0)


def test_the_loss_of_such_weights_leaves_out_what_a_cap_defines():
    tokenizer, task = Tokenizer(**NEAR_KEY_FRAME), ForwardSimulation()
    old, new = (
        random_flow(FlowConfig(replace(NETWORK, termini=termini), tokenizer, task)) for termini in (False, True)
    )
    frames = random_frames([[1, 0, 2]])
    other = replace(frames, torsions=frames.torsions.clone())
    other.torsions[:, 1:, 0, :2] = -frames.torsions[:, 1:, 0, :2]
    noise, t = torch.randn(1, 6, 3, 21), torch.tensor([0.4])
    assert torch.equal(old.loss(frames, noise, t), old.loss(other, noise, t))
    assert not torch.equal(new.loss(frames, noise, t), new.loss(other, noise, t))
