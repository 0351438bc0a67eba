"""YAML as a recipe needs it: values only, numbers and words as a person means them, every mistake with its line.

The reader builds nothing but text, numbers, booleans, null, lists and mappings. It follows the core schema of YAML 1.2:
`1e-4` is a number, and `off`, `on`, `yes`, `no` are words (a field that is a boolean reads them as one). Tags, anchors and
aliases are refused, so a file can neither name code to run nor unfold into a billion values.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from saddlepoint.errors import InputError

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]

MOST_BYTES = 2**18
DEEPEST = 32
LARGEST_INTEGER = 2**63 - 1

_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT = re.compile(r"([-+]?)\.(inf|Inf|INF|nan|NaN|NAN)")


def read_yaml_file(path: Path) -> Value:
    """The value in a YAML file.

    Raises:
        InputError: the file cannot be read, is no UTF-8, is too large, or is not the YAML described above.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError([f"{one_line(str(path))}: cannot be read ({error.strerror})"]) from None
    if len(content) > MOST_BYTES:
        raise InputError([f"{one_line(str(path))}:1: larger than {MOST_BYTES // 1024} KiB; that is no recipe"])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        message = f"{one_line(str(path))}:{line}: the byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8 text"
        raise InputError([message]) from None
    return read_yaml(text, str(path))


def read_yaml(text: str, where: str) -> Value:
    """The value that `text` writes; `where` opens the lines of errors.

    >>> read_yaml("{lr: 1e-4, normalization: off, fused: true, from: null}", "here")
    {'lr': 0.0001, 'normalization': 'off', 'fused': True, 'from': None}

    Raises:
        InputError: syntax errors, repeated keys (all of them), tags, anchors and aliases, with their lines.
    """
    where = one_line(where)
    try:
        node = yaml.compose(text, Loader=_PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = "; ".join(part for part in (error.context, error.problem) if part)
        raise InputError([f"{where}:{mark.line + 1 if mark else 1}: {one_line(problem)}"]) from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise InputError([f"{where}:{line}: the character {one_line(chr(error.character))} is not allowed in YAML"]) from None
    problems: list[str] = []
    value = _value(node, where, problems) if node is not None else None
    if problems:
        raise InputError(problems)
    return value


def write_yaml(value: Value) -> str:
    """YAML text that `read_yaml`, and a YAML 1.1 reader, read as `value`.

    >>> print(write_yaml({"path": "1e-4", "lr": 1e-4, "normalization": "off"}), end="")
    {path: '1e-4', lr: 0.0001, normalization: 'off'}
    """
    return yaml.dump(value, Dumper=_PlainDumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120)


def one_line(text: str) -> str:
    """`text` with every character that cannot be printed escaped, so that it stays in one line."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii") for character in text
    )


class _PlainLoader(yaml.SafeLoader):
    """Composes nodes; refuses what would construct something, and nesting that would exhaust the stack."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        peek: Callable[[], Any] = self.peek_event
        event = peek()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise yaml.MarkedYAMLError(
                problem="anchors and aliases are not read; write the value out", problem_mark=event.start_mark
            )
        if getattr(event, "tag", None) is not None:
            raise yaml.MarkedYAMLError(
                problem=f"the tag {event.tag} is not read; give a plain value", problem_mark=event.start_mark
            )
        self.depth += 1
        if self.depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {DEEPEST} levels", problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _PlainDumper(yaml.SafeDumper):
    """Quotes every text that our reader, or one of YAML 1.1, would take for something else; never writes an alias."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # In single quotes PyYAML folds line breaks that are not newlines, and loses them.
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_PlainDumper.add_representer(str, _text)
_PlainDumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(rf"(?:{_FLOAT.pattern})$"), list("-+.0123456789"))
_PlainDumper.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(rf"(?:{_INTEGER.pattern})$"), list("-+0123456789"))


def _value(node: yaml.Node, where: str, problems: list[str]) -> Value:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, where, problems)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, where, problems) for item in node.value]
    if isinstance(node, yaml.ScalarNode) and node.style is not None:
        return str(node.value)
    try:
        return _plain(node.value)
    except ValueError as error:
        problems.append(f"{where}:{node.start_mark.line + 1}: {error}")
        return None


def _mapping(node: yaml.MappingNode, where: str, problems: list[str]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append(f"{where}:{line}: a list or mapping stands where a field's name should")
            continue
        key = str(key_node.value)
        if key in lines:
            problems.append(f"{where}:{line}: {one_line(key)} is given twice (first in line {lines[key]}); remove one")
        lines.setdefault(key, line)
        found[key] = _value(value_node, where, problems)
    return found


def _plain(text: str) -> Value:
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL_FLOAT.fullmatch(text)
    if special:
        return math.nan if special[2].lower() == "nan" else math.copysign(math.inf, -1.0 if special[1] == "-" else 1.0)
    return text


def _integer(text: str) -> int:
    if len(text) > 25:
        raise ValueError(f"a number of {len(text)} digits; the largest is {LARGEST_INTEGER}")
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    value = int(text[2:] if base != 10 else text, base)
    if abs(value) > LARGEST_INTEGER:
        raise ValueError(f"{value} is too large; the largest is {LARGEST_INTEGER}")
    return value
