"""The directives ``settings`` and ``dhcp-options``: tables of all settings and of the options that they can name."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from pixelboot.config import Declared, arrays, declared
from pixelboot.dhcp.message.names import OPTIONS
from pixelboot.site import Site

OPTIONS_HEADER = ("Code", "Name", "Value")
HEADER = ("Key", "Option of ``twistd pixelboot``", "Default", "Allowed", "Meaning")


class Settings(SphinxDirective):
    """Takes nothing; a section for each table of the settings file."""

    def run(self) -> list[nodes.Node]:
        """The sections."""
        self.env.note_reread()  # The declarations may have changed where the text has not.
        return self.parse_text_to_nodes("\n".join(reference()), allow_section_headings=True)


class DhcpOptions(SphinxDirective):
    """Takes nothing; a table of the DHCP options that have a name."""

    def run(self) -> list[nodes.Node]:
        """The table."""
        self.env.note_reread()
        return self.parse_text_to_nodes("\n".join(options()))


def options() -> Iterator[str]:
    """The lines of the table of DHCP options; those that nobody may configure say why."""
    yield from [".. list-table::", "   :header-rows: 1", "   :class: options", ""]
    rows = [
        (
            str(code),
            f"``{known.name}``",
            quoted(known.kind.allowed if not known.reserved else f"not here: {known.reserved}"),
        )
        for code, known in sorted(OPTIONS.items())
    ]
    for cells in [OPTIONS_HEADER, *rows]:
        yield from (f"   {'  ' if number else '* '}- {cell}" for number, cell in enumerate(cells))
    yield ""


def quoted(allowed: str) -> str:
    """What is allowed, with literals for what stands in quotes: else the quotes would be made curly."""
    return re.sub('"[^"]*"', r"``\g<0>``", allowed)


def reference() -> Iterator[str]:
    """The lines of the whole."""
    for path, settings in itertools.groupby(declared(Site), lambda setting: setting.path[:-1]):
        yield from heading(f"``[{'.'.join(path)}]``" if path else "At the top of the file")
        yield from table(settings, options=True)
    for key, help, entry in arrays(Site):
        yield from heading(f"``[[{key}]]``")
        yield from [f"{help}  An array of tables, for the file alone.", ""]
        yield from table(entry, options=False)


def heading(text: str) -> list[str]:
    """The lines of a section's title."""
    return ["", text, "-" * len(text), ""]


def table(settings: Iterable[Declared], *, options: bool) -> Iterator[str]:
    """The lines of a table with a row for each setting; without `options` there is no column for them."""
    yield from [".. list-table::", "   :header-rows: 1", "   :class: settings", ""]
    for cells in [HEADER, *map(row, settings)]:
        shown = cells if options else (cells[0], *cells[2:])
        yield from (f"   {'  ' if number else '* '}- {cell}" for number, cell in enumerate(shown))
    yield ""


def row(setting: Declared) -> tuple[str, ...]:
    """The cells of one setting."""
    default = "must be given" if setting.required else f"``{json.dumps(setting.default, ensure_ascii=False)}``"
    option = f"``--{setting.option}``, ``--no-{setting.option}``" if setting.kind.flag else f"``--{setting.option}``"
    return f"``{setting.path[-1]}``", option, default, quoted(setting.kind.allowed), setting.help


def setup(app: Sphinx) -> ExtensionMetadata:
    """What Sphinx calls."""
    app.add_directive("settings", Settings)
    app.add_directive("dhcp-options", DhcpOptions)
    return {"parallel_read_safe": True}
