"""Pictures: figures with fonts that fit, maps with legend and scale bar, colours."""

from .colours import choose_colours, parse_colour, to_rgb
from .letters import draw_plainly, font_note, fonts_for
from .maps import MAX_SIDE, draw_map, draw_panels, false_colour

__all__ = [
    "MAX_SIDE",
    "choose_colours",
    "draw_map",
    "draw_panels",
    "draw_plainly",
    "false_colour",
    "font_note",
    "fonts_for",
    "parse_colour",
    "to_rgb",
]
