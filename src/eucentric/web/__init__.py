"""The pages of `eucentric serve`; loads neither FastAPI nor NiceGUI until a server is built."""

from eucentric.web.served import NotServedError, ReadOnlyError, Served, require_edit, under

__all__ = ["NotServedError", "ReadOnlyError", "Served", "require_edit", "under"]
