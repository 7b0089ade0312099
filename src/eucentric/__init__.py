"""Eucentric: design, acquire, process and understand tilt series for cryo-electron tomography."""

from importlib.metadata import version

__version__ = version("eucentric")
