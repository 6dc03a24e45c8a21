"""pixelboot, built and installed as a user does it, is known to ``twistd`` wherever that is started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]

TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"

WHERE = "import pixelboot, twisted.plugins.pixelboot_plugin as plugin; print(pixelboot.__file__, plugin.__file__)"


def run(*command: str | Path) -> str:
    """What a command prints when it is run in ``/``, without a network; its failure is the test's."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "PYTHON"))}
    environ |= {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_CONFIG_FILE": os.devnull}
    done = subprocess.run(command, cwd="/", env=environ, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


class Installed(SynchronousTestCase):
    """A copy of the checkout, and an empty virtual environment that sees this one's packages after its own."""

    def setUp(self) -> None:
        """Lay out ``source`` and ``venv`` in a folder of the test's own."""
        self.folder = Path(self.mktemp()).absolute()
        self.source = self.folder / "source"
        self.source.mkdir(parents=True)
        for name in ("setup.cfg", "pyproject.toml", "README.rst", "LICENSE"):
            shutil.copy(ROOT / name, self.source)
        for name in ("pixelboot", "twisted"):
            shutil.copytree(
                ROOT / name, self.source / name, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache")
            )
        run(sys.executable, "-m", "venv", "--without-pip", self.folder / "venv")
        self.python = self.folder / "venv" / "bin" / "python"
        packages = next((self.folder / "venv" / "lib").glob("python*/site-packages"))
        outside = [path for path in sys.path if path.endswith("-packages")]
        (packages / "outside.pth").write_text("\n".join(outside), encoding="utf-8")

    def install(self, *what: str | Path) -> None:
        """Install into the empty environment, whatever is to be seen of pixelboot in this one."""
        pip = (sys.executable, "-m", "pip", "--python", self.python)
        run(*pip, "install", "--ignore-installed", "--no-deps", "--no-build-isolation", *what)

    def check(self, home: Path) -> None:
        """twistd lists our services, the code comes from `home`, and the command runs."""
        listed = {line.split()[0] for line in run(self.python, "-c", TWISTD, "--help").splitlines() if line.split()}
        self.assertLessEqual({"pixelboot", "pixelboot-dhcp", "pixelboot-tftp", "pixelboot-http"}, listed)
        for path in run(self.python, "-c", WHERE).split():
            self.assertTrue(Path(path).is_relative_to(home), f"{path} is not in {home}")
        self.assertIn("pixelboot", run(self.folder / "venv" / "bin" / "pixelboot", "--help"))

    def test_wheel(self) -> None:
        """A wheel holds all that the checkout does, and no more."""
        pip = (sys.executable, "-m", "pip")
        run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", self.folder, self.source)
        (wheel,) = self.folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pixelboot").rglob("*") if path.is_file()}
        expected = {name for name in ours if "__pycache__" not in name} | {"twisted/plugins/pixelboot_plugin.py"}
        self.assertEqual(packed, expected)
        self.install(wheel)
        self.check(self.folder / "venv")

    def test_editable(self) -> None:
        """So does an editable install, in the mode that the project uses."""
        self.install("--config-settings", "editable_mode=compat", "--editable", self.source)
        self.check(self.source)
