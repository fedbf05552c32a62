"""Sends unusual generated requests to every route of the API for minutes: `python -m tests.soak.api`.

Schemathesis generates the requests from the OpenAPI document, in the order of their dependencies. No response may be a
server error other than 503, and the document must describe every response. The test uses a temporary home directory
and the simulated Stripe. The exit code is that of Schemathesis.
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
#: The environment holds the token, because other users can see arguments. DELETE requests use other names, so that
#: the objects created here remain.
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="maximum number of requests per operation")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Sandbox(scale=0.05) as sandbox:
        # Accounts created by requests use the simulated Stripe, too.
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
                return _run_schemathesis(Path(folder), server.url, app.tokens.create("soak").secret, run, options)
            finally:
                server.stop()


def _run_schemathesis(folder: Path, url: str, token: str, run: str, options: argparse.Namespace) -> int:
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG.format(run=run), encoding="utf-8")
    (folder / "hooks.py").write_text(HOOKS, encoding="utf-8")
    program = Path(sys.executable).with_name("schemathesis")
    command = [
        str(program), "--config-file", str(config), "run", f"{url}/api/v1/openapi.json", "--checks", CHECKS,
        "--max-examples", str(options.examples), "--seed", str(options.seed), "--continue-on-failure",
    ]  # fmt: skip
    return subprocess.run(command, env={**os.environ, "TOKEN": token}, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
