"""Eucentric: design, acquire, process and understand tilt series for cryo-electron tomography."""

import os
from importlib.metadata import version

# Threads that spin while they wait hold the core that the thread they wait for needs: measured beside other work on
# two cores, an alignment took 35 to 115 s spinning and 15 to 18 s sleeping. OpenMP reads this once, when numba or torch
# first load it, and a user's own choice stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = version("eucentric")
