"""The one error a user sees without a traceback."""


class UserError(Exception):
    """Something the user can put right: names the parameter, file or model, and the remedy."""
