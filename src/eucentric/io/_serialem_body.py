"""What every acquisition script for SerialEM has below its settings and its table of exposures.

Plain Python of any 3.x, ASCII, standard library only: it runs in the Python of a microscope's computer. SerialEM
indents a script before it runs it, so that no string may reach over a line.
"""

BODY = r'''
# ---- Nothing below needs to be changed. -----------------------------------------------------------------------------

DEFOCUS_UM_PER_A = -1e-4  # the plan has Angstrom, underfocus positive; SerialEM has um, underfocus negative
FINGERPRINT = hashlib.sha256(repr(PLAN).encode()).hexdigest()[:16]
START_DEG = PLAN[0][1]
FALLING = len(PLAN) > 1 and all(after[1] < before[1] for before, after in zip(PLAN, PLAN[1:]))


def say(text):
    sem.EchoBreakLines(text)


def stop(text):
    say("STOPPED: " + text)
    raise SystemExit(text)


def first(value):
    """Return the first of the values that a Report command gives: one alone comes without a tuple around it."""
    return value[0] if isinstance(value, (tuple, list)) else value


def state_of(record, order):
    return record.get(order, {}).get("state")


def read_progress(path):
    """Return the last state of each exposure, what was spent, whether a run had begun, and if the file ends early."""
    record, spent, begun = {}, 0.0, False
    if not os.path.exists(path):
        return record, spent, begun, False
    with open(path, encoding="ascii") as file:
        text = file.read()
    torn = bool(text) and not text.endswith("\n")
    for line in text.split("\n"):
        try:
            entry = json.loads(line)
        except ValueError:  # a line that was never finished: what it was to announce had not begun
            continue
        if "plan" in entry:
            if entry["plan"] != FINGERPRINT:
                stop(path + " is of another plan. Give this one another NAME.")
            begun = True
            continue
        if entry["state"] == "intent":
            spent += PLAN[entry["order"]][2]
        elif entry["state"] == "exposed":
            spent += entry["exposure_e_A2"] - PLAN[entry["order"]][2]
        record[entry["order"]] = entry
    return record, spent, begun, torn


def note(path, **entry):
    """Add a line to the progress file, and return when it is on the disk."""
    with open(path, "a", encoding="ascii") as file:
        file.write(json.dumps(entry, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())


def check_microscope(todo):
    """Stop before anything is exposed if the microscope is not ready for this plan."""
    limit = float(first(sem.ReportProperty("MaximumTiltAngle")))
    steepest = max([abs(PLAN[order][1]) for order in todo] or [0.0])
    if steepest > limit:
        stop("the plan goes to %.2f degrees, SerialEM's MaximumTiltAngle is %.2f." % (steepest, limit))
    if not int(first(sem.ReportLowDose())):
        stop("low dose mode is off.")
    if CHECK_VALVES and int(first(sem.ReportColumnOrGunValve())) != 1:
        stop("the column valves are not open.")
    for wanted, area, what in ((TRACK, "T", "Trial"), (FOCUS_EVERY, "F", "Focus")):
        if wanted and not ALLOW_ON_TARGET and abs(float(first(sem.ReportAxisPosition(area)))) < NEAREST_AREA_UM:
            stop("the %s area lies on the target. Move it along the tilt axis, or set ALLOW_ON_TARGET." % what)
    return limit


def open_stack(path, record):
    """Open the stack, a new one or that of an earlier run, and see that it has an .mdoc."""
    saved = sum(1 for entry in record.values() if entry["state"] in ("saved", "done"))
    ours = int(first(sem.ReportFileNumber())) > 0 and same_file(first(sem.ReportCurrentFilename()), path)
    if ours:
        pass  # left open by a run that was stopped
    elif os.path.exists(path):
        sem.OpenOldFile(path)
    elif saved:
        stop("%s is missing, which should hold %d images. Put it back." % (path, saved))
    else:
        sem.OpenNewFile(path)
    sections = int(first(sem.ReportFileZsize()))
    if sections != saved:
        say("NOTE: the stack has %d images, the progress file knows of %d." % (sections, saved))
    sem.WriteAutodoc()  # fails where no .mdoc is written, which is better known before the first exposure


def same_file(one, other):
    return os.path.normcase(os.path.abspath(one)) == os.path.normcase(os.path.abspath(other))


def tilt_to(tilt, limit, taken_up):
    """Tilt, ending every move in the same direction, and see that the stage is there."""
    side = -1.0 if FALLING else 1.0
    if not taken_up or (tilt - float(first(sem.ReportTiltAngle()))) * side <= 0:
        sem.TiltTo(max(-limit, min(limit, tilt - side * BACKLASH_DEG)))
    sem.TiltTo(tilt)
    sem.Delay(SETTLE_S, "s")
    real = float(first(sem.ReportTiltAngle()))
    if abs(real - tilt) > TILT_TOLERANCE_DEG:
        stop("the stage is at %.2f degrees, not at %.2f. Nothing was exposed there." % (real, tilt))


def track(tilt, references):
    """Align a Trial image to the one that was taken nearest in tilt, and keep it for the next ones of its side."""
    near = min(references, key=lambda buffer: abs(references[buffer] - tilt)) if references else None
    if near is not None and abs(references[near] - tilt) <= TRACK_REACH_DEG:
        for _ in range(TRACK_ROUNDS):
            sem.Trial()
            sem.LimitNextAutoAlign(TRACK_LIMIT_UM)
            sem.AlignTo(near)
            shift_nm = sem.ReportAlignShift()[4:6]
            if math.hypot(float(shift_nm[0]), float(shift_nm[1])) < 1000 * TRACK_CLOSE_UM:
                break
    else:
        say("NOTE: nothing to align to at %.2f degrees; this image becomes the reference." % tilt)
        sem.Trial()
    own = UPPER_BUFFER if tilt >= START_DEG else LOWER_BUFFER
    for buffer in (own,) if references else (UPPER_BUFFER, LOWER_BUFFER):
        sem.Copy("A", buffer)
        references[buffer] = tilt


def focus(defocus_A):
    sem.SetTargetDefocus(defocus_A * DEFOCUS_UM_PER_A)
    sem.AutoFocus()
    result = sem.ReportAutoFocus()
    if int(result[1]):
        if STOP_IF_FOCUS_FAILS:
            stop("autofocus failed. Nothing was exposed at this tilt.")
        say("NOTE: autofocus failed; going on with the focus as it is.")


def expose(row, progress, spent):
    """Take one Record image; return its exposure in e/A2."""
    order, tilt, exposure, before, frames, defocus_A = row
    seconds = exposure / DOSE_RATE
    sem.SetExposure("R", seconds)
    if SET_FRAME_TIME:
        sem.SetFrameTime("R", seconds / frames)
    note(progress, order=order, state="intent", tilt_deg=tilt)
    sem.Record()
    real_s = float(sem.ImageProperties("A")[3])
    real = real_s * DOSE_RATE
    note(progress, order=order, state="exposed", exposure_s=real_s, exposure_e_A2=real)
    sem.Save()
    section = int(first(sem.ReportFileZsize())) - 1
    note(progress, order=order, state="saved", section=section)
    if abs(real - exposure) > 0.02 * exposure:
        say("NOTE: exposure %d was of %.4f e/A2, not of %.4f: the camera changed its time." % (order, real, exposure))
    sem.AddToAutodoc("ExposureDose", "%.6f" % real)
    sem.AddToAutodoc("PriorRecordDose", "%.6f" % spent)
    sem.AddToAutodoc("TargetDefocus", "%.4f" % (defocus_A * DEFOCUS_UM_PER_A))
    sem.WriteAutodoc()
    note(progress, order=order, state="done", section=section)
    return real


def sort_out(record):
    """Return the exposures that are to be taken, and report those that cannot be known to be good."""
    todo, doubtful = [], []
    for order in range(len(PLAN)):
        state = state_of(record, order)
        if state is None:
            todo.append(order)
        elif state in ("intent", "exposed"):
            known = "it may have been exposed" if state == "intent" else "it was exposed and may not be saved"
            again = order in REPEAT
            say("UNKNOWN: exposure %d at %.2f degrees: %s. It is %s" % (order, PLAN[order][1], known,
                "REPEATED, as REPEAT says." if again else "not repeated; put it into REPEAT if it is to be."))
            if again:
                todo.append(order)
            else:
                doubtful.append(order)
        elif state == "saved":
            say("NOTE: section %d of the stack lacks its doses in the .mdoc." % record[order]["section"])
    return todo, doubtful


def main():
    folder = first(sem.ReportDirectory())
    stack, progress = (os.path.join(folder, NAME + end) for end in (".mrc", ".progress.txt"))
    record, spent, begun, torn = read_progress(progress)
    if not begun and os.path.exists(stack):
        stop(stack + " exists, and no progress file tells what is in it. Give this series another NAME.")
    todo, doubtful = sort_out(record)
    say("%d of %d exposures are to be taken." % (len(todo), len(PLAN)))
    if todo:
        limit = check_microscope(todo)
        if torn:
            with open(progress, "a", encoding="ascii") as file:
                file.write("\n")
        if not begun:
            note(progress, plan=FINGERPRINT, exposures=len(PLAN))
        open_stack(stack, record)
        references = {}
        for count, order in enumerate(todo):
            row = PLAN[order]
            tilt_to(row[1], limit, count > 0)
            if TRACK:
                track(row[1], references)
            if FOCUS_EVERY and count % FOCUS_EVERY == 0:
                focus(row[5])
            say("Exposure %d of %d: %.2f degrees, %.4f e/A2." % (order + 1, len(PLAN), row[1], row[2]))
            spent += expose(row, progress, spent)
        sem.RestoreCameraSet("R")
        sem.CloseFile()
    say("Finished. %.3f e/A2 of the plan's %.3f are accounted for." % (spent, PLAN[-1][3] + PLAN[-1][2]))
    if doubtful:
        say("UNKNOWN and not repeated: exposures %s." % ", ".join(str(order) for order in doubtful))


main()
'''
