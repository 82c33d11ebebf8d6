"""The engine `isaac_lab`: Isaac Lab 3 on the physics of Newton."""
