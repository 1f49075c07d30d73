"""The keys of the whole explorer; those of each pane are the pane's."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from tfexplore.tui.widgets.tab_bar import KEYS, NAMES

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
    Binding("slash", "search", "Search", id="app.search", tooltip="Search the model's names as you type"),
    Binding("escape", "cancel", "Cancel", show=False, id="app.cancel", tooltip="Cancel what is being read"),
    Binding("f1,question_mark", "help", "Help", id="app.help", tooltip="Every key of the focused pane"),
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
    Binding("ctrl+q", "quit", "Quit", show=False, id="app.quit_too", tooltip="Close the model and leave"),
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
