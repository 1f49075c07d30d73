"""The async layer: everything that takes time is awaited here."""

from tfexplore.loader.loader import ENTER, OPEN, Loader, Page
from tfexplore.loader.tasks import Progress, Tasks

__all__ = ["ENTER", "OPEN", "Loader", "Page", "Progress", "Tasks"]
