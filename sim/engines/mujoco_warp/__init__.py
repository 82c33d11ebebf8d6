"""The engine `mujoco_warp`: MuJoCo on an NVIDIA GPU."""
