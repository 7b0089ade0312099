"""What the twin is like, and which of its effects are on."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field

from eucentric.core import Angstrom, Degrees, ElectronsPerA2, InputError, Record, did_you_mean
from eucentric.detector import DETECTORS, Detector
from eucentric.optics import MEAN_FREE_PATH_A
from eucentric.specimen.motion import STILL, TYPICAL, BeamMotion
from eucentric.twin.mechanics import REALISTIC, StageErrors

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Effects(Record):
    """What happens in the twin; each can be switched off, and draws from random streams of its own.

    Attributes
    ----------
    solvent, ice_motion
        The grain of ice and carbon; its change as the beam moves the water.
    damage
        Fading of the molecules with the exposure that their place has received.
    inelastic, energy_filter
        Loss of electrons along the true path; whether those that lost energy are filtered out.
    plural_scattering
        Loss of contrast in thick ice, as electrons that atoms have scattered twice no longer tell where.
    drift, burst, local_motion, doming
        Movement of the stage after a move; of the specimen in the beam.
    tilt_error, stage_error
        Tilts that are not what they are said to be; wander, wobble, backlash, height and axis.
    tracking_error, focus_error
        What a routine leaves of them (`workflow` corrects the rest before each exposure).
    astigmatism, coma, incoherence
        Of the lens: the last two from image shift, and from spreads of energy and direction.
    beam
        A round beam, off centre, with a soft edge, in place of an even one.
    noise, detection, mtf, gain, defects, coincidence
        Of the camera: shot noise, electrons that it misses, its blur, its pixels, electrons too close in time.
    ice_growth
        Ice that settles on the specimen with time: off unless asked for.
    """

    solvent: bool = True
    ice_motion: bool = True
    damage: bool = True
    inelastic: bool = True
    energy_filter: bool = True
    plural_scattering: bool = True
    drift: bool = True
    burst: bool = True
    local_motion: bool = True
    doming: bool = True
    tilt_error: bool = True
    stage_error: bool = True
    tracking_error: bool = True
    focus_error: bool = True
    astigmatism: bool = True
    coma: bool = True
    incoherence: bool = True
    beam: bool = True
    noise: bool = True
    detection: bool = True
    mtf: bool = True
    gain: bool = True
    defects: bool = True
    coincidence: bool = True
    ice_growth: bool = False

    @classmethod
    def none(cls) -> Self:
        """Return no effect at all, but for the filter, which keeps out what it is meant to."""
        return cls(**(dict.fromkeys(cls.model_fields, False) | {"energy_filter": True}))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the effects of a list such as ``no-drift,no-mtf``, ``none``, ``none,damage`` or ``all,no-noise``.

        Raises
        ------
        InputError
            If a word is no effect.
        """
        effects = cls()
        for word in filter(None, (word.strip().lower() for word in text.split(","))):
            if word in ("all", "default"):
                effects = cls(**dict.fromkeys(cls.model_fields, True)) if word == "all" else cls()
            elif word == "none":
                effects = cls.none()
            else:
                name, on = (word[3:], False) if word.startswith("no-") else (word, True)
                field = name.replace("-", "_")
                if field not in cls.model_fields:
                    known = [one.replace("_", "-") for one in cls.model_fields]
                    raise InputError(
                        f"--effects {word}: there is no such effect.{did_you_mean(name, known)}",
                        f"Use none, all, or no- before one of {', '.join(known)}.",
                    )
                effects = effects.replace(**{field: on})
        return effects


class TwinSettings(Record):
    """A microscope of this kind.

    Attributes
    ----------
    axis_deg
        Tilt-axis angle in the images: IMOD's, from their y axis, counter-clockwise.
    axis_error_deg
        That angle less what the microscope says of it.
    hand
        Defocus hand: +1 if a greater z of the image frame (along the beam) is a greater underfocus.
    stage, motion
        Errors of the stage; movement of the specimen in the beam.
    detector
        The camera.
    mean_free_path_A
        Inelastic, of ice at 300 kV.
    astigmatism_A, astigmatism_deg
        Difference of the two defocus values; direction of the larger, from x towards y.
    coma_mrad_per_um
        Beam tilt that each µm of image shift brings (uncorrected: some 0.05; 0.1 mrad is 270 nm of coma, and is felt
        from 4 Å on).
    illumination_mrad
        Half-angle of the illumination.
    beam_radius_A, beam_edge_A, beam_offset_yx_A
        The beam: radius (of the field's half diagonal times 1.3 where absent), softness of its edge, place of its
        centre when its shift reads zero.
    tracking_error_A, focus_error_A
        What a routine's tracking and focusing leave, rms along each axis, and in defocus.
    view_exposure_e_A2
        Of a view at low magnification.
    readout_s
        What the camera and its computer take after each exposure.
    ice_growth_A_per_h
        Thickness that is added in an hour.
    began
        When the session begins, by the microscope's clock.
    """

    axis_deg: Degrees = 84.3
    axis_error_deg: Degrees = 0.4
    hand: Literal[1, -1] = 1
    stage: StageErrors = REALISTIC
    motion: BeamMotion = TYPICAL
    detector: Detector = DETECTORS["k2"]
    mean_free_path_A: Positive = MEAN_FREE_PATH_A
    astigmatism_A: NotNegative = 300.0
    astigmatism_deg: Degrees = 35.0
    coma_mrad_per_um: NotNegative = 0.05
    illumination_mrad: NotNegative = 0.005
    beam_radius_A: Positive | None = None
    beam_edge_A: Positive = 60.0
    beam_offset_yx_A: tuple[Angstrom, Angstrom] = (150.0, -100.0)
    tracking_error_A: NotNegative = 80.0
    focus_error_A: NotNegative = 500.0
    view_exposure_e_A2: ElectronsPerA2 = 0.05
    readout_s: NotNegative = 0.0
    ice_growth_A_per_h: NotNegative = 20.0
    began: datetime = datetime(2026, 11, 23, 21, 30, 0)

    def with_effects(self, effects: Effects) -> Self:
        """Return the settings with what is switched off set to what has no effect."""
        off: dict[str, bool] = {name: not on for name, on in effects.model_dump().items()}
        stage, motion, detector = self.stage, self.motion, self.detector
        if off["tilt_error"]:
            stage = stage.replace(tilt_offset_deg=0.0, tilt_rms_deg=0.0)
        if off["stage_error"]:
            still = dict.fromkeys(
                ("eucentric_z_A", "axis_offset_x_A", "wander_A", "cross_axis_A", "wobble_A", "backlash_A"), 0.0
            )
            stage = stage.replace(**still)
        if off["drift"]:
            stage = stage.replace(drift_A_per_s=0.0, drift_floor_A_per_s=0.0)
        for name, fields in (("burst", ("burst_A",)), ("local_motion", ("local_A",)), ("doming", ("doming_A",))):
            if off[name]:
                motion = motion.replace(**{one: getattr(STILL, one) for one in fields})
        for name in ("mtf", "detection", "coincidence", "gain", "defects"):
            if off[name]:
                detector = detector.without(name)  # type: ignore[arg-type]  # they are named alike
        zeros = {
            "astigmatism": "astigmatism_A",
            "coma": "coma_mrad_per_um",
            "tilt_error": "axis_error_deg",
            "tracking_error": "tracking_error_A",
            "focus_error": "focus_error_A",
            "incoherence": "illumination_mrad",
            "ice_growth": "ice_growth_A_per_h",
        }
        changes = {field: 0.0 for name, field in zeros.items() if off[name]}
        return self.replace(stage=stage, motion=motion, detector=detector, **changes)
