"""The catalogue of exercises, a file a lesson."""
