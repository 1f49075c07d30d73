"""The async layer: everything that takes time is awaited here."""

from tfexplore.loader.loader import ENTER, OPEN, SEARCH, Loader, Page
from tfexplore.loader.tasks import Progress, Tasks

__all__ = ["ENTER", "OPEN", "SEARCH", "Loader", "Page", "Progress", "Tasks"]
