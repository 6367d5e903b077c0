#!/usr/bin/env python3
"""The page of `tardigrad report` in headless Chromium, but for its timeline.

$1: the tardigrad program. Exit code 77: skipped."""
import subprocess
import sys

sys.dont_write_bytecode = True
import pages  # noqa: E402


class PageTest(pages.RunsTest):
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
            subprocess.run([pages.program(), "train", *flags.split(), logs[-1]], check=True, capture_output=True)
        out = self.folder.path / "own.html"
        subprocess.run([pages.program(), "report", *logs, "-o", out], check=True)
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
        runs = [pages.log_lines(method, seed, 0.7, pages.JOB_TIMES, lr=i + 1, **of_seed(seed))
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
                         for line in pages.log_lines(method, 1, 0.5, pages.JOB_TIMES)])
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

    def test_says_what_a_log_lacks(self):
        run = list(pages.log_lines("asgd", 1, 0.7, pages.JOB_TIMES))
        page = self.open(self.folder.page("evaluations", [line for line in run if line["event"] != "update"]).as_uri())
        self.assertIn("The log holds no jobs", page.text("#run-note"))
        self.assertTrue(page.evaluate("document.getElementById('timeline-part').hidden"))
        page = self.open(self.folder.page("begun", run[:1]).as_uri())
        self.assertIn("It holds no evaluation", page.text("#run-note"))

    def test_shows_warnings_and_what_was_measured_besides(self):
        run = list(pages.log_lines("dude", 1, 0.7, pages.JOB_TIMES))
        page = self.open(self.folder.page("calm", run).as_uri())
        self.assertTrue(page.evaluate("document.getElementById('warnings').hidden"))
        curves = "[...document.querySelectorAll('#curves figure')].filter(f => !f.hidden).map(f => f.innerText).join()"
        self.assertNotIn("‖∇f‖²", page.evaluate(curves))
        run.append({"event": "warning", "kind": "old-row", "update": 7, "time": 5, "text": "worker 2 <is> late"})
        run = [{**line, "gradient_norm_sq": 0.25} if line["event"] == "eval" else line for line in run]
        page = self.open(self.folder.page("alarmed", run).as_uri())
        self.assertEqual(page.text("#warnings"), "At 5 s: worker 2 <is> late")
        self.assertIn("‖∇f‖²", page.evaluate(curves))


if __name__ == "__main__":
    pages.main()
