"""One rule for every change of a scenario: ``extends``, ``-s``, variants, axes and claims all merge like this.

Mappings merge deep, scalars and lists replace, ``null`` removes an entry.  A short form that meets a mapping is
written out first, so ``-s system.node.gpu.count=4`` works on ``node: dgx-h100``.  Where the ``kind`` of a choice
changes, parameters that the new kind also knows are kept and the others are given up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hwsim.errors import Problem, ScenarioError, nearest
from hwsim.scenario.schema.short import Shape
from hwsim.scenario.tree import Branch, Items, Leaf, Node, Origin, copied, is_null
from hwsim.scenario.yaml_nodes import parse


def merge(base: Branch, over: Branch, shape: Shape, problems: list[Problem] | None = None) -> Branch:
    """``base`` changed by ``over``; neither is modified.  Nulls stay in the tree until :func:`settled`."""
    found: list[Problem] = []
    result = _merged(base, over, shape, "", found)
    if problems is None and found:
        raise ScenarioError(found)
    if problems is not None:
        problems.extend(found)
    return result


def _merged(base: Branch, over: Branch, shape: Shape, path: str, problems: list[Problem]) -> Branch:
    base, over = _renamed(base, shape), _renamed(over, shape)
    kind = _kind(over) or _kind(base)
    passed_on = base.passed_on
    if shape.choice is not None and _kind(base) and _kind(over) and _kind(base) != _kind(over):
        passed_on |= frozenset(base.children) - {"kind"}
    result = Branch(dict(base.children), over.origin, dict(base.keys), passed_on - frozenset(over.children))
    for name in _displaced(base, over, shape):
        del result.children[name], result.keys[name]
    for key, value in over.children.items():
        below = result.children.get(key)
        inner = shape.child(key, kind)
        where = f"{path}.{key}" if path else key
        if is_null(value) and below is None and shape.member is not None:
            near = nearest(key, [name for name, node in base.children.items() if not is_null(node)])
            problems.append(
                Problem(f"{where} is null, but there is nothing to remove", str(over.keys[key]), nearest=near)
            )
            continue
        if isinstance(value, Branch):
            lower: Node = Branch({}, value.origin)
            if below is not None and not is_null(below):
                lower = expanded(below, inner, value)
            if isinstance(lower, Items):
                what = f"{where} is a list, whose items have no names"
                problems.append(Problem(what, str(over.keys[key]), expected="the whole list"))
                continue
            value = _merged(lower, value, inner, where, problems) if isinstance(lower, Branch) else copied(value)
        else:
            value = copied(value)
        result.children[key] = value
        result.keys[key] = over.keys[key]
    return result


def _kind(branch: Branch) -> str:
    node = branch.children.get("kind")
    return str(node.value) if isinstance(node, Leaf) else ""


def _renamed(branch: Branch, shape: Shape) -> Branch:
    """The mapping with short names of keys replaced by the long ones, unless both are there."""
    names = getattr(shape.model, "other_names", {})
    names = {short: long for short, long in names.items() if short in branch.children and long not in branch.children}
    if not names:
        return branch
    children = {names.get(key, key): child for key, child in branch.children.items()}
    keys = {names.get(key, key): origin for key, origin in branch.keys.items()}
    return Branch(children, branch.origin, keys, branch.passed_on)


def _displaced(base: Branch, over: Branch, shape: Shape) -> list[str]:
    """The inherited forms that another form of the same thing takes the place of (``at`` before ``tiers``)."""
    forms = getattr(shape.model, "alternatives", ())
    if not any(name in over.children for name in forms):
        return []
    return [name for name in forms if name in base.children and name not in over.children]


def expanded(node: Node, shape: Shape, over: Branch | None = None) -> Node:
    """A short form written out; before a merge, only if the mapping ``over`` it does not itself say what it is."""
    short = shape.short
    if short is None or isinstance(node, Branch) or is_null(node):
        return node
    value = node.items if isinstance(node, Items) else node.value
    long = short.expand(value)
    if not isinstance(long, dict):
        return node
    if over is not None and any(key in over.children for key in long if key in (short.text, short.items)):
        return node
    children: dict[str, Node] = {}
    for key, part in long.items():
        children[key] = node if part is value else Leaf(part, node.origin)
    return Branch(children, node.origin, dict.fromkeys(children, node.origin))


def settled(node: Branch, shape: Shape, product: bool = False) -> Branch:
    """The tree with all short forms written out and nulls taken out.

    In a thing from the catalogue (``like:``) a null stays: it removes what the catalogue has.  A null under a key that
    nobody knows stays too, so that the schema refuses the key.
    """
    node = _renamed(node, shape)
    kind = _kind(node)
    product = product or "like" in node.children
    known = shape.keys(kind)
    result = Branch({}, node.origin, {}, node.passed_on)
    for key, child in node.children.items():
        inner = shape.child(key, kind)
        if is_null(child) and not product and (not known or key in known):
            continue
        child = expanded(child, inner)
        if isinstance(child, Branch) and not inner.free:
            child = settled(child, inner, product)
        result.children[key] = child
        result.keys[key] = node.keys[key]
    return result


def settings(texts: Iterable[str], option: str = "-s") -> list[Branch]:
    """One layer for each ``path=value``, the value read as YAML; all bad ones are reported at once."""
    layers: list[Branch] = []
    problems: list[Problem] = []
    for text in texts:
        try:
            layers.append(setting(text, option))
        except ScenarioError as error:
            problems.extend(error.problems)
    if problems:
        raise ScenarioError(problems)
    return layers


def setting(text: str, option: str = "-s") -> Branch:
    """The layer that ``path=value`` stands for."""
    path, equals, value = text.partition("=")
    label = f"{option} {text if len(text) <= 80 else text[:77] + '...'}"
    keys = path.strip().split(".")
    if not equals or not all(keys) or any(" " in key for key in keys):
        raise ScenarioError.of(
            "is not a setting",
            where=label,
            got=repr(path),
            expected="path=value, such as serve.max_num_seqs=64",
        )
    origin = Origin(label)
    try:
        node = parse(value, label)
    except ScenarioError as error:
        raise ScenarioError([replace(problem, where=label) for problem in error.problems]) from None
    return at_path(keys, _relabelled(node, origin), origin)


def at_path(keys: list[str], node: Node, origin: Origin) -> Branch:
    """A mapping that holds ``node`` at a dotted path."""
    for key in reversed(keys):
        node = Branch({key: node}, origin, {key: origin})
    assert isinstance(node, Branch)
    return node


def _relabelled(node: Node, origin: Origin) -> Node:
    if isinstance(node, Branch):
        children = {key: _relabelled(child, origin) for key, child in node.children.items()}
        return Branch(children, origin, dict.fromkeys(children, origin))
    if isinstance(node, Items):
        return Items([_relabelled(item, origin) for item in node.items], origin)
    return Leaf(node.value, origin)
