"""A small dashboard: a year of temperatures with a running mean. Needs nothing but Python."""

import csv
import sys
from datetime import date, timedelta
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

WIDTH, HEIGHT, MARGIN = 900, 320, 30
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>A year of weather</title>
<style>
  body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
  svg {{ width: 100%; background: #f4f6f8; border-radius: .5rem }}
  .day {{ fill: #9db4c0 }} .mean {{ fill: none; stroke: #c8553d; stroke-width: 3 }}
</style>
<h1>A year of weather</h1>
<form><label>Mean over <output>{days}</output> days
  <input type="range" name="days" min="1" max="60" value="{days}" onchange="this.form.submit()">
</label> <button>Draw</button></form>
<svg viewBox="0 0 {width} {height}" role="img" aria-label="Daily temperatures and their running mean">
{dots}<polyline class="mean" points="{line}"/></svg>
<p>Warmest day: {warmest}. Coldest day: {coldest}.</p>
"""


def load(path):
    with open(path, newline="") as file:
        return [float(row["temperature"]) for row in csv.DictReader(file)]


def running_mean(values, days):
    """The mean of each day and the days before it, at most `days` in all."""
    for end in range(1, len(values) + 1):
        window = values[max(0, end - days) : end]
        yield sum(window) / len(window)


def points(values, low, high):
    for day, value in enumerate(values):
        x = MARGIN + day * (WIDTH - 2 * MARGIN) / (len(values) - 1)
        y = HEIGHT - MARGIN - (value - low) * (HEIGHT - 2 * MARGIN) / (high - low)
        yield f"{x:.1f}", f"{y:.1f}"


def describe(values, day):
    name = (date(2025, 1, 1) + timedelta(days=day)).strftime("%d %B")
    return escape(f"{name}, {values[day]} °C")


def page(values, days):
    low, high = min(values), max(values)
    return PAGE.format(
        days=days,
        width=WIDTH,
        height=HEIGHT,
        dots="".join(f'<circle class="day" r="2" cx="{x}" cy="{y}"/>' for x, y in points(values, low, high)),
        line=" ".join(f"{x},{y}" for x, y in points(list(running_mean(values, days)), low, high)),
        warmest=describe(values, values.index(high)),
        coldest=describe(values, values.index(low)),
    )


class Dashboard(BaseHTTPRequestHandler):
    values = load(Path(__file__).with_name("weather.csv"))

    def do_GET(self):
        wanted = parse_qs(urlsplit(self.path).query).get("days", ["14"])[0]
        days = min(60, max(1, int(wanted))) if wanted.isdecimal() else 14
        body = page(self.values, days).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Dashboard).serve_forever()
