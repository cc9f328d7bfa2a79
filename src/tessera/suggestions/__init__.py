"""Suggestions: where the next labels help most, within reach of those who collect them."""

from .points import suggest
from .result import Suggestion, Suggestions, check_suggestions

__all__ = ["Suggestion", "Suggestions", "check_suggestions", "suggest"]
