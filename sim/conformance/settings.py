"""Values that laws give to parameters: one row an environment, of which row 0 is nominal."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sim.conformance.bench import set_parameters
from sim.engines.engine import Engine

Settings = Mapping[str, Tensor]

# Columns: motor, wheel, pendulum, slider.
_FACTORS = torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.6, 1.0, 1.0, 1.3], [1.4, 1.0, 1.0, 1.0], [0.8, 1.0, 1.0, 0.7]])
_AMOUNTS = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [0.5, 1.0, 0.5, 0.5]])

ON_JOINTS: Settings = {
    "motor_strength": _FACTORS,
    "kp_factor": _FACTORS,
    "kd_factor": 2.0 * _FACTORS - 1.0,
    "battery_sag": torch.tensor([[0.0], [0.3], [0.1], [0.5]]),
    "joint_friction": _AMOUNTS * torch.tensor([0.4, 0.05, 0.1, 1.5]),  # N m, N
    "joint_damping": _AMOUNTS * torch.tensor([0.3, 0.02, 0.03, 2.0]),  # N m s/rad, N s/m
    "joint_armature": _AMOUNTS * torch.tensor([0.05, 0.01, 0.01, 0.2]),  # kg m^2, kg
    "link_mass_factor": 1.0 + _AMOUNTS * torch.tensor([0.4, 0.5, -0.4, 0.6]),
}

# Those of a spinning block leave the axes that it spins about principal ones, as far as they can.
ON_BASES: Settings = {
    "friction": torch.tensor([[0.5], [0.3], [0.9], [0.7]]),
    "foot_friction_factor": torch.tensor([[1.0], [0.6], [1.8], [1.4]]),
    "restitution": torch.tensor([[0.0], [0.3], [0.6], [0.8]]),
    "payload_mass": torch.tensor([[0.0], [1.0], [-0.5], [2.0]]),  # kg
    "payload_pos": torch.tensor([[0.0, 0.0, 0.0], [0.05, -0.04, 0.0], [0.1, 0.1, 0.1], [-0.06, 0.02, 0.0]]),  # m
    "base_com": torch.tensor([[0.0, 0.0, 0.0], [0.02, -0.03, 0.0], [0.01, 0.0, 0.03], [0.0, 0.03, 0.0]]),  # m
    "base_mass_factor": torch.tensor([[1.0], [1.3], [0.8], [1.5]]),
    "base_stretch": torch.tensor([[0.0, 0.0, 0.0], [0.2, -0.1, 0.1], [-0.1, 0.2, 0.0], [0.1, 0.1, -0.2]]),
    "base_shear": torch.tensor([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0], [0.0, 0.4, 0.0], [0.2, -0.1, 0.3]]),
    "joint_stop_margin": torch.tensor([[0.0], [0.1], [0.2], [-0.1]]),  # rad
    "gravity_offset": torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, -0.5, 0.3], [0.0, 0.0, 1.0]]),  # m/s^2
    "base_force": torch.tensor([[0.0, 0.0, 0.0], [6.0, 0.0, 0.0], [0.0, -8.0, 2.0], [-3.0, 4.0, 5.0]]),  # N
    "base_torque": torch.tensor([[0.0, 0.0, 0.0], [0.04, 0.0, 0.0], [0.0, -0.03, 0.0], [0.03, 0.03, 0.0]]),  # N m
}


def set_all_but(engine: Engine, *spared: str) -> None:
    """Change every parameter that the engine has, except for some."""
    joints = engine.robot.num_joints
    for name in sorted(set(engine.capabilities.parameters) - set(spared)):
        if name in ON_BASES:
            set_parameters(engine, {name: ON_BASES[name]})
        elif name in ON_JOINTS:
            column = ON_JOINTS[name][:, :1]
            set_parameters(engine, {name: column if name == "battery_sag" else column.expand(4, joints)})
