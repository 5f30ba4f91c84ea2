"""The laws of the home_assistant source, on one small dataset."""

import itertools
import re
from collections import defaultdict
from dataclasses import replace

import pytest

from supertiny.core.calls import Call, Refusal, check_call
from supertiny.core.errors import UserError
from supertiny.core.records import write_examples
from supertiny.data.dataset import DatasetSizes, lookup
from supertiny.data.home import dialogue, source
from supertiny.data.home.english import in_words
from supertiny.data.home.grammar import sentence, split_plain
from supertiny.data.home.home import build_home
from supertiny.data.home.speaker import is_ood
from tests.unit.data.conftest import SIZES, make_config

APART = ("train", "expert", "dev", "test")
DEV_OOD = set(make_config().home_assistant.dev_ood_functions)


def rows_of(dataset, *splits):
    return [row for split in splits for row in dataset.splits[split]]


def reference(row) -> Call | Refusal:
    return row.answers[0]


def test_sizes_and_ids(home_dataset):
    for split, rows in home_dataset.splits.items():
        assert len(rows) == getattr(SIZES, split)
        assert len({row.id for row in rows}) == len(rows)


def test_same_seed_same_bytes_other_seed_other_rows(tmp_path, home_dataset):
    again = source.home_assistant(make_config(), SIZES, 0)
    other = source.home_assistant(make_config(), SIZES, 1)
    for number, dataset in enumerate((home_dataset, again, other)):
        for split, rows in dataset.splits.items():
            write_examples(tmp_path / f"{number}-{split}", rows)
    for split in home_dataset.splits:
        first, second, third = ((tmp_path / f"{n}-{split}").read_bytes() for n in range(3))
        assert first == second != third


def test_pool_is_about_the_paper_s(home_dataset):
    assert 65 <= len(home_dataset.pool) <= 80
    assert 180 <= sum(len(f.parameters) for f in home_dataset.pool.values()) <= 225
    assert all(f.description and f.domain for f in home_dataset.pool.values())
    assert all(p.description for f in home_dataset.pool.values() for p in f.parameters.values())


def test_splits_are_apart_by_template(home_dataset):
    templates = {split: {row.template for row in rows} for split, rows in home_dataset.splits.items()}
    for one, other in itertools.combinations(APART, 2):
        assert not templates[one] & templates[other], (one, other)
    assert not (templates["train"] | templates["expert"]) & (templates["dev_ood"] | templates["ood"])
    assert not templates["test"] & templates["dev_ood"] and not templates["dev"] & templates["ood"]


def blanked(text: str, kind_of: dict[str, str]) -> str:
    """A spoken sentence with its names and numbers blanked, as a reader would, without politeness, articles, plurals.

    Nothing of the grammar is asked, only the names of the home: the law must not rest on what it checks.
    """
    names = "|".join(map(re.escape, sorted(kind_of, key=len, reverse=True)))
    numbers = "|".join(sorted(map(in_words, range(101)), key=len, reverse=True))
    said = re.sub(rf"\b({names})\b", lambda name: kind_of[name[1]], text.lower())
    said = re.sub(rf"\b(\d+(\.\d+)?|{numbers})(?=\b|k\b)", "N", said).replace("%", " percent").replace("°", " degrees")
    said = re.sub(r"[^\w' ]", " ", said)
    said = re.sub(r"\b(would you|could you|can you|i want you to|for me|please|thanks|hey|ok|now)\b", " ", said)
    said = re.sub(r"\b(the|my|our|an?|of)\b", " ", said)
    return " ".join(re.sub(r"(?<=\w\w)s\b", "", word) for word in said.split())


@pytest.fixture(scope="module")
def kind_of():
    """Every name that can be said in the home of seed 0, in lower case, and whether it is a THING, AREA or FLOOR."""
    home = build_home(0, 0.2)
    devices = [device for group in home.devices.values() for device in group]
    names = [name for device in devices for name in (device.name, device.nickname) if name]
    areas = [*home.areas, *home.area_nicknames.values()]
    kinds = {"THING": names, "AREA": areas, "FLOOR": home.floors}
    return {name.lower(): kind for kind, group in kinds.items() for name in group}


def test_blanking_by_hand(kind_of):
    """ "Please set the attic lights to 5%." is "set AREA light to N percent"."""
    assert blanked("Please set the attic lights to 5%.", kind_of) == "set AREA light to N percent"
    assert blanked("Forty-two percent is better", kind_of) == blanked("7% is better", kind_of) == "N percent is better"
    assert blanked("change it to 2700k", kind_of) == "change it to Nk"


def test_no_sentence_of_a_held_out_split_is_said_in_train(home_dataset, kind_of):
    """Names and numbers blanked; of every row, the earlier turn too: neither said alone nor as an earlier turn."""
    said = {
        split: {blanked(text, kind_of) for row in rows for text in (row.query, *(turn.query for turn in row.history))}
        for split, rows in home_dataset.splits.items()
    }
    trained = said["train"] | said["expert"]
    assert len(said["test"]) > 100 and len(trained) > 500
    assert not trained & (said["test"] | said["dev"] | said["ood"] | said["dev_ood"])
    assert not said["train"] & said["expert"]
    assert not said["test"] & said["dev"]
    assert not said["dev_ood"] & (said["test"] | said["ood"])


def test_one_sentence_has_one_owner_whatever_it_asks():
    """All templates of `sentence` stand in one split; every kind of second turn has one of its own in train."""
    ids = dialogue.follow_up_templates() + dialogue.refusal_templates()
    home = split_plain(ids, 0, {"test": 0.15, "dev": 0.08, "expert": 0.08})
    owners, kinds = defaultdict(set), defaultdict(set)
    for template_id, split in home.items():
        owners[sentence(template_id)].add(split)
        kinds[template_id.rpartition(": ")[0]].add(split)
    assert all(len(found) == 1 for found in owners.values())
    assert all("train" in found for found in kinds.values())
    shared = ("follow: value brightness: {x} percent is better", "follow: value position: {x} percent is better")
    assert home[shared[0]] == home[shared[1]]


def test_queries_are_not_shared_with_train(home_dataset):
    trained = {row.query.lower().strip("?.") for row in rows_of(home_dataset, "train", "expert") if not row.history}
    tested = {
        row.query.lower().strip("?.")
        for row in rows_of(home_dataset, "dev", "dev_ood", "test", "ood")
        if not row.history
    }
    assert not trained & tested


def test_every_in_domain_function_is_trained(home_dataset):
    trained = {reference(row).name for row in home_dataset.splits["train"] if isinstance(reference(row), Call)}
    assert trained == {name for name, f in home_dataset.pool.items() if not is_ood(f.domain)} - DEV_OOD


def test_no_unseen_function_before_the_split_that_is_about_it(home_dataset):
    ood = {name for name, f in home_dataset.pool.items() if is_ood(f.domain)}
    for splits, hidden in ((APART, ood | DEV_OOD), (("dev_ood",), ood)):
        for row in rows_of(home_dataset, *splits):
            assert not hidden & set(row.candidates)
            assert not hidden & {answer.name for answer in row.answers if isinstance(answer, Call)}
            assert not hidden & {turn.answer.name for turn in row.history}


def test_calls_of_ood_are_seen_or_unseen_and_those_of_dev_ood_are_of_its_functions(home_dataset):
    trained = {name for name, f in home_dataset.pool.items() if not is_ood(f.domain)} - DEV_OOD
    for row in rows_of(home_dataset, "ood", "dev_ood"):
        unseen = isinstance(reference(row), Call) and reference(row).name not in trained
        assert ("unseen" in row.tags) == unseen
        assert ("refusal" in row.tags) == (not isinstance(reference(row), Call))
        assert ("seen" in row.tags) == (not unseen and "refusal" not in row.tags)
    rows = home_dataset.splits["ood"]
    for n in range(1, len(rows) + 1):
        assert abs(sum("seen" in row.tags for row in rows[:n]) - 0.35 * n) <= 1.5, (
            "in any first rows, as they are measured"
        )
    assert {reference(row).name for row in home_dataset.splits["dev_ood"] if "unseen" in row.tags} == DEV_OOD


KINDS = {"out_of_scope": 0.06 * 0.7, "missing_function": 0.06 * 0.3, "unclear": 0.04}


def test_all_splits_have_like_shares_of_each_refusal(home_dataset):
    """Within half a row: a split whose refusals are rarer, or farther from what is offered, would measure a habit."""
    for split, rows in home_dataset.splits.items():
        for kind, share in KINDS.items():
            assert abs(sum(kind in row.tags for row in rows) - share * len(rows)) <= 0.5, (split, kind)
        refused = [row for row in rows if "refusal" in row.tags]
        assert all(sum(kind in row.tags for kind in KINDS) == 1 for row in refused)
        assert len(refused) == sum(isinstance(reference(row), Refusal) for row in rows)


def test_half_of_what_no_home_serves_is_about_things_of_this_one(home_dataset):
    rows = [row for row in home_dataset.splits["train"] if "out_of_scope" in row.tags]
    assert 0.35 < sum(row.template.startswith("no function about: ") for row in rows) / len(rows) < 0.65


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["open_sesame"], "'open_sesame' is none of the domain's functions: turn_on_light, "),
        (["next_track"], "'next_track' is none of the domain's functions"),
        (["get_date", "get_date"], "'get_date' stands there twice; name it once"),
        (["get_weather"], "'get_weather': no function of 'weather' is left to learn from; leave one"),
    ],
)
def test_functions_held_out_for_dev_ood_are_checked_at_the_door(names, message):
    home = replace(make_config().home_assistant, dev_ood_functions=names)
    with pytest.raises(UserError, match=f"dataset.home_assistant.dev_ood_functions: {message}"):
        source.home_assistant(make_config(home_assistant=home), SIZES, 0)


def test_a_function_that_nothing_but_training_asks_for_cannot_be_held_out():
    """Every sentence for a heater is said of lights and switches too; without templates of dev none is left."""
    home = replace(make_config().home_assistant, dev_ood_functions=["turn_on_climate"], dev_template_share=0.0)
    world = source.build_world(make_config(home_assistant=home), 0)
    with pytest.raises(UserError, match="'turn_on_climate': all that asks for it is said in training too"):
        source._dev_ood(world, 10)


def test_every_answer_is_valid(home_dataset):
    for row in rows_of(home_dataset, *home_dataset.splits):
        for answer in [*row.answers, *(turn.answer for turn in row.history)]:
            assert not isinstance(answer, Call) or check_call(answer, home_dataset.pool) is answer
        assert len({repr(answer) for answer in row.answers}) == len(row.answers)


def test_every_row_is_offered_the_list_of_its_split_in_one_order(home_dataset):
    """Less what is missing and its twins, where a row is refused for that."""
    pool = list(home_dataset.pool)
    ood = [name for name in pool if is_ood(home_dataset.pool[name].domain)]
    domain = [name for name in pool if name not in DEV_OOD and name not in ood]
    assert pool == [*domain, *(name for name in pool if name in DEV_OOD), *ood]
    lists = {**dict.fromkeys(APART, domain), "dev_ood": pool[: -len(ood)], "ood": pool}
    for split, offered in lists.items():
        for row in home_dataset.splits[split]:
            gone = set(offered) - set(row.candidates)
            assert list(row.candidates) == [name for name in offered if name not in gone]
            assert bool(gone) == ("missing_function" in row.tags)


def test_the_oracle_offers_few_with_the_reference_unless_refused_in_the_pool_s_order():
    small = DatasetSizes(train=200, expert=30, dev=30, dev_ood=30, test=30, ood=30)
    dataset = source.home_assistant(make_config(lists="oracle"), small, 0)
    order = list(dataset.pool)
    for row in rows_of(dataset, *dataset.splits):
        assert len(row.candidates) == len(set(row.candidates)) == 8
        assert list(row.candidates) == sorted(row.candidates, key=order.index)
        if isinstance(reference(row), Call):
            assert reference(row).name in row.candidates


def test_a_missing_function_is_not_offered(home_dataset):
    """Where some row shows what the words ask for, that function is not among the candidates."""
    rows = rows_of(home_dataset, "train")
    asked = {row.query.lower().strip("?."): reference(row) for row in rows if isinstance(reference(row), Call)}
    missing = [row for row in rows if "missing_function" in row.tags]
    known = [row for row in missing if row.query.lower().strip("?.") in asked]
    assert known and all(row.answers == (Refusal.NO_FUNCTION,) for row in missing)
    for row in known:
        assert asked[row.query.lower().strip("?.")].name not in row.candidates


def test_one_wording_has_one_meaning(home_dataset):
    """The same words in the same situation always ask for the same call."""
    meaning = defaultdict(set)
    for row in rows_of(home_dataset, *home_dataset.splits):
        if "missing_function" in row.tags:
            continue
        history = "" if "distractor" in row.tags else repr(row.history)
        query = row.query.lower().strip("?.").removeprefix("please ").removesuffix(" please")
        meaning[query, row.context["room"], history].add(repr(reference(row)))
    assert {key: calls for key, calls in meaning.items() if len(calls) > 1} == {}


def test_room_is_the_tag_of_all_rows_whose_area_nobody_says(home_dataset):
    """No more and no less, in every split: what hangs on the rule that a command without a place means the room."""
    for split, rows in home_dataset.splits.items():
        tagged = 0
        for row in rows:
            call = reference(row)
            area = str(call.arguments.get("area", "")) if isinstance(call, Call) else ""
            said = " ".join([row.query, *row.knowledge, *(repr(turn.answer) for turn in row.history)]).lower()
            unsaid = bool(area) and area not in re.sub(r"\bin here|this room\b", "", said)
            if (
                "distractor" in row.tags and "room" in row.tags
            ):  # the turn before, in the same room, may say it by chance
                unsaid = True
            assert ("room" in row.tags) == unsaid, row
            if unsaid:
                assert area == row.context["room"] and "name" not in call.arguments
                tagged += 1
        assert tagged, split


def test_nothing_of_the_moment_but_the_room_is_said(home_dataset):
    assert all(list(row.context) == ["room"] for row in rows_of(home_dataset, *home_dataset.splits))


def test_every_value_can_be_inferred(home_dataset):
    """Names and areas stand in the query, the room, the knowledge, or the turn before."""
    for row in rows_of(home_dataset, *home_dataset.splits):
        if isinstance(reference(row), Call):
            seen = " ".join(
                [row.query, *row.knowledge, row.context["room"], *(repr(t.answer) for t in row.history)]
            ).lower()
            for key in ("name", "area", "floor", "item", "message", "search_query"):
                assert str(reference(row).arguments.get(key, "")).lower() in seen.replace('\\"', '"'), row


def test_knowledge_is_what_the_lookup_finds(home_dataset):
    rows = rows_of(home_dataset, *home_dataset.splits)
    assert any("knowledge" in row.tags for row in rows)
    for row in rows:
        assert row.knowledge == lookup(row.query, home_dataset.knowledge)
        assert ("knowledge" in row.tags) <= bool(row.knowledge)
    named = [row for row in rows if row.knowledge and "knowledge" not in row.tags]
    assert any(": lock" in note for row in named for note in row.knowledge), "the inventory says what a thing is"


def test_shares_are_kept(home_dataset):
    rows = home_dataset.splits["train"]
    share = {tag: sum(tag in row.tags for row in rows) / len(rows) for tag in ("follow_up", "refusal", "distractor")}
    assert share["follow_up"] == pytest.approx(0.12, abs=0.03)
    assert share["refusal"] == pytest.approx(0.10, abs=0.03)
    assert 0 < share["distractor"] < 0.12


def test_follow_ups_have_a_turn_before_them(home_dataset):
    for row in rows_of(home_dataset, *home_dataset.splits):
        assert "follow_up" not in row.tags or len(row.history) == 1
        assert Refusal.UNCLEAR not in row.answers or not row.history


def test_held_out_devices_are_never_trained_on(home_dataset):
    home = build_home(0, 0.2)
    held_out = {d.name for domain, group in home.devices.items() for d in group if d.held_out and not is_ood(domain)}
    named = {
        split: {str(reference(row).arguments.get("name")) for row in rows if isinstance(reference(row), Call)}
        for split, rows in home_dataset.splits.items()
    }
    assert not held_out & (named["train"] | named["expert"])
    assert held_out & named["test"]


def test_text_is_clean(home_dataset):
    for row in rows_of(home_dataset, *home_dataset.splits):
        words = row.query.lower().split()
        assert "  " not in row.query and not set(row.query) & set("<>[]{}|\x01\x02\x03"), row.query
        assert not any(a == b and a in ("the", "my", "a", "please", "light") for a, b in itertools.pairwise(words))


def test_too_many_rows_is_a_clear_error():
    sizes = replace(SIZES, dev=20_000)
    with pytest.raises(UserError, match=r"only \d+ of 20000 different dev rows"):
        source.home_assistant(make_config(), sizes, 0)
