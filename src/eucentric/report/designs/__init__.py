"""Pictures of designs, as figures that stand alone: compared, over the number of tilts, over a session's defocus."""

from eucentric.report.designs.compare import MOST_DESIGNS, compare_figure
from eucentric.report.designs.files import write_figure
from eucentric.report.designs.session_ctf import session_ctf_figure
from eucentric.report.designs.sweet_spot import sweet_spot_figure

__all__ = ["MOST_DESIGNS", "compare_figure", "session_ctf_figure", "sweet_spot_figure", "write_figure"]
