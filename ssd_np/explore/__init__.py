"""The page that runs a detector in a browser, and what puts it together."""
