"""The least Textual app that shows a tree: what any explorer made with Textual has to pay."""

from textual.app import App, ComposeResult
from textual.widgets import Tree


class BareApp(App[None]):
    def compose(self) -> ComposeResult:
        yield Tree("Empty")


if __name__ == "__main__":
    BareApp().run()
