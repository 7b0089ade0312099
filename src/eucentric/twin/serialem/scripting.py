"""Commands of scripts themselves: variables, the clock, the log, dialogs, properties, errors, the end."""

import os
import re
from collections.abc import Sequence
from datetime import datetime

from eucentric.twin.serialem.bench import Bench
from eucentric.twin.serialem.errors import SEMerror, SEMexited
from eucentric.twin.serialem.registry import command
from eucentric.twin.serialem.setting_up import VERSION

_UNITS_S = {"msec": 1e-3, "ms": 1e-3, "sec": 1.0, "s": 1.0, "min": 60.0}
_DOSE_AREAS = 250
_NEVER_MIN = 40_000.0  # SerialEM's answer for a time that was never set


class ScriptCommands:
    """What a script says and asks, and what it keeps."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.variables: dict[str, float | str] = {}
        self._zero = bench.scope.now()
        self._accumulated: dict[int, float] = {}
        self._dose_area = 1
        self._tries = 0
        self._times: dict[str, float] = {}
        bench.prior_dose = self._prior_dose

    # --- variables

    @command("SetVariable", "SetPersistentVar")
    def set_variable(self, name: str, value: str) -> None:
        """Set a variable."""
        self.variables[name.strip().lower()] = value

    @command("SetFloatVariable")
    def set_float(self, name: str, value: float, *_: float) -> None:
        """Set a variable to a number."""
        self.variables[name.strip().lower()] = value

    @command("GetVariable")
    def variable(self, name: str) -> float | str:
        """Return a variable."""
        try:
            return self.variables[name.strip().lower()]
        except KeyError:
            raise SEMerror(f"The variable {name} is not defined") from None

    def numbers(self, name: str) -> list[float]:
        """Return the numbers in a variable, one a line as SerialEM has arrays, or between blanks."""
        value = self.variable(name)
        return [_number(word) for word in value.split()] if isinstance(value, str) else [value]

    def set_numbers(self, name: str, values: Sequence[float]) -> None:
        """Put numbers into a variable, as an array."""
        self.set_variable(name, "\n".join(f"{value:.9g}" for value in values))

    @command("IsVariableDefined")
    def is_defined(self, name: str) -> float:
        """Return whether there is such a variable."""
        return float(name.strip().lower() in self.variables)

    @command("ClearPersistentVars")
    def clear_variables(self) -> None:
        """Forget all variables."""
        self.variables.clear()

    @command("ReportEnvironVar")
    def environment(self, name: str) -> tuple[float | str, ...]:
        """Return whether there is such a variable of the system, and its value."""
        found = os.environ.get(name)
        return float(found is not None), "none" if found is None else found

    # --- clock

    @command("ReportClock")
    def clock(self) -> float:
        """Return the seconds since the clock was reset."""
        return (self._bench.scope.now() - self._zero).total_seconds()

    @command("ResetClock")
    def reset_clock(self) -> None:
        """Reset the clock."""
        self._zero = self._bench.scope.now()

    @command("ReportTickTime")
    def ticks(self, *_: str) -> float:
        """Return the seconds since SerialEM began."""
        return self._bench.elapsed_s()

    @command("Delay")
    def delay(self, amount: float, unit: str = "") -> None:
        """Wait."""
        word = unit.strip().lower()
        if word and word not in _UNITS_S:
            raise SEMerror(f"Delay: {unit!r} is no unit of time; they are {', '.join(_UNITS_S)}")
        scale = _UNITS_S[word] if word else 1.0 if amount <= 60 else 1e-3
        self._bench.wait(amount * scale)

    @command("ElapsedTickTime")
    def since(self, tick_s: float) -> float:
        """Return the seconds since a tick time."""
        return self.ticks() - tick_s

    @command("ReportDateTime")
    def date(self) -> tuple[float, float]:
        """Return the microscope's date as YYYYMMDD, and its time as HHMM."""
        now = self._now()
        return float(f"{now:%Y%m%d}"), float(f"{now:%H%M}")

    @command("ReportMinuteTime")
    def minutes(self) -> float:
        """Return the microscope's time in minutes."""
        return float(self._now().timestamp() // 60)

    @command("SetCustomTime")
    def set_custom(self, name: str, minutes: float | None = None) -> None:
        """Remember the time under a name, now or as it is given."""
        self._times[name.strip().lower()] = self.minutes() if minutes is None else minutes

    @command("ReportCustomInterval")
    def custom(self, name: str, minutes: float | None = None) -> float:
        """Return the minutes since a time that was remembered; 40000 if none was."""
        began = self._times.get(name.strip().lower())
        if began is None:
            return _NEVER_MIN
        return (self.minutes() if minutes is None else minutes) - began

    # --- dose

    @command("AreaForCumulRecordDose")
    def dose_area(self, number: int) -> None:
        """Choose which accumulator of dose counts."""
        if not 1 <= number <= _DOSE_AREAS:
            raise SEMerror(f"AreaForCumulRecordDose: {number} is not from 1 to {_DOSE_AREAS}")
        self._dose_area = number

    @command("AccumulateRecordDose")
    def accumulate(self, dose: float) -> None:
        """Add to the dose that images say was before them; counting begins with it, -1 ends it."""
        if dose < 0:
            self._accumulated.pop(self._dose_area, None)
        else:
            self._accumulated[self._dose_area] = self._accumulated.get(self._dose_area, 0.0) + dose

    def _prior_dose(self) -> float | None:
        """Return what a Record image is said to come after; None where nothing counts."""
        return self._accumulated.get(self._dose_area)

    # --- log

    @command("Echo", "EchoBreakLines", "EchoReplaceLine", "EchoNoLineEnd")
    def echo(self, text: str = "") -> None:
        """Write to the log."""
        self._bench.log.add(text)

    @command("SaveLog")
    def save_log(self, *_: object) -> None:
        """Save the log, which is written as it goes."""
        self._bench.log.flush()

    @command("SaveLogOpenNew")
    def new_log(self, name: str = "") -> None:
        """Go on in another log."""
        stem = re.sub(r"[^\w.+-]", "_", name.strip().removesuffix(".log")) or "log"
        self._bench.log.open_new(self._bench.folder / f"{stem}.log")

    @command("CloseLogOpenNew")
    def close_log(self, discard: int = 0) -> None:
        """Go on in the same log, whose file keeps all that was written."""
        self._bench.log.flush()

    @command("ProgramTimeStamps")
    def time_stamps(self, *_: int) -> None:
        """Write version and time to the log."""
        number, date = VERSION
        version = f"{number // 10000}.{number // 100 % 100}.{number % 100}"
        self._bench.log.add(
            f"SerialEM {version} as rehearsed by Eucentric, built {date}; {self._now():%d-%b-%Y %H:%M:%S}"
        )

    def _now(self) -> datetime:
        return self._bench.scope.now()

    @command(
        "SuppressReports",
        "SetNextLogOutputStyle",
        "SetStatusLine",
        "ClearStatusLine",
        "ErrorsToLog",
        "NoLineWrapInMessageBox",
        "FlashDisplay",
        "SaveSettings",
        "SetDebugOutput",
        "Verbose",
        "SuppressInfoOutput",
        "DeferLogUpdates",
        "DeferSettingsUpdate",
        "CloseStackWindow",
        "SetBufZoomAndCenter",
        "HighlightStatusLine",
        "ImposeToolbarColor",
        "ShowScopeControlPanel",
        "SkipFrameAliParamCheck",
    )
    def of_the_screen(self, *_: object) -> None:
        """Do what shows on SerialEM's screen only, or is kept on its computer."""
        return

    # --- dialogs

    @command("YesNoBox")
    def yes_no(self, text: str) -> float:
        """Ask for yes or no."""
        if self._bench.quiet_errors:
            self._bench.log.add(text)
            return 0.0
        return float(self._bench.ask("YesNoBox", text, ("yes", "no")) == "yes")

    @command("OKBox")
    def ok(self, text: str) -> None:
        """Tell something, and wait until it is read."""
        self._bench.ask("OKBox", text, ("ok",), "ok")

    @command("Pause")
    def pause(self, text: str = "") -> None:
        """Ask whether to go on."""
        if self._bench.ask("Pause", text or "Do you want to proceed with the script?", ("yes", "no")) == "no":
            raise SEMexited("User STOP")

    @command("EnterString")
    def enter_string(self, name: str, prompt: str) -> str:
        """Ask for a text, and put it into a variable."""
        answer = self._bench.ask("EnterString", prompt, ())
        self.variables[name.strip().lower()] = answer
        return answer

    @command("EnterOneNumber")
    def enter_number(self, prompt: str) -> float:
        """Ask for a number."""
        return _number(self._bench.ask("EnterOneNumber", prompt, ()))

    @command("EnterDefaultedNumber")
    def enter_defaulted(self, value: float, digits: int, prompt: str) -> float:
        """Ask for a number, with one that is there already."""
        return _number(self._bench.ask("EnterDefaultedNumber", prompt, (), f"{value:.{max(digits, 0)}f}"))

    @command("ThreeChoiceBox")
    def three_choices(self, head: str, *choices: str) -> float:
        """Ask for one of up to three choices, named in variables; return its number."""
        header = str(self.variables.get(head.strip().lower(), head))
        buttons = str(self.variables.get(choices[-1].strip().lower(), choices[-1])).split("\n")
        texts = [str(self.variables.get(name.strip().lower(), name)) for name in choices[:-1]]
        answer = self._bench.ask("ThreeChoiceBox", "\n".join([header, *texts]), tuple(buttons))
        return float(buttons.index(answer) + 1)

    @command("KeyBreak")
    def key(self, name: str = "") -> float:
        """Return whether a key was pressed, which nobody does; time passes, so that a loop for ever ends."""
        self._bench.check_time()
        return 0.0

    # --- properties

    @command("IsVersionAtLeast")
    def is_version(self, version: str, date: str = "0") -> float:
        """Return whether SerialEM is as new."""
        return float(VERSION[0] >= _number(version) and VERSION[1] >= _number(date))

    @command("ReportProperty")
    def property(self, name: str) -> float:
        """Return one of SerialEM's properties."""
        return self._known(self._bench.settings.properties, name, "property")

    @command("SetProperty")
    def set_property(self, name: str, value: int) -> None:
        """Set one of SerialEM's properties."""
        self._bench.settings.properties[name.strip().lower()] = float(value)

    @command("ReportCameraProperty")
    def camera_property(self, camera: int, name: str) -> float:
        """Return one of the camera's properties."""
        return self._known(self._bench.settings.camera, name, "camera property")

    @command("ReportUserSetting")
    def user_setting(self, name: str) -> float:
        """Return one of SerialEM's settings."""
        return self._known(self._bench.settings.user, name, "user setting")

    @command("SetUserSetting")
    def set_user_setting(self, name: str, value: float, *_: int) -> None:
        """Set one of SerialEM's settings."""
        here = self._bench.specimen_um()
        self._bench.settings.user[name.strip().lower()] = value
        if name.strip().lower() == "shifttotiltaxis":
            self._bench.set_specimen_um(here)

    def _known(self, values: dict[str, float], name: str, what: str) -> float:
        try:
            return values[name.strip().lower()]
        except KeyError:
            raise SEMerror(f"The twin knows no {what} {name}; it has {', '.join(sorted(values))}") from None

    # --- errors, and the end

    @command("NoMessageBoxOnError")
    def no_box(self, on: int = 1) -> None:
        """Let errors go to the log, without a message box."""
        self._bench.quiet_errors = bool(on)

    @command("StartTry")
    def start_try(self, *_: int) -> None:
        """Tell that errors will be caught."""
        self._tries += 1
        self._bench.quiet_errors = True

    @command("EndTry")
    def end_try(self) -> None:
        """Tell that they will not any more."""
        self._tries = max(0, self._tries - 1)
        self._bench.quiet_errors = self._tries > 0

    @command("Exit")
    def exit(self, code: float = 0.0, text: str = "") -> None:
        """End the script; a code above 0 raises nothing."""
        if text:
            self._bench.log.add(text)
        if code <= 0:
            raise SEMexited("Normal exit")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SEMerror(f"{text!r} is no number") from None
