"""The corpora: the data that runs learn from."""

from rung.ladder.corpora.documents import TextEncoding, read_jsonl, read_parquet, read_tokenizer
from rung.ladder.corpora.facts import POOLS
from rung.ladder.corpora.registry import CORPORA
from rung.ladder.corpora.teacher import PART, SCHEMA, part_name, read_about
from rung.ladder.corpora.text import Text

__all__ = [
    "CORPORA",
    "PART",
    "POOLS",
    "SCHEMA",
    "Text",
    "TextEncoding",
    "part_name",
    "read_about",
    "read_jsonl",
    "read_parquet",
    "read_tokenizer",
]
