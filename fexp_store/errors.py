"""The exceptions of fexp-store: each message is one plain sentence that says what to do."""


class FexpError(Exception):
    """Anything a user can act on; the command line prints its message and exits with 1."""


class BadInput(FexpError):
    """A file or an argument that was given cannot be used as it is."""


class NotFound(FexpError):
    """A name that was asked for is not there; the message lists what is."""


class Conflict(FexpError):
    """Something immutable is there already, with other content."""


class Damaged(FexpError):
    """What is on disk is not what was stored, or is of a format this version cannot read."""
