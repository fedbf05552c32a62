"""Requests that nobody would write, to every route of the API, for minutes: `python -m tests.soak.api`.

Schemathesis makes them from the OpenAPI document, in the order in which one makes what another needs. No answer may be
a server error but 503, nor one that the document does not describe. Everything is in a temporary home, with the
simulated Stripe; the exit code is Schemathesis's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from counterfoil.app.app import open_app
from counterfoil.settings import Settings
from counterfoil.web.server import PageServer
from stripe_sandbox import Sandbox

KEY = "sk_test_demo_full_4242"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
#: The token goes by the environment: arguments can be seen by others. What there is stays until the end.
CONFIG = """
hooks = "hooks.py"
headers = {{ Authorization = "Bearer ${{TOKEN}}" }}
request-timeout = 30.0

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503]

[parameters]
"path.account" = "Shop"
"path.alert" = "Operations"
"path.column" = "id"
"path.dataset" = "Refunds"
"path.name" = "All"
"path.report" = "charges"
"path.run" = "{run}"

[[operations]]
include-method = "DELETE"
parameters = {{ "path.account" = "Other", "path.alert" = "Other", "path.dataset" = "Other", "path.name" = "Other" }}
"""
HOOKS = """
import schemathesis

@schemathesis.serializer("application/toml")
def toml(_context, value):
    return {"data": str(value).encode(errors="replace")}
"""


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--examples", type=int, default=100, help="requests of each operation")
    words.add_argument("--seed", type=int, default=1)
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as folder, Sandbox(scale=0.05) as sandbox:
        # Accounts that requests make are of the simulated Stripe, too.
        os.environ["STRIPE_API_BASE"] = sandbox.url
        home = Path(folder, "home")
        with open_app(Settings(home=home, state_url=None, port=0)) as app:
            app.accounts.add("Shop", KEY, api_base=sandbox.url)
            app.datasets.create("Refunds", account="Shop", report="refunds")
            app.questions.save("All", "SELECT * FROM refunds")
            app.alerts.add("Operations", "json://127.0.0.1:9")
            run = app.runs.start("Refunds").id
            server = PageServer(app, announce=lambda _link: None)
            server.start()
            try:
                return _asked(Path(folder), server.url, app.tokens.create("soak").secret, run, given)
            finally:
                server.stop()


def _asked(folder: Path, url: str, token: str, run: str, given: argparse.Namespace) -> int:
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG.format(run=run), encoding="utf-8")
    (folder / "hooks.py").write_text(HOOKS, encoding="utf-8")
    program = Path(sys.executable).with_name("schemathesis")
    command = [
        str(program), "--config-file", str(config), "run", f"{url}/api/v1/openapi.json", "--checks", CHECKS,
        "--max-examples", str(given.examples), "--seed", str(given.seed), "--continue-on-failure",
    ]  # fmt: skip
    return subprocess.run(command, env={**os.environ, "TOKEN": token}, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
