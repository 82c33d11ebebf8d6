"""Draws of commands: range, share of zeros, hold times, and commands given from outside."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from sim.commands import CommandSource
from sim.tasks.task import CommandSpec

PERIOD = 0.02


def _spec(**changes):
    values = {
        "name": "command",
        "elements": ("vx", "vy", "yaw_rate"),
        "lower": (-1.0, -0.5, 0.2),
        "upper": (1.0, 0.5, 0.8),
        "hold": (0.5, 1.5),
        "zero_fraction": 0.1,
        "mirror_sign": (1.0, -1.0, -1.0),
    }
    return CommandSpec(**{**values, **changes})


def _source(num_envs, seed=0, **changes):
    return CommandSource(_spec(**changes), num_envs, PERIOD, torch.Generator().manual_seed(seed))


def test_commands_fill_their_range_and_some_are_zero():
    source = _source(20_000)
    source.draw(torch.arange(20_000))
    zero = (source.value == 0.0).all(dim=1)
    assert abs(zero.float().mean().item() - 0.1) < 0.01
    moving = source.value[~zero]
    lower, upper = torch.tensor(source.spec.lower), torch.tensor(source.spec.upper)
    assert (moving >= lower).all()
    assert (moving <= upper).all()
    share = (moving - lower) / (upper - lower)
    for quantile in (0.01, 0.25, 0.5, 0.75, 0.99):
        assert (torch.quantile(share, quantile, dim=0) - quantile).abs().max() < 0.02


@given(st.floats(0.0, 1.0), st.integers(0, 2**31))
def test_no_command_is_ever_outside_range_and_zero(zero_fraction, seed):
    source = _source(50, seed=seed, zero_fraction=zero_fraction)
    source.draw(torch.arange(50))
    lower, upper = torch.tensor(source.spec.lower), torch.tensor(source.spec.upper)
    inside = ((source.value >= lower) & (source.value <= upper)).all(dim=1)
    assert (inside | (source.value == 0.0).all(dim=1)).all()


def test_a_command_is_held_for_a_time_within_its_range():
    n = 300
    source = _source(n, zero_fraction=0.0)
    source.draw(torch.arange(n))
    since, holds = torch.zeros(n), []
    before = source.value.clone()
    for _ in range(300):
        source.advance()
        since += PERIOD
        new = (source.value != before).any(dim=1)
        holds.append(since[new].clone())
        since[new] = 0.0
        before = source.value.clone()
    held = torch.cat(holds)
    assert held.min() >= 0.5 - 1e-4
    assert held.max() <= 1.5 + PERIOD + 1e-4
    assert abs(held.mean().item() - 1.0) < 0.05
    assert held.std() > 0.2


def test_a_draw_for_some_leaves_the_others_alone():
    source = _source(4, zero_fraction=0.0)
    source.draw(torch.arange(4))
    before = source.value.clone()
    source.draw(torch.tensor([2]))
    assert (source.value != before).any(dim=1).tolist() == [False, False, True, False]


def test_fixed_commands_stay():
    source = _source(3)
    commands = torch.tensor([[0.6, 0.0, 0.0]]).repeat(3, 1)
    source.fix(commands)
    commands[:] = 9.0
    source.draw(torch.arange(3))
    for _ in range(200):
        source.advance()
    assert torch.equal(source.value, torch.tensor([[0.6, 0.0, 0.0]]).repeat(3, 1))


def test_a_loaded_source_goes_on_as_the_saved_one():
    one, other = _source(5, seed=1), _source(5, seed=1)
    one.draw(torch.arange(5))
    for _ in range(7):
        one.advance()
    other._generator.set_state(one._generator.get_state())
    other.load_state_dict(one.state_dict())
    for _ in range(200):
        one.advance()
        other.advance()
        assert torch.equal(one.value, other.value)
