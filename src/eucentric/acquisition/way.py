"""`Way`: from where the targets were picked to the first tilt, looking on the way."""

from collections.abc import Callable, Mapping
from functools import partial

from eucentric.acquisition.aiming import Aiming
from eucentric.acquisition.happenings import Teller
from eucentric.acquisition.program import Program, Step
from eucentric.acquisition.reacting import GiveUpError
from eucentric.design import TRACKING
from eucentric.microscope import Microscope


class Way:
    """The way to the first tilt, so that height and plane of the specimen are known before the first exposure.

    Parameters
    ----------
    microscope, program, aiming, tell
        Of the run.
    lie
        Called with the heights of the focus points, once they are measured.
    """

    def __init__(
        self,
        microscope: Microscope,
        program: Program,
        aiming: Aiming,
        tell: Teller,
        lie: Callable[[Mapping[str, float]], None],
    ) -> None:
        self._microscope = microscope
        self._program = program
        self._aiming = aiming
        self._tell = tell
        self._lie = lie
        self._picked_deg = program.targets.tilt_deg
        self._at_pick = Step(program.steps[0].exposure, "start")
        self._area = program.tracked == TRACKING

    def go(self, *, looked: bool) -> None:
        """Go it, or the rest of it.

        Parameters
        ----------
        looked
            Whether a run that was stopped on the way had looked already.

        Raises
        ------
        GiveUpError
            If the stage is not where the targets were picked, the specimen's plane cannot be measured that is asked
            for, or a policy ends the run.
        """
        order = self._at_pick.order
        if not looked:
            self._begin()
        if self._program.targets.to_measure:
            self._measure_plane()
        if self._area:
            for tilt_deg in self._program.walk(self._microscope.stage().tilt_deg):
                self._look(partial(self._aiming.go_to, tilt_deg, "start", order=order))
                self._look(partial(self._aiming.track, self._at_pick, TRACKING))
        self._tell("acquisition.way", order=order)

    def _begin(self) -> None:
        here_deg = self._microscope.stage().tilt_deg
        if not self._is_at_pick():
            reason = f"the stage is at {here_deg:.2f}°, and the targets were picked at {self._picked_deg:.2f}°"
            raise GiveUpError("abort", f"{reason}: they are not where they are said to be. Nothing was exposed")
        self._aiming.begin(self._picked_deg, "start", order=self._at_pick.order)
        if self._area:
            self._look(partial(self._aiming.track, self._at_pick, TRACKING))
            self._look(partial(self._aiming.focus, self._at_pick, TRACKING))

    def _measure_plane(self) -> None:
        if not self._is_at_pick():
            self._aiming.go_to(self._picked_deg, "start", order=self._at_pick.order)
            if self._area:
                self._aiming.track(self._at_pick, TRACKING)
        heights_A = {}
        for name in self._program.targets.to_measure:
            height_A = self._aiming.focus(self._at_pick, name, learn=False)
            if height_A is None:  # nothing is exposed on a plane that is guessed
                raise GiveUpError("abort", f"the specimen's plane cannot be told: no focus at {name}")
            heights_A[name] = height_A
        self._tell("acquisition.plane", heights_A=heights_A, order=self._at_pick.order)
        self._lie(heights_A)

    def _is_at_pick(self) -> bool:
        most_deg = self._program.plan.acquisition.policies.stage_failed.most_deg
        return abs(self._microscope.stage().tilt_deg - self._picked_deg) <= most_deg

    @staticmethod
    def _look(look: Callable[[], object]) -> None:
        """Look, and go on if nothing is seen: what was not seen on the way is seen at the first tilt."""
        try:
            look()
        except GiveUpError as error:
            if error.scope == "abort":
                raise
