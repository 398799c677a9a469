"""Status page on loopback: series received, queued, done and refused, without a patient's identity."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from medtranslate.errors import UsageError

Report = Mapping[str, Any]
"""Counts, peers and series of a node, as JSON holds them."""

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;color:#1f2629;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.4rem}table{border-collapse:collapse;width:100%;margin:1rem 0}caption{text-align:left;"
    "font-weight:600}th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #d5dad8;"
    "vertical-align:top}.counts td{font-size:1.6rem}.refused td:nth-child(4),.retry td:nth-child(4)"
    "{color:#b03a2e}small{color:#566166}"
)


@contextmanager
def status_page(port: int | None, report: Callable[[], Report]) -> Iterator[None]:
    """Serve the page on 127.0.0.1 for the block; nothing without a port.

    Raises:
        UsageError: the port is taken.
    """
    if port is None:
        yield
        return

    class Page(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            # Another name for this machine would let a web site's script read the page (DNS rebinding).
            host = self.headers.get("Host", "").rpartition(":")[0]
            if host not in ("127.0.0.1", "localhost") or self.path not in ("/", "/status.json"):
                self.send_error(404)
                return
            as_json = self.path == "/status.json"
            body = (json.dumps(report()) if as_json else draw(report())).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json" if as_json else "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Page)
    except OSError as error:
        raise UsageError(
            f"status_port {port}: cannot be used ({(error.strerror or 'failed').lower()}); choose another"
        ) from error
    server.daemon_threads = True
    with server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


def draw(report: Report) -> str:
    """Draw the page."""
    counts = report["counts"]
    heads = "".join(f"<th>{escape(name)}</th>" for name in counts)
    cells = "".join(f"<td>{count}</td>" for count in counts.values())
    rows = "".join(map(_row, report["series"])) or "<tr><td colspan=5>No series has arrived.</td></tr>"
    refused = "".join(
        f"<tr><td>{escape(reason)}</td><td>{count}</td></tr>" for reason, count in report["refused"].items()
    )
    before = f"<table><caption>Refused on arrival</caption>{refused}</table>" if refused else ""
    return (
        '<!doctype html><html lang="en-GB"><meta charset="utf-8"><meta http-equiv="refresh" content="5">'
        f"<title>{escape(report['title'])}</title><style>{_STYLE}</style>"
        f"<h1>{escape(report['title'])}</h1>"
        f'<table class="counts"><caption>Series</caption><tr>{heads}</tr><tr>{cells}</tr></table>'
        "<table><caption>Latest series</caption><tr><th>Received</th><th>From</th><th>Images</th>"
        f"<th>State</th><th>Reason or doubt</th></tr>{rows}</table>{before}"
        f"<p><small>{time.strftime('%Y-%m-%d %H:%M:%S')}. Research software, not a medical device.</small>"
    )


def _row(series: Mapping[str, Any]) -> str:
    kind = "refused" if series["state"] == "refused" else "retry" if series["failures"] else ""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(series["received"]))
    cells = (when, series["from"], str(series["images"]), series["state"], series["reason"])
    return f'<tr class="{kind}">' + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
