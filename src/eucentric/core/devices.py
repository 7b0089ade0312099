"""Where arrays live: the CPU, or a GPU where torch finds one."""

import torch

from eucentric.core.errors import InputError


def resolve_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` into a device.

    Raises
    ------
    InputError
        If the name is unknown, or asks for a GPU that torch cannot see.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"--device {name}: no such device.", "Use auto, cpu or cuda.") from error
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"--device {name}: only cpu and cuda are supported.", "Use auto, cpu or cuda.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"--device {name}: torch sees {torch.cuda.device_count()} CUDA devices here; nothing was computed.",
            "Use --device cpu, or install a CUDA build of torch.",
        )
    return device
