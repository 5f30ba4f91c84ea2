"""Which values mean the same, row by row, and the laws of meaning."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.judge.meaning import Clock, Duration, Quantity, Several, Text, digits_for_words, normalise, same

EQUIVALENT = [
    [20, 20.0, "20", "20.0", "twenty", " Twenty. ", "20°", "20 degrees", "twenty degrees"],
    [21, "21", "twenty-one", "twenty one", "Twenty One"],
    [-5, "-5", "\u22125", "minus five", "negative 5", "-5 degrees"],
    [0.5, "0.5", "zero point five", 0.50],
    [105, "105", "one hundred and five", "a hundred five", "one hundred five"],
    [1000, "1,000", "1000", "one thousand"],
    [2345, "2,345", "two thousand three hundred and forty-five"],
    [50, "50%", "50 %", "50 percent", "50 per cent", "fifty percent", "\uff15\uff10\uff05"],
    ["20°C", "20 °C", "20 degrees Celsius", "20 celsius", "20℃", "twenty degrees c", "20ºC", 20, "20 degrees"],
    ["70°F", "70 degrees fahrenheit", "seventy fahrenheit", 70],
    ["2700 kelvin", "2700 Kelvin", 2700],
    ["23:00", "11:00 pm", "11 pm", "11pm", "11:00 p.m.", "eleven p. m.", "eleven PM", "23:00:00", "11 in the evening"],
    ["00:00", "0:00", "12 am", "12:00 a.m.", "midnight"],
    ["12:00", "12 pm", "noon", "12 o'clock"],
    ["18:30", "6:30 pm", "six thirty pm", "6.30 p.m.", "6 30 PM"],
    ["05:05", "5:05", "5:05 am", "5:05 in the morning"],
    ["5 minutes", "five minutes", "5 min", "300 seconds", "5-minute", "five minute"],
    ["10 seconds", "ten second", "10s", "10 secs"],
    ["90 minutes", "1 hour 30 minutes", "1 hour and 30 minutes", "one and a half hours", "1.5 hours", "1h 30min"],
    ["an hour", "1 hour", "60 minutes", "one hr"],
    ["half an hour", "30 minutes", "0.5 hours"],
    ["kitchen", "Kitchen", "the kitchen", "my kitchen", " kitchen ", "kitchen.", "a kitchen", "KITCHEN!"],
    ["living room", "living-room", "Living  Room", "the living room"],
    ["John's lamp", "john\u2019s lamp", "Johns lamp"],
    ["lamp 2", "Lamp two", "the lamp 2", "lamp2", "lamp-2"],
    ["second floor", "2nd floor", "the Second Floor", "2ND floor"],
    ["salt & pepper", "salt and pepper"],
    ["客厅灯", "客厅 灯", "客厅灯。"],
    ["50 percent cotton", "50% cotton", "50 per cent cotton"],
    [True, "true", "True"],
    [["kitchen", "Hall"], ["the hall", "kitchen"]],
    [[255, 0, 0], ["255", "zero", 0.0]],
]

DIFFERENT = [
    (1, 11),
    ("1", "11"),
    (20, 20.5),
    (5, -5),
    ("5", "minus 5"),
    ("1,5", "15"),
    ("1/2", "12"),
    ("on", "off"),
    (True, False),
    (True, 1),
    ("true", "1"),
    ("kitchen", "kitchen lamp"),
    ("kitchen light", "kitchen lights"),
    ("lamp 2", "lamp"),
    ("lamp 2", "lamp 3"),
    ("lamp 2", "lamp 22"),
    ("lamp 1 2", "lamp 12"),
    ("lamp 2", 2),
    ("second floor", "floor 2"),
    ("zone a", "zone"),
    ("zone a1", "zone 1"),
    ("vitamin a pills", "vitamin pills"),
    ("gate 5c", "gate 5"),
    ("5c", "5"),
    ("5k", "5"),
    ("007", "7"),
    ("c#", "c"),
    ("c++", "c"),
    ("?", "!"),
    ("", "the"),
    ("20 °C", "20 °F"),
    ("20 %", "20 °C"),
    ("20 %", "20 degrees"),
    ("$5", "5"),
    ("5 dollars", "5"),
    ("11 pm", "11 am"),
    ("11:00", "23:00"),
    ("11 pm", 11),
    ("25:00", "1:00"),
    ("13 pm", "1 pm"),
    ("12 am", "12 pm"),
    ("5 minutes", "5 hours"),
    ("5 minutes", 5),
    ("5 minutes", 300),
    ("5 minutes", "5 %"),
    ("the twenty second", "20 seconds"),
    ("the twenty second", "the second"),
    ("kitchen", ["kitchen"]),
    (["kitchen"], ["kitchen", "kitchen"]),
    (["kitchen", "hall"], ["kitchen", "bath"]),
    ([255, 0, 0], [0, 0, 255]),
    ([["a"], "b"], [["c"], "b"]),
]


@pytest.mark.parametrize("values", EQUIVALENT, ids=lambda values: str(values[0]))
def test_every_value_of_a_row_means_the_same_as_its_first(values):
    for value in values[1:]:
        assert same(values[0], value), f"{normalise(values[0])} != {normalise(value)}"
        assert same(value, values[0])


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_values_that_must_not_be_confused(left, right):
    assert not same(left, right), normalise(left)
    assert not same(right, left)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("21 °C", Quantity(Fraction(21), "celsius")),
        (0.1, Quantity(Fraction(1, 10))),
        ("6:30 pm", Clock(18 * 3600 + 30 * 60)),
        ("1 hour 30 seconds", Duration(Fraction(3630))),
        ("The Living-Room lamp two!", Text("living room lamp 2")),
        (["b", "a"], Several((Text("a"), Text("b")))),
        (["b", 1], Several((Text("b"), Quantity(Fraction(1))))),
    ],
)
def test_what_a_value_means(value, meaning):
    assert normalise(value) == meaning


def test_a_bare_number_fits_two_units_that_do_not_fit_each_other():
    assert same("20 °C", 20)
    assert same(20, "20 °F")
    assert not same("20 °C", "20 °F")


@pytest.mark.parametrize("number", [0, 7, 10, 13, 20, 21, 99, 100, 101, 219, 1000, 1001, 45678, 999999, 1000000])
def test_numerals_are_read_back(number):
    assert digits_for_words(_in_words(number).split()) == [str(number)]


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("one twenty", "1 20"),
        ("five five zero", "5 5 0"),
        ("two thousand zero", "2000 0"),
        ("two thousand two million", "2000 2000000"),
        ("twenty zero", "20 0"),
        ("one and two", "1 and 2"),
        ("zero point zero five", "0.05"),
        ("point of no return", "point of no return"),
        ("ten second timer on second floor", "10 second timer on 2nd floor"),
        ("twenty second and twenty tenth", "22nd and 20 tenth"),
        ("twelfth thirteenth twentieth thirty third", "12th 13th 20th 33rd"),
        ("one hundred twenty second", "120 second"),
    ],
)
def test_neighbouring_numerals_stay_apart(said, digits):
    assert digits_for_words(said.split()) == digits.split()


NAMES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen"""
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"


def _in_words(n):
    """An English numeral, by the schoolbook (an oracle apart from the reader)."""
    names, tens = NAMES.split(), TENS.split()
    if n < 20:
        return names[n]
    if n < 100:
        return tens[n // 10 - 2] + (f" {names[n % 10]}" if n % 10 else "")
    for size, word in ((10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if n >= size:
            return f"{_in_words(n // size)} {word}" + (f" and {_in_words(n % size)}" if n % size else "")
    raise AssertionError(n)


@given(st.integers(0, 10**9 - 1))
def test_a_numeral_means_its_number(number):
    assert same(_in_words(number), number)


scalars = st.one_of(st.text(max_size=30), st.integers(), st.floats(), st.booleans())
SPOKEN = "a the my 5 -5 twenty hundred thousand and point half ° % c pm am : . - minutes s 11:00 é 007"
speech = st.lists(st.sampled_from(SPOKEN.split()), max_size=7).map(" ".join)
anything = st.recursive(
    st.one_of(scalars, speech, st.none(), st.binary(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)


@given(anything, anything)
def test_normalise_is_total_and_same_is_reflexive_and_symmetric(left, right):
    assert same(left, left)
    assert same(left, right) == same(right, left)


def test_monsters_have_a_meaning():
    for value in (
        float("nan"),
        float("inf"),
        "9" * 5000,
        10**5000,
        "1e999999",
        [10**5000],
        "\ud800",
        "\x00\x01",
        "½",
        "²",
        {"x": 10**5000},
    ):
        assert same(value, value)


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_numbers_mean_the_same_only_when_equal(left, right):
    for form in (str, float, int):
        assert same(form(left), right) == (left == right)
