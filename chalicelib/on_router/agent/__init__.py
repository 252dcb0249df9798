"""What a Command document does on a router: push a bundle, confirm it, undo it, inspect what is in force.

The documents carry these modules as text (`tools.documents`); no Lambda holds them. Python 3.9's standard
library only, since Amazon Linux 2023 brings no newer one, and the router's own tools.
"""
