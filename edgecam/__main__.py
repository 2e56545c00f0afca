"""`python -m edgecam`."""

from edgecam.cli import command

if __name__ == "__main__":
    command()
