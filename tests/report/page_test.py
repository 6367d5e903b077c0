#!/usr/bin/env python3
"""The page of `tardigrad report` in headless Chromium. $1: the tardigrad program. Exit code 77: skipped."""
import http.server
import json
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
import unittest

sys.dont_write_bytecode = True
import browser as chromium  # noqa: E402

TARDIGRAD = ""
GUTTER = 38  # left of the timeline's rows, in js/timeline.js


def log_lines(method, seed, accuracy, job_times, **run):
    """A run of 20 s: worker i needs job_times[i] of each time[i] seconds between its jobs."""
    record = {"event": "run", "method": method, "workers": len(job_times), "clock": "wall", "seed": seed, "lr": 0.1,
              "model": "mlp", "dataset": "made-up", "devices": ["cpu:0"], "version": "1.2.3", "table": False,
              "command": f"tardigrad train --method {method} --seed {seed}", **run}
    jobs = sorted((job * every + busy, worker, job, busy)
                  for worker, (busy, every) in enumerate(job_times) for job in range(int(20 / every)))
    yield record
    evaluations = [(0, 2.0, 0.1), (10, 1.0, 0.5), (20, 0.5, accuracy)]
    for i, (time, worker, job, busy) in enumerate(jobs):
        while evaluations and evaluations[0][0] <= time:
            yield evaluation(i, *evaluations.pop(0))
        yield {"event": "update", "update": i + 1, "time": time, "worker": worker, "staleness": i, "lr": 0.1,
               "gradients": i + 1, "loss": 0.5, "job": job, "version": 0, "compute_time": busy, "hand_over_time": 0.25}
    for rest in evaluations:
        yield evaluation(len(jobs), *rest)


def evaluation(update, time, loss, accuracy):
    return {"event": "eval", "update": update, "time": time, "train_time_s": time, "gradients": update, "loss": loss,
            "accuracy": accuracy, "train_loss": None}


# Three workers: two need 0.75 s of every second, one 4 s of every 4.
JOB_TIMES = [(0.75, 1), (0.75, 1), (4, 4)]


class Folder:
    """Logs and pages, until the end."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="tardigrad-report-")
        self.path = pathlib.Path(self.folder.name)

    def page(self, name, *runs):
        logs = []
        for i, run in enumerate(runs):
            logs.append(self.path / f"{name}-{i}.jsonl")
            logs[-1].write_text("".join(json.dumps(line) + "\n" for line in run))
        page = self.path / f"{name}.html"
        subprocess.run([TARDIGRAD, "report", *logs, "-o", page], check=True)
        return page


class BrowserTest(unittest.TestCase):
    """Every page that a test opens must not complain."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Folder()
        cls.browser = chromium.Browser(chromium.find_chromium())

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.folder.folder.cleanup()

    def open(self, url, **options):
        page = chromium.Page(self.browser, url, **options)
        page.painted()
        self.addCleanup(lambda: self.assertEqual(page.complaints(), []))
        return page


class PageTest(BrowserTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        seeds = ((1, 0.625), (2, 0.875), (3, 0.75))
        asgd = [log_lines("asgd", seed, accuracy, JOB_TIMES) for seed, accuracy in seeds]
        cls.several = cls.folder.page("several", *asgd, log_lines("sync", 1, 0.5, JOB_TIMES)).as_uri()

    def test_shows_the_numbers_of_the_runs(self):
        page = self.open(self.several)
        cells = page.evaluate("[...document.querySelectorAll('#results tbody td')].map(cell => cell.innerText)")
        self.assertEqual(cells[:2], ["75.00 %\n[68.75, 81.25]", "0.5"])
        self.assertEqual(cells[len(cells) // 2:][:2], ["50.00 %", "0.5"])
        self.assertEqual([cells[len(cells) // 2 - 1], cells[-1]], ["3", "1"])
        heads = page.evaluate("[...document.querySelectorAll('#results thead th')].map(cell => cell.innerText)")
        self.assertEqual([*heads[:3], heads[-1]], ["runs", "accuracy", "loss", "seeds"])
        self.assertEqual(page.text("#title"), "asgd and sync: mlp on made-up")
        self.assertEqual(page.text("#command"), "tardigrad train --method asgd --seed 1")
        self.assertIn("This log has no end", page.text("#run-note"))

    def test_groups_the_programs_own_logs_by_all_but_their_seeds(self):
        logs = []
        for method, seed in (("asgd", 1), ("asgd", 2), ("dude", 1)):
            logs.append(self.folder.path / f"own-{method}-{seed}.jsonl")
            flags = f"--model quadratic:tridiagonal:9 --workers 3 --method {method} --lr 0.05 --clock virtual " \
                    f"--compute-time 1,2,3 --updates 40 --eval-every 10 --seed {seed} --log"
            subprocess.run([TARDIGRAD, "train", *flags.split(), logs[-1]], check=True, capture_output=True)
        out = self.folder.path / "own.html"
        subprocess.run([TARDIGRAD, "report", *logs, "-o", out], check=True)
        page = self.open(out.as_uri())
        rows = "[...document.querySelectorAll('#results tbody tr')].map(row => [row.cells[0], [...row.cells].pop()].map(c => c.innerText))"
        self.assertEqual(page.evaluate(rows), [["asgd", "2"], ["dude", "1"]])

    def test_names_the_straggler_and_why(self):
        page = self.open(self.several)
        self.assertEqual(page.text("#straggler-text"), "Worker 2 is the straggler: a gradient takes it 4 s, "
                         "5.33 times as long as the median worker, because it computes longer.")
        cells = page.evaluate("[...document.querySelectorAll('#straggler-times tbody td')].map(cell => cell.innerText)")
        self.assertEqual(cells[:6], ["3.75 s", "93.8 %", "500 ms", "250 ms", "6.3 %", "250 ms"])

    def test_draws_medians_and_quartiles_over_any_axis(self):
        page = self.open(self.several)
        chart = "Chart.getChart('curve-accuracy')"
        last = f"{chart}.data.datasets.map(set => set.data[set.data.length - 1])"
        self.assertEqual(page.evaluate(last), [{"x": 20, "y": y} for y in (0.6875, 0.8125, 0.75, 0.5)])
        page.click("input[name=axis][value=update]")
        self.assertEqual(page.evaluate(last)[0]["x"], 44)
        self.assertEqual(page.evaluate("Chart.getChart('curve-loss').options.scales.y.type"), "linear")
        page.click("input[name=scale][value=log]")
        self.assertEqual(page.evaluate("Chart.getChart('curve-loss').options.scales.y.type"), "logarithmic")
        page.click("#legend button")
        self.assertEqual(page.evaluate(last), [{"x": 44, "y": 0.5}])

    def test_needs_nothing_but_itself(self):
        page = self.open(self.several)
        others = [url for url in page.requests() if not url.startswith("data:")]
        self.assertEqual(others, [self.several])

    def test_fits_a_phone(self):
        for width in (360, 375, 390):
            page = self.open(self.several, width=width, height=800)
            page.click("#configuration-details summary")
            self.assertLessEqual(page.evaluate("document.scrollingElement.scrollWidth"), width)

    def page_of_groups(self, name, count, **options):
        """As many groups, of seeds that virtual time ran on different devices, and that were started elsewhere."""
        method = "a-method-of-some-length"
        def of_seed(seed):
            chance = {name: f"{name} {seed}" for name in ("command_line", "commit", "build", "date", "host")}
            return {"clock": "virtual", "devices": [f"cpu:{seed}"], "server": f"cpu:{seed}", **chance}
        runs = [log_lines(method, seed, 0.7, JOB_TIMES, lr=i + 1, **of_seed(seed))
                for i in range(count) for seed in (0, 1)]
        return self.open(self.folder.page(name, *runs).as_uri(), **options)

    def test_tells_very_many_groups_apart_everywhere(self):
        page = self.page_of_groups("groups", 40)
        looks = lambda selector: page.evaluate(f"[...document.querySelectorAll('{selector} .look')].map(look => look.outerHTML)")
        self.assertEqual(len(set(looks("#legend"))), 40)
        self.assertEqual(looks("#results"), looks("#legend"))
        curves = page.evaluate("""Chart.getChart('curve-loss').data.datasets.filter(set => !set.isBand)
            .map(set => JSON.stringify([set.borderColor, set.borderDash, set.pointStyle]))""")
        self.assertEqual(len(set(curves)), 40)
        drawn = page.evaluate("""Chart.getChart('curve-loss').data.datasets.filter(set => !set.isBand)
            .every(set => set.pointRadius.some(radius => radius >= 3))""")
        self.assertTrue(drawn, "each curve shows its marker")

    def test_shows_all_of_the_results_on_phones_and_desktops(self):
        for width in (390, 1440):
            page = self.page_of_groups(f"results-{width}", 10, width=width, height=800)
            beyond = page.evaluate("""[...document.querySelectorAll('#results :is(th, td)')].filter(cell => {
                const { left, right } = cell.getBoundingClientRect();
                return left < 0 || right > innerWidth || cell.scrollWidth > cell.clientWidth + 1; }).map(cell => cell.innerText)""")
            self.assertEqual(beyond, [])
            box = "(({scrollWidth, clientWidth}) => scrollWidth <= clientWidth)(document.getElementById('results'))"
            self.assertTrue(page.evaluate(box))

    def losses_page(self, name, **losses):
        """A run a method with the losses of its three evaluations."""
        runs = []
        for method, values in losses.items():
            values = iter(values)
            runs.append([{**line, "loss": next(values)} if line["event"] == "eval" else line
                         for line in log_lines(method, 1, 0.5, JOB_TIMES)])
        return self.open(self.folder.page(name, *runs).as_uri())

    def loss_axis(self, page):
        return page.evaluate("(({type, min, max}) => [type, min, max])(Chart.getChart('curve-loss').scales.y)")

    def test_a_diverged_group_leaves_the_axis_to_the_others(self):
        page = self.losses_page("diverged", sync=[2.5, 1, 0.5], asgd=[2.5, 1e6, 1e30])
        kind, low, high = self.loss_axis(page)
        self.assertEqual(kind, "linear")
        self.assertLess(high, 3)
        note = "document.getElementById('curve-loss').closest('figure').querySelector('.note').textContent"
        self.assertEqual(page.evaluate(note), "asgd leaves the axis: up to 1.00e30.")
        self.assertIn("1.00e30", page.text("#results"))
        page.click("#legend button")  # without sync there is nobody to leave it to
        self.assertEqual([self.loss_axis(page)[0], page.evaluate(note)], ["logarithmic", ""])
        self.assertGreaterEqual(self.loss_axis(page)[2], 1e30)

    def test_takes_a_log_scale_where_losses_span_decades(self):
        page = self.losses_page("decades", sync=[2.5, 1e-3, 1e-6], asgd=[2.5, 1, 0.5])
        self.assertEqual(self.loss_axis(page)[0], "logarithmic")
        page.click("input[name=scale][value=linear]")
        self.assertEqual(self.loss_axis(page)[0], "linear")
        page = self.losses_page("negative", sync=[2.5, -1e-3, -1e-6], asgd=[2.5, 1, 0.5])
        self.assertEqual(self.loss_axis(page)[0], "linear")
        page.click("input[name=scale][value=log]")
        self.assertIn("Not all values are positive", page.text("#curves"))

    def test_follows_the_theme_of_the_reader(self):
        page = self.open(self.several)
        looks = """[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,
                    Chart.getChart('curve-loss').options.scales.x.ticks.color]"""
        light = page.evaluate(looks)
        page.set_dark(True)
        page.painted()
        dark = page.evaluate(looks)
        for before, after in zip(light, dark):
            self.assertNotEqual(before, after)

    def timeline_colours(self, page, places):
        """Of (time, row) each."""
        return page.evaluate(f"""(() => {{
            const canvas = document.getElementById('timeline');
            const {{ data }} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return {json.dumps(places)}.map(([time, row]) => {{
                const x = Math.floor({GUTTER} + time / 20 * (canvas.width - {GUTTER}));
                const y = Math.floor((row + 0.5) * canvas.height / 3);
                return [...data.slice(4 * (y * canvas.width + x)).slice(0, 3)];
            }});
        }})()""")

    def test_paints_what_the_workers_did(self):
        page = self.open(self.several)
        computing, waiting, handing_over = [0x00, 0x72, 0xb2], [0xe3, 0xe6, 0xea], [0x6c, 0xc0, 0xf0]
        self.assertEqual(self.timeline_colours(page, [(3.5, 0), (3.9, 0), (4.1, 2), (7.9, 2)]),
                         [computing, waiting, handing_over, computing])

    def timeline_box(self, page):
        page.evaluate("document.getElementById('timeline').scrollIntoView({block: 'center'})")
        return page.evaluate("(({left, top, width}) => ({left, top, width}))"
                             "(document.getElementById('timeline').getBoundingClientRect())")

    def test_zooms_into_the_timeline_and_out_again(self):
        page = self.open(self.several)
        span = lambda: page.text("#timeline-span")
        self.assertEqual(span(), "")
        page.click("#zoom-in")
        self.assertEqual(span(), "5 s to 15 s")
        page.click("#pan-left")
        self.assertEqual(span(), "2.5 s to 12.5 s")
        box = self.timeline_box(page)
        x, y = box["left"] + GUTTER + (box["width"] - GUTTER) / 2, box["top"] + 10
        page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-300, modifiers=2)
        page.wait("document.getElementById('timeline-span').textContent !== '2.5 s to 12.5 s'")
        self.assertRegex(span(), r"^5\.66. s to 9\.33. s$")  # e times as much, around 7.5 s
        page.click("#zoom-all")
        self.assertEqual(span(), "")
        page.evaluate("document.getElementById('timeline').focus()")
        page.key("+")
        page.key("ArrowRight")
        self.assertEqual(span(), "4.667 s to 18 s")
        page.key("0")
        self.assertEqual(span(), "")

    def test_drags_the_timeline_and_tells_of_jobs(self):
        page = self.open(self.several)
        page.click("#zoom-in")
        box = self.timeline_box(page)
        width = box["width"] - GUTTER
        x, y = box["left"] + GUTTER + width / 2, box["top"] + 10
        page.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
        page.mouse("mouseMoved", x + width / 4, y, button="left", buttons=1)
        page.mouse("mouseReleased", x + width / 4, y, button="left", clickCount=1)
        page.wait("document.getElementById('timeline-span').textContent === '2.5 s to 12.5 s'")
        page.mouse("mouseMoved", box["left"] + GUTTER + width * 0.1, y)  # 3.5 s
        page.wait("!document.getElementById('timeline-tip').hidden")
        tip = page.text("#timeline-tip")
        self.assertIn("worker 0 at 3.5 s: computing", tip)
        self.assertIn("job 3 of model version 0\ntook 750 ms\nof it handing over 250 ms", tip)

    def touch(self, page, kind, *xs, y=0):
        page.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y, "id": i} for i, x in enumerate(xs)])

    def test_pinches_the_timeline_on_a_phone(self):
        page = self.open(self.several, width=375, height=800)
        page.call("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)
        box = self.timeline_box(page)
        middle, y = box["left"] + GUTTER + (box["width"] - GUTTER) / 2, box["top"] + 20
        self.touch(page, "touchStart", middle - 40, middle + 40, y=y)
        self.touch(page, "touchMove", middle - 80, middle + 80, y=y)
        self.touch(page, "touchEnd", y=y)
        page.wait("document.getElementById('timeline-span').textContent !== ''")
        self.assertEqual(page.text("#timeline-span"), "5 s to 15 s")

    def test_says_what_a_log_lacks(self):
        run = list(log_lines("asgd", 1, 0.7, JOB_TIMES))
        page = self.open(self.folder.page("evaluations", [line for line in run if line["event"] != "update"]).as_uri())
        self.assertIn("The log holds no jobs", page.text("#run-note"))
        self.assertTrue(page.evaluate("document.getElementById('timeline-part').hidden"))
        page = self.open(self.folder.page("begun", run[:1]).as_uri())
        self.assertIn("It holds no evaluation", page.text("#run-note"))

    def test_shows_warnings_and_what_was_measured_besides(self):
        run = list(log_lines("dude", 1, 0.7, JOB_TIMES))
        page = self.open(self.folder.page("calm", run).as_uri())
        self.assertTrue(page.evaluate("document.getElementById('warnings').hidden"))
        curves = "[...document.querySelectorAll('#curves figure')].filter(f => !f.hidden).map(f => f.innerText).join()"
        self.assertNotIn("‖∇f‖²", page.evaluate(curves))
        run.append({"event": "warning", "kind": "old-row", "update": 7, "time": 5, "text": "worker 2 <is> late"})
        run = [{**line, "gradient_norm_sq": 0.25} if line["event"] == "eval" else line for line in run]
        page = self.open(self.folder.page("alarmed", run).as_uri())
        self.assertEqual(page.text("#warnings"), "At 5 s: worker 2 <is> late")
        self.assertIn("‖∇f‖²", page.evaluate(curves))

    def test_draws_long_runs_and_very_many_workers(self):
        many = self.open(self.folder.page("many", log_lines("asgd", 1, 0.7, [(1, 20)] * 300)).as_uri())
        self.assertIn("256 of 300 workers", many.text("#timeline-note"))
        long = self.open(self.folder.page("long", log_lines("asgd", 1, 0.7, [(0.002, 0.004)] * 2 + [(4, 4)])).as_uri())
        self.assertIn("kept one by one", long.text("#timeline-note"))
        self.assertEqual(self.timeline_colours(long, [(10.5, 2)]), [[0x00, 0x72, 0xb2]])
        self.assertIn("Worker 2 is the straggler", long.text("#straggler-text"))


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


class LivePageTest(BrowserTest):
    def data_of(self, name, *runs):
        html = self.folder.page(name, *runs).read_text()
        before, _, rest = html.partition('<script type="application/json" id="data">')
        data, _, after = rest.partition("</script>")
        live = {**json.loads(data), "live": True}
        script = json.dumps(live).replace("<", "\\u003c")
        page = f'{before}<script type="application/json" id="data">{script}</script>{after}'
        return live, page.encode()

    def test_follows_a_run_and_keeps_the_readers_view(self):
        run = list(log_lines("asgd", 1, 0.7, JOB_TIMES))
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
    TARDIGRAD = sys.argv.pop(1)
    if not chromium.find_chromium():
        print("skipped: no Chromium")
        sys.exit(77)
    unittest.main()
