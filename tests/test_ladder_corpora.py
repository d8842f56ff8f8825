"""The corpora: every window once, held-out text by document, and truth that is known."""

import json
import math

import numpy as np
import polars as pl
import pytest

from rung.errors import LadderError
from rung.ladder.architectures.decoder.spec import Decoder
from rung.ladder.architectures.features.spec import Memoriser, Superposition
from rung.ladder.architectures.series.spec import SeriesTransformer
from rung.ladder.architectures.two_tower.spec import TwoTower
from rung.ladder.corpora.corpus import places
from rung.ladder.corpora.facts import POOLS, People, bits_of_choice
from rung.ladder.corpora.registry import CORPORA
from rung.ladder.corpora.sequences import Arithmetic, ItemStream, Markov
from rung.ladder.corpora.signals import Series, SparseFeatures, TwoViews
from rung.ladder.corpora.text import Hub, Text

BYTES = Decoder(context=8)


@pytest.fixture
def folder(tmp_path):
    """Forty documents that differ."""
    place = tmp_path / "texts"
    place.mkdir()
    rng = np.random.default_rng(0)
    for number in range(40):
        (place / f"{number}.txt").write_text("".join(rng.choice(list("abcdefgh \n"), 200)))
    return place


class TestOrder:
    def test_every_item_comes_once_before_any_comes_again(self):
        taken = np.concatenate([places((3,), first, 7, 21) for first in range(0, 63, 7)])
        for epoch in taken.reshape(3, 21):
            assert sorted(epoch) == list(range(21))
        assert not np.array_equal(taken[:21], taken[21:42])

    def test_a_batch_is_the_same_whenever_it_is_asked_for(self):
        whole = places((1, 2), 0, 50, 20)
        assert np.array_equal(whole[13:31], places((1, 2), 13, 18, 20))
        assert not np.array_equal(whole, places((1, 3), 0, 50, 20))

    @pytest.mark.parametrize(
        ("name", "family"),
        [
            ("markov", BYTES),
            ("items", Decoder(context=16, vocab=512)),
            ("arithmetic", Decoder(context=32)),
            ("bio-s", Decoder(context=64, vocab=4096)),
            ("bio-d", Memoriser()),
            ("series", SeriesTransformer()),
            ("features", Superposition()),
            ("views", TwoTower()),
        ],
    )
    def test_generators_repeat_themselves_for_a_key_and_differ_between_keys(self, name, family):
        data = CORPORA[name]().open(family, None)
        first, again, other = (data.batch(key, 8, 4) for key in ((1,), (1,), (2,)))
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
        assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


class TestText:
    def test_windows_tile_the_text_and_overlap_by_one_token(self, folder):
        data = Text(path=str(folder)).open(BYTES, None)
        (windows,) = data.batch((0,), 0, data.unique_items)
        ordered = windows[np.argsort(places((0,), 0, data.unique_items, data.unique_items))]
        assert np.array_equal(ordered[:, :-1].ravel(), data.train[: data.unique_items * 8])
        assert np.array_equal(ordered[:-1, -1], ordered[1:, 0])

    def test_documents_are_held_out_whole_and_by_their_own_name(self, folder):
        before = bytes(Text(path=str(folder)).open(BYTES, None).held)
        texts = {file.read_bytes() for file in folder.iterdir()}
        assert before
        assert {part for part in before.split(b"\0") if part} < texts
        (folder / "more.txt").write_text("something else entirely")
        after = bytes(Text(path=str(folder)).open(BYTES, None).held)
        assert before in after

    def test_kept_tokens_are_mapped_and_the_same(self, folder, tmp_path):
        fresh = Text(path=str(folder)).open(BYTES, None)
        Text(path=str(folder)).open(BYTES, tmp_path / "kept")
        kept = Text(path=str(folder)).open(BYTES, tmp_path / "kept")
        assert isinstance(kept.train, np.memmap)
        assert np.array_equal(fresh.train, kept.train)
        (folder / "0.txt").write_text("changed" * 10)
        changed = Text(path=str(folder)).open(BYTES, tmp_path / "kept")
        assert len(changed.train) + len(changed.held) != len(kept.train) + len(kept.held)

    @pytest.mark.parametrize("part", ["-train.npy", "-held.npy", ".sha256"])
    @pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
    def test_kept_tokens_that_are_damaged_are_made_again(self, folder, tmp_path, part, damage):
        whole = Text(path=str(folder)).open(BYTES, tmp_path / "kept")
        train, identity = np.array(whole.train), whole.identity
        (file,) = (tmp_path / "kept").glob(f"*{part}")
        content = file.read_bytes()
        file.write_bytes(
            {"cut": content[:-3], "flipped": content[:-3] + bytes([content[-3] ^ 1]) + content[-2:], "empty": b""}[
                damage
            ]
        )
        again = Text(path=str(folder)).open(BYTES, tmp_path / "kept")
        assert np.array_equal(again.train, train)
        assert again.identity == identity
        assert file.read_bytes() == content

    def test_about_one_document_in_so_many_is_held_out(self, tmp_path):
        rows = "".join(json.dumps({"text": f"row {number}"}) + "\n" for number in range(4000))
        (tmp_path / "rows.jsonl").write_text(rows)
        for one_in in (3, 20, 100):
            data = Text(path=str(tmp_path), one_in=one_in).open(BYTES, None)
            share = (data.held == 0).sum() / 4000
            assert share == pytest.approx(1 / one_in, rel=0.25)

    def test_jsonl_parquet_and_separated_text_are_read_alike(self, folder, tmp_path):
        documents = [file.read_text() for file in sorted(folder.iterdir())]
        (tmp_path / "t.jsonl").write_text("".join(json.dumps({"body": text}) + "\n" for text in documents))
        pl.DataFrame({"body": documents}).write_parquet(tmp_path / "t.parquet")
        (tmp_path / "t.txt").write_text("<cut>".join(documents))
        total = sum(len(text) + 1 for text in documents)
        for path, options in (
            ("t.jsonl", {"field": "body"}),
            ("t.parquet", {"field": "body"}),
            ("t.txt", {"separator": "<cut>"}),
        ):
            data = Text(path=str(tmp_path / path), one_in=5, **options).open(BYTES, None)
            assert len(data.train) + len(data.held) == total

    def test_tokens_of_a_tokenizer(self, folder, tmp_path):
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.BpeTrainer(vocab_size=60, special_tokens=["<|endoftext|>", "<unk>"], show_progress=False)
        tokenizer.train([str(file) for file in folder.iterdir()], trainer)
        tokenizer.save(str(tmp_path / "tokenizer.json"))
        corpus = Text(path=str(folder), tokenizer=str(tmp_path / "tokenizer.json"))
        data = corpus.open(Decoder(context=8, vocab=60), None)
        end = tokenizer.token_to_id("<|endoftext|>")
        assert end == 0
        assert (np.concatenate([data.train, data.held]) == end).sum() == 40
        with pytest.raises(LadderError, match="Set vocab = 60"):
            corpus.open(Decoder(context=8, vocab=50), None)

    def test_a_local_data_set_of_the_hub_library(self, tmp_path):
        rows = [{"text": f"row {number} " * 20} for number in range(60)]
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        data = Hub(path=str(tmp_path / "set")).open(BYTES, None)
        assert len(data.train) + len(data.held) == sum(len(row["text"]) + 1 for row in rows)
        with pytest.raises(LadderError, match="no column 'txt'"):
            Hub(path=str(tmp_path / "set"), field="txt").open(BYTES, None)

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda place: Text(path=str(place / "none")), "no file or folder"),
            (lambda place: Text(path=str(place), pattern="*.md"), "matches"),
            (lambda place: Text(path=str(place / "0.txt")), "to hold out|to train on"),
            (lambda place: Text(path=str(place), one_in=1), "one_in = 1"),
        ],
    )
    def test_an_unreadable_corpus_says_why(self, folder, make, said):
        with pytest.raises(LadderError, match=said):
            make(folder).open(BYTES, None)

    def test_an_empty_corpus_and_one_smaller_than_a_window(self, tmp_path):
        (tmp_path / "a.txt").write_text("")
        with pytest.raises(LadderError, match="one window takes 9"):
            Text(path=str(tmp_path)).open(BYTES, None)

    def test_a_wrong_line_of_jsonl_is_named(self, tmp_path):
        (tmp_path / "a.jsonl").write_text('{"text": "fine"}\n{"txt": "not"}\n')
        with pytest.raises(LadderError, match=r"a\.jsonl, line 2: no text in 'text'; it has txt"):
            Text(path=str(tmp_path)).open(BYTES, None)


class TestKnownTruth:
    def test_the_entropy_of_a_markov_language_is_that_of_its_text(self):
        data = Markov(symbols=4, order=2).open(Decoder(context=64), None)
        (text,) = data.batch((9,), 0, 4000)
        chance = 0.0
        state = text[:, 0] * 4 + text[:, 1]
        for place in range(2, 65):
            chance -= np.log(data.rows[state, text[:, place]]).mean()
            state = state % 4 * 4 + text[:, place]
        assert chance / 63 == pytest.approx(data.entropies()[-1], rel=0.01)

    def test_a_window_of_a_markov_language_starts_with_less_known(self):
        data = Markov(symbols=4, order=3).open(Decoder(context=16), None)
        each = data.entropies()
        assert each[0] > each[1] > each[2] == pytest.approx(each[-1])
        pair = data.stationary.reshape(4, 4, 4).sum(axis=2)
        single = pair.sum(axis=1)
        exact = -(pair * np.log(pair)).sum() + (single * np.log(single)).sum()
        assert each[0] == pytest.approx(exact)

    def test_steps_of_arithmetic_follow_from_what_stands_before(self):
        corpus = Arithmetic(modulus=7, steps=2)
        data = corpus.open(Decoder(context=20), None)
        (text,) = data.batch((0,), 0, 50)
        a, op, b, op2, c = text[:, :5].T
        first = np.where(op == 8, a * b, a + b) % 7
        second = np.where(op2 == 8, first * c, first + c) % 7
        assert np.array_equal(text[:, 6], first)
        assert np.array_equal(text[:, 7], second)
        assert data.floor < math.log(7)

    def test_who_knows_the_stream_of_items_does_best(self):
        data = ItemStream(items=64).open(Decoder(context=64, vocab=64), None)
        held = data.held_out(500)[""]
        blind = -np.log(data.popularity[held.items[0][:, 1:]]).mean()
        assert held.floor < blind

    def test_features_are_on_as_often_and_as_much_as_stated(self):
        data = SparseFeatures(skew=0.5).open(Superposition(features=50), None)
        (x,) = data.batch((0,), 0, 40_000)
        assert (x > 0).mean(axis=0) == pytest.approx(data.probability, abs=0.01)
        assert (x > 0).sum(axis=1).mean() == pytest.approx(1.0, abs=0.02)
        assert x[x > 0].mean() == pytest.approx(1.0, abs=0.02)
        assert x.max() <= 2

    def test_series_have_unit_variance_in_and_out_of_distribution(self):
        held = Series().open(SeriesTransformer(), None).held_out(400)
        for part in held.values():
            assert part.items[0].var() == pytest.approx(1.0, abs=0.05)
        assert set(held) == {"", "ood"}

    def test_pairs_that_end_come_again(self):
        data = TwoViews(pairs=10).open(TwoTower(), None)
        left, _ = data.batch((0,), 0, 20)
        assert len(np.unique(left, axis=0)) == 10

    def test_bits_of_facts(self):
        assert bits_of_choice(4, 2) == pytest.approx(math.log2(6))
        # arXiv:2404.05405, definition 4.3: a person's attributes are 47.59 bits, a name one of 2^27.25.
        pools = list(POOLS.values())
        assert math.log2(math.prod(pools[3:])) == pytest.approx(47.59, abs=0.005)
        assert math.log2(math.prod(pools[:3])) == pytest.approx(27.25, abs=0.005)
        assert People(people=10_000).bits / 10_000 == pytest.approx(61.56 + math.log2(math.e), abs=0.01)

    def test_a_biography_holds_every_part_of_its_person(self):
        data = People(people=50).open(Decoder(context=47, vocab=4096), None)
        (windows,) = data.batch((0,), 0, 12)
        known = {tuple(sorted(person)) for person in data.people}
        for biography in windows[:, :48].reshape(-1, 12):
            assert tuple(sorted(biography[:-1])) in known
        assert len({tuple(biography[3:]) for biography in windows.reshape(-1, 12)}) > 20
