"""Randomisations that recipes use, and that `landbridge train --randomisation NAME` takes.

A range says where it comes from. Those of `QUADRUPED` are guessed, in the middle of what legged_gym, mjlab and
unitree_rl_lab randomise for robots of this size; to be replaced by measured ranges. Sensor noise is that of a MEMS gyro
and a magnetic encoder, doubled.
"""

from collections.abc import Mapping

from domain_rand.distributions import Categorical, Constant, LogUniform, TruncatedNormal, Uniform
from domain_rand.spec import At, Every, Per, Randomisation, Term

QUADRUPED = Randomisation(
    (
        Term("friction", Uniform(0.4, 1.25)),
        Term("payload_mass", Uniform(-1.0, 2.0)),
        Term("base_com", Uniform(-0.03, 0.03)),
        Term("motor_strength", Uniform(0.9, 1.1)),
        Term("kp_factor", Uniform(0.9, 1.1)),
        Term("kd_factor", Uniform(0.8, 1.2)),
        Term("joint_friction", Uniform(0.0, 0.4)),
        Term("joint_damping", Uniform(0.0, 0.3)),
        Term("joint_armature", Uniform(0.008, 0.02), Per.ROBOT),
        Term("encoder_offset", Uniform(-0.02, 0.02)),
        Term("gyro_bias", Uniform(-0.03, 0.03)),
        Term("joint_pos_noise", Constant(0.01)),
        Term("joint_vel_noise", Constant(0.5)),
        Term("gyro_noise", Constant(0.1)),
        Term("imu_quat_noise", Constant(0.02)),
        Term("sensor_delay", Uniform(0.0, 0.015)),
        Term("action_delay", Uniform(0.0, 0.015)),
        Term("push_interval", Uniform(4.0, 8.0)),
        Term("push_speed", Uniform(0.0, 0.6)),
        Term("push_spin", Uniform(0.0, 0.5)),
    )
)

# Everything that a quadruped on flat ground has in `mujoco_cpu` and `mujoco_warp`; guessed, each by itself small. A
# payload sits somewhere on the back, so that taking mass away is the base's own factor here.
FULL = QUADRUPED.updated(
    Term("foot_friction_factor", Uniform(0.8, 1.2)),
    Term("payload_mass", Uniform(0.0, 2.0)),
    Term("payload_pos", Uniform(-0.08, 0.08)),
    Term("base_mass_factor", TruncatedNormal(1.0, 0.05, 0.88, 1.12)),
    Term("base_stretch", Uniform(-0.1, 0.1)),
    Term("base_shear", Uniform(-0.1, 0.1)),
    Term("link_mass_factor", Uniform(0.9, 1.1), Per.LEG, At.START_UP),
    Term("motor_strength", Uniform(0.9, 1.1), moment=At.START_UP),
    Term("battery_sag", Uniform(0.0, 0.2), moment=Every(Uniform(3.0, 6.0))),
    Term("joint_stop_margin", Uniform(0.0, 0.03)),
    Term("gravity_offset", Uniform(-0.1, 0.1)),
    Term("base_force", Uniform(-6.0, 6.0), moment=Every(Uniform(1.0, 4.0))),
    Term("base_torque", Uniform(-0.6, 0.6), moment=Every(Uniform(1.0, 4.0))),
    Term("default_pose_offset", Uniform(-0.02, 0.02)),
    Term("backlash", Uniform(0.0, 0.01)),
    Term("imu_mount_rotation", TruncatedNormal(0.0, 0.01, -0.025, 0.025), moment=At.START_UP),
    Term("gyro_walk", LogUniform(1e-4, 1e-2)),
    Term("imu_heading_walk", LogUniform(1e-4, 1e-2)),
    Term("joint_pos_resolution", Categorical((0.0, 0.0004, 0.0015), (1.0, 1.0, 1.0)), moment=At.START_UP),
    Term("joint_vel_resolution", Categorical((0.0, 0.05), (1.0, 1.0)), moment=At.START_UP),
    Term("gyro_resolution", Constant(0.001)),
    Term("sensor_delay", Uniform(0.0, 0.012)),
    Term("sensor_jitter", Uniform(0.0, 0.004)),
    Term("sensor_drop", Uniform(0.0, 0.02)),
    Term("sensor_hold", Categorical((0.0, 0.04), (4.0, 1.0))),
    Term("action_delay", Uniform(0.0, 0.012)),
    Term("action_jitter", Uniform(0.0, 0.004)),
    Term("action_drop", Uniform(0.0, 0.02)),
    Term("action_hold", Categorical((0.0, 0.04), (4.0, 1.0))),
    Term("initial_height", Uniform(0.0, 0.02)),
    Term("initial_tilt", Uniform(-0.1, 0.1)),
    Term("initial_lin_vel", Uniform(-0.3, 0.3)),
    Term("initial_ang_vel", Uniform(-0.3, 0.3)),
    Term("initial_joint_pos", TruncatedNormal(0.0, 0.08, -0.15, 0.15)),
    Term("initial_joint_vel", Uniform(-0.5, 0.5)),
    Term("spawn_pos", Uniform(-1.0, 1.0)),
)

# Of every engine, so that the same training runs on each.
CARTPOLE = Randomisation(
    (
        Term("motor_strength", Uniform(0.9, 1.1), Per.ROBOT),
        Term("kp_factor", Uniform(0.9, 1.1), Per.ROBOT),
        Term("joint_pos_noise", Constant(0.002)),
        Term("joint_vel_noise", Constant(0.02)),
        Term("sensor_delay", Uniform(0.0, 0.01)),
        Term("action_delay", Uniform(0.0, 0.01)),
    )
)

PRESETS: Mapping[str, Randomisation] = {
    "none": Randomisation(),
    "cartpole": CARTPOLE,
    "quadruped": QUADRUPED,
    "full": FULL,
}
