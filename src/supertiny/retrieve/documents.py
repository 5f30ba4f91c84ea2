"""A function of the pool as one text, which an index holds and a query is compared with (paper App. D)."""

import re

from supertiny.core.calls import Function

DETAILS = ("name", "description", "parameters")
"""how much a document says; each says also what those before it say"""


def document(function: Function, detail: str) -> str:
    """The document of `function`, as plain sentences.

    >>> from supertiny.core.calls import Parameter
    >>> wait = Function("wait_for", "Waits", {"minutes": Parameter("integer", "How long"), "name": Parameter("string")})
    >>> document(wait, "parameters")
    'wait for. Waits. Parameters: minutes (How long), name'
    """
    said = DETAILS.index(detail)
    sentences = [in_words(function.name)]
    if said >= 1 and function.description:
        sentences.append(function.description)
    if said >= 2 and function.parameters:
        parameters = [
            in_words(name) + (f" ({parameter.description})" if parameter.description else "")
            for name, parameter in function.parameters.items()
        ]
        sentences.append(f"Parameters: {', '.join(parameters)}")
    return ". ".join(sentence.rstrip(".") for sentence in sentences)


def in_words(name: str) -> str:
    """A name in the words it is made of.

    >>> in_words("turn_on_light"), in_words("HassTurnOn"), in_words("media.playMP3")
    ('turn on light', 'hass turn on', 'media play mp3')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\W_]+", " ", name).strip().lower()
