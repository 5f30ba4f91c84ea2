"""Requests that no function serves, and requests that say too little."""

import random

from supertiny.core.calls import Refusal
from supertiny.data.home.walk import mark

_SLOTS = {
    "city": "Paris|Tokyo|Berlin|Boston|Madrid|Cairo|Lima|Sydney|Oslo|Rome|Dublin|Seattle",
    "country": "France|Japan|Brazil|Kenya|Norway|Peru|Canada|Egypt|India|Portugal",
    "dish": "lasagna|pad thai|pancakes|sushi|a curry|tacos|ramen|a burger|tiramisu|paella",
    "person": "my mom|my boss|the dentist|grandpa|my sister|Uncle Joe|the plumber|my landlord",
    "team": "the Lakers|Liverpool|the Yankees|Real Madrid|Bayern|the Bears",
    "stock": "Apple|Tesla|gold|bitcoin|Siemens|Toyota",
    "animal": "penguins|octopuses|camels|bees|wolves|sloths",
    "language": "Spanish|German|Korean|French|Latin|Swahili",
    "word": "serendipity|entropy|gesundheit|photosynthesis|onomatopoeia|algorithm",
    "thing": "shoes|a laptop|concert tickets|a tent|headphones|a birthday present",
    "percent": "10|20|30|40|50|60|75|80",
    "number": "17|144|35|250|81|999",
}
_NO_FUNCTION = (
    "book me a flight to {city}|what's the capital of {country}|order {dish} for dinner|call {person}|"
    "send a text to {person}|who won the game between {team} and the others|what is the price of {stock}|"
    "tell me about {animal}|how do you say hello in {language}|what does {word} mean|buy {thing} online|"
    "what is the square root of {number}|find a hotel in {city}|how many people live in {country}|"
    "give me a recipe for {dish}|write an email to {person}|how did {team} do last night|should i invest in {stock}|"
    "what do {animal} eat|translate good morning into {language}|how do you spell {word}|find me the cheapest {thing}|"
    "what is {number} times twelve|get me a taxi to the airport|tell me a joke|what's on the news|read me my emails|"
    "when is the next train to {city}|who is the president of {country}|reserve a table for two at an italian place|"
    "what's the meaning of life|sing me a song about {animal}|how tall is mount everest|who wrote hamlet|"
    "show me the way to {city}|when does {person} have their birthday|how far is it to {city}|is {stock} going up|"
    "teach me some {language}|what rhymes with {word}|how old is the universe|do my taxes|post a photo of my lunch|"
    "can {animal} swim|what's the fastest route to work|how many calories are in {dish}|"
    "where can i eat {dish} around here|"
    "video call {person}|read the last message from {person}|what currency do they use in {country}|"
    "what's the exchange rate to the dollar|tell me a bedtime story about {animal}|check in for my flight to {city}|"
    "what's the traffic like|when do {team} play next|track my package|how do i tie a tie|who sings this|"
    "convert {number} miles to kilometers|what is the synonym of {word}|is it a holiday in {country} today|"
    "return the {thing} i bought|what's my bank balance|transfer {number} dollars to {person}|what's for dinner"
)
_UNCLEAR = (
    "turn it|set the thing|uh the light thing to|set it to|turn the|can you change the|make it like before|"
    "do the other one|"
    "the one in the|put it on the|a bit more|not that one|switch the thing over there|turn on the um|i meant the other|"
    "set the timer for|start a timer|set a timer|set the temperature|change the brightness|adjust the position|"
    "make it|the usual|do it|you know what to do|set the|turn off the uh|open|close|lock|what about the|is it|"
    "set the brightness to|change the color to|add some time|remove a few from it|hmm the thing|could you maybe|"
    "can you do that thing|no wait the|turn it down to|go back to the|put the thing in the|the left one|"
    "that one over there|"
    "switch it|i want it like yesterday|move it to|change it|something is wrong with the|set a timer for um|"
    "the thing in the corner|just a little|and the|not now but|leave it at the"
)
_UNCLEAR_ABOUT = (
    "set the {device} to|what about the {device}|"
    "the {device} um|do something with the {device}|i don't like the {device}|can you the {device}|"
    "the {device} should be|"
    "about the {area}|in the {area} please|the {area} the way i like it|change the {device} a bit|"
    "uh in the {area} i mean|"
    "not the {device} the other one|make the {device}|fix the {area}|i was thinking the {device}|hmm the {area}|"
    "put the {device} like before|the thing next to the {device}|change the {area} um|set the {area} to|"
    "that thing in the {area}|switch the one by the {device}"
)
_NEEDS_HISTORY = (
    "turn it off again|turn it off|switch it on|turn them off|close it|open it|unlock it|"
    "make it {percent} percent instead|"
    "the other one too|cancel it|switch them on|lock it|actually the other way round|turn it back on"
)


def all_templates() -> list[str]:
    """The id of every refused request."""
    return [f"{kind}: {text}" for kind, texts in _BANKS.items() for text in texts.split("|")]


_BANKS = {
    "no function": _NO_FUNCTION,
    "unclear": _UNCLEAR,
    "unclear about": _UNCLEAR_ABOUT,
    "unclear alone": _NEEDS_HISTORY,
}


_UNCLEAR_KINDS = ("unclear", "unclear about", "unclear about", "unclear alone")


def refused(rng: random.Random, refusal: Refusal, allowed: set[str], home: dict[str, list[str]]) -> tuple[str, str]:
    """(template, marked text) of a request that gets `refusal`; `home`: the devices and areas it may mention."""
    kinds = ("no function",) if refusal is Refusal.NO_FUNCTION else _UNCLEAR_KINDS
    kind = rng.choice(kinds)
    text = rng.choice([text for text in _BANKS[kind].split("|") if f"{kind}: {text}" in allowed])
    marked = text
    for slot, values in [(slot, values.split("|")) for slot, values in _SLOTS.items()] + list(home.items()):
        if f"{{{slot}}}" in marked:
            marked = marked.replace(f"{{{slot}}}", mark(slot, rng.choice(values)))
    return f"{kind}: {text}", marked
