"""The part of SARIF 2.1.0 that a report uses, as a JSON schema written by hand after the text of the standard.

Names that are not listed are refused, so that a misspelt one is found.
"""

from __future__ import annotations

from typing import Any


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def _list(items: dict[str, Any], least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least}


TEXT = {"type": "string"}
NUMBER = {"type": "integer", "minimum": 1}
INDEX = {"type": "integer", "minimum": 0}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
BAG = {"type": "object"}
URI = {"type": "string", "pattern": r"^[A-Za-z0-9\-._~!$&'()*+,;=:@/%?#\[\]]*$"}
MESSAGE = _object(["text"], text=TEXT)
HELP = _object(["text"], text=TEXT, markdown=TEXT)
REGION = _object(["startLine"], startLine=NUMBER, endLine=NUMBER, snippet=MESSAGE)
ARTIFACT = _object(["uri"], uri={**URI, "not": {"pattern": "^/|^[a-z]+:"}}, uriBaseId=TEXT)
PHYSICAL = _object(["artifactLocation"], artifactLocation=ARTIFACT, region=REGION, contextRegion=REGION)
LOCATION = _object([], id=INDEX, physicalLocation=PHYSICAL, message=MESSAGE)
STEP = _object([], location=LOCATION)
FLOW = _object(["threadFlows"], threadFlows=_list(_object(["locations"], locations=_list(STEP, 1)), 1))
SUPPRESSION = _object(["kind"], kind={"enum": ["inSource", "external"]}, justification=TEXT)
RESULT = _object(
    ["ruleId", "ruleIndex", "level", "message", "partialFingerprints"],
    ruleId=TEXT, ruleIndex=INDEX, level=LEVEL, message=MESSAGE, occurrenceCount=NUMBER, properties=BAG,
    partialFingerprints={"type": "object", "additionalProperties": TEXT, "minProperties": 1},
    locations=_list(LOCATION), relatedLocations=_list(LOCATION), codeFlows=_list(FLOW), suppressions=_list(SUPPRESSION),
)  # fmt: skip
RULE = _object(
    ["id"], id=TEXT, name=TEXT, shortDescription=MESSAGE, fullDescription=MESSAGE, help=HELP,
    defaultConfiguration=_object([], level=LEVEL),
)  # fmt: skip
NOTIFICATION = _object(["message"], level=LEVEL, message=MESSAGE)
INVOCATION = _object(
    ["executionSuccessful"], executionSuccessful={"type": "boolean"},
    startTimeUtc={"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"},
    toolExecutionNotifications=_list(NOTIFICATION),
)  # fmt: skip
DRIVER = _object(["name"], name=TEXT, version=TEXT, rules=_list(RULE))
RUN = _object(
    ["tool", "results"], tool=_object(["driver"], driver=DRIVER), results=_list(RESULT), invocations=_list(INVOCATION),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    originalUriBaseIds={"type": "object", "additionalProperties": _object([], description=MESSAGE)},
)  # fmt: skip
LOG = {**_object(["version", "runs"], version={"const": "2.1.0"}, runs=_list(RUN, 1)), "additionalProperties": True}
