"""The JSON schema of a spec: for editors, for `shockmesh explain` and for the reference, which read nothing else.

pydantic makes it of the models. It is written out, without references, so that a key is found by going down. Added is
what the models say in code: bounds of numbers, distributions, names of presets and variables, BoARIO's names. It
accepts every spec that loads; rules between keys, such as one of `vary` and `grid`, are not in it.
"""

from functools import partial
from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from shockmesh.cluster.spec.boario import BOARIO, Renamed, ours
from shockmesh.cluster.spec.distributions import CHOICE, FAMILIES, parse_distribution
from shockmesh.cluster.spec.domains import Domain
from shockmesh.cluster.spec.models import Spec
from shockmesh.io.inputs.calendar import PATTERNS, date_in
from shockmesh.kernels.model import PRESETS
from shockmesh.kernels.rollout import RECORDABLE

type Node = dict[str, Any]

TITLES = {"date": "date, or time since the start", "days": "time such as 3 weeks", "share": "per cent such as 30 %"}

RECORDS = {  # what may be recorded, by day
    "output": "what is made, at baseline prices [unit a day]",
    "value_added": "output times the baseline share of value added, at baseline prices [unit a day]",
    "final_consumption": "final demand that is met, counted at the firm that sells [unit a day]",
    "final_demand": "what consumers ask for, met or not [unit a day]",
    "demand": "orders of firms and final demand, met or not [unit a day]",
    "capacity": "the most that all but inputs allows [unit a day]",
    "inventory": "inputs that firms hold, in the morning [unit]",
    "switched": "purchases that moved to other suppliers, at baseline amounts, of the firm that buys [unit a day]",
    "waiting": "goods at routes, waiting or on their detours, in the evening, of the firm that buys [unit]",
    "price": "relative to the baseline; of a group the mean, weighted by undisturbed output [–]",
    "unit_cost": "of a unit of output, relative to the baseline; means as of price [–]",
    "consumer_price_index": "of what a region's firms sell to consumers, relative to the baseline [–]",
    "tariff_revenue": "tariffs on what a firm buys, counted in its region [unit a day]",
    "nominal_output": "output at the prices of the day [unit a day]",
    "nominal_value_added": "sales less purchases and what went into stock, at the prices of the day [unit a day]",
}
OF_REGIONS = ("consumer_price_index",)  # which only regions have
DIALECT = "https://json-schema.org/draft/2020-12/schema"
SAME_AS = "x-same-as"  # marks BoARIO's name of a key
AS_THEY_ARE = ("default", "examples", "required", "enum", "const")  # which hold values, not schemas


def spec_schema() -> Node:
    """The schema of a whole spec, JSON Schema 2020-12."""
    schema = Spec.model_json_schema(schema_generator=_Generator)
    tree = _written_out(schema, schema.pop("$defs"))
    keys = tree["properties"]
    keys["model"]["properties"]["preset"]["enum"] = list(PRESETS)
    keys["observe"]["items"]["properties"]["variable"]["enum"] = list(RECORDABLE)
    keys["record"] |= _records(keys["record"]["additionalProperties"])
    return {"$schema": DIALECT, **tree}


def _records(dims: Node) -> Node:
    """What may be recorded, each also under another name."""
    variables = {
        name: dims
        | {
            "description": RECORDS.get(name, ""),
            "examples": [["region"] if name in OF_REGIONS else ["region", "sector"]],
        }
        for name in RECORDABLE
    }
    return {
        "title": "Record",
        "properties": variables,
        "patternProperties": {f"^({'|'.join(RECORDABLE)})_by_.+": dims},
        "additionalProperties": False,
    }


class _Generator(GenerateJsonSchema):
    """pydantic's, with what validators of ours say."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def sort(self, value: Node, parent_key: str | None = None) -> Node:
        return value  # in the order of the models

    def function_after_schema(self, schema: Any) -> Node:
        domain = getattr(schema["function"]["function"], "__self__", None)
        return super().function_after_schema(schema) | (_bounds(domain) if isinstance(domain, Domain) else {})

    def function_before_schema(self, schema: Any) -> Node:
        made, function = super().function_before_schema(schema), schema["function"]["function"]
        if isinstance(function, partial) and function.func is ours:
            return {"anyOf": [made, {"enum": list(function.args[0])}]}
        if function is date_in:
            return {"type": "string", "format": "date", "title": "date"}
        domain = getattr(function, "__self__", None)
        if isinstance(domain, Domain) and domain.written in PATTERNS:
            words = {
                "type": "string",
                "pattern": f"^\\s*({PATTERNS[domain.written]})\\s*$",
                "title": TITLES[domain.written],
            }
            return {"anyOf": [made, words]}
        return made

    def function_plain_schema(self, schema: Any) -> Node:
        return (
            _distribution()
            if schema["function"]["function"] is parse_distribution
            else {"type": "array", "minItems": 1}
        )


def _bounds(domain: Domain) -> Node:
    low = "exclusiveMinimum" if domain.open_low else "minimum"
    high = "exclusiveMaximum" if domain.open_high else "maximum"
    return {low: domain.low} | ({} if domain.high == float("inf") else {high: domain.high})


def _distribution() -> Node:
    """One family by name, with a list of its numbers or a mapping."""
    kinds = {name: _family(family.parameters, family.rule) for name, family in FAMILIES.items()}
    kinds[CHOICE] = {"type": "array", "minItems": 1, "description": "one of these, each alike"}
    return {
        "type": "object", "properties": kinds, "minProperties": 1, "maxProperties": 1, "additionalProperties": False,
    }  # fmt: skip


def _family(names: tuple[str, ...], rule: str) -> Node:
    number = {"type": "number"}
    short = {"type": "array", "items": number, "minItems": len(names), "maxItems": len(names)}
    long = {"type": "object", "properties": dict.fromkeys(names, number), "required": list(names)}
    return {"description": f"[{', '.join(names)}], {rule}", "anyOf": [short, long]}


def _written_out(node: Any, definitions: Node) -> Any:
    """The same without references, and without defaults that only say that there is none."""
    if isinstance(node, list):
        return [_written_out(one, definitions) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        return _written_out(target | {name: of for name, of in node.items() if name != "$ref"}, definitions)
    told = {name: of for name, of in node.items() if name in AS_THEY_ARE}
    below = {name: of for name, of in node.items() if name not in (*AS_THEY_ARE, "properties", "discriminator")}
    out = told | {name: _written_out(of, definitions) for name, of in below.items()}
    if "title" in node:
        out["title"] = node["title"].partition("[")[0]  # PerFirm, of whatever number
    if told.get("default") is None or isinstance(told["default"], dict):
        out.pop("default", None)
    if "properties" in node:
        out["properties"] = {name: _written_out(of, definitions) for name, of in node["properties"].items()}
    return _with_other_names(out)


def _with_other_names(node: Node) -> Node:
    """A part whose keys may go by BoARIO's names."""
    if node.get("title") not in {of.__name__ for of in Renamed.__subclasses__()}:
        return node
    both = {name: BOARIO[name] for name in node["properties"] if name in BOARIO}
    for name, theirs in both.items():
        told = {"description": f"BoARIO's name of {name}", SAME_AS: name}
        node["properties"][theirs] = node["properties"][name] | told
    either = [name for name in node.get("required", []) if name in both]
    node["required"] = [name for name in node.get("required", []) if name not in both]
    if either:
        node["allOf"] = [{"anyOf": [{"required": [name]}, {"required": [both[name]]}]} for name in either]
    return node
