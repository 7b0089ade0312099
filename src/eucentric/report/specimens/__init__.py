"""Pictures of the twin's specimens, shipped with the package, and how a terminal shows them."""

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text

SPECIMEN_PICTURES = Path(__file__).parent
"""Where the pictures are, one PNG for each specimen of the package."""

_COLUMNS = 96


def in_terminal(picture: Path, console: Console | None = None) -> None:
    """Draw a grey picture with half blocks, two pixels to a character; where colours are not to be had, its path."""
    from PIL import Image

    console = console or Console(stderr=True)
    if not picture.exists() or not console.is_terminal:
        console.print(f"  {picture}", highlight=False, markup=False, soft_wrap=True)
        return
    with Image.open(picture) as opened:
        columns = min(_COLUMNS, console.width)
        rows = 2 * round(columns * opened.height / opened.width / 2)
        grey = np.asarray(opened.convert("L").resize((columns, rows), Image.Resampling.BOX))
    for upper, lower in zip(grey[::2], grey[1::2], strict=True):
        line = Text()
        for top, bottom in zip(upper.tolist(), lower.tolist(), strict=True):
            line.append("▀", style=f"rgb({top},{top},{top}) on rgb({bottom},{bottom},{bottom})")
        console.print(line)
