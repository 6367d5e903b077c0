#!/usr/bin/env python3
"""The page of a run that goes on, as --serve shows it, in headless Chromium.

$1: the tardigrad program. Exit code 77: skipped."""
import http.server
import json
import queue
import sys
import threading

sys.dont_write_bytecode = True
import pages  # noqa: E402


class LiveServer:
    """Serves a page, and whatever data is put into `news`, as --serve does; None breaks the connection."""

    def __init__(self, page):
        news = self.news = queue.Queue()
        asked = self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(200)
                if self.path.startswith("/?") or self.path == "/":
                    self.send_header("Content-Type", "text/html")
                    self.end_headers()
                    self.wfile.write(page)
                    return
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                while (data := news.get()) is not None:
                    self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())
                    self.wfile.flush()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class LivePageTest(pages.BrowserTest):
    def data_of(self, name, *runs):
        html = self.folder.page(name, *runs).read_text()
        before, _, rest = html.partition('<script type="application/json" id="data">')
        data, _, after = rest.partition("</script>")
        live = {**json.loads(data), "live": True}
        script = json.dumps(live).replace("<", "\\u003c")
        page = f'{before}<script type="application/json" id="data">{script}</script>{after}'
        return live, page.encode()

    def test_follows_a_run_and_keeps_the_readers_view(self):
        run = list(pages.log_lines("asgd", 1, 0.7, pages.JOB_TIMES))
        now, html = self.data_of("early", run[:len(run) // 2])
        later, _ = self.data_of("later", run)
        server = LiveServer(html)
        self.addCleanup(server.close)
        self.addCleanup(server.news.put, None)
        page = self.open(server.url + "?token=a%2Bb")
        server.news.put(now)
        page.wait("document.getElementById('live').textContent === 'live'")
        page.click("#zoom-in")
        page.click("input[name=axis][value=update]")
        view = page.text("#timeline-span")
        updates = "document.querySelector('#results tbody').innerText"
        before = page.evaluate(updates)
        server.news.put(later)
        page.wait(f"{updates} !== {json.dumps(before)}")
        self.assertIn("/events?token=a%2Bb", server.asked)  # a page that needs a token needs it for its data
        page.painted()
        self.assertEqual(page.text("#timeline-span"), view)
        self.assertEqual(page.evaluate("Chart.getChart('curve-accuracy').options.scales.x.title.text"), "updates")
        server.news.put(None)
        page.wait("document.getElementById('live').textContent.startsWith('connection lost')")
        server.news.put({**later, "live": False})
        page.wait("document.getElementById('live').textContent === 'the run has ended'")


if __name__ == "__main__":
    pages.main()
