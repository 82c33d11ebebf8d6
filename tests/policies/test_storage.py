import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.storage import RolloutStorage, generalized_advantages


def by_definition(reward, value, next_value, done, gamma, gae_lambda):
    """Schulman et al. 2016, equation 16: the sum of discounted residuals to the end of the episode or rollout."""
    steps, envs = reward.shape
    delta = reward + gamma * next_value - value
    advantage = np.zeros_like(delta)
    for n in range(envs):
        for t in range(steps):
            for k in range(t, steps):
                advantage[t, n] += (gamma * gae_lambda) ** (k - t) * delta[k, n]
                if done[k, n]:
                    break
    return advantage


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**32 - 1),
    steps=st.integers(1, 12),
    gamma=st.floats(0.0, 1.0),
    gae_lambda=st.floats(0.0, 1.0),
)
def test_advantages_match_their_definition(seed, steps, gamma, gae_lambda):
    rng = np.random.default_rng(seed)
    reward, value, next_value = rng.normal(size=(3, steps, 4))
    done = rng.random((steps, 4)) < 0.3
    tensors = (torch.from_numpy(a) for a in (reward, value, next_value, done))
    advantage = generalized_advantages(*tensors, gamma, gae_lambda)
    expected = by_definition(reward, value, next_value, done, gamma, gae_lambda)
    np.testing.assert_allclose(advantage.numpy(), expected, rtol=1e-9, atol=1e-12)


def filled(steps, truncated, terminated):
    """A rollout of two environments whose critic observation is 10 t + n, and 100 + 10 t + n at a cut."""
    storage = RolloutStorage(steps, 2, feature_dim=1, critic_dim=1, action_dim=1)
    numbers = torch.arange(2.0)[:, None]
    for t in range(steps):
        storage.observe(torch.zeros(2, 1), 10.0 * t + numbers, torch.zeros(2, 1))
        cut = torch.tensor(truncated[t])
        final = 100.0 + 10.0 * t + numbers[cut]
        storage.outcome(torch.full((2,), 1.0 + t), torch.tensor(terminated[t]), cut, final)
    storage.finish(10.0 * steps + numbers)
    return storage


def test_what_follows_a_step_is_the_next_state_the_last_state_or_nothing():
    no = (False, False)
    storage = filled(4, truncated=[no, (True, True), no, (False, True)], terminated=[no, no, (True, False), no])
    assert storage.final_critic_obs[:, 0].tolist() == [110.0, 111.0, 131.0]
    following = storage.next_values(storage.critic_obs[..., 0], storage.final_critic_obs[:, 0])
    assert following.tolist() == [[10.0, 11.0], [110.0, 111.0], [0.0, 31.0], [40.0, 131.0]]
    assert storage.reward[:, 0].tolist() == [1.0, 2.0, 3.0, 4.0]


def test_a_true_value_function_leaves_no_advantage_at_a_time_out():
    gamma, no, yes = 0.9, (False, False), (True, True)
    for truncated, terminated, expected in ((yes, no, 0.0), (no, yes, -gamma / (1.0 - gamma))):
        storage = filled(3, truncated=[no, truncated, no], terminated=[no, terminated, no])
        value = torch.full((4, 2), 1.0 / (1.0 - gamma))  # of one a step, for ever
        final = torch.full((len(storage.final_critic_obs),), 1.0 / (1.0 - gamma))
        advantage = generalized_advantages(
            torch.ones(3, 2),
            value[:-1],
            storage.next_values(value, final),
            storage.truncated | storage.terminated,
            gamma,
            0.95,
        )
        torch.testing.assert_close(advantage[1], torch.full((2,), expected), atol=1e-5, rtol=1e-5)


def test_memory_is_reused_and_final_states_are_not_carried_over():
    no = (False, False)
    storage = filled(1, truncated=[(True, True)], terminated=[no])
    address = storage.features.data_ptr()
    storage.clear()
    storage.observe(torch.ones(2, 1), torch.ones(2, 1), torch.ones(2, 1))
    storage.outcome(torch.zeros(2), torch.tensor(no), torch.tensor(no), torch.zeros(0, 1))
    storage.finish(torch.ones(2, 1))
    assert storage.features.data_ptr() == address
    assert storage.final_critic_obs.shape == (0, 1)
    assert not storage.truncated.any()


def test_an_unfinished_rollout_is_refused():
    storage = RolloutStorage(2, 1, 1, 1, 1)
    with pytest.raises(ValueError, match="0 of 2 steps"):
        storage.finish(torch.zeros(1, 1))
