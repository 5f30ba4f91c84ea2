"""Functions with schemas of every kind, and valid calls of them, for laws of what is written and read."""

from hypothesis import strategies as st

from supertiny.core.calls import Call, Function, Parameter

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = TEXTS | st.booleans() | st.integers(-(10**20), 10**20) | FLOATS
VALUES = {
    "string": TEXTS,
    "integer": st.integers(),
    "number": FLOATS | st.integers(),
    "boolean": st.booleans(),
    "array": st.lists(SCALARS, max_size=4),
}
"""by type of parameter"""
PRINTED = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
"""what an enum may hold: of control characters xgrammar makes other escapes in JSON than a model writes"""
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True)


def _enum(kind):
    return st.lists(PRINTED if kind == "string" else VALUES[kind], max_size=3).map(tuple)


def _scalar(kind):
    """What the items of an array are."""
    return _enum(kind).map(lambda enum: Parameter(kind, enum=enum))


def _of(parameter):
    return st.sampled_from(parameter.enum) if parameter.enum else VALUES[parameter.type]


@st.composite
def functions_and_calls(draw):
    """A function with up to five parameters, and a call of it, arguments in the order of the document."""
    parameters, arguments = {}, {}
    for name in draw(st.lists(NAMES, unique=True, max_size=5)):
        kind, required = draw(st.sampled_from(list(VALUES))), draw(st.booleans())
        items = draw(st.none() | st.sampled_from(list(VALUES)[:-1]).flatmap(_scalar)) if kind == "array" else None
        parameters[name] = Parameter(kind, "", required, () if kind == "array" else draw(_enum(kind)), items)
        if required or draw(st.booleans()):
            arguments[name] = draw(st.lists(_of(items), max_size=4) if items else _of(parameters[name]))
    function = Function(draw(NAMES), "", parameters)
    return function, Call(function.name, arguments)
