"""The one exception for a user's mistake; the command line turns it into exit code 2 and no traceback."""


class UserError(ValueError):
    """Bad input. The message says what was expected, what came and the likely cure."""
