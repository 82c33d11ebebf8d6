"""Isaac Lab's own training script trains our recipes: found by their Gymnasium id, stepped through its own wrapper."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

ISAACLAB = Path(sys.executable).with_name("isaaclab")


def test_isaac_labs_script_trains_a_recipe_with_rsl_rl(tmp_path: Path) -> None:
    command = [
        str(ISAACLAB),
        "train",
        "--rl_library=rsl_rl",
        "--task=Landbridge-cartpole-v0",
        "--num_envs=16",
        "--max_iterations=2",
        "--device=cpu",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Learning iteration 1/2" in done.stdout
    assert "reward/upright" in done.stdout, "our reward terms are in its log"
    (model,) = tmp_path.glob("logs/rsl_rl/cartpole/*/model_1.pt")
    state = torch.load(model, map_location="cpu", weights_only=True)
    tensors = [value for value in state["actor_state_dict"].values() if value.is_floating_point()]
    assert tensors
    assert all(value.isfinite().all() for value in tensors)


@pytest.fixture
def wrapped() -> Iterator[object]:
    """Isaac Lab's wrapper for rsl_rl around one of our environments, made the way its script makes it."""
    import gymnasium
    from isaaclab_rl.rsl_rl import RslRlVecEnvWrapper

    from policies import gymnasium_envs

    name = gymnasium_envs.environment_id("cartpole")
    config = gymnasium.spec(name).kwargs["env_cfg_entry_point"]()
    config.scene.num_envs = 4
    config.sim.device = "cpu"
    env = RslRlVecEnvWrapper(gymnasium.make(name, cfg=config))
    yield env
    env.close()


def test_the_wrapper_sees_what_our_controller_sees(wrapped: object) -> None:
    observations = wrapped.get_observations()  # type: ignore[attr-defined]
    features = observations["policy"]
    assert features.shape == (4, 1 + 2 + 2 + 1), "command, positions, velocities, last action"
    assert observations["critic"].shape == (4, 2 + 2 + 1 + 1)
    seen, reward, done, _ = wrapped.step(torch.full((4, 1), 0.5))  # type: ignore[attr-defined]
    assert reward.shape == done.shape == (4,)
    running = ~done.bool()
    assert running.any()
    torch.testing.assert_close(seen["policy"][running, -1], torch.full((int(running.sum()),), 0.5))
