"""The errors that kgan raises on purpose."""


class KganError(ValueError):
    """Something kgan was given cannot be used: a file, a name, a recipe, a directory.

    The message is one or two sentences for the user: what was received and what is expected. The
    command line prints it without a traceback.
    """


class KganWarning(UserWarning):
    """Something that went on, but not quite as asked. The command line prints it in one line."""
