"""Builds web/static/app.css from web/styles and the CSS classes of the templates. Needs npm.

Run it when a template uses a new class. `--folder` stores the npm packages for the next run; `--vendor` also updates
htmx.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

WEB = Path(__file__).resolve().parents[1] / "src" / "counterfoil" / "web"
PACKAGES = ("tailwindcss@4.3.5", "@tailwindcss/cli@4.3.5", "daisyui@5.8.1")
VENDORED = {
    "htmx.org@2.0.11": ("htmx.org/dist/htmx.min.js", "htmx.min.js"),
    "htmx-ext-sse@2.2.4": ("htmx-ext-sse/dist/sse.min.js", "htmx-sse.min.js"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="folder that stores the npm packages for the next run")
    parser.add_argument("--vendor", action="store_true", help="also update htmx")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = chosen.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        install(folder)
        build(folder)
        if chosen.vendor:
            for source, name in VENDORED.values():
                shutil.copyfile(folder / "node_modules" / source, WEB / "static" / name)


def install(folder: Path) -> None:
    """Installs the pinned packages without running their scripts."""
    if (folder / "node_modules").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}')
    quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error")
    subprocess.run(["npm", "install", *quiet, *PACKAGES, *VENDORED], cwd=folder, check=True)


def build(folder: Path) -> None:
    """Builds the style sheet in a copy of the sources next to the packages, where npm finds them."""
    copied = folder / "web"
    shutil.rmtree(copied, ignore_errors=True)
    shutil.copytree(WEB, copied, ignore=shutil.ignore_patterns("static", "__pycache__"))
    built = folder / "app.css"
    command = [
        "npx",
        "--no-install",
        "tailwindcss",
        "--minify",
        "-i",
        str(copied / "styles" / "app.css"),
        "-o",
        str(built),
    ]
    subprocess.run(command, cwd=folder, check=True)
    shutil.copyfile(built, WEB / "static" / "app.css")


if __name__ == "__main__":
    main()
