"""Newton behind Isaac Lab: MuJoCo Warp's solver, without Isaac Sim. What Isaac Lab's own interface has no word for."""

from pathlib import Path
from typing import Any

import torch
import warp as wp
from isaaclab.physics import PhysicsEvent
from isaaclab.scene import InteractiveScene
from isaaclab.sensors import ContactSensorCfg
from isaaclab.sim import SimulationContext
from isaaclab_newton.physics import MJWarpSolverCfg, NewtonCfg, NewtonManager
from isaaclab_newton.physics.newton_manager_cfg import NewtonBuilderCfg, NewtonShapeCfg
from mujoco_warp import DisableBit
from newton import GeoType, JointTargetMode, Model, ModelFlags
from torch import Tensor

from sim.engines.isaac_lab.names import positions
from sim.engines.mujoco_model import SolverOptions
from sim.engines.mujoco_warp.capacity import Capacity


class Newton:
    """Newton as `sim.engines.isaac_lab.physics.Physics`.

    Args:
        solver: MuJoCo's numerical settings.
        capacity: room for contacts and constraints.
    """

    hides_memory = False

    def __init__(self, solver: SolverOptions, capacity: Capacity) -> None:
        self.config = NewtonCfg(
            solver_cfg=MJWarpSolverCfg(
                integrator="implicitfast",
                cone="pyramidal",
                iterations=solver.iterations,
                ls_iterations=solver.ls_iterations,
                nconmax=capacity.contacts,
                njmax=capacity.rows,
            ),
            default_shape_cfg=NewtonShapeCfg(margin=0.0, gap=0.0),  # Isaac Lab's own is 1 cm
        )

    def amend(self, robot: Path, ground: Path) -> None:
        """Nothing: they are written in Newton's words."""

    def prepare(self, simulation: SimulationContext) -> None:
        """Before the model is made: let each motor be one actuator, with both gains.

        Isaac Lab makes two of it, and clips their sum at the joint. The solver, implicit in velocities, then takes a
        saturated motor for one that still brakes.
        """

        def one_actuator(_event: object) -> None:
            builder = simulation.get_or_create_backend(NewtonBuilderCfg(physics_cfg=simulation.cfg.physics))
            both, one = JointTargetMode.POSITION_VELOCITY, JointTargetMode.POSITION
            builder.joint_target_mode = [one if mode == both else mode for mode in builder.joint_target_mode]

        self._handle = simulation.physics_manager.register_callback(  # Isaac Lab's own callback has order 0
            one_actuator, PhysicsEvent.MODEL_INIT, order=1, wrap_weak_ref=False
        )

    def contact_sensor(self, robot: str) -> ContactSensorCfg:
        """A sensor of each collision shape."""
        return ContactSensorCfg(prim_path=f"{robot}/.*", sensor_shape_prim_expr=[f"{robot}/.*/collisions/.*"])

    def bind(self, scene: InteractiveScene, contact_geoms: tuple[str, ...]) -> None:
        """Find the arrays of a simulation that has been built, and give each actuator its own force range."""
        articulation: Any = scene["robot"]
        self._articulation = articulation
        self._contact: Any = None
        self._columns: list[int] = []
        if contact_geoms:
            self._contact = scene["contact"]
            self._columns = positions(contact_geoms, self._contact.sensor_names, "geom")
        view, solver, model = articulation.root_view, NewtonManager._solver, NewtonManager.get_model()
        _lower_fields(model)
        friction = view.get_attribute("shape_material_mu", model) if view.shape_count else None
        self._friction = None if friction is None else wp.to_torch(friction)[:, 0]
        self._warmstart: Tensor = wp.to_torch(solver.mjw_data.qacc_warmstart)
        worlds, actuators = view.count, solver.mjw_model.nu
        # Box on box by its own routine: in float32 that for convex geoms in general loses contacts of flat boxes.
        solver.mjw_model.opt.disableflags |= int(DisableBit.NATIVECCD)
        force_range = wp.zeros((worlds, actuators), dtype=wp.vec2, device=articulation.device)
        solver.mjw_model.actuator_forcerange = force_range
        solver.mjw_model.actuator_forcelimited.fill_(True)
        self._force_range = wp.to_torch(force_range)
        dofs = wp.to_torch(solver.mjc_actuator_to_newton_idx).tolist() if actuators else []
        self._actuators = {dof - articulation.num_base_dofs: actuator for actuator, dof in enumerate(dofs)}

    def contact_force(self) -> Tensor:
        """(N, G) N, sum of the normal forces on each collision geom as vectors."""
        if self._contact is None:
            return torch.zeros(self._articulation.num_instances, 0, device=self._articulation.device)
        force: Tensor = self._contact.data.net_normal_forces_w.torch[:, self._columns].norm(dim=2)
        return force

    def set_effort_limit(self, ids: Tensor, joints: list[int], value: Tensor) -> None:
        """Torque limits (n, len(joints)) N m of robots `ids` (n,); joints in Isaac Lab's numbers."""
        columns = torch.tensor([self._actuators[joint] for joint in joints], device=value.device)
        self._force_range[ids[:, None], columns] = torch.stack([-value, value], dim=2)

    def set_joint_friction(self, ids: Tensor, joints: list[int], value: Tensor) -> None:
        """Coulomb friction (n, len(joints)) N m of joints."""
        self._articulation.write_joint_friction_coefficient_to_sim_index(
            joint_friction_coeff=value, joint_ids=joints, env_ids=ids.int()
        )

    def set_centre_of_mass(self, ids: Tensor, bodies: list[int], value: Tensor) -> None:
        """Centres of mass (n, len(bodies), 3) m in the bodies' frames."""
        self._articulation.set_coms_index(coms=value, body_ids=bodies, env_ids=ids.int())

    def set_friction(self, ids: Tensor, value: Tensor) -> None:
        """Sliding friction (n, 1) of all collision shapes of robots `ids` (n,). The robot's counts, by its priority."""
        if self._friction is not None:
            self._friction[ids] = value
            NewtonManager.add_model_change(ModelFlags.SHAPE_PROPERTIES)

    def memory(self) -> dict[str, Tensor]:
        """What the solver remembers from step to step beside positions and velocities, (N, ...) each."""
        return {"warmstart": self._warmstart}


def _lower_fields(model: Model) -> None:
    """Put height fields where they belong.

    MuJoCo's height fields begin at zero. Newton 1.6 lowers the geom by the field's lowest height when it makes it, and
    forgets that when it copies a shape's properties anew, which it does before the first step.
    """
    transforms = wp.to_torch(model.shape_transform)
    for shape, kind in enumerate(model.shape_type.numpy()):
        if kind == GeoType.HFIELD:
            transforms[shape, 2] = model.shape_source[shape].min_z
            NewtonManager.add_model_change(ModelFlags.SHAPE_PROPERTIES)
