"""The directive ``routes``: the table of all that HTTP serves."""

from __future__ import annotations

from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from pixelboot.http.table import PARTS, ROUTES


class Routes(SphinxDirective):
    """Takes nothing; a table with a row for each route."""

    def run(self) -> list[nodes.Node]:
        """The table."""
        self.env.note_reread()  # The routes may have changed where the text has not.
        return self.parse_text_to_nodes("\n".join(table()))


def table() -> Iterator[str]:
    """The lines of the table."""
    yield from [".. list-table::", "   :header-rows: 1", "   :widths: 32 68", "", "   * - Path", "     - Answer"]
    for route in ROUTES:
        paths = [route.shown]
        if "{part" in route.path:
            paths = [route.shown.replace("PART", part) for part in PARTS]
        yield f"   * - {', '.join(f'``{path}``' for path in paths)}"
        yield f"     - {route.about}"


def setup(app: Sphinx) -> ExtensionMetadata:
    """What Sphinx calls."""
    app.add_directive("routes", Routes)
    return {"parallel_read_safe": True}
