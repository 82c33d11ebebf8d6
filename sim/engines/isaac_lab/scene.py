"""Isaac Lab's simulation, scene, articulation and contact sensor, built from a robot description and a terrain."""

import re
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from isaaclab.actuators import ImplicitActuatorCfg
from isaaclab.assets import ArticulationCfg, AssetBaseCfg
from isaaclab.scene import InteractiveScene, InteractiveSceneCfg
from isaaclab.sim import SimulationCfg, SimulationContext, UsdFileCfg
from isaaclab.utils.timer import Timer
from torch import Tensor

from contract.errors import UsageError
from contract.robot import Robot
from sim.engines.isaac_lab.ground import write_ground
from sim.engines.isaac_lab.names import positions
from sim.engines.isaac_lab.physics import Physics
from sim.formats.usd import prim_name, write_usd
from sim.terrains import Terrain

GRAVITY = 9.81  # m/s^2
_ROBOT = "{ENV_REGEX_NS}/Robot"


class Scene:
    """`num_envs` robots on a terrain, each in a world of its own, all at the origin of theirs.

    Isaac Lab sorts joints and bodies as it likes; what is given and taken here is in the order of the description.

    Args:
        robot: the robot description.
        num_envs: environments.
        physics_dt: physics step in s.
        terrain: the ground.
        device: where tensors and physics live.
        physics: the physics behind Isaac Lab.
        contact_geoms: names of the collision geoms, in the order of the columns that are wanted.

    Attributes:
        articulation: Isaac Lab's robot.
        joints: (J,) where each joint of the description is among Isaac Lab's; `bodies` likewise, by name.

    Raises:
        UsageError: a simulation is open already: Isaac Lab can hold one in a process.
    """

    def __init__(
        self,
        robot: Robot,
        *,
        num_envs: int,
        physics_dt: float,
        terrain: Terrain,
        device: torch.device,
        physics: Physics,
        contact_geoms: tuple[str, ...],
    ) -> None:
        if SimulationContext.instance() is not None:
            raise UsageError("Isaac Lab holds one simulation in a process; close() the open one first")
        self._dt = physics_dt
        self._files = tempfile.TemporaryDirectory()
        robot_usd, ground_usd = (Path(self._files.name) / name for name in ("robot.usda", "ground.usda"))
        write_usd(robot, robot_usd)
        write_ground(terrain.ground(), ground_usd)
        physics.amend(robot_usd, ground_usd)
        Timer.enable_display_output = False  # it prints how long each part of the construction took
        try:
            with warnings.catch_warnings():
                # Isaac Lab's own use of what it will replace.
                warnings.simplefilter("ignore", FutureWarning)
                warnings.simplefilter("ignore", DeprecationWarning)
                self._sim = SimulationContext(
                    SimulationCfg(
                        dt=physics_dt,
                        device=str(device),
                        gravity=(0.0, 0.0, -GRAVITY),
                        physics=physics.config,
                        create_stage_in_memory=True,
                        save_logs_to_file=False,
                    )
                )
                physics.prepare(self._sim)
                self._scene = InteractiveScene(
                    _scene_config(
                        robot,
                        num_envs,
                        robot_usd,
                        ground_usd,
                        physics.contact_sensor(_ROBOT) if contact_geoms else None,
                    )
                )
                self._sim.reset()
            self._scene.update(physics_dt)
        except BaseException:
            self.close()
            raise
        self.articulation: Any = self._scene["robot"]
        self.joints = positions(robot.joint_names, self.articulation.joint_names, "joint")
        self.bodies = {name: i for i, name in enumerate(self.articulation.body_names)}
        self.base = self.bodies[prim_name(robot.base_body)]
        physics.bind(self._scene, contact_geoms)

    def advance(self, targets: Tensor) -> None:
        """One physics step under joint targets (N, J) rad."""
        self.articulation.actuators.target_command.set_position_index(value=targets, joint_ids=self.joints)
        self._scene.write_data_to_sim()
        self._sim.step(render=False)
        self._scene.update(self._dt)

    def forward(self) -> None:
        """Work out where bodies are after a state was written, and forget what the solver remembers of it."""
        self._sim.forward()

    def body_pose(self, names: list[str]) -> tuple[Tensor, Tensor]:
        """Position (N, B, 3) m and orientation (N, B, 4), w x y z, of bodies in the world."""
        rows = [self.bodies[prim_name(name)] for name in names]
        pose = self.articulation.data.body_link_pose_w.torch[:, rows]
        return pose[..., :3], pose[..., 3:].roll(1, dims=-1)

    def close(self) -> None:
        """Free all of it, so that another can be opened in this process."""
        for name in ("articulation", "_scene", "_sim"):
            self.__dict__.pop(name, None)
        SimulationContext.clear_instance()
        self._files.cleanup()


def _scene_config(robot: Robot, num_envs: int, robot_usd: Path, ground_usd: Path, sensor: Any) -> Any:
    motors = [joint for joint in robot.joints if not joint.passive]

    def by_name(field: str) -> dict[str, float]:
        return {re.escape(prim_name(joint.name)): getattr(joint, field) for joint in motors}

    config = InteractiveSceneCfg(num_envs=num_envs, env_spacing=0.0)
    config.ground = AssetBaseCfg(prim_path="/World/ground", spawn=UsdFileCfg(usd_path=str(ground_usd)))
    config.robot = ArticulationCfg(
        prim_path=_ROBOT,
        spawn=UsdFileCfg(usd_path=str(robot_usd)),
        init_state=ArticulationCfg.InitialStateCfg(
            joint_pos={re.escape(prim_name(joint.name)): joint.default_pos for joint in robot.joints}
        ),
        actuators={
            "motors": ImplicitActuatorCfg(
                joint_names_expr=list(by_name("kp")),
                stiffness=by_name("kp"),
                damping=by_name("kd"),
                joint_effort_limit=by_name("effort_limit"),
            )
        },
    )
    if sensor is not None:
        config.contact = sensor
    return config
