"""The look: every shape draws in both versions of Vega-Lite, holds no more than it shows, and keeps its room."""

import copy
import itertools
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import altair as alt
import pandas as pd
import pytest
import vl_convert

from salesforecast import style
from salesforecast.errors import SettingError

REPS = ["Amara Okafor", "مریم حسینی", "佐藤 結衣", "A representative with a very long name, Ltd.", 'O"Brien </script>']
COLOURS = {"#0072B2", "#D55E00", "#72777D", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "currentColor"}


def rates():
    return pd.DataFrame(
        {
            "rep": REPS,
            "secret": ["hidden"] * 5,
            "n": [38, 27, 31, 6, 44],
            "win_rate": [0.53, 0.41, None, 0.17, 0.14],
            "lower": [0.37, 0.24, None, 0.03, 0.06],
            "upper": [0.68, 0.59, None, 0.56, 0.27],
            "verdict": ["above", "same", "few", "few", "below"],
        }
    )


def by_quarter(x="quarter"):
    quarters = pd.date_range("2023-07-01", periods=8, freq="QS")
    parts = [
        pd.DataFrame({"quarter": quarters, "channel": c, "win_rate": [v + i / 100 for i in range(8)], "team": 0.3})
        for c, v in {"Partner": 0.30, "Inbound": 0.31, "Events": 0.31}.items()
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame["period"] = frame["quarter"].dt.year.astype(str) + "Q" + frame["quarter"].dt.quarter.astype(str)
    frame["day"] = [*range(0, 80, 10)] * 3
    return frame.assign(lower=frame["win_rate"] - 0.05, upper=frame["win_rate"] + 0.05)


def parts():
    return pd.DataFrame(
        {
            "part": ["Pipeline on 1 April", "Created", "Lost", "Pipeline on 8 June"],
            "amount": [4.2e6, 1.3e6, -2.1e6, 3.4e6],
            "lower": [None, 1.1e6, -2.4e6, None],
            "upper": [None, 1.4e6, -1.9e6, None],
        }
    )


def charts():
    """One of every shape, with names in several scripts and missing figures."""
    words = {"title": "What is shown", "subtitle": "Unit; interval; order " * 8}
    quarters = pd.date_range("2023-01-01", periods=9, freq="QS")
    history = pd.DataFrame({"period": quarters, "value": [3e6 + i * 1e5 for i in range(9)]})
    future = pd.DataFrame({"period": pd.date_range("2025-04-01", periods=2, freq="QS"), "mean": [4.7e6, 4.5e6]})
    for level, wide in (("50", 2e5), ("80", 4e5)):
        future[f"lower_{level}"], future[f"upper_{level}"] = future["mean"] - wide, future["mean"] + wide
    targets = pd.DataFrame({"period": future["period"], "target": [5e6, 4.8e6]})
    limits = pd.DataFrame({"n": [5, 20, 50], "lower_95": [0.0, 0.1, 0.2], "upper_95": [0.7, 0.5, 0.45]})
    limits = limits.assign(lower_998=[0.0, 0.0, 0.1], upper_998=[0.9, 0.7, 0.5])
    past = pd.DataFrame({"period": [f"202{i // 4}Q{i % 4 + 1}" for i in range(9)], "lower": -0.1, "upper": 0.1})
    past["actual"] = [0.02, -0.15, 0.3, None, 0.0, 0.01, 0.05, -0.05, 0.09]
    bars = rates().assign(text=[f"{n} deals" for n in rates()["n"]])
    over_time = {"value": "win_rate", "series": "channel", "fmt": ".0%", **words}
    return {
        "dots": style.dots(
            rates(), "win_rate", "rep", line=0.31, line_label="team 31%", verdict="verdict",
            columns=[("n", "Closed", style.count)], **words,
        ),
        "dots in money": style.dots(rates(), "n", "rep", fmt="€", accent="Amara Okafor", **words),
        "bars": style.bars(bars, "n", "rep", text="text", accent="Amara Okafor", **words),
        "lines": style.lines(by_quarter(), "quarter", main="Partner", band=True, marks=[(0.35, "plan")], **over_time),
        "lines of colours": style.lines(by_quarter(), "day", x_title="days", **over_time),
        "lines by period": style.lines(by_quarter(), "period", **over_time),
        "steps": style.steps(
            parts(), "part", "amount", fmt="$", total=("Pipeline on 1 April", "Pipeline on 8 June"),
            line=4e6, line_label="target", **words,
        ),
        "fan": style.fan(history, future, targets, fmt=style.money, **words),
        "ledger": style.ledger(past, fmt=".0%", **words),
        "funnel_plot": style.funnel_plot(
            rates(), limits, "win_rate", "rep", line=0.31, line_label="team 31%", verdict="verdict",
            x_title="closed deals", **words,
        ),
        "multiples": style.multiples(
            by_quarter(), "quarter", "win_rate", "channel", fmt=".0%", reference="team", **words
        ),
        "bullet": style.bullet(3.1, top=5.6, marks=[(5, "target", "target"), (4, "pace", "pace")], description="Won"),
        "span": style.span(0.3, 0.2, 0.4, domain=(0, 1), inner=(0.25, 0.35), description="Win rate"),
        "spark": style.spark([1, None, 3, 2, 5, 4], description="Six quarters"),
    }  # fmt: skip


SHAPES = list(charts())


@pytest.fixture(scope="module")
def specs():
    return {name: style.spec(chart) for name, chart in charts().items()}


def strings(x):
    if isinstance(x, dict):
        for v in x.values():
            yield from strings(v)
    elif isinstance(x, list):
        for v in x:
            yield from strings(v)
    elif isinstance(x, str):
        yield x


def as_on_a_page(spec, width=None):
    """The chart without its title, drawn for a phone of this width."""
    spec = copy.deepcopy(spec)
    spec.pop("title", None)
    own = spec["usermeta"]["salesforecast"]
    spec["padding"]["top"] -= own["title_height"]
    if width:
        spec["padding"], spec["height"] = own["narrow"]["padding"], own["narrow"].get("height", spec["height"])
        spec["width"] = width - spec["padding"]["left"] - spec["padding"]["right"]
        spec["layer"] = [layer for layer in spec["layer"] if layer.get("name") not in own["narrow"]["hide"]]
    return spec


def places(spec, text):
    """Where this text begins, from the left edge of the drawing."""
    svg = vl_convert.vegalite_to_svg(spec, vl_version="6.4")
    left = float(re.search(r'<g fill="none"[^>]*translate\(([\d.]+)', svg)[1])
    found = re.findall(r"<text [^>]*?translate\((-?[\d.]+),[^>]*>([^<]*)</text>", svg)
    return [left + float(x) for x, said in found if said == text]


# ---- charts ------------------------------------------------------------


@pytest.mark.parametrize("version", ["5.8", "6.4"])
@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_draws_in_both_versions(specs, name, version):
    svg = vl_convert.vegalite_to_svg(specs[name], vl_version=version)
    assert "NaN" not in svg and "Infinity" not in svg and "undefined" not in svg
    assert svg.count("<path") + svg.count("<line") > 2


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_has_only_the_colours_a_page_can_dress(specs, name):
    said = [s for s in strings(specs[name]) if re.fullmatch(r"#[0-9a-fA-F]{3,8}", s) or s.startswith("rgb")]
    assert said or name == "lines of colours"
    assert set(said) <= COLOURS
    axis = specs[name]["config"]["axis"]
    assert not {"labelColor", "gridColor", "titleColor"} & set(axis)
    assert specs[name]["config"]["background"] is None


@pytest.mark.parametrize("name", SHAPES)
def test_the_phone_leaves_out_only_layers_that_are_there(specs, name):
    spec = specs[name]
    layers = [layer.get("name") for layer in spec["layer"]]
    narrow = spec["usermeta"]["salesforecast"]["narrow"]
    assert set(narrow["hide"]) <= set(layers)
    assert narrow["padding"].keys() == {"left", "right", "top", "bottom"}
    assert 358 - narrow["padding"]["left"] - narrow["padding"]["right"] >= 120
    named = [n for n in layers if n]
    assert len(named) == len(set(named))


def test_the_phone_of_dots_keeps_the_value_and_drops_the_other_columns(specs):
    phone = vl_convert.vegalite_to_svg(as_on_a_page(specs["dots"], 358), vl_version="6.4")
    assert ">Win rate<" in phone and ">53%<" in phone
    assert ">Closed<" not in phone and ">Beyond chance<" not in phone


@pytest.mark.parametrize(("name", "text"), [("dots", "Win rate"), ("lines", "Events 38%"), ("fan", "80% range")])
def test_words_at_the_right_stay_in_their_margin_at_every_width(specs, name, text):
    for width in (320, 358, 500):
        spec = as_on_a_page(specs[name], width)
        assert [width - spec["padding"]["right"] < x <= width for x in places(spec, text)] == [True]


@pytest.mark.parametrize("name", ["dots", "bars", "steps"])
def test_row_labels_begin_at_the_left_edge_at_every_width(specs, name):
    label = "Created" if name == "steps" else "Amara Okafor"
    for width in (None, 320, 358):
        assert places(as_on_a_page(specs[name], width), label) == [0.0]


def test_small_multiples_stand_four_in_a_row_and_two_on_a_phone(specs):
    names = ["Partner", "Inbound", "Events"]
    wide, phone = specs["multiples"], as_on_a_page(specs["multiples"], 358)
    assert [places(wide, n)[0] > 1 for n in names[1:]] == [True, True]
    assert places(phone, "Events") == places(phone, "Partner") != places(phone, "Inbound")
    assert phone["height"] == 2 * as_on_a_page(wide)["height"]


@pytest.mark.parametrize("name", [n for n in SHAPES if n not in ("bullet", "span", "spark")])
def test_the_title_has_its_own_room_above_the_chart(specs, name):
    svg = vl_convert.vegalite_to_svg(specs[name], vl_version="6.4")
    at = float(re.search(r'role-title"><g transform="translate\([^,]*,(-?[\d.]+)\)', svg)[1])
    assert 0 <= specs[name]["padding"]["top"] + at <= 30
    assert "role-title" not in vl_convert.vegalite_to_svg(as_on_a_page(specs[name]), vl_version="6.4")


def test_names_at_the_ends_of_lines_do_not_touch(specs):
    rows = [r for rows in specs["lines"]["datasets"].values() for r in rows if "place" in r]
    ys = sorted(r["place"] for r in rows)
    assert len(ys) == 3
    assert min(b - a for a, b in itertools.pairwise(ys)) >= 15.9
    assert ys[0] >= 0 and ys[-1] <= specs["lines"]["height"]


def test_a_waterfall_arrives_at_its_last_total():
    frame = parts().drop(columns=["lower", "upper"])
    spec = style.spec(
        style.steps(frame, "part", "amount", fmt="$", title="t", subtitle="", total=frame["part"].iloc[0])
    )
    rows = next(rows for rows in spec["datasets"].values() if "text" in rows[0])
    assert [(r["start"], r["end"]) for r in rows[:3]] == [(0, 4.2e6), (4.2e6, 5.5e6), (5.5e6, 3.4e6)]
    assert [r["text"] for r in rows[:3]] == ["$4.20M", "+$1.30M", "−$2.10M"]


def test_two_reps_of_the_same_name_keep_a_row_each():
    frame = rates().assign(rep="Ann")
    spec = style.spec(style.dots(frame, "win_rate", "rep", title="t", subtitle=""))
    svg = vl_convert.vegalite_to_svg(spec, vl_version="6.4")
    ys = [float(y) for y in re.findall(r"<text [^>]*?,(-?[\d.]+)\)[^>]*>Ann</text>", svg)]
    assert len(ys) == 5
    assert {round(b - a) for a, b in itertools.pairwise(ys)} == {28}


def test_a_frame_without_rows_or_figures_still_draws():
    words = {"title": "t", "subtitle": ""}
    nothing = rates().head(0).assign(text="")
    empty = [
        style.dots(nothing, "win_rate", "rep", **words),
        style.dots(rates().assign(win_rate=pd.NA), "win_rate", "rep", verdict="verdict", **words),
        style.bars(nothing, "n", "rep", text="text", **words),
        style.lines(by_quarter().head(0), "quarter", "win_rate", "channel", fmt=".0%", band=True, **words),
        style.steps(parts().head(0), "part", "amount", fmt="$", **words),
    ]
    for chart in empty:
        assert "NaN" not in vl_convert.vegalite_to_svg(style.spec(chart), vl_version="5.8")


def test_a_chart_refuses_times_with_a_zone_and_unknown_columns():
    frame = by_quarter()
    frame["quarter"] = frame["quarter"].dt.tz_localize("UTC")
    with pytest.raises(SettingError, match="zone"):
        style.lines(frame, "quarter", "win_rate", "channel", fmt=".0%", title="t", subtitle="")
    with pytest.raises(SettingError, match="Did you mean 'win_rate'"):
        style.dots(rates(), "winrate", "rep", title="t", subtitle="")


def axes(x):
    if isinstance(x, dict):
        if isinstance(x.get("axis"), dict):
            yield x["axis"]
        for v in x.values():
            yield from axes(v)
    elif isinstance(x, list):
        for v in x:
            yield from axes(v)


def test_no_more_than_five_grid_lines_and_the_unit_on_the_last(specs):
    seen = [a["values"] for spec in specs.values() for a in axes(spec["layer"]) if a.get("grid") is not False]
    assert len(seen) > 10
    assert max(map(len, seen)) <= 5
    first = next(axes(specs["steps"]["layer"]))
    assert first["labelExpr"].startswith('["0", "2", "4", "$6M"][')
    assert first["values"] == [0, 2e6, 4e6, 6e6]


# ---- the canonical specification ------------------------------------------------------------


def picked():
    """A chart of a user's own, with a parameter, columns it does not show, and long floats."""
    frame = rates().assign(share=1 / 3)
    brush = alt.selection_interval()
    one = alt.Chart(frame).mark_point().encode(x="share:Q", y="n:Q").add_params(brush)
    two = alt.Chart(frame.head(2)).mark_bar().encode(x="n:Q", y="rep:N").transform_filter(brush)
    return (one | two).properties(title="Mine and my secret")


def test_the_specification_does_not_know_how_many_charts_came_before():
    first = json.dumps(style.spec(picked()))
    for _ in range(5):
        alt.selection_point()
        alt.Chart(rates()).mark_bar().encode(x="n:Q").add_params(alt.selection_interval()).to_dict()
    assert json.dumps(style.spec(picked())) == first
    assert all(json.dumps(style.spec(c)) == json.dumps(style.spec(charts()[n])) for n, c in charts().items())


def test_names_that_altair_made_are_numbered_in_order():
    given = json.dumps(picked().to_dict())
    assert style.spec(picked())["params"][0] == {"name": "param_1", "select": {"type": "interval"}, "views": ["view_1"]}
    older = re.sub(r"view_[0-9a-f]{16}_\d", "view_9", re.sub(r"param_[0-9a-f]{16}", "param_41", given))
    older = re.sub(r"data-[0-9a-f]{32}", lambda found: f"data-{found[0][-8:]}", older)
    assert older != given
    assert style._canonical(json.loads(older)) == style._canonical(json.loads(given))


def test_the_specification_holds_no_column_the_chart_does_not_show():
    spec = style.spec(picked())
    assert list(spec["datasets"]) == ["data-1", "data-2"]
    assert {name for rows in spec["datasets"].values() for row in rows for name in row} == {"share", "n", "rep"}
    assert spec["datasets"]["data-1"][0]["share"] == 0.333333
    for chart in charts().values():
        assert "hidden" not in json.dumps(style.spec(chart))


def test_the_specification_still_draws_and_says_what_it_is():
    spec = style.spec(picked())
    assert "<svg" in vl_convert.vegalite_to_svg(spec, vl_version="5.8")
    assert spec["$schema"].endswith("/v5.json")
    assert spec["description"] == "Mine and my secret"
    assert style.spec(charts()["bars"])["description"].startswith("What is shown. Unit; interval")


def test_the_renderer_gives_jupyter_the_specification_and_a_title():
    before = alt.theme.active, alt.renderers.active
    try:
        style.enable()
        data = charts()["bars"]._repr_mimebundle_()
        data = data[0] if isinstance(data, tuple) else data
        spec = style.spec(charts()["bars"])
        assert data == {"application/vnd.vegalite.v5+json": spec, "text/plain": "What is shown"}
    finally:
        alt.theme.enable(before[0])
        alt.renderers.enable(before[1])


def test_the_import_switches_nothing_on():
    code = (
        "import salesforecast.style, altair as alt, sys; "
        "print(alt.theme.active, alt.renderers.active, sys.modules['rfc3987_syntax'])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["default", "default", "None"]


# ---- figures ------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (style.money(9_999.4), "$9,999"),
        (style.money(9_999.6), "$10.0 thousand"),
        (style.money(99_960), "$100 thousand"),
        (style.money(999_499), "$999 thousand"),
        (style.money(999_500), "$1.00M"),
        (style.money(-0.3), "$0"),
        (style.money(-4_718_200, "€"), "−€4.72M"),
        (style.money(5e6, "CHF"), "CHF\u00a05.00M"),
        (style.money(pd.NA), "–"),
        (style.money(float("inf")), "–"),
        (style.percent(0.005, 1), "0.5%"),
        (style.percent(-0.004), "0%"),
        (style.points(-0.01), "−1 point"),
        (style.points(0.0049), "no change"),
        (style.points(0.11), "+11 points"),
        (style.change(-1.2), "−120%"),
        (style.days(0.4), "0 days"),
        (style.times(-0.04), "0.0×"),
        (style.count(-1234), "−1,234"),
        (style.between(0.37, 0.68, style.percent), "37% to 68%"),
        (style.between(1e5, 2e6, "$"), "$100k to $2.00M"),
        (style.between(1, float("nan"), style.count), "–"),
        (style.plural(1, "loss"), "1 loss"),
        (style.plural(3, "day"), "3 days"),
    ],
)
def test_a_figure_is_written_as_the_house_does(said, meant):
    assert said == meant


# ---- tables ------------------------------------------------------------


class Reader(HTMLParser):
    """The table as rows of text, and every tag with its class."""

    def __init__(self):
        super().__init__()
        self.rows, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1] and data.strip("\n"):
            self.rows[-1][-1] += data


def read(html):
    reader = Reader()
    reader.feed(html)
    return reader


def test_a_table_says_an_interval_in_one_column():
    table = read(style.table(rates()[["rep", "n", "win_rate", "lower", "upper"]]))
    assert table.rows[0] == ["Rep", "Number", "Win rate %", "95%\u00a0interval"]
    assert table.rows[1] == ["Amara Okafor", "38", "53", "37 to 68"]
    assert table.rows[3][2:] == ["–", "–"]
    assert [a.get("class") for t, a in table.tags if t == "td"][:3] == [None, None, "by"]
    assert [a["scope"] for t, a in table.tags if t == "th"] == ["col"] * 4 + ["row"] * 5


def test_every_interval_stands_behind_its_own_estimate():
    frame = pd.DataFrame({"period": ["2025Q3"], "mean": [4.72e6], "target": [5e6]})
    frame = frame.assign(lower_80=4.33e6, upper_80=5.15e6, mean_lower=4.5e6, mean_upper=4.9e6)
    assert read(style.table(frame, currency="€")).rows == [
        ["Period", "Mean € million", "95%\u00a0interval", "Target € million", "80%\u00a0interval"],
        ["2025Q3", "4.72", "4.50 to 4.90", "5.00", "4.33 to 5.15"],
    ]


def test_hostile_text_stays_text():
    bad = '<img src=x onerror="alert(1)">&amp;'
    html = style.table(pd.DataFrame({"rep": [bad], bad: ["</table><script>x</script>"], "n": ["<b>"]}), currency="<i>")
    table = read(html)
    assert {tag for tag, _ in table.tags} == {"table", "thead", "tbody", "tr", "th", "td", "b", "bdi"}
    assert all(set(a) <= {"scope", "class"} for _, a in table.tags)
    assert table.rows[1] == [bad, "</table><script>x</script>", "<b>"]


def test_money_has_one_unit_a_column_and_unknown_columns_their_own_name():
    frame = pd.DataFrame({"rep": ["A", "B"], "bookings": [548_000.0, 1_017_000.0], "average_deal": [27_400.0, None]})
    frame = frame.assign(
        close_date=pd.to_datetime(["2025-06-08", None]), is_new=[True, False], odd_score=[1.25, 12345.5]
    )
    assert read(style.table(frame)).rows == [
        ["Rep", "Bookings $ thousand", "Average deal $ thousand", "Close date", "Is new", "Odd score"],
        ["A", "548", "27.4", "8 Jun 2025", "yes", "1"],
        ["B", "1,017", "–", "–", "no", "12,346"],
    ]


def test_the_row_of_the_total_stands_in_the_foot_and_the_finding_is_bold():
    frame = pd.DataFrame({"rep": ["A", "Team"], "won": [3, 3], "lost": [1, 1]})
    html = style.table(frame, total="Team", bold="won")
    foot = html[html.index("<tfoot>") :]
    assert "<bdi>Team</bdi>" in foot and "<bdi>A</bdi>" not in foot
    assert "<td><b>3</b></td><td>1</td>" in foot


def test_an_empty_table_has_its_header():
    assert read(style.table(rates().head(0))).rows[0][0] == "Rep"


def test_names_beside_dots_that_lie_on_each_other_stand_a_line_apart():
    frame = pd.DataFrame(
        {
            "rep": ["1086", "300", "Cy"],
            "n": [20, 20, 6],
            "win_rate": [0.6, 0.6, 0.1],
            "verdict": ["above", "above", "below"],
        }
    )
    limits = pd.DataFrame({"n": [5, 20, 50], "lower_95": [0.0, 0.1, 0.2], "upper_95": [0.7, 0.5, 0.45]})
    limits = limits.assign(lower_998=[0.0, 0.0, 0.1], upper_998=[0.9, 0.7, 0.5])
    spec = style.spec(
        style.funnel_plot(
            frame, limits, "win_rate", "rep", line=0.31, line_label="all", verdict="verdict", title="T", subtitle="S"
        )
    )
    places = {}
    for layer in spec["layer"]:
        if str(layer.get("name", "")).startswith("names"):
            domain = layer["encoding"]["y"]["scale"]["domain"]
            for row in spec["datasets"][layer["data"]["name"]]:
                places[row["label"]] = row["value"] / (domain[1] - domain[0]) * spec["height"]
    assert abs(places["1086"] - places["300"]) >= 13.9 and len(places) == 3


def test_money_in_the_first_column_has_its_unit_as_anywhere():
    html = style.table(pd.DataFrame({"to_book": [9_642_236.0], "deals": [283]}), currency="€")
    assert "<b>Still to book</b> € million" in html and "9.64" in html and "9,642,236" not in html
