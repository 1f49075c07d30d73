"""The keys of the whole explorer; those of each pane are the pane's."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from tfexplore.tui.widgets.tab_bar import KEYS, NAMES

# These belong to the panes: not to what lies over them, nor to an input. With priority all the same, because the keys
# that follow in a burst, as on a slow line, are for the screen that they open, and not for the pane below.
OF_PANES = ("other_pane", "search", "copy")

APP_KEYS: list[BindingType] = [
    # With priority, because the screen's own Tab is bound without a place in the line of keys.
    Binding("tab", "other_pane", "Other pane", priority=True, id="app.pane", tooltip="Go to the other pane"),
    Binding(
        "shift+tab",
        "other_pane(-1)",
        "Pane before",
        show=False,
        priority=True,
        id="app.pane_before",
        tooltip="Go to the pane before",
    ),
    *(
        Binding(
            ",".join(keys),
            f"tab('{tab.value}')",
            NAMES[tab],
            show=False,
            id=f"app.tab_{tab.value}",
            tooltip=f"The tab {NAMES[tab]}",
        )
        for tab, keys in KEYS.items()
    ),
    Binding(
        "slash",
        "search",
        "Search",
        priority=True,
        id="app.search",
        tooltip="Search the model's names as you type",
    ),
    Binding("f10", "themes", "Themes", show=False, id="app.themes", tooltip="Choose a theme by name, for this time"),
    Binding("escape", "cancel", "Cancel", show=False, id="app.cancel", tooltip="Cancel what is being read"),
    Binding(
        "y",
        "copy",
        "Copy",
        priority=True,
        id="app.copy",
        tooltip="Copy name, path, shape, value or the Python that fetches it",
    ),
    # With priority: over a search, a question or the palette as well.
    Binding("f1", "help", "Help", priority=True, id="app.help", tooltip="What is shown, and its keys"),
    Binding("question_mark", "help", "Help", show=False, id="app.help_too", tooltip="What is shown, and its keys"),
    Binding("ctrl+p", "command_palette", "Commands", id="app.commands", tooltip="Every action by name, and the themes"),
    Binding(
        "f9",
        "next_theme",
        "Light or dark",
        show=False,
        id="app.theme",
        tooltip="Change between dark, light and the terminal's own colours",
    ),
    Binding("ctrl+l", "redraw", "Redraw", show=False, id="app.redraw", tooltip="Draw the whole screen anew"),
    Binding(
        "ctrl+z",
        "suspend_process",
        "Suspend",
        show=False,
        id="app.suspend",
        tooltip="Back to the shell; fg returns",
    ),
    Binding("q", "quit", "Quit", id="app.quit", tooltip="Close the model and leave"),
    Binding(
        "ctrl+q",
        "quit",
        "Quit",
        show=False,
        priority=True,
        id="app.quit_too",
        tooltip="Close the model and leave",
    ),
    Binding(
        "ctrl+c",
        "interrupt",
        "Interrupt",
        show=False,
        priority=True,
        id="app.interrupt",
        tooltip="Cancel what runs; twice: quit",
    ),
]
