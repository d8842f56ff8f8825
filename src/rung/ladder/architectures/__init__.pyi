from .decoder.preference import Preference as Preference
from .decoder.spec import Decoder as Decoder
from .network import PairNet as PairNet
from .registry import FAMILIES as FAMILIES
from .registry import build_network as build_network
from .size import Size as Size
