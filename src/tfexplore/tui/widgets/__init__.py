"""Views of the session's state; nothing is ever read back from them."""
