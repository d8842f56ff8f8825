from .options import Launch as Launch
from .orchestrate import CORPORA_FOLDER as CORPORA_FOLDER
from .orchestrate import RunStatus as RunStatus
from .orchestrate import execute_all as execute_all
from .orchestrate import folders_of as folders_of
from .orchestrate import launch_record as launch_record
from .orchestrate import prepare as prepare
from .orchestrate import run_statuses as run_statuses
