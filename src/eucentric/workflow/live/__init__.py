"""Processing while the microscope works: a folder that fills, watched; its tilts and series, done by workers.

`arrivals` sees what has come and is whole, of stacks with `stacks`; `look` is what is done with one tilt as soon as its
movie closes, `section_look` with a section of a stack, and `asking` says which; `preview` is what is shown of a series
while it grows, `previews` when; `tasks` has what workers run, `crew` the workers, here or on a cluster; `watch` sends
them the work and keeps account.
"""

from eucentric.workflow.live.crew import Crew, LocalCrew
from eucentric.workflow.live.dask_crew import DaskCrew
from eucentric.workflow.live.records import Look, SeriesProgress, SeriesState, WatchSettings
from eucentric.workflow.live.watch import Watch

__all__ = ["Crew", "DaskCrew", "LocalCrew", "Look", "SeriesProgress", "SeriesState", "Watch", "WatchSettings"]
