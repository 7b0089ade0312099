"""What other programs' interpreters are told to do: each reads a folder, times its work alone, and leaves a result.

They run in processes of their own, in the interpreter that the user names: their licences and what they depend on stay
outside ours. Each is called with the folder, in which it finds `images.npy` (n, y, x), `stack.mrc` and `task.json`.
"""

_BEGIN = """
import json, sys, time
from pathlib import Path
import numpy as np
folder = Path(sys.argv[1])
task = json.loads((folder / "task.json").read_text())
images = np.load(folder / "images.npy")
"""

_END = """
seconds = time.perf_counter() - begun
np.savez(folder / "result.npz", **result)
print("seconds:", seconds)
"""

# Its detector angle turns the other way, and its rows count downwards, which the score's mirrors take care of.
_ASTRA = """
import astra
n, rows, columns = images.shape
begun = time.perf_counter()
volume = np.empty((task["depth"], rows, columns), np.float32)
plane = astra.create_vol_geom(task["depth"], columns)
rays = astra.create_proj_geom("parallel", 1.0, columns, np.deg2rad(task["tilts_deg"]))
made = astra.astra_dict(ALGORITHM)
made.update(
    ProjectorId=astra.create_projector("linear", rays, plane),
    ProjectionDataId=astra.data2d.create("-sino", rays),
    ReconstructionDataId=astra.data2d.create("-vol", plane),
)
made.update({"FilterType": "ram-lak"} if ALGORITHM == "FBP" else {})
algorithm = astra.algorithm.create(made)
for row in range(rows):
    astra.data2d.store(made["ProjectionDataId"], np.ascontiguousarray(images[:, row]))
    astra.data2d.store(made["ReconstructionDataId"], 0)
    astra.algorithm.run(algorithm, ROUNDS)
    volume[:, row] = astra.data2d.get(made["ReconstructionDataId"])
result = {"volume": volume}
"""

ASTRA_FBP = _BEGIN + "ALGORITHM, ROUNDS = 'FBP', 1" + _ASTRA + _END
ASTRA_SIRT = _BEGIN + "ALGORITHM, ROUNDS = 'SIRT', task['iterations']" + _ASTRA + _END

TORCH_RECONSTRUCT_TOMOGRAM = (
    _BEGIN
    + """
import torch
from torch_reconstruct_tomogram import reconstruct_tomogram
from torch_tilt_series import TiltSeries
n, rows, columns = images.shape
series = TiltSeries(
    torch.tensor(task["tilts_deg"]),
    torch.zeros(n),
    torch.zeros(n, 2),
    image_path=folder / "stack.mrc",
    pixel_spacing=1.0,
)
begun = time.perf_counter()
side = min(128, task["depth"])
volume = reconstruct_tomogram(series, (task["depth"], rows, columns), side, batch_size=1, preprocess=False)
result = {"volume": volume.numpy()}
"""
    + _END
)

# The shifts it gives are those that bring an image onto the others: the opposite of where its content has gone.
TORCH_TILTXCORR = (
    _BEGIN
    + """
import torch
from torch_tiltxcorr import tiltxcorr
begun = time.perf_counter()
shifts = tiltxcorr(torch.from_numpy(images), torch.tensor(task["tilts_deg"]), task["axis_deg"])
result = {"shifts_yx_px": -shifts.numpy(), "axis_deg": task["axis_deg"]}
"""
    + _END
)

# The way its authors go: shifts without an axis, the axis from images moved by these, and shifts with that axis.
TORCH_AXIS_AND_SHIFTS = (
    _BEGIN
    + """
import torch
from torch_refine_tilt_axis_angle import refine_tilt_axis_angle
from torch_tiltxcorr import tiltxcorr, tiltxcorr_no_stretch
begun = time.perf_counter()
views, tilts = torch.from_numpy(images), torch.tensor(task["tilts_deg"])
coarse = tiltxcorr_no_stretch(views, tilts)
y, x = (torch.round(coarse[:, axis]).long().tolist() for axis in range(2))
moved = torch.stack([torch.roll(view, (y[i], x[i]), (0, 1)) for i, view in enumerate(views)])
axis_deg = float(refine_tilt_axis_angle(moved))
result = {"shifts_yx_px": -tiltxcorr(views, tilts, axis_deg).numpy(), "axis_deg": axis_deg}
"""
    + _END
)
