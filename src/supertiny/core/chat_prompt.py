"""The large model's prompt: guidelines, format, in-context examples, function documents, query (paper 3.1, App. C).

The reply is one JSON object, whatever the small model writes (`prompt.answer`), so that any server can hold a model to
its schema:
`{"thought": "...", "answer": {"name": ..., "arguments": {...}}}`; a refusal stands as its words in `answer`.
"""

import json
from collections.abc import Sequence
from typing import Any

from supertiny.core.ask import Chat
from supertiny.core.calls import (
    Answer,
    Call,
    Fault,
    Function,
    Malformed,
    Parameter,
    Pool,
    Refusal,
    Syntax,
    answer_from_json,
    read_value,
)
from supertiny.core.prompt import call_schema, one_line, own_part, response, signature
from supertiny.core.records import Example

GUIDELINES = """You control a smart system by calling functions. Read the context, the notes and the dialogue.
Then answer the query with one call of one of the functions offered.
- Use only the functions offered and their parameters. Leave out every parameter that the query does not ask for.
- Copy names and values from the query; where a note explains a term, use what the note says it stands for.
- A query that goes back to an earlier turn takes what it leaves open from that turn; "here" is the room of the context.
- Numbers are digits. Where no function offered can serve the query, answer "No appropriate function".
- Where the query leaves open what is wanted, answer "Request unclear"."""
_CALL = '"answer": {"name": function, "arguments": {parameter: value}}}'
FORMAT = f"Reply with JSON alone: {{{_CALL}"
FORMAT_THOUGHT = f'Reply with JSON alone: {{"thought": why, {_CALL}'


def full_chat(
    example: Example, shown: Sequence[Example], pool: Pool, thought: bool, documents: str, constrained: bool
) -> Chat:
    """The conversation for `example` with the in-context examples `shown`, each a turn of its own."""
    offered = [pool[name] for name in example.candidates]
    functions = "".join(f"\n{document(function, documents)}" for function in offered)
    messages = [("system", f"{GUIDELINES}\n{FORMAT_THOUGHT if thought else FORMAT}\nFunctions:{functions}")]
    for one in shown:
        messages += [("user", asked(one, pool)), ("assistant", reply_text(one.answers[0], pool, thought))]
    messages.append(("user", asked(example, pool)))
    schema = json.dumps(reply_schema(offered, thought)) if constrained else None
    return Chat(tuple(messages), schema)


def document(function: Function, documents: str) -> str:
    """The document of one function, as long as `PrototypeConfig.documents` says.

    >>> from supertiny.core.calls import Parameter
    >>> wait = Function("wait", "Waits.", {"unit": Parameter("string", "Of time", True, ("s", "h"))})
    >>> print(document(wait, "parameters"))
    wait(unit): Waits.
      unit (string): Of time; one of "s", "h"
    """
    text = signature(function, documents != "signature")
    if documents != "parameters":
        return text
    return "\n".join([text, *(f"  {name} {_about(parameter)}" for name, parameter in function.parameters.items())])


def _about(parameter: Parameter) -> str:
    of = "each one of" if parameter.items else "one of"
    values = ", ".join(map(json.dumps, parameter.items.enum if parameter.items else parameter.enum))
    said = [part for part in (one_line(parameter.description), f"{of} {values}" if values else "") if part]
    return f"({parameter.kind})" + (f": {'; '.join(said)}" if said else "")


def asked(example: Example, pool: Pool) -> str:
    """The user's turn: context, notes, every earlier turn and the query."""
    return own_part(example, pool, len(example.history), Syntax.json).removesuffix("\nAnswer:")


def reply_text(answer: Answer, pool: Pool, thought: bool) -> str:
    """What a right reply looks like; its thought names what the query needs and the function that serves it."""
    said = json.dumps(str(answer)) if isinstance(answer, Refusal) else response(answer, pool, Syntax.json)
    return f'{{"thought":{json.dumps(_thought(answer, pool))},"answer":{said}}}' if thought else f'{{"answer":{said}}}'


def _thought(answer: Answer, pool: Pool) -> str:
    if isinstance(answer, Call):
        given = ", ".join(f"{name} {value}" for name, value in answer.arguments.items()) or "no parameter"
        return f"{pool[answer.name].description.rstrip('.')}; the query gives {given}: {answer.name}"
    return "none of the functions serves this" if answer is Refusal.NO_FUNCTION else "it is open what is wanted"


def reply_schema(functions: Sequence[Function], thought: bool) -> dict[str, Any]:
    """The JSON schema of a reply that calls one of `functions` or refuses."""
    answer = {"anyOf": [*call_schema(functions)["anyOf"], {"enum": [str(refusal) for refusal in Refusal]}]}
    properties = ({"thought": {"type": "string"}} if thought else {}) | {"answer": answer}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def parse_full(text: str, pool: Pool) -> Answer | Malformed:
    """The answer in a reply to the full prompt, or what is wrong with it; a thought is not looked at."""
    value = read_value(text.strip())
    if isinstance(value, Malformed):
        return value
    if not isinstance(value, dict) or "answer" not in value or set(value) - {"thought", "answer"}:
        return Malformed(Fault.NOT_A_CALL, 'expected {"answer": call or refusal}, with a "thought" or without')
    return answer_from_json(value["answer"], pool)
