"""The rules of the house that a program can check, and that ruff, mypy and import-linter do not."""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
LONGEST_MODULE = 400
MOST_MODULES = 9

FOLDERS = (".ci", "benchmarks", "docs", "examples", "lab", "newsfragments", "pixelboot", "tests", "tools", "twisted")
PROGRAM = ("benchmarks", "lab", "pixelboot")

UNTESTED: dict[str, str] = {}
"""Modules with code that no test file mirrors, each with the reason."""


def files(*folders: str, suffix: str = "") -> Iterator[Path]:
    """Every file of the project's own in these folders."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob(f"*{suffix}")):
            if path.is_file() and "__pycache__" not in path.parts and path.name != "dropin.cache":
                yield path


def everything() -> Iterator[Path]:
    """Every file of the project's own."""
    yield from (path for path in sorted(ROOT.iterdir()) if path.is_file() and not path.name.startswith(".coverage"))
    yield from files(*FOLDERS)


def name(path: Path) -> str:
    """The path as it is written in messages."""
    return path.relative_to(ROOT).as_posix()


def parsed(path: Path) -> ast.Module:
    """The module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), name(path))


def imported(tree: ast.Module) -> Iterator[str]:
    """The dotted name of everything a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def fields_without_docstring(tree: ast.Module) -> Iterator[str]:
    """Public fields of public dataclasses that no docstring follows; a declared setting has its help text instead."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue
        if not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
            continue
        for statement, after in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
            if not isinstance(statement, ast.AnnAssign) or "ClassVar" in ast.unparse(statement.annotation):
                continue
            field = ast.unparse(statement.target)
            declared = isinstance(statement.value, ast.Call) and ast.unparse(statement.value.func) == "setting"
            described = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if not (field.startswith("_") or declared or described):
                yield f"{node.name}.{field}"


def runs(tree: ast.Module) -> bool:
    """Whether a module has a function with a body: not only values, names and interfaces."""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return any(
        not isinstance(function.body[-1], ast.Expr | ast.Pass) or len(function.body) > 1 for function in functions
    )


class Sizes(SynchronousTestCase):
    """Nothing grows beyond what a reader can hold."""

    def test_modules_are_short(self) -> None:
        """No module is longer than 400 lines."""
        for path in files(*PROGRAM, "tests", suffix=".py"):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            self.assertLessEqual(lines, LONGEST_MODULE, name(path))

    def test_folders_are_small(self) -> None:
        """No folder of the program has more than nine modules."""
        for folder in {path.parent for path in files(*PROGRAM, suffix=".py")}:
            modules = [path.name for path in folder.glob("*.py") if not path.name.startswith("__")]
            self.assertLessEqual(len(modules), MOST_MODULES, f"{name(folder)}: {sorted(modules)}")


class Words(SynchronousTestCase):
    """What is written, and what is not."""

    def test_every_field_is_described(self) -> None:
        """A public field of a dataclass is followed by a docstring, which says its unit."""
        bare = {name(path): list(fields_without_docstring(parsed(path))) for path in files("pixelboot", suffix=".py")}
        self.assertEqual({path: fields for path, fields in bare.items() if fields}, {})

    def test_nothing_is_left_for_later(self) -> None:
        """No file holds a note to finish something, nor a path of one developer's machine."""
        forbidden = re.compile("TO" + r"DO\b|FIX" + r"ME\b|\bXX" + r"X\b|/wo" + "rk/|/hom" + "e/[a-z]")
        for path in everything():
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            found = forbidden.search(text)
            self.assertIsNone(found, f"{name(path)}: {found and found[0]}")

    def test_readme_shows_the_commands(self) -> None:
        """README tells a newcomer what to type."""
        text = (ROOT / "README.rst").read_text(encoding="utf-8")
        for command in ("make demo", "make serve", "make test"):
            self.assertIn(command, text)

    def test_newsfragments_are_well_formed(self) -> None:
        """Every newsfragment has a name that towncrier understands, and tells something."""
        settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        types = "|".join(kind["directory"] for kind in settings["tool"]["towncrier"]["type"])
        for path in files("newsfragments"):
            if path.name == "README.rst":
                continue
            self.assertRegex(path.name, rf"^\+[a-z0-9-]+\.({types})\.rst$")
            self.assertRegex(path.read_text(encoding="utf-8").strip(), r"(?s)^\S.{10,}\.$", name(path))

    def test_decisions_are_numbered(self) -> None:
        """Decisions have distinct numbers, without a gap, and each repeats its own in its title."""
        decisions = sorted((ROOT / "docs" / "decisions").glob("0*.rst"))
        for number, path in enumerate(decisions, 1):
            self.assertTrue(path.name.startswith(f"{number:04d}-"), name(path))
            self.assertTrue(path.read_text(encoding="utf-8").startswith(f"{number:04d}: "), name(path))


class Structure(SynchronousTestCase):
    """What is where."""

    def test_tests_mirror_the_package(self) -> None:
        """``pixelboot/http/plan.py`` is tested by ``tests/http/test_plan.py``, if anything in it runs."""
        untested = set()
        for path in files("pixelboot", suffix=".py"):
            if not runs(parsed(path)):
                continue
            stem = path.parent.name if path.name == "__init__.py" else path.stem
            mirror = ROOT / "tests" / path.parent.relative_to(ROOT / "pixelboot") / f"test_{stem}.py"
            if not mirror.exists():
                untested.add(name(path))
        self.assertEqual(untested, set(UNTESTED))

    def test_test_folders_are_packages(self) -> None:
        """Both runners find a test by its dotted name."""
        for path in files("tests", suffix="test_*.py"):
            self.assertTrue((path.parent / "__init__.py").exists(), name(path))

    def test_one_module_knows_the_reactor(self) -> None:
        """The global reactor is imported by `pixelboot.tap` alone; everything else is given its clock."""
        importers = {
            name(path)
            for path in files("pixelboot", suffix=".py")
            if "twisted.internet.reactor" in set(imported(parsed(path)))
        }
        self.assertLessEqual(importers, {"pixelboot/tap/options.py", "pixelboot/tap/twistd.py"})

    def test_the_plugin_file_imports_nothing_of_ours(self) -> None:
        """twistd imports it whatever service it is asked for."""
        path = ROOT / "twisted" / "plugins" / "pixelboot_plugin.py"
        self.assertEqual([one for one in imported(parsed(path)) if one.startswith("pixelboot")], [])

    def test_twisted_stays_a_namespace(self) -> None:
        """An ``__init__.py`` above the plugin file would hide Twisted itself."""
        self.assertEqual([path.name for path in files("twisted")], ["pixelboot_plugin.py"])

    def test_make_runs_what_exists(self) -> None:
        """Every module that the Makefile runs can be run."""
        for module in re.findall(r"python -m (\S+)", (ROOT / "Makefile").read_text(encoding="utf-8")):
            path = ROOT.joinpath(*module.split("."))
            self.assertTrue(path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module)

    def test_the_lowest_versions_are_tested(self) -> None:
        """The lower bounds in setup.cfg are the versions that ``tox -e lowest`` installs."""
        read = configparser.ConfigParser(interpolation=None)
        read.read([ROOT / "setup.cfg", ROOT / "tox.ini"], encoding="utf-8")
        bounds = read["options"]["install_requires"].strip().replace(">=", "==").splitlines()
        self.assertEqual(bounds, read["testenv:lowest"]["deps"].strip().splitlines())
