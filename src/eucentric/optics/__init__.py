"""What a lens, a beam and ice do to an image: wavelength, contrast transfer, damage, transmission, depth of focus.

Plain functions of numpy arrays or numbers. k is spatial frequency in 1/Å; defocus is in Å, underfocus positive.
"""

from eucentric.optics.aberrations import (
    Aberrations,
    coma_phase_rad,
    envelope,
    even_phase_rad,
    plane_frequencies,
)
from eucentric.optics.beam import interaction_rad_per_VA, speed_ratio, wavelength_A
from eucentric.optics.ctf import Lens, ctf, mean_ctf2, phase_rad, temporal_envelope
from eucentric.optics.ctf_records import CTFFit, HandVerdict, SeriesCTF, TiltCTF
from eucentric.optics.damage import (
    OPTIMAL_EXPOSURE,
    critical_exposure_e_A2,
    fading_A2_per_e,
    surviving_amplitude,
    surviving_amplitude_b_factor,
    useful_exposure_e_A2,
)
from eucentric.optics.focus import defocus_of_point_A, depth_of_field_A, first_thick_node_A, strip_width_A
from eucentric.optics.transmission import (
    MEAN_FREE_PATH_A,
    MEAN_FREE_PATH_RANGE_A,
    elastic_mean_free_path_A,
    mean_free_path_A,
    transmission,
)

__all__ = [
    "MEAN_FREE_PATH_A",
    "MEAN_FREE_PATH_RANGE_A",
    "OPTIMAL_EXPOSURE",
    "Aberrations",
    "CTFFit",
    "HandVerdict",
    "Lens",
    "SeriesCTF",
    "TiltCTF",
    "coma_phase_rad",
    "critical_exposure_e_A2",
    "ctf",
    "defocus_of_point_A",
    "depth_of_field_A",
    "elastic_mean_free_path_A",
    "envelope",
    "even_phase_rad",
    "fading_A2_per_e",
    "first_thick_node_A",
    "interaction_rad_per_VA",
    "mean_ctf2",
    "mean_free_path_A",
    "phase_rad",
    "plane_frequencies",
    "speed_ratio",
    "strip_width_A",
    "surviving_amplitude",
    "surviving_amplitude_b_factor",
    "temporal_envelope",
    "transmission",
    "useful_exposure_e_A2",
    "wavelength_A",
]
