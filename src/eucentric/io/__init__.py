"""One module per file format: tolerant reading that names each liberty it takes, strict writing.

`io.ome_zarr` is public too, but imported by name: it loads zarr, which a command that only reads metadata should
not wait for.
"""

from eucentric.io._mrc_sections import SectionHeader
from eucentric.io.alignment_json import read_alignment, write_alignment
from eucentric.io.angles import read_angles, write_angles
from eucentric.io.imod import format_excluded, read_imod_alignment, read_xf, write_tlt, write_xf
from eucentric.io.imod_model import ImodModel, ImodObject, is_imod_model, read_imod_model, write_imod_model
from eucentric.io.mdoc import MdocSection, MdocSeries, read_mdoc
from eucentric.io.mdoc_findings import Finding, FindingName
from eucentric.io.mrc import MrcImage, open_mrc
from eucentric.io.mrc_writer import write_mrc
from eucentric.io.pacetomo import PacetomoSettings, PacetomoTarget, pacetomo_settings, write_pacetomo
from eucentric.io.plan_csv import write_plan_csv
from eucentric.io.plans import plan_schema, read_plan, write_plan
from eucentric.io.serialem_script import write_serialem_script
from eucentric.io.series import LoadedSeries, load_series
from eucentric.io.tables import TiltRow, read_tilt_table, write_tilt_table
from eucentric.io.tracks import TrackTable, read_tracks, write_fiducials, write_tracks

__all__ = [
    "Finding",
    "FindingName",
    "ImodModel",
    "ImodObject",
    "LoadedSeries",
    "MdocSection",
    "MdocSeries",
    "MrcImage",
    "PacetomoSettings",
    "PacetomoTarget",
    "SectionHeader",
    "TiltRow",
    "TrackTable",
    "format_excluded",
    "is_imod_model",
    "load_series",
    "open_mrc",
    "pacetomo_settings",
    "plan_schema",
    "read_alignment",
    "read_angles",
    "read_imod_alignment",
    "read_imod_model",
    "read_mdoc",
    "read_plan",
    "read_tilt_table",
    "read_tracks",
    "read_xf",
    "write_alignment",
    "write_angles",
    "write_fiducials",
    "write_imod_model",
    "write_mrc",
    "write_pacetomo",
    "write_plan",
    "write_plan_csv",
    "write_serialem_script",
    "write_tilt_table",
    "write_tlt",
    "write_tracks",
    "write_xf",
]
