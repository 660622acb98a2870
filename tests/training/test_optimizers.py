"""Muon beside AdamW as one optimiser, against torch's own two."""

import copy

import pytest
import torch

from models import small_forward_flow
from openmm_mdgen.training.optimizers import OPTIMIZERS, muon


def gradients(flow, step):
    generator = torch.Generator().manual_seed(step)
    for parameter in flow.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def moved(flow, optimizer, steps):
    for step in steps:
        gradients(flow, step)
        optimizer.step()


def test_muon_moves_the_layers_matrices_and_adamw_all_else():
    ours = small_forward_flow()
    theirs = copy.deepcopy(ours)
    moved(ours, muon(ours, lr=1e-2, weight_decay=0.1), range(3))
    matrices, others = [], []
    for name, parameter in theirs.network.named_parameters():
        inside = name.startswith("layers") or name.startswith("ipa_layers")
        (matrices if inside and parameter.ndim == 2 else others).append(parameter)
    assert len(matrices) > 20 and len(others) > 20
    scaled = torch.optim.Muon(matrices, lr=3e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    moved(theirs, scaled, range(3))
    moved(theirs, torch.optim.AdamW(others, lr=1e-2, betas=(0.9, 0.99), weight_decay=0.1), range(3))
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_goes_on_from_its_saved_state(name):
    whole = small_forward_flow()
    cut = copy.deepcopy(whole)
    make = OPTIMIZERS[name]
    schedule = [torch.optim.lr_scheduler.StepLR, 2]
    states = []
    for flow, parts in ((whole, [range(5)]), (cut, [range(3), range(3, 5)])):
        saved = None
        for steps in parts:
            optimizer = make(flow, lr=1e-2, weight_decay=0.1)
            rates = schedule[0](optimizer, schedule[1], gamma=0.5)
            if saved is not None:
                optimizer.load_state_dict(saved[0])
                rates.load_state_dict(saved[1])
            for step in steps:
                moved(flow, optimizer, [step])
                rates.step()
            saved = copy.deepcopy((optimizer.state_dict(), rates.state_dict()))
        states.append(saved[0])
    assert [g["lr"] for g in states[0]["param_groups"]] == [g["lr"] for g in states[1]["param_groups"]]
    for one, other in zip(whole.parameters(), cut.parameters(), strict=True):
        assert torch.equal(one, other)
