"""The command line: `eucentric VERB`."""

import os

# Before torch is loaded: threads that spin while they wait take from others what they do not need; on a busy machine
# that made motion correction of small frames six times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from eucentric.cli.app import main  # noqa: E402 - after the setting above

__all__ = ["main"]
