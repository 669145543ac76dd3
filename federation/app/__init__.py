"""The composition root: puts the parts of a front door together and runs it. Holds no logic of its own."""

from federation.app.door import FrontDoor
from federation.app.serving import FRONT_DOOR, make_app, serve

__all__ = ["FRONT_DOOR", "FrontDoor", "make_app", "serve"]
