"""Which tilts pass what the sliders ask for."""

from eucentric.core import Record
from eucentric.web.session.records import TiltView


class Filter(Record):
    """What a tilt must have to pass; what is absent is not asked for, and what is not known does not pass."""

    most_drift_A: float | None = None
    most_resolution_A: float | None = None
    least_counts_share: float | None = None

    def passes(self, tilt: TiltView) -> bool:
        """Whether a tilt has all that is asked for."""
        share = tilt.counts_share
        return (
            (self.most_drift_A is None or (tilt.motion_A is not None and tilt.motion_A <= self.most_drift_A))
            and (
                self.most_resolution_A is None
                or (tilt.fit_resolution_A is not None and tilt.fit_resolution_A <= self.most_resolution_A)
            )
            and (self.least_counts_share is None or (share is not None and share >= self.least_counts_share))
        )
