"""Blanks made from the library's own source, and their grading."""
