"""PhysX behind Isaac Lab, by ovphysx: without Isaac Sim. What Isaac Lab's own interface has no word for."""

import ctypes
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import ovphysx
import torch
import warp as wp
from isaaclab.scene import InteractiveScene
from isaaclab.sim import SimulationContext
from isaaclab_ov import tensor_types
from isaaclab_ov.physics import OvPhysxCfg, OvPhysxManager
from ovphysx.contact_types import ContactEventHeader, ContactPoint
from pxr import Sdf, Usd, UsdPhysics, UsdShade
from torch import Tensor

from sim.formats.usd import prim_name

# ovphysx's contact report, as its `contact_types.py` lays it out.
_PAIR = np.dtype(
    {
        "names": ["collider_0", "collider_1", "start", "count"],
        "formats": ["u8", "u8", "u4", "u4"],
        "offsets": [
            ContactEventHeader.collider0.offset,
            ContactEventHeader.collider1.offset,
            ContactEventHeader.contactDataOffset.offset,
            ContactEventHeader.numContactData.offset,
        ],
        "itemsize": ctypes.sizeof(ContactEventHeader),
    }
)
_POINT = np.dtype(
    {
        "names": ["impulse"],
        "formats": ["3f4"],
        "offsets": [ContactPoint.impulse.offset],
        "itemsize": ctypes.sizeof(ContactPoint),
    }
)
_PATH = re.compile(r".*/env_(\d+)/Robot/.*/collisions/(\w+)")

# What PhysX would add of its own: air resistance, sleep, caps on speed, and an average with the friction of the ground.
_BODY = {
    "physxRigidBody:angularDamping": 0.0,
    "physxRigidBody:maxAngularVelocity": math.inf,
    "physxRigidBody:sleepThreshold": 0.0,
}
_ARTICULATION = {"physxArticulation:sleepThreshold": 0.0, "physxArticulation:stabilizationThreshold": 0.0}
_JOINT = {"physxJoint:maxJointVelocity": math.inf}
_GROUND = {"physxMaterial:frictionCombineMode": "multiply", "physxMaterial:restitutionCombineMode": "multiply"}
# Not TGS, PhysX's default: under it a block whose weight is off centre turns as it slides.
_SCENE: dict[str, str | bool] = {
    "physxScene:solverType": "PGS",
    "physxScene:broadphaseType": "MBP",
    "physxScene:enableGPUDynamics": False,
}


class PhysX:
    """PhysX as `sim.engines.isaac_lab.physics.Physics`."""

    hides_memory = True  # of contacts

    def __init__(self) -> None:
        self.config = OvPhysxCfg(enable_enhanced_determinism=True)

    def amend(self, robot: Path, ground: Path) -> None:
        """Add PhysX's own words; the ground gets a friction of 1, by which that of the robot is multiplied."""
        stage = Usd.Stage.Open(str(robot))
        for prim in stage.Traverse():
            if prim.HasAPI(UsdPhysics.RigidBodyAPI):
                _apply(prim, "PhysxRigidBodyAPI", _BODY)
                _apply(prim, "PhysxContactReportAPI", {"physxContactReport:threshold": 0.0})
            if prim.HasAPI(UsdPhysics.ArticulationRootAPI):
                _apply(prim, "PhysxArticulationAPI", _ARTICULATION)
            if prim.IsA(UsdPhysics.Joint):
                _apply(prim, "PhysxJointAPI", _JOINT)
        stage.GetRootLayer().Save()
        stage = Usd.Stage.Open(str(ground))
        material = UsdShade.Material.Define(stage, stage.GetDefaultPrim().GetPath().AppendChild("material"))
        friction = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
        friction.CreateStaticFrictionAttr(1.0)
        friction.CreateDynamicFrictionAttr(1.0)
        _apply(material.GetPrim(), "PhysxMaterialAPI", _GROUND)
        for prim in stage.Traverse():
            if prim.HasAPI(UsdPhysics.CollisionAPI):
                UsdShade.MaterialBindingAPI.Apply(prim).Bind(material, UsdShade.Tokens.weakerThanDescendants, "physics")
        stage.GetRootLayer().Save()

    def prepare(self, simulation: SimulationContext) -> None:
        """Settings of the scene; errors alone are logged, through Python."""
        ovphysx.enable_python_logging(min_severity=ovphysx.LogLevel.ERROR)
        ovphysx.enable_default_log_output(False)
        _apply(simulation.stage.GetPrimAtPath(simulation.cfg.physics_prim_path), "PhysxSceneAPI", _SCENE)
        if not wp.is_cuda_available():
            # Isaac Lab asks for pinned memory even for the processor, and there is none without a CUDA driver.
            cpu = wp.get_device("cpu")
            cpu.pinned_allocator = cpu.default_allocator

    def contact_sensor(self, _robot: str) -> None:
        """None: on PhysX, Isaac Lab's sensor tells bodies apart, not geoms."""

    def bind(self, scene: InteractiveScene, contact_geoms: tuple[str, ...]) -> None:
        """Take hold of a simulation that has been built."""
        articulation: Any = scene["robot"]
        self._articulation, self._physx, self._dt = articulation, OvPhysxManager.get_physx_instance(), scene.physics_dt
        self._axes = articulation.data.body_com_quat_b.torch.clone()
        friction = articulation.data.joint_friction_coeff.torch.clone()  # at rest; the file has no word for the other
        articulation.write_joint_friction_coefficient_to_sim_index(
            joint_friction_coeff=friction, joint_dynamic_friction_coeff=friction
        )
        self._shape = scene.num_envs, len(contact_geoms)
        self._geoms = {prim_name(name): i for i, name in enumerate(contact_geoms)}
        self._columns: dict[int, int] = {}

    def contact_force(self) -> Tensor:
        """(N, G) N, sum of the sizes of the normal forces on each collision geom, from PhysX's report of contacts."""
        force = np.zeros(self._shape)
        report = self._physx.get_contact_report()
        if report["num_points"]:
            pairs, points = np.frombuffer(report["headers"], _PAIR), np.frombuffer(report["points"], _POINT)
            pairs = pairs[pairs["count"] > 0]
            sizes = np.linalg.norm(points["impulse"], axis=1) / self._dt
            ends = np.concatenate([[0.0], np.cumsum(sizes, dtype=np.float64)])
            totals = ends[pairs["start"] + pairs["count"]] - ends[pairs["start"]]
            for colliders in ("collider_0", "collider_1"):
                columns = np.array([self._column(shape) for shape in pairs[colliders].tolist()], dtype=np.int64)
                ours = columns >= 0
                np.add.at(force.reshape(-1), columns[ours], totals[ours])
        return torch.from_numpy(force).float()

    def _column(self, shape: int) -> int:
        """Where the force on one of PhysX's shapes belongs among all of the (N, G); -1 for the ground's."""
        if shape not in self._columns:
            (path,) = self._physx.get_scene_query_paths_from_ids([shape])
            ours = _PATH.fullmatch(path)
            self._columns[shape] = int(ours[1]) * len(self._geoms) + self._geoms[ours[2]] if ours else -1
        return self._columns[shape]

    def set_effort_limit(self, ids: Tensor, joints: list[int], value: Tensor) -> None:
        """Nothing more than what Isaac Lab's articulation does."""

    def set_joint_friction(self, ids: Tensor, joints: list[int], value: Tensor) -> None:
        """Coulomb friction (n, len(joints)) N m, the same at rest and in motion."""
        self._articulation.write_joint_friction_coefficient_to_sim_index(
            joint_friction_coeff=value, joint_dynamic_friction_coeff=value, joint_ids=joints, env_ids=ids.int()
        )

    def set_centre_of_mass(self, ids: Tensor, bodies: list[int], value: Tensor) -> None:
        """Centres of mass (n, len(bodies), 3) m in the bodies' frames; principal axes keep their directions."""
        pose = torch.cat([value, self._axes[ids][:, bodies]], dim=2)
        self._articulation.set_coms_index(coms=pose, body_ids=bodies, env_ids=ids.int())

    def set_friction(self, ids: Tensor, value: Tensor) -> None:
        """Friction (n, 1) of all collision shapes of robots `ids` (n,), at rest and sliding."""
        if self._geoms:
            view, kind = self._articulation.root_view, tensor_types.SHAPE_FRICTION_AND_RESTITUTION
            materials = wp.to_torch(view.get_attribute(kind))  # (N, shapes, 3), friction twice and restitution
            materials[ids, :, :2] = value[:, None]
            view.set_attribute(kind, wp.from_torch(materials.contiguous()), indices=wp.from_torch(ids.int()))

    def memory(self) -> dict[str, Tensor]:
        """Nothing that can be read."""
        return {}


def _apply(prim: Usd.Prim, schema: str, values: Mapping[str, float | str]) -> None:
    """Apply a schema that USD itself does not know, and set attributes of it."""
    prim.AddAppliedSchema(schema)
    kinds = Sdf.ValueTypeNames
    types = {bool: kinds.Bool, float: kinds.Float, str: kinds.Token}
    for name, value in values.items():
        prim.CreateAttribute(name, types[type(value)], custom=False).Set(value)
