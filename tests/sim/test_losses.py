"""Lost messages, alone and in bursts."""

import pytest
import torch

from sim.losses import Losses

PERIOD = 0.02


def _draws(num_envs, steps, probability, hold, seed=0):
    losses = Losses(num_envs, PERIOD, torch.Generator().manual_seed(seed))
    p, seconds = torch.full((num_envs,), probability), torch.full((num_envs,), hold)
    return torch.stack([losses.draw(p, seconds) for _ in range(steps)])


def test_single_losses_are_as_frequent_as_they_say_and_independent():
    lost = _draws(100, 400, 0.1, 0.0)
    n = lost.numel()
    # Four standard errors of a share, sqrt(p (1 - p) / n).
    assert lost.double().mean().item() == pytest.approx(0.1, abs=4 * (0.09 / n) ** 0.5)
    both = (lost[1:] & lost[:-1]).double().mean().item()
    assert both == pytest.approx(0.01, abs=4 * (0.0099 / n) ** 0.5)


@pytest.mark.parametrize(("hold", "periods"), [(0.0, 1), (0.02, 1), (0.029, 1), (0.06, 3), (0.1, 5)])
def test_a_burst_lasts_as_long_as_it_says(hold, periods):
    lost = _draws(200, 300, 0.01, hold).T
    lengths = []
    for row in lost.int().tolist():
        runs = "".join(map(str, row)).strip("1").split("0")
        lengths += [len(run) for run in runs if run]
    # Now and then a burst follows right upon another.
    assert min(lengths) == periods
    assert sorted(lengths)[len(lengths) // 2] == periods
    assert all(length % periods == 0 for length in lengths)


def test_certain_and_impossible_losses():
    assert _draws(3, 20, 1.0, 0.0).all()
    assert not _draws(3, 20, 0.0, 0.5).any()


def test_a_reset_ends_a_loss_of_some():
    losses = Losses(2, PERIOD, torch.Generator().manual_seed(0))
    assert losses.draw(torch.ones(2), torch.ones(2)).all()
    losses.reset(torch.tensor([1]))
    assert losses.draw(torch.zeros(2), torch.ones(2)).tolist() == [True, False]


def test_a_loaded_link_goes_on_as_the_saved_one():
    one, other = (Losses(50, PERIOD, torch.Generator().manual_seed(0)) for _ in range(2))
    p, hold = torch.full((50,), 0.2), torch.full((50,), 0.1)
    one.draw(p, hold)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.draw(0 * p, hold), other.draw(0 * p, hold))
