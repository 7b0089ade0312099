"""Processing stages with their inputs, outputs and settings: what reads and writes around the pure functions.

Its modules are imported by name: `process` loads torch and matplotlib, for which a run on a microscope should not wait.
"""
