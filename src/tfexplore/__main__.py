"""`python -m tfexplore`."""

from tfexplore.cli import script

if __name__ == "__main__":
    script()
