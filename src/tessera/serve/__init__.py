"""A static server for stores and pages, with byte ranges."""
