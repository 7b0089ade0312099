"""The story of a tilt series in seven steps: where to set the sliders, and what to look at."""

from dataclasses import dataclass

from eucentric.web.explorer.state import State


@dataclass(frozen=True)
class Preset:
    """A step of the story."""

    name: str
    state: State
    look: str


PRESETS = (
    Preset(
        "Projection",
        State(exposure_e_A2=20, tilts=5, half_range_deg=20, thickness_A=1500),
        "One image adds up everything along the beam: what lies above and below is drawn over one another, and the "
        "slice made of five such images tells next to nothing of heights. Move the noise to 0 and back: electrons are "
        "few, and that is what the grain is. A thicker slab puts more things into the same image.",
    ),
    Preset(
        "Parallax",
        State(noise=0.3, view_deg=40),
        "Press play: the stage swings, and the three ringed beads, at the top, in the middle and at the bottom of the "
        "slab, move by their height times the sine of the tilt, while all draw nearer to the axis. That is all that a "
        "tomogram knows of depth. "
        "The middle one lies on the axis's height and hardly moves; tilting farther tells heights apart more finely.",
    ),
    Preset(
        "Wedge",
        State(half_range_deg=40, noise=0, tilts=61),
        "Without noise, and with tilts enough, only the wedge is left: the beads are drawn out along the beam, and "
        "the tops and bottoms of vesicles fade, as the directions that show them were never measured. Widen the "
        "range to 70°: the empty part of the map shrinks, the images at its ends look through three times the ice.",
    ),
    Preset(
        "Fractionation",
        State(tilts=15),
        "The same exposure in 15 images: each is good, and the slice has streaks from every strong thing, as the map "
        "has gaps. Go to 41 and 121: streaks go, the grain stays the same, since electrons count wherever they fall. "
        "Worth says where to stop: gaps pull down its left end, weak images that are hard to place its right.",
    ),
    Preset(
        "Order",
        State(scheme="unidirectional", weighted=False),
        "From one end to the other, the thin and telling views near 0° come when half of the exposure is spent, and "
        "those of the far end when fine detail is gone. Change the order to dose-symmetric: the bars show the same "
        "exposure with the early part in the middle, and signal at 10 Å is on the same footing on both sides.",
    ),
    Preset(
        "Defocus ramp",
        State(view_deg=60, defocus_A=20_000, noise=0.3),
        "At 60° one end of the field is higher than the other by more than a micrometre: the zeros of the CTF lie at "
        "other resolutions at its left, its middle and its right. Bring the stage back to 0° and the three curves of "
        "transfer fall together. This is why the CTF is corrected place by place, and why defocus is not too small.",
    ),
    Preset(
        "Dose weighting",
        State(exposure_e_A2=250, weighted=False, defocus_A=20_000),
        "With 250 e/Å² most images are taken of a specimen that has lost its fine detail: they add noise there, and no "
        "signal. Switch the weighting on: each image counts, at each resolution, by what its exposure has left. "
        "Shapes stay as they were and edges gain a little: it cannot bring back what was burnt.",
    ),
)
