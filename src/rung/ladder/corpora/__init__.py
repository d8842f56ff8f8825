"""The corpora: the data that runs learn from."""

from rung.ladder.corpora.documents import TextEncoding, load_tokenizer, read_jsonl, read_parquet, read_tokenizer
from rung.ladder.corpora.facts import POOLS
from rung.ladder.corpora.registry import CORPORA
from rung.ladder.corpora.teacher import PART, SCHEMA, part_name, read_about
from rung.ladder.corpora.text import Text, stamps_of

__all__ = [
    "CORPORA",
    "PART",
    "POOLS",
    "SCHEMA",
    "Text",
    "TextEncoding",
    "load_tokenizer",
    "part_name",
    "read_about",
    "read_jsonl",
    "read_parquet",
    "read_tokenizer",
    "stamps_of",
]
