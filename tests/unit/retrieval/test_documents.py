"""Function documents: what each level of detail says."""

from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.calls import Function, Parameter
from supertiny.retrieval.index import DETAILS, document, in_words

FUNCTION = Function(
    "SetTimer", "Starts a timer.", {"duration_min": Parameter("integer", "Minutes"), "label": Parameter("string")}
)


def test_each_detail_says_more():
    assert [document(FUNCTION, detail) for detail in DETAILS] == [
        "set timer",
        "set timer. Starts a timer",
        "set timer. Starts a timer. Parameters: duration min (Minutes), label",
    ]


def test_what_a_function_lacks_is_not_mentioned():
    assert document(Function("stop", ""), "parameters") == "stop"


@given(st.lists(st.from_regex(r"\A[a-z]{2,8}\Z"), min_size=1, max_size=5))
def test_snake_camel_and_dotted_names_are_the_same_words(words):
    names = ["_".join(words), ".".join(words), "".join(word.capitalize() for word in words)]
    assert {in_words(name) for name in names} == {" ".join(words)}


def test_digits_and_capitals_stay_in_their_word():
    assert [in_words(name) for name in ("play_MP3", "getRoom2Light", "__init__")] == [
        "play mp3",
        "get room2 light",
        "init",
    ]
