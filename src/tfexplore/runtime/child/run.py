"""Starts a module of this folder: `PYTHON -I -B run.py launcher|serve|look …`.

`-I` keeps the current folder, the script's folder and PYTHON* variables out of `sys.path`, so that no file beside a
model stands in for one of the standard library.
"""

import importlib
import importlib.util
import os
import sys

NAME = "tfexplore_child"


def load():
    # type: () -> None
    """Makes this folder importable as `tfexplore_child`, without a change to `sys.path`."""
    folder = os.path.dirname(os.path.abspath(__file__))
    spec = importlib.util.spec_from_file_location(
        NAME, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    if sys.version_info < (3, 9):
        sys.stderr.write("this is Python %d.%d; Python 3.9 or later is needed\n" % sys.version_info[:2])
        sys.exit(2)
    load()
    importlib.import_module(NAME + "." + sys.argv[1]).main(sys.argv[2:])
