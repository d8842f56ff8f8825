from .curves import Curve as Curve
from .curves import Curves as Curves
from .curves import learning_curves as learning_curves
from .ladder_file import head_of as head_of
from .ladder_file import ladder_of as ladder_of
from .ladder_file import read_ladder as read_ladder
from .rung import Rung as Rung
from .runs_table import table as table
