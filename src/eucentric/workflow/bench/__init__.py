"""Times the main operations on this machine, beside other programs where they are installed, on work of known truth.

Its modules are imported by name: `run` loads torch and numba.
"""
