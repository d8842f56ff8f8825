"""Reading: the list of papers that a person keeps; imported, searched, tagged, recommended, told as a digest and a feed."""

from rung.reading.digest import Digest, digest_of, feed_of, mail_of, send
from rung.reading.entry import Entry, Listing
from rung.reading.formats import read_listing, read_text
from rung.reading.recommend import Recommendations, recommend
from rung.reading.store import PAPERS, Added, Kept, PaperStore

__all__ = [
    "PAPERS",
    "Added",
    "Digest",
    "Entry",
    "Kept",
    "Listing",
    "PaperStore",
    "Recommendations",
    "digest_of",
    "feed_of",
    "mail_of",
    "read_listing",
    "read_text",
    "recommend",
    "send",
]
