"""Specimens made by the package: what is in the ice, and what a microscope would record of it."""
