"""Listings of papers: how they are read, kept, searched, recommended and told."""

import json
import socket
import sqlite3
import xml.etree.ElementTree as ET
from datetime import date

import numpy as np
import pytest

from rung.errors import ReadingError
from rung.reading import (
    Entry,
    PaperStore,
    digest_of,
    feed_of,
    mail_of,
    read_listing,
    read_text,
    recommend,
    send,
)

SAVED = date(2026, 3, 1)
LONG = (
    "It goes on for a while, as abstracts do, with numbers such as 84.7\\% and log_{10} of them, so that nobody takes it for a title. "
    * 3
)


def card(title, footer="  • 7 authors", day="Aug 23, 2023", abstract=LONG):
    return "\n\n".join(part for part in (title, abstract, footer, "·" if day else "", day) if part)


def page(*cards, day="Dec 31"):
    head = [
        "new",
        "Get trending papers in your email inbox!",
        "Subscribe",
        "Daily Papers",
        "byAK and the research community",
        day,
    ]
    return "\n\n".join([*head, *cards]) + "\n"


class TestDailyPage:
    def test_reads_titles_abstracts_authors_organisations_dates_and_counts(self):
        text = page(
            card("Ladders of small models"),
            card("Losses around a centroid", footer="openbmb OpenBMB", day="Oct 4, 2024 2"),
            card("One hand", footer="  • 1 author", day="Aug 9 4"),
        )
        one, two, three = read_text(text, "page.txt", SAVED).entries
        assert (one.title, one.authors_count, one.date, one.count) == (
            "Ladders of small models",
            7,
            date(2023, 8, 23),
            None,
        )
        assert (two.organisation, two.authors_count, two.date, two.count) == ("openbmb", None, date(2024, 10, 4), 2)
        assert (three.authors_count, three.date, three.count) == (1, date(2025, 8, 9), 4)
        assert one.abstract == LONG.strip()

    def test_a_card_without_a_footer_does_not_swallow_the_next_title(self):
        text = page(card("No footer at all", footer="", day=""), card("The next one"))
        bare, following = read_text(text, "page.txt", SAVED).entries
        assert (bare.title, bare.date, bare.authors_count) == ("No footer at all", None, None)
        assert (following.title, following.authors_count) == ("The next one", 7)

    def test_the_last_card_may_lack_its_footer_and_the_day_of_the_page_is_no_card(self):
        found = read_text(page(card("First"), card("Last", footer="", day="")), "page.txt", SAVED).entries
        assert [one.title for one in found] == ["First", "Last"]

    @pytest.mark.parametrize(
        ("saved", "day", "year"),
        [(date(2026, 3, 1), "Dec 31", 2025), (date(2026, 3, 1), "Feb 2", 2026), (date(2025, 12, 31), "Dec 31", 2025)],
    )
    def test_a_year_that_is_left_out_is_that_of_the_day_of_the_page(self, saved, day, year):
        found = read_text(page(card("One", day="Jan 9"), day=day), "page.txt", saved)
        assert found.entries[0].date == date(year, 1, 9)
        assert str(year) in found.notes[0]

    def test_many_written_years_say_which_one_is_left_out_even_in_a_file_that_was_copied_later(self):
        cards = [card(f"Paper {index}", day=f"May {index + 1}, 2024") for index in range(12)]
        found = read_text(page(*cards, card("This year", day="Jun 3"), day="Dec 31"), "page.txt", date(2028, 5, 5))
        assert found.entries[-1].date == date(2025, 6, 3)

    def test_an_abstract_of_several_paragraphs_stays_one(self):
        found = read_text(
            page(card("Two paragraphs", abstract=f"{LONG}\n\n{LONG}"), card("Next")), "page.txt", SAVED
        ).entries
        assert [one.title for one in found] == ["Two paragraphs", "Next"]
        assert len(found[0].abstract) > 1.9 * len(LONG)

    def test_forty_four_cards_with_every_footer(self):
        cards = [card(f"Paper number {index}", day=f"May {index % 28 + 1}, {2007 + index % 18}") for index in range(31)]
        cards += [card(f"Recent paper {index}", day=f"Jun {index + 1}") for index in range(11)]
        cards += [card("By an organisation", footer="acme Acme Labs", day="Jul 2")]
        cards.insert(20, card("Without a footer", footer="", day=""))
        found = read_text(page(*cards), "page.txt", SAVED).entries
        assert len(found) == 44
        assert sum(one.date is not None for one in found) == 43
        assert sum(one.authors_count is not None for one in found) == 42
        assert [one.organisation for one in found if one.organisation] == ["acme"]


class TestFormats:
    def test_the_json_of_hugging_face(self):
        rows = [
            {
                "paper": {"id": "2404.06277", "summary": " An\nabstract ", "authors": [{"name": "A"}, {"name": "B"}]},
                "title": "A title", "publishedAt": "2024-04-09T12:00:00.000Z", "numComments": 3,
                "organization": {"name": "acme"},
            },
            {"paper": {"id": "x"}},
        ]  # fmt: skip
        found = read_text(json.dumps(rows), "papers.json", SAVED)
        (one,) = found.entries
        assert (one.title, one.abstract, one.authors_count, one.count) == ("A title", "An abstract", 2, 3)
        assert (one.arxiv, one.date, one.organisation) == ("2404.06277", date(2024, 4, 9), "acme")
        assert "1 entries without a title" in found.notes[0]

    def test_what_import_prints_is_read_again(self):
        entry = Entry(title="T", abstract="A", authors_count=2, date=date(2024, 1, 2), count=5)
        assert read_text(json.dumps({"papers": [entry.to_dict()]}), "x.json", SAVED).entries == (entry,)

    def test_atom(self):
        text = (
            "<feed xmlns='http://www.w3.org/2005/Atom'><entry><id>http://arxiv.org/abs/2001.08361v1</id><title>Laws\n of scale</title>"
            "<summary>Short &amp; good</summary><published>2020-01-23T03:00:00Z</published><author><name>A</name></author></entry></feed>"
        )
        (one,) = read_text(text, "feed.xml", SAVED).entries
        assert (one.title, one.abstract, one.arxiv, one.date) == (
            "Laws of scale",
            "Short & good",
            "2001.08361",
            date(2020, 1, 23),
        )

    def test_bibtex(self):
        text = "@article{k, title={{Laws} of scale}, author={A, B and C, D}, year=2020, month=jan, eprint={2001.08361}}\n@misc{x, year=1999}"
        found = read_text(text, "x.bib", SAVED)
        (one,) = found.entries
        assert (one.title, one.authors_count, one.date, one.arxiv) == (
            "Laws of scale",
            2,
            date(2020, 1, 1),
            "2001.08361",
        )
        assert found.notes

    @pytest.mark.parametrize(
        ("text", "word"),
        [
            ("<!doctype html><html></html>", "text"),
            ("<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><feed/>", "entities"),
            ("just a note", "no listing"),
            ("[1, 2", "JSON"),
            ("{}", "list of papers"),
            ("", "no listing"),
        ],
    )
    def test_what_is_no_listing_is_refused_with_the_reason(self, text, word):
        with pytest.raises(ReadingError, match=word):
            read_text(text, "x", SAVED)

    def test_a_file_that_is_not_there_or_no_text(self, tmp_path):
        with pytest.raises(ReadingError, match="cannot be read"):
            read_listing(tmp_path / "none.txt")
        (tmp_path / "x.txt").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ReadingError, match="UTF-8"):
            read_listing(tmp_path / "x.txt")


@pytest.fixture
def store(tmp_path):
    return PaperStore(tmp_path / "papers.sqlite")


def entries(*titles, **more):
    return [Entry(title=title, abstract=f"An abstract of {title.lower()}.", **more) for title in titles]


class TestStore:
    def test_what_is_new_and_what_grows_since_the_last_import(self, store):
        assert store.add(entries("A", "B", count=1), "one", "2026-01-01").new == 2
        added = store.add([*entries("A", count=4), *entries("C", "C")], "two", "2026-01-02")
        assert (added.papers, added.new, added.repeated) == (2, 1, 1)
        by_title = {one.entry.title: one for one in store.everything()}
        assert [by_title[name].is_new for name in "ABC"] == [False, False, True]
        assert [one.entry.title for one in store.trending()] == ["A"]
        assert by_title["A"].gain == 3

    def test_a_listing_that_knows_less_takes_nothing_away(self, store):
        store.add(
            [Entry(title="A", abstract="Known", authors_count=3, date=date(2024, 1, 1), arxiv="2404.06277")], "", ""
        )
        store.add([Entry(title="a!")], "", "")
        (one,) = store.everything()
        assert (one.entry.abstract, one.entry.authors_count, one.entry.arxiv) == ("Known", 3, "2404.06277")

    def test_search_ranks_the_paper_that_is_about_the_words_first(self, store):
        store.add(
            [
                Entry(title="A survey", abstract="Losses of many kinds, among them centroid losses once. " + LONG),
                Entry(title="Centroid triplet loss", abstract="A loss by centroids."),
                Entry(title="Loss of water", abstract="Rivers."),
            ],
            "", "",
        )  # fmt: skip
        assert store.search("centroid loss")[0].entry.title == "Centroid triplet loss"
        assert len(store.search("centroid loss")) == 2
        assert [one.entry.title for one in store.search("riv")] == ["Loss of water"]
        assert store.search("zebra") == []

    @pytest.mark.parametrize(
        "query", ['"', "*", "a AND (", "NEAR(", "x' OR 1=1 --", "title:a", "^", "\x00", "é" * 300, "-", "a*b"]
    )
    def test_no_query_breaks_the_search(self, store, query):
        store.add(entries("A paper"), "", "")
        assert isinstance(store.search(query), list)

    def test_tags_votes_and_notes_stay(self, store):
        store.add(entries("A", "B"), "", "")
        first = store.search("A")[0].id
        store.tag(first, "  to   read ")
        store.vote(first, 1)
        store.note(first, "<b>mine</b>")
        one = store.paper(first)
        assert (one.tags, one.vote, one.note) == (("to read",), 1, "<b>mine</b>")
        assert [each.id for each in store.search(tag="to read")] == [first]
        store.tag(first, "to read", remove=True)
        assert store.tag_names() == {}
        with pytest.raises(ReadingError, match="no paper 99"):
            store.vote(99, 1)
        with pytest.raises(ReadingError, match="1, 0 or -1"):
            store.vote(first, 7)

    def test_a_damaged_file_is_named(self, tmp_path):
        (tmp_path / "papers.sqlite").write_bytes(b"no database" * 1000)
        with pytest.raises(ReadingError, match="damaged"):
            PaperStore(tmp_path / "papers.sqlite").everything()

    def test_an_import_that_is_broken_off_adds_nothing(self, store):
        store.add(entries("A"), "", "")

        class Broken(Entry):
            @property
            def key(self):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.add([*entries("B"), Broken(title="C")], "", "")
        assert [one.entry.title for one in store.everything()] == ["A"]
        with sqlite3.connect(store.path) as db:
            assert db.execute("SELECT count(*) FROM imports").fetchone()[0] == 1


def planted(store, likes=24, others=60, seed=0):
    """Papers on two subjects with words of their own among common ones; the tagged ones are about the first."""
    rng = np.random.default_rng(seed)
    common = [f"common{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    subjects = [[f"{name}{letter}" for letter in "abcdefghijkl"] for name in ("merging", "weather")]

    def text(subject):
        return " ".join([*rng.choice(common, 30), *rng.choice(subjects[subject], 4)])

    made = [Entry(title=f"Paper {index}", abstract=text(int(index >= likes))) for index in range(likes + others)]
    store.add(made, "", "")
    numbers = {one.entry.title: one.id for one in store.everything()}
    for index in range(likes // 2):
        store.tag(numbers[f"Paper {index}"], "merging")
    return likes


class TestRecommendations:
    def test_papers_like_the_tagged_ones_come_first_and_the_precision_is_that_of_held_out_ones(self, store):
        likes = planted(store)
        found = recommend(store.everything())
        right = [int(one.entry.title.split()[1]) < likes for one, _ in found.papers]
        assert np.mean(right) >= 0.8
        # Half of the papers on the subject bear no tag, so not all of the first ten can be held-out ones.
        assert found.precision > 2 * found.chance

    def test_tags_without_a_pattern_promise_nothing(self, store):
        planted(store)
        for one in store.everything():
            for tag in one.tags:
                store.tag(one.id, tag, remove=True)
        chosen = np.random.default_rng(1).permutation([one.id for one in store.everything()])[:12]
        for number in chosen.tolist():
            store.tag(number, "random")
        found = recommend(store.everything())
        assert found.precision < 3 * found.chance

    def test_too_few_tags_recommend_nothing(self, store):
        store.add(entries("A", "B", "C"), "", "")
        assert recommend(store.everything()).papers == ()


class TestDigest:
    def test_text_and_html_show_what_is_new_and_keep_hostile_titles_text(self, store):
        store.add([Entry(title="<script>alert(1)</script>", abstract="A & B", url="http://x/?a='b'")], "", "")
        made = digest_of(store.everything(), [], [])
        assert "<script>alert(1)" in made.text()
        assert "<script>" not in made.html()
        assert "&lt;script&gt;" in made.html()

    def test_the_feed_is_atom_whatever_the_titles_hold(self, store):
        store.add([Entry(title="A \x0b <b>&", abstract="x", date=date(2024, 5, 6))], "", "")
        root = ET.fromstring(feed_of(store.everything(), "2026-01-01T00:00:00+00:00"))
        assert root.tag == "{http://www.w3.org/2005/Atom}feed"
        assert len(root.findall("{http://www.w3.org/2005/Atom}entry")) == 1

    def test_a_mail_goes_through_a_real_server(self, store):
        from aiosmtpd.controller import Controller

        received = []

        class Keeps:
            async def handle_DATA(self, _server, _session, envelope):  # noqa: N802
                received.append(envelope)
                return "250 OK"

        store.add(entries("A new paper"), "", "")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        controller = Controller(Keeps(), hostname="127.0.0.1", port=port)
        controller.start()
        try:
            message = mail_of(
                digest_of(store.everything(), [], []), "me@example.org", "you@example.org", "Papers: 1 new"
            )
            send(message, f"127.0.0.1:{port}")
        finally:
            controller.stop()
        (one,) = received
        assert one.rcpt_tos == ["you@example.org"]
        assert b"A new paper" in one.content
        assert b"text/html" in one.content

    def test_a_server_that_is_not_there_and_a_password_in_the_open_are_refused(self):
        message = mail_of(digest_of([], [], []), "me@example.org", "you@example.org", "x")
        with pytest.raises(ReadingError, match="not sent"):
            send(message, "127.0.0.1:1")
        with pytest.raises(ReadingError, match="starttls"):
            send(message, "mail.example.org:25", user="me", password="secret")
        with pytest.raises(ReadingError, match="address"):
            mail_of(digest_of([], [], []), "me@example.org\nBcc: all", "you@example.org", "x")
