"""`ssd-np` as a function: quicker than a process of its own."""

from ssd_np.cli import main


def run(capsys, *argv) -> tuple[int, str, str]:
    """The exit code of the command line `argv`, and what it wrote to both streams."""
    try:
        code = main([str(a) for a in argv])
    except SystemExit as stop:  # argparse
        code = stop.code
    return code, *capsys.readouterr()
