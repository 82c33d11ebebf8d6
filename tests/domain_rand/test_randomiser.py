"""Draws: pure functions of (seed, environment, episode), with the statistics of their distributions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import UsageError
from domain_rand.distributions import Constant, LogUniform, Uniform
from domain_rand.randomiser import EpisodeRandomiser, ReplayRandomiser
from domain_rand.spec import Per, Randomisation, Term
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


@pytest.mark.parametrize("randomiser", [_randomiser(), ReplayRandomiser({})])
def test_there_is_no_state_to_save(randomiser):
    assert randomiser.state_dict() == {}
    randomiser.load_state_dict({})
    with pytest.raises(ValueError, match="no state"):
        randomiser.load_state_dict({"level": 1})
