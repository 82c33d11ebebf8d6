import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_training import PointMass, ToyController, mirror, optimal_cost, policy_cost

from contract.errors import LandbridgeError, UsageError
from policies.algorithms.ppo import PPO, Batch, TrainingDivergedError
from policies.collector import Collector
from policies.config import PPOConfig
from policies.networks import gaussian_kl
from policies.storage import RolloutStorage

CONFIG = PPOConfig(
    rollout_steps=16,
    epochs=4,
    minibatches=2,
    gamma=0.97,
    critic_hidden=(32, 32),
    init_std=0.5,
    precision="float32",
)
NUM_ENVS = 128


def make(poison=lambda env, reward: reward, seed=0, num_envs=NUM_ENVS, **changes):
    torch.manual_seed(seed)
    config = dataclasses.replace(CONFIG, **changes)
    env, controller = PointMass(num_envs, seed=seed, poison=poison), ToyController()
    ppo = PPO(controller, env.critic_dim, config, mirror)
    storage = RolloutStorage(config.rollout_steps, num_envs, controller.feature_dim, env.critic_dim, 1)
    collector = Collector(env, controller, ppo)
    collector.collect(storage)
    ppo.absorb(storage)
    return ppo, collector, storage


def parameters(ppo):
    """But those of the value head, which new return statistics rescale."""
    return {n: p.detach().clone() for n, p in ppo.named_parameters() if not n.startswith("critic.network.4.")}


# -- the formulae -------------------------------------------------------------------------------------------------


def random_batch(rng, rows=64):
    """A minibatch far enough from the networks' opinion that ratios and values are clipped."""

    def normal(*shape):
        return torch.from_numpy(rng.normal(size=shape)).float()

    return Batch(
        features=normal(rows, 3),
        critic_obs=normal(rows, 2),
        action=0.5 * normal(rows, 1),
        old_mean=0.3 * normal(rows, 1),
        old_log_prob=-1.0 + 0.3 * normal(rows),
        advantage=normal(rows),
        old_value=normal(rows),
        target=normal(rows),
    )


def test_losses_match_the_formulae_of_schulman_2017():
    """Equations 7 and 9, the clipped value loss of its reference code, and the divergence in closed form, in numpy."""
    ppo, _, _ = make()
    batch = random_batch(np.random.default_rng(3))
    old_log_std = torch.tensor([-0.4])
    losses = ppo.losses(batch, old_log_std, originals=len(batch.action))

    b = {name: tensor.double().numpy() for name, tensor in vars(batch).items()}
    with torch.no_grad():
        mean = ppo.controller.network(batch.features).double().numpy()
        value = ppo.critic.network(batch.critic_obs).double().numpy()[:, 0]
        std = ppo.noise.log_std.exp().double().numpy()
    density = np.exp(-0.5 * ((b["action"] - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    ratio = np.exp(np.log(density).sum(1) - b["old_log_prob"])
    surrogate = np.minimum(ratio * b["advantage"], np.clip(ratio, 0.8, 1.2) * b["advantage"])
    clipped = b["old_value"] + np.clip(value - b["old_value"], -0.2, 0.2)
    value_loss = np.maximum((value - b["target"]) ** 2, (clipped - b["target"]) ** 2)
    old_std = np.exp(-0.4)
    kl = np.log(std / old_std) + (old_std**2 + (b["old_mean"] - mean) ** 2) / (2 * std**2) - 0.5

    outside = np.abs(ratio - 1.0) > 0.2
    assert 0.1 < outside.mean() < 0.9  # else this batch would not tell clipping from none
    assert losses.policy.item() == pytest.approx(-surrogate.mean(), rel=1e-4)
    assert losses.value.item() == pytest.approx(value_loss.mean(), rel=1e-4)
    assert losses.entropy.item() == pytest.approx(0.5 * np.log(2 * np.pi * np.e * std**2).sum(), rel=1e-5)
    assert losses.kl.item() == pytest.approx(kl.sum(1).mean(), rel=1e-4)
    assert losses.clip_fraction.item() == pytest.approx(outside.mean(), abs=1e-6)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), dim=st.integers(1, 12))
def test_divergence_matches_torch_distributions(seed, dim):
    torch.manual_seed(seed)
    old_mean, mean = torch.randn(2, 7, dim, dtype=torch.float64)
    old_log_std, log_std = torch.randn(2, dim, dtype=torch.float64)
    old, new = (torch.distributions.Normal(m, s.exp()) for m, s in ((old_mean, old_log_std), (mean, log_std)))
    expected = torch.distributions.kl_divergence(old, new).sum(-1)
    torch.testing.assert_close(gaussian_kl(old_mean, old_log_std, mean, log_std), expected)


def test_noise_matches_torch_distributions():
    ppo, _, _ = make()
    mean = torch.randn(1000, 1)
    reference = torch.distributions.Normal(mean, ppo.noise.log_std.exp())
    action = ppo.noise.sample(mean)
    torch.testing.assert_close(ppo.noise.log_prob(action, mean), reference.log_prob(action).sum(-1))
    torch.testing.assert_close(ppo.noise.entropy(), reference.entropy()[0, 0])
    assert (action - mean).std().item() == pytest.approx(0.5, rel=0.1)


# -- the update ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_update_starts_from_the_policy_that_acted(precision):
    ppo, _, storage = make(precision=precision)
    batch, _ = ppo._prepare(storage)
    losses = ppo.losses(batch, ppo.noise.log_std.detach().clone(), len(storage))
    assert losses.kl.item() == pytest.approx(0.0, abs=1e-6)
    assert losses.clip_fraction == 0.0
    assert losses.policy.item() == pytest.approx(0.0, abs=1e-5)  # the mean of a normalised advantage
    assert batch.advantage.std().item() == pytest.approx(1.0, rel=1e-3)


def test_it_reaches_the_linear_quadratic_optimum():
    """From 90 times the least possible cost to within a tenth above it; seeds 1 to 4 end at 1.03 to 1.06."""
    ppo, collector, storage = make(seed=1)
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (200, 2))
    least = optimal_cost(x, CONFIG.gamma).mean()
    assert policy_cost(ppo.controller, x, CONFIG.gamma).mean() > 10.0 * least
    for _ in range(50):
        collector.collect(storage)
        figures = ppo.update(storage, progress=0.0)
    assert policy_cost(ppo.controller, x, CONFIG.gamma).mean() < 1.1 * least
    assert figures["loss/explained_variance"] > 0.8


def test_rate_follows_the_divergence_and_keeps_its_bounds():
    ppo, collector, storage = make(learning_rate=1e-2, desired_kl=2e-3)
    assert ppo.update(storage, 0.0)["policy/kl"] > 4e-3
    assert ppo.learning_rate == pytest.approx(0.5e-2)  # at most halved at once
    divergences = []
    for _ in range(25):
        collector.collect(storage)
        divergences.append(ppo.update(storage, 0.0)["policy/kl"])
    assert 1e-3 < np.median(divergences[10:]) < 4e-3

    ppo, _, storage = make(desired_kl=1e-9, learning_rate_range=(9e-4, 1e-2))
    ppo.update(storage, 0.0)
    assert ppo.learning_rate == 9e-4
    ppo, _, storage = make(desired_kl=10.0, learning_rate_range=(1e-5, 1.2e-3))
    ppo.update(storage, 0.0)
    assert ppo.learning_rate == 1.2e-3


@pytest.mark.parametrize(("schedule", "rates"), [("linear", [1e-3, 5e-4, 0.0]), ("constant", [1e-3] * 3)])
def test_scheduled_rates(schedule, rates):
    ppo, _, storage = make(schedule=schedule)
    seen = [ppo.update(storage, progress)["policy/learning_rate"] for progress in (0.0, 0.5, 1.0)]
    assert seen == pytest.approx(rates)


def test_standard_deviation_keeps_its_bounds():
    ppo, _, storage = make(entropy_coef=10.0, std_range=(0.1, 0.6), learning_rate=0.1, schedule="constant")
    ppo.update(storage, 0.0)
    assert ppo.noise.log_std.exp().item() == pytest.approx(0.6)


def test_compiling_is_asked_of_torch(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function: compiled.append(function) or function)
    ppo, _, _ = make(compile=True)
    assert compiled == [ppo.losses]


def test_update_does_what_it_did_whatever_the_precision():
    """bfloat16 rounds to 3 digits: the same rollout gives nearly the same figures."""
    figures = {}
    for precision in ("float32", "bfloat16"):
        ppo, _, storage = make(precision=precision)
        figures[precision] = ppo.update(storage, 0.0)
    for name in ("loss/value", "policy/entropy", "loss/explained_variance"):
        assert figures["bfloat16"][name] == pytest.approx(figures["float32"][name], rel=0.1, abs=0.02)


# -- numbers that are not finite ----------------------------------------------------------------------------------


def nan_reward(env, reward):
    return torch.full_like(reward, torch.nan)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_bad_steps_are_skipped_and_nothing_moves(value):
    ppo, collector, storage = make()
    ppo.update(storage, 0.0)
    collector.collect(storage)
    storage.reward[3, 5] = value
    before, moments = parameters(ppo), [s["exp_avg"].clone() for s in ppo.optimizer.state.values()]
    rate = ppo.learning_rate
    figures = ppo.update(storage, 0.0)
    assert figures["policy/skipped_steps"] == CONFIG.epochs * CONFIG.minibatches
    assert all(torch.isfinite(buffer).all() for buffer in ppo.buffers())
    for name, value in parameters(ppo).items():
        assert torch.equal(value, before[name]), name
    for state, moment in zip(ppo.optimizer.state.values(), moments, strict=True):
        assert torch.equal(state["exp_avg"], moment)
    assert ppo.learning_rate == rate

    collector.collect(storage)
    assert ppo.update(storage, 0.0)["policy/skipped_steps"] == 0.0
    assert ppo.bad_steps == 0


def test_it_gives_up_after_so_many_bad_steps_in_a_row():
    ppo, _, storage = make(poison=nan_reward, max_bad_steps=20)
    ppo.update(storage, 0.0)
    ppo.update(storage, 0.0)
    with pytest.raises(TrainingDivergedError, match="20 steps in a row"):
        ppo.update(storage, 0.0)


# -- symmetry -----------------------------------------------------------------------------------------------------


def test_mirror_images_count_as_samples_but_not_in_the_divergence():
    ppo, _, storage = make(symmetry="augment")
    batch, _ = ppo._prepare(storage)
    samples = len(storage)
    assert len(batch.action) == 2 * samples
    assert torch.equal(batch.action[samples:], -batch.action[:samples])
    assert torch.equal(batch.advantage[samples:], batch.advantage[:samples])
    index, originals = ppo._with_mirrored(torch.arange(10), samples)
    assert index.tolist() == [*range(10), *range(samples, samples + 10)]
    losses = ppo.losses(batch.rows(index), ppo.noise.log_std.detach().clone(), originals)
    halves = [ppo.losses(batch.rows(half), ppo.noise.log_std.detach(), 10) for half in index.chunk(2)]
    assert losses.policy.item() == pytest.approx(sum(h.policy.item() for h in halves) / 2, rel=1e-4)
    assert losses.value.item() == pytest.approx(sum(h.value.item() for h in halves) / 2, rel=1e-4)
    assert losses.kl.item() == pytest.approx(halves[0].kl.item(), abs=1e-7)


def test_random_mirroring_replaces_half_of_the_samples():
    ppo, _, storage = make(symmetry="random")
    index, originals = ppo._with_mirrored(torch.arange(10), len(storage))
    assert originals == 5
    assert sorted(i % len(storage) for i in index.tolist()) == list(range(10))
    assert all(i >= len(storage) for i in index[originals:].tolist())
    assert ppo.update(storage, 0.0)["policy/kl"] > 0.0


@pytest.mark.parametrize("symmetry", ["augment", "random"])
def test_symmetry_makes_the_policy_symmetric(symmetry):
    x = torch.rand(500, 3, generator=torch.Generator().manual_seed(0)) - 0.5

    def asymmetry(symmetry):
        ppo, collector, storage = make(symmetry=symmetry, seed=2)
        for _ in range(10):
            collector.collect(storage)
            ppo.update(storage, 0.0)
        with torch.no_grad():
            left, right = ppo.controller.policy_mean(x), ppo.controller.policy_mean(-x)
        return ((left + right).square().mean() / (left - right).square().mean()).item()

    assert asymmetry(symmetry) < 0.5 * asymmetry("none")


def test_symmetry_needs_a_mirror_image():
    with pytest.raises(LandbridgeError, match=r"ppo\.symmetry"):
        PPO(ToyController(), 2, dataclasses.replace(CONFIG, symmetry="augment"))


# -- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [("epochs", 0), ("clip", 0.0), ("gamma", 1.1), ("learning_rate", float("nan")), ("std_range", (1.0, 0.1))],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(UsageError, match=rf"ppo\.{field}: must be"):
        dataclasses.replace(CONFIG, **{field: value})


def test_an_unknown_activation_is_refused_by_name():
    with pytest.raises(UsageError, match="activation 'gelu' is unknown"):
        make(activation="gelu")
