"""Pictures: figures with fonts that fit, maps with legend and scale bar, colours."""

from .axes import degrees, draw_north_arrow, draw_scale_bar
from .colours import choose_colours, parse_colour, to_rgb
from .figure import figure_png, new_figure, save_figure
from .letters import draw_plainly, font_note, fonts_for
from .maps import MAX_SIDE, draw_map, draw_panels
from .principal import false_colour, principal_axes

__all__ = [
    "MAX_SIDE",
    "choose_colours",
    "degrees",
    "draw_map",
    "draw_north_arrow",
    "draw_panels",
    "draw_plainly",
    "draw_scale_bar",
    "false_colour",
    "figure_png",
    "font_note",
    "fonts_for",
    "new_figure",
    "parse_colour",
    "principal_axes",
    "save_figure",
    "to_rgb",
]
