"""The source of chosen definitions and of everything that they use, across the modules of this package."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from importlib import import_module
from importlib.util import resolve_name

from tessera.base import TesseraError

_EXAMPLES = re.compile(r'("""[^\n]*)?\n\n( +)Examples\n\2-{8}\n.*?(\n\2""")', re.DOTALL)
"""The examples in a docstring, which import this package and are left out of copied source."""


class _Module:
    """One module: its definitions with the comments above them, and its imports.

    Attributes
    ----------
    about : its docstring
    definitions, uses : name -> source; name -> names that it needs at run time
    inside : name -> (module, name) of each import from this package
    outside : name -> (module, name) of each other import; the module is "" for a plain import
    """

    def __init__(self, name: str) -> None:
        module = import_module(name)
        text = inspect.getsource(module)
        tree, lines = ast.parse(text), text.splitlines()
        self.name, self.package = name, module.__package__ or ""
        self.about = ast.get_docstring(tree) or ""
        self.definitions: dict[str, str] = {}
        self.uses: dict[str, list[str]] = {}
        self.inside: dict[str, tuple[str, str]] = {}
        self.outside: dict[str, tuple[str, str]] = {}
        begin, last = 0, ""
        for node in tree.body:
            if isinstance(node, ast.If):  # TYPE_CHECKING
                for inner in node.body:
                    self._import(inner)
            elif isinstance(node, ast.Expr) and last:
                self.definitions[last] += "\n" + "\n".join(lines[begin : node.end_lineno])
            elif not self._import(node) and (last := _bound(node)):
                self.definitions[last] = _without_examples("\n".join(lines[begin : node.end_lineno]))
                self.uses[last] = _names(node)
            begin = node.end_lineno or 0

    def _import(self, node: ast.stmt) -> bool:
        if isinstance(node, ast.Import):
            self.outside.update({alias.asname or alias.name: ("", ast.unparse(alias)) for alias in node.names})
        elif isinstance(node, ast.ImportFrom):
            home = resolve_name("." * node.level + (node.module or ""), self.package)
            for alias in node.names:
                if home.startswith(__package__.partition(".")[0]):
                    self.inside[alias.asname or alias.name] = home, alias.name
                else:
                    self.outside[alias.asname or alias.name] = home, ast.unparse(alias)
        return isinstance(node, (ast.Import, ast.ImportFrom))


def _without_examples(text: str) -> str:
    return _EXAMPLES.sub(lambda found: f'{found[1]}"""' if found[1] else found[3], text).strip("\n")


def _bound(node: ast.stmt) -> str:
    """The name that a statement binds, or ""."""
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        return node.name
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    return target.id if isinstance(target, ast.Name) else ""


def _names(node: ast.AST) -> list[str]:
    """The names that a statement reads at run time; annotations are never evaluated and do not count."""
    names = [node.id] if isinstance(node, ast.Name) else []
    for field, value in ast.iter_fields(node):
        if field not in ("annotation", "returns"):
            for part in value if isinstance(value, list) else [value]:
                names += _names(part) if isinstance(part, ast.AST) else []
    return names


class Sources:
    """Definitions chosen by name, each with everything that it uses."""

    def __init__(self) -> None:
        self._modules: dict[str, _Module] = {}
        self._chosen: dict[str, str] = {}
        self._after: dict[str, list[str]] = {}

    def need(self, home: str, name: str) -> None:
        """Choose a definition of the module `home`.

        Raises
        ------
        TesseraError
            A definition of that name in another module is already chosen.
        """
        if home not in self._modules:
            self._modules[home] = _Module(home)
            self._after[home] = []
        module = self._modules[home]
        if name in module.inside:
            self._after[home].append(module.inside[name][0])
            self.need(*module.inside[name])
        elif name in module.definitions and self._chosen.get(name) != home:
            if name in self._chosen:
                raise TesseraError(f"{name} is defined in {self._chosen[name]} and in {home}; expected one of them")
            self._chosen[name] = home
            for used in module.uses[name]:
                self.need(home, used)

    def chapters(self) -> dict[str, str]:
        """Module -> its docstring and chosen definitions, each module after those that it uses."""
        found: dict[str, str] = {}

        def visit(home: str) -> None:
            for used in self._after[home]:
                if used not in found:
                    visit(used)
            module = self._modules[home]
            parts = [text for name, text in module.definitions.items() if self._chosen.get(name) == home]
            if parts:
                found[home] = self._chapter(module.about, parts)

        for home in list(self._after):
            if home not in found:
                visit(home)
        return found

    def _chapter(self, about: str, parts: list[str]) -> str:
        text = textwrap.indent(about, "# ", lambda _: True).replace("# \n", "#\n")
        before = "heading"
        for part in parts:
            kind = "constant" if re.match(r"\w+(: [^=]+)? = ", part) else "definition"
            gap = {("heading", "constant"): 2, ("constant", "constant"): 1}.get((before, kind), 3)
            text, before = text + "\n" * gap + part, kind
        return self._without_absent(text)

    def _without_absent(self, text: str) -> str:
        """Drop definitions that were not chosen from union annotations."""
        known = {name for module in self._modules.values() for name in (*module.definitions, *module.inside)}
        absent = "|".join(sorted(known - self._chosen.keys()))
        return _rejoined(re.sub(rf"\b(?:{absent}) \| | \| (?:{absent})\b", "", text))

    def imports(self, text: str) -> str:
        """The import statements that `text` needs, in the usual order."""
        used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        members: dict[str, set[str]] = {}
        for module in self._modules.values():
            for name, (home, imported) in module.outside.items():
                if name in used:
                    members.setdefault(home, set()).add(imported)
        lines = [f"import {name}" for name in sorted(members.pop("", ()))]
        lines += [f"from {home} import {', '.join(sorted(members[home]))}" for home in sorted(members)]
        standard = [line for line in lines if line.split()[1].partition(".")[0] in sys.stdlib_module_names]
        others = [line for line in lines if line not in standard]
        return "from __future__ import annotations\n\n" + "\n".join([*standard, "", *others])


def _rejoined(text: str, width: int = 120) -> str:
    """Put a signature on one line if it has become short enough."""

    def join(match: re.Match[str]) -> str:
        line = "".join(match.groups())
        return line if len(line) <= width else match[0]

    return re.sub(r"^( *def \w+\()\n +([^\n]*[^,\n])\n *(\).*:)$", join, text, flags=re.MULTILINE)
