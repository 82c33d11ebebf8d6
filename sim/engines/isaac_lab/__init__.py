"""The engines `isaac_lab` and `isaac_lab_physx`: Isaac Lab 3 on the physics of Newton, and on PhysX."""
