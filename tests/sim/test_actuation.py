"""What comes between a target and the servos, against what each part of it should do alone."""

import pytest
import torch
from go2_states import JOINTS, ROBOT

from contract.errors import UsageError
from sim.actuation import Actuation

DT, DECIMATION = 0.005, 4
PERIOD = DT * DECIMATION


def _actuation(num_envs, seed=0, **values):
    actuation = Actuation(ROBOT, num_envs, PERIOD, DT, DECIMATION, torch.Generator().manual_seed(seed))
    everyone = torch.arange(num_envs)
    given = {name: torch.as_tensor(value, dtype=torch.float32) for name, value in values.items()}
    actuation.set(everyone, {n: v.expand(num_envs, actuation.parameters[n].size).clone() for n, v in given.items()})
    return actuation


def _sent(actuation, steps):
    """Targets (steps, N, S) of the first joint where the policy asks for 1, 2, 3, ... after 0."""
    n = len(actuation.values["action_delay"])
    zero, last, out = torch.zeros(n, JOINTS), torch.zeros(n, JOINTS), []
    for step in range(1, steps + 1):
        target = torch.full((n, JOINTS), float(step))
        out.append(actuation.targets(target, last, zero, zero)[:, :, 0])
        last = target
    return torch.stack(out)


def test_without_anything_a_target_is_there_at_once():
    sent = _sent(_actuation(2), 3)
    assert torch.equal(sent, torch.tensor([1.0, 2.0, 3.0])[:, None, None].expand(3, 2, DECIMATION))


def test_jitter_spreads_arrivals_evenly_over_its_range():
    """A delay of 5 to 15 ms: the first step, 2.5 ms after the target was sent, never has it, that at 17.5 ms always."""
    sent = _sent(_actuation(400, action_delay=0.005, action_jitter=0.01), 20)
    fresh = sent == torch.arange(1.0, 21.0)[:, None, None]
    share = fresh.double().mean(dim=(0, 1))
    # Present at 7.5 ms with probability (7.5 - 5) / 10, at 12.5 ms with (12.5 - 5) / 10.
    for found, expected in zip(share.tolist(), (0.0, 0.25, 0.75, 1.0), strict=True):
        assert found == pytest.approx(expected, abs=4 * (0.25 / 8000) ** 0.5)
    assert torch.equal(sent[~fresh], (sent.new_tensor(range(20))[:, None, None].expand_as(sent))[~fresh])


def test_motors_hold_the_last_target_that_came_while_others_are_lost():
    sent = _sent(_actuation(200, action_drop=0.3), 50)
    assert torch.equal(sent[..., :1].expand_as(sent), sent)  # without delay a period has one target
    now, before = sent[1:, :, 0], sent[:-1, :, 0]
    step = torch.arange(2.0, 51.0)[:, None].expand_as(now)
    assert torch.equal(torch.where(now == step, step, before), now)
    assert (now != step).double().mean().item() == pytest.approx(0.3, abs=4 * (0.21 / now.numel()) ** 0.5)


def test_a_lost_target_does_not_come_late_either():
    """With a delay of half a period the target of the period before is there first, unless that was lost."""
    sent = _sent(_actuation(300, action_delay=0.01, action_drop=0.3), 40)
    early, late = sent[..., 0], sent[..., -1]
    steps = torch.arange(1.0, 41.0)[:, None].expand_as(late)
    assert (late <= steps).all()
    assert torch.equal(early[1:], late[:-1])  # what came last is held until something new comes


def test_offsets_of_default_pose_and_encoder_shift_every_target():
    offset = torch.linspace(-0.02, 0.02, JOINTS)
    actuation = _actuation(1, default_pose_offset=offset)
    target, encoder = torch.full((1, JOINTS), 0.5), torch.full((1, JOINTS), 0.1)
    sent = actuation.targets(target, target, encoder, torch.zeros(1, JOINTS))
    assert torch.allclose(sent[0], (0.5 + offset - 0.1).expand(DECIMATION, JOINTS))


@pytest.mark.parametrize(
    ("target", "pulls", "slack"), [(0.3, 0.29, 0.01), (0.008, 0.0, 0.008), (0.0, 0.0, 0.0), (-0.2, -0.19, -0.01)]
)
def test_a_gear_transmits_nothing_within_its_play(target, pulls, slack):
    """The servo's error at the joint is the dead zone of target - q; its encoder is on the motor."""
    joint = torch.full((1, JOINTS), 0.4)
    actuation = _actuation(1, backlash=0.02)
    wanted = joint + target
    sent = actuation.targets(wanted, wanted, torch.zeros(1, JOINTS), joint)
    assert torch.allclose(sent - joint[:, None], torch.full_like(sent, pulls), atol=1e-6)
    assert torch.allclose(actuation.slack, torch.full((1, JOINTS), slack), atol=1e-6)
    actuation.reset(torch.tensor([0]))
    assert (actuation.slack == 0.0).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"action_delay": 0.03}, "action_delay must lie between 0 and 0.02 s"),
        ({"action_delay": 0.015, "action_jitter": 0.01}, "action_delay and action_jitter together must lie between"),
        ({"action_jitter": -0.01}, "action_delay and action_jitter together must lie between"),
        ({"action_drop": 1.5}, "action_drop must lie between 0 and 1"),
        ({"action_drop": float("nan")}, "action_drop must lie between 0 and 1"),
        ({"action_hold": -1.0}, "action_hold must lie between 0 and inf"),
        ({"backlash": -0.1}, "backlash must lie between 0 and inf"),
    ],
)
def test_what_cannot_be_played_is_refused(values, message):
    with pytest.raises(UsageError, match=message):
        _actuation(1, **values)


def test_a_loaded_way_goes_on_as_the_saved_one():
    values = {"action_delay": 0.005, "action_jitter": 0.01, "action_drop": 0.3, "action_hold": 0.05, "backlash": 0.02}
    one, other = _actuation(20, 3, **values), _actuation(20, 3)
    _sent(one, 5)
    other.load_state_dict(one.state_dict())
    other._generator.set_state(one._generator.get_state())
    assert torch.equal(_sent(one, 5), _sent(other, 5))
    assert torch.equal(one.slack, other.slack)
