"""Every term of the presets: drawn from what it declares, put where it belongs, in each environment, when it says.

What a parameter then does is the conformance suite's part for engines, and of the tests of its stage for the others.
A true draw passes each bar but once in 10^6, and the seeds are fixed.
"""

import math

import numpy as np
import pytest
import torch

import sim.tasks
from domain_rand.distributions import Categorical, Constant, Empirical, LogUniform, TruncatedNormal, Uniform
from domain_rand.presets import FULL, QUADRUPED
from domain_rand.randomiser import EpisodeRandomiser
from domain_rand.spec import At, Every, Per, Randomisation, Term
from sim.env import VecEnv

TASK = sim.tasks.load("go2-velocity-flat")
RARE = 1e-6


def _kolmogorov_bar(n):
    """What the distance of an empirical distribution from the true one exceeds but once in 1 / RARE.

    Massart 1990: P(D > d) <= 2 exp(-2 n d^2).
    """
    return math.sqrt(math.log(2.0 / RARE) / (2.0 * n))


def _chi_square_bar(freedom):
    """Laurent and Massart 2000, lemma 1: P(X > k + 2 sqrt(k x) + 2 x) <= exp(-x)."""
    x = math.log(1.0 / RARE)
    return freedom + 2.0 * math.sqrt(freedom * x) + 2.0 * x


def _cumulative(distribution, values):
    """P(X <= value), from the definition."""
    match distribution:
        case Uniform(low, high):
            return (values - low) / (high - low)
        case LogUniform(low, high):
            return np.log(values / low) / math.log(high / low)
        case TruncatedNormal(mean, std, low, high):
            phi = np.vectorize(lambda x: 0.5 * math.erfc(-(x - mean) / std / math.sqrt(2.0)))
            return (phi(values) - phi(low)) / (phi(high) - phi(low))
    raise AssertionError(distribution)


def _assert_drawn_from(distribution, values):
    match distribution:
        case Constant(value):
            assert (values == np.float32(value)).all()
        case Categorical(options, weights):
            expected = len(values) * np.array(weights) / sum(weights)
            found = np.array([np.count_nonzero(values == np.float32(option)) for option in options])
            assert found.sum() == len(values)
            assert ((found - expected) ** 2 / expected).sum() < _chi_square_bar(len(options) - 1)
        case Empirical(options):
            _assert_drawn_from(Categorical(options, (1.0,) * len(options)), values)
        case _:
            ordered = _cumulative(distribution, np.sort(values.astype(np.float64)))
            rank = np.arange(len(values) + 1) / len(values)
            distance = max(np.abs(ordered - rank[:-1]).max(), np.abs(ordered - rank[1:]).max())
            assert distance < _kolmogorov_bar(len(values))


@pytest.fixture(scope="module")
def parameters():
    env = VecEnv(TASK, 1, threads=0)
    yield env.parameters
    env.close()


TERMS = {f"full {term.parameter}": term for term in FULL.terms} | {
    f"quadruped {term.parameter}": term for term in QUADRUPED.terms if term not in FULL.terms
}


def _numbers(term, parameters, seed=11):
    """Independent numbers (n, size) of a term, at the moments that bring new ones."""
    randomiser = EpisodeRandomiser(Randomisation((term,)), seed)
    randomiser.bind(parameters)
    envs = np.arange(1500)
    episodes = np.zeros_like(envs) if term.moment is At.START_UP else envs % 7
    first = randomiser.draw(envs, episodes)[term.parameter]
    if term.moment is At.START_UP or term.moment is At.EPISODE:
        return first.numpy()
    later = []
    for step in range(1, 20):
        for change in randomiser.changes(envs, episodes, np.full_like(envs, step), 1.0):
            later.append(change.values[term.parameter])
    return torch.cat([first, *later]).numpy()


@pytest.mark.parametrize("term", TERMS.values(), ids=TERMS)
def test_a_term_is_drawn_from_what_it_declares(term, parameters):
    numbers = _numbers(term, parameters)
    legs = parameters[term.parameter].legs
    groups = {Per.ROBOT: [0] * numbers.shape[1], Per.LEG: legs, Per.COMPONENT: range(numbers.shape[1])}[term.per]
    own = [list(groups).index(group) for group in dict.fromkeys(groups)]
    for column, group in enumerate(groups):
        shared = own[list(dict.fromkeys(groups)).index(group)]
        assert np.array_equal(numbers[:, column], numbers[:, shared])
    for column in own:
        _assert_drawn_from(term.distribution, numbers[:, column])
    if len(own) > 1 and not isinstance(term.distribution, Constant):
        # Of one robot, the numbers of its parts are independent: their ranks are uncorrelated.
        ranks = np.argsort(np.argsort(numbers[:, own] + 0.0, axis=0), axis=0)
        correlation = np.corrcoef(ranks.T) - np.eye(len(own))
        # Two-sided tail of a normal, for all pairs together.
        bar = math.sqrt(2.0 * math.log(len(own) ** 2 / RARE) / len(numbers))
        assert np.abs(correlation).max() < bar


def test_a_wrong_draw_is_seen():
    """The bars are not so wide that anything passes."""
    u = np.random.default_rng(0).random(1500)
    for declared, drawn in (
        (Uniform(0.0, 1.0), Uniform(0.0, 1.2)),
        (Uniform(0.5, 2.0), LogUniform(0.5, 2.0)),
        (TruncatedNormal(0.0, 1.0, -2.0, 2.0), Uniform(-2.0, 2.0)),
        (Categorical((0.0, 1.0), (1.0, 1.0)), Categorical((0.0, 1.0), (1.0, 1.5))),
        (Empirical((0.0, 1.0, 2.0)), Categorical((0.0, 1.0, 2.0), (2.0, 1.0, 1.0))),
        (Constant(0.3), Constant(0.31)),
    ):
        values = drawn.quantile(u).astype(np.float32)
        with pytest.raises(AssertionError):
            _assert_drawn_from(declared, values)
        _assert_drawn_from(drawn, values)


def test_intervals_are_drawn_from_what_they_declare(parameters):
    """Gaps of 1 ms steps between new values, against the declared distribution of seconds."""
    seconds = Uniform(0.02, 0.05)
    term = Term("payload_mass", Uniform(0.0, 1.0), moment=Every(seconds))
    randomiser = EpisodeRandomiser(Randomisation((term,)), 5)
    randomiser.bind(parameters)
    envs, period = np.arange(300), 1e-3
    last, gaps = np.zeros(300), []
    for step in range(1, 400):
        for change in randomiser.changes(envs, envs, np.full(300, step), period):
            rows = change.rows.numpy()
            gaps += list(period * (step - last[rows]))
            last[rows] = step
    found = np.sort(gaps)
    rank = (np.arange(len(found)) + 0.5) / len(found)
    # A gap is rounded to steps, which moves the distribution by at most one of them.
    slack = 2.0 * period / (seconds.high - seconds.low)
    assert (
        np.abs((found - seconds.low) / (seconds.high - seconds.low) - rank).max() < _kolmogorov_bar(len(gaps)) + slack
    )


# -- where and when -----------------------------------------------------------------------------------------------


class Oracle:
    """What each parameter should be in each environment, from the draws alone."""

    def __init__(self, spec, env, seed):
        self._env, self._terms = env, {term.parameter: term for term in spec.terms}
        self._randomiser = EpisodeRandomiser(spec, seed)
        self._randomiser.bind(env.parameters)
        self.values = {}

    def follow(self, began):
        """After a step, in which `began` (N,) environments ended up at the beginning of a new episode."""
        env = self._env
        envs, episodes = np.arange(env.num_envs), env.episode_index.numpy()
        steps = (env.episode_step - env._episode_start).numpy()
        fresh = self._randomiser.draw(envs, episodes)
        for name, value in fresh.items():
            if not self.values or name not in self.values:
                self.values[name] = value.clone()
            elif self._terms[name].moment is not At.START_UP:
                self.values[name][began] = value[began]
        going_on = np.flatnonzero(~began.numpy())
        if len(going_on):
            changes = self._randomiser.changes(envs[going_on], episodes[going_on], steps[going_on], env.control_period)
            for change in changes:
                for name, value in change.values.items():
                    self.values[name][going_on[change.rows.numpy()]] = value


def _held(env):
    """Every parameter where it takes effect."""
    held = {name: torch.from_numpy(value).float() for name, value in env.engine._values.items()}
    for stage in env.stages.values():
        held |= stage.values
    return held


# Nothing in the presets is drawn in every step, which costs most.
IN_STEPS = Randomisation(
    (
        Term("gravity_offset", Uniform(-0.1, 0.1), moment=At.STEP),
        Term("sensor_delay", Uniform(0.0, 0.02), moment=At.STEP),
        Term("backlash", Uniform(0.0, 0.01), Per.LEG, At.STEP),
        Term("push_speed", Uniform(0.0, 0.1), moment=Every(Uniform(0.03, 0.2))),
        Term("initial_tilt", Uniform(-0.1, 0.1), Per.ROBOT),
    )
)


@pytest.mark.parametrize("spec", [FULL, QUADRUPED, IN_STEPS], ids=["full", "quadruped", "in steps"])
def test_every_value_is_in_its_place_in_every_environment_in_every_step(spec):
    """Through resets, a start in the middle of the clock, and changes within episodes."""
    env = VecEnv(TASK.with_episode(0.5), 6, threads=0, seed=3, randomiser=EpisodeRandomiser(spec, 3))
    oracle = Oracle(spec, env, 3)
    everyone = torch.ones(6, dtype=torch.bool)
    oracle.follow(everyone)
    began = everyone
    changed = {term.parameter: 0 for term in spec.terms}
    resets = 0
    for step in range(70):
        held = _held(env)
        for name, value in oracle.values.items():
            assert torch.equal(held[name], value), (step, name)
            assert torch.equal(env.parameter(name), value), (step, name)
        before = {name: value.clone() for name, value in oracle.values.items()}
        began = env.step(env.default_joint_pos.repeat(6, 1)).done
        resets += int(began.sum())
        oracle.follow(began)
        for name, value in oracle.values.items():
            changed[name] += int((value != before[name]).any(dim=1).sum())
    assert resets >= 10
    for term in spec.terms:
        constant = isinstance(term.distribution, Constant)
        if constant or term.moment is At.START_UP:
            assert changed[term.parameter] == 0, term.parameter
        elif term.moment is At.STEP:
            assert changed[term.parameter] > 2 * resets, term.parameter
        else:
            assert changed[term.parameter] > 0, term.parameter
    untouched = set(env.parameters) - set(changed)
    nominal = {name: torch.as_tensor(env.parameters[name].nominal).float() for name in untouched}
    assert all(torch.equal(held[name], nominal[name].expand_as(held[name])) for name in untouched)
    env.close()


def test_a_checkpoint_goes_on_with_the_full_set_bit_for_bit():
    task = TASK.with_episode(0.3)
    env, other = (VecEnv(task, 4, threads=0, seed=s, randomiser=EpisodeRandomiser(FULL, 1)) for s in (1, 2))
    pose = env.default_joint_pos.repeat(4, 1)
    for _ in range(9):
        env.step(pose)
    other.step(pose)
    other.load_state_dict(env.state_dict())
    for _ in range(20):
        one, two = env.step(pose), other.step(pose)
        assert torch.equal(one.reward, two.reward)
        assert torch.equal(env.critic_obs(), other.critic_obs())
        assert all(torch.equal(env.signals[name], other.signals[name]) for name in env.signals)
        assert all(torch.equal(env.draws[name], other.draws[name]) for name in env.draws)


@pytest.mark.parametrize("spec", [FULL, QUADRUPED], ids=["full", "quadruped"])
def test_what_a_check_widens_can_be_played(spec):
    env = VecEnv(TASK, 64, threads=0, randomiser=EpisodeRandomiser(spec.widened(1.25), 0))
    for _ in range(3):
        assert not env.step(env.default_joint_pos.repeat(64, 1)).diverged.any()
    env.close()


def test_environments_follow_ranges_that_are_moved():
    randomiser = EpisodeRandomiser(Randomisation((Term("payload_mass", Uniform(0.0, 1.0)),)), 0)
    env = VecEnv(TASK.with_episode(0.1), 4, threads=0, randomiser=randomiser)
    assert (env.parameter("payload_mass") <= 1.0).all()
    randomiser.set_range("payload_mass", 3.0, 4.0)
    for _ in range(6):
        env.step(env.default_joint_pos.repeat(4, 1))
    assert (env.parameter("payload_mass") >= 3.0).all()
    state = env.state_dict()
    again = EpisodeRandomiser(Randomisation((Term("payload_mass", Uniform(0.0, 1.0)),)), 0)
    VecEnv(TASK.with_episode(0.1), 4, threads=0, randomiser=again).load_state_dict(state)
    assert again.present() == randomiser.present()
