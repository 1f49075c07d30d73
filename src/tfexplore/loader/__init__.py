"""The async layer: everything that takes time is awaited here."""

from tfexplore.loader.loader import Loader, Page
from tfexplore.loader.tasks import Progress, Tasks

__all__ = ["Loader", "Page", "Progress", "Tasks"]
