"""The figure that every picture is drawn on. It imports matplotlib, so `new_figure` imports it when the first is made."""

import io

from matplotlib.figure import Figure
from PIL import Image

NOTEBOOK_DPI = 80  # the widest picture is about as wide as a notebook's page


class Picture(Figure):
    """A matplotlib Figure that a notebook shows where it stands on the last line of a cell (else only pyplot's are shown)."""

    def _repr_png_(self) -> bytes:
        drawn, file = io.BytesIO(), io.BytesIO()
        self.savefig(drawn, format="png", dpi=NOTEBOOK_DPI)
        few_colours = Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE)  # less than half the bytes
        few_colours.save(file, "PNG", optimize=True)
        return file.getvalue()
