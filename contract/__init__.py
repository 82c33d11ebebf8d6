"""The ground floor, numpy only: signals, rotations, robots, and the policy bundle."""
