"""Draws: pure functions of (seed, environment, episode), with the statistics of their distributions."""

import dataclasses
import json
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import UsageError
from domain_rand.distributions import Constant, LogUniform, Uniform
from domain_rand.randomiser import EpisodeRandomiser, ReplayRandomiser
from domain_rand.spec import At, Every, Per, Randomisation, Term
from sim.engines.engine import Parameter

PARAMETERS = {
    "mass": Parameter(1, "kg", 0.0, ""),
    "gain": Parameter(12, "1", 1.0, ""),
    "armature": Parameter(12, "kg m^2", 0.01, ""),
    "noise": Parameter(1, "rad", 0.0, ""),
}
SPEC = Randomisation(
    (
        Term("mass", Uniform(-1.0, 2.0)),
        Term("gain", LogUniform(0.5, 2.0)),
        Term("armature", Uniform(0.01, 0.02), Per.ROBOT),
        Term("noise", Constant(0.3)),
    )
)


def _randomiser(seed=0, spec=SPEC):
    randomiser = EpisodeRandomiser(spec, seed)
    randomiser.bind(PARAMETERS)
    return randomiser


def _draw(randomiser, envs, episodes):
    return randomiser.draw(np.array(envs), np.array(episodes))


def test_shapes_and_types():
    draw = _draw(_randomiser(), [0, 1, 2], [0, 0, 5])
    assert {n: tuple(v.shape) for n, v in draw.items()} == {n: (3, p.size) for n, p in PARAMETERS.items()}
    assert all(v.dtype == torch.float32 for v in draw.values())


@given(st.integers(0, 2**40), st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 10**6)), min_size=1, max_size=5))
def test_an_episode_is_drawn_again_in_any_order_and_company(seed, pairs):
    envs, episodes = zip(*pairs, strict=True)
    draw = _draw(_randomiser(seed), envs, episodes)
    other = _randomiser(seed)
    for i in reversed(range(len(pairs))):
        alone = _draw(other, [envs[i]], [episodes[i]])
        assert all(torch.equal(alone[n][0], draw[n][i]) for n in draw)


def test_seeds_environments_and_episodes_all_count():
    masses = {
        (seed, env, episode): _draw(_randomiser(seed), [env], [episode])["mass"].item()
        for seed in range(3)
        for env in range(3)
        for episode in range(3)
    }
    assert len(set(masses.values())) == 27


def test_numbers_are_spread_evenly_and_independent():
    """600 episodes of 12 joints: empirical quantiles within 4 standard errors, sqrt(p (1 - p) / n)."""
    n = 600
    draw = _draw(_randomiser(), np.arange(n) % 20, np.arange(n) // 20)
    share = {
        "mass": (draw["mass"] + 1.0) / 3.0,
        "gain": torch.log(draw["gain"] / 0.5) / np.log(4.0),
        "armature": (draw["armature"][:, :1] - 0.01) / 0.01,
    }
    for name, u in share.items():
        for p in (0.05, 0.25, 0.5, 0.75, 0.95):
            below = (u < p).double().mean().item()
            assert abs(below - p) < 4.0 * np.sqrt(p * (1 - p) / u.numel()), (name, p)
    correlation = torch.corrcoef(torch.cat(list(share.values()), dim=1).T)
    assert (correlation - torch.eye(len(correlation))).abs().max() < 4.5 / np.sqrt(n)


def test_who_shares_a_number():
    draw = _draw(_randomiser(), [0, 1], [0, 0])
    assert (draw["armature"] == draw["armature"][:, :1]).all()
    assert draw["armature"][0, 0] != draw["armature"][1, 0]
    assert draw["gain"].unique().numel() == 24


def test_a_range_can_be_widened_without_disturbing_the_other_draws():
    wide = Randomisation((Term("mass", Uniform(-2.0, 4.0)), *SPEC.terms[1:]))
    a, b = (_draw(_randomiser(3, spec), [4], [7]) for spec in (SPEC, wide))
    assert a["mass"] != b["mass"]
    assert all(torch.equal(a[n], b[n]) for n in ("gain", "armature", "noise"))


def test_what_the_environment_does_not_have_is_refused_by_name():
    with pytest.raises(UsageError, match="no parameter 'ice'; it has armature, gain, mass, noise"):
        _randomiser(spec=Randomisation((Term("ice", Constant(1.0)),)))
    with pytest.raises(UsageError, match="no parameter 'ice'"):
        ReplayRandomiser({"ice": torch.zeros(1, 1)}).bind(PARAMETERS)
    with pytest.raises(UsageError, match="'gain' has 3 numbers, the environment 12"):
        ReplayRandomiser({"gain": torch.zeros(1, 3)}).bind(PARAMETERS)


def test_a_replay_gives_each_environment_its_row_in_every_episode():
    recorded = _draw(_randomiser(), [0, 1, 2], [4, 4, 4])
    replay = ReplayRandomiser(recorded)
    replay.bind(PARAMETERS)
    again = _draw(replay, [2, 0], [0, 99])
    assert all(torch.equal(again[n], recorded[n][[2, 0]]) for n in recorded)


def test_a_replay_has_no_state():
    replay = ReplayRandomiser({})
    assert replay.state_dict() == {}
    replay.load_state_dict({})
    with pytest.raises(ValueError, match="a replay has no state"):
        replay.load_state_dict({"level": 1})


# -- what shares a number, and when it is drawn -------------------------------------------------------------------

LEGS = ("FL", "FL", "FL", "FR", "FR", "FR", "RL", "RL", "RL", "RR", "", "")


def test_a_leg_shares_a_number_and_what_is_on_none_has_its_own():
    parameters = {"gain": dataclasses.replace(PARAMETERS["gain"], legs=LEGS), "mass": PARAMETERS["mass"]}
    randomiser = EpisodeRandomiser(Randomisation((Term("gain", Uniform(0.0, 1.0), Per.LEG),)), 0)
    randomiser.bind(parameters)
    gain = _draw(randomiser, [0, 1], [0, 0])["gain"]
    for row in gain:
        assert [len(set(row[i : i + 3].tolist())) for i in (0, 3, 6)] == [1, 1, 1]
        assert len(set(row.tolist())) == 6
    assert not (gain[0] == gain[1]).any()
    lonely = EpisodeRandomiser(Randomisation((Term("mass", Uniform(0.0, 1.0), Per.LEG),)), 0)
    with pytest.raises(UsageError, match="mass: per leg, but it does not belong to legs"):
        lonely.bind(parameters)


def test_the_numbers_are_those_of_numpys_generator():
    """So that a draw can be made again with nothing but numpy; and so that recorded seeds keep their robots."""
    gain = _draw(_randomiser(5), [3], [8])["gain"][0]
    bits = np.random.Philox(counter=[0, 0, 3, 8], key=[5, zlib.crc32(b"gain")])
    u = np.random.Generator(bits).random(12)
    np.testing.assert_array_equal(gain.numpy(), LogUniform(0.5, 2.0).quantile(u).astype(np.float32))


def test_what_is_drawn_at_start_up_is_the_same_in_every_episode():
    randomiser = _randomiser(spec=Randomisation((Term("mass", Uniform(0.0, 1.0), moment=At.START_UP),)))
    assert randomiser.start_up == {"mass"}
    first, later, other = (_draw(randomiser, [env], [episode])["mass"] for env, episode in ((0, 0), (0, 9), (1, 0)))
    assert torch.equal(first, later)
    assert not torch.equal(first, other)


def _values_over(randomiser, steps, envs=(0, 1, 2), episodes=(0, 4, 2), period=0.02):
    """(steps + 1, envs) values of `mass`, and whether each was drawn in that step, from the beginning of episodes."""
    envs, episodes = np.array(envs), np.array(episodes)
    values = [randomiser.draw(envs, episodes)["mass"][:, 0].clone()]
    drawn = [torch.ones(len(envs), dtype=torch.bool)]
    for step in range(1, steps + 1):
        values.append(values[-1].clone())
        drawn.append(torch.zeros(len(envs), dtype=torch.bool))
        for change in randomiser.changes(envs, episodes, np.full(len(envs), step), period):
            values[-1][change.rows] = change.values["mass"][:, 0]
            drawn[-1][change.rows] = True
    return torch.stack(values), torch.stack(drawn)


def test_an_interval_ends_when_it_says_in_each_environment():
    every = Every(Uniform(0.05, 0.11))
    randomiser = _randomiser(spec=Randomisation((Term("mass", Uniform(0.0, 1.0), moment=every),)))
    assert randomiser.changes_within_episodes
    values, drawn = _values_over(randomiser, 200)
    times = [0.02 * step.nonzero()[:, 0].double() for step in drawn.T]
    for mine in times:
        gaps = mine.diff()
        # A moment lies up to a period before the step that it comes true in.
        assert (gaps > 0.05 - 0.02 - 1e-6).all()
        assert (gaps < 0.11 + 0.02 + 1e-6).all()
        assert gaps.mean().item() == pytest.approx(0.08, abs=0.01)
    assert not torch.equal(times[0], times[1])
    changed = values[1:] != values[:-1]
    assert torch.equal(changed, drawn[1:])


def test_short_intervals_count_on_through_long_steps():
    """Four times a step: the last of the four stands, and which it is does not depend on the steps."""
    every = Every(Constant(0.005))
    randomiser = _randomiser(spec=Randomisation((Term("mass", Uniform(0.0, 1.0), moment=every),)))
    fine, _ = _values_over(randomiser, 40, period=0.005)
    coarse, drawn = _values_over(randomiser, 10, period=0.02)
    assert drawn.all()
    assert torch.equal(coarse, fine[::4])


@pytest.mark.parametrize("moment", [At.STEP, Every(Uniform(0.05, 0.11))])
def test_what_changes_within_an_episode_can_be_drawn_again_from_the_middle(moment):
    spec = Randomisation((Term("mass", Uniform(0.0, 1.0), moment=moment),))
    values, drawn = _values_over(_randomiser(spec=spec), 60)
    late = _randomiser(spec=spec)
    envs, episodes = np.array([0, 1, 2]), np.array([0, 4, 2])
    for step in range(30, 61):
        changes = late.changes(envs, episodes, np.full(3, step), 0.02)
        rows = {int(i): float(v) for c in changes for i, v in zip(c.rows, c.values["mass"][:, 0], strict=True)}
        assert rows == {i: float(values[step, i]) for i in range(3) if drawn[step, i]}
    # Another episode in the same environment starts counting anew, and so does the same once more.
    again, _ = _values_over(late, 60)
    assert torch.equal(again, values)


def test_a_step_brings_a_new_number_each_time():
    spec = Randomisation((Term("mass", Uniform(0.0, 1.0), moment=At.STEP),))
    values, drawn = _values_over(_randomiser(spec=spec), 50)
    assert drawn.all()
    assert values.unique().numel() == values.numel()


# -- ranges that move ---------------------------------------------------------------------------------------------


def test_a_range_that_was_moved_holds_from_the_next_draw_on_and_is_kept():
    randomiser = _randomiser()
    before = _draw(randomiser, [0, 1], [3, 3])
    randomiser.set_range("mass", 5.0, 6.0)
    after = _draw(randomiser, [0, 1], [3, 3])
    assert torch.allclose(after["mass"], 5.0 + (before["mass"] + 1.0) / 3.0)
    assert all(torch.equal(after[n], before[n]) for n in ("gain", "armature", "noise"))
    assert randomiser.present().terms[0].distribution == Uniform(5.0, 6.0)
    assert randomiser.present().terms[1:] == SPEC.terms[1:]
    state = json.loads(json.dumps(randomiser.state_dict()))
    assert state == {"ranges": {"mass": [5.0, 6.0]}}
    other = _randomiser()
    other.load_state_dict(state)
    mine, its = (_draw(one, [0], [1]) for one in (randomiser, other))
    assert all(torch.equal(mine[n], its[n]) for n in mine)
    other.load_state_dict({})
    assert other.present() == SPEC
    assert other.state_dict() == {}


def test_a_range_that_cannot_be_moved_is_refused():
    randomiser = _randomiser()
    for parameter, low, high, message in (
        ("ice", 0.0, 1.0, "'ice' is not randomised"),
        ("noise", 0.0, 1.0, "noise: a Constant has no range to move"),
        ("mass", 1.0, 0.0, "mass: Uniform needs finite low <= high"),
    ):
        with pytest.raises(UsageError, match=message):
            randomiser.set_range(parameter, low, high)
    with pytest.raises(ValueError, match=r"holds \['level'\]"):
        randomiser.load_state_dict({"level": 1})
