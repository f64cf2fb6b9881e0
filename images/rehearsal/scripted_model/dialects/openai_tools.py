"""How tools are offered and called in the Responses API: functions, custom tools and namespaces.

Source: https://platform.openai.com/docs/api-reference/responses for both kinds of calls.
"""

from __future__ import annotations

import json
from typing import Any

from ..conversation import Answer

Frame = dict[str, Any]


def is_newer(body: Frame) -> bool:
    """Whether a request offers its tools as an item of its input, as newer versions do."""
    items = body.get("input")
    return isinstance(items, list) and any(item.get("type") == "additional_tools" for item in items)


def names(body: Frame) -> frozenset[str]:
    """The names of all tools that a request offers, namespaces included."""
    offered = list(body.get("tools", []))
    for item in body["input"] if isinstance(body.get("input"), list) else []:
        if item.get("type") == "additional_tools":
            offered += item["tools"]
    flat = [tool for space in offered for tool in space.get("tools", [space])]
    return frozenset(tool.get("name", "") for tool in flat)


def call_item(answer: Answer, status: str) -> Frame | None:
    """The output item that calls the tool of a step; None when the model only talks."""
    call = answer.call
    if call is None:
        return None
    item = {"status": status, "call_id": answer.call_id("call_"), "name": call.tool}
    if call.namespace:
        item["namespace"] = call.namespace
    if call.script:
        custom = {"type": "custom_tool_call", "input": call.script}
        return {"id": f"ctc_rehearsal_{answer.number:05d}", **item, **custom}
    function = {"type": "function_call", "arguments": json.dumps(call.arguments)}
    return {"id": f"fc_rehearsal_{answer.number:05d}", **item, **function}


def streamed_field(item: Frame) -> tuple[str, str]:
    """The field of a call that a stream sends in parts, and the name of its events."""
    if item["type"] == "function_call":
        return "arguments", "response.function_call_arguments"
    return "input", "response.custom_tool_call_input"
