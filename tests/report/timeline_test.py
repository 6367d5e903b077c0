#!/usr/bin/env python3
"""The timeline on the page of `tardigrad report` in headless Chromium.

$1: the tardigrad program. Exit code 77: skipped."""
import json
import sys

sys.dont_write_bytecode = True
import pages  # noqa: E402

GUTTER = 38  # left of the rows, in js/timeline.js


class TimelineTest(pages.RunsTest):
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

    def test_draws_long_runs_and_very_many_workers(self):
        many = self.open(self.folder.page("many", pages.log_lines("asgd", 1, 0.7, [(1, 20)] * 300)).as_uri())
        self.assertIn("256 of 300 workers", many.text("#timeline-note"))
        long = self.open(self.folder.page("long", pages.log_lines("asgd", 1, 0.7, [(0.002, 0.004)] * 2 + [(4, 4)])).as_uri())
        self.assertIn("kept one by one", long.text("#timeline-note"))
        self.assertEqual(self.timeline_colours(long, [(10.5, 2)]), [[0x00, 0x72, 0xb2]])
        self.assertIn("Worker 2 is the straggler", long.text("#straggler-text"))


if __name__ == "__main__":
    pages.main()
