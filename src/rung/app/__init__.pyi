from .importing import open_store as open_store
from .server import default_folders as default_folders
from .server import make_app as make_app
from .server import open_in_browser as open_in_browser
from .server import serve as serve
from .workspace import Workspace as Workspace
