"""How the documentation is built: `make docs`."""

import rung

project = "Rung"
author = "the authors of Rung"
release = version = rung.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]
html_theme = "furo"
html_title = "Rung"
html_copy_source = False
html_show_sphinx = False
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
autodoc_typehints = "description"
autodoc_member_order = "bysource"
nitpicky = False
# Pages link to files of the repository beside the documentation, such as the changelog and examples.
suppress_warnings = ["myst.xref_missing"]
