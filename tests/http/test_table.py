"""Tests of `pixelboot.http.table`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.routes import BootRoot
from pixelboot.http.table import LONGEST_REMEMBERED, PARTS, REMEMBERED, ROUTES, Route, Table


class TableTest(SynchronousTestCase):
    """`Table.way`."""

    def test_all_routes(self) -> None:
        table = Table(ROUTES)
        cases: dict[str, tuple[str, dict[str, str]] | None] = {
            "/": ("index", {}),
            "/healthz": ("healthy", {}),
            "/boot.ipxe": ("first_script", {}),
            "/menu.ipxe": ("menu", {}),
            "/containers": ("catalogue", {}),
            "/containers/": ("catalogue", {}),
            "/containers/a b": ("container", {"id": "a b"}),
            "/containers/a/kernel": ("part", {"id": "a", "part": "kernel"}),
            "/containers/a/disk": ("part", {"id": "a", "part": "disk"}),
            "/containers/a/passwd": None,
            "/containers//kernel": None,
            "/containers/a/": None,
            "/containers/a/kernel/": None,
            "/containers/a/SHA256SUMS": ("part_sums", {"id": "a"}),
            "/files/SHA256SUMS": ("picture_sums", {}),
            "/files/a.rts.png": ("file", {"name": "a.rts.png"}),
            "/files/": None,
            "/files/a/b": None,
            "/loaders/a": ("loader", {"name": "a"}),
            "/loaders/a/b//c": ("loader", {"name": "a/b//c"}),
            "/loaders/": ("loader", {"name": ""}),
            "/loaders": None,
            "/Healthz": None,
            "//healthz": None,
            "/healthz/": None,
            "/{id}": None,
        }
        for path, way in cases.items():
            for _ in range(2):  # found, and remembered
                self.assertEqual(table.way(tuple(path[1:].split("/"))), way, path)

    def test_all_are_provided(self) -> None:
        """Every route has its method, and says for the manual what is there."""
        for route in ROUTES:
            self.assertTrue(callable(getattr(BootRoot, route.provide)), route)
            self.assertTrue(route.about.endswith("."), route)
        self.assertEqual(len({route.path for route in ROUTES}), len(ROUTES))
        self.assertIn("kernel", PARTS)

    def test_no_more_is_remembered_than_allowed(self) -> None:
        table = Table((Route("/{name}", "One.", "one"),))
        for n in range(REMEMBERED + 10):
            self.assertEqual(table.way((f"{n}",)), ("one", {"name": f"{n}"}))
        self.assertLessEqual(len(table._ways), REMEMBERED)
        long = "x" * (LONGEST_REMEMBERED + 1)
        self.assertEqual(table.way((long,)), ("one", {"name": long}))
        self.assertNotIn((long,), table._ways)

    @given(st.lists(st.text(max_size=5), min_size=1, max_size=5))
    def test_any_path(self, path: list[str]) -> None:
        way = Table(ROUTES).way(tuple(path))
        if way is not None:
            self.assertTrue(hasattr(BootRoot, way[0]))
