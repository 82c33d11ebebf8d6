"""Randomisations that recipes use. A range says where it comes from: published, or guessed."""

from domain_rand.distributions import Constant, Uniform
from domain_rand.spec import Per, Randomisation, Term

# Guessed, in the middle of what legged_gym, mjlab and unitree_rl_lab randomise for robots of this size; to be replaced
# by measured ranges. Sensor noise is that of a MEMS gyro and a magnetic encoder, doubled.
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
