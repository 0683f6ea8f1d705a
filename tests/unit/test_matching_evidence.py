"""What shared words, phrases and sources say, on descriptions whose answer is known."""

from __future__ import annotations

import pytest

from cyber_trade_econ.events import evidence
from cyber_trade_econ.events.compared import Incident


def incident(text: str, source: str = "aa", imposer: str = "RUS", target: str = "USA", title: str = "x") -> Incident:
    return Incident(
        key=text[:20],
        source=source,
        imposers=frozenset({imposer}),
        targets=frozenset({target}),
        dates={"onset": (0, 0)},
        types=frozenset(),
        title=title,
        text=f"{title} . {text}",
        told=text,
        year=2015,
    )


def others(text: str, n: int, **more: str) -> list[Incident]:
    return [incident(f"{text} number{'abcdefghijklmnopqrstuvwxyz'[k % 26]}{k}", **more) for k in range(n)]


SIDES = [("imposer", "RUS"), ("target", "USA")]


def bits(given: list[Incident], a: int = 0, b: int = 1) -> dict[str, float]:
    corpus = evidence.corpus(given)
    sides = [side for side in given[a].sides if side in given[b].sides]
    return {word.word: word.bits for word in evidence.shared(corpus, a, b, sides)}


def test_a_rare_name_says_more_than_a_common_one_and_than_a_plain_word():
    pair = [
        incident("we saw Quillworm and Fancy Bear move files"),
        incident("they saw Quillworm and Fancy Bear move it"),
    ]
    found = bits([*pair, *others("then came Fancy Bear to move on", 40), *others("nothing of note", 300)])
    assert found["quillworm"] > found["fancy"]
    assert found["quillworm"] == evidence.CAP
    assert "move" not in found or found["move"] < found["fancy"]


def test_a_name_that_goes_with_one_that_counted_adds_nothing():
    pair = [incident("once more Fancy Bear"), incident("again by Fancy Bear")]
    found = bits([*pair, *others("then came Fancy Bear", 30), *others("nothing of note", 300)])
    assert len({"fancy", "bear"} & set(found)) == 1


def test_a_name_common_among_the_same_side_says_little():
    pair = [incident("seen in Kiev"), incident("back in Kiev")]
    same_side = bits([*pair, *others("all in Kiev", 40), *others("nothing", 400, imposer="CHN", target="JPN")])
    elsewhere = bits([*pair, *others("all in Kiev", 40, imposer="CHN", target="JPN"), *others("nothing", 400)])
    assert elsewhere["kiev"] > same_side.get("kiev", 0) + 1


def test_words_of_both_titles_count_more():
    plain = [incident("one of Quillworm"), incident("two of Quillworm")]
    titled = [incident("one", title="About Quillworm"), incident("two", title="Of Quillworm")]
    rest = others("nothing of note", 100)
    assert bits([*titled, *rest])["quillworm"] == pytest.approx(evidence.TITLE * bits([*plain, *rest])["quillworm"])


def test_words_written_as_one_or_two_and_numbers_are_the_same():
    pair = [
        incident("it was Bad Rabbit by APT 33 with 12,987 routers"),
        incident("it was BadRabbit of APT33: 12987 routers"),
    ]
    found = bits([*pair, *others("nothing of note", 300)])
    assert {"badrabbit", "apt33", "12987"} <= set(found)


def test_years_months_and_weekdays_are_left_to_the_dates():
    pair = [incident("on Sunday 4 May 2014"), incident("in May 2014 on Sunday")]
    assert bits([*pair, *others("nothing of note", 50)]) == {}


def test_an_outbreak_listed_victim_by_victim_counts_once():
    told = "a worm that they call Quillworm went through the tax software of a firm in one day"
    listed = [incident(f"{told} and reached victim{k}", source="bb") for k in range(40)]
    pair = [incident("the Quillworm outbreak"), listed[0]]
    rest = others("nothing of note", 400)
    once = bits([*pair, *rest])["quillworm"]
    often = bits([*pair, *listed[1:], *rest])["quillworm"]
    assert often == pytest.approx(once, abs=0.3)  # forty incidents more in the corpus, one use more of the name


def test_phrases_need_a_rare_word():
    given = others("the group claimed responsibility for the attack on the site", 200)
    corpus = evidence.corpus(given)
    assert evidence.phrases(corpus, 0, 1) == 0
    told = "the worm took drawings of the Marrowgate frigate before dawn"
    corpus = evidence.corpus([incident(told), incident(told, source="bb"), *given])
    assert 0 < evidence.phrases(corpus, 0, 1) <= evidence.LONGEST


def test_sources_in_plain_form():
    one = incident(
        "seen https://web.archive.org/web/20170518141232/https://www.news.example/2014/a-long-story/?utm=1#top"
    )
    two = incident("seen http://news.example/2014/a-long-story")
    corpus = evidence.corpus([one, two, *others("nothing", 10)])
    assert evidence.cited(corpus, 0, 1) == evidence.CITED
    many = [incident(f"n{k} http://news.example/2014/a-long-story") for k in range(3)]
    assert evidence.cited(evidence.corpus([one, two, *many]), 0, 1) == evidence.CITED - 2
    pages = [incident("https://news.example/story.php?id=1&x=2 a"), incident("https://news.example/story.php?id=2 b")]
    assert evidence.cited(evidence.corpus(pages), 0, 1) == 0


def test_rivals_are_those_with_the_same_economies():
    given = [incident("a"), incident("b", source="bb"), incident("c", source="bb"), incident("d", "bb", target="DEU")]
    corpus = evidence.corpus(given)
    assert evidence.rivals(corpus, SIDES, "bb") == 2
    assert evidence.rivals(corpus, SIDES[:1], "bb") == 3
    assert evidence.rivals(corpus, [], "bb") == 0
