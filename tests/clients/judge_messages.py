"""Judges of what is sent, who know nothing of us: python judge_messages.py [PAGERDUTY_OPENAPI] < LINES

Each line is {"route": "slack" | "pagerduty", "body": ...}. Slack's own library checks lengths, slackblocks structure and the newer
blocks, PagerDuty's own OpenAPI document its events; the limits that none of them knows are checked here. Faults are printed."""

import json
import sys

import jsonschema
import slackblocks
from slack_sdk.models.blocks import Block
from slack_sdk.models.basic_objects import JsonObject

faults = []


def walk(thing):
    """slack_sdk checks the outermost object only."""
    if isinstance(thing, JsonObject):
        thing.validate_json()
        for part in vars(thing).values():
            walk(part)
    elif isinstance(thing, (list, tuple)):
        for part in thing:
            walk(part)


def built(block):
    """The block as slackblocks makes it; it reads all but tables and charts back."""
    if block["type"] == "data_table":
        rows = [[cell_of(cell) for cell in row] for row in block["rows"]]
        return slackblocks.DataTableBlock(rows, block["caption"], block["page_size"])
    if block["type"] != "data_visualization":
        return slackblocks.Block.from_dict(block)
    chart = block["chart"]
    if chart["type"] != "line":
        raise ValueError(f"a chart of type {chart['type']}")
    series = [
        slackblocks.DataSeries(line["name"], [slackblocks.DataPoint(**point) for point in line["data"]])
        for line in chart["series"]
    ]
    axes = slackblocks.AxisConfig(**chart["axis_config"])
    return slackblocks.DataVisualizationBlock(block["title"], slackblocks.LineChart(series, axes))


def cell_of(cell):
    if cell["type"] != "raw_text":
        raise ValueError(f"a cell of type {cell['type']}")
    return slackblocks.RawText(cell["text"])


def said(thing):
    """Without what says that nothing is special."""
    if isinstance(thing, dict):
        return {name: said(part) for name, part in thing.items() if (name, part) != ("emoji", False)}
    return [said(part) for part in thing] if isinstance(thing, list) else thing


def texts(thing):
    if isinstance(thing, dict):
        return sum(texts(part) for name, part in thing.items() if name not in ("type", "action_id", "value", "url"))
    if isinstance(thing, list):
        return sum(texts(part) for part in thing)
    return len(thing) if isinstance(thing, str) else 0


def judge_slack(body):
    blocks = body.get("blocks", [])
    if not body.get("text") or len(body["text"]) > 40_000:
        yield "text is missing or too long"
    if len(blocks) > 50:
        yield f"{len(blocks)} blocks"
    # What was seen to be accepted: 9,597 characters in 15,561 bytes (bolt-js 2867).
    if texts(blocks) > 9_500 or len(json.dumps(blocks).encode()) > 15_000:
        yield f"{texts(blocks)} characters in {len(json.dumps(blocks).encode())} bytes"
    if sum(block["type"] == "data_visualization" for block in blocks) > 2:
        yield "more than two charts"
    for number, block in enumerate(blocks):
        try:
            # Each knows what the other does not: buttons, and the newer blocks.
            if block["type"] != "actions":
                again = said(built(block)._resolve())
                differing = [name for name in block if again.get(name) != block[name]]
                if differing:
                    yield f"blocks[{number}] slackblocks writes {differing} otherwise: {again}"
            if block["type"] not in ("data_table", "data_visualization"):
                walk(Block.parse(block))
        except Exception as fault:  # whatever a judge says is a fault of ours
            yield f"blocks[{number}] {type(fault).__name__}: {fault}"


def judge_pagerduty(body, schema):
    for fault in schema.iter_errors(body) if schema else []:
        yield f"{list(fault.path)}: {fault.message}"
    action = body.get("event_action")
    if action == "trigger" and "payload" not in body:
        yield "a trigger without payload"
    if action != "trigger" and not body.get("dedup_key"):
        yield f"{action} without dedup_key"
    if len(body.get("dedup_key", "")) > 255 or len(body.get("payload", {}).get("summary", "")) > 1024:
        yield "dedup_key or summary is too long"
    if len(body.get("routing_key", "")) != 32 or len(json.dumps(body).encode()) > 512_000:
        yield "routing_key or the whole is of a wrong length"


schema = None
if len(sys.argv) > 1:
    with open(sys.argv[1]) as file:
        document = json.load(file)
    content = document["paths"]["/enqueue"]["post"]["requestBody"]["content"]["application/json"]
    schema = jsonschema.Draft4Validator({**content["schema"], "components": document["components"]})

judged = 0
for line in sys.stdin:
    message = json.loads(line)
    body = message["body"]
    found = judge_slack(body) if message["route"] == "slack" else judge_pagerduty(body, schema)
    faults.extend(f"{fault} in {line.strip()[:2000]}" for fault in found)
    judged += 1
print(f"{judged} messages judged")
sys.exit("\n".join(faults) if faults else 0)
