"""What holds for every test: one thread a process, a ROS domain of its own, no deadlines."""

import os

import hypothesis

# Tests run in parallel processes, each on one thread: more would fight over the cores. This file is
# read before any test imports numpy or torch.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# Tests that run at the same time must not hear each other's topics. Domains above 101 meet ephemeral ports.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)

# What the person at the keyboard has set must not change what a test sees.
os.environ.pop("LANDBRIDGE_DEBUG", None)
os.environ["LANDBRIDGE_ROBOTS"] = ""  # none of the person's own

hypothesis.settings.register_profile(
    "landbridge", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("landbridge")
