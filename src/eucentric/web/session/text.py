"""`Text`: a piece of HTML that is sent only when it changes."""

from nicegui import ui


class Text(ui.html):
    """HTML that is sent only when it changes; empty, it takes no room."""

    def __init__(self, tag: str, classes: str = "") -> None:
        super().__init__("", sanitize=False, tag=tag)
        self.classes(classes)
        self.set_visibility(False)

    def show(self, content: str) -> None:
        """Show this."""
        if content != self.content:
            self.content = content
            self.set_visibility(bool(content))
