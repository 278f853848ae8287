"""Writes nested dicts as TOML: dicts are tables, lists of dicts arrays of tables."""
import json


def _scalar(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_scalar(element) for element in value) + "]"
    return json.dumps(str(value), ensure_ascii=False)


def _is_table_list(value):
    return isinstance(value, (list, tuple)) and any(isinstance(element, dict) for element in value)


def to_toml(table, path=()):
    """The text of `table`; keys without a value (None) are left out."""
    lines = []
    nested = []
    for key, value in table.items():
        if value is None:
            continue
        if isinstance(value, dict) or _is_table_list(value):
            nested.append((key, value))
        else:
            lines.append(f"{key} = {_scalar(value)}")
    text = "".join(line + "\n" for line in lines)
    for key, value in nested:
        name = ".".join((*path, key))
        if isinstance(value, dict):
            text += f"\n[{name}]\n" + to_toml(value, (*path, key))
        else:
            text += "".join(f"\n[[{name}]]\n" + to_toml(element, (*path, key)) for element in value)
    return text


def merged(base, changes):
    """`base` with `changes` laid over it, tables merged key by key, lists replaced; neither is modified."""
    result = dict(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result
