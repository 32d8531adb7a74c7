"""The tests that grade exercises."""
