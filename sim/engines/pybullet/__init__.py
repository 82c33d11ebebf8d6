"""The engine `pybullet`: Bullet, in processes of its own. Importing this package imports nothing."""
