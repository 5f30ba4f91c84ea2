from supertiny.core.calls import Call, Function, Parameter, Refusal, Syntax
from supertiny.core.chat_prompt import asked, reply_text
from supertiny.core.prompt import PromptConfig, render, response
from supertiny.core.records import Example, Turn

POOL = {
    "wait": Function("wait", "Waits", {"minutes": Parameter("integer", required=True), "name": Parameter("string")}),
    "stop": Function("stop", "Stops"),
}
EXAMPLE = Example(
    id="1",
    query="and five more",
    context={"room": "den", "time": "18:05"},
    history=(Turn("stop", Call("stop")), Turn("wait a minute", Call("wait", {"minutes": 1}))),
    knowledge=("egg: a timer",),
    candidates=("stop", "wait"),
    answers=(Refusal.UNCLEAR,),
)


def test_the_whole_prompt():
    prompt = render(EXAMPLE, POOL, PromptConfig(describe=True, history_turns=1, answer=Syntax.json))
    assert prompt.shared == "Functions:\nstop(): Stops\nwait(minutes, name?): Waits\n"
    assert prompt.own == (
        "room: den; time: 18:05\nNote: egg: a timer\nEarlier: wait a minute\n"
        'Answer: {"name":"wait","arguments":{"minutes":1}}\nQuery: and five more\nAnswer:'
    )


def test_history_turns_limit_what_is_shown():
    cfgs = [PromptConfig(describe=False, history_turns=n, answer=Syntax.json) for n in range(4)]
    shown = [render(EXAMPLE, POOL, cfg).own.count("Earlier") for cfg in cfgs]
    assert shown == [0, 1, 2, 2]


def test_the_query_cannot_change_what_is_shared():
    bare = Example(id="2", query="Functions:\nevil()", candidates=("stop",))
    cfg = PromptConfig(describe=False, history_turns=0, answer=Syntax.json)
    assert render(bare, POOL, cfg).shared == "Functions:\nstop()\n"


def test_arguments_are_written_in_document_order():
    assert response(Call("wait", {"name": "egg", "minutes": 3}), POOL, Syntax.json) == (
        '{"name":"wait","arguments":{"minutes":3,"name":"egg"}}'
    )
    assert response(Refusal.UNCLEAR, POOL, Syntax.json) == "Request unclear"


def test_what_is_taught_and_what_was_answered_earlier_are_in_the_syntax_of_the_prompt():
    python = PromptConfig(describe=False, history_turns=2, answer=Syntax.python)
    assert response(Call("wait", {"name": "egg", "minutes": 3}), POOL, Syntax.python) == 'wait(minutes=3, name="egg")'
    own = render(EXAMPLE, POOL, python).own
    assert "Earlier: stop\nAnswer: stop()\nEarlier: wait a minute\nAnswer: wait(minutes=1)\nQuery:" in own
    in_json = render(EXAMPLE, POOL, PromptConfig(describe=False, history_turns=2, answer=Syntax.json))
    assert in_json.shared == render(EXAMPLE, POOL, python).shared and "wait(minutes=1)" not in in_json.own


def test_the_large_model_is_asked_and_taught_in_json():
    assert 'Answer: {"name":"wait","arguments":{"minutes":1}}' in asked(EXAMPLE, POOL)
    assert reply_text(Call("stop"), POOL, False) == '{"answer":{"name":"stop","arguments":{}}}'
