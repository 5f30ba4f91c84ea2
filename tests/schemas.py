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


@st.composite
def functions_and_calls(draw):
    """A function with up to five parameters, and a call of it, arguments in the order of the document."""
    parameters, arguments = {}, {}
    for name in draw(st.lists(NAMES, unique=True, max_size=5)):
        kind, required = draw(st.sampled_from(list(VALUES))), draw(st.booleans())
        enum = (
            () if kind == "array" else tuple(draw(st.lists(PRINTED if kind == "string" else VALUES[kind], max_size=3)))
        )
        parameters[name] = Parameter(kind, "", required, enum)
        if required or draw(st.booleans()):
            arguments[name] = draw(st.sampled_from(enum) if enum else VALUES[kind])
    function = Function(draw(NAMES), "", parameters)
    return function, Call(function.name, arguments)
