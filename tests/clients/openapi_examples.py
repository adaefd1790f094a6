"""Checks that every example of an OpenAPI document is valid for its schema. Prints how many there are, and what is wrong."""

import json
import sys

from openapi_schema_validator import OAS31Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

# References lead into the document wherever they stand.
DOCUMENT = "urn:document"
with open(json.loads(sys.argv[1])["document"], encoding="utf-8") as file:
    document = json.loads(file.read().replace('"$ref": "#/', f'"$ref": "{DOCUMENT}#/'))
registry = Registry().with_resource(DOCUMENT, Resource.from_contents(document, default_specification=DRAFT202012))
checker = OAS31Validator.FORMAT_CHECKER


def resolved(value):
    while "$ref" in value:
        found = document
        for step in value["$ref"].removeprefix(f"{DOCUMENT}#/").split("/"):
            found = found[step]
        value = found
    return value


def contents():
    for path, item in document["paths"].items():
        for method, operation in item.items():
            place = f"{method} {path}"
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                yield f"{place} {kind}", content
            for status, response in operation["responses"].items():
                for kind, content in resolved(response).get("content", {}).items():
                    yield f"{place} {status} {kind}", content


count = 0
wrong = []
for place, content in contents():
    examples = [resolved(example)["value"] for example in content.get("examples", {}).values()]
    examples += [content["example"]] if "example" in content else []
    for example in examples:
        count += 1
        validator = OAS31Validator(content["schema"], registry=registry, format_checker=checker)
        wrong += [f"{place}: {error.message}" for error in validator.iter_errors(example)]
        # What the schema does not name is a slip, unless it is open.
        schema = resolved(content["schema"])
        if isinstance(example, dict) and "properties" in schema and "additionalProperties" not in schema:
            wrong += [f"{place}: {name} is unknown" for name in example if name not in schema["properties"]]
print(json.dumps({"count": count, "wrong": wrong}))
