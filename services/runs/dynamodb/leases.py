"""Changing the item of a run in DynamoDB: what a lease is set to, and on which condition."""

import re
from collections.abc import Mapping
from typing import Any

from ..log import Run
from .faults import Item
from .items import number

# What each sign of a producer's life changes, what the end of its lease does, and what is true
# while there was no sign since.
RENEWED: Mapping[str, Item] = {"renewals": {"N": "1"}, "doubted": {"BOOL": False}}
ENDED: Mapping[str, Item] = {"lease": {"N": "0"}, "doubted": {"BOOL": False}}
UNRENEWED = "#lease > :zero AND #renewals = :read"


def lease_update(
    run: Run, changes: Mapping[str, Item], condition: str, kept_since: float
) -> dict[str, Any]:
    """The change of the item of `run`, as long as its epoch is the same and `condition` holds.

    A run whose time was over at `kept_since` is not changed. `renewals` is added to, every other
    change is set.
    """
    added = changes.get("renewals")
    names = [name for name in changes if name != "renewals"]
    update = "SET " + ", ".join(f"#{name} = :{name}" for name in names)
    values: dict[str, Item] = {f":{name}": changes[name] for name in names}
    if added is not None:
        update += " ADD #renewals :renewals"
        values[":renewals"] = added
    values[":since"] = number(kept_since)
    where = "#epoch = :was AND #until > :since" + (f" AND {condition}" if condition else "")
    known = {
        ":was": number(run.epoch),
        ":zero": number(0),
        ":read": number(run.renewals),
        ":yes": {"BOOL": True},
    }
    # DynamoDB refuses names and values that are not used.
    used = set(re.findall(r"[#:]\w+", f"{update} {where}"))
    return {
        "UpdateExpression": update,
        "ConditionExpression": where,
        "ExpressionAttributeNames": {name: name[1:] for name in used if name[0] == "#"},
        "ExpressionAttributeValues": {
            name: value for name, value in {**known, **values}.items() if name in used
        },
    }
