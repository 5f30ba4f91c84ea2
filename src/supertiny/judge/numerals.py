"""English numerals: "twenty-one" is 21, "second" is 2nd."""

_SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINAL = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"

SMALL = {word: n for n, word in enumerate(_SMALL.split())}
TENS = {word: n * 10 for n, word in enumerate(_TENS.split(), 2)}
SCALES = {"thousand": 1000, "million": 1000000}
ORDINALS = {word: f"{n}" + {1: "st", 2: "nd", 3: "rd"}.get(n, "th") for n, word in enumerate(_ORDINAL.split(), 1)}


def digits_for_words(words: list[str]) -> list[str]:
    """The words with every numeral among them in digits; everything else untouched.

    >>> digits_for_words("two hundred and five lamps on floor twenty one point five".split())
    ['205', 'lamps', 'on', 'floor', '21.5']
    >>> digits_for_words("one twenty and second".split())
    ['1', '20', 'and', '2nd']
    """
    said: list[str] = []
    at = 0
    while at < len(words):
        number, end = _whole(words, at)
        if end == at:
            counted = bool(said) and said[-1][-1].isdigit()  # "ten second" is a duration
            said.append(words[at] if counted else ORDINALS.get(words[at], words[at]))
            at += 1
            continue
        decimals, end = _decimals(words, end)
        said.append(f"{number}.{decimals}" if decimals else str(number))
        at = end
    return said


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
