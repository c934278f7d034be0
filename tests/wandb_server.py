"""A loopback stand-in for W&B's server: it remembers what it is sent, and can go away."""

import json
import re
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

PROJECT = {
    "id": "p",
    "name": "test",
    "entity": {"id": "e", "name": "me"},
    "entityName": "me",
    "internalId": "p",
    "artifact": None,
    "createdAt": "2026-11-24T00:00:00Z",
    "isBenchmark": False,
    "tags": [],
    "user": None,
}


class Server(ThreadingHTTPServer):
    """`asked`: GraphQL queries and their variables; `streamed`: rows of each run's files, by run and file.

    `projects`: those that exist. `leave_after`: the name of a query after which the server is gone.
    """

    daemon_threads = True

    def __init__(self, projects=("test",), leave_after: str | None = None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.projects, self.leave_after, self.gone = projects, leave_after, False
        self.entity: str | None = "me"
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.streamed: dict[tuple[str, str], dict[int, str]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def variables(self, name: str) -> list[dict[str, Any]]:
        """What was asked with the query of that name."""
        return [variables for query, variables in self.asked if re.search(rf"\b{name}\b", query)]

    def rows(self, run: str) -> list[dict[str, Any]]:
        """The history of a run."""
        lines = self.streamed.get((run, "wandb-history.jsonl"), {})
        return [json.loads(lines[place]) for place in sorted(lines)]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.gone:
            self.close_connection = True
            return
        if self.path.endswith("/file_stream"):
            self._stream(self.path.split("/")[-2], json.loads(body))
        if self.path != "/graphql":
            return self._say({})
        content = json.loads(body)
        query, variables = content["query"], content.get("variables") or {}
        self.server.asked.append((query, variables))
        if self.server.leave_after and self.server.leave_after in query:
            self.server.gone = True  # before the answer, and for good: other requests are being answered meanwhile
        self._say({"data": self._answer(query, variables)})

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._say({})

    do_GET = do_PUT

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _stream(self, run: str, content: dict[str, Any]) -> None:
        for name, file in (content.get("files") or {}).items():
            lines = self.server.streamed.setdefault((run, name), {})
            lines |= {file["offset"] + i: line for i, line in enumerate(file["content"])}

    def _answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        viewer = {
            "id": "u",
            "username": "me",
            "entity": self.server.entity,
            "flags": "{}",
            "teams": {"edges": []},
            "admin": False,
        }
        project = PROJECT if variables.get("project", variables.get("name")) in self.server.projects else None
        run = {
            "id": "r",
            "name": variables.get("name") or "r",
            "displayName": variables.get("displayName"),
            "project": PROJECT,
            "historyLineCount": 0,
        }
        files = [
            {"name": f, "uploadUrl": f"{self.server.url}/put", "displayName": f} for f in variables.get("files", [])
        ]
        created = {"runID": "r", "uploadHeaders": [], "files": files}
        view = {"id": "v", "name": variables.get("name", "")}
        return {
            "viewer": viewer,
            "serverInfo": {"cliVersionInfo": {"max_cli_version": "9"}, "latestLocalVersionInfo": None, "features": []},
            "__type": {"fields": [], "inputFields": []},
            "project": project,
            "model": project and {**project, "bucket": None},
            "upsertBucket": {"bucket": run, "inserted": True},
            "createRunFiles": created,
            "createArtifact": {"artifact": {"id": "a", "state": "COMMITTED", "artifactSequence": None}},
            "upsertView": {"view": view, "inserted": True},
        }

    def _say(self, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(**options: Any):
    """A server for as long as the context lasts."""
    with Server(**options) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
