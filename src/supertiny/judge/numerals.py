"""English numerals: "twenty-one" is 21, "twenty second" is 22nd."""

_SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINAL = """first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
    fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"""

SMALL = {word: n for n, word in enumerate(_SMALL.split())}
TENS = {word: n * 10 for n, word in enumerate(_TENS.split(), 2)}
SCALES = {"thousand": 1000, "million": 1000000}
ORDINALS = {word: n for n, word in enumerate(_ORDINAL.split(), 1)}


def digits_for_words(words: list[str]) -> list[str]:
    """The words with every numeral among them in digits; everything else untouched.

    >>> digits_for_words("two hundred and five lamps on floor twenty one point five".split())
    ['205', 'lamps', 'on', 'floor', '21.5']
    >>> digits_for_words("one twenty and twenty second".split())
    ['1', '20', 'and', '22nd']
    """
    said: list[str] = []
    at = 0
    while at < len(words):
        after_number = bool(said) and said[-1][-1].isdigit()
        word, end = _ordinal(words, at) if not after_number else ("", at)  # "ten second" is a duration
        if end == at:
            word, end = _cardinal(words, at)
        said.append(word)
        at = end
    return said


def _ordinal(words: list[str], at: int) -> tuple[str, int]:
    """The ordinal that starts at `at`, as "22nd", and where it ends (`at` itself: there is none)."""
    tens = TENS.get(words[at], 0)
    end = at + (tens > 0)
    number = ORDINALS.get(words[end], 0) if end < len(words) else 0
    if number == 0 or (tens and number > 9):
        return "", at
    return f"{tens + number}" + {1: "st", 2: "nd", 3: "rd"}.get(number, "th"), end + 1


def _cardinal(words: list[str], at: int) -> tuple[str, int]:
    """The number that starts at `at` in digits, else the word there; and where it ends."""
    number, end = _whole(words, at)
    if end == at:
        return words[at], at + 1
    decimals, end = _decimals(words, end)
    return (f"{number}.{decimals}" if decimals else str(number)), end


def _whole(words: list[str], at: int) -> tuple[int, int]:
    """The whole number that starts at `at`, and where it ends (`at` itself: there is none)."""
    total, end, ceiling = 0, at, 10**9
    while ceiling > 1:
        start = end + (end > at and words[end : end + 1] == ["and"])
        group, after = _below_thousand(words, start)
        scale = SCALES.get(words[after], 1) if after < len(words) else 1
        if after == start or (end > at and group == 0) or scale >= ceiling:
            break
        total, end, ceiling = total + group * scale, after + (scale > 1), scale
    return total, end


def _below_thousand(words: list[str], at: int) -> tuple[int, int]:
    """The number from 0 to 999 that starts at `at`, and where it ends."""
    number, end = _below_hundred(words, at)
    if words[end : end + 1] != ["hundred"] or (end > at and number == 0):
        return number, end
    number, end = 100 * (number if end > at else 1), end + 1
    joined = end + (words[end : end + 1] == ["and"])
    rest, after = _below_hundred(words, joined)
    return (number + rest, after) if after > joined and rest else (number, end)


def _below_hundred(words: list[str], at: int) -> tuple[int, int]:
    word = words[at] if at < len(words) else ""
    if word not in TENS:
        return SMALL.get(word, 0), at + (word in SMALL)
    ones, end = _digit(words, at + 1)
    return (TENS[word] + ones, end) if ones else (TENS[word], at + 1)


def _digit(words: list[str], at: int) -> tuple[int, int]:
    number = SMALL.get(words[at], 10) if at < len(words) else 10
    return (number, at + 1) if number < 10 else (0, at)


def _decimals(words: list[str], at: int) -> tuple[str, int]:
    """The digits after a spoken "point", and where they end."""
    digits, end, after = "", at, at + 1
    if words[at : at + 1] == ["point"]:
        while (found := _digit(words, after))[1] > after:
            digits, end = f"{digits}{found[0]}", found[1]
            after = end
    return digits, end
