"""Threads follow the size of the work and what users say, and are given back."""

import pytest
import torch

from models import small_forward_flow
from openmm_mdgen import threads
from openmm_mdgen.errors import MDGenError

SMALL, LARGE = 1e6, 1e12  # multiplications


@pytest.fixture(autouse=True)
def three_threads(monkeypatch):
    """As if three were torch's own number here."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    yield
    torch.set_num_threads(before)


def taken(multiplications):
    with threads.taken_for(multiplications):
        return torch.get_num_threads()


def test_small_work_takes_one_thread_and_gives_the_others_back():
    assert taken(SMALL) == 1 and torch.get_num_threads() == 3
    assert taken(LARGE) == 3
    with pytest.raises(ValueError), threads.taken_for(SMALL):
        raise ValueError
    assert torch.get_num_threads() == 3


def test_large_work_takes_what_users_say(monkeypatch):
    monkeypatch.setenv(threads.VARIABLE, "2")
    assert taken(LARGE) == 2 and taken(SMALL) == 1
    with threads.at_most(4):
        assert taken(LARGE) == 4
        with threads.at_most(None):
            assert taken(LARGE) == 4
    assert taken(LARGE) == 2 and torch.get_num_threads() == 3


@pytest.mark.parametrize("said", ["0", "-1", "all", "1.5"])
def test_a_number_that_is_none_is_refused(monkeypatch, said):
    monkeypatch.setenv(threads.VARIABLE, said)
    with pytest.raises(MDGenError, match="OPENMM_MDGEN_THREADS is .*such as 4"):
        taken(LARGE)


def test_a_sampler_draws_a_small_batch_on_one_thread(monkeypatch):
    from models import INFO, random_frames
    from openmm_mdgen.generators.sampler import Sampler
    from openmm_mdgen.model.ode import Euler

    seen = []
    sampler = Sampler(small_forward_flow(), INFO, Euler(2), torch.device("cpu"))
    plain = sampler.flow.sample
    monkeypatch.setattr(sampler.flow, "sample", lambda *given: seen.append(torch.get_num_threads()) or plain(*given))
    sampler.sample(random_frames(1), [1, 2])
    assert seen == [1] and torch.get_num_threads() == 3
